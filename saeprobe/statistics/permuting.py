"""Permuting: the p of any statistic of units that are put in another order."""

from __future__ import annotations

from itertools import permutations
from math import factorial
from typing import Literal

import numpy as np

from saeprobe.statistics.bootstrap import Statistic
from saeprobe.statistics.intervals import rate_interval
from saeprobe.statistics.permutation import SURE

EXACT_LIMIT = 20_000
"""Up to so many relabelings are gone through one by one where they cannot be counted; 8 + 8 units have 12,870."""
ROUNDS = 9_999


def permutation_p(
    statistic: Statistic,
    n_units: int,
    *,
    alpha: float,
    seed: int,
    side: Literal["greater", "two-sided"] = "greater",
    rounds: int = ROUNDS,
) -> tuple[float, str, int | None]:
    """The p of `statistic` when the units are permuted; all permutations of up to 7 units, drawn ones of more.

    `statistic` takes a permutation of the indices of units, `[units]`. An undefined (NaN) one counts against the
    finding. A sampled p whose exact interval holds alpha is drawn again, ten times as often and alike for every seed;
    if it still does, the upper end of the interval is given, so that two seeds agree on the verdict.

    Returns:
        p, the test in words, and the seed if permutations were drawn.

    Raises:
        ValueError: fewer than two units, or the statistic is undefined as observed.
    """
    if n_units < 2:  # noqa: PLR2004 - one unit has one order
        raise ValueError(f"{n_units} unit of replication; a permutation needs at least 2")

    def extent(order: np.ndarray) -> float:
        value = statistic(order)
        return abs(value) if side == "two-sided" else value

    observed = extent(np.arange(n_units))
    if not np.isfinite(observed):
        raise ValueError("the statistic is not a finite number as observed; no verdict is given on NaN")
    bound = observed - 1e-12 * max(1.0, abs(observed))
    if factorial(n_units) <= EXACT_LIMIT:
        reached = sum(not extent(np.array(order)) < bound for order in permutations(range(n_units)))
        return reached / factorial(n_units), f"exact permutation of {n_units} units (all {factorial(n_units):,})", None

    def drawn(draws: int, of: int) -> tuple[float, float, float]:
        """The p of so many draws, and the ends of its interval."""
        rng = np.random.default_rng(of)
        reached = sum(not extent(rng.permutation(n_units)) < bound for _ in range(draws))
        return ((reached + 1) / (draws + 1), *rate_interval(reached, draws, level=SURE))

    p, low, high = drawn(rounds, seed)
    if low <= alpha <= high:
        rounds = rounds * 10 + 9
        p, low, high = drawn(rounds, 0)
    note = f"{rounds:,} drawn"
    if low <= alpha <= high:
        p = high
        note += f"; p is too close to {alpha:g} to tell, and the upper end of its {SURE:.1%} interval is given"
    return p, f"sampled permutation of {n_units} units ({note})", seed
