"""The surroundings: versions, processors, memory, and how the Hub is reached. Nothing is asked over the network."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

from saeprobe import __version__
from saeprobe.cli.fetching.cache import Cache
from saeprobe.subject.machine import Machine, torch_cuda
from saeprobe.subject.memory import bytes_in_words as words

_NEEDED: Final = ("transformers", "transformer-lens", "sae-lens", "accelerate")
_OPTIONAL: Final = {
    "bitsandbytes": "8-bit weights, on NVIDIA GPUs: pip install bitsandbytes",
    "pytest-xdist": "probes in parallel: pip install 'saeprobe[parallel]'",
}
_TORCH_SITE: Final = "https://pytorch.org/get-started/locally"
_MIRROR: Final = "out of reach? put HF_ENDPOINT=https://hf-mirror.com before the command"

Facts = list[tuple[str, str]]


def software(machine: Machine) -> Facts:
    """What is installed."""
    facts = [("saeprobe", __version__), ("Python", f"{platform.python_version()} on {platform.platform(terse=True)}")]
    facts.append(("torch", _torch(machine)))
    facts += [(name, _version(name) or "absent: pip install saeprobe") for name in _NEEDED]
    facts += [(name, _version(name) or f"absent ({use})") for name, use in _OPTIONAL.items()]
    return facts


def _torch(machine: Machine) -> str:
    version, cuda = _version("torch"), torch_cuda()
    if version is None:
        return f"absent: {_TORCH_SITE}"
    if cuda is not None:
        return f"{version}, built for CUDA {cuda}"
    if machine.apple_gpu:
        return f"{version}, with MPS for the Apple GPU"
    return f"{version}, CPU build"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def hardware(machine: Machine, gpu_problem: str | None) -> Facts:
    """What there is to compute on."""
    facts: Facts = []
    for gpu in machine.gpus:
        memory = f"{gpu.name}, {words(gpu.total_bytes)}, {words(gpu.free_bytes)} free"
        unused = "" if machine.cuda_usable else f"; torch cannot use it: install a build for CUDA, {_TORCH_SITE}"
        facts.append((f"cuda:{gpu.index}", memory + (f"; {gpu_problem}" if gpu_problem else unused)))
    if machine.apple_gpu:
        facts.append(("mps", "Apple's GPU, which shares the RAM"))
    if not facts:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        facts.append(("GPU", "none" if hidden is None else f"none visible (CUDA_VISIBLE_DEVICES={hidden})"))
    facts.append(("RAM", f"{words(machine.ram_bytes)}, {words(machine.ram_available_bytes)} free"))
    facts.append(("cores", str(machine.cores)))
    return facts


def hub() -> Facts:
    """How weights come here; a token is looked for and never shown."""
    from huggingface_hub import constants

    cache = Cache(folder=Path(constants.HF_HUB_CACHE))
    offline = "yes: HF_HUB_OFFLINE is set, nothing can be fetched" if constants.HF_HUB_OFFLINE else "no"
    return [
        ("cache", f"{cache.folder}, whose disk has {words(cache.free_bytes())} free"),
        ("endpoint", f"{constants.ENDPOINT} ({'HF_ENDPOINT' if 'HF_ENDPOINT' in os.environ else _MIRROR})"),
        ("offline", offline),
        ("token", _token(Path(constants.HF_TOKEN_PATH))),
    ]


def _token(file: Path) -> str:
    """Whether there is one. huggingface_hub's own get_token() may ask the network to renew it."""
    if any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")):
        return "present (HF_TOKEN)"
    if file.is_file() and file.stat().st_size:
        return f"present ({file})"
    return "none: gated repositories such as Llama's want one; run: hf auth login"
