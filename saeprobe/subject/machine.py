"""The machine: which processors and how much memory are there for a model, found out without importing torch."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_MIB: Final = 1024**2


_PATIENCE: Final = 5.0  # seconds; nvidia-smi answers in a tenth of one unless a driver hangs


_QUERY: Final = ("--query-gpu=name,uuid,memory.total,memory.free", "--format=csv,noheader,nounits")


_CGROUPS: Final = Path("/sys/fs/cgroup")


_OWN_CGROUP: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """An NVIDIA GPU that this process may use.

    Attributes:
        name: as the driver calls it.
        index: its number among those visible, as in `cuda:0`. The driver counts in the order of the PCI bus; torch
            does so too where CUDA_DEVICE_ORDER=PCI_BUS_ID is set, or where all GPUs are of one kind.
        total_bytes: its memory.
        free_bytes: what nobody had taken when it was asked.
    """

    name: str
    index: int
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a model could run on.

    Attributes:
        gpus: NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; a MIG slice is not counted.
        ram_bytes: main memory, or what a control group leaves of it.
        ram_available_bytes: how much of that could be taken without swapping.
        cores: processors that this process may run on.
        apple_gpu: whether this is a Mac with Apple's own GPU, which shares the main memory.
        cuda_usable: whether the installed torch was built for CUDA; says nothing of whether there is a GPU.
        bitsandbytes: whether the package for 8-bit weights is installed.
    """

    gpus: tuple[Gpu, ...] = ()
    ram_bytes: int
    ram_available_bytes: int
    cores: int
    apple_gpu: bool = False
    cuda_usable: bool = False
    bitsandbytes: bool = False

    @property
    def usable_gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that the installed torch can compute on."""
        return self.gpus if self.cuda_usable else ()


@cache
def this_machine() -> Machine:
    """The machine that this process runs on, looked at once."""
    return look(os.environ)


def look(environment: Mapping[str, str], *, cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> Machine:
    """The machine as it is now.

    Args:
        environment: where PATH and CUDA_VISIBLE_DEVICES are taken from.
        cgroups: where the kernel shows its control groups; on other systems than Linux there is no such folder.
        own_cgroup: the file that names the control groups of this process.
    """
    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    for limit, used in _limits(cgroups, own_cgroup):
        total, available = min(total, limit), min(available, max(0, limit - used))
    return Machine(
        gpus=_visible(_nvidia(environment), environment.get("CUDA_VISIBLE_DEVICES")),
        ram_bytes=total,
        ram_available_bytes=available,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        apple_gpu=platform.system() == "Darwin" and platform.machine() == "arm64",
        cuda_usable=torch_cuda() is not None,
        bitsandbytes=importlib.util.find_spec("bitsandbytes") is not None,
    )


def torch_cuda() -> str | None:
    """The CUDA version that the installed torch was built for; None for a build without CUDA, or no torch at all.

    Read from the file that torch writes at its own build: its version number in the package's metadata says `+cpu`
    only in some of the builds without CUDA.
    """
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        return None
    file = Path(found.submodule_search_locations[0]) / "version.py"
    said = re.search(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)['\"]", file.read_text("utf-8"), re.MULTILINE)
    return None if said is None else said[1]


def _nvidia(environment: Mapping[str, str]) -> list[tuple[str, Gpu]]:
    """All GPUs of the driver with their UUIDs, numbered as it does; none where it cannot be asked."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return []
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program, with fixed words
            [program, *_QUERY], capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []  # a driver that does not answer is one that torch cannot use either
    found: list[tuple[str, Gpu]] = []
    for index, line in enumerate(answer.stdout.splitlines()):
        words = [word.strip() for word in line.rsplit(",", 3)]
        with contextlib.suppress(ValueError):  # `[N/A]` where a GPU has no memory of its own
            name, uuid, total, free = words
            gpu = Gpu(name=name, index=index, total_bytes=int(total) * _MIB, free_bytes=int(free) * _MIB)
            found.append((uuid, gpu))
    return found


def _visible(gpus: list[tuple[str, Gpu]], chosen: str | None) -> tuple[Gpu, ...]:
    """The GPUs that CUDA shows, in its order: numbers or beginnings of UUIDs, up to the first that it does not know."""
    if chosen is None:
        return tuple(gpu for _, gpu in gpus)
    visible: list[Gpu] = []
    for word in (part.strip() for part in chosen.split(",")):
        matching = [
            gpu for uuid, gpu in gpus if word == str(gpu.index) or (word[:4] == "GPU-" and uuid[: len(word)] == word)
        ]
        if len(matching) != 1:
            break
        gpu = matching[0]
        visible.append(Gpu(name=gpu.name, index=len(visible), total_bytes=gpu.total_bytes, free_bytes=gpu.free_bytes))
    return tuple(visible)


def _limits(cgroups: Path, own: Path) -> list[tuple[int, int]]:
    """Memory limit and use in bytes of each control group that this process lies in, where one has a limit.

    What the kernel holds of files in memory counts as used and is given back on demand, so it is taken out:
    https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text("utf-8").splitlines()]
    except OSError:
        return []
    found: list[tuple[int, int]] = []
    for _, controllers, path in (line for line in lines if len(line) == 3):  # noqa: PLR2004 - number, controllers, path
        if controllers == "":  # version 2
            top, limit, use, cached = cgroups, "memory.max", "memory.current", "file"
        elif controllers == "memory":  # version 1
            top, limit, use, cached = (
                cgroups / "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_cache",
            )
        else:
            continue
        here = top / path.strip("/")
        # Inside a container the path may be the host's, which is not shown there: what is shown is the top.
        for folder in [here, *here.parents][: len(here.parts) - len(top.parts) + 1]:
            bound, used = _number(folder / limit), _number(folder / use)
            if bound is not None and used is not None:
                found.append((bound, used - min(used, _stat(folder / "memory.stat", cached))))
    return found


def _number(file: Path) -> int | None:
    """The number in a file; None where there is none (`max` is no limit)."""
    try:
        return int(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _stat(file: Path, key: str) -> int:
    """A line of memory.stat; 0 where it is not there."""
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text("utf-8").splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return 0
