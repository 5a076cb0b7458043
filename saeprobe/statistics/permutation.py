"""Sampling: relabelings drawn where there are too many to count, and how many it takes to be sure of the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from saeprobe.statistics.counting import Share, Units, tolerance
from saeprobe.statistics.intervals import rate_interval

DRAWN = 19_999
"""Relabelings drawn at first; with the labels as observed they make 20,000, and the smallest p is 1 / 20,000."""


MOST_DRAWN = 1_999_999
"""Drawn at most, where p lies close to alpha."""


SURE = 0.999
"""Level of the interval of a sampled p that must not hold alpha."""


AT_ONCE = 20_000


Statistics = Float[np.ndarray, " relabelings"]


Draw = Callable[[np.random.Generator, int], tuple[Statistics, Statistics]]
"""Draw so many relabelings: the contrast of each, and how much of a shift of the first group each contrast takes up."""


_DRAWING = (
    ". What is drawn comes from numpy.random.default_rng(seed), 20,000 at a time: of two groups "
    "argsort(random((count, units))) < size of the first puts units on the first side, of signs "
    "integers(0, 2, (count, units), dtype=bool) turns them, of both the groups go before the signs; p is "
    "(1 + those at least as far) / (1 + drawn). While the 99.9 % binomial interval of p holds alpha, ten times as many "
    "are drawn anew, by default_rng(0)"
)


def drawing_told(seed: int | None) -> str:
    """How relabelings were drawn, to go on after a rule; nothing where all were counted."""
    return "" if seed is None else _DRAWING


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A test by drawn relabelings. `share` holds the labels as observed as one of them, so that it is never 0.

    `smallest` is the least that it can be. `note` tells how many were drawn, and of a p that stays too close to alpha.
    """

    share: Share
    smallest: float
    note: str


def sampled(draw: Draw, observed: float, groups: tuple[Units, ...], *, alpha: float, seed: int) -> Sampled:
    """Draw relabelings until the exact binomial interval of p no longer holds alpha, or there are two million.

    Where the first draws leave it open the further ones are the same for every seed, and a p that is still too close
    to alpha is given by the upper end of its interval, which is never below alpha. So two seeds agree on the verdict.
    `groups` hold the values, the shifted ones first; ties are told from them.
    """
    wanted = DRAWN
    rng = np.random.default_rng(seed)
    while True:
        parts = [draw(rng, min(AT_ONCE, wanted - start)) for start in range(0, wanted, AT_ONCE)]
        statistic, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
        share = _share(statistic, slope, observed, groups)
        p = share(0.0)
        low, high = rate_interval(round(p * (wanted + 1)) - 1, wanted, level=SURE)
        if not low <= alpha <= high:
            return Sampled(share=share, smallest=1 / (wanted + 1), note=f"{wanted:,} drawn")
        if wanted >= MOST_DRAWN:
            break
        wanted = wanted * 10 + 9
        rng = np.random.default_rng(0)
    close = f"p is too close to {alpha:g} to tell, and the upper end of its {SURE:.1%} interval is given"
    return Sampled(
        share=lambda shift: min(1.0, share(shift) + high - p),
        smallest=1 / (wanted + 1) + high - p,
        note=f"{wanted:,} drawn; {close}",
    )


def drawn_permutations(a: Units, b: Units) -> Draw:
    """Relabelings of the units of two groups."""
    values = np.concatenate([a, b])
    values = values - values.mean()  # what one side has above the mean the other lacks
    weight = 1 / len(a) + 1 / len(b)

    def draw(rng: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
        chosen = np.argsort(rng.random((count, len(values)))) < len(a)
        return chosen @ values * weight, chosen[:, : len(a)].sum(axis=1) * weight - len(a) / len(b)

    return draw


def drawn_flips(differences: Units) -> Draw:
    """Signs of paired differences."""
    weight, mean = 2 / len(differences), float(differences.mean())

    def draw(rng: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
        turned = rng.integers(0, 2, (count, len(differences)), dtype=bool).astype(np.float64)
        return mean - weight * (turned @ differences), 1 - weight * turned.sum(axis=1)

    return draw


def _share(statistic: Statistics, slope: Statistics, observed: float, groups: tuple[Units, ...]) -> Share:
    def share(shift: float) -> float:
        bound = abs(observed - shift) - tolerance(groups[0] - shift, *groups[1:])
        reached = int(np.count_nonzero(np.abs(statistic - shift * slope) >= bound))
        return (1 + reached) / (1 + len(statistic))  # the labels as observed are one of them

    return share
