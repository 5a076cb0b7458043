"""The machine as it is found: graphics cards, control groups, builds of torch."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import psutil
import pytest

from saeprobe import subject as machine_module
from saeprobe.subject import Gpu, Machine, look, this_machine, torch_cuda

GIB = 1024**3
NOWHERE = Path("/no/such/folder")
TWO_CARDS = """
NVIDIA H200, GPU-aaaa-1111, 143771, 143161
NVIDIA GeForce RTX 4090, Laptop, GPU-bbbb-2222, 16376, 15000
NVIDIA Thor, GPU-cccc-3333, [N/A], [N/A]
"""
H200 = Gpu(name="NVIDIA H200", index=0, total_bytes=143771 * 1024**2, free_bytes=143161 * 1024**2)
RTX = Gpu(name="NVIDIA GeForce RTX 4090, Laptop", index=1, total_bytes=16376 * 1024**2, free_bytes=15000 * 1024**2)


def driver_of(folder: Path, does: str) -> dict[str, str]:
    """An environment whose only program is an nvidia-smi that does this."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def gpus(environment: dict[str, str]) -> tuple[Gpu, ...]:
    """What is found with it."""
    return look(environment, cgroups=NOWHERE, own_cgroup=NOWHERE).gpus


@pytest.fixture
def cards(tmp_path: Path) -> dict[str, str]:
    """A driver with two cards and one whose memory is the machine's."""
    (tmp_path / "answer").write_text(TWO_CARDS.lstrip())
    return driver_of(tmp_path, f'while read -r line; do echo "$line"; done < {tmp_path / "answer"}')


def test_cards_are_those_of_the_driver(cards: dict[str, str]) -> None:
    """Names with commas and sizes in MiB are read; a card without memory of its own is left out."""
    assert gpus(cards) == (H200, RTX)


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ("1,0", [RTX.name, H200.name]),
        ("GPU-bbbb", [RTX.name]),
        ("1,7,0", [RTX.name]),  # CUDA stops at the first that it does not know
        ("", []),
        ("-1", []),
        ("GPU-", []),  # the beginning of two
    ],
)
def test_cuda_visible_devices_is_respected(cards: dict[str, str], chosen: str, found: list[str]) -> None:
    """Numbers or beginnings of UUIDs choose and order the cards, which are then counted from 0."""
    seen = gpus({**cards, "CUDA_VISIBLE_DEVICES": chosen})
    assert [gpu.name for gpu in seen] == found
    assert [gpu.index for gpu in seen] == list(range(len(found)))


@pytest.mark.parametrize("does", ["exit 9", "echo 'NVIDIA-SMI has failed because'", "exec sleep 5"])
def test_a_driver_in_trouble_is_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """One that fails, answers something else or hangs leaves the machine without cards, not without an answer."""
    monkeypatch.setattr(machine_module, "_PATIENCE", 0.2)
    environment = driver_of(tmp_path, does)
    assert gpus(environment | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}) == ()


def test_no_driver_is_no_card(tmp_path: Path) -> None:
    """Without nvidia-smi nothing is asked."""
    assert gpus({"PATH": str(tmp_path)}) == ()


def write_group(folder: Path, files: dict[str, str]) -> None:
    """A control group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_a_limit_of_version_2_counts(tmp_path: Path) -> None:
    """The tightest limit of a group and those above it; what the kernel holds of files is given back on demand."""
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    write_group(tmp_path / "outer" / "inner", {"memory.max": "max\n", "memory.current": "5\n"})
    write_group(
        tmp_path / "outer",
        {
            "memory.max": f"{GIB // 2}\n",
            "memory.current": f"{GIB // 4}\n",
            "memory.stat": f"anon 7\nfile {GIB // 8}\nfile_mapped 1\n",
        },
    )
    found = look({}, cgroups=tmp_path, own_cgroup=own)
    assert (found.ram_bytes, found.ram_available_bytes) == (GIB // 2, GIB // 2 - GIB // 4 + GIB // 8)


def test_a_limit_of_version_1_counts(tmp_path: Path) -> None:
    """The memory controller has its own tree and its own names; inside a container only its top is shown."""
    own = tmp_path / "own"
    own.write_text("5:cpuset:/\n4:memory:/docker/0123\n0::/\n")
    write_group(
        tmp_path / "memory",
        {
            "memory.limit_in_bytes": f"{GIB // 2}",
            "memory.usage_in_bytes": f"{GIB}",
            "memory.stat": f"cache 3\ntotal_cache {GIB * 3 // 4}\n",
        },
    )
    found = look({}, cgroups=tmp_path, own_cgroup=own)
    assert (found.ram_bytes, found.ram_available_bytes) == (GIB // 2, GIB // 4)


def test_without_limits_the_memory_is_the_systems(tmp_path: Path) -> None:
    """Nothing that is shown, or no number in it, leaves what psutil says; a limit above it changes nothing."""
    total = psutil.virtual_memory().total
    assert look({}, cgroups=NOWHERE, own_cgroup=NOWHERE).ram_bytes == total
    own = tmp_path / "own"
    own.write_text("0::/\n")
    write_group(tmp_path, {"memory.max": f"{2**62}", "memory.current": "0"})
    found = look({}, cgroups=tmp_path, own_cgroup=own)
    assert found.ram_bytes == total
    assert 0 < found.ram_available_bytes <= total


@pytest.mark.parametrize(
    ("written", "cuda"),
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", "13.0"),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = None\n", None),
        ("cuda = '11.8'\n", "11.8"),
    ],
)
def test_the_build_of_torch_is_read_from_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, cuda: str | None
) -> None:
    """Its version number does not always say whether it was built for CUDA."""
    (tmp_path / "version.py").write_text(written)
    spec = ModuleSpec("torch", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "torch" else None)
    assert torch_cuda() == cuda


def test_without_torch_nothing_computes_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """No torch is no CUDA."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert torch_cuda() is None


