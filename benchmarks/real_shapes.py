"""The real models' shapes with random weights made on the device: tokens a second, and share of the product's peak.

GPT-2 small up to `blocks.6.hook_resid_pre` with an SAE of 24,576 features, and 51 layers at the width of Llama-3.3-70B
in bfloat16 (88 GB). `--scale` divides widths, `--layers` cuts Llama's depth, so that it also runs on a small machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import machine
import torch
from transformers import AutoModel, GPT2Config, GPT2Model, LlamaConfig

from saeprobe.subject.running import Run
from saeprobe.subject.running.layers import LayerStack

GPT2_DEPTH, GPT2_FEATURES = 6, 24_576


def settle(device: str) -> None:
    """Wait until what was asked of the device is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Median seconds, after one run that does not count."""
    work()
    found: list[float] = []
    for _ in range(repeats):
        settle(device)
        start = time.perf_counter()
        work()
        settle(device)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def peak(device: str, dtype: torch.dtype, repeats: int, *, largest: int) -> float:
    """Operations a second of the fastest square product up to `largest`."""
    best, size = 0.0, 512
    while size <= largest:
        x = torch.randn(size, size, device=device, dtype=dtype)
        y = torch.randn(size, size, device=device, dtype=dtype)
        best = max(best, 2 * size**3 / timed(lambda x=x, y=y: x @ y, device, repeats))
        size *= 2
    return best


@torch.no_grad()
def gpt2(device: str, *, scale: int, prompts: int, tokens: int, repeats: int) -> tuple[float, float]:
    """Seconds a batch of the blocks before the hook and the SAE's encoder in float32, and its operations."""
    width, d_sae = 768 // scale, GPT2_FEATURES // scale
    config = GPT2Config(n_embd=width, n_layer=12, n_head=12)
    with torch.device(device):
        model: Any = GPT2Model(config).eval()
        encoder, bias = torch.randn(width, d_sae), torch.randn(d_sae)
        ids = torch.randint(0, config.vocab_size, (prompts, tokens))
    model.h = model.h[:GPT2_DEPTH]
    model.config.num_hidden_layers = GPT2_DEPTH
    model.ln_f = torch.nn.Identity()

    def work() -> None:
        stream = model(ids, use_cache=False).last_hidden_state.flatten(0, 1)
        at_once = 64 * 2**20 // (4 * d_sae)  # dense features held at once, as the reader does
        for start in range(0, len(stream), at_once):
            torch.relu(torch.addmm(bias, stream[start : start + at_once], encoder)).count_nonzero()

    weights = sum(one.numel() for name, one in model.named_parameters() if name.startswith("h.")) + encoder.numel()
    attention = GPT2_DEPTH * 4 * prompts * tokens**2 * width
    return timed(work, device, repeats), 2 * weights * prompts * tokens + attention


def llama(device: str, *, scale: int, layers: int, prompts: int, tokens: int, repeats: int) -> tuple[float, float]:
    """Seconds a batch of the layers before the hook in bfloat16, by the code that runs llama70b, and its operations."""
    config = LlamaConfig(
        vocab_size=128_256 // scale,
        hidden_size=8192 // scale,
        intermediate_size=28_672 // scale,
        num_hidden_layers=layers,
        num_attention_heads=max(1, 64 // scale),
        num_key_value_heads=max(1, 8 // scale),
        head_dim=128,
        max_position_embeddings=131_072,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
    )
    with torch.device(device):
        model: Any = AutoModel.from_config(config, dtype=torch.bfloat16)
    model.norm = torch.nn.Identity()
    stack = LayerStack(model=model.eval().requires_grad_(requires_grad=False), depth=layers)
    drawn = torch.randint(0, config.vocab_size, (prompts, tokens)).tolist()
    runs = [Run(ids=tuple(ids), depths=(layers,)) for ids in drawn]
    weights = sum(one.numel() for name, one in model.named_parameters() if name.startswith("layers."))
    attention = layers * 4 * prompts * tokens**2 * config.num_attention_heads * 128
    operations = 2 * weights * prompts * tokens + attention
    return timed(lambda: list(stack.run(runs, batch_size=prompts)), device, repeats), operations


def main() -> None:
    """Measure, print, keep."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked.add_argument("--layers", type=int, default=51)
    asked.add_argument("--scale", type=int, default=1, help="divides the widths")
    asked.add_argument("--prompts", type=int, default=64, help="of one batch")
    asked.add_argument("--tokens", type=int, default=128, help="of one prompt")
    asked.add_argument("--largest", type=int, default=16_384, help="side of the largest product tried for the peak")
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--keep", action="store_true", help="write benchmarks/results/real_shapes-DEVICE.json")
    args = asked.parse_args()
    torch.manual_seed(0)
    batch = {"prompts": args.prompts, "tokens": args.tokens, "repeats": args.repeats, "scale": args.scale}
    kind = torch.device(args.device).type
    shapes: dict[str, tuple[torch.dtype, Callable[[], tuple[float, float]]]] = {
        "GPT-2 small to block 6, SAE encoder": (torch.float32, lambda: gpt2(args.device, **batch)),
        "Llama-3.3-70B up to the hook": (torch.bfloat16, lambda: llama(args.device, layers=args.layers, **batch)),
    }
    found: dict[str, Any] = {}
    for name, (dtype, measured) in shapes.items():
        limit = peak(args.device, dtype, args.repeats, largest=args.largest)
        seconds, operations = measured()
        found[name] = {
            "dtype": str(dtype).removeprefix("torch."),
            "seconds_a_batch": round(seconds, 4),
            "tokens_a_second": round(args.prompts * args.tokens / seconds, 1),
            "operations_a_second": operations / seconds,
            "peak_operations_a_second": limit,
            "share_of_peak": round(operations / seconds / limit, 4),
        }
        if kind == "cuda":
            found[name]["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(args.device) / 2**30, 1)
            torch.cuda.empty_cache()
        print(
            f"{name} ({found[name]['dtype']}, widths / {args.scale}): {found[name]['tokens_a_second']:,.0f} tokens/s, "
            f"{operations / seconds / 1e12:.3f} of {limit / 1e12:.3f} TFLOP/s = {found[name]['share_of_peak']:.0%}"
        )
    if args.keep:
        settings = {key: value for key, value in vars(args).items() if key not in {"keep", "device"}}
        machine.write(f"real_shapes-{kind}", {**machine.described(args.device), "settings": settings, "shapes": found})


if __name__ == "__main__":
    main()
