"""Reports of several runs stand as one: what is kept, what is counted again, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report_samples import RUN, document_of, greater, record, sample

from saeprobe.claims import Claim, Verdict, Word
from saeprobe.report import ProbeRecord, probe_to_json
from saeprobe.report.shape import Document, LeftOut
from saeprobe.report.uniting import UnitingError, merge, on_subjects, united, variants_of

LATER = "2026-12-01T00:00:00+00:00"


def decided(claim: str, subject: str, mean: float, word: Word = "supported") -> ProbeRecord:
    """A probe with evidence that nothing else in a report has."""
    piece = greater(sample("novice", mean), sample("expert", 3))
    return probe_to_json(
        claim=Claim(id=claim, sentence=f"Sentence {claim}.", source="here", controls=()),
        nodeid=f"t.py::{claim}[{subject}]",
        subject=subject,
        verdict=Verdict(word=word, reason="because"),
        evidence=[piece],
        published=[],
        duration_s=0.1,
    )


ROWS = [
    decided("a", "sparrow", 9),
    decided("b", "sparrow", 8, "refuted"),
    decided("a", "finch", 7),
    decided("b", "finch", 9),
]
WHOLE = document_of(ROWS)


def of(*records: ProbeRecord, **run: Any) -> Document:
    """A report of these records, by a run with other values."""
    document = document_of(list(records))
    return replace(document, run=replace(RUN, **run))


def seen(document: Document) -> list[tuple[object, ...]]:
    """What a report says of each probe, whatever the rows in its tables."""
    return sorted(
        (probe.nodeid, probe.verdict, probe.p, probe.q, *(document.evidence[row].reason for row in probe.evidence))
        for claim in document.claims
        for probe in claim.probes
    )


def test_two_halves_stand_as_the_whole() -> None:
    """Verdicts, q, chance, counts and what was planned come out as in the report of both."""
    first, second = (united(on_subjects(WHOLE, [name]), generated=LATER) for name in ("sparrow", "finch"))
    again = united(second, first, generated=LATER)
    assert (seen(again), again.counts) == (seen(WHOLE), WHOLE.counts)
    assert {one.subject: one for one in again.chance} == {one.subject: one for one in WHOLE.chance}
    assert sorted(again.planned) == sorted(WHOLE.planned)
    assert variants_of(again) == ["finch", "sparrow"]


def test_a_half_carries_no_evidence_of_the_other() -> None:
    """Only rows that a probe names, or a row so named, are taken over."""
    half = united(on_subjects(WHOLE, ["sparrow"]), generated=LATER)
    assert len(half.evidence) == 2
    assert {one.mean for one in half.samples} < {one.mean for one in WHOLE.samples}


def test_each_probe_names_the_run_that_decided_it() -> None:
    """Of an earlier run the commit, alpha and time stand with its own probes."""
    new, old = of(ROWS[2], commit="new", alpha=0.01), of(ROWS[0], commit="old")
    again = united(new, old, generated=LATER)
    commits = {probe.subject: again.runs[probe.run].commit for claim in again.claims for probe in claim.probes}
    assert (commits, again.run.commit) == ({"finch": "new", "sparrow": "old"}, "new")


def test_what_another_run_ran_was_not_left_out() -> None:
    """By node id for a variant, and by its function where that was all there was to name."""
    ran = ROWS[2]["nodeid"]
    left = [
        LeftOut(claim="a", subject="finch", where=where, why="-m") for where in (ran, ran.partition("[")[0], "t.py::c")
    ]
    again = united(replace(of(ROWS[0]), left_out=tuple(left)), of(ROWS[2]), generated=LATER)
    assert [one.where for one in again.left_out] == ["t.py::c"]


def test_a_claim_that_is_stated_otherwise_is_refused() -> None:
    """One sentence would stand over evidence on another."""
    other = record("a", subject="finch", source="elsewhere")
    with pytest.raises(
        UnitingError, match=r"the claim 'a' is stated otherwise in the two: 'Sentence a\.' \(here\) and"
    ):
        united(of(ROWS[0]), of(other), generated=LATER)


def test_merging_says_what_stands_in_both() -> None:
    """It is kept once."""
    document, said = merge(of(ROWS[0], ROWS[2]), of(ROWS[2], ROWS[1]), generated=LATER)
    assert said == ["both have 1 probe on finch, alike; what the first says is kept"]
    assert seen(document) == seen(document_of([ROWS[0], ROWS[2], ROWS[1]]))
    assert sorted(document.planned) == ["a[finch]", "a[sparrow]", "b[sparrow]"]


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"commit": "abc"}, "they are of different runs: commit 0123456789ab and abc; run both alike, at one commit"),
        ({"commit": None}, "commit 0123456789ab and no commit"),
        ({"alpha": 0.01}, r"alpha 0\.05 and 0\.01"),
        ({"seed": 1}, "seed .* and 1"),
        ({"files": {"t.py": "2"}}, r"they have read different files: t\.py; run both at one commit, unchanged"),
    ],
)
def test_reports_of_runs_that_differ_are_refused(run: dict[str, Any], said: str) -> None:
    """They would decide together what no run has decided."""
    with pytest.raises(UnitingError, match=said):
        merge(of(ROWS[0], files={"t.py": "1"}), of(ROWS[2], **{"files": {"t.py": "1"}} | run), generated=LATER)


def test_a_probe_that_came_out_otherwise_is_refused() -> None:
    """Of two verdicts on the same thing neither may be chosen."""
    with pytest.raises(
        UnitingError, match=r"t\.py::a\[sparrow\] is supported in one and refuted in the other; find out"
    ):
        merge(of(ROWS[0]), of(decided("a", "sparrow", 9, "refuted")), generated=LATER)
