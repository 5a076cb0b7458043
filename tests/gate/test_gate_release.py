"""Releases: which verdicts let an article through, which hold it, and what a report cannot tell."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.claims import WORDS, NonReproduction, Word, refuted
from saeprobe.evidence import Agreement
from saeprobe.gate import EXIT_CODES, Release, decide_release, render
from saeprobe.gate.article import Article, Citation
from saeprobe.gate.many import decide_all, decision_on, in_words
from saeprobe.gate.policy import Doubt
from saeprobe.report import plain, read_report
from saeprobe.report.shape import (
    SCHEMA,
    SCHEMA_VERSION,
    Baseline,
    Claim,
    Document,
    Probe,
    Prompts,
    Published,
    Run,
    Subject,
)
from saeprobe.verdicts.baseline import BaselineRow

HELD = ("explained", "drifted", "refuted", "inconclusive", "unverifiable", "broken")


def article(*claims: str | Citation) -> Article:
    cited = tuple(Citation(id=claim) if isinstance(claim, str) else claim for claim in claims)
    return Article(path=Path("a.md"), title="T", language="en", claims=cited)


def on(claim: str, subject: str) -> Citation:
    return Citation(id=claim, subject=subject)


def probe(number: int, subject: str, verdict: str, declaration: NonReproduction | None) -> Probe:
    return Probe(
        nodeid=f"probes/test_it.py::test_{number}[{subject}]",
        subject=subject,
        verdict=cast(Word, verdict),
        reason=f"reason {number}",
        scope="these 8 templates",
        declaration=declaration,
        duration_s=0.1,
        published=(),
        p=None,
        q=None,
        evidence=(),
        baseline=None,
    )


def report(
    *probes: tuple[str, str, str],
    planned: list[str] | None = None,
    declared: NonReproduction | None = None,
    command: str = "pytest probes/",
    dirty: bool | None = None,
    changed: tuple[str, ...] = (),
) -> Document:
    """Make a report of probes given as claim, subject and verdict."""
    claims: dict[str, list[Probe]] = {}
    for number, (claim, subject, verdict) in enumerate(probes):
        claims.setdefault(claim, []).append(probe(number, subject, verdict, declared))
    return Document(
        schema=SCHEMA,
        schema_version=SCHEMA_VERSION,
        generated="2026-01-02T03:04:05+00:00",
        run=Run(
            command=command,
            exit_code=0,
            duration_s=1.0,
            alpha=0.05,
            seed=0,
            workers=0,
            commit=None,
            dirty=dirty,
            changed=changed,
            python="3.11.7",
            platform="Linux",
            device="cpu",
            evidence_dir=None,
            versions={},
            computed_prompts=0,
            stored_prompts=0,
            ended="2026-07-01T12:00:00+00:00",
            files={},
        ),
        counts={word: sum(verdict == word for _, _, verdict in probes) for word in WORDS},
        planned=tuple(f"{claim}[{subject}]" for claim, subject, _ in probes) if planned is None else tuple(planned),
        subjects=(),
        rules={},
        claims=tuple(
            Claim(id=name, sentence="It holds.", source="here", controls=(), probes=tuple(held))
            for name, held in claims.items()
        ),
        chance=(),
        evidence=(),
        samples=(),
        prompts=Prompts(text=(), style=(), topic=(), template=()),
    )


def test_supported_claims_release():
    """An article appears when every claim it cites is supported."""
    release = decide_release(article("a", "b"), report(("a", "sparrow", "supported"), ("b", "sparrow", "supported")))
    assert (release.decision, EXIT_CODES[release.decision]) == ("release", 0)


@pytest.mark.parametrize("verdict", HELD)
def test_any_other_verdict_holds(verdict: str):
    """One cited claim that is not established holds the article, whatever became of the others."""
    release = decide_release(article("a", "b"), report(("a", "sparrow", "supported"), ("b", "sparrow", verdict)))
    assert (release.decision, EXIT_CODES[release.decision]) == ("hold", 1)
    assert [ruling.decision for ruling in release.rulings] == ["release", "hold"]


@pytest.mark.parametrize("verdict", WORDS)
def test_a_declared_non_reproduction_holds(verdict: str):
    """What is declared not to hold is held whatever came out, xfailed or not, until the declaration is taken away."""
    release = decide_release(article("a"), report(("a", "sparrow", verdict), declared=refuted("known")))
    assert release.decision == "hold"
    away = "take the declaration away, if it is right that the sentence holds; then make the whole report again"
    assert (away in " ".join(render(release).split())) == (verdict == "supported")


def test_claims_that_are_not_cited_decide_nothing():
    """A refuted claim elsewhere in the report is no business of this article."""
    assert decide_release(article("a"), report(("a", "s", "supported"), ("b", "s", "refuted"))).decision == "release"


@pytest.mark.parametrize(("first", "second"), [("refuted", "not run"), ("not run", "refuted")])
def test_holding_goes_before_not_knowing(first: str, second: str):
    """Where one claim holds and another is open, the article is held."""
    assert decide_release(article("a", "b"), report(("a", "s", first), ("b", "s", second))).decision == "hold"


def test_every_subject_counts_where_none_is_cited():
    """Cited without a subject, a claim must be supported on each subject that was run."""
    both = report(("a", "sparrow", "supported"), ("a", "finch", "refuted"))
    assert decide_release(article("a"), both).decision == "hold"
    assert decide_release(article(on("a", "sparrow")), both).decision == "release"
    assert decide_release(article(on("a", "finch")), both).decision == "hold"


def test_a_subject_that_was_not_run_counts_only_where_it_is_cited():
    """Absent weights leave a claim to the other subjects, unless it is cited on the absent one."""
    partly = report(("a", "sparrow", "supported"), ("a", "llama70b", "not run"))
    assert decide_release(article("a"), partly).decision == "release"
    assert decide_release(article(on("a", "llama70b")), partly).decision == "cannot tell"


def test_a_claim_run_nowhere_cannot_be_told():
    """At least one subject must have been run."""
    assert decide_release(article("a"), report(("a", "llama70b", "not run"))).decision == "cannot tell"


def test_every_probe_of_a_claim_counts():
    """Where several probes decide one claim on one subject, all must support it."""
    two = report(("a", "sparrow", "supported"), ("a", "sparrow", "inconclusive"))
    assert decide_release(article(on("a", "sparrow")), two).decision == "hold"


def test_a_claim_that_is_not_in_the_report_cannot_be_told():
    """An id without a probe is undecided, and a near one is proposed."""
    release = decide_release(article("day1.spars"), report(("day1.sparse", "sparrow", "supported")))
    assert release.decision == "cannot tell"
    assert release.rulings[0].gaps[0][0] == "no probe in the report has this id, did you mean 'day1.sparse'?"


def test_a_subject_that_is_not_in_the_report_cannot_be_told():
    """A claim cited on a subject that was not even planned is undecided; the gap says where it was run."""
    release = decide_release(article(on("a", "gpt2")), report(("a", "sparrow", "supported")))
    assert release.decision == "cannot tell"
    assert release.rulings[0].gaps[0][0] == "the report has it on sparrow only"


def test_a_claim_on_other_subjects_alone_is_to_be_cited_there():
    """The article's subject is the first remedy; a run on that subject helps only where a probe names it."""
    probes = report(("a", "mine", "supported"), ("a", "sparrow", "supported"), planned=["b[finch]", "a[mine]"])
    text = " ".join(render(decide_release(article(on("a", "finch")), probes)).split())
    assert "on mine, sparrow only -> write subject: mine or sparrow in the article; where its probe has" in text
    assert "has subjects('finch') too, pytest probes/ -m finch writes a new report" in text
    lost = report(("a", "mine", "supported"), planned=["a[mine]", "a[finch]"])
    assert "write subject:" not in render(decide_release(article(on("a", "finch")), lost))


