"""The tables of the page show claims at a glance, protocols side by side, and what stands behind each verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from saeprobe.claims import WORDS, Word
from saeprobe.evidence import Answer
from saeprobe.report import planned_name
from saeprobe.report.pictures import MOST_LANES, by_template, mean_of
from saeprobe.report.rebuilt import samples_at
from saeprobe.report.shape import Claim, Control, Document, Evidence, Interval, Probe, Published, Run, Sample, Subject
from saeprobe.verdicts import UNDECIDED
from saeprobe.verdicts.baseline import left

WORST_FIRST: Final[tuple[Word, ...]] = (
    *("broken", "refuted", "explained", "drifted", "inconclusive", "unverifiable", "not run", "supported"),
)
MOST_LEFT_OUT: Final = 20  # probes left out that the page lists
MOST_NAMED: Final = 3  # subjects that the headline names one by one
MOST_MEANS: Final = 12  # measured means that one comparison of protocols lists; the rest stands with each probe
MOST_VALUES: Final = 400  # values of one sample that the page prints one by one
MOST_TEMPLATES: Final = 60  # templates of one sample that the page lists
MOST_UNITS: Final = 120  # units of one side that the page lists
LONGEST_NAME: Final = 90  # characters of a wording beside its value; the whole of it stands with the values by prompt


Line = tuple[str, dict[str, str]]  # a sentence of the interface: its key in `words.toml`, what goes into its places


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A tally counts the claims on one subject; of those that stand all probes are supported, and none is declared."""

    subject: str
    counts: dict[Word, int]
    stand: int

    @property
    def total(self) -> int:
        """Count the claims that were tried."""
        return sum(self.counts.values())

    @property
    def decided(self) -> int:
        """Count the claims on which the subject has a say: neither `not run` nor `unverifiable`."""
        return self.total - self.counts["not run"] - self.counts["unverifiable"]


def anchor(claim: Claim, probe: Probe) -> str:
    """Name the fragment that leads to a probe: `day1.novice-most@sparrow`, with a number from the second on."""
    same = [other.nodeid for other in claim.probes if other.subject == probe.subject]
    place = same.index(probe.nodeid)
    return f"{claim.id}@{probe.subject}" + (f"@{place + 1}" if place else "")


def as_declared(probe: Probe) -> bool:
    """Say whether the verdict of a probe is the declared one; no declaration covers a move of what was approved."""
    declared, approved = probe.declaration, () if probe.baseline is None else probe.baseline.rows
    known = declared is not None and declared.word == probe.verdict
    return known and not left(probe.verdict, (row.agrees for row in approved))


def cell(claim: Claim, subject: str) -> Probe | None:
    """Give the probe of `claim` on `subject` with the worst verdict, or None where it was not tried there."""
    probes = [probe for probe in claim.probes if probe.subject == subject]
    return min(probes, key=lambda probe: (WORST_FIRST.index(probe.verdict), probe.declaration is None), default=None)


def subject_names(document: Document) -> list[str]:
    """List every subject of the report, those described first, then any that only a probe names."""
    probed = [probe.subject for claim in document.claims for probe in claim.probes]
    return list(dict.fromkeys([*(subject.name for subject in document.subjects), *probed]))


def tallies(document: Document) -> list[Tally]:
    """Count the verdicts on each subject."""
    rows: list[Tally] = []
    for name in subject_names(document):
        found = [one for claim in document.claims if (one := cell(claim, name)) is not None]
        counts: dict[Word, int] = {word: sum(one.verdict == word for one in found) for word in WORDS}
        stand = sum(one.verdict == "supported" and one.declaration is None for one in found)
        rows.append(Tally(subject=name, counts=counts, stand=stand))
    return rows


def headline(rows: Sequence[Tally]) -> list[Line]:
    """Say how the run came out: a sentence a subject, or one for all where they are many."""
    tried = sorted((tally for tally in rows if tally.total), key=lambda tally: tally.decided == 0)
    if not tried:
        return [("headline.nothing", {})]
    if len(tried) > MOST_NAMED:
        stand, total = sum(tally.stand for tally in tried), sum(tally.total for tally in tried)
        return [("headline.many", {"stand": str(stand), "total": str(total), "subjects": str(len(tried))})]
    keys = ["headline.one" if tally.stand == 1 else "headline.some" for tally in tried]
    keys = [key if tally.decided else "headline.undecided" for key, tally in zip(keys, tried, strict=True)]
    counts = [{"stand": str(it.stand), "total": str(it.total), "subject": it.subject} for it in tried]
    return list(zip(keys, counts, strict=True))


def silent(document: Document) -> list[str]:
    """List the probes planned that reported nothing; with any of them the report is not whole."""
    reported = {planned_name(claim.id, probe.subject) for claim in document.claims for probe in claim.probes}
    return [name for name in dict.fromkeys(document.planned) if name not in reported]


def runs(document: Document) -> list[tuple[Run, list[str]]]:
    """List the runs, each with the subjects on which something stands that it decided."""
    probes = [probe for claim in document.claims for probe in claim.probes]
    subjects = [dict.fromkeys(one.subject for one in probes if one.run == row) for row in range(len(document.runs))]
    return [(run, list(names)) for run, names in zip(document.runs, subjects, strict=True)]


MeanKey = tuple[str, str, str]  # label, measure and unit
Mean = tuple[float | None, Interval, Published | None]
"""A mean, its interval, and the number printed for it; the mean is None where only the number is known."""


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """A claim stands here on a subject (first) and on a protocol of it; a row has None for a side that lacks it.

    `sides` are the probes with their anchors, `left_out` says how many means are not listed.
    """

    protocol: Subject
    sides: tuple[tuple[Probe, str], ...]
    estimates: tuple[tuple[Evidence, tuple[Evidence | None, ...]], ...]
    means: tuple[tuple[MeanKey, tuple[Mean | None, ...]], ...]
    left_out: int


def side_by_side(claim: Claim, document: Document) -> Iterator[SideBySide]:
    """Compare a claim on each protocol on which it was decided with what was decided on the subject itself."""
    for subject in document.subjects:
        found = [
            next((it for it in claim.probes if it.subject == name and it.verdict not in UNDECIDED), None)
            for name in (subject.protocol_of, subject.name)
        ]
        probes = [probe for probe in found if probe is not None]
        if len(probes) < len(found):
            continue
        means = list(_means(probes, document))
        yield SideBySide(
            protocol=subject,
            sides=tuple((probe, anchor(claim, probe)) for probe in probes),
            estimates=tuple(_estimates(probes, document)),
            means=tuple(means[:MOST_MEANS]),
            left_out=max(0, len(means) - MOST_MEANS),
        )


def _estimates(probes: Sequence[Probe], document: Document) -> Iterator[tuple[Evidence, tuple[Evidence | None, ...]]]:
    made = [[document.evidence[row] for row in probe.evidence] for probe in probes]
    held = [{piece.statement: piece for piece in of_probe} for of_probe in made]
    for statement in dict.fromkeys(name for one in held for name in one):
        sides = tuple(one.get(statement) for one in held)
        yield next(piece for piece in sides if piece is not None), sides


def _means(probes: Sequence[Probe], document: Document) -> Iterator[tuple[MeanKey, tuple[Mean | None, ...]]]:
    samples = [list(samples_at(document, probe.evidence)) for probe in probes]
    measures = {(one.label, one.unit): one.measure for of_probe in samples for one in of_probe}
    held = [_means_of(probe, of_probe, measures) for probe, of_probe in zip(probes, samples, strict=True)]
    for key in dict.fromkeys(key for one in held for key in one):
        yield key, tuple(one.get(key) for one in held)


