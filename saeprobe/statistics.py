"""Statistics: tests that permute what a claim generalises over, and the intervals that belong to them.

Both tests are linear in a shift of the first group, so one set of resamples serves the p-value and, by inverting the
test (Pitman 1937; Garthwaite, Biometrics 52, 1996), the interval: the shifts that the test does not reject.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from math import ceil, comb
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

Units = Float[np.ndarray, " units"]

EXACT_LIMIT = 20_000
"""Up to so many relabelings are counted one by one; 8 + 8 templates have 12,870."""
RESAMPLES = 19_999
"""Drawn where there are more; the smallest p is then 1 / 20,000."""
POWER = 0.8
"""At which `units_needed` is worked out."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far one group of units lies above another.

    `interval` is None where the test cannot reject any shift (too few units) or the units show no spread; `needed` is
    the number of units a side at which this effect and spread would be decided with 80 % power, None where the effect
    is zero.
    """

    estimate: float
    p: float
    interval: tuple[float, float] | None
    test: str
    seed: int | None
    spread: bool
    smallest_p: float
    needed: int | None


def unpaired_shift(a: Units, b: Units, *, alpha: float, seed: int) -> Shift:
    """Mean of `a` above mean of `b`: two-sided permutation of the units between the groups, `[units]` each.

    Raises:
        ValueError: a group has fewer than two units, or a value is not finite.
    """
    _check(a, b)
    together = len(a) + len(b)
    relabelings = comb(together, len(a))
    exact = relabelings <= EXACT_LIMIT
    if exact:
        chosen = np.zeros((relabelings, together), dtype=bool)
        for row, members in enumerate(combinations(range(together), len(a))):
            chosen[row, members] = True
    else:
        rng = np.random.default_rng(seed)
        chosen = np.argsort(rng.random((RESAMPLES, together)), axis=1) < len(a)
        chosen = np.vstack([np.arange(together) < len(a), chosen])  # the labels as observed count as one of them
    weights = np.where(chosen, 1 / len(a), -1 / len(b))
    values = np.concatenate([a, b])
    values = values - values.mean()  # the weights sum to 0; without it a large offset would round differently by row
    statistic = weights @ values
    slope = weights[:, : len(a)].sum(axis=1)
    spread = _varies(a) or _varies(b)
    estimate = float(values[: len(a)].mean() - values[len(a) :].mean())
    return Shift(
        estimate=estimate,
        p=_p(statistic, slope, estimate, 0.0),
        interval=_invert(statistic, slope, estimate, alpha) if spread else None,
        test=f"{'exact' if exact else 'sampled'} permutation of {len(a)} + {len(b)} units",
        seed=None if exact else seed,
        spread=spread,
        smallest_p=(2 if len(a) == len(b) else 1) / relabelings if exact else 1 / len(statistic),
        needed=_needed(estimate, float(a.var(ddof=1) + b.var(ddof=1)), alpha),
    )


def paired_shift(differences: Units, *, alpha: float, seed: int) -> Shift:
    """Mean of paired differences, `[units]`: two-sided test that flips their signs.

    Raises:
        ValueError: fewer than two units, or a value is not finite.
    """
    _check(differences)
    count = len(differences)
    exact = 2**count <= EXACT_LIMIT
    if exact:
        signs = np.array(list(product((1.0, -1.0), repeat=count)))
    else:
        signs = np.random.default_rng(seed).choice((1.0, -1.0), size=(RESAMPLES, count))
        signs = np.vstack([np.ones(count), signs])
    statistic = signs @ differences / count
    slope = signs.mean(axis=1)
    spread = _varies(differences)
    estimate = float(differences.mean())
    return Shift(
        estimate=estimate,
        p=_p(statistic, slope, estimate, 0.0),
        interval=_invert(statistic, slope, estimate, alpha) if spread else None,
        test=f"{'exact' if exact else 'sampled'} sign flips of {count} paired differences",
        seed=None if exact else seed,
        spread=spread,
        smallest_p=2 / 2**count if exact else 1 / len(statistic),
        needed=_needed(estimate, float(differences.var(ddof=1)), alpha),
    )


def rate_interval(successes: int, trials: int, *, level: float) -> tuple[float, float]:
    """Exact binomial interval of a rate (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest  # takes half a second to import, and few runs need it

    interval = binomtest(successes, trials).proportion_ci(confidence_level=level, method="exact")
    return float(interval.low), float(interval.high)


def within_slope(
    values: Float[np.ndarray, " prompts"], lengths: Float[np.ndarray, " prompts"], groups: tuple[str, ...]
) -> float | None:
    """Slope of `values` on `lengths` within groups, pooled over them; None where lengths do not vary within any."""
    of = np.asarray(groups)
    covariance = variance = 0.0
    for group in dict.fromkeys(groups):
        inside = of == group
        x = lengths[inside] - lengths[inside].mean()
        covariance += float(x @ (values[inside] - values[inside].mean()))
        variance += float(x @ x)
    return covariance / variance if variance > 0 else None


def _check(*groups: Units) -> None:
    for group in groups:
        if len(group) < 2:  # noqa: PLR2004 - one unit has no spread
            raise ValueError(f"{len(group)} unit of replication; a test needs at least 2 a side")
        if not np.isfinite(group).all():
            raise ValueError("a unit's mean is not a finite number; no verdict is given on NaN")


def _varies(units: Units) -> bool:
    """Whether units differ by more than rounding: 0.3 - 0.2 and 0.9 - 0.8 are the same difference."""
    return bool(np.ptp(units) > 1e-9 * np.abs(units).max())


def _p(statistic: Units, slope: Units, observed: float, shift: float) -> float:
    """Share of relabelings at least as far from zero as the observed one, once `shift` is taken out."""
    reached = np.abs(statistic - shift * slope)
    bound = abs(observed - shift)  # the observed labels move by the whole shift
    return float(np.mean(reached >= bound - 1e-12 * max(1.0, bound, float(np.abs(statistic).max()))))


def _invert(statistic: Units, slope: Units, observed: float, alpha: float) -> tuple[float, float] | None:
    ends: list[float] = []
    for direction in (-1.0, 1.0):
        step = float(np.abs(statistic - observed * slope).max()) or 1.0
        inside, outside = 0.0, step
        for _ in range(40):
            if _p(statistic, slope, observed, observed + direction * outside) <= alpha:
                break
            inside, outside = outside, outside * 2
        else:
            return None
        for _ in range(50):
            middle = (inside + outside) / 2
            if _p(statistic, slope, observed, observed + direction * middle) <= alpha:
                outside = middle
            else:
                inside = middle
        ends.append(observed + direction * outside)
    return ends[0], ends[1]


def _needed(estimate: float, variance: float, alpha: float) -> int | None:
    """Units a side for 80 % power, by the normal approximation: a hint for planning, never part of a verdict."""
    if estimate == 0:
        return None
    z = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(POWER)
    return max(2, ceil(z * z * variance / (estimate * estimate)))
