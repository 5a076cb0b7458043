"""The pytest plugin plans captures at collection, runs them in one pass, judges probes and writes the report.

pytest imports this file at every start, whatever it tests. Nothing else of saeprobe is imported, and nothing is read,
until a probe is collected: then `starting` sets the run up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from saeprobe.plugin.starting import Part

SUBJECT: Final = "saeprobe_subject"
"""This parameter of a probe's variant is the name of the subject that it runs on."""
RECORD: Final = "saeprobe"
"""This attribute of a test report carries the probe's record, in plain types, to the xdist controller too."""

_part = pytest.StashKey["Part"]()
_began = pytest.StashKey[float]()
_looked_at = pytest.StashKey[set[str]]()


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
    """Refuse options that cannot be used, which somebody gave for this run; all else waits for a probe."""
    config.stash[_began], config.stash[_looked_at] = time.monotonic(), set()
    config.addinivalue_line("markers", "saeprobe_subjects(*names): run a probe once on each of these subjects")
    try:
        _check_options(config)
    except pytest.UsageError as error:  # pytest writes it to the terminal as it is
        from saeprobe.files import visible

        raise pytest.UsageError(*(visible(str(said)) for said in error.args)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Any:
    """Set the run up before the first probe is made; what is registered here hears of the next name on."""
    if _part not in collector.config.stash and _of_probes(collector, obj):
        return _started(collector.config).pytest_pycollect_makeitem(collector, name, obj)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Set the run up for a test that takes no capture and asks for its subject."""
    if _part not in metafunc.config.stash and SUBJECT in metafunc.fixturenames:
        _started(metafunc.config).pytest_generate_tests(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(config: pytest.Config, data: dict[str, Any]) -> None:
    """Set the run up where a record comes in, on an xdist controller, which collects nothing; read the record."""
    if RECORD in data:
        _started(config)
        data[RECORD] = json.loads(data[RECORD])  # escapes carry half of a surrogate pair


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what an xdist worker planned, computed and checked; one that crashed has sent nothing."""
    sent = getattr(node, "workeroutput", {}).get(RECORD)
    if sent is not None:
        _started(node.config).take_over(json.loads(sent))


def _of_probes(collector: pytest.Collector, obj: object) -> bool:
    """Say whether a function makes a claim, or its file declares a capture; files are looked through once."""
    if "saeprobe.claims" not in sys.modules:  # captures import it too
        return False
    from saeprobe.claims import claim_of

    if isinstance(obj, FunctionType) and claim_of(obj) is not None:  # other objects may do anything when asked
        return True
    seen = collector.config.stash[_looked_at]
    if not isinstance(collector, pytest.Module) or collector.nodeid in seen:
        return False
    seen.add(collector.nodeid)
    return any(type(value).__module__ == "saeprobe.captures" for value in vars(collector.obj).values())


def _started(config: pytest.Config) -> Part:
    if _part not in config.stash:
        from saeprobe.plugin.starting import start

        config.stash[_part] = start(config, config.stash[_began])
    return config.stash[_part]


def _check_options(config: pytest.Config) -> None:
    option = config.option
    if option.saeprobe_batch_size < 1 or option.saeprobe_seed < 0:
        raise pytest.UsageError("--saeprobe-batch-size must be at least 1 and --saeprobe-seed at least 0")
    given = {
        name: directory(config, name) for name in ("evidence", "store", "report") if vars(option)[f"saeprobe_{name}"]
    }
    _refuse_foreign_root(config, given)
    evidence, report = given.get("evidence"), given.get("report")
    if evidence is not None and not evidence.is_dir():
        raise pytest.UsageError(f"--saeprobe-evidence {option.saeprobe_evidence}: there is no directory {evidence}")
    if report is not None:  # refused before the work
        there = next(path for path in (report, *report.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise pytest.UsageError(
                f"--saeprobe-report {report}: {there} is no folder that can be written to; name another"
            )


def _refuse_foreign_root(config: pytest.Config, given: dict[str, Path]) -> None:
    """Refuse a root directory that is an option's: pytest finds it before it knows which options take a directory."""
    root, here = config.rootpath, config.invocation_params.dir
    meant = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.rootdir or config.option.inifilename
    if meant or root in (here, *here.parents):
        return
    for name, folder in given.items():
        if root in (folder, *folder.parents):
            said = vars(config.option)[f"saeprobe_{name}"]
            raise pytest.UsageError(
                f"pytest took --saeprobe-{name} {said} for its root directory: write --saeprobe-{name}={said}"
            )


def directory(config: pytest.Config, name: str) -> Path | None:
    """Return the folder that an option names, from where pytest was called; None where it is not given."""
    given: str | None = vars(config.option)[f"saeprobe_{name}"]
    return None if given is None else (config.invocation_params.dir / given).resolve()