def _means_of(probe: Probe, samples: Sequence[Sample], measures: Mapping[tuple[str, str], str]) -> dict[MeanKey, Mean]:
    """Give each measured mean of a probe with the number printed for that label.

    A printed number that was not measured here goes under the measure that has its label and unit on either side.
    """
    printed = {(row.label, row.unit): row for row in probe.published}
    means: dict[MeanKey, Mean] = {}
    for one in samples:
        row = printed.pop((one.label, one.unit), None)
        means.setdefault((one.label, one.measure, one.unit), (one.mean, one.interval, row))
    for (label, unit), row in printed.items():
        means[label, measures.get((label, unit), ""), unit] = (None, None, row)
    return means


Template = tuple[str, int, float, float, float]  # a wording: number, mean, lowest and highest of its values
TopicLine = tuple[str, tuple[tuple[float, ...], ...]]  # a topic, with its values on each template


def values_table(sample: Sample, document: Document) -> tuple[list[Template], list[TopicLine]]:
    """Arrange the values of `sample` by template and, where they are not too many, a line a topic."""
    groups = by_template(sample, document)
    values = {wording: [value for _, value in group] for wording, group in groups.items()}
    templates = [(wording, len(of), mean_of(of), min(of), max(of)) for wording, of in values.items()]
    topics = dict.fromkeys(topic for group in groups.values() for topic, _ in group)
    few = len(groups) <= MOST_LANES and len(sample.values) <= MOST_VALUES
    lines = [
        (topic, tuple(tuple(value for name, value in group if name == topic) for group in groups.values()))
        for topic in (topics if few else ())
    ]
    return templates[:MOST_TEMPLATES], lines


@dataclass(frozen=True, kw_only=True)
class UnitSide:
    """The units of one side have their values here, and what they are; `left_out` more are in the JSON."""

    side: str
    what: str
    lines: Sequence[tuple[str, float]]
    left_out: int


def unit_sides(evidence: Evidence) -> list[UnitSide]:
    """Give the units by side, in the order of the test; the two of a pair are numbered alike."""
    groups: dict[str, list[tuple[str, float]]] = {}
    held, pairs = evidence.unit_values, {row: at for at, both in enumerate(evidence.pairs, start=1) for row in both}
    for row, (side, unit, value) in enumerate(zip(held.side, held.unit, held.value, strict=True)):
        name = " ".join(unit.split())
        short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        groups.setdefault(side, []).append((f"{pairs[row]}. {short}" if row in pairs else short, value))
    what = evidence.units or ""
    sorts = [what] * len(groups)
    if what.startswith("templates and topics") and len(groups) > 1:  # paired templates are of one side, like topics
        sorts = ["templates"] * (len(groups) - 1) + ["topics"]
    return [
        UnitSide(side=side, what=sort, lines=lines[:MOST_UNITS], left_out=max(0, len(lines) - MOST_UNITS))
        for sort, (side, lines) in zip(sorts, groups.items(), strict=True)
    ]


Standing = Literal["withstood", "explains", "open", "not-run", "not-judged"]


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A rival is one control and what it makes of the effect; `standing` is a key of `words.toml`."""

    control: Control
    standing: Standing

    @property
    def outcome(self) -> str:
        """Give the outcome whose colour and sign it takes."""
        return {"explains": "explained", "withstood": "supported"}.get(self.standing, "inconclusive")


_STANDING: Final[dict[Answer, Standing]] = {"withstood": "withstood", "explains": "explains", "cannot tell": "open"}


def rivals(evidence: Evidence) -> list[Rival]:
    """Judge the controls of a comparison, in the order declared."""
    standings: list[Standing] = ["not-run" if it.p is None else _STANDING[it.answer] for it in evidence.controls]
    found = [Rival(control=it, standing=of) for it, of in zip(evidence.controls, standings, strict=True)]
    alpha, there = evidence.alpha, evidence.outcome in ("supported", "explained")
    if there or any(rival.standing == "explains" for rival in found):
        return found
    if evidence.p is not None and alpha is not None and evidence.p < alpha and (evidence.estimate or 0) > 0:
        return found
    # Where the claim's own comparison finds no effect there is nothing that a rival could explain.
    return [rival if rival.standing == "not-run" else replace(rival, standing="not-judged") for rival in found]
