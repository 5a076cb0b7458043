"""Claims of which nothing is reported: they are named, and the run fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import INI, write_ranks
from runs import HEAD, REFUTED, SUPPORTED, Go, Run, apart

NAMED = "LOST  test_probes.py::test_{}[llama70b-as-published]: planned, but nothing was reported"
UNTRIED = """
@claim("It is not tried.", id="rank.untried", source="none")
def test_untried(ranks):
    return
"""


@pytest.fixture(autouse=True)
def _untried(pytester: pytest.Pytester) -> None:
    """Another plugin takes a probe and says no word on it."""
    pytester.makeconftest("def pytest_runtest_protocol(item):\n    return True if 'untried' in item.name else None\n")


def test_a_probe_that_is_not_tried_is_named(go: Go) -> None:
    """Another plugin leaves a probe without a word on its claim, so that the claim is lost."""
    run = go(probes=UNTRIED + SUPPORTED)
    assert (run.code, run.verdicts) == (1, {"rank.up": "supported"})
    assert run.lines(NAMED.format("untried"))
    assert run.report["planned"] == ["rank.untried[llama70b-as-published]", "rank.up[llama70b-as-published]"]


@pytest.mark.parametrize("arguments", [(), ("-n1",), ("-p", "no:setuponly", "-p", "no:setupplan")])
def test_a_run_that_tries_nothing_fails(pytester: pytest.Pytester, evidence: Path, arguments: tuple[str, ...]) -> None:
    """Where no probe at all reports a thing, here or on workers, the claims are lost all the same."""
    pytester.makepyprojecttoml(INI)
    pytester.makepyfile(test_probes=HEAD + UNTRIED)
    run = apart(pytester.path, f"--saeprobe-evidence={evidence}", *arguments)
    assert (run.code, run.verdicts) == (1, {})
    assert run.lines(NAMED.format("untried"))


def test_a_run_without_failures_loses_nothing(go: Go) -> None:
    """The control of this file: nothing is called lost where all is reported."""
    run = go("-x", probes=SUPPORTED)
    assert run.code == 0
    assert not run.lines("LOST")


@pytest.mark.parametrize("arguments", [("-q",), ("-qq",), ("--no-header",), ("--tb=no",), ("--no-summary",)])
def test_a_terser_terminal_changes_no_exit_code(go: Go, arguments: tuple[str, ...]) -> None:
    """Whatever is printed, a refuted and a lost claim fail the run and the reports are written."""
    run = go(*arguments, probes=REFUTED + UNTRIED)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on two workers, one of which dies in a probe."""
    folder = tmp_path_factory.mktemp("crashed")
    (folder / "recorded").mkdir()
    write_ranks(folder / "recorded")
    (folder / "pyproject.toml").write_text(INI, encoding="utf-8")
    dies = '@claim("The process dies.", id="rank.dies", source="none")\ndef test_dies(ranks):\n    os._exit(3)\n'
    (folder / "test_probes.py").write_text(f"import os\n{HEAD}{dies}{SUPPORTED}", encoding="utf-8")
    return apart(folder, "--saeprobe-evidence=recorded", "-n", "2", "--max-worker-restart=0")


def test_a_worker_that_dies_takes_no_claim_with_it_unseen(crashed: Run) -> None:
    """The run fails and the claim that was being decided is named; the others keep their verdicts."""
    assert crashed.code == 1
    assert crashed.verdicts == {"rank.up": "supported"}
    assert "rank.dies[llama70b-as-published]" in crashed.report["planned"]
    assert crashed.lines(NAMED.format("dies"))


def test_without_a_terminal_the_exit_code_and_the_reports_remain(go: Go) -> None:
    """`-p no:terminal` prints nothing; the verdict is in the reports all the same."""
    run = go("-p", "no:terminal", probes=REFUTED + UNTRIED)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})


@pytest.mark.parametrize(
    ("given", "content", "word", "said"),
    [
        (("damaged",), "{", "broken", "eid_table.json: it is not JSON"),
        (("damaged",), '[{"topic": "tides", "eid": {}}]', "broken", "eid_table.json: entry 0 (topic 'tides')"),
        (("damaged",), "[]", "not run", "(eid_table.json) holds no EID table"),
        (("damaged", "{good}"), "{", "supported", ""),
    ],
)
def test_a_damaged_record_breaks_the_claims_that_rest_on_it(
    pytester: pytest.Pytester, evidence: Path, given: tuple[str, ...], content: str, word: str, said: str
) -> None:
    """It is an error with the file's name, not a claim that was not run; another file that holds the same is taken."""
    pytester.makepyprojecttoml(INI)
    pytester.makepyfile(test_probes=HEAD + SUPPORTED)
    pytester.mkdir("damaged").joinpath("eid_table.json").write_text(content, encoding="utf-8")
    paths = [one.format(good=evidence) for one in given]
    run = apart(pytester.path, *(f"--saeprobe-evidence={path}" for path in paths))
    assert run.verdicts == {"rank.up": word}
    assert said in run.probes["rank.up[llama70b-as-published]"]["reason"]


def test_a_probe_in_a_class_is_a_probe(go: Go) -> None:
    """Methods decide claims as functions do."""
    body = REFUTED.replace("\n", "\n    ").replace("test_down(ranks)", "test_down(self, ranks)")
    run = go(probes=f"class TestRanks:{body}")
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})


def test_a_file_that_is_named_twice_has_its_captures_twice(go: Go) -> None:
    """--keep-duplicates collects a file by two collectors of one name."""
    run = go("test_probes.py", "test_probes.py", "--keep-duplicates", probes=SUPPORTED)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})
    assert run.lines("2 passed")


def test_a_probe_of_a_run_that_cannot_start_is_named_in_its_failure(go: Go) -> None:
    """Its heading is its own name."""
    run = go("-o", "saeprobe_alpha=7", probes=SUPPORTED)
    assert run.code == 1
    assert run.lines("___ test_up ___")
    assert not run.lines("___ test session ___")
