"""Rates: exact binomial intervals and tests; the number of successes may be fractional.

A unit that fires on half of its prompts is half a success. The binomial tail is then continued through the incomplete
beta function, as Korn & Graubard (Survey Methodology 24, 1998) do for an effective number of trials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, log, sqrt

import numpy as np
from jaxtyping import Float, Int


def rate_interval(successes: float, trials: int, *, level: float) -> tuple[float, float]:
    """Exact binomial interval of a rate (Clopper & Pearson 1934).

    Raises:
        ValueError: no trial, or successes outside [0, trials].
    """
    from scipy.special import betaincinv  # a quarter of a second to import, and not every run needs it

    _check(successes, trials)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def rate_p(successes: float, trials: int, *, bound: float, above: bool) -> float:
    """One-sided exact p: how likely so many successes, or more (fewer, if not `above`), are at a rate of `bound`.

    Raises:
        ValueError: no trial, successes outside [0, trials], or a bound outside (0, 1).
    """
    from scipy.special import betainc

    _check(successes, trials)
    _check_bound(bound)
    if not above:
        return rate_p(trials - successes, trials, bound=1 - bound, above=True)
    return 1.0 if successes == 0 else float(betainc(successes, trials - successes + 1, bound))


def units_for_rate(bound: float, *, above: bool, alpha: float) -> int:
    """The fewest units that support a rate above (below) `bound` when all of them (none) show it.

    Raises:
        ValueError: a bound outside (0, 1).
    """
    _check_bound(bound)
    share = bound if above else 1 - bound
    units = max(1, ceil(log(alpha) / log(share)))
    return units if share**units < alpha else units + 1


def _check(successes: float, trials: int) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials}; wanted at least one trial and 0 to {trials} successes")


def _check_bound(bound: float) -> None:
    if not 0 < bound < 1:
        raise ValueError(f"a rate is held against {bound}; wanted a bound between 0 and 1, such as 0.95")


Indices = Int[np.ndarray, " units"]


Statistic = Callable[[Indices], float]


RESAMPLES = 4_999


MOST_UNDEFINED = 0.01
"""Share of resamples that may leave the statistic undefined, such as a correlation of values that are all alike."""


def bca_interval(n_units: int, statistic: Statistic, *, level: float, seed: int) -> tuple[float, float] | None:
    """Bias-corrected and accelerated bootstrap interval over whole units (Efron, J. Am. Stat. Assoc. 82, 1987).

    `statistic` takes the indices of units, `[units]`, and gives NaN where it is undefined.

    Returns:
        The interval; None where the statistic does not vary, or is undefined on more than 1 % of the resamples.

    Raises:
        ValueError: fewer than two units.
    """
    from scipy.special import ndtr, ndtri  # a quarter of a second to import, and not every run needs it

    if n_units < 2:  # noqa: PLR2004 - one unit has no spread
        raise ValueError(f"{n_units} unit of replication; an interval needs at least 2")
    everyone = np.arange(n_units)
    found = statistic(everyone)
    rows = np.random.default_rng(seed).integers(0, n_units, (RESAMPLES, n_units))
    rows.sort(axis=1)  # a resample of every unit once is then `found` itself, and not one that rounding moves
    drawn = np.array([statistic(row) for row in rows])
    left_out = np.array([statistic(np.delete(everyone, unit)) for unit in everyone])
    defined = drawn[np.isfinite(drawn)]
    if not (np.isfinite(found) and np.isfinite(left_out).all()) or len(defined) < (1 - MOST_UNDEFINED) * len(drawn):
        return None
    below = (np.mean(defined < found) + np.mean(defined <= found)) / 2
    if not 0 < below < 1 or np.ptp(left_out) == 0:
        return None
    bias = ndtri(below)
    pull = left_out.mean() - left_out
    acceleration = float((pull**3).sum() / (6 * (pull**2).sum() ** 1.5))
    ends = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    shares: Float[np.ndarray, " 2"] = ndtr(bias + ends / (1 - acceleration * ends))
    low, high = np.quantile(defined, shares)
    return float(low), float(high)


def false_discoveries(ps: Float[np.ndarray, " tests"], *, q: float) -> Float[np.ndarray, " tests"]:
    """Adjusted p of each test, `[tests]` (Benjamini & Hochberg 1995): of those at or below `q`, a share `q` is false.

    Raises:
        ValueError: a p outside [0, 1], or a q outside (0, 1).
    """
    from scipy.stats import false_discovery_control  # takes half a second to import, and few runs need it

    if not 0 < q < 1:
        raise ValueError(f"q is {q}; wanted a share of false discoveries between 0 and 1, such as 0.05")
    return np.asarray(false_discovery_control(ps))


HANGS = 1e-9
"""Of the spread of lengths; where no more is left without a cluster, the slope hangs on it."""


def within_slope(
    values: Float[np.ndarray, " prompts"], lengths: Float[np.ndarray, " prompts"], groups: tuple[str, ...]
) -> float | None:
    """Slope of `values` on `lengths` within groups, pooled over them; None where lengths do not vary within any."""
    of = np.asarray(groups)
    covariance = variance = 0.0
    for group in dict.fromkeys(groups):
        inside = of == group
        x = lengths[inside] - lengths[inside].mean()
        covariance += float(x @ values[inside])  # x is about its mean, so that a level of the values drops out
        variance += float(x @ x)
    return covariance / variance if variance > 0 else None


def slope_error(
    values: Float[np.ndarray, " prompts"],
    lengths: Float[np.ndarray, " prompts"],
    groups: Sequence[str],
    clusters: Sequence[str],
) -> float | None:
    """Standard error of `within_slope`, by leaving out one cluster of prompts at a time (jackknife).

    None where the slope hangs on a single cluster, without which lengths do not vary within any group.
    """
    (_, group), (_, cluster) = (np.unique(np.asarray(of), return_inverse=True) for of in (groups, clusters))
    prompts = np.bincount(group)
    x = lengths - (np.bincount(group, weights=lengths) / prompts)[group]
    y = values - (np.bincount(group, weights=values) / prompts)[group]
    sums = np.zeros((5, group.max() + 1, cluster.max() + 1))
    for total, each in zip(sums, (np.ones_like(x), x, y, x * x, x * y), strict=True):
        np.add.at(total, (group, cluster), each)
    count, of_x, of_y, of_xx, of_xy = sums.sum(axis=2, keepdims=True) - sums
    count = np.maximum(count, 1)  # of a group that lies in one cluster nothing is left, and nothing is added
    variance = (of_xx - of_x**2 / count).sum(axis=0)
    if (variance <= HANGS * float(x @ x)).any():
        return None
    without = (of_xy - of_x * of_y / count).sum(axis=0) / variance
    return sqrt((len(without) - 1) * float(without.var()))
