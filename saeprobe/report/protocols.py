"""Protocols side by side: a claim decided on a subject and on another protocol of it, number beside number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from saeprobe.report.overview import anchor
from saeprobe.report.shape import ClaimJson, Document, EvidenceJson, ProbeJson, PublishedJson, SampleJson, SubjectJson

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