def test_torch_itself_agrees() -> None:
    """What the file says is what torch says when it is asked."""
    import torch

    assert torch_cuda() == torch.version.cuda


def test_cards_need_a_torch_that_can_use_them() -> None:
    """A card under a torch without CUDA is seen and not used."""
    blind = Machine(gpus=(H200,), ram_bytes=GIB, ram_available_bytes=GIB, cores=1, cuda_usable=False)
    assert (blind.gpus, blind.usable_gpus) == ((H200,), ())
    assert Machine(gpus=(H200,), ram_bytes=1, ram_available_bytes=1, cores=1, cuda_usable=True).usable_gpus == (H200,)


def test_this_machine_is_looked_at_once_and_without_torch() -> None:
    """The same answer each time, with at least a core and some memory, and torch stays unloaded."""
    script = (
        "import sys\nfrom saeprobe.subject import this_machine\n"
        "print(this_machine() is this_machine(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "True False\n"
    here = this_machine()
    assert here.cores >= 1
    assert 0 < here.ram_available_bytes <= here.ram_bytes


@pytest.mark.parametrize(
    ("built", "driver", "system", "usable", "says"),
    [
        (
            None,
            "12.4",
            "Windows",
            False,
            "torch is a build without CUDA; run: pip install",
        ),
        (None, "13.0", "Linux", False, "torch is a build without CUDA; run: pip install --force-reinstall torch"),
        (
            "13.0",
            "12.4",
            "Linux",
            False,
            "torch is built for CUDA 13.0 and the driver runs CUDA 12.4 at most",
        ),
        ("12.8", "12.4", "Linux", True, ""),
        ("12.8", "13.0", "Windows", True, ""),
        ("12.8", None, "Linux", True, ""),
    ],
)
def test_a_torch_that_the_driver_does_not_run_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    built: str,
    driver: str | None,
    system: str,
    *,
    usable: bool,
    says: str,
) -> None:
    """Within a major version of CUDA any driver runs any build; the command is that of the platform."""
    card = "NVIDIA GeForce RTX 3070, GPU-aaaa, 8192, 7782"
    header = f"Driver Version: 550  CUDA Version: {driver}" if driver else "Driver Version: 550"
    environment = driver_of(tmp_path, f'case "$1" in --query*) echo "{card}";; *) echo "| {header} |";; esac')
    monkeypatch.setattr(machine_module, "torch_cuda", lambda: built)
    monkeypatch.setattr(machine_module.platform, "system", lambda: system)
    found = look(environment, cgroups=NOWHERE, own_cgroup=NOWHERE, devices=NOWHERE)
    assert (found.cuda_usable, found.driver_cuda, len(found.usable_gpus)) == (usable, driver, int(usable))
    assert usable or found.why_no_cuda.startswith(says)
    assert usable or ("index-url" in found.why_no_cuda) == (driver != "13.0" or system == "Windows")


def test_gpus_that_nothing_computes_on_are_named(tmp_path: Path) -> None:
    """Their makers are numbered on the PCI bus; NVIDIA's own number is not among them."""
    for card, maker in (("card0", "0x1002"), ("card1", "0x8086"), ("card2", "0x10de")):
        write_group(tmp_path / card / "device", {"vendor": f"{maker}\n"})
    assert look({}, cgroups=NOWHERE, own_cgroup=NOWHERE, devices=tmp_path).other_gpus == ("AMD", "Intel")
