"""A subject is a model, an SAE and a hook point on a machine; what that offers is found out here, without torch."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from saeprobe.files import quoted

_MODELS: Final = (
    *("torch", "transformers", "tokenizers", "accelerate", "sae_lens", "transformer_lens"),
    *("huggingface_hub", "psutil"),
)
"""What the extra `models` brings, by the names that are imported."""
_BASE: Final = (
    *("filelock", "jinja2", "markupsafe", "msgspec", "numpy", "pyarrow", "pytest", "yaml", "rich", "safetensors"),
    *("scipy", "shtab", "tqdm"),
)
"""What saeprobe itself takes, likewise."""
UNSTORED: Final = "nothing stored fits its files, its settings and this version of saeprobe"
_MIB: Final = 1024**2
_PATIENCE: Final = 5.0  # seconds; nvidia-smi answers in a tenth of one unless a driver hangs
_VENDORS: Final = {"0x1002": "AMD", "0x8086": "Intel"}  # as the PCI bus numbers them
_QUERY: Final = ("--query-gpu=name,uuid,memory.total,memory.free", "--format=csv,noheader,nounits")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU here is one of NVIDIA that this process may use; `free_bytes` is what nobody had taken when it was asked.

    `index` is its number among those visible, as in `cuda:0`. The driver counts in the order of the PCI bus; torch does
    so too where CUDA_DEVICE_ORDER=PCI_BUS_ID is set, or where all GPUs are of one kind.
    """

    name: str
    index: int
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine is what a model could run on."""

    gpus: tuple[Gpu, ...] = ()  # NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; a MIG slice is not counted
    ram_bytes: int  # main memory, or what a control group leaves of it
    ram_available_bytes: int  # how much of that could be taken without swapping
    cores: int  # processors that this process may run on
    apple_gpu: bool = False  # whether this is a Mac with Apple's own GPU, which shares the main memory
    cuda_usable: bool = False  # whether the installed torch was built for a CUDA that the driver has, if there is one
    driver_cuda: str | None = None  # the newest CUDA that the driver of NVIDIA runs, such as 12.4
    other_gpus: tuple[str, ...] = ()  # the makers of GPUs that nothing here computes on
    bitsandbytes: bool = False  # whether the package for 8-bit weights is installed

    @property
    def usable_gpus(self) -> tuple[Gpu, ...]:
        """Return the GPUs that the installed torch can compute on."""
        return self.gpus if self.cuda_usable else ()

    @property
    def why_no_cuda(self) -> str:
        """Say why torch cannot use a GPU of NVIDIA: none is there, or the installed build and what mends it."""
        if not self.gpus:
            return "no NVIDIA GPU is visible"
        built, major = torch_cuda(), (self.driver_cuda or "").partition(".")[0]
        what = "torch is a build without CUDA" if built is None else f"torch is built for CUDA {built}"
        driver = f" and the driver runs CUDA {self.driver_cuda} at most" if built is not None else ""
        build = "cu126" if major in ("", "11", "12") else "cu130"
        index = f" --index-url https://download.pytorch.org/whl/{build}"
        if platform.system() == "Linux" and build == "cu130":  # PyPI has that build for Linux, and none for Windows
            index = ""
        return f"{what}{driver}; run: pip install --force-reinstall torch{index}"


@cache
def models_absent(module: str | None = None) -> str | None:
    """Say in one sentence that the extra `models` is needed, and what of it is absent; None where all of it is here.

    A `module` that could not be imported is named where all of these could be: one of theirs.
    """
    absent = [name for name in _MODELS if not _installed(name)] or ([module] if module else [])
    if not absent:
        return None
    which = ", ".join(name.replace("_", "-") for name in absent)
    return (
        f"to run or fetch a model takes the extra `models` (not installed here: {which}); "
        'run: pip install "saeprobe[models]"'
    )


def not_imported(error: Exception, package: str = "torch") -> str:
    """Say what cannot be imported and how to install it; the `package` is named where the error names none."""
    package = str(getattr(error, "name", None) or package).partition(".")[0]
    absent = isinstance(error, ModuleNotFoundError)
    if package not in _BASE and (missing := models_absent(package) if absent else models_absent()):
        return missing
    why = "is not installed" if absent else f"cannot be loaded ({type(error).__name__}: {quoted(error)})"
    package = {"yaml": "pyyaml"}.get(package, package.replace("_", "-"))
    return f"the package {package}, which this takes, {why}; run: pip install --force-reinstall {package}"


def version_of(distribution: str) -> str | None:
    """Return the version that is installed; None where none is."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:  # noqa: BLE001 - whatever stands in its way, or a module without a specification in its place
        return False


@cache
def this_machine() -> Machine:
    """Look at the machine that this process runs on, once."""
    return look(os.environ)


