"""`saeprobe doctor` and `saeprobe subjects` say what runs on this machine, what it takes and what is missing."""

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from saeprobe.cli.terminal import facts, project_root, say, seconds_in_words, table
from saeprobe.files import bytes_in_words, quoted, visible
from saeprobe.subject import Machine, models_absent, this_machine, torch_cuda, version_of
from saeprobe.subject.local import Subject
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, MemoryPlanError
from saeprobe.subject.registry import find_subject, subject_names
from saeprobe.subject.specification import SubjectError

_PROMPTS: Final = 300
_TOKENS: Final = 80
_MODELS: Final = 'pip install "saeprobe[models]"'
_PACKAGES: Final = {
    **dict.fromkeys(("transformers", "transformer-lens", "sae-lens"), _MODELS),
    **dict.fromkeys(("accelerate", "huggingface-hub", "psutil"), _MODELS),
    "bitsandbytes": "8-bit weights, on NVIDIA GPUs: pip install bitsandbytes",
    "pytest-xdist": 'probes in parallel: pip install "saeprobe[parallel]"',
}
_SECONDS: Final = 0.3  # of each measurement
_SIDE: Final = 1024  # rows and columns of the matrices: large enough for a processor's full rate
_GPU_SIDE: Final = 4096
_SAMPLE: Final = 64 * 2**20  # bytes
_BLOCK: Final = 4 * 2**20
_F_NOCACHE: Final = 48  # macOS, <sys/fcntl.h>: reads go past the cache
_TORCH_SITE: Final = "https://pytorch.org/get-started/locally"

Facts = list[tuple[str, str]]


def run(arguments: argparse.Namespace) -> int:
    """Print the surroundings, then a line a subject and what there is to say of it."""
    root = project_root()
    subjects = [find_subject(name, root) for name in subject_names(root)]
    if models_absent() is not None:  # what is left to say takes neither the machine nor the Hub
        say(f"software\n{facts(software(apple_gpu=False))}\n")
        return run_subjects(arguments) or 1
    from saeprobe.cli import hub

    machine = this_machine()
    rates = measure(hub.existing_folder(), gpu=bool(machine.usable_gpus))
    by_name = {subject.name: subject for subject in subjects}
    found = [outlook(subject, rates, by_name.get(subject.spec.protocol_of or "")) for subject in subjects]
    basis = f"time: for {_PROMPTS} prompts of {_TOKENS} tokens, estimated from below at the rates measured just now"
    reach = "  a model reaches a part of these rates, and importing the libraries takes some seconds more"
    # The name of a subject stands before the first line of what there is to say of it.
    notes = [
        ("" if row else one.name, note.removeprefix(f"{one.name} "))
        for one in found
        for row, note in enumerate(one.notes)
    ]
    parts = [
        f"software\n{facts(software(apple_gpu=machine.apple_gpu))}",
        f"machine\n{facts(hardware(machine, rates.gpu_problem))}",
        f"Hub\n{facts(hub.in_words())}",
        table(["subject", "here", "memory", "disk", "time"], [one.row for one in found], right=[2, 3, 4]),
        f"{basis}\n{facts(_basis(rates))}\n{reach}",
        f"in words\n{facts(notes)}",
    ]
    say("\n\n".join(parts))
    return 0 if {"ready", "wrong"} & {one.state for one in found} == {"ready"} else 1


