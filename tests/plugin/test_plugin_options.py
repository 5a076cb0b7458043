"""Options: what they do, and what is said where they cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import INI
from runs import HEAD, REFUTED, SUPPORTED, Go, apart, properties, without_durations


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--saeprobe-evidence=nowhere", "--saeprobe-evidence nowhere: there is no file or folder"),
        ("--saeprobe-report=test_probes.py", "test_probes.py is no folder that can be written to; name another"),
        ("--saeprobe-batch-size=0", "--saeprobe-batch-size must be at least 1"),
        ("--saeprobe-seed=-1", "--saeprobe-seed at least 0"),
        ("--saeprobe-seed=one", "argument --saeprobe-seed: invalid int value: 'one'"),
    ],
)
def test_an_option_that_cannot_be_used_stops_the_run(go: Go, argument: str, told: str) -> None:
    """A usage error that says what was found and what was wanted; no probe runs and no report is written."""
    run = go(argument, probes=SUPPORTED)
    assert run.code == 4
    assert run.lines(told)
    assert not (run.folder / "reports").exists()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("-osaeprobe_alpha=0.7", "saeprobe_alpha = 0.7: wanted a number between 0 and 0.5, such as 0.05"),
        ("-osaeprobe_alpha=0", "saeprobe_alpha = 0: wanted a number between 0 and 0.5, such as 0.05"),
        ("-osaeprobe_alpha=nan", "saeprobe_alpha = nan: wanted a number between 0 and 0.5"),
        ("-osaeprobe_alpha=five", "saeprobe_alpha = five: wanted a number between 0 and 0.5"),
        ("-osaeprobe_neutral=sparrow", "saeprobe_neutral: 'sparrow'; wanted NAME = FILE, such as mine = neutral.toml"),
        ("-osaeprobe_neutral=sparrow = no.toml", "no.toml: it cannot be read: there is no "),
        ("-osaeprobe_neutral=sparow = test_probes.py", "'.py' is no suffix of a prompt file"),
    ],
)
def test_a_setting_that_cannot_be_used_fails_each_probe(go: Go, argument: str, said: str) -> None:
    """The probe fails with what was found and what was wanted; no report is written."""
    run = go(argument, probes=SUPPORTED)
    assert run.code == 1
    assert run.lines(said)
    assert not (run.folder / "reports").exists()


def test_neutral_text_for_an_unknown_subject_fails_each_probe(go: Go, pytester: pytest.Pytester) -> None:
    """A typo would leave the subject to plain English; the nearest name is told."""
    text = 'name = "n"\nlanguage = "en"\ntopics = [{name = "a"}]\nstyles.s.templates = ["b"]'
    pytester.makefile(".toml", neutral=text)
    run = go("-osaeprobe_neutral=sparow = neutral.toml", probes=SUPPORTED)
    assert run.code == 1
    assert run.lines("there is no subject 'sparow'; did you mean 'sparrow'?")


def test_a_stricter_alpha_leaves_a_claim_open(go: Go) -> None:
    """The p of 2/256 is below 0.05 and above 0.001; the terms are in the report."""
    run = go("-osaeprobe_alpha=0.001", probes=SUPPORTED)
    assert (run.code, run.verdicts) == (1, {"rank.up": "inconclusive"})
    assert run.report["run"]["alpha"] == 0.001


def test_the_reports_go_where_they_are_wanted(go: Go) -> None:
    """--saeprobe-report names the folder, which is made."""
    run = go("--saeprobe-report=elsewhere/today", probes=SUPPORTED)
    assert run.code == 0
    assert {path.name for path in (run.folder / "elsewhere" / "today").iterdir()} == {
        ".gitignore",
        "report.html",
        "report.json",
    }
    assert not (run.folder / "reports").exists()
    assert run.lines("report: ")


@pytest.mark.parametrize("option", ["--saeprobe-evidence", "--saeprobe-store", "--saeprobe-report"])
def test_a_directory_that_pytest_takes_for_its_root_is_refused(go: Go, pytester: pytest.Pytester, option: str) -> None:
    """Without "=" or a path to the probes pytest looks for its settings in that directory; the remedy is told."""
    go(probes=SUPPORTED)
    foreign = pytester.mkdir("foreign")
    (foreign / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", option, "foreign")
    assert ran.ret == 4
    assert f"pytest took {option} foreign for its root directory: write {option}=foreign" in ran.stderr.str()
    for meant in ([f"{option}=foreign"], ["test_probes.py", option, "foreign"]):
        assert pytester.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only", *meant).ret == 0


def test_two_runs_differ_in_their_durations_alone(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SOURCE_DATE_EPOCH set the same evidence gives the same report, to the key."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = go(probes=SUPPORTED + REFUTED).report
    second = go(probes=SUPPORTED + REFUTED).report
    assert first["generated"] == second["generated"] == "2023-11-14T22:13:20+00:00"
    assert without_durations(first) == without_durations(second)


def test_evidence_is_given_as_several_files_and_folders(pytester: pytest.Pytester, evidence: Path) -> None:
    """A file beside a folder: the plan says which answers, and the report and the scope of a verdict name both."""
    pytester.makepyprojecttoml(INI)
    pytester.makepyfile(test_probes=HEAD + SUPPORTED)
    pytester.makefile(".json", topics='["tides"]')
    run = apart(pytester.path, f"--saeprobe-evidence={evidence}", "--saeprobe-evidence=topics.json")
    assert run.verdicts == {"rank.up": "supported"}
    assert run.report["run"]["evidence_dir"] == f"{evidence.name}, topics.json"
    assert run.lines(
        "eid_table.json for effective ranks of expert, novice, twin; not used: topics.json (a list of 1 st"
    )


def test_evidence_that_nothing_asks_for_is_said(go: Go) -> None:
    """Without a probe on an as-published subject the line names the `-m` that selects some."""
    run = go("-m", "sparrow", "--collect-only", probes=SUPPORTED.replace("@claim", '@subjects("sparrow")\n@claim'))
    assert run.lines("plan: no probe that is selected is decided from the recorded evidence; select some with -m llama")


def test_the_report_tells_how_the_run_was_made(go: Go) -> None:
    """Command, terms, versions and the name of the evidence directory."""
    run = go("--saeprobe-seed=7", probes=SUPPORTED).report["run"]
    assert run["command"].startswith("pytest ")
    assert "--saeprobe-seed=7" in run["command"]
    assert (run["seed"], run["workers"], run["exit_code"], run["computed_prompts"]) == (7, 0, 0, 0)
    assert run["evidence_dir"] is not None
    assert run["versions"].keys() >= {"saeprobe", "torch", "sae-lens", "pytest"}


def test_the_junit_file_carries_the_sentence(go: Go) -> None:
    """A reader of the JUnit file alone learns what was decided, and of what."""
    told = properties(go(probes=SUPPORTED).junit["test_up"])
    assert told["claim"] == "rank.up"
    assert told["sentence"] == "A novice prompt has the higher effective rank."
    assert told["subject"] == "llama70b-as-published"
    assert told["verdict"] == "supported"
    recorded = "as recorded in eid_table.json, 8 prompts a style"
    assert told["scope"] == f"this wording only, over 8 topics; {recorded}"
    assert "0.225" in told["reason"]


def test_the_options_are_in_the_help(go: Go) -> None:
    """`pytest --help` lists them under saeprobe."""
    run = go("--help", probes=SUPPORTED)
    for option in ("evidence", "store", "report", "seed", "batch-size"):
        assert run.lines(f"--saeprobe-{option}")
    assert run.lines("saeprobe_default_subjects")
    assert run.lines("saeprobe_alpha")


def test_a_report_that_cannot_be_written_is_a_line_and_fails_the_run(go: Go) -> None:
    """The table of verdicts is written all the same; a folder stands where the report should."""
    (go(probes=SUPPORTED).folder / "reports" / "report.json").unlink()
    folder = go("--collect-only", probes=SUPPORTED).folder / "reports" / "report.json"
    folder.mkdir()
    run = go(probes=SUPPORTED)
    assert run.code == 1
    assert run.lines("no report was written: ")
    assert run.lines("1 supported")
    assert not run.lines("report: ")
