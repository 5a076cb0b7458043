"""Streaming a model from disk: accelerate's offload, its hooks around all prompts, the sweep, and what limits them.

All arms compute the same streams of the same prompts from the same files, in one run, in turn, with the files dropped
from the page cache before each. Needs Linux for that.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import machine
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from accelerate.utils import OffloadedWeightsLoader
from safetensors.torch import save_file
from transformers import AutoModel, LlamaConfig

from saeprobe.subject.files.model import truncated
from saeprobe.subject.running import Run, pad
from saeprobe.subject.running.layers import LayerStack
from saeprobe.subject.running.streamed import LayerFiles, LayerSweep, Weights, open_sweep

VOCABULARY = 1000


def write_model(folder: Path, *, width: int, layers: int, dtype: torch.dtype) -> None:
    """A Llama with random weights, a file a layer."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=width * 7 // 2,  # as in Llama 3: 28,672 of 8,192
        num_hidden_layers=layers,
        num_attention_heads=width // 128,
        num_key_value_heads=max(1, width // 1024),
    )
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes: dict[str, Any] = {name: one.shape for name, one in AutoModel.from_config(config).state_dict().items()}
    weight_map: dict[str, str] = {}
    for part in ["embed_tokens", "norm", *(f"layers.{layer}" for layer in range(layers))]:
        names = [name for name in shapes if name.startswith(f"{part}.")]
        tensors = {f"model.{name}": (torch.randn(shapes[name]) * width**-0.5).to(dtype) for name in names}
        save_file(tensors, folder / f"{part}.safetensors")
        weight_map |= dict.fromkeys(tensors, f"{part}.safetensors")
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_bytes(index.encode())


def drop(folder: Path) -> None:
    """Take the files out of the page cache."""
    for file in folder.glob("*.safetensors"):
        number = os.open(file, os.O_RDONLY)
        os.fsync(number)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def from_disk() -> int:
    """Bytes that this process has had fetched from storage, page faults included."""
    lines = Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


class Here(Mapping[str, torch.Tensor]):
    """The weights of the layer that is on, as accelerate's loader of offloaded weights reads them."""

    def __init__(self, sweep: LayerSweep) -> None:
        index = {
            name: {"safetensors_file": str(one.file), "weight_name": name} for name, one in sweep.files.stored.items()
        }
        self.loader = OffloadedWeightsLoader(index=index)
        self.layer = 0

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.loader[f"model.layers.{self.layer}.{name.removeprefix('layer.')}"]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class AllBatches(torch.nn.Module):
    """One layer over all batches, so that accelerate's hooks around it load the layer once."""

    def __init__(self, sweep: LayerSweep) -> None:
        super().__init__()
        self.layer = sweep.model.layers[0]
        self.run_one = sweep._layer  # noqa: SLF001 - the same computation as in the sweep, with other reading

    def forward(self, groups: list[Any]) -> None:
        """All of them."""
        for group in groups:
            self.run_one(group)


def offloaded(folder: Path, runs: list[Run], *, depth: int, batch: int, larger: bool) -> dict[int, torch.Tensor]:
    """Accelerate's disk offload as people use it, one batch after another.

    A model that is `larger` than the memory is no longer in the page cache when the next batch begins.
    """

    def after_batch(_: float) -> None:
        if larger:
            drop(folder)

    placed = {"embed_tokens": "cpu", "rotary_emb": "cpu", "norm": "cpu"}
    placed |= {f"layers.{layer}": "disk" for layer in range(depth)}
    with truncated(folder, depth=depth) as view, tempfile.TemporaryDirectory() as spill:
        model = AutoModel.from_pretrained(view, device_map=placed, offload_folder=spill, dtype="auto")
        model.norm = torch.nn.Identity()
        stack = LayerStack(model=model.eval(), depth=depth)
        return {number: streams[depth] for number, streams in stack.run(runs, batch_size=batch, progress=after_batch)}


def hooked(folder: Path, runs: list[Run], *, depth: int, batch: int) -> dict[int, torch.Tensor]:
    """Accelerate's hooks around a module that takes all prompts through one layer."""
    sweep = opened(folder, depth=depth)
    groups = sweep._groups(runs, batch_size=batch)  # noqa: SLF001 - as above
    embed = next(steps := sweep._steps(0))  # noqa: SLF001 - as above
    for group in groups:
        embed(group)
    steps.close()
    every, weights = AllBatches(sweep), Here(sweep)
    hook = AlignDevicesHook(execution_device="cpu", offload=True, weights_map=weights, place_submodules=True)
    add_hook_to_module(every, hook)
    for weights.layer in range(depth):
        every(groups)
    found: dict[int, torch.Tensor] = {}
    for group in groups:
        rows = pad(group.ids, side="right", device="cpu").without_padding(group.state)
        found |= dict(zip(group.numbers, rows, strict=True))
    return found


class OneByOne(LayerFiles):
    """The files of a sweep that reads a layer when the one before it is done."""

    def layers(self, count: int) -> Iterator[Weights]:
        """Read them in the thread that computes."""
        yield from (self.read(self.of_layer(layer)) for layer in range(count))


def swept(folder: Path, runs: list[Run], *, depth: int, batch: int, prefetch: bool) -> dict[int, torch.Tensor]:
    """The sweep."""
    sweep = opened(folder, depth=depth)
    if not prefetch:
        sweep = replace(sweep, files=OneByOne(**vars(sweep.files)))
    return {number: streams[depth] for number, streams in sweep.run(runs, batch_size=batch)}


