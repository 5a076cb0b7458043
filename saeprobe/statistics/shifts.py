"""Shifts: how far one group of units lies above another, its permutation test and the interval that belongs to it.

The tests are linear in a shift of the first group, so that inverting them gives the interval: the shifts that the test
does not reject (Pitman 1937; Garthwaite, Biometrics 52, 1996). Interval and p never contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, inf, sqrt
from typing import NamedTuple

import numpy as np

from saeprobe.statistics.counting import (
    Share,
    Units,
    flip_share,
    flips_countable,
    permutation_share,
    permutations_countable,
)
from saeprobe.statistics.permutation import drawn_flips, drawn_permutations, sampled
from saeprobe.statistics.power import units_to_decide

PRECISION = 1e-8
"""Of the ends of an interval, as a share of their distance from the estimate."""
FARTHEST = 1e6
"""Standard errors at which an end is looked for; beyond them only the labels decide, and they stay the same."""


SMALLEST = 1e-150
"""A range below has a variance that no floating-point number holds."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far one group of units lies above another.

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
        """Units a side that would decide this effect with 80 % power; None for no effect, and beyond 1,000."""
        if self.estimate == 0:
            return None
        return units_to_decide(self.effect, alpha=self.alpha, paired=self.paired, noise=self.noise)


def unpaired_shift(a: Units, b: Units, *, alpha: float, seed: int) -> Shift:
    """Mean of `a` above mean of `b`: two-sided permutation of the units between the groups, `[units]` each.

    Raises:
        ValueError: a group has fewer than two units, or a value is not finite.
    """
    check(a, b)
    estimate = difference_of_means(a, b)
    relabelings = comb(len(a) + len(b), len(a))
    what = f"permutation of {len(a)} + {len(b)} units"
    if permutations_countable(len(a), len(b)):
        smallest = (2 if len(a) == len(b) else 1) / relabelings  # the mirror of unequal groups is no relabeling
        test = _Test(permutation_share(a, b), smallest, f"exact {what} (all {relabelings:,})")
    else:
        drawn = sampled(drawn_permutations(a, b), estimate, (a, b), alpha=alpha, seed=seed)
        test = _Test(drawn.share, drawn.smallest, f"sampled {what} ({drawn.note})", seed)
    size = float(np.abs(np.concatenate([a, b])).max())
    spread = varies(a, size) or varies(b, size)
    deviation = deviation_between(a, b)
    error = deviation * sqrt(1 / len(a) + 1 / len(b))
    return _shift(estimate, test, spread=spread, deviation=deviation, error=error, alpha=alpha, paired=False)


def paired_shift(differences: Units, *, alpha: float, seed: int, scale: float = 0.0) -> Shift:
    """Mean of paired differences, `[units]`: two-sided test that flips their signs.

    `scale` is the size of what the differences were taken of: differences that are its rounding are no spread.

    Raises:
        ValueError: fewer than two units, or a value is not finite.
    """
    check(differences)
    count, estimate = len(differences), float(differences.mean())
    what = f"sign flips of {count} paired differences"
    if flips_countable(count):
        test = _Test(flip_share(differences), 2 / 2**count, f"exact {what} (all {2**count:,})")
    else:
        drawn = sampled(drawn_flips(differences), estimate, (differences,), alpha=alpha, seed=seed)
        test = _Test(drawn.share, drawn.smallest, f"sampled {what} ({drawn.note})", seed)
    spread = varies(differences, scale)
    deviation = float(differences.std(ddof=1))
    error = deviation / sqrt(count)
    return _shift(estimate, test, spread=spread, deviation=deviation, error=error, alpha=alpha, paired=True)


class _Test(NamedTuple):
    """A test of one way to relabel: its p by shift, the least it can be, what to call it, and the seed if drawn."""

    share: Share
    smallest: float
    name: str
    seed: int | None = None


def _shift(
    estimate: float, test: _Test, *, spread: bool, deviation: float, error: float, alpha: float, paired: bool
) -> Shift:
    """A shift by its test; `deviation` is that between units, and `error` the standard error of the estimate."""
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
    """Refuse what has no spread, or is no number.

    Raises:
        ValueError: a group has fewer than two units, or a value is not finite.
    """
    for group in groups:
        if len(group) < 2:  # noqa: PLR2004 - one unit has no spread
            raise ValueError(f"{len(group)} unit of replication; a test needs at least 2 a side")
        if not np.isfinite(group).all():
            raise ValueError("a unit's mean is not a finite number; no verdict is given on NaN")


def varies(units: Units, scale: float = 0.0) -> bool:
    """Whether units differ by more than the rounding of numbers of this size: 0.3 - 0.2 and 0.9 - 0.8 are the same."""
    return bool(np.ptp(units) > max(1e-9 * scale, 1e-9 * float(np.abs(units).max()), SMALLEST))


def deviation_between(a: Units, b: Units) -> float:
    """Standard deviation between the units of a group, pooled over both as in Cohen's d."""
    return sqrt((float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2)


def difference_of_means(a: Units, b: Units) -> float:
    """Mean of `a` minus mean of `b`; the common level goes first, so that a large one does not eat the difference."""
    middle = float(np.concatenate([a, b]).mean())
    return float((a - middle).mean() - (b - middle).mean())


def invert(share: Share, estimate: float, alpha: float, *, step: float) -> tuple[float, float] | None:
    """The shifts that are not rejected, by stepping out and halving; `step` is a first guess of how far they reach.

    Zero is tried first, so that the interval holds it if, and only if, the test does not reject it.

    Returns:
        The interval; None where no shift is rejected, however large.
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