@pytest.mark.parametrize(
    ("cited", "verdict", "code"),
    [
        ("sparrow", "supported", 2),
        (None, "supported", 2),
        ("sparrow+finch", "supported", 2),
        ("finch", "supported", 0),
        ("sparrow", "refuted", 1),
    ],
)
def test_a_subject_that_was_given_other_prompts_releases_nothing(cited: str | None, verdict: str, code: int):
    """Its own numbers are not in the report; what it read is said, and how to come to them."""
    on_each = [("a", name, verdict) for name in ("sparrow", "finch", "sparrow+finch")]
    given_one = (Subject(name="sparrow", other_prompts="six.toml (0123abcd)"), Subject(name="finch"))
    release = decide_release(article(Citation(id="a", subject=cited)), replace(report(*on_each), subjects=given_one))
    assert EXIT_CODES[release.decision] == code
    said = " ".join(render(release).split())
    assert ("sparrow reads six.toml (0123abcd) in the place of STYLES" in said) is bool(code)
    assert ("name no sparrow in saeprobe_prompts and --saeprobe-prompts" in said) is bool(code)


@pytest.mark.parametrize("missing", ["a[finch]", "a[sparrow]"])
def test_a_probe_planned_but_not_reported_leaves_its_claim_open(missing: str):
    """A run cut short releases nothing that it had still to decide, not even on a subject it had begun with."""
    cut = report(("a", "sparrow", "supported"), planned=["a[sparrow]", missing])
    release = decide_release(article("a"), cut)
    assert release.decision == "cannot tell"
    assert release.rulings[0].gaps[0][0] == f"planned but not reported: {missing}; the run did not come to its end"