def run_subjects(_: argparse.Namespace) -> int:
    """Print a line a subject, and below the table what those that cannot run are lacking."""
    root = project_root()
    found = [find_subject(name, root) for name in subject_names(root)]
    absent = {subject.name: None if subject.wrong else subject.missing() for subject in found}
    state = {name: "ready" if why is None else "absent" for name, why in absent.items()}
    rows = [[one.name, "wrong" if one.wrong else state[one.name], one.wrong or one.summary] for one in found]
    lacking: dict[str, list[str]] = {}
    for name, why in absent.items():
        words = (why or "").removeprefix(f"{name} ").replace(f"fetch {name} ", "fetch NAME ")
        lacking.setdefault(words, []).append(name)
    lacking.pop("", None)
    notes: list[str] = []
    for why, names in lacking.items():
        one = names[0] if len(names) == 1 else "NAME"  # in the command
        notes.append(visible(f"{', '.join(names)}: {why.replace('fetch NAME ', f'fetch {one} ')}"))
    say("\n\n".join([table(["subject", "here", "what it is"], rows), *notes]))
    return 0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Rates were measured on this machine, or are None where they could not be."""

    processor: float  # floating point operations a second, of a float32 matrix product
    gpu: float | None  # the same in bfloat16 on `cuda:0`
    disk: float | None  # bytes a second, read from where the cache of the Hub is
    uncached: bool  # whether the system was asked to read the disk itself; else its memory may have answered
    gpu_problem: str | None  # why a GPU that the driver shows could not be used


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """An outlook says what is known of a subject on this machine; None is not known."""

    name: str
    state: Literal["ready", "absent", "unfit", "wrong"]  # files lack; the machine cannot hold it; files do not fit
    notes: tuple[str, ...]  # in words: where its weights lie while they are used, and what is lacking
    memory: int | None = None  # bytes that its plan takes
    disk: int | None = None  # bytes of its files, or of those that a fetch would bring
    seconds: float | None = None  # for 300 prompts of 80 tokens at the rates measured, at least

    @property
    def row(self) -> list[str]:
        """Return its row in the table."""
        memory, disk = ("?" if count is None else bytes_in_words(count) for count in (self.memory, self.disk))
        about = "about " if self.state == "absent" and self.disk is not None else ""
        seconds = "?" if self.seconds is None else seconds_in_words(self.seconds)
        return [self.name, self.state, memory, about + disk, seconds]


def outlook(subject: Subject, rates: Rates, of: Subject | None = None) -> Outlook:
    """Look at a subject, perhaps a protocol `of` another; nothing of it is loaded."""
    if subject.wrong is not None:
        return Outlook(name=subject.name, state="wrong", notes=(subject.wrong,))
    absent = subject.missing()
    lacking: tuple[str, ...] = ()
    try:
        if absent is not None:
            lacking = (f"absent; run: saeprobe fetch {subject.name}" if subject.downloads() else absent,)
        needs = subject.needs()
        # Weights as they are computed with, which is how they lie on the Hub or nearly so.
        on_hub = None if needs is None else needs.weights_bytes + needs.sae_bytes
        disk = subject.disk_bytes() if absent is None else on_hub
        if needs is None:
            return Outlook(name=subject.name, state="absent", notes=(*lacking, *_read(subject, of)), disk=disk)
        plan = subject.memory_plan
    except MemoryPlanError as error:
        return Outlook(name=subject.name, state="unfit", notes=(*lacking, str(error)))
    except SubjectError as error:
        return Outlook(name=subject.name, state="wrong", notes=(str(error),))
    return Outlook(
        name=subject.name,
        state="ready" if absent is None else "absent",
        notes=(*lacking, plan.reason, *_read(subject, of)),
        memory=plan.takes_bytes,
        disk=disk,
        seconds=least_seconds(needs, plan, disk=disk, rates=rates),
    )


def _read(subject: Subject, of: Subject | None) -> Iterator[str]:
    """Say how a subject is read, a line an aspect; of a protocol what it does otherwise."""
    there: Mapping[str, str] = {} if of is None else of.aspects()
    other = [f"{aspect}: {words}" for aspect, words in subject.aspects().items() if there.get(aspect) != words]
    yield from [] if of is None else [f"reads as {of.name}{', but for what follows' if other else ''}"]
    yield from other


def least_seconds(needs: MemoryNeeds, plan: MemoryPlan, *, disk: int | None, rates: Rates) -> float | None:
    """Return the seconds to read the files once and multiply 300 prompts of 80 tokens, at the rates measured."""
    rate = rates.gpu if plan.device.startswith("cuda") else rates.processor
    if rate is None or rates.disk is None or disk is None:
        return None
    return disk / rates.disk + _PROMPTS * _TOKENS * needs.flop_per_token / rate


def _basis(rates: Rates) -> Facts:
    """Return what was measured, in words."""
    measured = [("CPU", f"{_rate(rates.processor)}, a float32 matrix product")]
    measured += [] if rates.gpu is None else [("cuda:0", f"{_rate(rates.gpu)}, a bfloat16 matrix product")]
    if rates.disk is None:
        return [*measured, ("disk", "could not be measured: the cache of the Hub cannot be written to, or is full")]
    memory = "" if rates.uncached else ", or the system's memory of it"
    return [*measured, ("disk", f"{rates.disk / 10**6:,.0f} MB/s, read from the disk of the cache{memory}")]


def _rate(operations: float) -> str:
    return f"{operations / 10**12:.1f} TFLOP/s" if operations >= 10**12 else f"{operations / 10**9:.0f} GFLOP/s"


def software(*, apple_gpu: bool) -> Facts:
    """Return what is installed."""
    torch, cuda = version_of("torch"), torch_cuda()
    built = f"built for CUDA {cuda}" if cuda else "with MPS for the Apple GPU" if apple_gpu else "CPU build"
    return [
        ("saeprobe", version_of("saeprobe") or "not installed"),
        ("Python", f"{platform.python_version()} on {platform.platform(terse=True)}"),
        ("torch", f"absent ({_MODELS})" if torch is None else f"{torch}, {built}"),
        *((name, version_of(name) or f"absent ({remedy})") for name, remedy in _PACKAGES.items()),
    ]


def hardware(machine: Machine, gpu_problem: str | None) -> Facts:
    """Return what there is to compute on."""
    known: Facts = []
    for gpu in machine.gpus:
        memory = f"{gpu.name}, {bytes_in_words(gpu.total_bytes)}, {bytes_in_words(gpu.free_bytes)} free"
        problem = gpu_problem if machine.cuda_usable else f"not used, since {machine.why_no_cuda}"
        known.append((f"cuda:{gpu.index}", f"{memory}; {problem}" if problem else memory))
    not_used = "not used: saeprobe computes on NVIDIA and Apple GPUs"
    known += [("GPU", f"of {maker}, {not_used}") for maker in machine.other_gpus]
    if machine.apple_gpu:
        known.append(("mps", "Apple's GPU, which shares the RAM"))
    if not known:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        known.append(("GPU", "none" if hidden is None else f"none visible (CUDA_VISIBLE_DEVICES={hidden})"))
    known.append(("RAM", f"{bytes_in_words(machine.ram_bytes)}, {bytes_in_words(machine.ram_available_bytes)} free"))
    known.append(("cores", str(machine.cores)))
    return known


def measure(folder: Path, *, gpu: bool) -> Rates:
    """Multiply matrices, on a GPU only where there is one (this imports torch), and read back 64 MiB in `folder`."""
    disk, uncached = _read_back(folder)
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
    if (unbuilt := not_built_for(torch.cuda.get_device_capability(0), torch.cuda.get_arch_list())) is not None:
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


def _read_back(folder: Path) -> tuple[float | None, bool]:
    """Return bytes a second read from a file written just now, and whether it was the disk that was read."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            block = os.urandom(_BLOCK)  # a file of zeros may take no room on some disks
            for _ in range(_SAMPLE // _BLOCK):
                file.write(block)
            os.fsync(file.fileno())
            uncached = hasattr(os, "posix_fadvise") or sys.platform == "darwin"  # the system forgets what it holds
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            elif sys.platform == "darwin":
                import fcntl

                fcntl.fcntl(file.fileno(), _F_NOCACHE, 1)
            file.seek(0)
            begun = time.perf_counter()
            while file.read(_BLOCK):
                pass
            return _SAMPLE / (time.perf_counter() - begun), uncached
    except OSError:  # a full disk, or a cache on a file system that is only read
        return None, False
