"""Relabelings are counted here where that can be done, and else drawn until they are sure of the verdict.

Three rules say when enough are drawn: those of `sampled` (means of units), `permutation_p` (any statistic of an order)
and `drawn` (any relabeling at all). Each serves the measures whose numbers it gave first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations
from math import comb, factorial
from typing import NamedTuple, TypeVar

import numpy as np

from saeprobe.shapes import Bool, Float
from saeprobe.statistics.intervals import Statistic, rate_interval

Units = Float[np.ndarray, " units"]
Sums = Float[np.ndarray, " subsets"]
Statistics = Float[np.ndarray, " relabelings"]

Share = Callable[[float], float]
"""Share of relabelings that lie at least as far from zero as the observed one, once a shift is taken out of the first
group. It never rises with the distance of the shift from the observed difference, since no relabeling moves faster."""

Draw = Callable[[np.random.Generator, int], tuple[Statistics, Statistics]]
"""Draw so many relabelings: the contrast of each, and how much of a shift of the first group each contrast takes up."""

EXACT_LIMIT = 20_000  # up to so many relabelings that cannot be counted are gone through; 8 + 8 units have 12,870
COUNTED_ITEMS = 18  # up to so many units, or pairs of units, every relabeling is counted: 9 + 9 templates have 48,620
CHUNK = 20_000  # relabelings drawn, or worked on, at once
SURE = 0.999  # level of the interval of a drawn p that must not hold alpha


def permutation_share(a: Units, b: Units) -> Share:
    """Test the mean of `a` minus the mean of `b` under all relabelings of the units, two-sided, ties included."""
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
    """Test the mean of `differences` under all ways to set their signs, two-sided, ties included."""
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
        first, second = (np.sort(_sums(part)) for part in (moved[:half], moved[half:]))
        # flipping a subset takes twice its sum away; as many subsets leave +observed as leave -observed
        reached = np.searchsorted(second, near - first[::-1], side="right")  # rising look-ups are much the faster ones
        return 2 * int(reached.sum()) / 2**count

    return share


def tolerance(*groups: Units) -> float:
    """Return how far two means of these values may lie apart and still be the same number, rounded."""
    return 1e-12 * max(1.0, *(float(np.abs(group).max()) for group in groups))


def _pairs_at_most(x: Sums, y: Sums, bound: float) -> int:
    """Count the pairs with x - y <= bound, both sorted; the shorter one is looked up in the longer."""
    if len(x) <= len(y):
        return len(x) * len(y) - int(np.searchsorted(y, x - bound).sum())
    return int(np.searchsorted(x, y + bound, side="right").sum())


def _sums_by_size(values: Units, most: int) -> list[Sums]:
    """Return the sorted sums of all subsets of 0, 1, ... `most` values."""
    sums = [np.zeros(1), *(np.zeros(0) for _ in range(most))]
    for value in values:
        for size in range(most, 0, -1):
            sums[size] = np.concatenate([sums[size], sums[size - 1] + value])
    return [np.sort(each) for each in sums]


def _sums(values: Units) -> Sums:
    """Return the sums of all subsets."""
    sums: Sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


DRAWN = 19_999
"""Relabelings drawn at first; with the labels as observed they make 20,000, and the smallest p is 1 / 20,000."""

MOST_DRAWN = 1_999_999  # drawn at most, where p lies close to alpha

_DRAWN_RULE = (
    ". What is drawn comes from numpy.random.default_rng(seed), 20,000 at a time: of two groups "
    "argsort(random((count, units))) < size of the first puts units on the first side, of signs "
    "integers(0, 2, (count, units), dtype=bool) turns them, of both the groups go before the signs; p is "
    "(1 + those at least as far) / (1 + drawn). While the 99.9 % binomial interval of p holds alpha, ten times as many "
    "are drawn anew, by default_rng(0)"
)


def drawing_rule(seed: int | None) -> str:
    """Say how relabelings were drawn, to go on after a rule; nothing where all were counted."""
    return "" if seed is None else _DRAWN_RULE


def _too_close(alpha: float) -> str:
    return f"p is too close to {alpha:g} to tell, and the upper end of its {SURE:.1%} interval is given"


class Tested(NamedTuple):
    """A test has its p by shift, the least that this can be, a name, and the seed where it draws."""

    share: Share
    smallest: float
    name: str
    seed: int | None = None


def sampled(draw: Draw, observed: float, groups: tuple[Units, ...], what: str, *, alpha: float, seed: int) -> Tested:
    """Draw relabelings until the exact binomial interval of p no longer holds alpha, or there are two million.

    Where the first draws leave it open the further ones are the same for every seed, and a p that is still too close
    to alpha is given by the upper end of its interval, which is never below alpha. So two seeds agree on the verdict.
    The labels as observed are one of those drawn, so that p is never 0. `groups` hold the values, the shifted ones
    first; they say what counts as a tie. `what` is drawn, in words.
    """
    wanted = DRAWN
    rng = np.random.default_rng(seed)
    while True:
        parts = [draw(rng, min(CHUNK, wanted - start)) for start in range(0, wanted, CHUNK)]
        statistic, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
        share = _share(statistic, slope, observed, groups)
        p = share(0.0)
        low, high = rate_interval(round(p * (wanted + 1)) - 1, wanted, level=SURE)
        if not low <= alpha <= high:
            return Tested(share, 1 / (wanted + 1), f"sampled {what} ({wanted:,} drawn)", seed)
        if wanted >= MOST_DRAWN:
            break
        wanted = wanted * 10 + 9
        rng = np.random.default_rng(0)

    def upper(shift: float) -> float:
        return min(1.0, share(shift) + high - p)

    name = f"sampled {what} ({wanted:,} drawn; {_too_close(alpha)})"
    return Tested(upper, 1 / (wanted + 1) + high - p, name, seed)


def _share(statistic: Statistics, slope: Statistics, observed: float, groups: tuple[Units, ...]) -> Share:
    def share(shift: float) -> float:
        bound = abs(observed - shift) - tolerance(groups[0] - shift, *groups[1:])
        reached = int(np.count_nonzero(np.abs(statistic - shift * slope) >= bound))
        return (1 + reached) / (1 + len(statistic))  # the labels as observed are one of them

    return share


ROUNDS = 9_999


def permutation_p(
    statistic: Statistic, n_units: int, *, alpha: float, seed: int, rounds: int = ROUNDS
) -> tuple[float, str, int | None]:
    """Return the p of a `statistic` as large, over all permutations of up to 7 units, or drawn ones of more.

    `statistic` takes a permutation of the indices of units, `[units]`. An undefined (NaN) one counts against the
    finding. A sampled p whose exact interval holds alpha is drawn again, ten times as often and alike for every seed;
    if it still does, the upper end of the interval is given, so that two seeds agree on the verdict.
    It is returned with the test in words, and the seed if permutations were drawn.
    """
    if n_units < 2:  # noqa: PLR2004 - one unit has one order
        raise ValueError(f"{n_units} unit of replication; a permutation needs at least 2")
    observed = statistic(np.arange(n_units))
    if not np.isfinite(observed):
        raise ValueError("the statistic is not a finite number as observed; no verdict is given on NaN")
    bound = observed - 1e-12 * max(1.0, abs(observed))
    if factorial(n_units) <= EXACT_LIMIT:
        reached = sum(not statistic(np.array(order)) < bound for order in permutations(range(n_units)))
        return reached / factorial(n_units), f"exact permutation of {n_units} units (all {factorial(n_units):,})", None

    name, high = f"sampled permutation of {n_units} units", 1.0
    for draws, of_seed in ((rounds, seed), (rounds * 10 + 9, 0)):
        rng = np.random.default_rng(of_seed)
        reached = sum(not statistic(rng.permutation(n_units)) < bound for _ in range(draws))
        low, high = rate_interval(reached, draws, level=SURE)
        name = f"sampled permutation of {n_units} units ({draws:,} drawn"
        if not low <= alpha <= high:
            return (reached + 1) / (draws + 1), f"{name})", seed
    return high, f"{name}; {_too_close(alpha)})", seed


DRAWS = (4_999, 45_000, 450_000)
"""Relabelings drawn where there are more than are counted, and how many more while they do not settle the verdict."""

DRAWING = (
    "Where they are drawn, it is by numpy.random.default_rng(seed), 20,000 at a time at most, 4,999 in all and then "
    "45,000 and 450,000 more while the 99.9 % binomial interval of p holds alpha, and p is (1 + those that do) / "
    "(1 + all)"
)
"""How relabelings are drawn by `drawn`, for the rules of evidence."""

Dealt = Bool[np.ndarray, "relabelings items"]

_Labels = TypeVar("_Labels", bound=np.ndarray)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A share `p` of the relabelings parts the units at least as far; so many were looked at.

    `seed` is None where all were counted. `settled` is False where the draws leave open on which side of alpha p
    lies; `p` is then the upper end of its interval, so that nothing is confirmed by the luck of a seed.
    """

    p: float
    relabelings: int
    seed: int | None
    settled: bool = True

    def in_words(self, what: str, units: str) -> str:
        """Name the test.

        >>> Reached(p=0.03, relabelings=70, seed=None).in_words("permutation of labels", "4 + 4 templates")
        'exact permutation of labels over 4 + 4 templates, 70 relabelings'
        """
        how = "exact" if self.seed is None else "sampled"
        drawn = "" if self.seed is None else " drawn"
        left = "" if self.settled else "; p is too close to alpha to tell, and the upper end of its interval is given"
        return f"{how} {what} over {units}, {self.relabelings:,} relabelings{drawn}{left}"


