"""The options are `--saeprobe-*` on the command line and `saeprobe_*` in the ini file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from saeprobe.prompts import PromptError, PromptSet


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run come from its options; paths are absolute.

    `evidence` is a directory of recorded files, if one was given; `neutral` are the prompts on which the instruments
    of some subjects are checked, by the subject's name.
    """

    rootdir: Path
    store: Path
    report: Path
    baselines: Path
    evidence: Path | None
    default_subjects: tuple[str, ...]
    neutral: dict[str, PromptSet]
    alpha: float
    seed: int
    batch_size: int


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and ini keys."""
    group = parser.getgroup("saeprobe", "claims about the features of language models")
    group.addoption(
        "--saeprobe-evidence",
        metavar="DIR",
        help="decide the claims of as-published subjects from recorded files in DIR, without model or SAE",
    )
    group.addoption(
        "--saeprobe-store", metavar="DIR", help="where captured evidence is kept and reused (default: .saeprobe/store)"
    )
    group.addoption(
        "--saeprobe-report", metavar="DIR", help="where report.json and report.html are written (default: reports)"
    )
    group.addoption(
        "--saeprobe-seed", metavar="N", type=int, default=0, help="seed of sampled permutations (default: 0)"
    )
    group.addoption(
        "--saeprobe-batch-size", metavar="N", type=int, default=32, help="prompts a forward pass (default: 32)"
    )
    parser.addini("saeprobe_default_subjects", "subjects that run where no -m selects (default: the specimens)", "args")
    parser.addini(
        "saeprobe_neutral",
        "NAME = FILE: prompts on which the instrument of a subject is checked where plain English does not suit it",
        "linelist",
    )
    parser.addini(
        "saeprobe_baselines", "folder of the values that were approved (default: reports/baselines)", default=""
    )
    parser.addini("saeprobe_alpha", "largest p at which a difference counts (default: 0.05)", default="0.05")


def settings_of(config: pytest.Config) -> Settings:
    """Read the settings of a run."""
    root = config.rootpath
    _refuse_foreign_root(config)
    evidence: str | None = config.getoption("--saeprobe-evidence")
    directory = None if evidence is None else (config.invocation_params.dir / evidence).resolve()
    if directory is not None and not directory.is_dir():
        raise pytest.UsageError(f"--saeprobe-evidence {evidence}: there is no directory {directory}")
    alpha = _alpha(str(config.getini("saeprobe_alpha")))
    seed: int = config.getoption("--saeprobe-seed")  # pyright: ignore[reportAssignmentType] - its type is in the option
    batch_size: int = config.getoption("--saeprobe-batch-size")  # pyright: ignore[reportAssignmentType] - the same
    if batch_size < 1 or seed < 0:
        raise pytest.UsageError("--saeprobe-batch-size must be at least 1 and --saeprobe-seed at least 0")
    default: list[str] = config.getini("saeprobe_default_subjects")
    return Settings(
        rootdir=root,
        store=_directory(config, "--saeprobe-store", root / ".saeprobe" / "store"),
        report=_report(config, root),
        baselines=root / (str(config.getini("saeprobe_baselines")) or Path("reports", "baselines")),
        evidence=directory,
        default_subjects=tuple(default),
        neutral=_neutral(config.getini("saeprobe_neutral"), root),
        alpha=alpha,
        seed=seed,
        batch_size=batch_size,
    )


def _neutral(lines: Sequence[str], root: Path) -> dict[str, PromptSet]:
    found: dict[str, PromptSet] = {}
    for line in lines:
        name, sign, file = (part.strip() for part in line.partition("="))
        if not (name and sign and file):
            raise pytest.UsageError(f"saeprobe_neutral: {line!r}; wanted NAME = FILE, such as mine = neutral.toml")
        try:
            found[name] = PromptSet.from_file(root / file)
        except PromptError as error:
            raise pytest.UsageError(f"saeprobe_neutral: {error}") from None
    return found


def _refuse_foreign_root(config: pytest.Config) -> None:
    """Refuse a root directory that is an option's: pytest finds it before it knows which options take a directory."""
    root, here = config.rootpath, config.invocation_params.dir
    meant = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.rootdir or config.option.inifilename
    if meant or root in (here, *here.parents):
        return
    for option in ("--saeprobe-evidence", "--saeprobe-store", "--saeprobe-report"):
        given: str | None = config.getoption(option)
        if given is not None and root in ((here / given).resolve(), *(here / given).resolve().parents):
            raise pytest.UsageError(f"pytest took {option} {given} for its root directory: write {option}={given}")


def _directory(config: pytest.Config, option: str, default: Path) -> Path:
    given: str | None = config.getoption(option)
    return default if given is None else (config.invocation_params.dir / given).resolve()


def _report(config: pytest.Config, root: Path) -> Path:
    """Say where the reports go, and refuse a named folder that cannot be written to before the work."""
    folder = _directory(config, "--saeprobe-report", root / "reports")
    if config.getoption("--saeprobe-report") is None:
        return folder
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise pytest.UsageError(
            f"--saeprobe-report {folder}: {there} is no folder that can be written to; name another"
        )
    return folder


def _alpha(written: str) -> float:
    try:
        alpha = float(written)
    except ValueError:
        alpha = 0.0
    if not 0 < alpha < 0.5:  # noqa: PLR2004 - beyond a half nothing would be a test
        raise pytest.UsageError(f"saeprobe_alpha = {written}: wanted a number between 0 and 0.5, such as 0.05")
    return alpha
