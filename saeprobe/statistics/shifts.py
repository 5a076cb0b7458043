"""A shift is how far one group of units lies above another; here are its tests and the interval of these.

The interval inverts the test: it holds the shifts that are not rejected (Pitman 1937; Garthwaite, Biometrics 52, 1996),
so that interval and p never contradict each other. Each direction is wrong with probability at most alpha / 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb, hypot, inf, sqrt

import numpy as np

from saeprobe.shapes import Float
from saeprobe.statistics.intervals import (
    FEWEST_A_SIDE,
    FEWEST_RELABELINGS,
    flips_countable,
    permutations_countable,
    skews,
    units_to_decide,
)
from saeprobe.statistics.permutation import (
    Large,
    Looked,
    Runs,
    Share,
    Tested,
    Units,
    by_shift,
    counted,
    flip_share,
    permutation_share,
    tolerance,
)

PRECISION = 1e-8  # the ends of an interval are known to this share of their distance from the estimate
FARTHEST = 1e6  # times the first guess an end is looked for; beyond it only the labels decide, which stay the same
SMALLEST = 1e-150  # a range below has a variance that no floating-point number holds
TIED = 1e-10  # statistics that differ by a smaller share are the same, and a smaller share of squares is no variance

# the limits of every test of means: so often are two sides that are equal called unequal
WIDE = "one side scatters over twice as much; if it is skewed too, 8 to 18 of 100 such verdicts are given by chance"
TAIL = "the differences have their longer tail on the other side; 6 to 16 of 100 such verdicts are given by chance"


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A shift says how far one group of units lies above another, and how sure that is.

    `interval` holds the shifts whose p is not below alpha; None where the test cannot reject any (too few units) or the
    units show no spread. `smallest_p` is what so many units can reach at best. `effect` is the estimate in standard
    deviations between units (of the differences, if `paired`), infinite without spread; `noise` is the part of the
    variance of the estimate, in the same unit squared, that more units do not lower. `rule` says how p came about.
    """

    estimate: float
    p: float
    interval: tuple[float, float] | None
    test: str
    seed: int | None
    spread: bool
    smallest_p: float
    effect: float
    alpha: float
    paired: bool
    noise: float = 0.0
    rule: str = ""
    warning: str = ""

    @property
    def needed(self) -> int | None:
        """Return the units a side that decide this effect with 80 % power; None for no effect, and beyond 1,000."""
        if self.estimate == 0:
            return None
        return units_to_decide(self.effect, alpha=self.alpha, paired=self.paired, noise=self.noise)


def unpaired_shift(a: Units, b: Units, *, alpha: float, seed: int, pairs: Sequence[tuple[int, int]] = ()) -> Shift:
    """Test the mean of `a` against the mean of `b`, `[units]` each, two-sided.

    `pairs` are units, by their places in `a` and in `b`, that share all but the label. Labels are dealt within pairs
    and, apart from that, among the other units; without others these are the sign flips of the pairs' differences.
    """
    check(a, b)
    if any(len(set(of_side)) < len(pairs) for of_side in zip(*pairs, strict=True)):
        raise ValueError(f"a unit is in two of the {len(pairs)} pairs {tuple(pairs)}; wanted it in one at most")
    size, deviations = float(np.abs(np.concatenate([a, b])).max()), (float(a.std(ddof=1)), float(b.std(ddof=1)))
    if len(pairs) == len(a) == len(b):
        differences = np.array([a[first] - b[second] for first, second in pairs])
        return paired_shift(differences, alpha=alpha, seed=seed, scale=size)
    test, spread = unpaired_test(a, b, alpha=alpha, seed=seed, pairs=pairs), varies(a, size) or varies(b, size)
    pooled = hypot(*deviations) / sqrt(2) if spread else None  # as in Cohen's d
    shift = _shift(difference_of_means(a, b), test, pooled, alpha=alpha, paired=False)
    return replace(shift, warning=WIDE) if spread and max(deviations) > 2 * min(deviations) else shift


