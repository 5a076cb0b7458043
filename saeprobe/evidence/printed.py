"""Printed numbers are compared with each other, without any subject, or with what is measured on the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import Protocol

from saeprobe.claims import Published, did_you_mean
from saeprobe.evidence.evidence import Evidence, Sample, Terms, UnitValue
from saeprobe.evidence.units import refuse_controls, sample_of
from saeprobe.evidence.values import PrintedNumber, Quantity
from saeprobe.files import visible

AGREES = "the printed numbers agree with the sentence, but they are all there is: nothing separates chance from effect"


@dataclass(frozen=True, kw_only=True, repr=False)
class PrintedTable:
    """A table holds the numbers that a source prints, by label; compare them as a sentence about them reads."""

    numbers: Published
    source: str

    def __repr__(self) -> str:
        return visible(f"<{self.source}: {', '.join(self.numbers.values)}>")

    def __getitem__(self, label: str) -> PrintedNumber:
        """Return the number under a label.

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
    """Give a table as a source prints it: `printed(published(novice=137, expert=114, unit="features"), source="...")`.

    Raises:
        ValueError: nothing says where the numbers stand.
    """
    where = source or numbers.source
    if not where:
        raise ValueError("printed() without a source; write printed(published(...), source='SAE Inspect, table 1')")
    return PrintedTable(numbers=numbers, source=where)


Printed = PrintedNumber | float


def printed_greater(larger: Printed, smaller: Printed, terms: Terms) -> Evidence:
    """Decide `larger > smaller` among printed numbers of one table, or a printed one and a plain one."""
    gap, slack = _value(larger) - _value(smaller), _rounding(larger) + _rounding(smaller)
    if gap <= -slack:
        reason = f"the table itself has {_shown(larger)} below {_shown(smaller)}"
    elif gap < slack:
        reason = f"printed are {_shown(larger)} and {_shown(smaller)}: nearer to each other than they are rounded"
    else:
        reason = f"{_shown(larger)} above {_shown(smaller)}: {AGREES}"
    statement = f"{_label(larger)} > {_label(smaller)}"
    return _evidence(statement, larger, smaller, reason, terms, contradicted=gap <= -slack)


def printed_equal(a: Printed, b: Printed, terms: Terms, *, margin: float) -> Evidence:
    """Decide whether printed numbers, or one and a plain number, are equal up to a margin."""
    apart, slack, most = abs(_value(a) - _value(b)), _rounding(a) + _rounding(b), Decimal(repr(float(margin)))
    both = f"{_shown(a)} and {_shown(b)}, {apart} apart"
    if apart > most + slack:
        reason = f"the table itself has {both}"
    elif apart > most - slack and margin:
        reason = f"printed are {both}: rounding decides whether that is within {margin:g}"
    else:
        reason = f"{both}: {AGREES}"
    statement = f"{_label(a)} = {_label(b)}" + (f" ± {margin:g}" if margin else "")
    evidence = _evidence(statement, a, b, reason, terms, contradicted=apart > most + slack)
    return replace(evidence, margin=float(margin))


def _evidence(statement: str, a: Printed, b: Printed, reason: str, terms: Terms, *, contradicted: bool) -> Evidence:
    refuse_controls("printed", terms)
    if isinstance(a, PrintedNumber) and isinstance(b, PrintedNumber) and (a.source, a.unit) != (b.source, b.unit):
        raise TypeError(f"{a.name} ({a.unit}) cannot be compared with {b.name} ({b.unit}); compare within one table")
    numbers = [side for side in (a, b) if isinstance(side, PrintedNumber)]
    return Evidence(
        kind="printed",
        statement=f"{statement} as printed in {numbers[0].source}",
        outcome="refuted" if contradicted else "inconclusive",
        reason=reason,
        scope="the printed table alone",
        unit=numbers[0].unit,
        estimate=float(_value(a) - _value(b)),
        samples=tuple(sample_of(number, terms) for number in numbers),
        rule=(
            "refuted where the printed numbers contradict the sentence whatever they were rounded from; inconclusive "
            "otherwise: a printed number has no prompts behind it that could be tested"
        ),
    )


def all_printed(parts: Sequence[Evidence], statement: str = "") -> Evidence:
    """Make the evidence that all `parts` hold, each of which is on printed numbers."""
    against = [part.reason for part in parts if part.outcome == "refuted"]
    near = [part.reason for part in parts if not part.reason.endswith(AGREES)]
    return replace(
        parts[0],
        statement=statement or "; ".join(part.statement for part in parts),
        outcome="refuted" if against else "inconclusive",
        reason="; ".join(against or near) or AGREES,
        estimate=None,
        margin=None,
        samples=(),
        parts=tuple(parts),
    )


def _value(of: Printed) -> Decimal:
    if isinstance(of, PrintedNumber):
        return of.value
    if not isfinite(of):
        raise ValueError(f"a printed number against {of}; wanted a finite number")
    return Decimal(format(Decimal(repr(float(of))), "f").removesuffix(".0"))


def _rounding(of: Printed) -> Decimal:
    return of.rounding if isinstance(of, PrintedNumber) else Decimal(0)


def _label(of: Printed) -> str:
    return of.label if isinstance(of, PrintedNumber) else f"{of:g}"


def _shown(of: Printed) -> str:
    return f"{of.label} = {of.printed}" if isinstance(of, PrintedNumber) else f"{of:g}"


class _ByStyle(Protocol):
    """A measurement holds values by style, and so do counts."""

    @property
    def measure(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def name(self) -> str: ...
    def __getitem__(self, style: str, /) -> Quantity: ...


def as_published(of: _ByStyle, published: Published, terms: Terms) -> Evidence:
    """Decide whether the mean of each style repeats the printed number of that label; nothing is inferred from it."""
    refuse_controls("published", terms)
    if of.unit != published.unit or published.measure not in ("", of.measure):
        printed = f"{published.measure} in {published.unit}".removeprefix(" in ")
        raise TypeError(f"{of.name} in {of.unit} is not what the numbers are printed of: {printed}")
    samples = tuple(sample_of(of[label], terms) for label in published.values)
    apart = [sample for sample in samples if not _agrees(sample, published)]
    shown = ", ".join(f"{sample.label} {sample.mean:.4g} ({published.printed[sample.label]})" for sample in samples)
    within = "rounds to" if published.tolerance is None else f"lies within {published.tolerance:g} of"
    return Evidence(
        kind="published",
        statement=f"{of.measure} as printed, on the same prompts",
        outcome="refuted" if apart else "supported",
        reason=f"measured (printed): {shown} {of.unit}; {len(samples) - len(apart)} of {len(samples)} agree",
        scope="these prompts only: a reading of each, no inference",
        unit=of.unit,
        samples=samples,
        rule=f"supported where every measured mean {within} its printed number; refuted where one does not",
        unit_values=tuple(UnitValue(side=one.label, unit="mean of its prompts", value=one.mean) for one in samples),
    )


def _agrees(sample: Sample, published: Published) -> bool:
    """Decide whether a mean rounds to the printed number, or lies within the tolerance that the claim sets."""
    value = published.values[sample.label]
    within = published.rounding(sample.label) if published.tolerance is None else published.tolerance
    return abs(sample.mean - value) <= within + 1e-9 * abs(value)  # 0.35 - 0.3 is more than 0.05
