"""`saeprobe doctor`: what runs on this machine, what is missing, and what each subject takes."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from saeprobe import __version__
from saeprobe.cli.hub import Cache
from saeprobe.cli.terminal import add_command, aligned, pairs, project_root
from saeprobe.files import bytes_in_words, seconds_in_words
from saeprobe.subject.local import Subject
from saeprobe.subject.machine import Machine, torch_cuda
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, MemoryPlanError
from saeprobe.subject.specification import SubjectError

if TYPE_CHECKING:
    from saeprobe.cli.terminal import Commands


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


PROMPTS: Final = 300


TOKENS: Final = 80


State = Literal["ready", "absent", "unfit", "wrong"]


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is known of a subject on this machine.

    Attributes:
        name: the subject's.
        state: `ready`; `absent`: files are lacking; `unfit`: this machine cannot hold it; `wrong`: its files do not
            belong together.
        notes: in words: where its weights lie while they are used, and what is lacking.
        memory: bytes that its plan takes; None where that is not known.
        disk: bytes of its files, or of those that a fetch would bring.
        seconds: for 300 prompts of 80 tokens at the rates measured, at least.
    """

    name: str
    state: State
    notes: tuple[str, ...]
    memory: int | None = None
    disk: int | None = None
    seconds: float | None = None

    @property
    def row(self) -> list[str]:
        """Its row in the table."""
        about = "about " if self.state == "absent" else ""
        return [
            self.name,
            self.state,
            "?" if self.memory is None else bytes_in_words(self.memory),
            "?" if self.disk is None else f"{about}{bytes_in_words(self.disk)}",
            "?" if self.seconds is None else seconds_in_words(self.seconds),
        ]


def outlook(subject: Subject, rates: Rates) -> Outlook:
    """Look at a subject; nothing of it is loaded."""
    absent = subject.missing()
    brings = f"absent; run: saeprobe fetch {subject.name}" if subject.downloads() else absent
    lacking = () if absent is None else (str(brings),)
    try:
        needs = subject.needs()
        disk = _on_disk(subject) if absent is None else _to_come(needs)
        if needs is None:
            return Outlook(name=subject.name, state="absent", notes=lacking, disk=disk)
        plan = subject.memory_plan
    except MemoryPlanError as error:
        return Outlook(name=subject.name, state="unfit", notes=(*lacking, str(error)))
    except SubjectError as error:
        return Outlook(name=subject.name, state="wrong", notes=(str(error),))
    return Outlook(
        name=subject.name,
        state="ready" if absent is None else "absent",
        notes=(*lacking, plan.reason),
        memory=plan.takes_bytes,
        disk=disk,
        seconds=least_seconds(needs, plan, disk=disk, rates=rates),
    )


def least_seconds(needs: MemoryNeeds, plan: MemoryPlan, *, disk: int | None, rates: Rates) -> float | None:
    """Seconds to read the files once and multiply 300 prompts of 80 tokens with them, at the rates measured.

    A model reaches a part of these rates only, and importing the libraries takes some seconds more; but a run whose
    evidence is stored needs none of it.
    """
    rate = rates.gpu if plan.device.startswith("cuda") else rates.processor
    if rate is None or rates.disk is None or disk is None:
        return None
    return disk / rates.disk + PROMPTS * TOKENS * needs.flop_per_token / rate


def _on_disk(subject: Subject) -> int:
    """Bytes of the files that are here."""
    found = subject.located
    return _sizes([*found.model.rglob("*"), *found.sae.files])


def _sizes(paths: Iterable[Path]) -> int:
    """Each file once, also where two names lead to it."""
    return sum({file.resolve(): file.stat().st_size for file in paths if file.is_file()}.values())


def _to_come(needs: MemoryNeeds | None) -> int | None:
    """Bytes that a fetch brings: weights as they are computed with, which is how they lie on the Hub or nearly so."""
    return None if needs is None else needs.weights_bytes + needs.sae_bytes


_DESCRIPTION = """\
Say what runs on this machine and what is missing: installed libraries, GPUs and memory, the cache of the Hub, and of
each subject whether it is here, where its weights would lie while they are used (on a GPU, over several, in RAM, or
streamed from disk layer by layer), and what it takes in memory, on disk and in time.

The times are estimates from below. They rest on a matrix product and on 64 MiB written beside the cache of the Hub
and read back, measured for a second; a model reaches a part of these rates. Nothing is loaded, nothing is asked over
the network, and no token is shown."""


