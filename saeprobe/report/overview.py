"""What a run says in one line, and at a glance: which claims stand on which subjects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from saeprobe.claims import WORDS, Word
from saeprobe.report.document import (
    ClaimJson,
    Document,
    EvidenceJson,
    ProbeJson,
    PublishedJson,
    SampleJson,
    SubjectJson,
    planned_name,
)

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


MOST_MEANS: Final = 12
"""Measured means that one comparison lists; the rest stands with each probe."""


UNDECIDED: Final = ("not run", "unverifiable", "broken")


@dataclass(frozen=True, kw_only=True)
class Side:
    """A probe and the fragment that leads to it."""

    probe: ProbeJson[int]
    anchor: str


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A measured mean and the number printed for it, on one side; the mean is None where only the number is known."""

    mean: float | None
    interval: list[float] | None
    published: PublishedJson | None


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """One comparison as it came out on each side; None on a side that did not make it."""

    statement: str
    kind: str
    unit: str
    sides: tuple[EvidenceJson[int] | None, ...]


@dataclass(frozen=True, kw_only=True)
class Means:
    """One sample as it came out on each side."""

    label: str
    measure: str
    unit: str
    sides: tuple[Mean | None, ...]


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """A claim on a subject (first) and on a protocol of it; `left_out` means are not listed."""

    protocol: SubjectJson
    sides: tuple[Side, ...]
    estimates: tuple[Estimates, ...]
    means: tuple[Means, ...]
    left_out: int


def side_by_side(claim: ClaimJson, document: Document) -> list[SideBySide]:
    """The comparisons of a claim, one for each protocol on which it was decided as on the subject itself."""
    found: list[SideBySide] = []
    for subject in document["subjects"]:
        probes = [_decided(claim, name) for name in (subject["protocol_of"], subject["name"])]
        sides = tuple(Side(probe=probe, anchor=anchor(claim, probe)) for probe in probes if probe is not None)
        if len(sides) == len(probes):
            found.append(_compare(subject, sides))
    return found


def _decided(claim: ClaimJson, subject: str | None) -> ProbeJson[int] | None:
    """The first probe of a claim on a subject that says something about it."""
    probes = (probe for probe in claim["probes"] if probe["subject"] == subject)
    return next((probe for probe in probes if probe["verdict"] not in UNDECIDED), None)


def _compare(protocol: SubjectJson, sides: tuple[Side, ...]) -> SideBySide:
    means = list(_means(sides))
    return SideBySide(
        protocol=protocol,
        sides=sides,
        estimates=tuple(_estimates(sides)),
        means=tuple(means[:MOST_MEANS]),
        left_out=max(0, len(means) - MOST_MEANS),
    )


def _estimates(sides: Sequence[Side]) -> Iterator[Estimates]:
    by_statement = [{piece["statement"]: piece for piece in side.probe["evidence"]} for side in sides]
    for statement in dict.fromkeys(name for one in by_statement for name in one):
        pieces = tuple(one.get(statement) for one in by_statement)
        first = next(piece for piece in pieces if piece is not None)
        yield Estimates(statement=statement, kind=first["kind"], unit=first["unit"], sides=pieces)


def _means(sides: Sequence[Side]) -> Iterator[Means]:
    measures = {
        (sample["label"], sample["unit"]): sample["measure"] for side in sides for sample in _samples_of(side.probe)
    }
    held = [_means_of(side.probe, measures) for side in sides]
    for key in dict.fromkeys(key for one in held for key in one):
        label, measure, unit = key
        yield Means(label=label, measure=measure, unit=unit, sides=tuple(one.get(key) for one in held))


def _means_of(probe: ProbeJson[int], measures: Mapping[tuple[str, str], str]) -> dict[tuple[str, str, str], Mean]:
    """The measured means of a probe by label, measure and unit, each with what was printed for that label.

    A printed number that was not measured here goes under the measure that has its label and unit on either side.
    """
    printed = {(row["label"], row["unit"]): row for row in probe["published"]}
    means: dict[tuple[str, str, str], Mean] = {}
    for sample in _samples_of(probe):
        row = printed.pop((sample["label"], sample["unit"]), None)
        key = (sample["label"], sample["measure"], sample["unit"])
        means.setdefault(key, Mean(mean=sample["mean"], interval=sample["interval"], published=row))
    for (label, unit), row in printed.items():
        key = (label, measures.get((label, unit), ""), unit)
        means[key] = Mean(mean=None, interval=None, published=row)
    return means


def _samples_of(probe: ProbeJson[int]) -> Iterator[SampleJson[int]]:
    for piece in probe["evidence"]:
        yield from _samples(piece)


def _samples(evidence: EvidenceJson[int]) -> Iterator[SampleJson[int]]:
    yield from evidence["samples"]
    for part in evidence["parts"]:
        yield from _samples(part)
