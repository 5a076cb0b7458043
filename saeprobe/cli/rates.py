"""Rates of the processor, of a GPU and of the disk are measured in about a second, for `saeprobe doctor`."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saeprobe.files import quoted

_SECONDS: Final = 0.3  # of each measurement
_SIDE: Final = 1024  # rows and columns of the matrices: large enough for a processor's full rate
_GPU_SIDE: Final = 4096
_SAMPLE: Final = 64 * 2**20  # bytes
_BLOCK: Final = 4 * 2**20
_F_NOCACHE: Final = 48  # macOS, <sys/fcntl.h>: reads go past the cache
_TORCH_SITE: Final = "https://pytorch.org/get-started/locally"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Rates were measured on this machine, or are None where they could not be."""

    processor: float  # floating point operations a second, of a float32 matrix product
    gpu: float | None  # the same in bfloat16 on `cuda:0`
    disk: float | None  # bytes a second, read from where the cache of the Hub is
    uncached: bool  # whether the system was asked to read the disk itself; else its memory may have answered
    gpu_problem: str | None  # why a GPU that the driver shows could not be used


def measure(folder: Path, *, gpu: bool) -> Rates:
    """Multiply matrices, on a GPU only where there is one (this imports torch), and read back 64 MiB in `folder`."""
    disk, uncached = _read(folder)
    on_gpu, problem = _multiply_on_gpu() if gpu else (None, None)
    return Rates(processor=_multiply(), gpu=on_gpu, disk=disk, uncached=uncached, gpu_problem=problem)


def _multiply() -> float:
    """Return operations a second of numpy's matrix product, which uses all cores as torch's does."""
    import numpy as np

    matrix = np.ones((_SIDE, _SIDE), dtype=np.float32)
    np.matmul(matrix, matrix)  # the first one starts the threads
    return _repeated(lambda: np.matmul(matrix, matrix)) * 2 * _SIDE**3


def _multiply_on_gpu() -> tuple[float | None, str | None]:
    """Return operations a second on the first GPU, or why there are none."""
    import torch

    if not torch.cuda.is_available():
        return None, "torch finds no usable CUDA device; is the driver older than torch's CUDA?"
    unbuilt = not_built_for(torch.cuda.get_device_capability(0), torch.cuda.get_arch_list())
    if unbuilt is not None:
        return None, unbuilt

    def twenty() -> None:
        for _ in range(20):
            torch.mm(matrix, matrix)
        torch.cuda.synchronize()

    try:
        matrix = torch.ones(_GPU_SIDE, _GPU_SIDE, dtype=torch.bfloat16, device="cuda:0")
        twenty()  # the first one loads the kernels
        return _repeated(twenty) * 20 * 2 * _GPU_SIDE**3, None
    except RuntimeError as error:  # all of its memory is taken, or the card is of a generation that torch has dropped
        return None, quoted(error)


def not_built_for(capability: tuple[int, int], built: Sequence[str]) -> str | None:
    """Say that a torch was not built for a GPU of this compute capability; None where it was.

    Code for a generation (`sm_80`) runs on its later minor versions (8.6), and `compute_90` is compiled for all later
    ones: https://docs.nvidia.com/cuda/cuda-compiler-driver-nvcc/#gpu-compilation
    """
    for name in built:
        at = divmod(int(re.sub(r"\D", "", name)), 10)
        if at <= capability and (at[0] == capability[0] or name.startswith("compute")):
            return None
    here = "".join(map(str, capability))
    return f"it computes as sm_{here}, and this torch is built for {', '.join(built)}: {_TORCH_SITE}"


def _repeated(work: Callable[[], object]) -> float:
    """Do the work over and over for 0.3 s and return how often a second it was done."""
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < _SECONDS:
        work()
        count += 1
    return count / (time.perf_counter() - begun)


def _read(folder: Path) -> tuple[float | None, bool]:
    """Return bytes a second read from a file written just now, and whether it was the disk that was read."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            block = os.urandom(_BLOCK)  # a file of zeros may take no room on some disks
            for _ in range(_SAMPLE // _BLOCK):
                file.write(block)
            os.fsync(file.fileno())
            uncached = True  # the system forgets what it holds of the file in memory
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            elif sys.platform == "darwin":
                import fcntl

                fcntl.fcntl(file.fileno(), _F_NOCACHE, 1)
            else:
                uncached = False
            file.seek(0)
            begun = time.perf_counter()
            while file.read(_BLOCK):
                pass
            return _SAMPLE / (time.perf_counter() - begun), uncached
    except OSError:  # a full disk, or a cache on a file system that is only read
        return None, False
