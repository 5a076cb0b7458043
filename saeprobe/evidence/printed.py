"""Printed tables: what the numbers in a source say of its own sentence, without any subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import TypeGuard

from saeprobe.claims import Published
from saeprobe.comparison.sides import is_number, refuse_controls
from saeprobe.evidence.compare import every, worst
from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Sample, record
from saeprobe.nearmiss import did_you_mean

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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PrintedNumber:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """One number as it is printed: `printed` holds its digits, whose last one bounds what it was rounded from."""

    label: str
    printed: str
    unit: str
    n: int | None
    source: str

    @property
    def measure(self) -> str:
        """Where it is printed; numbers of one table alone are compared."""
        return f"number printed in {self.source}"

    @property
    def name(self) -> str:
        """`novice in SAE Inspect, table 1`."""
        return f"{self.label} in {self.source}"

    @property
    def value(self) -> Decimal:
        """The number, exact."""
        return Decimal(self.printed)

    @property
    def rounding(self) -> Decimal:
        """Half a unit of its last printed decimal."""
        return Decimal(5).scaleb(-len(self.printed.partition(".")[2]) - 1)

    @property
    def sample(self) -> Sample:
        """What evidence keeps of it."""
        return Sample(label=self.label, measure=self.measure, unit=self.unit, mean=float(self.value), n=self.n)

    def __repr__(self) -> str:
        return f"<{self.label} = {self.printed} {self.unit} in {self.source}>"

    def __gt__(self, other: PrintedNumber | float) -> Evidence:
        return record(printed_greater(self, other)) if _comparable(other) else NotImplemented

    def __lt__(self, other: PrintedNumber | float) -> Evidence:
        return record(printed_greater(other, self)) if _comparable(other) else NotImplemented

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as for Measurement
        if is_number(other):
            return record(printed_equal(self, float(other), margin=0.0))
        if isinstance(other, PrintedNumber):
            raise TypeError(f"{self.name} == {other.name}; equality needs a margin: == about(..., margin=...)")
        return NotImplemented  # about(...) of another one takes it from there


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
        return every(parts)
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


def _comparable(other: object) -> TypeGuard[Printed]:
    return isinstance(other, PrintedNumber) or is_number(other)


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