def test_a_probe_lost_on_another_subject_or_claim_does_not_matter():
    """A citation asks for its own claim and subject alone; `a` is not the beginning of `ab`."""
    cut = report(("a", "sparrow", "supported"), planned=["a[sparrow]", "a[finch]", "ab[sparrow]"])
    assert decide_release(article(on("a", "sparrow")), cut).decision == "release"
    whole = report(("a", "sparrow", "supported"), planned=["a[sparrow]", "ab[sparrow]"])
    assert decide_release(article("a"), whole).decision == "release"


@pytest.mark.parametrize(("reason", "decision"), [("skipped: slow", "cannot tell"), ("no weights", "release")])
@pytest.mark.parametrize("subject", ["sparrow", "finch"])
def test_a_probe_that_somebody_put_by_leaves_its_claim_open(subject: str, reason: str, decision: str):
    """A mark of skip on the probe, or the subject, that refutes a claim would let it out; what is absent is not run."""
    made = report(("a", "sparrow", "supported"), ("a", subject, "not run"))
    (claim,) = made.claims
    last = replace(claim.probes[1], reason=reason)
    release = decide_release(article("a"), replace(made, claims=(replace(claim, probes=(claim.probes[0], last)),)))
    assert release.decision == ("cannot tell" if subject == "sparrow" else decision)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["sparrow", "finch"]), st.sampled_from(WORDS))),
    st.lists(st.sampled_from("abcd"), min_size=1, unique=True),
)
def test_nothing_is_released_without_support(probes: list[tuple[str, str, str]], cited: list[str]):
    """Whatever a report holds: released means that each cited claim was run and that all that ran is supported."""
    tried = {(claim, subject) for claim, subject, word in probes if word != "not run"}
    ran = {claim: {word for one, on, word in probes if one == claim and (one, on) in tried} for claim in cited}
    release = decide_release(article(*cited), report(*probes))
    assert (release.decision == "release") == all(words == {"supported"} for words in ran.values())
    assert (release.decision == "hold") == any(words - {"supported", "not run"} for words in ran.values())


