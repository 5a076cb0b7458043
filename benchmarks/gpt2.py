"""GPT-2 small up to `blocks.6.hook_resid_pre`: seconds beside those of its matrix products alone, and of other ways.

The model has its full shape and random weights, in float32. All ways read the same prompts, in turn, and the centred
streams that they give are compared. Then each stream is encoded to 24,576 features, for the whole of a reading.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from saeprobe.subject.running import Run
from saeprobe.subject.running.layers import LayersModel, open_stack
from saeprobe.subject.running.opening import open_bridge

DEPTH, WIDTH, FEATURES, AT_ONCE = 6, 768, 24_576, 32
HOOK = f"blocks.{DEPTH}.hook_resid_pre"


def write(folder: Path) -> None:
    """Write a GPT-2 small with random weights and a tokenizer of one token, which nothing here uses."""
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0)).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))  # noqa: S106 - no password
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="a", eos_token="a").save_pretrained(folder)  # noqa: S106


def products(ids: Tensor) -> Callable[[], None]:
    """Return what multiplies as six blocks do, on batches of the same size, and does nothing else."""
    shapes = ((WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH))
    layers = [[torch.randn(shape) for shape in shapes] for _ in range(DEPTH)]
    biases = [torch.randn(shape[1]) for shape in shapes]
    inputs = [[torch.randn(len(part) * ids.shape[1], shape[0]) for shape in shapes] for part in ids.split(AT_ONCE)]

    def work() -> None:
        for part in inputs:
            for layer in layers:
                for bias, x, weight in zip(biases, part, layer, strict=True):
                    torch.addmm(bias, x, weight)

    return work


def main() -> None:
    """Measure, print, keep."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--prompts", type=int, default=100)
    asked.add_argument("--tokens", type=int, default=44, help="of one prompt")
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--keep", action="store_true", help="write benchmarks/results/gpt2.json")
    args = asked.parse_args()
    found = measured(prompts=args.prompts, tokens=args.tokens, repeats=args.repeats)
    limit = found["the matrix products of six blocks"]
    for name, seconds in found.items():
        print(f"{name}: {seconds:.2f} s, {seconds / limit:.2f} times the products")
    if args.keep:
        settings = {key: value for key, value in vars(args).items() if key != "keep"}
        arms = {
            name: {"seconds": round(one, 4), "of_the_products": round(one / limit, 3)} for name, one in found.items()
        }
        machine.write("gpt2", {**machine.described(), "settings": settings, "arms": arms})


@torch.no_grad()
def measured(*, prompts: int, tokens: int, repeats: int) -> dict[str, float]:
    """Median seconds of each way; a round runs all of them, and the first round does not count."""
    ids = torch.randint(0, 50_257, (prompts, tokens), generator=torch.Generator().manual_seed(1))
    runs = [Run(ids=tuple(row), depths=(DEPTH,)) for row in ids.tolist()]
    encoder, bias = torch.randn(WIDTH, FEATURES), torch.randn(FEATURES)
    with tempfile.TemporaryDirectory() as made:
        write(Path(made))
        bridge: Any = open_bridge(Path(made), center_writing_weights=True, device="cpu", dtype="float32")
        stack = open_stack(Path(made), depth=DEPTH, dtype="float32")
    unused: Any = None
    model = LayersModel(device="cpu", one_by_one=False, centred=True, read=lambda: stack, speak=lambda: unused)

    def ours() -> Tensor:
        streams = dict(model.run(runs, batch_size=AT_ONCE))
        return torch.stack([streams[number][DEPTH] for number in range(prompts)])

    def cached(at_once: int, **how: Any) -> Tensor:
        caches = (bridge.run_with_cache(part, **how)[1][HOOK] for part in ids.split(at_once))
        return torch.cat([cache.clone() for cache in caches])

    def encode(streams: Tensor) -> None:
        for part in streams.flatten(0, 1).split(64 * 2**20 // (4 * FEATURES)):  # as many as the reader takes at once
            torch.relu(torch.addmm(bias, part, encoder))

    ways: dict[str, Callable[[], Any]] = {
        "the matrix products of six blocks": products(ids),
        "saeprobe, streams": ours,
        "run_with_cache with names_filter, batches of 32": lambda: cached(AT_ONCE, names_filter=HOOK),
        "run_with_cache, one prompt at a time (the manual's way)": lambda: cached(1),
    }
    streams = {name: work() for name, work in ways.items()}
    for name, stream in streams.items():
        if stream is not None:
            torch.testing.assert_close(stream, streams["saeprobe, streams"], atol=1e-3, rtol=1e-3, msg=name)
    ways["the encoder of 24,576 features"] = lambda: encode(streams["saeprobe, streams"])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    found = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        **found,
        "saeprobe, streams and features": found["saeprobe, streams"] + found["the encoder of 24,576 features"],
    }


if __name__ == "__main__":
    main()
