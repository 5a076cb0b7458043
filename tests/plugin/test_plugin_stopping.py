"""A run that is stopped, run again, forked or only set up does what users of pytest expect of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from records import INI
from runs import HEAD, REFUTED, SUPPORTED, Go, apart, properties

from saeprobe.gate import decide_release
from saeprobe.gate.article import Article, Citation
from saeprobe.report import read_report

ON = "[llama70b-as-published]"
STOPS = """
import pytest

@claim("It stops.", id="rank.stops", source="none")
def test_stops(ranks):
    {}
"""
LOST = f"LOST  test_probes.py::test_stops{ON}"


STEPWISE = "def pytest_runtest_teardown(item):\n    item.session.shouldstop = 'on with it next time'\n"


@pytest.mark.parametrize(
    ("arguments", "conftest", "code", "why"),
    [
        (("-x",), "", 1, "stopping after 1 failures"),
        (("--maxfail=1", "-q", "--tb=no"), "", 1, "stopping after 1 failures"),
        ((), STEPWISE, 2, "on with it next time"),
    ],
    ids=["x", "maxfail", "stepwise"],
)
def test_what_a_stop_leaves_is_not_reached(
    go: Go, pytester: pytest.Pytester, arguments: tuple[str, ...], conftest: str, code: int, why: str
) -> None:
    """It has a line and a count of its own, the exit code is pytest's, and the gate does not release it."""
    pytester.makeconftest(conftest)
    run = go(*arguments, probes=REFUTED + SUPPORTED)
    assert (run.code, run.verdicts) == (code, {"rank.down": "refuted"})
    assert run.lines(f"not reached    test_probes.py::test_up{ON}: ")
    assert why in " ".join(run.out.split())
    assert run.lines("1 refuted, 1 not reached")
    assert not run.lines("LOST")
    path = run.folder / "reports" / "report.json"
    article = Article(path=path, title="A", language="en", claims=(Citation(id="rank.up", subject=None),))
    assert decide_release(article, read_report(path)).decision == "cannot tell"


@pytest.mark.parametrize(
    ("ends", "code", "lost", "unreached"),
    [
        ("raise KeyboardInterrupt", 2, 0, 2),
        ('pytest.exit("enough")', 2, 1, 1),
        ('pytest.exit("enough", returncode=0)', 1, 1, 1),
    ],
)
def test_a_probe_that_ends_the_run(
    tmp_path: Path, evidence: Path, ends: str, code: int, lost: int, unreached: int
) -> None:
    """Who presses Ctrl-C loses nothing; a probe that leaves by itself is lost, whatever exit code it asks for."""
    write(tmp_path, STOPS.format(ends) + SUPPORTED)
    run = apart(tmp_path, f"--saeprobe-evidence={evidence}")
    assert run.code == code
    assert len(run.lines("LOST")) == len(run.lines(LOST)) == lost
    assert run.lines(f"{unreached} not reached")


def test_workers_that_stop_early_have_said_what_they_planned(tmp_path: Path, evidence: Path) -> None:
    """The controller leaves without hearing their last word; the report names what is undecided all the same."""
    more = "".join(SUPPORTED.replace("rank.up", f"rank.up{n}").replace("_up", f"_up{n}") for n in range(6))
    slow = more.replace("    assert", "    __import__('time').sleep(0.5)\n    assert")
    write(tmp_path, REFUTED + slow)
    run = apart(tmp_path, f"--saeprobe-evidence={evidence}", "-n2", "-x")
    assert run.code == 2
    assert len(run.report["planned"]) == 7
    assert run.lines(" not reached")
    assert not run.lines("LOST")


def write(folder: Path, probes: str) -> None:
    """Write a project with these probes."""
    (folder / "pyproject.toml").write_text(INI, encoding="utf-8")
    (folder / "test_probes.py").write_text(HEAD + probes, encoding="utf-8")


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_a_run_that_only_sets_up_decides_nothing(go: Go, option: str) -> None:
    """No claim is lost, no report is written, and the exit code is 0."""
    run = go(option, probes=REFUTED)
    assert run.code == 0
    assert run.lines(f"test_probes.py::test_down{ON} (fixtures used: ranks, saeprobe_subject)")
    assert not run.lines("LOST")
    assert not (run.folder / "reports").exists()


RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for last in (False, True):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if any(report.failed for report in reports) and not last:
            for report in reports:
                report.outcome = "rerun" if report.failed else report.outcome
                item.ihook.pytest_runtest_logreport(report=report)
            item._initrequest()
            continue
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        break
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True

def pytest_report_teststatus(report):
    return ("rerun", "r", "RERUN") if report.outcome == "rerun" else None
"""
FORKED = """
import json, os
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    here, there = os.pipe()
    if not (child := os.fork()):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        plain = [
            {"nodeid": one.nodeid, **{k: v for k, v in vars(one).items() if k != "_id"}, "longrepr": one.longreprtext}
            for one in reports
        ]
        os.write(there, json.dumps(plain).encode())
        os._exit(0)
    os.close(there)
    os.waitpid(child, 0)
    with open(here, "rb") as pipe:
        reports = json.loads(pipe.read())
    for sent in reports:
        sent["keywords"], sent["location"] = dict(sent["keywords"]), tuple(sent["location"])
        sent["user_properties"] = [tuple(one) for one in sent["user_properties"]]
        item.ihook.pytest_runtest_logreport(report=pytest.TestReport(**sent))
    return True
"""


def test_a_rerun_is_the_other_plugins_and_the_last_attempt_counts(go: Go, pytester: pytest.Pytester) -> None:
    """Its letter and count are left to it; the record and its properties are there once."""
    pytester.makeconftest(RERUN)
    fickle = SUPPORTED.replace("    assert", "    seen.append(1)\n    assert len(seen) > 1\n    assert", 1)
    declared = 'table 1", not_reproduced={"llama70b-as-published": refuted("known")})'
    known = REFUTED.replace("down", "known").replace('table 1")', declared)
    run = go("-v", probes=REFUTED + "seen = []\n" + fickle + known)
    verdicts = {"rank.down": "refuted", "rank.up": "supported", "rank.known": "refuted"}
    assert (run.code, run.verdicts) == (1, verdicts)
    tried = {name.partition("[")[0]: [one["verdict"] for one in it["before"]] for name, it in run.probes.items()}
    assert tried == {"rank.down": ["refuted"], "rank.up": ["broken"], "rank.known": []}  # the gate looks at them
    assert len(run.lines("RERUN")) == 2  # a declared verdict is no failure to try again
    assert run.lines("1 failed, 1 passed, 1 xfailed, 2 rerun")
    names = [one.attrib["name"] for one in run.junit["test_down"].iter("property")]
    assert len(names) == len(set(names))
    assert properties(run.junit["test_down"])["verdict"] == "refuted"


def test_a_property_of_the_users_own_is_kept(go: Go, pytester: pytest.Pytester) -> None:
    """It may have the name of one that the judge adds, and a rerun adds no second of those."""
    pytester.makeconftest(RERUN)
    own = REFUTED.replace("(ranks)", "(ranks, record_property)").replace(
        "    assert", "    record_property('reason', 'of mine')\n    assert"
    )
    values = [
        one.attrib["value"] for one in go("-ojunit_family=xunit1", probes=own).junit["test_down"].iter("property")
    ]
    assert values.count("of mine") == 2  # of both attempts
    assert values.count("refuted") == 1


def test_a_forked_probe_sends_its_record(go: Go, pytester: pytest.Pytester) -> None:
    """What a child process found comes back with its reports alone."""
    pytester.makeconftest(FORKED)
    run = go(probes=REFUTED + SUPPORTED)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted", "rank.up": "supported"})
    assert not run.lines("LOST")
    assert json.loads((run.folder / "reports" / "report.json").read_text(encoding="utf-8"))["counts"]["refuted"] == 1