def test_the_text_says_what_holds_it_and_what_to_do():
    """What holds comes first, with the verdict's reason and a command; the counts and the exit code come last."""
    probes = report(("a", "sparrow", "supported"), ("b", "sparrow", "not run"), ("c", "sparrow", "refuted"))
    assert render(decide_release(article("a", "b", on("c", "sparrow"), "d"), probes)).splitlines() == [
        "HOLD  a.md",
        "  T",
        "",
        "  hold         c[sparrow]",
        "               refuted on sparrow: reason 2",
        "               -> take the sentence out, or write what was found; the evidence again, in a report of",
        '                 a part: pytest "probes/test_it.py::test_2[sparrow]"',
        "  cannot tell  b",
        "               not run on sparrow: reason 1",
        "               -> bring what is absent; then make the whole report again: pytest probes/",
        "  cannot tell  d",
        "               no probe in the report has this id",
        "               -> pytest probes/ -m sparrow writes a new report; if no probe decides this claim yet,",
        "                 write one or take the claim out",
        "  release      a",
        "               supported on sparrow: reason 0",
        "               scope: these 8 templates",
        "               run without a commit on 2026-07-01, alpha = 0.05; controls: none",
        "",
        "1 of 4 claims released, 1 held, 2 undecided; exit code 1",
    ]


def test_a_new_report_is_to_hold_all_that_the_article_cites():
    """A run on the one subject that is missing would take the others out of the report."""
    cited = article(on("a", "sparrow"), on("b", "gpt2"), on("c", "sparrow+finch"))
    text = render(decide_release(cited, report(("a", "sparrow", "supported"))))
    assert text.count('-> pytest probes/ -m "sparrow or gpt2 or sparrow and finch" writes a new report') == 2


def test_a_gap_of_every_claim_is_said_once():
    """It stands once, before the counts; a gap of one claim stands under it, and so does all of an only claim."""
    two = report(("a", "sparrow", "supported"), ("b", "sparrow", "supported"))
    both, one = ("the run is too old", "run again"), ("no control", "declare one")

    def doubt(_: Document, claim: Claim, __: Probe) -> list[Doubt]:
        return [both, one] if claim.id == "a" else [both]

    doubts = [doubt]
    assert render(decide_release(article("a", "b"), two, doubts)).splitlines()[3:] == [
        "  cannot tell  a",
        "               supported on sparrow: reason 0",
        "               scope: these 8 templates",
        "               run without a commit on 2026-07-01, alpha = 0.05; controls: none",
        "               no control",
        "               -> declare one",
        "  cannot tell  b",
        "               supported on sparrow: reason 1",
        "               scope: these 8 templates",
        "               run without a commit on 2026-07-01, alpha = 0.05; controls: none",
        "  of every claim:",
        "               the run is too old",
        "               -> run again",
        "",
        "0 of 2 claims released, 0 held, 2 undecided; exit code 2",
    ]
    assert "of every claim" not in render(decide_release(article("a"), two, doubts))
    assert "of every claim" not in render(decide_release(article("a", "c"), two, doubts))


def test_a_claim_is_decided_again_by_the_run_that_made_the_report():
    """A run of its probe alone would leave a report of one claim."""
    made = report(("a", "sparrow", "inconclusive"), command="pytest mine/ -m 'sparrow or gpt2'")
    text = render(decide_release(article("a"), made))
    assert "then make the whole report again: pytest mine/ -m 'sparrow or gpt2'" in " ".join(text.split())


def test_the_text_tells_of_a_declared_non_reproduction():
    """A declared failure is shown with the reason that was declared."""
    text = render(decide_release(article("a"), report(("a", "sparrow", "refuted"), declared=refuted("lengths differ"))))
    assert "refuted on sparrow, a declared non-reproduction: reason 0" in text
    assert "declared refuted because: lengths differ" in text
    assert "or write what was found and cite it no longer" in text
    assert text.endswith("0 of 1 claim released, 1 held, 0 undecided; exit code 1")


@pytest.mark.parametrize(("dirty", "warned"), [(True, True), (False, False), (None, False)])
@pytest.mark.parametrize(("verdict", "code"), [("supported", 0), ("refuted", 1), ("not run", 2)])
def test_a_report_of_uncommitted_changes_is_warned_of(verdict: str, code: int, *, dirty: bool | None, warned: bool):
    """The text names them; the decision is that of the verdicts, and of what else there is against the run."""
    run = report(("a", "sparrow", verdict), dirty=dirty, changed=("b.py", "c.py", "d.py", "e.py") if dirty else ())

    release = decide_release(article("a"), run)

    assert EXIT_CODES[release.decision] == code
    warning = "warning: the report is of a tree with uncommitted changes"
    assert (f"\n\n{warning}" in render(release)) == warned
    assert ("before the article appears:\n  b.py, c.py, d.py and 1 more\n" in render(release)) == warned
    assert render(release).endswith(f"exit code {code}")


