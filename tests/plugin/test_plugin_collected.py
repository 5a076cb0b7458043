"""What is refused at collection, and what a run leaves of an earlier report that came to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import INI
from runs import HEAD, REFUTED, SUPPORTED, Go, apart

SUBJECT = "llama70b-as-published"
USAGE = 4
COLLECTION = 2


def supported(**keys: str) -> str:
    """The probe that is supported, with more arguments to its claim."""
    more = "".join(f", {key}={value}" for key, value in keys.items())
    return SUPPORTED.replace('source="table 1"', f'source="table 1"{more}')


@pytest.mark.parametrize(
    ("key", "value"),
    [("published", 'published(novice=9.25, unit="dimensions")'), ("not_reproduced", 'refuted("known")')],
)
@pytest.mark.parametrize(
    ("named", "near"), [("llama70b-as-publisched", f", did you mean {SUBJECT!r}?"), ("llama70b", ""), ("sparrow", "")]
)
def test_what_is_said_of_a_subject_that_no_probe_runs_on_is_refused(
    go: Go, key: str, value: str, named: str, near: str
) -> None:
    """Nothing would look at it; a subject that is known, and on which no probe of the claim runs, is no better."""
    run = go(probes=supported(**{key: f"{{{named!r}: {value}}}"}))
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    assert run.lines(
        f"broken: claim 'rank.up' names {named!r} in {key}, on which no probe of it runs{near}; they run on: {SUBJECT}"
    )


def test_what_is_said_of_a_subject_that_is_not_selected_is_kept(go: Go) -> None:
    """It is of another run: here `-m`, or the name of a variant, chooses one of two."""
    two = f"@subjects('finch', '{SUBJECT}')" + supported(not_reproduced="{'finch': refuted('known')}")
    run = go("-m", SUBJECT, probes=two)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})
    run = go(f"test_probes.py::test_up[{SUBJECT}]", probes=two)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})


def test_two_probes_of_one_claim_may_run_on_different_subjects(go: Go) -> None:
    """What the claim says of either is looked at by one of them."""
    shared = (
        "it = claim('It rises.', id='rank.up', source='table 1', not_reproduced={'finch': refuted('known')})\n"
        "@subjects('finch')\n@it\ndef test_there(ranks):\n    return\n"
        "@it\ndef test_up(ranks):\n    assert effective_rank(ranks['novice']) > effective_rank(ranks['expert'])\n"
    )
    run = go(probes=shared)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})


def test_a_misspelt_style_is_refused_with_its_file_and_capture(go: Go) -> None:
    """It is said in the plan, before any model work, and is the reason of the verdict."""
    head = HEAD.replace("capture(STYLES, keep", "capture(STYLES.only('novise', 'expert'), keep")
    run = go(probes=SUPPORTED, head=head)
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    (told,) = run.lines(f"plan: broken: test_probes.py: ranks cannot be read on {SUBJECT}: ")
    assert "has no style 'novise', did you mean 'novice'?; there are: " in told
    assert not run.lines("INTERNALERROR")


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("rancs", "test_probes.py::test_up takes 'rancs', and there is no such fixture, did you mean 'ranks'?; "),
        ("shared", "a capture stands at the top of the probe's own file, neither in a class nor in conftest.py"),
    ],
)
def test_a_capture_that_is_no_fixture_is_refused(go: Go, pytester: pytest.Pytester, argument: str, told: str) -> None:
    """One that is misspelt, and one that stands in conftest.py, with where it should stand."""
    pytester.makeconftest(HEAD + "shared = ranks\n")
    run = go(probes=SUPPORTED.replace("(ranks)", f"({argument})").replace('ranks["', f'{argument}["'))
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    assert run.lines(told)


def test_a_capture_in_a_class_is_refused(go: Go) -> None:
    """Pytest does not look for fixtures among the names of a class that is not there yet."""
    body = SUPPORTED.replace("\n", "\n    ").replace("test_up(ranks)", "test_up(self, mine)")
    run = go(probes=f"class TestRanks:\n    mine = ranks\n{body}")
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    assert run.lines("takes 'mine', and there is no such fixture; a capture stands at the top")


def test_an_ordinary_test_that_lacks_a_fixture_is_pytests_affair(go: Go) -> None:
    """Its error stops nothing else."""
    run = go(probes=SUPPORTED + "def test_ordinary(nowhere):\n    pass\n")
    assert (run.code, run.verdicts) == (1, {"rank.up": "supported"})
    assert run.lines("fixture 'nowhere' not found")


@pytest.mark.parametrize(
    "probe",
    [
        SUPPORTED.replace("test_up(ranks)", "test_up()"),
        SUPPORTED.replace("test_up(ranks)", "test_up(saeprobe_subject)").replace(
            "    assert", "    ranks = capture(STYLES)\n    assert"
        ),
    ],
    ids=["forgotten", "made-inside"],
)
def test_a_capture_that_is_no_argument_is_told_to_be_one(go: Go, probe: str) -> None:
    """The declaration itself holds nothing that could be compared."""
    run = go(probes=probe)
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    assert "write its name as an argument of the test" in run.probes[f"rank.up[{SUBJECT}]"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "probes", "code"),
    [
        ((), SUPPORTED + "raise OSError\n", COLLECTION),
        (("no_such_file.py",), SUPPORTED, USAGE),
        (("-m", "sparow"), SUPPORTED, USAGE),
        ((), "def test_forgotten(ranks):\n    pass\n", 0),
        (("-osaeprobe_alpha=0.7",), SUPPORTED, 1),
        (("-k", "nothing"), SUPPORTED, 5),
    ],
    ids=["does-not-import", "no-file", "mark", "no-claim", "setting", "keyword"],
)
def test_a_run_that_decided_nothing_leaves_the_earlier_report(
    go: Go, arguments: tuple[str, ...], probes: str, code: int
) -> None:
    """A typo must not put an empty report in the place of a good one; where a probe was met, the terminal says so."""
    before = go(probes=REFUTED)
    written, page = before.report, before.page
    run = go(*arguments, probes=probes)
    assert run.code == code
    assert (run.report, run.page) == (written, page)
    met = "no_such_file.py" not in arguments and code != COLLECTION
    said = f"no report was written: {run.folder / 'reports' / 'report.json'} is that of an earlier run"
    assert bool(run.lines(said)) is met
    assert not run.lines("LOST")


@pytest.mark.parametrize("alpha", ["0.05", "0.7"], ids=["no-claim", "setting"])
def test_workers_that_decided_nothing_leave_the_earlier_report_too(tmp_path: Path, alpha: str) -> None:
    """The controller, which collects nothing, says so; a worker has met the file of probes."""
    (tmp_path / "pyproject.toml").write_text(f'{INI}saeprobe_alpha = "{alpha}"\n', encoding="utf-8")
    (tmp_path / "test_probes.py").write_text(f"{HEAD}def test_it():\n    pass\n", encoding="utf-8")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report.json").write_text("earlier", encoding="utf-8")
    run = apart(tmp_path, "-n", "1")
    assert run.code == 0
    assert run.lines("report.json is that of an earlier run")
    assert (tmp_path / "reports" / "report.json").read_text(encoding="utf-8") == "earlier"


def test_a_run_that_decided_nothing_writes_no_report(go: Go) -> None:
    """Nor does it speak of one where there is none."""
    run = go("-m", "sparow", probes=SUPPORTED)
    assert run.code == USAGE
    assert not (run.folder / "reports").exists()
    assert not run.lines("earlier run")


def test_a_run_that_was_cut_short_says_so_in_its_report(go: Go) -> None:
    """Once a probe has begun, the report is that of this run, with what it left undecided."""
    go(probes=SUPPORTED)
    leaves = '@claim("It ends.", id="rank.ends", source="none")\ndef test_ends(ranks):\n    pytest.exit("enough")\n'
    run = go(probes=f"import pytest\n{leaves}")
    assert run.code != 0
    assert run.report["planned"] == [f"rank.ends[{SUBJECT}]"]
    assert run.verdicts == {}
