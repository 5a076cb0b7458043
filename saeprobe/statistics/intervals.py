"""An interval says what so many units show: exact intervals of rates, and bootstrap intervals of anything else.

The successes of a rate may be fractional: a unit that fires on half of its prompts is half a success. The binomial tail
is then continued through the incomplete beta function, as Korn & Graubard (Survey Methodology 24, 1998) do for an
effective number of trials.

scipy takes a quarter of a second to import, and not every run needs it, so that each function imports its own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log

import numpy as np

from saeprobe.shapes import Float, Int


def rate_interval(successes: float, trials: int, *, level: float) -> tuple[float, float]:
    """Return the exact binomial interval of a rate (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv

    _check(successes, trials)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def rate_p(successes: float, trials: int, *, bound: float, above: bool) -> float:
    """Return how likely so many successes, or more (fewer, if not `above`), are at a rate of `bound`: an exact p."""
    from scipy.special import betainc

    _check(successes, trials)
    _check_bound(bound)
    if not above:
        return rate_p(trials - successes, trials, bound=1 - bound, above=True)
    return 1.0 if successes == 0 else float(betainc(successes, trials - successes + 1, bound))


def units_for_rate(bound: float, *, above: bool, alpha: float) -> int:
    """Return the fewest units that support a rate above (below) `bound` when all of them (none) show it."""
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


Statistic = Callable[[Int[np.ndarray, " units"]], float]
"""Takes the indices of units."""

RESAMPLES = 4_999

MOST_UNDEFINED = 0.01
"""Share of resamples that may leave the statistic undefined, such as a correlation of values that are all alike."""


def bca_interval(n_units: int, statistic: Statistic, *, level: float, seed: int) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated bootstrap interval (Efron, J. Am. Stat. Assoc. 82, 1987).

    Whole units are drawn. `statistic` gives NaN where it is undefined. None is returned where it does not vary, or is
    undefined on more than 1 % of the resamples.
    """
    from scipy.special import ndtr, ndtri

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


def false_discoveries(ps: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Adjust the p of each test (Benjamini & Hochberg 1995): of those at or below `q`, a share `q` is false."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(ps))
