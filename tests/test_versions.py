"""The versions that are tested are derived from pyproject.toml, and constraints.txt leaves none open."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent

PROJECT = """
[project]
name = "Some.Thing"
requires-python = ">=3.2"
dependencies = ["B_c>=1.2,<2", "torch >= 2"]
[project.optional-dependencies]
more = ["a.d[x]>=3; python_version > '3'"]
all = ["some-thing[more]", "b-c>=1.2"]
[dependency-groups]
lint = ["e>=4"]
dev = [{ include-group = "lint" }, "e>=5"]
"""


@pytest.fixture(scope="module")
def versions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("versions", ROOT / ".ci" / "versions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("# versions\nA-D==3.1\nb.c==1.9\ne==5\ntorch==2.9\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("torch", "release"), [(False, "2.9"), (True, "2")])
def test_the_lowest_are_the_bounds_of_the_base_and_the_extras(
    versions: ModuleType, made: Path, *, torch: bool, release: str
) -> None:
    """Each stands once, under one way to write its name; torch is held at what is tested, or follows its bound too."""
    assert versions.lowest(made, torch=torch) == f"a-d==3\nb-c==1.2\ntorch=={release}\n"


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [("B_c>=1.2,<2", "B_c<2", "no lower bound in 'B_c<2'"), ('"b-c>=1.2"', '"b-c>=1.3"', "b-c>=1.2 and")],
)
def test_a_bound_that_is_absent_or_stands_twice_is_refused(
    versions: ModuleType, made: Path, written: str, instead: str, said: str
) -> None:
    """Nothing could be held at it."""
    (made / "pyproject.toml").write_text(PROJECT.replace(written, instead), encoding="utf-8")
    with pytest.raises(SystemExit, match=said):
        versions.lowest(made, torch=False)


def test_the_newest_are_asked_for_with_the_oldest_python_alone(versions: ModuleType, made: Path) -> None:
    """What a later Python would get need not exist for that one."""
    with pytest.raises(SystemExit, match=r"run it with 3\.2"):
        versions.newest(made, torch=False)


def test_a_report_of_pip_becomes_constraints(versions: ModuleType) -> None:
    """They are sorted, and say nothing of the build of torch or of what only that build brings."""
    found = [("Torch", "2.9+cpu"), ("nvidia-cufft", "1"), ("b_c", "1.9"), ("triton", "3")]
    report = {"install": [{"metadata": {"name": name, "version": version}} for name, version in found]}
    assert versions.listed(report) == f"{versions.HEAD}b_c==1.9\nTorch==2.9\n"


def test_constraints_name_every_dependency(versions: ModuleType) -> None:
    """So a release of tomorrow changes nothing that is tested, until the list is renewed."""
    versions.check(ROOT)
    assert versions.pins(ROOT)["torch"]


def test_a_dependency_that_constraints_leave_open_is_found(versions: ModuleType, made: Path) -> None:
    """Whichever part of pyproject.toml asks for it."""
    versions.check(made)
    (made / "constraints.txt").write_text("torch==2.9\nb-c==1.9\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="does not name a-d, e; run"):
        versions.check(made)