_EPILOG = """\
examples:
  saeprobe doctor
  CUDA_VISIBLE_DEVICES=1 saeprobe doctor

exit codes: 0 at least one subject runs here; 1 none does; 2 a declaration in pyproject.toml is wrong."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands,
        "doctor",
        run,
        summary="what runs on this machine, what is missing, and what each subject takes",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the surroundings, then a line a subject and what there is to say of it."""
    del arguments  # the command has none
    from huggingface_hub import constants

    from saeprobe.cli.hub import existing
    from saeprobe.subject.machine import this_machine
    from saeprobe.subject.registry import find_subject, subject_names

    root = project_root()
    subjects = [find_subject(name, root) for name in subject_names(root)]
    machine = this_machine()
    rates = measure(existing(Path(constants.HF_HUB_CACHE)), gpu=bool(machine.usable_gpus))
    found = [outlook(subject, rates) for subject in subjects]
    table = aligned(["subject", "here", "memory", "disk", "time"], [one.row for one in found], right=[2, 3, 4])
    basis = (
        f"time: for {PROMPTS} prompts of {TOKENS} tokens, estimated from below at the rates measured just now\n"
        f"{pairs(_basis(rates))}\n"
        "  a model reaches a part of these rates, and importing the libraries takes some seconds more"
    )
    notes = pairs([fact for one in found for fact in _notes(one)])
    parts = [
        f"software\n{pairs(software(machine))}",
        f"machine\n{pairs(hardware(machine, rates.gpu_problem))}",
        f"Hub\n{pairs(hub())}",
        table,
        basis,
        f"in words\n{notes}",
    ]
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0 if any(one.state == "ready" for one in found) else 1


def _notes(found: Outlook) -> list[tuple[str, str]]:
    """What there is to say of a subject, its name before the first line."""
    names = (found.name, *[""] * (len(found.notes) - 1))
    return [(name, note.removeprefix(f"{found.name} ")) for name, note in zip(names, found.notes, strict=True)]


def _basis(rates: Rates) -> list[tuple[str, str]]:
    """What was measured, in words."""
    measured = [("CPU", f"{_rate(rates.processor)}, a float32 matrix product")]
    if rates.gpu is not None:
        measured.append(("cuda:0", f"{_rate(rates.gpu)}, a bfloat16 matrix product"))
    if rates.disk is None:
        measured.append(("disk", "could not be measured: the cache of the Hub cannot be written to, or is full"))
    else:
        how = "the disk of the cache" if rates.uncached else "the disk of the cache, or the system's memory of it"
        measured.append(("disk", f"{rates.disk / 10**6:,.0f} MB/s, read from {how}"))
    return measured


def _rate(operations: float) -> str:
    """Operations a second."""
    return f"{operations / 10**12:.1f} TFLOP/s" if operations >= 10**12 else f"{operations / 10**9:.0f} GFLOP/s"


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
        memory = f"{gpu.name}, {bytes_in_words(gpu.total_bytes)}, {bytes_in_words(gpu.free_bytes)} free"
        unused = "" if machine.cuda_usable else f"; torch cannot use it: install a build for CUDA, {_TORCH_SITE}"
        facts.append((f"cuda:{gpu.index}", memory + (f"; {gpu_problem}" if gpu_problem else unused)))
    if machine.apple_gpu:
        facts.append(("mps", "Apple's GPU, which shares the RAM"))
    if not facts:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        facts.append(("GPU", "none" if hidden is None else f"none visible (CUDA_VISIBLE_DEVICES={hidden})"))
    facts.append(("RAM", f"{bytes_in_words(machine.ram_bytes)}, {bytes_in_words(machine.ram_available_bytes)} free"))
    facts.append(("cores", str(machine.cores)))
    return facts


def hub() -> Facts:
    """How weights come here; a token is looked for and never shown."""
    from huggingface_hub import constants

    cache = Cache(folder=Path(constants.HF_HUB_CACHE))
    offline = "yes: HF_HUB_OFFLINE is set, nothing can be fetched" if constants.HF_HUB_OFFLINE else "no"
    return [
        ("cache", f"{cache.folder}, whose disk has {bytes_in_words(cache.free_bytes())} free"),
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


_DESCRIPTION_subject = """\
List the subjects: each is a language model, an SAE of it and the place where the SAE reads. Built in are the
specimens that ship with the package and the models of the published articles; your own are declared in pyproject.toml
under [tool.saeprobe.subjects.NAME]. Nothing is loaded and nothing downloaded: 'saeprobe fetch NAME' brings the weights
of those that are absent, and 'saeprobe doctor' says what each takes on this machine."""


_EPILOG_subject = """\
examples:
  saeprobe subjects
  saeprobe fetch gpt2

exit codes: 0 listed; 2 a declaration in pyproject.toml is wrong."""


def add_parser_subject(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands,
        "subjects",
        run_subject,
        summary="the models and SAEs that claims can be checked on, and how to get them",
        description=_DESCRIPTION_subject,
        epilog=_EPILOG_subject,
    )


def run_subject(arguments: argparse.Namespace) -> int:
    """Print a line a subject, and below the table what those that cannot run are lacking."""
    del arguments  # the command has none
    from saeprobe.subject.registry import find_subject, subject_names

    root = project_root()
    found = [find_subject(name, root) for name in subject_names(root)]
    absent = {subject.name: subject.missing() for subject in found}
    rows = [[one.name, "ready" if absent[one.name] is None else "absent", one.summary] for one in found]
    lacking = [f"{name}: {why.removeprefix(f'{name} ')}" for name, why in absent.items() if why is not None]
    sys.stdout.write("\n\n".join([aligned(["subject", "here", "what it is"], rows), *lacking]) + "\n")
    return 0
