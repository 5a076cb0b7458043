"""Rates of this machine, measured for a fraction of a second each: what estimates of time rest on."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SECONDS: Final = 0.3
_SIDE: Final = 1024  # rows and columns of the matrices: large enough for a processor's full rate
_GPU_SIDE: Final = 4096
_SAMPLE: Final = 64 * 2**20
_BLOCK: Final = 4 * 2**20
_F_NOCACHE: Final = 48  # macOS, <sys/fcntl.h>: reads go past the cache


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What was measured; None where it could not be.

    Attributes:
        processor: floating point operations a second of a float32 matrix product.
        gpu: the same in bfloat16 on `cuda:0`.
        disk: bytes a second read from where the cache of the Hub is.
        uncached: whether the system was told to read the disk itself; else its memory may have answered.
        gpu_problem: why a GPU that the driver shows could not be used.
    """

    processor: float
    gpu: float | None
    disk: float | None
    uncached: bool
    gpu_problem: str | None


def measure(folder: Path, *, gpu: bool) -> Rates:
    """Multiply matrices, and write and read back 64 MiB in `folder`.

    Args:
        folder: on the disk that the weights are read from.
        gpu: whether there is a GPU to measure; this imports torch.
    """
    disk, uncached = _read(folder)
    on_gpu, problem = _multiply_on_gpu() if gpu else (None, None)
    return Rates(processor=_multiply(), gpu=on_gpu, disk=disk, uncached=uncached, gpu_problem=problem)


def _multiply() -> float:
    """Operations a second of numpy's matrix product, which uses all cores as torch's does."""
    import numpy as np

    matrix = np.ones((_SIDE, _SIDE), dtype=np.float32)
    np.matmul(matrix, matrix)  # the first one starts the threads
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < _SECONDS:
        np.matmul(matrix, matrix)
        count += 1
    return count * 2 * _SIDE**3 / (time.perf_counter() - begun)


def _multiply_on_gpu() -> tuple[float | None, str | None]:
    """Operations a second on the first GPU, or why there are none."""
    import torch

    if not torch.cuda.is_available():
        return None, "torch finds no usable CUDA device; is the driver older than torch's CUDA?"
    try:
        matrix = torch.ones(_GPU_SIDE, _GPU_SIDE, dtype=torch.bfloat16, device="cuda:0")
        for _ in range(3):
            torch.mm(matrix, matrix)
        torch.cuda.synchronize()
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < _SECONDS:
            for _ in range(20):
                torch.mm(matrix, matrix)
            torch.cuda.synchronize()
            count += 20
    except RuntimeError as error:  # all of its memory is taken, or the card is of a generation that torch has dropped
        return None, str(error).splitlines()[0]
    return count * 2 * _GPU_SIDE**3 / (time.perf_counter() - begun), None


def _read(folder: Path) -> tuple[float | None, bool]:
    """Bytes a second read from a file written just now, and whether it was the disk that was read."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            block = os.urandom(_BLOCK)  # a file of zeros may take no room on some disks
            for _ in range(_SAMPLE // _BLOCK):
                file.write(block)
            os.fsync(file.fileno())
            uncached = _past_the_cache(file.fileno())
            file.seek(0)
            begun = time.perf_counter()
            while file.read(_BLOCK):
                pass
            return _SAMPLE / (time.perf_counter() - begun), uncached
    except OSError:  # a full disk, or a cache on a file system that is only read
        return None, False


def _past_the_cache(descriptor: int) -> bool:
    """Have the system forget what it holds of the file in memory; False where it cannot be told to."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return True
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, _F_NOCACHE, 1)
        return True
    return False