def unpaired_test(a: Units, b: Units, *, alpha: float, seed: int, pairs: Sequence[tuple[int, int]] = ()) -> Tested:
    """Choose the test of two groups: the larger p of a permutation and of Welch's t test; with pairs the former alone.

    Permuting Welch's t is right for many units, whatever their spread (Janssen, Stat. Probab. Lett. 36, 1997; Chung &
    Romano, Ann. Stat. 41, 2013); with as many units on both sides it is permuting means, which can be counted. Of so
    few relabelings that only one may be as large (4 + 4 units) just their number counts: p is not below 2 of them.
    """
    what, ways = f"permutation of {len(a)} + {len(b)} units", comb(len(a) + len(b), len(a))
    if pairs:
        what = f"{what}, within {len(pairs)} pairs and among the rest"
        return _linear(_groups(a, b, pairs), difference_of_means(a, b), a, b, what=what, alpha=alpha, seed=seed)
    welch, few = welch_share(a, b), min(len(a), len(b)) < FEWEST_A_SIDE
    of_t = f"Welch's t test gives p = {welch(0.0):.3g}, and the larger p counts"
    if not (varies(a) or varies(b)):
        of_t = "Neither side varies, so that Welch's t test says nothing"
    if few or ways < FEWEST_RELABELINGS:
        least = 1.0 if few else 2 / ways
        why = f"Fewer than {FEWEST_A_SIDE} units on a side" if few else f"2 of {ways} relabelings are always as large"
        rule = f"{why}: p = {least:.3g}. {of_t}"
        return Tested(welch_share(a, b, least), least, f"Welch's t test of {len(a)} + {len(b)} units", rule)
    if len(a) == len(b) and permutations_countable(len(a), len(b)):
        test = counted(permutation_share(a, b), ways, "The difference of the means", what)
    else:
        test = _studentised(a, b, what, alpha=alpha, seed=seed)

    def share(shift: float) -> float:
        return max(test.share(shift), welch(shift))

    name = test.name if test.share(0.0) >= welch(0.0) else "Welch's t test, beside " + test.name
    return Tested(share, test.smallest, name, f"{test.rule}. {of_t}", test.seed)


def welch_share(a: Units, b: Units, least: float = 0.0) -> Share:
    """Test the means by Welch's t and Satterthwaite's degrees of freedom (Biometrics 2, 1946), two-sided.

    p is not below `least`, and 1 where the means differ by rounding.
    """
    from scipy.special import stdtr  # a quarter of a second to import, and not every run needs it

    parts = np.maximum([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)], SMALLEST**2)
    estimate, error, slack = difference_of_means(a, b), sqrt(float(parts.sum())), tolerance(a, b)
    freedom = 1 / float(((parts / parts.sum()) ** 2 / (len(a) - 1, len(b) - 1)).sum())
    return lambda shift: max(least, 2 * float(stdtr(freedom, min(0.0, slack - abs(estimate - shift)) / error)))


# runs of labels, and by how much a difference of means grows with the label of each unit: [0] + distance x [1]
_Design = tuple[tuple[Runs, ...], Float[np.ndarray, "units 2"]]


def _groups(a: Units, b: Units, pairs: Sequence[tuple[int, int]] = ()) -> _Design:
    """Deal the labels of two groups: the pairs go first, one after another, then the others of `a` and of `b`."""
    of_a, of_b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    rest = [np.delete(np.arange(len(side)), chosen) for side, chosen in ((a, of_a), (b, of_b))]
    order = np.concatenate([np.column_stack([of_a, of_b + len(a)]).ravel(), rest[0], rest[1] + len(a)])
    first = np.repeat([1, 0], [len(a), len(b)])[order]
    values = np.concatenate([a - a.mean(), b - b.mean()])[order]
    runs = first[: 2 * len(pairs)].reshape(-1, 2), first[2 * len(pairs) :].reshape(1, -1)
    return runs, (1 / len(a) + 1 / len(b)) * np.column_stack([values, first])


def _flips(differences: Units) -> _Design:
    """Turn the sign of a difference where the first of its two labels goes."""
    turns = np.tile([1, 0], (len(differences), 1))
    values = turns * (differences - differences.mean())[:, None]
    return (turns,), 2 / len(differences) * np.column_stack([values.ravel(), turns.ravel()])


