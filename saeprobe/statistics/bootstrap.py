"""Bootstrap: intervals of statistics that are not linear, from whole units drawn again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

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
