"""Counting: how many relabelings reach the observed contrast, exactly, by meeting in the middle.

24 units can be dealt to two groups of 12 in 2.7 million ways. A relabeling exchanges j units of one group for j of the
other, and its contrast depends only on the sums of the two. So the sums within either group are listed by j, those of
one are sorted, and those of the other looked up in them (Horowitz & Sahni, J. ACM 21, 1974): 4,096 look-ups for the
2.7 million. Sign flips are counted likewise from the subsets of two halves. Nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
from jaxtyping import Float

Units = Float[np.ndarray, " units"]
Sums = Float[np.ndarray, " subsets"]
Share = Callable[[float], float]
"""Share of relabelings that lie at least as far from zero as the observed one, once a shift is taken out of the first
group. It never rises with the distance of the shift from the observed difference, since no relabeling moves faster."""

HALF_LIMIT = 2**18
"""Up to so many subsets are listed on a side: 18 + 18 units, or 36 signs."""


def permutations_countable(n_a: int, n_b: int) -> bool:
    """Whether the relabelings of `n_a` + `n_b` units can be counted."""
    fewer = min(n_a, n_b)
    return sum(comb(max(n_a, n_b), size) for size in range(fewer + 1)) <= HALF_LIMIT


def flips_countable(count: int) -> bool:
    """Whether the signs of `count` differences can be counted."""
    return 2 ** (count - count // 2) <= HALF_LIMIT


def permutation_share(a: Units, b: Units) -> Share:
    """The two-sided test of mean of `a` minus mean of `b` under all relabelings of the units, ties included."""
    middle = float(np.concatenate([a, b]).mean())  # as many sums go out as come in, so that any centre will do
    fewer = min(len(a), len(b))
    leave, enter = _sums_by_size(a - middle, fewer), _sums_by_size(b - middle, fewer)
    weight = 1 / len(a) + 1 / len(b)
    difference = float((a - middle).mean() - (b - middle).mean())
    relabelings = comb(len(a) + len(b), len(a))

    def share(shift: float) -> float:
        observed = difference - shift
        slack = tolerance(a - shift, b)
        near, far = slack / weight, (2 * abs(observed) - slack) / weight
        if far <= near:
            return 1.0
        reached = 0
        for size, (out, into) in enumerate(zip(leave, enter, strict=True)):
            moved = out - size * shift
            lost, gained = (moved, into) if observed >= 0 else (into, moved)
            # the contrast is |observed| - weight * (lost - gained)
            reached += _pairs_at_most(lost, gained, near) + _pairs_at_most(gained, lost, -far)
        return reached / relabelings

    return share


def flip_share(differences: Units) -> Share:
    """The two-sided test of the mean of `differences` under all ways to set their signs, ties included."""
    count = len(differences)
    half = count // 2

    def share(shift: float) -> float:
        moved = differences - shift
        observed = float(moved.mean())
        slack = tolerance(moved)
        near, far = slack * count / 2, (2 * abs(observed) - slack) * count / 2
        if far <= near:
            return 1.0
        moved = moved if observed >= 0 else -moved
        first, second = np.sort(_sums(moved[:half])), np.sort(_sums(moved[half:]))
        # flipping a subset takes twice its sum away; as many subsets leave +observed as leave -observed
        reached = np.searchsorted(second, near - first[::-1], side="right")  # rising look-ups are much the faster ones
        return 2 * int(reached.sum()) / 2**count

    return share


def tolerance(*groups: Units) -> float:
    """How far two means of these values may lie apart and still be the same number, rounded."""
    return 1e-12 * max(1.0, *(float(np.abs(group).max()) for group in groups))


def _pairs_at_most(x: Sums, y: Sums, bound: float) -> int:
    """How many pairs have x - y <= bound, both sorted; the shorter one is looked up in the longer."""
    if len(x) <= len(y):
        return len(x) * len(y) - int(np.searchsorted(y, x - bound).sum())
    return int(np.searchsorted(x, y + bound, side="right").sum())


def _sums_by_size(values: Units, most: int) -> list[Sums]:
    """The sorted sums of all subsets of 0, 1, ... `most` values."""
    sums = [np.zeros(1), *(np.zeros(0) for _ in range(most))]
    for value in values:
        for size in range(most, 0, -1):
            sums[size] = np.concatenate([sums[size], sums[size - 1] + value])
    return [np.sort(each) for each in sums]


def _sums(values: Units) -> Sums:
    """The sums of all subsets."""
    sums: Sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums
