"""Relabelings: how often labels that are dealt anew part the units at least as far as the labels they bear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool

from saeprobe.statistics.intervals import rate_interval

Dealt = Bool[np.ndarray, "relabelings items"]
_Labels = TypeVar("_Labels", bound=np.ndarray)

COUNTED_ITEMS = 18
"""Up to so many units, or pairs of units, every relabeling is counted: 9 + 9 templates have 48,620."""
DRAWS = (4_999, 45_000, 450_000)
"""Relabelings drawn where there are more, and then as many again while they do not settle the verdict."""
SETTLED = 0.999
"""Level of the interval of a drawn p that may not hold alpha."""
CHUNK = 20_000
"""Relabelings worked on at once."""


DRAWING = (
    "Where they are drawn, it is by numpy.random.default_rng(seed), 20,000 at a time at most, 4,999 in all and then "
    "45,000 and 450,000 more while the 99.9 % binomial interval of p holds alpha, and p is (1 + those that do) / "
    "(1 + all)"
)
"""How relabelings are drawn, for rules that tell it."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How many relabelings part the units at least as far: `p`, and how many were looked at.

    `seed` is None where all were counted. `settled` is False where the draws leave open on which side of alpha p
    lies; `p` is then the upper end of its interval, so that nothing is confirmed by the luck of a seed.
    """

    p: float
    relabelings: int
    seed: int | None
    settled: bool = True

    def told(self, what: str, units: str) -> str:
        """The test in words.

        >>> Reached(p=0.03, relabelings=70, seed=None).told("permutation of labels", "4 + 4 templates")
        'exact permutation of labels over 4 + 4 templates, 70 relabelings'
        """
        how = "exact" if self.seed is None else "sampled"
        drawn = "" if self.seed is None else " drawn"
        left = "" if self.settled else "; p is too close to alpha to tell, and the upper end of its interval is given"
        return f"{how} {what} over {units}, {self.relabelings:,} relabelings{drawn}{left}"


def counted(dealt: Iterable[_Labels], reaching: Callable[[_Labels], int]) -> Reached:
    """All relabelings of a design, of which `reaching` counts those that part the units as far."""
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
    """Relabelings drawn at random, the observed labels counted as one of them (Phipson & Smyth 2010).

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
        low, high = (1.0, 1.0) if alpha is None else rate_interval(reached, relabelings, level=SETTLED)
        if alpha is None or not low <= alpha <= high:
            return Reached(p=(reached + 1) / (relabelings + 1), relabelings=relabelings, seed=seed)
    return Reached(p=high, relabelings=relabelings, seed=seed, settled=False)


def every_choice(items: int, *, ones: int | None = None) -> Iterator[Dealt]:
    """Every way to set bits on `items`, in chunks; with `ones`, those that set so many."""
    places = np.arange(items)
    for start in range(0, 2**items, CHUNK):
        masks = np.arange(start, min(start + CHUNK, 2**items), dtype=np.uint32)
        if ones is not None:
            masks = masks[np.bitwise_count(masks) == ones]
        yield (masks[:, None] >> places & 1).astype(bool)
