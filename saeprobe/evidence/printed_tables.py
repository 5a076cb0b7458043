"""Printed tables are compared with each other and with their own sentences, without any subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain
from math import atanh, inf, isfinite, log10, sqrt, tanh
from statistics import NormalDist

import numpy as np

from saeprobe.claims import Published, did_you_mean
from saeprobe.evidence import Evidence, EvidenceOutcome, Terms, current_terms, record
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import PrintedNumber
from saeprobe.files import number, p_value, span, visible
from saeprobe.statistics.intervals import rate_p

AGREES = "the printed numbers agree with the sentence, but they are all there is: nothing separates chance from effect"
RULE = (
    "refuted where the printed numbers contradict the sentence whatever they were rounded from; inconclusive "
    "otherwise: a printed number has no prompts behind it that could be tested"
)


@dataclass(frozen=True, kw_only=True, repr=False)
class PrintedTable:
    """A table holds the numbers that a source prints, by label; compare them as a sentence about them reads.

    A `column` stands after each label where a source prints several under it; counts, not rounded, are `exact`.
    """

    numbers: Published
    source: str
    column: str = ""
    exact: bool = False

    def __repr__(self) -> str:
        return visible(f"<{self.source}: {', '.join(self.numbers.values)}>")

    def __getitem__(self, label: str) -> PrintedNumber:
        """Return the number under a label; a KeyError says that the table prints none."""
        if label not in self.numbers.printed:
            meant = did_you_mean(label, self.numbers.printed)
            raise KeyError(f"{self.source} prints no {label!r}{meant}; it prints: {', '.join(self.numbers.printed)}")
        digits = self.numbers.printed[label]
        value, half = Decimal(digits), Decimal(0) if self.exact else Decimal(str(self.numbers.rounding(label)))
        return PrintedNumber(
            label=f"{label}, {self.column}" if self.column else label,
            printed=digits,
            unit=self.numbers.unit,
            n=self.numbers.n,
            source=self.source,
            between=(value - half, value + half),
        )


def printed(numbers: Published, *, source: str = "", column: str = "", exact: bool = False) -> PrintedTable:
    """Give a table as a source prints it: `printed(published(novice=137, expert=114, unit="features"), source="...")`.

    Columns of one source are compared with each other; `exact` numbers are counts.

    Raises:
        ValueError: nothing says where the numbers stand.
    """
    where = source or numbers.source
    if not where:
        raise ValueError("printed() without a source; write printed(published(...), source='SAE Inspect, table 1')")
    return PrintedTable(numbers=numbers, source=where, column=column, exact=exact)


def ratio_of_printed(a: PrintedNumber, b: PrintedNumber) -> PrintedNumber:
    """Give how many times `b` the number `a` is, between the least and the most that both may have been rounded from.

    Raises:
        TypeError: the two are not numbers of one source in one unit.
        ValueError: one of them may be zero or less.
    """
    _refuse_unlike(a, b)
    (low, high), (least, most) = a.between, b.between
    if min(low, least) <= 0:
        raise ValueError(f"the ratio of {_shown(a)} and {_shown(b)}; wanted two numbers above zero")
    label, digits, between = f"{a.label} / {b.label}", f"{a.value / b.value:.4g}", (low / most, high / least)
    return PrintedNumber(label=label, printed=digits, unit="times", n=None, source=a.source, between=between)


FEWEST_RANKED = 10  # with fewer labels the interval of a rank correlation is not the one that it says it is


def rank_correlation(a: PrintedTable, b: PrintedTable, *, above: float = -1.0, below: float = 1.0) -> Evidence:
    """Let Spearman's rho of two tables, over the labels of both, lie between two numbers.

    `assert rank_correlation(active, eid, above=0)` says that they rise together, which is tested at alpha / 2 a side;
    with both bounds it is tested as `about` is, at alpha a side. A label is a unit: leave out one that repeats another.

    Raises:
        ValueError: neither bound is given, or they leave nothing; or there are fewer than 10 labels, or no ranks.
    """
    terms, pairs, name = current_terms(), _pairs(a, b), f"rank correlation of {a.source} and {b.source}"
    if not -1 <= above < below <= 1 or (above, below) == (-1, 1):
        raise ValueError(f"{name} above {above:g} and below {below:g}; wanted above=0.5, below=-0.5 or a range")
    values = np.array([[float(one.value) for one in pair] for pair in pairs])
    if len(pairs) < FEWEST_RANKED or not np.ptp(values, axis=0).all():
        raise ValueError(f"{name} over {len(pairs)} labels; wanted {FEWEST_RANKED} or more, which differ in both")
    ranks = (values[:, None] > values).sum(axis=1) + (values[:, None] == values).sum(axis=1) / 2
    rho = float(np.corrcoef(ranks.T)[0, 1]) * (1 - 1e-9)  # Fisher's z of 1 is no number
    tail = terms.alpha if above > -1 and below < 1 else terms.alpha / 2  # within both bounds it is about equal
    error, z, level = sqrt((1 + rho**2 / 2) / (len(pairs) - 3)), atanh(rho), 1 - 2 * tail
    reach = NormalDist().inv_cdf(1 - tail) * error
    low, high = tanh(z - reach), tanh(z + reach)
    far = min((z - atanh(above)) if above > -1 else inf, (atanh(below) - z) if below < 1 else inf) / error
    holds, contrary = above < low and high < below, high < above or low > below
    evidence = _of_numbers(
        f"{name}, between {above:g} and {below:g}",
        "supported" if holds else "refuted" if contrary else "inconclusive",
        f"rho = {number(rho)} over {len(pairs)} labels, {level:.0%} interval {span((low, high))}",
        chain(*pairs),
        terms,
        f"supported where the whole {level:.0%} interval lies between {above:g} and {below:g}; refuted where it lies "
        "wholly elsewhere; inconclusive otherwise. The interval is tanh(atanh(rho) -+ z sqrt((1 + rho^2 / 2) / (n - "
        "3))) over n labels (Bonett & Wright, Psychometrika 65, 2000)",
    )
    evidence = replace(evidence, unit="Spearman's rho", alpha=terms.alpha, p=NormalDist().cdf(-far))
    return record(replace(evidence, estimate=rho, interval=(low, high), level=level))


def distinct(table: PrintedTable, other: PrintedTable) -> Evidence:
    """Let the numbers of a table be its own, as of means beside what is printed of the first topic alone.

    Where the first prints a decimal more, that is a zero one time in ten whatever is measured; two more, one in a
    hundred. No oftener are two numbers equal by chance, so that how many are has an exact binomial p.

    Raises:
        ValueError: the two print no number under one label, or the first has no more decimals than the other.
    """
    terms, pairs = current_terms(), _pairs(table, other)
    a, b = table.numbers, other.numbers
    more = min((round(log10(b.rounding(one) / a.rounding(one))) for one in a.printed if one in b.printed), default=0)
    if more < 1:
        raise ValueError(f"{table!r} and {other!r}; wanted the same labels, and more decimals in the first")
    same = [a.label for a, b in pairs if a.value == b.value]
    p = rate_p(len(same), len(pairs), bound=10.0**-more, above=True)
    reason = f"{len(same)} of {len(pairs)} numbers are those of {other.source}{': ' * bool(same)}{', '.join(same)}"
    reason += f"; by chance at most 1 in {10**more} is, one-sided {p_value(p)}"
    rule = f"refuted where the one-sided p is below alpha / 2 = {terms.alpha / 2:g}; inconclusive otherwise"
    statement = f"the numbers of {table.source} are not those of {other.source}"
    outcome, test = "refuted" if p < terms.alpha / 2 else "inconclusive", "exact binomial over labels, one-sided"
    evidence = _of_numbers(statement, outcome, reason, chain(*pairs), terms, rule)
    return record(replace(evidence, p=p, alpha=terms.alpha, test=test))


def _pairs(a: PrintedTable, b: PrintedTable) -> list[tuple[PrintedNumber, PrintedNumber]]:
    return [(a[label], b[label]) for label in a.numbers.printed if label in b.numbers.printed]


Printed = PrintedNumber | float


def printed_greater(larger: Printed, smaller: Printed, terms: Terms) -> Evidence:
    """Decide `larger > smaller` among printed numbers of one table, or a printed one and a plain one."""
    larger, smaller = _number(larger), _number(smaller)
    (low, high), (least, most) = larger.between, smaller.between
    if high <= least:
        word = "equal to" if larger.value == smaller.value else "below"
        reason = f"the table itself has {_shown(larger)} {word} {_shown(smaller)}"
    elif low < most:
        reason = f"printed are {_shown(larger)} and {_shown(smaller)}: nearer to each other than they are rounded"
    else:
        reason = f"{_shown(larger)} above {_shown(smaller)}: {AGREES}"
    statement = f"{larger.label} > {smaller.label}"
    return _evidence(statement, larger, smaller, reason, terms, contradicted=high <= least)


def printed_equal(a: Printed, b: Printed | Published, terms: Terms, *, margin: float) -> Evidence:
    """Decide whether printed numbers, or one and a plain number, are equal up to a margin."""
    a, b = _number(a), _only(b, of=_number(a)) if isinstance(b, Published) else _number(b)
    (low, high), (least, most) = a.between, b.between
    apart, asked = abs(a.value - b.value), Decimal(repr(float(margin)))
    both, contradicted = f"{_shown(a)} and {_shown(b)}, {apart} apart", max(low - most, least - high) > asked
    if contradicted:
        reason = f"the table itself has {both}"
    elif max(high - least, most - low) > asked and margin:
        reason = f"printed are {both}: rounding decides whether that is within {margin:g}"
    else:
        reason = f"{both}: {AGREES}"
    statement = f"{a.label} = {b.label}" + (f" ± {margin:g}" if margin else "")
    evidence = _evidence(statement, a, b, reason, terms, contradicted=contradicted)
    return replace(evidence, margin=float(margin))


def _only(numbers: Published, *, of: PrintedNumber) -> PrintedNumber:
    """Return the one number that is printed for `of`, in the same source where it names none."""
    if len(numbers.printed) > 1 or not of.source:
        raise TypeError(f"{_shown(of)} == published({', '.join(numbers.printed)}); wanted one number")
    return printed(numbers, source=numbers.source or of.source)[next(iter(numbers.printed))]


def _refuse_unlike(a: PrintedNumber, b: PrintedNumber) -> None:
    if (a.source, a.unit) != (b.source, b.unit):
        raise TypeError(f"{a.name} ({a.unit}) cannot be compared with {b.name} ({b.unit}); compare within one table")


def _evidence(
    statement: str, a: PrintedNumber, b: PrintedNumber, reason: str, terms: Terms, *, contradicted: bool
) -> Evidence:
    numbers = [side for side in (a, b) if side.source]
    _refuse_unlike(numbers[0], numbers[-1])
    outcome, said = "refuted" if contradicted else "inconclusive", f"{statement} as printed in {numbers[0].source}"
    return replace(_of_numbers(said, outcome, reason, numbers, terms, RULE), estimate=float(a.value - b.value))


def _of_numbers(
    statement: str, outcome: EvidenceOutcome, reason: str, numbers: Iterable[PrintedNumber], terms: Terms, rule: str
) -> Evidence:
    refuse_controls("printed", terms)
    samples = tuple(sample_of(number, terms) for number in numbers)
    return Evidence(
        kind="printed",
        statement=statement,
        outcome=outcome,
        reason=reason,
        scope="the printed table alone",
        unit=samples[0].unit,
        samples=samples,
        rule=rule,
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


def _number(of: Printed) -> PrintedNumber:
    """Take a plain number as one that no source prints, and that nothing was rounded to."""
    if isinstance(of, PrintedNumber):
        return of
    if not isfinite(of):
        raise ValueError(f"a printed number against {of}; wanted a finite number")
    digits = format(Decimal(repr(float(of))), "f").removesuffix(".0")
    between = Decimal(digits), Decimal(digits)
    return PrintedNumber(label=f"{of:g}", printed=digits, unit="", n=None, source="", between=between)


def _shown(of: PrintedNumber) -> str:
    return f"{of.label} = {of.printed}" if of.source else of.label
