"""The pytest plugin plans captures at collection, runs them in one pass, judges probes and writes the report.

pytest imports this file at every start, whatever it tests. Nothing else of saeprobe is imported, and nothing is read,
until a probe is collected: then `starting` sets the run up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

from saeprobe.plugin.names import BROKEN, RECORD, REFUSED, SUBJECT, function_of, params_of, record_of

if TYPE_CHECKING:
    from saeprobe.claims import Claim
    from saeprobe.plugin.starting import Part


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, `--saeprobe-*` on the command line and `saeprobe_*` in the ini file."""
    group = parser.getgroup("saeprobe", "claims about the features of language models")
    group.addoption(
        "--saeprobe-evidence",
        metavar="PATH",
        action="append",
        default=[],
        help="decide the claims of as-published subjects from recorded files, without model or SAE: PATH is a file, or "
        "a folder whose own folders are not searched (may be given again; an empty one takes back those before it)",
    )
    group.addoption(
        "--saeprobe-prompts",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="prompts that a subject, and each protocol of it, reads instead of STYLES; may be given again. "
        "STYLES as FILE are the built-in ones",
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
    parser.addini(
        "saeprobe_default_subjects",
        "subjects that run where no -m selects (default: the specimens, and those of pyproject.toml)",
        "args",
    )
    parser.addini(
        "saeprobe_neutral",
        "NAME = FILE: prompts on which the instrument of a subject is checked where plain English does not suit it",
        "linelist",
    )
    parser.addini("saeprobe_prompts", "NAME = FILE: the same as --saeprobe-prompts, from the ini's folder", "linelist")
    parser.addini(
        "saeprobe_baselines", "folder of the values that were approved (default: reports/baselines)", default=""
    )
    parser.addini("saeprobe_alpha", "largest p at which a difference counts (default: 0.05)", default="0.05")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that cannot be used, which somebody gave for this run; all else waits for a probe."""
    config.addinivalue_line("markers", "saeprobe_subjects(*names): run a probe once on each of these subjects")
    try:
        _check_options(config)
    except pytest.UsageError as error:  # pytest writes it to the terminal as it is
        from saeprobe.files import visible

        raise pytest.UsageError(*(visible(str(said)) for said in error.args)) from None
    config.pluginmanager.register(Door(config), "saeprobe-door")


class Door:
    """The door lets nothing of saeprobe in before the first probe, or before the first record of an xdist worker.

    Hooks that are registered then hear of the next call on; this one is handed on to them.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.monotonic()
        self._seen: set[pytest.Collector] = set()
        self._part: Part | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> Any:
        """Set the run up before the first probe is made."""
        found: Any = getattr(obj, "__dict__", {}).get("claim") if type(obj).__module__ == "_pytest.fixtures" else None
        if type(found).__module__ == "saeprobe.claims":
            what = f"{collector.nodeid}: a fixture makes the claim {found.id!r}"
            raise collector.CollectError(f"{what}; write it above the test that decides it")
        if self._part is None and self._of_probes(collector, obj):
            return self._started().pytest_pycollect_makeitem(collector, name, obj)
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Set the run up for a test that takes no capture and asks for its subject."""
        if self._part is None and SUBJECT in metafunc.fixturenames:
            self._started().pytest_generate_tests(metafunc)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Refuse a test that would pass by its claim, as an ordinary one does."""
        function = function_of(item)
        if "saeprobe.claims" not in sys.modules or function is None:
            return
        from saeprobe.claims import claim_of

        claim, hidden, where = claim_of(function), _hidden(function, item.parent), item.nodeid.partition("[")[0]
        if claim is not None and SUBJECT not in params_of(item):
            kind = type(item).__name__
            of = "a method of a unittest.TestCase" if kind == "TestCaseFunction" else f"collected as a {kind}"
            problem = f"{where} makes the claim {claim.id!r} and is {of}, which runs on no subject; write it as a "
            self._refuse(item, claim, f"{problem}function, or as a method of a plain class")
        elif claim is None and hidden is not None:
            problem = f"a decorator of {where} hides its claim {hidden.id!r}; write @claim(...) above it, or "
            self._refuse(item, hidden, f"{problem}functools.wraps in it")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail a test of which something is wrong, before anything is made for it."""
        if BROKEN in item.stash:
            pytest.fail(f"broken: {item.stash[BROKEN]}", pytrace=False)
        if REFUSED in item.stash:
            pytest.fail(item.stash[REFUSED][1], pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let no xfail mark excuse a test that was refused."""
        report = yield
        if REFUSED in item.stash and getattr(report, "__dict__", {}).pop("wasxfail", None) is not None:
            report.outcome = "failed"
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> None:
        """Read a record again, in a thread of xdist, and leave the rest to pytest."""
        if type(data.get(RECORD)) is str:
            data[RECORD] = json.loads(data[RECORD])  # escapes carry half of a surrogate pair

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Set the run up on an xdist controller, which collects nothing itself, where a record comes in."""
        if self._part is None and record_of(report) is not None:
            self._started().pytest_runtest_logreport(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what an xdist worker planned, computed and checked; one that crashed has sent nothing."""
        sent = getattr(node, "workeroutput", {}).get(RECORD)
        if sent is not None:
            self._started().take_over(json.loads(sent))

    def _refuse(self, item: pytest.Item, claim: Claim, problem: str) -> None:
        from saeprobe.files import visible

        self._started()  # the claim is among those planned
        item.stash[REFUSED] = claim.id, visible(problem)

    def _of_probes(self, collector: pytest.Collector, obj: object) -> bool:
        """Say whether a function makes a claim, or its file declares a capture; files are looked through once."""
        if "saeprobe.claims" not in sys.modules:  # captures import it too
            return False
        from saeprobe.claims import claim_of

        if type(obj) is FunctionType and claim_of(obj) is not None:  # other objects may do anything when asked
            return True
        if not isinstance(collector, pytest.Module) or collector in self._seen:
            return False
        self._seen.add(collector)  # several of a file have one node id
        code: ModuleType = cast(Any, collector).obj
        held = getattr(code, "__dict__", {}).values()
        return any(type(value).__module__.startswith("saeprobe.captures") for value in held)

    def _started(self) -> Part:
        if self._part is None:
            from saeprobe.plugin.starting import start

            self._part = start(self._config, _given(self._config), self._began)
        return self._part


def _hidden(function: object, collector: object) -> Claim | None:
    """Return the claim of a function that a decorator calls in the place of this one, and that is no test itself."""
    from saeprobe.claims import claim_of

    called: list[Any] = [function] if type(function) is FunctionType else []
    for each in called:  # it grows; functions may hold each other
        for cell in each.__closure__ or ():
            with suppress(ValueError):  # a name that is not bound yet
                inner = cell.cell_contents
                if type(inner) is FunctionType and all(inner is not known for known in called):
                    called.append(inner)
    hidden = (each for each in called[1:] if claim_of(each) is not None and not _collected(each, collector))
    return next(map(claim_of, hidden), None)


def _collected(function: FunctionType, collector: object) -> bool:
    """Say whether a function stands as a test in its own file, or in a class of it."""
    if not isinstance(collector, pytest.Module | pytest.Class):
        return False
    names = function.__globals__
    places = [names, *(vars(value) for value in names.values() if type(value) is type)]
    found = (name for place in places for name, value in place.items() if value is function)
    return any(collector.istestfunction(function, name) for name in found)


def _given(config: pytest.Config) -> list[tuple[str, str, Path]]:
    """List the paths that options name: the last word of the option, what was given, and where it is from here."""
    option, here = config.option, config.invocation_params.dir
    said = [("store", option.saeprobe_store), ("report", option.saeprobe_report)]
    evidence = ["", *option.saeprobe_evidence]
    last_empty = len(evidence) - evidence[::-1].index("")  # an empty one takes back those before it, as of addopts
    said += [("evidence", one) for one in dict.fromkeys(evidence[last_empty:])]
    return [(name, one, Path(os.path.realpath(here / one))) for name, one in said if one]


def _check_options(config: pytest.Config) -> None:
    option = config.option
    if option.saeprobe_batch_size < 1 or option.saeprobe_seed < 0:
        raise pytest.UsageError("--saeprobe-batch-size must be at least 1 and --saeprobe-seed at least 0")
    given = _given(config)
    _refuse_foreign_root(config, given)
    if option.saeprobe_prompts:
        from saeprobe.plugin.starting import check_prompts

        check_prompts(config, option.saeprobe_prompts)
    for name, said, path in given:  # refused before the work
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        if name == "evidence" and there != path:
            raise pytest.UsageError(f"--saeprobe-evidence {said}: there is no file or folder {path}")
        if name == "report" and not (there.is_dir() and os.access(there, os.W_OK)):
            found = f"--saeprobe-report {path}: {there} is no folder that can be written to"
            raise pytest.UsageError(f"{found}; name another")


def _refuse_foreign_root(config: pytest.Config, given: Iterable[tuple[str, str, Path]]) -> None:
    """Refuse a root directory that is an option's: pytest finds it before it knows which options take a directory."""
    root, here = config.rootpath, config.invocation_params.dir
    meant = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.rootdir or config.option.inifilename
    if meant or root in (here, *here.parents):
        return
    for name, said, folder in given:
        if root in (folder, *folder.parents):
            found = f"pytest took --saeprobe-{name} {said} for its root directory"
            raise pytest.UsageError(f"{found}: write --saeprobe-{name}={said}")
