"""The control for length takes off an effect what the lengths of the prompts make of it, by a slope with an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

import numpy as np

from saeprobe.evidence import ControlResult, Terms
from saeprobe.evidence.controls import Contrast, Made, answered, found, mean_of, not_run, untouched, weighted
from saeprobe.evidence.controls.adjusting import grouped
from saeprobe.evidence.units import Compared, compare, mean_by
from saeprobe.evidence.values import Measurement
from saeprobe.files import number
from saeprobe.statistics.intervals import t_quantile
from saeprobe.statistics.permutation import Units

FEWEST: Final = 3  # wordings of a style, or topics, from which the error of a slope is taken
POWER: Final = 0.84  # the quantile of the normal distribution below which lie 80 %
SAME: Final = 1e-9  # lengths that differ by less are the same


@dataclass(frozen=True, kw_only=True)
class Slope:
    """A slope of values on lengths within groups is independent of the `effect`, given the lengths.

    `parts` are what each group adds to the variance of the effect and to that of the slope, and its degrees of freedom.
    """

    effect: float
    slope: float
    gap: float
    spread: float
    parts: tuple[tuple[float, float, float], ...]

    @property
    def variance(self) -> float:
        """Return the variance of the slope."""
        return sum(of_slope for _, of_slope, _ in self.parts)

    def left(self, share: float) -> Contrast:
        """Return `share` of the effect less what the slope makes of the gap in length."""
        variances = ((share**2 * effect + self.gap**2 * slope, freedom) for effect, slope, freedom in self.parts)
        made = (Contrast(estimate=0.0, variance=variance, freedom=freedom) for variance, freedom in variances)
        return replace(weighted(*((1.0, one) for one in made)), estimate=share * self.effect - self.gap * self.slope)

    def largest_gap(self, left: Contrast, alpha: float) -> float:
        """Return the largest gap at which so many units find such an effect with 80 % power; 0 where none is."""
        asked = self.effect / (t_quantile(1 - alpha, left.freedom) + POWER)
        of_effect = left.variance - self.gap**2 * self.variance
        return sqrt(max(0.0, asked**2 - of_effect) / self.variance) if self.variance else 0.0


def within(values: Sequence[Units], lengths: Sequence[Units]) -> Slope | None:
    """Take the slope within two groups, or over the differences of pairs; None where lengths do not vary there.

    It is that of the analysis of covariance (Cochran, Biometrics 13, 1957), of one group least squares; but each group
    has a variance of its own (Satterthwaite, Biometrics 2, 1946), with the degrees of freedom that the line leaves it.
    Where one style varies more in both, a common one withstands 7 to 13 % that is all by length; its own 3 to 6 %.
    """
    x, y = ([of - of.mean() for of in groups] for groups in (lengths, values))
    squares = [float(one @ one) for one in x]
    if (spread := sum(squares)) < SAME:
        return None
    slope = sum(float(one @ other) for one, other in zip(x, y, strict=True)) / spread
    parts = list[tuple[float, float, float]]()
    for by, of, own in zip(x, y, squares, strict=True):
        freedom = len(by) - 1 - own / spread
        variance = float(((of - slope * by) ** 2).sum()) / freedom
        parts.append((variance / len(by), variance * own / spread**2, freedom))
    effect, gap = (float(of[0].mean() - (of[1].mean() if len(of) > 1 else 0.0)) for of in (values, lengths))
    return Slope(effect=effect, slope=slope, gap=gap, spread=spread, parts=tuple(parts))


def over_topics(means: Units, lengths: Units, effects: Units, gaps: Units) -> Slope | None:
    """Take the slope over topics, of the means of both sides; the effect is that of their differences.

    The variance of the slope is the larger one of least squares and HC3 (MacKinnon & White, J. Econometrics 29, 1985).
    """
    line = within([means], [lengths])
    if line is None:
        return None
    x = lengths - lengths.mean()
    left_out = (means - means.mean() - line.slope * x) / np.maximum(1 - 1 / len(x) - x**2 / line.spread, SAME)
    variance = max(line.variance, float(((x * left_out) ** 2).sum()) / line.spread**2)
    effect = mean_of(effects)
    parts = ((effect.variance, variance, len(x) - 2.0),)
    return replace(line, effect=effect.estimate, gap=float(gaps.mean()), parts=parts)


_LENGTH: Final = (
    "R = slope x gap; var(L) = var(D) + gap^2 var(slope), var(C) = var(D) / 4 + gap^2 var(slope). The slope is that of "
    "the claim's units on the lengths given here, within styles. Of a style of n units, whose lengths about their mean "
    "have s of the S squares of both, df = n - 1 - s / S, and v is what is left of its units about the line, squared, "
    "by df; var(D) = sum of v / n, var(slope) = sum of v s / S^2, df of L and of C by Satterthwaite over styles. Of "
    "pairs it is that of differences on differences, df = pairs - 2. Over topics it is that of the means of both "
    "sides, var(slope) the larger one of least squares and HC3, df = topics - 2, var(D) that of differences; p of L is "
    "1 where the mean length of a side lies outside the lengths of the other"
)


def length_control(a: Measurement, b: Measurement, compared: Compared, terms: Terms) -> ControlResult:
    """Take off the effect what the lengths of the prompts make of it, along the slope within styles."""
    effect, long_a, long_b = compared.shift.estimate, a.n_tokens, b.n_tokens
    if long_a is None or long_b is None:
        return not_run("length", effect, "the record does not say how long the prompts are")
    if a.measure == "activation" and a.prompts != b.prompts:  # so are two features named, see `by_feature`
        return not_run("length", effect, "two features on other prompts rise with length each in its way")
    long = replace(a, values=long_a.astype(np.float64)), replace(b, values=long_b.astype(np.float64))
    by_length = compare(*long, terms)
    if isinstance(by_length, str):
        return not_run("length", effect, by_length)
    of, by, gap = grouped(compared), grouped(replace(by_length, pairs=compared.pairs)), by_length.shift.estimate
    there, fewest = found(compared, terms), min(map(len, of.groups))
    what = "topics" if compared.units.startswith("topics") else "wordings of either style"
    line = None
    if fewest >= FEWEST and what == "topics":
        topics = [name for (name,) in of.groups[0]]
        line = over_topics(_both(a, b, topics), _both(*long, topics), of.arrays[0], by.arrays[0])
    elif fewest >= FEWEST:
        line = within(of.arrays, by.arrays)
    if line is None and abs(gap) >= SAME:
        why = f"there are {fewest} {what}, where a slope takes {FEWEST}" if fewest < FEWEST else f"{what} do not differ"
        return not_run("length", effect, f"the styles differ by {gap:.1f} tokens and {why}")
    if line is None:
        return untouched("length", compared, terms, "both sides are equally long")
    left, half = (of.over_topics(line.left(share), share) for share in (1.0, 0.5))
    made = Made(left=left, half=half, at_best=(compared.shift.p / 2, 0.0))
    beyond, by_topic = "", [np.array(list(mean_by(side, "topics").values())) for side in long]
    one, other = by_topic
    # what longer topics do says nothing of lengths that no topic of the other side gives
    overlap = other.min() <= one.mean() <= other.max() and one.min() <= other.mean() <= one.max()
    if what == "topics" and not overlap:
        beyond = " from short topics to long ones, which says little beyond the lengths that both sides have"
        made = replace(made, p=1.0, interval=left.interval(effect, 1 - 2 * terms.alpha))
    longer, shorter = (b.label, a.label) if gap < 0 else (a.label, b.label)
    upto = line.largest_gap(left, terms.alpha)
    tell = f"so many {what} can tell up to a gap of {upto:.1f} tokens" if upto else f"so few {what} can tell at no gap"
    return answered(
        "length",
        effect,
        made,
        terms,
        found=there,
        done=f"{longer} is {abs(gap):.1f} tokens longer than {shorter}; within a style the value rises "
        f"{number(line.slope)} ± {number(sqrt(line.variance))} a token{beyond}, and at equal length",
        how=_LENGTH,
        unit=a.unit,
        more=f"; {tell}: write wordings of both styles that are equally long",
        numbers={"gap": gap, "slope": line.slope, "error of slope": sqrt(line.variance), "S": line.spread}
        | {
            f"{name} length of the {which} side": float(of(lengths))
            for which, lengths in zip(("first", "second"), by_topic, strict=True)
            for name, of in (("shortest", np.min), ("mean", np.mean), ("longest", np.max))
            if what == "topics"
        },
        unit_values=by_length.unit_values,
    )


def _both(a: Measurement, b: Measurement, topics: list[str]) -> Units:
    on_a, on_b = mean_by(a, "topics"), mean_by(b, "topics")
    return np.array([(on_a[topic] + on_b[topic]) / 2 for topic in topics])
