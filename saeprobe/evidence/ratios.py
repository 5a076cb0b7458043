"""How many times one mean is another is held against a number, or against what a source prints of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, log, sqrt
from typing import overload

import numpy as np

from saeprobe.claims import Published
from saeprobe.evidence import Evidence, Judged, Terms, current_terms, record
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.greater import side_by_side
from saeprobe.evidence.printed import as_published, behind, same_prompts, sampling, sampling_error
from saeprobe.evidence.printed_tables import ratio_of_printed
from saeprobe.evidence.units import compare, sample_of
from saeprobe.evidence.values import Comparable, Measurement, PrintedNumber, Quantity, Summary, by_feature, is_number
from saeprobe.files import number, span, visible
from saeprobe.statistics.shifts import invert

FARTHEST = 30.0  # no ratio is looked for beyond e^30; what is not rejected there has no end

_RULE = (
    "the interval holds every r at which the test, of the first side's values against r times those of the second, "
    "does not reject (Fieller, J. R. Stat. Soc. B 16, 1954). On the scale of logarithms, with h half its width, and T "
    "units of a mean here and k there, by the counts in the reason: supported where the printed ratio, by what it was "
    "rounded from, lies within h sqrt(1 + T / k) of ours, and this and the rounding are at most half of its distance "
    "from 1; drifted where it lies farther; inconclusive otherwise, and where the interval has no end. A stated "
    "tolerance stands in the place of all this. The unit values, and what follows, are those of r = 1"
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ratio(Comparable):  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """This is how many times the mean of `b` the mean of `a` is; neither has a value below zero."""

    a: Quantity
    b: Quantity
    unit: str = "times"

    @property
    def measure(self) -> str:
        """Name what is divided: `ratio of l0`."""
        return f"ratio of {self.a.measure}"

    @property
    def name(self) -> str:
        """Name it as `l0 of novice / l0 of expert`."""
        return f"{self.a.name} / {self.b.name}"

    def __repr__(self) -> str:
        return visible(f"<{self.name}>")

    def __getitem__(self, label: str) -> Summary:
        """Return the ratio of two recorded numbers, under the label of the printed one."""
        assert isinstance(self.a, Summary)
        assert isinstance(self.b, Summary)
        value = self.a.value / self.b.value
        return replace(self.a, measure=self.measure, label=label, unit=self.unit, value=value, reach=None)

    def __gt__(self, other: object) -> Evidence:
        return self.a > self._number(other) * self.b

    def __lt__(self, other: object) -> Evidence:
        return self.b > 1 / self._number(other) * self.a

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        if not isinstance(other, Published) or len(other.values) != 1 or other.unit != self.unit:
            raise TypeError(f"{self.name} == {other!r}; wanted one printed ratio, such as published('+17 %')")
        return record(ratio_as_printed(self, other, current_terms()))

    def _number(self, other: object) -> float:
        if not is_number(other) or not 0 < other < inf:
            raise TypeError(f"{self.name} against {other!r}; wanted a number above zero, such as 1.1")
        return float(other)


@overload
def ratio(a: PrintedNumber, b: PrintedNumber) -> PrintedNumber: ...
@overload
def ratio(a: Quantity, b: Quantity) -> Ratio: ...
def ratio(a: Quantity | PrintedNumber, b: Quantity | PrintedNumber) -> Ratio | PrintedNumber:
    """Give how many times `b` is `a`, of two measurements or two numbers of a printed table.

    `assert ratio(l0(novice), l0(expert)) == published("+17 %")` holds the measured ratio against a printed one, and
    `ratio(l0(novice), l0(expert)) > 1.1` is the same sentence as `l0(novice) > 1.1 * l0(expert)`. The ratio of printed
    numbers lies between the least and the most that both may have been rounded from.

    Raises:
        TypeError: the two are not of one measure, or not of one table.
        ValueError: a value is below zero; a printed number may be zero or less.
    """
    if isinstance(a, PrintedNumber) and isinstance(b, PrintedNumber):
        return ratio_of_printed(a, b)
    if not all(isinstance(one, Measurement | Summary) for one in (a, b)):
        raise TypeError(f"ratio({a!r}, {b!r}); wanted two measurements, such as l0(novice) and l0(expert)")
    a, b = by_feature(a, b)
    if isinstance(a, Measurement) and isinstance(b, Measurement):
        a, b = side_by_side(a, b)
    elif not (isinstance(a, Summary) and isinstance(b, Summary)):
        raise TypeError(f"{a.name} over {b.name}: one of them is a single number; compare like with like")
    if (a.measure, a.unit) != (b.measure, b.unit):
        raise TypeError(f"{a.name} ({a.unit}) over {b.name} ({b.unit}); compare like with like")
    of_a, of_b = (one.values if isinstance(one, Measurement) else np.array([one.value]) for one in (a, b))
    if min(of_a.min(), of_b.min()) < 0:
        raise ValueError(f"the ratio of {a.name} and {b.name}; wanted no value below zero")
    return Ratio(a=a, b=b)


def ratio_as_printed(of: Ratio, printed: Published, terms: Terms) -> Evidence:
    """Decide whether a ratio repeats the printed one, as `_RULE` says."""
    refuse_controls("published", terms)
    a, b, (value,) = of.a, of.b, printed.values.values()
    samples = sample_of(a, terms), sample_of(b, terms)
    found = samples[0].mean / samples[1].mean if samples[1].mean else None
    shown = f"{'no number of' if found is None else f'{found:.4g}'} times here, published {value:g}"
    base = Evidence(
        kind="published",
        statement=f"{of.name} = {value:g} times",
        outcome="inconclusive",
        reason=f"{shown}: the two stand beside each other, since a recorded number has no units",
        scope="the recorded summaries",
        unit=of.unit,
        estimate=found,
        samples=samples,
        rule=_RULE,
    )
    if found is None:
        return replace(base, reason=f"{shown}: not compared, since {b.name} is zero throughout")
    if not (isinstance(a, Measurement) and isinstance(b, Measurement)):
        return as_published(of, printed, terms) if same_prompts(printed, samples[0]) else base
    compared, alone = compare(a, b, terms), compare(a, replace(b, values=0 * b.values), terms)
    unknown = sampling_error(printed, samples[1])
    if isinstance(compared, str) or isinstance(alone, str) or isinstance(unknown, str):
        why = compared if isinstance(compared, str) else f"not compared, since {unknown}"
        return replace(base, reason=f"{shown}: {why}", scope="these prompts only")
    below = alone.shift.estimate - compared.shift.estimate  # the mean of the second side's units
    estimate, interval = alone.shift.estimate / below, None
    if all(sampling(one, 0) < below for one in samples[1].spreads):
        interval = _interval(a, b, terms, estimate)
    counts = [(one.n, behind(printed, one.units)) for side in base.samples for one in side.spreads]
    outcome, reason = _judged(estimate, interval, printed, max(counts, key=lambda count: count[0] / count[1]))
    return replace(
        base,
        outcome=outcome,
        reason=f"{number(estimate)} times, published {value:g}{reason}",
        scope=compared.scope,
        estimate=estimate,
        interval=interval,
        level=1 - terms.alpha,
        alpha=terms.alpha,
        test=f"{compared.shift.test} ({compared.units})",
        seed=compared.shift.seed,
        units=compared.units,
        n_units=compared.n_units,
        unit_values=compared.unit_values,
        rule=f"{_RULE}. {compared.shift.rule}",
    )


def _interval(a: Measurement, b: Measurement, terms: Terms, estimate: float) -> tuple[float, float] | None:
    """Return the ratios that are not rejected; None where they have no end above zero, or no upper one."""
    unasked = replace(terms, alpha=-1.0)  # so that no shift has an interval of its own, which would take long

    def share(logarithm: float) -> float:
        if abs(logarithm) > FARTHEST:
            return 1.0
        at = compare(a, replace(b, values=exp(logarithm) * b.values), unasked)
        return 1.0 if isinstance(at, str) else at.shift.p

    ends = invert(share, log(estimate), terms.alpha, step=0.1) if estimate > 0 else None
    return None if ends is None else (exp(ends[0]), exp(ends[1]))


def _judged(
    estimate: float, interval: tuple[float, float] | None, printed: Published, units: tuple[int, int]
) -> Judged:
    """Hold a ratio against the printed one; `units` are those of a mean here, and behind one there."""
    ((label, value),), (here, there) = printed.values.items(), units
    rounding = printed.rounding(label)
    if printed.tolerance is not None:
        agrees = abs(estimate - value) <= printed.tolerance * (1 + 1e-9)
        return "supported" if agrees else "drifted", f" ± {printed.tolerance:g}, as the claim states"
    if interval is None:
        return "inconclusive", ": not compared, since units so few or so far apart leave the ratio without an end"
    within = sqrt(1 + here / there) * log(interval[1] / interval[0]) / 2
    low, high = (log(max(end, 1e-12)) - log(estimate) for end in (value - rounding, value + rounding))
    shown = f" ± {rounding:.3g} by its digits, interval {span(interval)}: held to a factor of {exp(within):.3g}"
    shown += f", with {here} units a mean here and {there} there"
    if max(low, -high) > within:
        return "drifted", shown
    if within + (high - low) / 2 > abs(log(value)) / 2:
        return "inconclusive", f"{shown}, which would hold no difference as well"
    return "supported", shown
