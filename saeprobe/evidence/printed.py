"""Printed tables: what the numbers in a source say of its own sentence, without any subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from saeprobe.claims import Published, did_you_mean
from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Sample, UnitValue
from saeprobe.evidence.units import refuse_controls, sample_of
from saeprobe.evidence.values import PrintedNumber
from saeprobe.evidence.wholes import each_holds, worst

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


SCOPE = "the printed table alone"


RULE = (
    "refuted where the printed numbers contradict the sentence whatever they were rounded from; inconclusive "
    "otherwise: a printed number has no prompts behind it that could be tested"
)


AGREES = "the printed numbers agree with the sentence, but they are all there is: nothing tells chance from effect"


@dataclass(frozen=True, kw_only=True, repr=False)
class PrintedTable:
    """The numbers that a source prints, by label; compare them with each other as a sentence about them reads."""

    numbers: Published
    source: str

    def __repr__(self) -> str:
        return f"<{self.source}: {', '.join(self.numbers.values)}>"

    def __getitem__(self, label: str) -> PrintedNumber:
        """The number under a label.

        Raises:
            KeyError: the table prints none.
        """
        if label not in self.numbers.printed:
            meant = did_you_mean(label, self.numbers.printed)
            raise KeyError(f"{self.source} prints no {label!r}{meant}; it prints: {', '.join(self.numbers.printed)}")
        return PrintedNumber(
            label=label,
            printed=self.numbers.printed[label],
            unit=self.numbers.unit,
            n=self.numbers.n,
            source=self.source,
        )


def printed(numbers: Published, *, source: str = "") -> PrintedTable:
    """A table as a source prints it: `printed(published(novice=137, expert=114, unit="features"), source="table 1")`.

    Raises:
        ValueError: nothing says where the numbers stand.
    """
    where = source or numbers.source
    if not where:
        raise ValueError("printed() without a source; write printed(published(...), source='SAE Inspect, table 1')")
    return PrintedTable(numbers=numbers, source=where)


Printed = PrintedNumber | float


def printed_greater(larger: Printed, smaller: Printed) -> Evidence:
    """Evidence on `larger > smaller` among printed numbers, or beside a plain one.

    Raises:
        TypeError: the numbers stand in two tables or two units, or the claim asks for controls.
    """
    _check(larger, smaller)
    gap, slack = _value(larger) - _value(smaller), _rounding(larger) + _rounding(smaller)
    if gap <= -slack:
        reason = f"the table itself has {_told(larger)} below {_told(smaller)}"
    elif gap < slack:
        reason = f"printed are {_told(larger)} and {_told(smaller)}: nearer to each other than they are rounded"
    else:
        reason = f"{_told(larger)} above {_told(smaller)}: {AGREES}"
    return _evidence(f"{_label(larger)} > {_label(smaller)}", larger, smaller, reason, contradicted=gap <= -slack)


def printed_equal(a: Printed, b: Printed, *, margin: float) -> Evidence:
    """Evidence that printed numbers, or one and a plain number, are equal up to a margin.

    Raises:
        TypeError: the numbers stand in two tables or two units, or the claim asks for controls.
    """
    _check(a, b)
    apart, slack, most = abs(_value(a) - _value(b)), _rounding(a) + _rounding(b), Decimal(repr(float(margin)))
    both = f"{_told(a)} and {_told(b)}, {apart} apart"
    if apart > most + slack:
        reason = f"the table itself has {both}"
    elif apart > most - slack and margin:
        reason = f"printed are {both}: rounding decides whether that is within {margin:g}"
    else:
        reason = f"{both}: {AGREES}"
    within = f" ± {margin:g}" if margin else ""
    statement = f"{_label(a)} = {_label(b)}{within}"
    evidence = _evidence(statement, a, b, reason, contradicted=apart > most + slack)
    return replace(evidence, margin=float(margin))


def whole_of(parts: Sequence[Evidence], statement: str = "") -> Evidence:
    """Evidence that all parts hold; where all are on printed numbers, so is the whole."""
    if not all(part.kind == "printed" for part in parts):
        return each_holds(parts)
    against = [part.reason for part in parts if part.outcome == "refuted"]
    near = [part.reason for part in parts if part.outcome != "refuted" and not part.reason.endswith(AGREES)]
    return replace(
        parts[0],
        statement=statement or "; ".join(part.statement for part in parts),
        outcome=worst(parts),
        reason="; ".join(against or near) or AGREES,
        estimate=None,
        margin=None,
        samples=(),
        parts=tuple(parts),
    )


def _evidence(statement: str, a: Printed, b: Printed, reason: str, *, contradicted: bool) -> Evidence:
    numbers = [side for side in (a, b) if isinstance(side, PrintedNumber)]
    outcome: EvidenceOutcome = "refuted" if contradicted else "inconclusive"
    return Evidence(
        kind="printed",
        statement=f"{statement} as printed in {numbers[0].source}",
        outcome=outcome,
        reason=reason,
        scope=SCOPE,
        unit=numbers[0].unit,
        estimate=float(_value(a) - _value(b)),
        samples=tuple(number.sample for number in numbers),
        rule=RULE,
    )


def _check(a: Printed, b: Printed) -> None:
    refuse_controls("printed")
    if isinstance(a, PrintedNumber) and isinstance(b, PrintedNumber) and (a.source, a.unit) != (b.source, b.unit):
        raise TypeError(f"{a.name} ({a.unit}) cannot be compared with {b.name} ({b.unit}); compare within one table")
    for side in (a, b):
        if not isinstance(side, PrintedNumber) and not isfinite(side):
            raise ValueError(f"a printed number beside {side}; wanted a finite number")


def _value(of: Printed) -> Decimal:
    if isinstance(of, PrintedNumber):
        return of.value
    return Decimal(format(Decimal(repr(float(of))), "f").removesuffix(".0"))


def _rounding(of: Printed) -> Decimal:
    return of.rounding if isinstance(of, PrintedNumber) else Decimal(0)


def _label(of: Printed) -> str:
    return of.label if isinstance(of, PrintedNumber) else f"{of:g}"


def _told(of: Printed) -> str:
    return f"{of.label} = {of.printed}" if isinstance(of, PrintedNumber) else f"{of:g}"


def as_published(of: Measurement, published: Published) -> Evidence:
    """Evidence that the mean of each style repeats the printed number of that label; a reading, nothing is inferred.

    Raises:
        KeyError: a printed label is no style of the prompts.
        TypeError: the numbers are printed in another unit or of another measure, or the claim asks for controls.
    """
    refuse_controls("published")
    if of.unit != published.unit or published.measure not in ("", of.measure):
        printed = f"{published.measure} in {published.unit}".removeprefix(" in ")
        raise TypeError(f"{of.name} in {of.unit} is not what the numbers are printed of: {printed}")
    samples = tuple(sample_of(of[label]) for label in published.values)
    apart = [sample for sample in samples if not _agrees(sample, published)]
    told = ", ".join(f"{sample.label} {sample.mean:.4g} ({published.printed[sample.label]})" for sample in samples)
    return Evidence(
        kind="published",
        statement=f"{of.measure} as printed, on the same prompts",
        outcome="refuted" if apart else "supported",
        reason=f"measured (printed): {told} {of.unit}; {len(samples) - len(apart)} of {len(samples)} agree",
        scope="these prompts only: a reading of each, no inference",
        unit=of.unit,
        samples=samples,
        rule=(
            f"supported where every measured mean {_reach(published)} its printed number; refuted where one does not"
        ),
        unit_values=tuple(UnitValue(side=one.label, unit="mean of its prompts", value=one.mean) for one in samples),
    )


def _agrees(sample: Sample, published: Published) -> bool:
    """Whether a mean rounds to the printed number, or lies within the tolerance that the claim sets."""
    value = published.values[sample.label]
    within = published.rounding(sample.label) if published.tolerance is None else published.tolerance
    return abs(sample.mean - value) <= within + 1e-9 * abs(value)  # 0.35 - 0.3 is more than 0.05


def _reach(published: Published) -> str:
    return "rounds to" if published.tolerance is None else f"lies within {published.tolerance:g} of"
