"""A shift is how far one group of units lies above another; here are its permutation test and the interval of that.

The tests are linear in a shift of the first group, so that inverting them gives the interval: the shifts that the test
does not reject (Pitman 1937; Garthwaite, Biometrics 52, 1996). Interval and p never contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, inf, sqrt

import numpy as np

from saeprobe.statistics.intervals import flips_countable, permutations_countable, units_to_decide
from saeprobe.statistics.permutation import (
    Draw,
    Share,
    Statistics,
    Tested,
    Units,
    flip_share,
    permutation_share,
    sampled,
)

PRECISION = 1e-8  # the ends of an interval are known to this share of their distance from the estimate
FARTHEST = 1e6  # standard errors at which an end is looked for; beyond them only the labels decide, which stay the same
SMALLEST = 1e-150  # a range below has a variance that no floating-point number holds


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A shift says how far one group of units lies above another, and how sure that is.

    `interval` holds the shifts whose p is not below alpha; None where the test cannot reject any (too few units) or the
    units show no spread. `smallest_p` is what so many units can reach at best. `effect` is the estimate in standard
    deviations between units (of the differences, if `paired`), infinite without spread; `noise` is the part of the
    variance of the estimate, in the same unit squared, that more units do not lower.
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

    @property
    def needed(self) -> int | None:
        """Return the units a side that decide this effect with 80 % power; None for no effect, and beyond 1,000."""
        if self.estimate == 0:
            return None
        return units_to_decide(self.effect, alpha=self.alpha, paired=self.paired, noise=self.noise)


def unpaired_shift(a: Units, b: Units, *, alpha: float, seed: int, pairs: Sequence[tuple[int, int]] = ()) -> Shift:
    """Test the mean of `a` against the mean of `b`: two-sided permutation of the units, `[units]` each.

    The labels of `pairs`, (unit of `a`, unit of `b`), are dealt within the pair.
    """
    check(a, b)
    if pairs:
        return _stratified(a, b, pairs, alpha=alpha, seed=seed)
    estimate = difference_of_means(a, b)
    relabelings = comb(len(a) + len(b), len(a))
    what = f"permutation of {len(a)} + {len(b)} units"
    if permutations_countable(len(a), len(b)):
        smallest = (2 if len(a) == len(b) else 1) / relabelings  # the mirror of unequal groups is no relabeling
        test = Tested(permutation_share(a, b), smallest, f"exact {what} (all {relabelings:,})")
    else:
        test = sampled(drawn_permutations(a, b), estimate, (a, b), what, alpha=alpha, seed=seed)
    size = float(np.abs(np.concatenate([a, b])).max())
    spread = varies(a, size) or varies(b, size)
    deviation = deviation_between(a, b)
    error = deviation * sqrt(1 / len(a) + 1 / len(b))
    return _shift(estimate, test, spread=spread, deviation=deviation, error=error, alpha=alpha, paired=False)


def _stratified(a: Units, b: Units, pairs: Sequence[tuple[int, int]], *, alpha: float, seed: int) -> Shift:
    differences = np.array([a[row] - b[other] for row, other in pairs])
    if len(pairs) == len(a) == len(b):
        return paired_shift(differences, alpha=alpha, seed=seed, scale=float(np.abs(np.concatenate([a, b])).max()))
    rest = [np.delete(side, list(rows)) for side, rows in zip((a, b), zip(*pairs, strict=True), strict=True)]
    parts = (len(pairs) / len(a), drawn_flips(differences)), (len(rest[0]) / len(a), drawn_permutations(*rest))

    def draw(rng: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
        (paired, flipped), (left, dealt) = ((share, deal(rng, count)) for share, deal in parts)
        return paired * flipped[0] + left * dealt[0], paired * flipped[1] + left * dealt[1]

    estimate = difference_of_means(a, b)
    what = f"sign flips of {len(pairs)} pairs and permutation of {len(rest[0])} + {len(rest[1])} units"
    test = sampled(draw, estimate, (a, b), what, alpha=alpha, seed=seed)
    deviation = deviation_between(a, b)
    error = deviation * sqrt(2 / len(a))
    spread = varies(a) or varies(b)
    return _shift(estimate, test, spread=spread, deviation=deviation, error=error, alpha=alpha, paired=False)


def paired_shift(differences: Units, *, alpha: float, seed: int, scale: float = 0.0) -> Shift:
    """Test the mean of paired differences, `[units]`, by flipping their signs, two-sided.

    `scale` is the size of what the differences were taken of: differences that are its rounding are no spread.
    """
    check(differences)
    count, estimate = len(differences), float(differences.mean())
    what = f"sign flips of {count} paired differences"
    if flips_countable(count):
        test = Tested(flip_share(differences), 2 / 2**count, f"exact {what} (all {2**count:,})")
    else:
        test = sampled(drawn_flips(differences), estimate, (differences,), what, alpha=alpha, seed=seed)
    spread = varies(differences, scale)
    deviation = float(differences.std(ddof=1))
    error = deviation / sqrt(count)
    return _shift(estimate, test, spread=spread, deviation=deviation, error=error, alpha=alpha, paired=True)


def _shift(
    estimate: float, test: Tested, *, spread: bool, deviation: float, error: float, alpha: float, paired: bool
) -> Shift:
    """Make a shift by its test; `deviation` is that between units, and `error` the standard error of the estimate."""
    return Shift(
        estimate=estimate,
        p=test.share(0.0),
        interval=invert(test.share, estimate, alpha, step=2 * error) if spread and test.smallest < alpha else None,
        test=test.name,
        seed=test.seed,
        spread=spread,
        smallest_p=test.smallest,
        effect=abs(estimate) / deviation if spread else inf,
        alpha=alpha,
        paired=paired,
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


def deviation_between(a: Units, b: Units) -> float:
    """Return the standard deviation between the units of a group, pooled over both as in Cohen's d."""
    return sqrt((float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2)


def difference_of_means(a: Units, b: Units) -> float:
    """Subtract the mean of `b` from that of `a`; a large level goes first, so that it does not eat the difference."""
    middle = float(np.concatenate([a, b]).mean())
    return float((a - middle).mean() - (b - middle).mean())


def invert(share: Share, estimate: float, alpha: float, *, step: float) -> tuple[float, float] | None:
    """Find the shifts that are not rejected, by stepping out and halving; `step` is a first guess of their reach.

    Zero is tried first, so that the interval holds it if, and only if, the test does not reject it. None where no
    shift is rejected, however large.
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
            if share(estimate + direction * middle) >= alpha:
                inside = middle
            else:
                outside = middle
        ends.append(estimate + direction * outside)
    return ends[0], ends[1]


def crossed_shift(a: Units, b: Units, differences: Units, *, alpha: float, seed: int, paired: bool = False) -> Shift:
    """Test the mean of `a` against that of `b`, for other templates and other topics at once, two-sided.

    Chance has two sources, and their variances add, as in min F' (Clark, J. Verb. Learn. Verb. Behav. 12, 1973): which
    templates fell to which side, drawn by relabeling the templates, and which topics were taken, drawn by flipping the
    signs of the topics' differences about their mean. p is the share of draws whose sum lies at least as far from zero
    as the difference. It is never smaller than that over templates alone or topics alone, so that few units of one
    sort are not made up for by many of the other; the interval likewise holds both of theirs.

    `a` and `b` are means by template, `[templates]`; if `paired`, each is of the same template at the same place.
    `differences` are those of the two sides by topic, `[topics]`.
    """
    templates = paired_shift(a - b, alpha=alpha, seed=seed) if paired else unpaired_shift(a, b, alpha=alpha, seed=seed)
    topics = paired_shift(differences, alpha=alpha, seed=seed)
    estimate = templates.estimate
    what = f"sign flips of {len(a)} paired differences" if paired else f"permutation of {len(a)} + {len(b)} units"
    what += f", added to sign flips of {len(differences)} centred paired differences"
    drawn = sampled(_draw(a, b, differences, paired=paired), estimate, (a, b), what, alpha=alpha, seed=seed)
    both = drawn.share(0.0)
    alone = max(templates, topics, key=lambda shift: shift.p)
    interval = None
    if templates.interval is not None and topics.interval is not None:
        crossed = invert(drawn.share, estimate, alpha, step=templates.interval[1] - templates.interval[0])
        if crossed is not None:
            ends = (*crossed, *templates.interval, *topics.interval)
            interval = min(ends), max(ends)
    deviation = float((a - b).std(ddof=1)) if paired else deviation_between(a, b)
    return Shift(
        estimate=estimate,
        p=max(both, alone.p),
        interval=interval,
        test=f"{drawn.name}; p is the larger one of {alone.test}" if alone.p > both else drawn.name,
        seed=seed,
        spread=templates.spread or topics.spread,
        smallest_p=max(templates.smallest_p, topics.smallest_p),
        effect=templates.effect,
        alpha=alpha,
        paired=paired,
        noise=float(differences.var(ddof=1)) / len(differences) / deviation**2 if templates.spread else 0.0,
    )


def drawn_permutations(a: Units, b: Units) -> Draw:
    """Draw relabelings of the units of two groups."""
    values = np.concatenate([a, b])
    values = values - values.mean()  # what one side has above the mean the other lacks
    weight = 1 / len(a) + 1 / len(b)

    def draw(rng: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
        chosen = np.argsort(rng.random((count, len(values)))) < len(a)
        return chosen @ values * weight, chosen[:, : len(a)].sum(axis=1) * weight - len(a) / len(b)

    return draw


def drawn_flips(differences: Units) -> Draw:
    """Draw signs of paired differences."""
    weight, mean = 2 / len(differences), float(differences.mean())

    def draw(rng: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
        turned = rng.integers(0, 2, (count, len(differences)), dtype=bool).astype(np.float64)
        return mean - weight * (turned @ differences), 1 - weight * turned.sum(axis=1)

    return draw


def _draw(a: Units, b: Units, differences: Units, *, paired: bool) -> Draw:
    """Draw relabeled templates plus turned topics; only the former take up a shift."""
    count = len(differences)
    centred = (differences - differences.mean()) * sqrt(count / (count - 1))  # their mean took up a degree of freedom
    of_templates, of_topics = drawn_flips(a - b) if paired else drawn_permutations(a, b), drawn_flips(centred)

    def draw(rng: np.random.Generator, wanted: int) -> tuple[Statistics, Statistics]:
        contrast, slope = of_templates(rng, wanted)
        return contrast + of_topics(rng, wanted)[0], slope

    return draw
