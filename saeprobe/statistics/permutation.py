"""One engine permutes: relabelings are counted where that can be done, else drawn until they are sure of the verdict.

Labels are dealt anew inside runs of units. Two groups are one run; pairs are runs of two; the styles under each topic
are a run a topic. What is read of a relabeling, and which reading is large, is the affair of who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb, factorial, prod
from typing import NamedTuple, TypeVar, cast

import numpy as np

from saeprobe.shapes import Bool, Float, Int
from saeprobe.statistics.intervals import rate_interval

Units = Float[np.ndarray, " units"]
Runs = Int[np.ndarray, "runs units"]
Dealt = Int[np.ndarray, "relabelings units"]
Looked = Float[np.ndarray, "relabelings numbers"]
Large = Bool[np.ndarray, " relabelings"]

Share = Callable[[float], float]  # the p of a shift, once it is taken off the first group

EXACT_LIMIT = 50_000  # up to so many relabelings are gone through one by one; 9 + 9 units have 48,620
DRAWS = (19_999, 199_999, 1_999_999)  # with the labels as observed 20,000, so that the smallest p is 1 / 20,000
CHUNK = 1_000  # relabelings worked on at once, which the caches of a processor hold
SURE = 0.999  # level of the interval of a drawn p that must not hold alpha

_Drawn = TypeVar("_Drawn")


def settle(
    draw: Callable[[int, int], _Drawn],
    interval: Callable[[_Drawn, int], tuple[float, float]],
    counts: Sequence[int],
    *,
    alpha: float | None,
    seed: int,
) -> tuple[_Drawn, int, float | None]:
    """Draw by a seed until the interval of a p does not hold alpha: first by `seed`, then more and alike for all.

    Return what was drawn last, its seed, and the upper end of its interval, never below alpha, if that lies inside even
    then, so that two seeds agree on the verdict.
    """
    count, *more = counts
    drawn = draw(seed, count)
    low, high = interval(drawn, count)
    if alpha is None or not low <= alpha <= high:
        return drawn, seed, None
    return settle(draw, interval, more, alpha=alpha, seed=0) if more else (drawn, seed, high)


@dataclass(frozen=True, kw_only=True)
class Permuted:
    """Relabelings stand here with what was read of each, `looked`; `reached` of them came out as large as observed.

    `sides` is 2 where p is twice the share of one direction. `seed` made the draws, None where all ways were counted.
    `beyond` raises p where draws leave open on which side of alpha it lies. `how` says what was shuffled.
    """

    looked: Looked
    reached: int
    sides: int
    seed: int | None
    beyond: float
    name: str
    how: str

    @property
    def p(self) -> float:
        """Return the p of the labels as observed."""
        return self.share(self.reached)

    @property
    def smallest(self) -> float:
        """Return the least p that so many relabelings can give."""
        return self.share(1 if self.seed is None else 0)

    def share(self, reached: int) -> float:
        """Return the p of so many relabelings; drawn ones have the labels as observed beside them (Phipson & Smyth)."""
        own = int(self.seed is not None)
        return min(1.0, self.sides * (reached + own) / (len(self.looked) + own) + self.beyond)

    def rule(self, compared: str) -> str:
        """Say what was compared, what was shuffled, how often it came out as large, and how draws are made again."""
        twice = "; p is twice this share" if self.sides > 1 else ""
        upper = ", by the upper end of its 99.9 % interval" if self.beyond else ""
        return in_ways(compared, self.reached, len(self.looked)) + self.how + twice + upper


def in_ways(compared: str, reached: int, ways: int) -> str:
    """Say in how many relabelings something came out as large, in a sentence that begins with what was compared."""
    return f"{compared} came out at least as large in {reached:,} of {ways:,} ways "


def permute(
    runs: Sequence[Runs],
    look: Callable[[Dealt], Looked],
    large: Callable[[Looked], Large],
    *,
    what: str,
    alpha: float | None,
    seed: int,
    sides: int = 1,
) -> Permuted:
    """Deal labels anew inside each run of some blocks, `[runs, units]`, in all ways up to `EXACT_LIMIT`, else drawn.

    `look` keeps numbers of some relabelings, which have the units of all blocks in a row, and `large` says which of
    these are at least as far as the observed ones, in one direction if there are 2 `sides`. `what` names the shuffling,
    as in `permutation of 4 + 4 units`. Where p is held against no alpha a few draws are enough.
    """
    ways = relabelings(runs)
    if ways <= EXACT_LIMIT:
        dealt = _every(runs)
        looked = np.concatenate([look(dealt[start : start + CHUNK]) for start in range(0, ways, CHUNK)])
        of_seed, high, name, how = None, None, f"exact {what} (all {ways:,})", f"({what})"
    else:
        labels = tuple(tuple(map(tuple, cast("list[list[int]]", block.tolist()))) for block in runs if block.size)
        looked, of_seed, high = settle(
            lambda by, count: np.concatenate(
                [look(_deal(labels, by, start, min(CHUNK, count - start))) for start in range(0, count, CHUNK)]
            ),
            lambda looked, count: rate_interval(int(np.count_nonzero(large(looked))), count, level=SURE),
            DRAWS if alpha is not None else (4_999,),
            alpha=None if alpha is None else alpha / sides,
            seed=seed,
        )
        drawn, size = len(looked), sum(block.size for block in runs)
        close = f"; p is too close to {alpha} to tell, and the upper end of its {SURE:.1%} interval is given"
        name = f"sampled {what} ({drawn:,} drawn{'' if high is None else close})"
        how = (
            f"({what}), drawn by numpy.random.default_rng({of_seed}).random(({drawn}, {size})), whose argsort inside "
            "each run says whose label a unit takes; the labels as observed are one way more"
        )
    reached = int(np.count_nonzero(large(looked)))
    beyond = 0.0 if high is None else sides * (high - (1 + reached) / (1 + len(looked)))
    return Permuted(looked=looked, reached=reached, sides=sides, seed=of_seed, beyond=beyond, name=name, how=how)


class Tested(NamedTuple):
    """A test has its p by shift, the least that this can be, a name, how p came about, and the seed if it drew."""

    share: Share
    smallest: float
    name: str
    rule: str
    seed: int | None = None


def counted(share: Share, ways: int, compared: str, what: str) -> Tested:
    """Make the test of relabelings that are counted without going through them, of which two are the farthest."""
    rule = f"{in_ways(compared, round(share(0.0) * ways), ways)}({what})"
    return Tested(share=share, smallest=2 / ways, name=f"exact {what} (all {ways:,})", rule=rule)


def by_shift(
    runs: Sequence[Runs],
    columns: Float[np.ndarray, "units numbers"],
    far: Callable[[Looked, float], Large],
    estimate: float,
    words: tuple[str, str],
    *,
    alpha: float,
    seed: int,
) -> Tested:
    """Permute once, two-sided, and look for each shift again at what was kept: how sums over the first side change.

    `far` says which are as far once the first group lies so far above; `words`, what is compared and shuffled.
    """
    first = np.concatenate([run.ravel() for run in runs])
    found = permute(
        runs,
        lambda dealt: np.subtract(dealt, first, dtype=np.float64) @ columns,
        lambda looked: far(looked, estimate),
        what=words[1],
        alpha=alpha,
        seed=seed,
        sides=2,
    )

    def share(shift: float) -> float:
        return found.share(int(np.count_nonzero(far(found.looked, estimate - shift))))

    return Tested(share, found.smallest, found.name, found.rule(f"{words[0]}, in the direction found,"), found.seed)


def relabelings(runs: Sequence[Runs]) -> int:
    """Return in how many ways the labels can be dealt inside each run."""
    each = (np.unique(run, return_counts=True)[1].tolist() for block in runs for run in block)
    return prod(factorial(sum(counts)) // prod(map(factorial, counts)) for counts in each)


@lru_cache(maxsize=DRAWS[0] // CHUNK + 1)  # claims of one subject mostly have the same design, and the same draws
def _deal(labels: tuple[tuple[tuple[int, ...], ...], ...], seed: int, start: int, count: int) -> Dealt:
    """Draw so many relabelings from the one numbered `start` on, by the labels of each run of some blocks."""
    runs, parts = [np.array(block, dtype=np.int64) for block in labels], list[Dealt]()
    sizes = [block.size for block in runs]
    rng = np.random.Generator(np.random.PCG64(seed).advance(start * sum(sizes)))  # as default_rng, one step a number
    keys = np.split(rng.random((count, sum(sizes))), np.cumsum(sizes)[:-1], axis=1)
    for block, key in zip(runs, keys, strict=True):
        if block.shape[1] == 2:  # noqa: PLR2004 - a pair, whose two labels move as one number, ten times as fast
            kept, turned = (np.ascontiguousarray(one, dtype=np.int8).view(np.int16) for one in (block, block[:, ::-1]))
            dealt = np.where(key[:, ::2] > key[:, 1::2], turned[:, 0], kept[:, 0]).view(np.int8)
        else:
            dealt = np.take_along_axis(block[None], np.argsort(key.reshape(count, *block.shape), axis=2), axis=2)
        parts.append(dealt.reshape(count, -1))
    return np.concatenate(parts, axis=1)


def _every(runs: Sequence[Runs]) -> Dealt:
    dealt = np.zeros((1, 0), dtype=np.int64)
    for run in (run for block in runs for run in block):
        some = _arrangements(run)
        dealt = np.hstack([np.repeat(dealt, len(some), axis=0), np.tile(some, (len(dealt), 1))])
    return dealt


def _arrangements(labels: Int[np.ndarray, " units"]) -> Dealt:
    """Put the labels of one run in every order that differs, kind by kind into the places that are left."""
    rows = np.full((1, len(labels)), -1)
    for kind, count in zip(*np.unique(labels, return_counts=True), strict=True):
        left = np.nonzero(rows < 0)[1].reshape(len(rows), -1)
        chosen = np.array(list(combinations(range(left.shape[1]), int(count))))
        places = left[:, chosen].reshape(-1, count)
        rows = np.repeat(rows, len(chosen), axis=0)
        np.put_along_axis(rows, places, kind, axis=1)
    return rows


def permutation_share(a: Units, b: Units) -> Share:
    """Test the mean of `a` minus that of `b` under all relabelings of as many units a side, two-sided."""
    middle = float(np.concatenate([a, b]).mean())  # as many sums go out as come in, so that any centre will do
    leave, enter = _sums_by_size(a - middle), _sums_by_size(b - middle)
    weight = 2 / len(a)
    difference = float((a - middle).mean() - (b - middle).mean())

    def share(shift: float) -> float:
        observed, slack = difference - shift, tolerance(a - shift, b)
        near, far = slack / weight, (2 * abs(observed) - slack) / weight
        if far <= near:
            return 1.0
        reached = 0
        for size, (out, into) in enumerate(zip(leave, enter, strict=True)):
            moved = out - size * shift
            lost, gained = (moved, into) if observed >= 0 else (into, moved)
            # the contrast is |observed| - weight * (lost - gained)
            reached += _pairs_at_most(lost, gained, near) + _pairs_at_most(gained, lost, -far)
        return reached / comb(len(a) + len(b), len(a))

    return share


def flip_share(differences: Units) -> Share:
    """Test the mean of `differences` under all ways to set their signs, two-sided, ties included."""
    count, middle = len(differences), float(differences.mean())
    sums = [_sums_by_size(part) for part in np.split(differences - middle, [count // 2])]
    sizes = [np.repeat(np.arange(len(part)), list(map(len, part))) for part in sums]
    first_sums, second_sums = map(np.concatenate, sums)

    def share(shift: float) -> float:
        moved = differences - shift
        observed, slack = float(moved.mean()), tolerance(moved)
        near, far = slack * count / 2, (2 * abs(observed) - slack) * count / 2
        if far <= near:
            return 1.0
        sign = 1 if observed >= 0 else -1
        first = np.sort(sign * (first_sums - sizes[0] * (shift - middle)))
        second = np.sort(sign * (sizes[1] * (shift - middle) - second_sums))
        # flipping a subset takes twice its sum away; as many subsets leave +observed as leave -observed
        return 2 * _pairs_at_most(first, second, near) / 2**count

    return share


def tolerance(*groups: Units) -> float:
    """Return how far two means of these values may lie apart and still be the same number, rounded."""
    return 1e-12 * max(1.0, *(float(np.abs(group).max()) for group in groups))


def _pairs_at_most(x: Units, y: Units, bound: float) -> int:
    """Count the pairs with x - y <= bound, both sorted; the shorter one is looked up in the longer."""
    if len(x) <= len(y):
        return len(x) * len(y) - int(np.searchsorted(y, x - bound).sum())
    return int(np.searchsorted(x, y + bound, side="right").sum())


def _sums_by_size(values: Units) -> list[Units]:
    """Return the sorted sums of all subsets of 0, 1, 2 ... values."""
    sums = [np.zeros(1), *(np.zeros(0) for _ in values)]
    for value in values:
        for size in range(len(values), 0, -1):
            sums[size] = np.concatenate([sums[size], sums[size - 1] + value])
    return [np.sort(each) for each in sums]