@pytest.mark.parametrize(
    ("rows", "printed", "remedy"),
    [
        ([False, True], [], "find out what moved it, or accept the new value with 'saeprobe approve'"),
        (
            [None],
            ["agrees", "cannot be compared"],
            "find out what moved it, or accept the new value with 'saeprobe approve'",
        ),
        ([False], ["agrees", "drifted"], "write the number that was measured"),
        ([True], ["drifted"], "write the number that was measured"),
        ([True], [], "write the number that was measured"),
    ],
)
def test_a_claim_that_left_its_baseline_alone_can_be_approved(
    rows: list[bool | None], printed: list[Agreement], remedy: str
):
    """It is held like any that drifted; where a printed number is wrong too, approving would not mend the article."""
    more = {
        "baseline": Baseline(
            approved_by="Ada",
            because="it is",
            on="2026-01-01",
            verdict="supported",
            commit=None,
            rows=tuple(unknown(BaselineRow, agrees=agrees) for agrees in rows),
            changed=(),
        ),
        "published": tuple(unknown(Published, answer=answer) for answer in printed),
    }

    def decided(verdict: str) -> Release:
        made = report(("a", "sparrow", verdict))
        (claim,) = made.claims
        (only,) = claim.probes
        return decide_release(article("a"), replace(made, claims=(replace(claim, probes=(replace(only, **more),)),)))

    release = decided("drifted")
    assert release.decision == "hold"
    assert remedy in " ".join(render(release).split())
    assert "take the sentence out" in render(decided("refuted"))


def unknown(kind: Any, **known: object) -> Any:
    return kind(**{field.name: None for field in fields(kind)} | known)


@pytest.mark.parametrize("verdict", WORDS)
def test_every_verdict_can_be_told(verdict: str):
    """For each verdict there is a text that names it."""
    assert f"{verdict} on sparrow: reason 0" in render(decide_release(article("a"), report(("a", "sparrow", verdict))))


def run_gate(path: Path, report: Path) -> tuple[int, str]:
    """The exit code and the text for one article."""
    decided = decide_all([path], report)
    return EXIT_CODES[decision_on(decided)], in_words(decided)


def files(folder: Path, document: object, claims: str = "[a]") -> tuple[Path, Path]:
    (folder / "a.md").write_text(f"---\ntitle: T\nlanguage: en\nclaims: {claims}\n---\n", encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(plain(document, "report")), encoding="utf-8")
    return folder / "a.md", folder / "report.json"


@pytest.mark.parametrize(("verdict", "code"), [("supported", 0), ("refuted", 1), ("not run", 2)])
def test_the_gate_runs_on_files(tmp_path: Path, verdict: str, code: int):
    """From an article and a report on disk come the exit code and the text."""
    found, text = run_gate(*files(tmp_path, report(("a", "sparrow", verdict))))
    assert found == code
    assert text.endswith(f"exit code {code}")


def test_the_reports_of_these_tests_are_reports(tmp_path: Path):
    """What the tests decide on follows the schema that ships with the package."""
    _, path = files(tmp_path, report(("a", "sparrow", "supported")))
    assert read_report(path) == report(("a", "sparrow", "supported"))


def test_files_that_cannot_be_used_are_never_a_release(tmp_path: Path):
    """A missing or damaged report and an article that cites nothing give exit code 2 and say why."""
    supported = report(("a", "sparrow", "supported"))
    good, damaged = files(tmp_path, {**plain(supported, "report"), "claims": None})
    assert run_gate(good, damaged)[0] == 2
    code, text = run_gate(good, tmp_path / "absent.json")
    assert code == 2
    assert text.startswith("CANNOT TELL")
    assert "absent.json" in text
    code, text = run_gate(*files(tmp_path, supported, claims="[]"))
    assert code == 2
    assert "lists no claim" in text
