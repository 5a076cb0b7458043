"""An effect is how far the truth lies inside what is claimed, known from the whole population."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from studies.calibration.drawing import Rng
from studies.calibration.populations import MEASURES, Population, Rows, What

EDGES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
"""The bins of effect size begin here, in standard deviations between units; the last bin has no upper end."""
RANDOM_FEATURES: Final = 150
"""So many random features are among the known differences, with all measures and detectors."""


def bin_of(effect: float) -> int:
    """Return the bin of `EDGES` that an effect size lies in."""
    return int(np.searchsorted(EDGES, effect, side="right")) - 1


def spread_of(*groups: np.ndarray) -> float:
    """Return the root of the mean of the groups' variances."""
    return float(np.sqrt(np.mean([group.var(ddof=1) for group in groups])))


def effect_of(
    population: Population, what: What, more: Rows, less: Rows, columns: Rows, *, by: float = 0.0
) -> float | None:
    """Return the difference of two groups less `by`, in standard deviations between wordings.

    The standard deviation is the root of the mean of both groups' variances, as planning takes it. None
    where wordings do not differ.
    """
    grid = population.grid(what)[:, columns].mean(axis=1)
    spread = spread_of(grid[more], grid[less])
    return float(grid[more].mean() - grid[less].mean() - by) / spread if spread > 0 else None


@dataclass(frozen=True, kw_only=True)
class Known:
    """A known difference lies between two groups, `more` above `less`."""

    what: What
    more: str
    less: str


@lru_cache(maxsize=16)
def known(population: Population) -> tuple[tuple[Known, ...], ...]:
    """Return differences between the groups by bin of effect size: all measures, all detectors, random features."""
    rng = np.random.default_rng(0)
    names = list(population.groups)
    wanted: list[tuple[What, str, str]] = [
        (what, one, other) for what in MEASURES for at, one in enumerate(names) for other in names[at + 1 :]
    ]
    wanted += [
        (feature, group, other) for group, feature in population.detectors.items() for other in names if other != group
    ]
    for feature in rng.choice(population.live, size=RANDOM_FEATURES):
        one, other = (str(name) for name in rng.choice(names, size=2, replace=False))
        wanted.append((int(feature), one, other))
    bins: list[list[Known]] = [[] for _ in EDGES]
    columns = np.arange(population.n_topics)
    for what, one, other in wanted:
        effect = effect_of(population, what, population.groups[one], population.groups[other], columns)
        if effect:
            more, less = (one, other) if effect > 0 else (other, one)
            bins[bin_of(abs(effect))].append(Known(what=what, more=more, less=less))
    return tuple(tuple(each) for each in bins)


def a_known(population: Population, rng: Rng) -> Known:
    """Draw a bin, then a difference in it, so that small effects do not crowd out large ones."""
    bins = [each for each in known(population) if each]
    chosen = bins[int(rng.integers(len(bins)))]
    return chosen[int(rng.integers(len(chosen)))]


def a_distance(rng: Rng) -> float:
    """Draw a bin, then an effect size in it; the last bin ends at 7."""
    at = int(rng.integers(len(EDGES)))
    return float(rng.uniform(max(EDGES[at], 0.05), (*EDGES[1:], 7.0)[at]))
