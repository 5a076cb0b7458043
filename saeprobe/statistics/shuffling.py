"""Shuffling: what the same tests say of labels that mean nothing."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
from jaxtyping import Float

from saeprobe.statistics.counting import Units, tolerance
from saeprobe.statistics.permutation import DRAWN
from saeprobe.statistics.permuting import EXACT_LIMIT
from saeprobe.statistics.shifts import check

Ps = Float[np.ndarray, " rounds"]
Signs = Float[np.ndarray, "relabelings units"]


def shuffled_ps(a: Units, b: Units, *, rounds: int, seed: int) -> Ps:
    """Two-sided p between two made-up sides, each holding half of the units of either side, `[rounds]`.

    Of an odd number of units one side takes one more; where both numbers are odd, each side one more of one.

    Raises:
        ValueError: a group has fewer than two units, or a value is not finite.
    """
    check(a, b)
    rng = np.random.default_rng(seed)
    values = np.concatenate([a, b])
    size, from_a = len(values) // 2, len(a) // 2
    made_up = np.zeros((rounds, len(values)))
    for row in made_up:
        row[rng.permutation(len(a))[:from_a]] = 1.0
        row[len(a) + rng.permutation(len(b))[: size - from_a]] = 1.0
    return _ranked(made_up, _dealt(len(values), size, rng), values - values.mean(), tolerance(values))


def paired_shuffled_ps(differences: Units, *, rounds: int, seed: int) -> Ps:
    """Two-sided p of paired differences of which half, drawn at random, have their sign turned, `[rounds]`.

    Raises:
        ValueError: fewer than two units, or a value is not finite.
    """
    check(differences)
    rng = np.random.default_rng(seed)
    count = len(differences)
    made_up = np.ones((rounds, count))
    for row in made_up:
        row[rng.permutation(count)[: count // 2]] = -1.0
    if 2**count <= EXACT_LIMIT:
        signs = np.array(list(product((1.0, -1.0), repeat=count)))
    else:
        signs = rng.choice((1.0, -1.0), size=(DRAWN, count))
    return _ranked(made_up, signs, differences, tolerance(differences))


def _dealt(count: int, size: int, rng: np.random.Generator) -> Signs:
    """1 for each of the `size` units that are chosen of `count`: all ways, or as many as are drawn of too many."""
    if comb(count, size) > EXACT_LIMIT:
        return (np.argsort(rng.random((DRAWN, count))) < size).astype(np.float64)
    chosen = np.zeros((comb(count, size), count))
    for row, members in enumerate(combinations(range(count), size)):
        chosen[row, members] = 1.0
    return chosen


def _ranked(made_up: Signs, relabelings: Signs, values: Units, slack: float) -> Ps:
    """Share of the relabelings whose sum is at least as far from zero as each made-up one; a drawn one is never 0.

    Sums do for differences of means: the values are about their mean, and every relabeling has the same sizes.
    """
    extents = np.sort(np.abs(relabelings @ values))
    reached = len(extents) - np.searchsorted(extents, np.abs(made_up @ values) - slack * len(values))
    return np.maximum(reached, 1) / len(extents)
