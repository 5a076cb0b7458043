"""Ways in which pytest would drop or soften a verdict, each beside what the plugin does instead."""

from __future__ import annotations

import json

import pytest
from runs import REFUTED, SUPPORTED, Go, Run

RETURNS = REFUTED.replace("assert ", "return ")
SPY = """
import json
from pathlib import Path
from _pytest.reports import CollectReport

outcomes, categories, collected = set(), set(), []

def pytest_runtest_logreport(report):
    outcomes.add(report.outcome)

def pytest_terminal_summary(terminalreporter):
    categories.update(name for name, reports in terminalreporter.stats.items() if name and reports)

def pytest_report_teststatus(report):
    if isinstance(report, CollectReport):
        collected.append(report.outcome)

def pytest_unconfigure(config):
    Path("spied.json").write_text(json.dumps([sorted(outcomes), sorted(categories), sorted(set(collected))]))
"""
UNDECIDED = """
import pytest

@claim("The twin has the higher rank.", id="rank.twin", source="table 1")
def test_twin(ranks):
    assert effective_rank(ranks["twin"]) > effective_rank(ranks["expert"])

@claim("It is smarter.", id="rank.smarter", source="the end")
def test_smarter():
    unverifiable("'smarter' names nothing that is measured")

@claim("The instrument works.", id="rank.raises", source="none")
def test_raises(ranks):
    raise RuntimeError("the needle is bent")

@pytest.mark.xfail
@claim("The expert lies above.", id="rank.marked", source="none")
def test_marked(ranks):
    assert effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])
"""


def spied(run: Run) -> list[list[str]]:
    """Outcomes of the reports, categories on the terminal, and outcomes of what was collected."""
    return json.loads((run.folder / "spied.json").read_text(encoding="utf-8"))


def test_reports_keep_pytests_own_outcomes_and_categories(go: Go, pytester: pytest.Pytester) -> None:
    """A new outcome would make the exit code 0, a new category would drop the probe from the section of failures."""
    pytester.makeconftest(SPY)
    run = go(probes=SUPPORTED + REFUTED + UNDECIDED)
    assert run.code == 1
    assert set(run.verdicts.values()) == {"supported", "refuted", "inconclusive", "unverifiable", "broken"}
    outcomes, categories, _ = spied(run)
    assert outcomes == ["failed", "passed", "skipped"]
    assert set(categories) <= {"passed", "failed", "error", "skipped"}
    assert run.lines("= FAILURES =")
    assert run.lines("_ test_down[llama70b-as-published] _")


def test_a_report_of_a_collection_has_no_verdict(go: Go, pytester: pytest.Pytester) -> None:
    """The status of a file that cannot be imported is asked for by the same hook; it stays an error of collection."""
    pytester.makeconftest(SPY)
    run = go(probes=SUPPORTED, broken="raise OSError('no such instrument')\n")
    assert run.code == 2
    assert "failed" in spied(run)[2]
    assert run.lines("ERROR collecting test_broken.py")
    assert not run.lines("INTERNALERROR")


@pytest.mark.parametrize("warnings", ["error", "ignore"])
def test_a_returned_comparison_does_not_pass(go: Go, warnings: str) -> None:
    """What returns something passes in pytest, with a warning at most; a claim that is not asserted is broken."""
    run = go("-W", warnings, probes=RETURNS)
    assert (run.code, run.verdicts) == (1, {"rank.down": "broken"})
    ordinary = go("-W", warnings, "test_ordinary.py", ordinary="def test_plain():\n    return False\n")
    assert ordinary.code == (1 if warnings == "error" else 0)  # what pytest does of its own accord
