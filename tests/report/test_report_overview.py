"""The first line of the page and the claims at a glance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from report_samples import record

from saeprobe.claims import Word
from saeprobe.report import ProbeRecord
from saeprobe.report.overview import Line, headline, tallies
from saeprobe.report.shape import Document

Make = Callable[[list[ProbeRecord]], Document]


@pytest.mark.parametrize(
    ("cases", "wanted"),
    [
        ([], [("headline.nothing", "")]),
        ([("a.a", "supported", "s"), ("a.b", "refuted", "s")], [("headline.one", "1/2 s")]),
        ([("a.a", "supported", "s"), ("a.b", "supported", "s")], [("headline.some", "2/2 s")]),
        ([("a.a", "not run", "s")], [("headline.undecided", "0/1 s")]),
        ([("a.a", "supported", "s"), ("a.a", "drifted", "t")], [("headline.one", "1/1 s"), ("headline.some", "0/1 t")]),
        (
            [("a.a", "unverifiable", "s"), ("a.a", "refuted", "t")],
            [("headline.some", "0/1 t"), ("headline.undecided", "0/1 s")],
        ),
        ([("a.a", "supported", name) for name in "stuv"], [("headline.many", "4/4 ")]),
    ],
)
def test_the_first_line_says_what_stands(
    make_document: Make, cases: list[tuple[str, Word, str]], wanted: list[tuple[str, str]]
) -> None:
    """The headline counts claims by subject, and all at once where subjects are many."""
    document = make_document([record(claim_id, word=word, subject=subject) for claim_id, word, subject in cases])

    def short(line: Line) -> tuple[str, str]:
        key, values = line
        return key, f"{values['stand']}/{values['total']} {values.get('subject', '')}" if values else ""

    assert [short(line) for line in headline(tallies(document))] == wanted


def test_a_claim_stands_only_where_all_its_probes_do(make_document: Make) -> None:
    """Of two probes of one claim on one subject the worse one counts."""
    good, bad = record("a.a"), record("a.a", word="inconclusive")
    bad["nodeid"] += "[2]"

    (tally,) = [it for it in tallies(make_document([good, bad])) if it.subject == "sparrow"]

    assert (tally.stand, tally.total) == (0, 1)