def _linear(design: _Design, estimate: float, *groups: Units, what: str, alpha: float, seed: int) -> Tested:
    """Compare a difference of means; the values in `groups` say what counts as a tie."""
    slack = tolerance(*groups)

    def far(looked: Looked, apart: float) -> Large:
        side = 1 if apart >= 0 else -1
        return side * (apart + looked[:, 0] + apart * looked[:, 1]) >= abs(apart) * (1 - TIED) - slack

    return by_shift(*design, far, estimate, ("The difference of the means", what), alpha=alpha, seed=seed)


def _studentised(a: Units, b: Units, what: str, *, alpha: float, seed: int) -> Tested:
    """Compare Welch's t, which is infinite where neither side varies.

    Sums are linear and sums of squares quadratic in a shift, so that four numbers of a relabeling do for all shifts.
    """
    n_a, n_b, estimate, slack = len(a), len(b), difference_of_means(a, b), tolerance(a, b)
    first = np.repeat([1, 0], [n_a, n_b])
    values = np.concatenate([a - a.mean(), b - b.mean()])
    columns = np.column_stack([values, first, values**2, values * first])
    of_a, of_b = float(a.var()) * n_a, float(b.var()) * n_b
    error = sqrt(of_a / (n_a - 1) / n_a + of_b / (n_b - 1) / n_b)

    def far(looked: Looked, apart: float) -> Large:
        total, kept = of_a + of_b + apart**2 * n_a, n_a + looked[:, 1]
        sums = looked[:, 0] + apart * kept
        squares = of_a + looked[:, 2] + 2 * apart * looked[:, 3] + apart**2 * kept
        others = apart * n_a - sums
        variance = (squares - sums**2 / n_a) / (n_a - 1) / n_a
        variance += (total - squares - others**2 / n_b) / (n_b - 1) / n_b
        variance = np.maximum(variance - TIED * total, 0)
        difference = (1 if apart >= 0 else -1) * (sums / n_a - others / n_b)
        return (difference + slack) * error >= abs(apart) * np.sqrt(variance) * (1 - TIED)

    return by_shift((first[None],), columns, far, estimate, ("Welch's t", what), alpha=alpha, seed=seed)


def paired_shift(differences: Units, *, alpha: float, seed: int, scale: float = 0.0) -> Shift:
    """Test the mean of paired differences, `[units]`, by flipping their signs, two-sided.

    `scale` is the size of what the differences were taken of: differences that are its rounding are no spread.
    """
    check(differences)
    test = paired_test(differences, alpha=alpha, seed=seed)
    deviation = float(differences.std(ddof=1)) if varies(differences, scale) else None
    shift = _shift(float(differences.mean()), test, deviation, alpha=alpha, paired=True)
    return replace(shift, warning=TAIL) if shift.spread and skews(differences) else shift


def paired_test(differences: Units, *, alpha: float, seed: int) -> Tested:
    """Count the ways to set the signs of differences that take their mean as far from zero, or draw them."""
    count, mean = len(differences), float(differences.mean())
    what = f"sign flips of {count} paired differences"
    if flips_countable(count):
        return counted(flip_share(differences), 2**count, "The mean of the differences", what)
    return _linear(_flips(differences), mean, differences, what=what, alpha=alpha, seed=seed)


def _shift(estimate: float, test: Tested, deviation: float | None, *, alpha: float, paired: bool) -> Shift:
    """Make a shift by its test; `deviation` is that between units, and None where they show no spread."""
    can = deviation is not None and test.smallest < alpha
    return Shift(
        estimate=estimate,
        p=test.share(0.0),
        interval=invert(test.share, estimate, alpha, step=deviation or 1.0) if can else None,
        test=test.name,
        seed=test.seed,
        spread=deviation is not None,
        smallest_p=test.smallest,
        effect=abs(estimate) / deviation if deviation else inf,
        alpha=alpha,
        paired=paired,
        rule=test.rule,
    )


def check(*groups: Units) -> None:
    """Refuse what has no spread, or is no number."""
    for group in groups:
        if len(group) < 2:  # noqa: PLR2004 - one unit has no spread
            raise ValueError(f"{len(group)} unit of replication; a test needs at least 2 a side")
        if not np.isfinite(group).all():
            raise ValueError("a unit's mean is not a finite number; no verdict is given on NaN")


