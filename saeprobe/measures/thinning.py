"""Thinning: whether one style has more exclusive features only because it has more active ones."""

from __future__ import annotations

from math import sqrt

import numpy as np

from saeprobe.evidence.evidence import ControlResult
from saeprobe.measures.design import Sides
from saeprobe.measures.unions import Firings, expected_distinct, relabel

THINNINGS = (20, 180)
"""Over so many p is averaged, and over as many again where the first leave it open."""
ERRORS = 3.3
"""Standard errors of that average between which alpha may not lie."""


def activity_control(sides: Sides, labels: tuple[str, str], *, found: bool, alpha: float, seed: int) -> ControlResult:
    """Thin the firings of the more active side to as many as the other has, and compare what is left.

    Rarefaction, as ecologists compare the species of unequal samples (Hurlbert 1971, Ecology 52): a firing is one
    active feature of one token read, and each of the more active side is kept with the same probability. `estimate`
    is the difference in exclusive features then to be expected; it needs no drawing. `p` is the mean, over thinnings
    drawn with `seed`, of the permutation p of the thinned features: the test of "this side is the other one, only more
    active". A mean is below alpha only where nearly all are, and where it lies too near alpha to be told from it, it
    counts as alpha.

    The control explains the difference where what is left is not told apart from chance and is at most half of it.
    """
    total_a, total_b = len(sides.a.feature), len(sides.b.feature)
    effect = _distinct(sides.a) - _distinct(sides.b)
    kept = min(total_a, total_b) / max(total_a, total_b, 1)
    left = effect
    if total_a > total_b:
        left = expected_distinct(sides.a.times, kept) - _distinct(sides.b)
    elif total_b > total_a:
        left = _distinct(sides.a) - expected_distinct(sides.b.times, kept)
    p, told = _mean_p(sides, kept, alpha=alpha, seed=seed)
    share = left / effect if effect else None
    withstands = p < alpha and left > 0
    more, less = labels if total_a >= total_b else labels[::-1]
    return ControlResult(
        name="activity",
        expects="persists",
        explains=found and not withstands and share is not None and share <= 0.5,  # noqa: PLR2004 - at most half
        estimate=left,
        interval=None,
        p=p,
        share=share,
        detail=(
            f"{more} has {max(total_a, total_b):,} active features on the tokens read and {less} "
            f"{min(total_a, total_b):,}; with equally many, {left:+.1f} of {effect:+.0f} features are left "
            f"(p = {p:.2g}, {told})"
        ),
    )


def _distinct(of: Firings) -> int:
    return int((of.times > 0).sum())


def _mean_p(sides: Sides, kept: float, *, alpha: float, seed: int) -> tuple[float, str]:
    """Mean of the p of thinned features, and over how many thinnings."""
    if kept == 1:
        found = relabel(sides.a.units(), sides.b.units(), paired=sides.paired, alpha=alpha, seed=seed)
        return found.p, "nothing to thin"
    rng = np.random.default_rng(seed)
    ps: list[float] = []
    mean = 1.0
    for more in THINNINGS:
        ps += [_thinned_p(sides, kept, rng) for _ in range(more)]
        mean = float(np.mean(ps))
        if abs(mean - alpha) > ERRORS * float(np.std(ps, ddof=1)) / sqrt(len(ps)):
            return mean, f"mean over {len(ps)} random thinnings, seed {seed}"
    return max(mean, alpha), f"mean over {len(ps)} random thinnings, seed {seed}, too near {alpha:g} to count as below"


def _thinned_p(sides: Sides, kept: float, rng: np.random.Generator) -> float:
    a, b = sides.a, sides.b
    thins_a = len(a.feature) > len(b.feature)
    keeps = rng.random(max(len(a.feature), len(b.feature))) < kept
    units_a, units_b = a.units(keeps if thins_a else None), b.units(None if thins_a else keeps)
    seed = int(rng.integers(2**32))
    return relabel(units_a, units_b, paired=sides.paired, alpha=None, seed=seed).p
