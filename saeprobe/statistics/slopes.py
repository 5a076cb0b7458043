"""Slopes within groups, for what rises with the length of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Float

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
