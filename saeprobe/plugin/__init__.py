"""The pytest plugin plans captures at collection, runs them in one pass, judges probes and writes the report.

Nothing here imports torch; a run whose evidence is stored never does. pytest imports this file at every start, whatever
it tests, so that what a run needs is imported once the options are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, `--saeprobe-*` on the command line and `saeprobe_*` in the ini file."""
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


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, set up the parts of the run and register a marker for each subject."""
    try:
        _configure(config)
    except pytest.UsageError as error:  # pytest writes it to the terminal as it is
        from saeprobe.files import visible

        raise pytest.UsageError(*(visible(str(said)) for said in error.args)) from None


def _configure(config: pytest.Config) -> None:
    from saeprobe.plugin.hooks import Hooks
    from saeprobe.plugin.judging import Judge
    from saeprobe.plugin.laboratory import Laboratory, Settings
    from saeprobe.plugin.terminal import Escaping
    from saeprobe.prompts import PromptError, PromptSet
    from saeprobe.subject.specification import SubjectError
    from saeprobe.verdicts.baseline_files import BaselineError

    root = config.rootpath
    _refuse_foreign_root(config)
    seed: int = config.getoption("--saeprobe-seed")  # pyright: ignore[reportAssignmentType] - its type is in the option
    batch_size: int = config.getoption("--saeprobe-batch-size")  # pyright: ignore[reportAssignmentType] - the same
    if batch_size < 1 or seed < 0:
        raise pytest.UsageError("--saeprobe-batch-size must be at least 1 and --saeprobe-seed at least 0")
    try:
        neutral = {name: PromptSet.from_file(file) for name, file in _neutral(config)}
    except PromptError as error:
        raise pytest.UsageError(f"saeprobe_neutral: {error}") from None
    settings = Settings(
        rootdir=root,
        store=_directory(config, "--saeprobe-store", root / ".saeprobe" / "store"),
        report=_report(config),
        baselines=root / (str(config.getini("saeprobe_baselines")) or Path("reports", "baselines")),
        evidence=_evidence(config),
        default_subjects=tuple(config.getini("saeprobe_default_subjects")),
        neutral=neutral,
        alpha=_alpha(str(config.getini("saeprobe_alpha"))),
        seed=seed,
        batch_size=batch_size,
    )
    config.addinivalue_line("markers", "saeprobe_subjects(*names): run a probe once on each of these subjects")
    try:
        laboratory = Laboratory(settings)
        known = {
            name: laboratory.subject(name)
            for name in (*laboratory.names, *laboratory.default_names, *settings.neutral)  # a wrong name raises here
        }
    except SubjectError as error:
        raise pytest.UsageError(str(error)) from None
    for name, subject in known.items():
        for marker in subject.markers:
            config.addinivalue_line("markers", f"{marker}: probes on the subject {name}")
    try:
        judge = Judge(settings, laboratory)
    except BaselineError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(Hooks(config, settings, laboratory), "saeprobe-hooks")
    config.pluginmanager.register(judge, "saeprobe-judge")
    config.pluginmanager.register(Escaping(), "saeprobe-escaping")


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> str:
    """Return the name of the subject that this variant of a probe runs on."""
    return request.param


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


def _evidence(config: pytest.Config) -> Path | None:
    given: str | None = config.getoption("--saeprobe-evidence")
    if given is None:
        return None
    folder = (config.invocation_params.dir / given).resolve()
    if not folder.is_dir():
        raise pytest.UsageError(f"--saeprobe-evidence {given}: there is no directory {folder}")
    return folder


def _neutral(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    lines: Sequence[str] = config.getini("saeprobe_neutral")
    for line in lines:
        name, sign, file = (part.strip() for part in line.partition("="))
        if not (name and sign and file):
            raise pytest.UsageError(f"saeprobe_neutral: {line!r}; wanted NAME = FILE, such as mine = neutral.toml")
        yield name, config.rootpath / file


def _directory(config: pytest.Config, option: str, default: Path) -> Path:
    given: str | None = config.getoption(option)
    return default if given is None else (config.invocation_params.dir / given).resolve()


def _report(config: pytest.Config) -> Path:
    """Say where the reports go, and refuse a named folder that cannot be written to before the work."""
    folder = _directory(config, "--saeprobe-report", config.rootpath / "reports")
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
