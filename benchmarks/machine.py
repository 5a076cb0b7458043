"""What a benchmark ran on, in words that name no host and no path."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "transformers", "accelerate", "safetensors", "transformer-lens")


def described(device: str = "cpu") -> dict[str, Any]:
    """Date, versions, and the machine as far as a ratio depends on it."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = f"{platform.system()} {platform.machine()}, {cores} CPU core{'s' * (cores != 1)}"
    words += f", torch on {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() != 1)}"
    if torch.device(device).type == "cuda":
        found = torch.cuda.get_device_properties(device)
        words += f", {found.name} with {found.total_memory / 2**30:.0f} GiB"
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": words,
        "versions": {name: metadata.version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    }


def write(name: str, found: dict[str, Any]) -> None:
    """Keep the figures beside the benchmark."""
    file = Path(__file__).parent / "results" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
