"""What a run says in one line, and at a glance: which claims stand on which subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saeprobe.claims import WORDS, Word
from saeprobe.report.document import planned_name
from saeprobe.report.shape import ClaimJson, Document, ProbeJson, SubjectJson

WORST_FIRST: tuple[Word, ...] = (
    "broken",
    "refuted",
    "drifted",
    "inconclusive",
    "unverifiable",
    "not run",
    "supported",
)
MOST_NAMED = 3
"""Subjects that the headline names one by one."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A sentence of the interface: its key in `words.toml` and what goes into its places."""

    key: str
    values: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How the claims fared on one subject; a claim stands where all of its probes there are supported."""

    subject: str
    identity: SubjectJson | None
    stand: int
    total: int
    counts: dict[Word, int]

    @property
    def decided(self) -> int:
        """Claims on which the subject has a say: neither `not run` nor `unverifiable`."""
        return self.total - self.counts["not run"] - self.counts["unverifiable"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The verdict of one claim on one subject: of several probes the worst. `probe` is the first that has it."""

    word: Word
    declared: bool
    anchor: str


def anchor(claim: ClaimJson, probe: ProbeJson[int]) -> str:
    """The fragment that leads to a probe: `day1.novice-most@sparrow`, with a number from the second on."""
    same = [other["nodeid"] for other in claim["probes"] if other["subject"] == probe["subject"]]
    place = same.index(probe["nodeid"])
    return f"{claim['id']}@{probe['subject']}" + (f"@{place + 1}" if place else "")


def cell(claim: ClaimJson, subject: str) -> Cell | None:
    """The worst verdict of `claim` on `subject`, or None where it was not tried there."""
    probes = [probe for probe in claim["probes"] if probe["subject"] == subject]
    if not probes:
        return None
    worst = min(probes, key=lambda probe: WORST_FIRST.index(probe["verdict"]))
    return Cell(word=worst["verdict"], declared=worst["declared"] is not None, anchor=anchor(claim, worst))


def subject_names(document: Document) -> list[str]:
    """Every subject of the report, those described first, then any that only a probe names."""
    described = [subject["name"] for subject in document["subjects"]]
    probed = [probe["subject"] for claim in document["claims"] for probe in claim["probes"]]
    return list(dict.fromkeys([*described, *probed]))


def tallies(document: Document) -> list[Tally]:
    """One tally a subject."""
    known = {subject["name"]: subject for subject in document["subjects"]}
    rows: list[Tally] = []
    for name in subject_names(document):
        cells = [found for claim in document["claims"] if (found := cell(claim, name)) is not None]
        counts: dict[Word, int] = {word: sum(found.word == word for found in cells) for word in WORDS}
        rows.append(
            Tally(subject=name, identity=known.get(name), stand=counts["supported"], total=len(cells), counts=counts)
        )
    return rows


def _of_one(tally: Tally) -> Line:
    values = {"stand": str(tally.stand), "total": str(tally.total), "subject": tally.subject}
    if not tally.decided:
        return Line(key="headline.undecided", values=values)
    return Line(key="headline.one" if tally.stand == 1 else "headline.some", values=values)


def headline(rows: Sequence[Tally]) -> list[Line]:
    """What the run says: a sentence a subject, or one for all where they are many."""
    tried = sorted((tally for tally in rows if tally.total), key=lambda tally: tally.decided == 0)
    if not tried:
        return [Line(key="headline.nothing", values={})]
    if len(tried) <= MOST_NAMED:
        return [_of_one(tally) for tally in tried]
    stand, total = sum(tally.stand for tally in tried), sum(tally.total for tally in tried)
    values = {"stand": str(stand), "total": str(total), "subjects": str(len(tried))}
    return [Line(key="headline.many", values=values)]


def silent(document: Document) -> list[str]:
    """The probes planned that reported nothing; a report with any of them cannot be trusted to be whole."""
    reported = {
        planned_name(claim["id"], probe["subject"]) for claim in document["claims"] for probe in claim["probes"]
    }
    return [name for name in dict.fromkeys(document["planned"]) if name not in reported]