def look(
    environment: Mapping[str, str],
    *,
    cgroups: Path = Path("/sys/fs/cgroup"),
    own_cgroup: Path = Path("/proc/self/cgroup"),
    devices: Path = Path("/sys/class/drm"),
) -> Machine:
    """Look at the machine as it is now; PATH and CUDA_VISIBLE_DEVICES are taken from `environment`.

    The kernel shows its control groups in the folder `cgroups` and names those of this process in the file
    `own_cgroup`; on other systems than Linux there are no such things.
    """
    import psutil

    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    for limit, used in _limits(cgroups, own_cgroup):
        total, available = min(total, limit), min(available, max(0, limit - used))
    makers = ["".join(_lines(file)).strip() for file in devices.glob("card*/device/vendor")]
    gpus = _visible(_nvidia(environment), environment.get("CUDA_VISIBLE_DEVICES"))
    driver = re.search(r"CUDA Version\s*:\s*([\d.]+)", _asked(environment) or "") if gpus else None
    return Machine(
        gpus=gpus,
        ram_bytes=total,
        ram_available_bytes=available,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        apple_gpu=platform.system() == "Darwin" and platform.machine() == "arm64",
        cuda_usable=_runs(torch_cuda(), None if driver is None else driver[1]),
        driver_cuda=None if driver is None else driver[1],
        other_gpus=tuple(sorted({_VENDORS[one] for one in makers if one in _VENDORS})),
        bitsandbytes=importlib.util.find_spec("bitsandbytes") is not None,
    )


def torch_cuda() -> str | None:
    """Return the CUDA version that the installed torch was built for; None for a build without CUDA, or no torch.

    Read from the file that torch writes at its own build: its version number in the package's metadata says `+cpu`
    only in some of the builds without CUDA.
    """
    found = importlib.util.find_spec("torch") if _installed("torch") else None
    if found is None or not found.submodule_search_locations:
        return None
    file = Path(found.submodule_search_locations[0]) / "version.py"
    said = re.search(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)['\"]", file.read_text("utf-8"), re.MULTILINE)
    return None if said is None else said[1]


def _runs(built: str | None, driver: str | None) -> bool:
    """Say whether a driver runs a torch: within one major version of CUDA an older driver runs a newer build."""
    return built is not None and (driver is None or int(built.split(".")[0]) <= int(driver.split(".")[0]))


def _asked(environment: Mapping[str, str], *words: str) -> str | None:
    """Return what nvidia-smi answers; None where there is none, or a driver that torch cannot use either."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program, with fixed words
            [program, *words], capture_output=True, encoding="ascii", errors="replace", timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def _nvidia(environment: Mapping[str, str]) -> list[tuple[str, Gpu]]:
    """Return all GPUs of the driver with their UUIDs, numbered as it does; none where it cannot be asked."""
    found: list[tuple[str, Gpu]] = []
    for index, line in enumerate((_asked(environment, *_QUERY) or "").splitlines()):
        words = [word.strip() for word in line.rsplit(",", 3)]
        with contextlib.suppress(ValueError):  # `[N/A]` where a GPU has no memory of its own
            name, uuid, total, free = words
            gpu = Gpu(name=name, index=index, total_bytes=int(total) * _MIB, free_bytes=int(free) * _MIB)
            found.append((uuid, gpu))
    return found


def _visible(gpus: list[tuple[str, Gpu]], chosen: str | None) -> tuple[Gpu, ...]:
    """Return the GPUs that CUDA shows, in its order: numbers or beginnings of UUIDs, up to the first unknown one."""
    if chosen is None:
        return tuple(gpu for _, gpu in gpus)
    visible: list[Gpu] = []
    for word in (part.strip() for part in chosen.split(",")):
        matching = [
            gpu for uuid, gpu in gpus if word == str(gpu.index) or (word[:4] == "GPU-" and uuid[: len(word)] == word)
        ]
        if len(matching) != 1:
            break
        visible.append(replace(matching[0], index=len(visible)))
    return tuple(visible)


_VERSION_1: Final = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
_VERSION_2: Final = ("", "memory.max", "memory.current", "file")


def _limits(cgroups: Path, own: Path) -> list[tuple[int, int]]:
    """Return memory limit and use in bytes of each control group that this process lies in, where one has a limit.

    What the kernel holds of files in memory counts as used and is given back on demand, so it is taken out:
    https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
    """
    found: list[tuple[int, int]] = []
    for line in _lines(own):
        _, _, rest = line.partition(":")  # number, controllers, path; version 2 names no controllers
        controllers, _, path = rest.partition(":")
        if controllers not in ("", "memory") or not path:
            continue
        folder, limit, use, cached = _VERSION_1 if controllers else _VERSION_2
        top = cgroups / folder
        here = top / path.strip("/")
        # Inside a container the path may be the host's, which is not shown there: what is shown is the top.
        for group in [here, *here.parents][: len(here.parts) - len(top.parts) + 1]:
            bound, used = _number(_lines(group / limit)), _number(_lines(group / use))
            if bound is not None and used is not None:
                of_files = _number(one.removeprefix(f"{cached} ") for one in _lines(group / "memory.stat"))
                found.append((bound, used - min(used, of_files or 0)))
    return found


def _lines(file: Path) -> list[str]:
    """Return the lines of a file; none where it cannot be read."""
    try:
        return file.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return []


def _number(lines: Iterable[str]) -> int | None:
    """Return the first line that is a number; None where there is none (`max` is no limit)."""
    return next((int(line) for line in lines if line.strip().isdecimal()), None)


def setting(command: str, variable: str = "HF_ENDPOINT", value: str = "https://hf-mirror.com") -> str:
    """Say how to give `command` a variable, the mirror of the Hub as a rule, in the words of this system's shells."""
    if sys.platform == "win32":
        return f'run first: set {variable}={value} (in PowerShell: $env:{variable} = "{value}")'
    return f"put {variable}={value} before {command}"
