"""Pytest runs on recorded evidence."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from records import INI, write_ranks
from runs import HEAD, Go, Run

LIBRARIES = (
    "hypothesis",
    "jinja2",
    "msgspec",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "scipy.sparse",
    "scipy.stats",
    "tqdm",
)


@pytest.fixture(scope="session", autouse=True)
def _libraries() -> None:
    """Import once what inner runs need: pytester forgets what a run imports, and numpy cannot be imported twice."""
    for name in LIBRARIES:
        importlib.import_module(name)


@pytest.fixture(autouse=True)
def _away_from_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs print as on a terminal: where CI is set, pytest's own summary cuts no line to the width."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a table of effective ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    write_ranks(folder)
    return folder


@pytest.fixture
def go(pytester: pytest.Pytester, evidence: Path) -> Go:
    """Runs pytest in the test's folder, in this process, where recorded evidence decides the default subject."""
    pytester.makepyprojecttoml(INI)

    def run(*arguments: str, head: str = HEAD, **files: str) -> Run:
        pytester.makepyfile(**{f"test_{name}": head + text for name, text in files.items()})
        fixed = (f"--saeprobe-evidence={evidence}", "--junitxml=junit.xml", "-p", "no:cacheprovider")
        ran = pytester.runpytest_inprocess(*fixed, *arguments)
        return Run(code=int(ran.ret), out=f"{ran.stdout}\n{ran.stderr}", folder=pytester.path)

    return run