def counted(dealt: Iterable[_Labels], reaching: Callable[[_Labels], int]) -> Reached:
    """Go through all relabelings of a design, of which `reaching` counts those that part the units as far."""
    reached = relabelings = 0
    for some in dealt:
        reached += reaching(some)
        relabelings += len(some)
    return Reached(p=reached / relabelings, relabelings=relabelings, seed=None)


def drawn(
    deal: Callable[[np.random.Generator, int], _Labels],
    reaching: Callable[[_Labels], int],
    *,
    alpha: float | None,
    seed: int,
) -> Reached:
    """Draw relabelings at random, the observed labels counted as one of them (Phipson & Smyth 2010).

    More are drawn while the exact binomial interval of p holds alpha; where the last draw still leaves it open, p is
    the upper end of that interval. Without an alpha the first draw is all.
    """
    rng = np.random.default_rng(seed)
    reached = relabelings = 0
    high = 1.0
    for more in DRAWS:
        for count in [CHUNK] * (more // CHUNK) + [more % CHUNK]:
            reached += reaching(deal(rng, count)) if count else 0
        relabelings += more
        low, high = (1.0, 1.0) if alpha is None else rate_interval(reached, relabelings, level=SURE)
        if alpha is None or not low <= alpha <= high:
            return Reached(p=(reached + 1) / (relabelings + 1), relabelings=relabelings, seed=seed)
    return Reached(p=high, relabelings=relabelings, seed=seed, settled=False)


def every_choice(items: int, *, ones: int | None = None) -> Iterator[Dealt]:
    """Yield every way to set bits on `items`, in chunks; with `ones`, those that set so many."""
    places = np.arange(items)
    for start in range(0, 2**items, CHUNK):
        masks = np.arange(start, min(start + CHUNK, 2**items), dtype=np.uint32)
        if ones is not None:
            masks = masks[np.bitwise_count(masks) == ones]
        yield (masks[:, None] >> places & 1).astype(bool)
