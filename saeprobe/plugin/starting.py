"""A run is set up at its first probe; what is wrong with its settings stops the probes, and nothing else."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import pytest

from saeprobe.claims import SUBJECTS_MARK, claim_of, members
from saeprobe.files import visible
from saeprobe.plugin.collecting import declarations
from saeprobe.plugin.hooks import Hooks
from saeprobe.plugin.judging import Judge
from saeprobe.plugin.laboratory import Laboratory, Settings
from saeprobe.plugin.names import RECORD
from saeprobe.plugin.terminal import Escaping, say_earlier
from saeprobe.prompts import PromptError, PromptFile
from saeprobe.subject.files.sae import near
from saeprobe.subject.registry import STYLES_OF, project_of, subject_names
from saeprobe.subject.specification import SubjectError
from saeprobe.verdicts.baseline_files import BaselineError

_OPTION: Final = "--saeprobe-prompts"


def start(config: pytest.Config, given: Sequence[tuple[str, str, Path]], began: float) -> Part:
    """Set up the parts of the run; `began` is when pytest did, monotonic, and `given` the paths that options name."""
    folders = {name: path for name, _, path in given}
    evidence = tuple(path for name, _, path in given if name == "evidence")
    try:
        settings = _settings(config, folders, evidence)
        laboratory = Laboratory(settings)
        for name in (*laboratory.names, *laboratory.default_names(), *settings.neutral, *settings.prompts):
            laboratory.subject(name)  # a wrong name raises here
        judge = Judge(settings, laboratory)
    except (BaselineError, SubjectError, _SettingError) as error:
        stopped = Stopped(visible(str(error)), folders.get("report", config.rootpath / "reports"))
        config.pluginmanager.register(stopped, "saeprobe-stopped")
        return stopped
    hooks = Hooks(config, settings, laboratory, began)
    for name, part in {"hooks": hooks, "judge": judge, "escaping": Escaping()}.items():
        config.pluginmanager.register(part, f"saeprobe-{name}")
    return hooks


class _SettingError(ValueError):
    """A value of the ini file cannot be used."""


def _settings(config: pytest.Config, given: Mapping[str, Path], evidence: tuple[Path, ...]) -> Settings:
    root, option = _project(config), config.option
    named_in = config.rootpath if config.inipath is None else config.inipath.parent
    try:
        of_ini = _named(config.getini("saeprobe_neutral"), "saeprobe_neutral")
        neutral = {name: PromptFile.read(file, named_in).prompts for name, file in of_ini}
    except PromptError as error:
        raise _SettingError(f"saeprobe_neutral: {error}") from None
    of_ini, of_option = _named(config.getini("saeprobe_prompts"), "saeprobe_prompts"), option.saeprobe_prompts
    prompts = {name: _prompts(file, named_in) for name, file in of_ini}
    prompts |= {name: _prompts(file, config.invocation_params.dir) for name, file in _named(of_option, _OPTION)}
    return Settings(
        rootdir=root,
        store=given.get("store", root / ".saeprobe" / "store"),
        report=given.get("report", root / "reports"),
        baselines=named_in / str(config.getini("saeprobe_baselines") or root / "reports" / "baselines"),
        evidence=evidence,
        default_subjects=tuple(config.getini("saeprobe_default_subjects")),
        neutral=neutral,
        prompts=prompts,
        alpha=_alpha(str(config.getini("saeprobe_alpha"))),
        seed=option.saeprobe_seed,
        batch_size=option.saeprobe_batch_size,
    )


def _project(config: pytest.Config) -> Path:
    """Return the folder of the project that was asked for; `--rootdir` or `-c` names it, as it names pytest's root."""
    root, here = config.rootpath, config.invocation_params.dir
    if config.option.rootdir or config.option.inifilename:
        return root
    asked = [Path(os.path.abspath(here / argument.partition("::")[0])) for argument in config.args]  # noqa: PTH100 - links stay
    folders = [path if path.is_dir() else path.parent for path in asked if path.exists()]
    with suppress(ValueError):  # two drives of Windows
        return project_of(Path(os.path.commonpath(folders or [here])), root)
    return root


def _named(lines: Iterable[str], of: str) -> Iterator[tuple[str, str]]:
    """Read lines NAME = FILE, each of another name; `of` is the key of the ini file, or the option."""
    equals, seen = "=" if of.startswith("--") else " = ", set[str]()
    for line in lines:
        name, sign, file = (part.strip() for part in line.partition("="))
        if not (name and sign and file):
            example = f"mine{equals}{re.split('[_-]', of)[-1]}.toml"
            raise _SettingError(f"{of}: {line!r}; wanted NAME{equals}FILE, such as {example}")
        if name in seen:
            raise _SettingError(f"{of}: {name!r} is given twice; leave one out")
        seen.add(name)
        yield name, file


def check_prompts(config: pytest.Config, given: Sequence[str]) -> None:
    """Refuse a NAME=FILE of the option that has not this form, or names no subject, or one for a second time."""
    try:
        known = subject_names(_project(config))
        unknown = [name for name, _ in _named(given, _OPTION) if name not in known]
    except SubjectError:  # probes say it
        return
    except _SettingError as error:
        raise pytest.UsageError(str(error)) from None
    for name in unknown:
        raise pytest.UsageError(f"{_OPTION}: there is no subject {name!r}{near(name, known[::-1], 'name')}")


def _prompts(file: str, folder: Path) -> PromptFile | str | None:
    """Read a prompt file, or say what is wrong with it: only the subject that is to read it fails by it."""
    try:
        return None if file == STYLES_OF else PromptFile.read(file, folder)
    except PromptError as error:
        return str(error)


def _alpha(written: str) -> float:
    alpha = 0.0
    with suppress(ValueError):
        alpha = float(written)
    if not 0 < alpha < 0.5:  # noqa: PLR2004 - beyond a half nothing would be a test
        raise _SettingError(f"saeprobe_alpha = {written}: wanted a number between 0 and 0.5, such as 0.05")
    return alpha


class Stopped:
    """Each probe of the run fails for one reason, before it is made; other tests are as they are without it."""

    def __init__(self, problem: str, report: Path) -> None:
        self._problem = problem
        self._report = report

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> Any:
        """Put an item in the place of a probe, which `-m` selects by the subjects that the probe names."""
        if not isinstance(collector, pytest.Module | pytest.Class) or not collector.istestfunction(obj, name):
            return None
        captures = declarations(collector.getparent(pytest.Module)).keys()
        if claim_of(obj) is None and not (captures and captures & inspect.signature(cast(Any, obj)).parameters.keys()):
            return None
        item: _StoppedProbe = cast(Any, _StoppedProbe).from_parent(collector, name=name)
        item.problem = self._problem
        marks = [*getattr(obj, "pytestmark", ()), *item.iter_markers(SUBJECTS_MARK)]
        for marker in {each for mark in marks if mark.name == SUBJECTS_MARK for n in mark.args for each in members(n)}:
            collector.config.addinivalue_line("markers", f"{marker}: probes on the subject {marker}")
            item.add_marker(marker)
        return item

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Refuse an ordinary test that asks for its subject."""
        if "saeprobe_subject" in metafunc.fixturenames:
            raise pytest.Collector.CollectError(self._problem)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Do nothing: no probe ran that could have left a record."""

    def take_over(self, sent: Mapping[str, Any]) -> None:
        """Do nothing: a worker that was stopped has nothing to send."""

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let an xdist controller know, which collects nothing itself."""
        getattr(session.config, "workeroutput", {})[RECORD] = json.dumps({})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say that no report was written."""
        say_earlier(terminalreporter, self._report)


Part = Hooks | Stopped  # the part of the run that meets probes at collection: `Stopped` where something is wrong


class _StoppedProbe(pytest.Item):
    problem = ""

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name

    def runtest(self) -> None:
        pytest.fail(self.problem, pytrace=False)