def opened(folder: Path, *, depth: int) -> LayerSweep:
    """Computed in the dtype in which the files are."""
    dtype = json.loads((folder / "dtype.json").read_text(encoding="utf-8"))
    return open_sweep(folder, depth=depth, dtype=dtype)


def reading(folder: Path) -> None:
    """The bytes alone."""
    block = memoryview(bytearray(2**23))
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(block):
                pass


def computing(folder: Path, runs: list[Run], *, depth: int, batch: int) -> Callable[[], None]:
    """The layers alone: as many steps as in the other arms, all with the weights of layer 0, in memory before."""
    sweep = opened(folder, depth=depth)
    groups = sweep._groups(runs, batch_size=batch)  # noqa: SLF001 - as above
    next(steps := sweep._steps(0))(groups[0])  # noqa: SLF001 - as above
    steps.close()
    sweep._fill(sweep.model.layers[0], next(sweep.files.layers(1)), "a layer")  # noqa: SLF001 - as above
    for group in groups:
        group.state.normal_()

    def compute() -> None:
        for _ in range(depth):
            for group in groups:
                sweep._layer(group)  # noqa: SLF001 - as above

    return compute


def main() -> None:
    """Measure, print, keep."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--width", type=int, default=2048)
    asked.add_argument("--layers", type=int, default=12)
    asked.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    asked.add_argument("--prompts", type=int, default=16)
    asked.add_argument("--tokens", type=int, default=16)
    asked.add_argument("--batch", type=int, default=4)
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--keep", action="store_true", help="write benchmarks/results/streamed.json")
    args = asked.parse_args()
    if not hasattr(os, "posix_fadvise"):
        asked.error("only Linux says what was read from the disk")
    torch.manual_seed(0)
    depth = args.layers
    runs = [
        Run(ids=tuple(torch.randint(0, VOCABULARY, (args.tokens,)).tolist()), depths=(depth,))
        for _ in range(args.prompts)
    ]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_model(folder, width=args.width, layers=args.layers, dtype=getattr(torch, args.dtype))
        (folder / "dtype.json").write_bytes(json.dumps(args.dtype).encode())
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        how = {"depth": depth, "batch": args.batch}
        arms: dict[str, Callable[[], Any]] = {
            "accelerate's disk offload": lambda: offloaded(folder, runs, **how, larger=False),
            "the same, model larger than the page cache": lambda: offloaded(folder, runs, **how, larger=True),
            "accelerate's hooks around all prompts": lambda: hooked(folder, runs, **how),
            "sweep without prefetch": lambda: swept(folder, runs, **how, prefetch=False),
            "sweep with prefetch": lambda: swept(folder, runs, **how, prefetch=True),
            "reading alone": lambda: reading(folder),
            "computing alone": computing(folder, runs, **how),
        }
        seconds, fetched = measure(arms, folder, repeats=args.repeats)
    report(args, seconds, fetched, size=size)


def measure(
    arms: dict[str, Callable[[], Any]], folder: Path, *, repeats: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds and bytes from disk of each arm; the arms in turn, so that a slow minute is shared by all."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    fetched: dict[str, int] = {}
    same: dict[int, torch.Tensor] = {}
    for _ in range(repeats):
        for name, arm in arms.items():
            gc.collect()
            drop(folder)
            before, start = from_disk(), time.perf_counter()
            found = arm()
            seconds[name].append(time.perf_counter() - start)
            fetched[name] = from_disk() - before
            if isinstance(found, dict):
                same = same or found
                for number, states in found.items():  # float32's bound; bfloat16 on one machine is no further apart
                    torch.testing.assert_close(states.float(), same[number].float(), atol=0.02, rtol=0.02)
            del found
    return seconds, fetched


def report(args: argparse.Namespace, seconds: dict[str, list[float]], fetched: dict[str, int], *, size: int) -> None:
    """A table with each arm's share of the physical limit, and the file."""
    median = {name: statistics.median(times) for name, times in seconds.items()}
    limit = max(median["reading alone"], median["computing alone"])
    tokens = args.prompts * args.tokens
    print(
        f"Llama, {args.layers} layers x {args.width}, {args.dtype}, {size / 1e9:.2f} GB; {tokens} tokens in "
        f"{-(-args.prompts // args.batch)} batches; medians of {args.repeats}; limit = the slower of the last two"
    )
    print(f"{'':46}{'seconds':>9}{'x limit':>9}{'x sweep':>9}{'GB read':>9}")
    for name, value in median.items():
        against = value / median["sweep with prefetch"]
        print(f"{name:46}{value:9.2f}{value / limit:9.2f}{against:9.2f}{fetched[name] / 1e9:9.2f}")
    if args.keep:
        settings = {key: value for key, value in vars(args).items() if key != "keep"}
        arms = {
            name: {
                "seconds": [round(one, 3) for one in seconds[name]],
                "median": round(value, 3),
                "times_limit": round(value / limit, 3),
                "times_sweep": round(value / median["sweep with prefetch"], 3),
                "bytes_from_disk": fetched[name],
            }
            for name, value in median.items()
        }
        machine.write("streamed", {**machine.described(), "settings": settings, "bytes": size, "arms": arms})


if __name__ == "__main__":
    main()