def varies(units: Units, scale: float = 0.0) -> bool:
    """Decide whether units differ by more than the rounding of numbers of this size, as 0.3 - 0.2 and 0.1 do not."""
    return bool(np.ptp(units) > max(1e-9 * scale, 1e-9 * float(np.abs(units).max()), SMALLEST))


def difference_of_means(a: Units, b: Units) -> float:
    """Subtract the mean of `b` from that of `a`; a large level goes first, so that it does not eat the difference."""
    middle = float(np.concatenate([a, b]).mean())
    return float((a - middle).mean() - (b - middle).mean())


def invert(share: Share, estimate: float, alpha: float, *, step: float) -> tuple[float, float] | None:
    """Find the shifts that are not rejected, by stepping out and halving; `step` is a first guess of their reach.

    Zero is tried first, so that it is inside if, and only if, it is not rejected. None where no shift ever is.
    """
    ends: list[float] = []
    for direction in (-1.0, 1.0):
        inside, outside = 0.0, abs(estimate) or step
        while share(estimate + direction * outside) >= alpha:
            if outside > FARTHEST * step:
                return None
            inside, outside = outside, max(2 * outside, step)
        while outside - inside > PRECISION * outside:
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if share(estimate + direction * middle) >= alpha else (inside, middle)
        ends.append(estimate + direction * inside)
    return ends[0], ends[1]


def crossed_shift(a: Units, b: Units, differences: Units, *, alpha: float, seed: int, paired: bool = False) -> Shift:
    """Test the mean of `a` against that of `b`, for other templates and other topics at once, two-sided.

    Chance has two sources, and their variances add, as in min F' (Clark, J. Verb. Learn. Verb. Behav. 12, 1973): which
    templates fell to which side, and which topics were taken, whose differences about their mean have their signs
    turned. p is never smaller than that over either alone, and 1 where these differ in sign; the interval holds both.

    `a` and `b` are means by template, if `paired` of the same one at the same place; `differences` those by topic.
    """
    templates = paired_shift(a - b, alpha=alpha, seed=seed) if paired else unpaired_shift(a, b, alpha=alpha, seed=seed)
    topics = paired_shift(differences, alpha=alpha, seed=seed)
    count, estimate, alone = len(differences), templates.estimate, max(templates, topics, key=lambda shift: shift.p)
    what = f"sign flips of {len(a)} paired differences" if paired else f"permutation of {len(a)} + {len(b)} units"
    what += f", added to sign flips of {count} centred paired differences"
    runs, first = _flips(a - b) if paired else _groups(a, b)
    turns, second = _flips(differences * sqrt(count / (count - 1)))  # their mean took up a degree of freedom
    both = runs + turns, np.vstack([first, second * (1, 0)])  # only the templates take up a shift
    test = _linear(both, estimate, a, b, what=what, alpha=alpha, seed=seed)
    p, interval, topics_error = test.share(0.0), None, float(differences.var(ddof=1)) / count
    one, other = templates.interval, topics.interval
    if one and other and (crossed := invert(test.share, estimate, alpha, step=one[1] - one[0])):
        interval = min(crossed[0], one[0], other[0]), max(crossed[1], one[1], other[1])
    apart = estimate * topics.estimate <= 0  # where the interval holds zero, however sure both are
    return replace(
        templates,
        p=1.0 if apart else max(p, alone.p),
        interval=interval,
        test=f"{test.name}; p is the larger one of {alone.test}" if alone.p > p else test.name,
        seed=test.seed if alone.seed is None else alone.seed,
        spread=templates.spread or topics.spread,
        smallest_p=max(templates.smallest_p, topics.smallest_p),
        effect=0.0 if apart else templates.effect,
        noise=topics_error * (templates.effect / estimate) ** 2 if templates.spread and estimate else 0.0,
        rule=f"{test.rule}. The largest p counts, of this and of either sort alone, and 1 where these differ in sign. "
        f"{templates.rule}. {topics.rule}",
    )
