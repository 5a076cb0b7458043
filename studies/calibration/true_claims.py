"""True claims: sentences that hold in the whole population, at a known distance from where they would not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from saeprobe import about
from saeprobe.claims import Over
from studies.calibration.claimed import Claimed
from studies.calibration.drawing import (
    TOPICS,
    UNITS,
    Rng,
    a_measure,
    anything,
    compared,
    effect_of,
    first_wording,
    some,
    spread_of,
    topics,
    wordings,
)
from studies.calibration.naive import above, equal
from studies.calibration.populations import MEASURES, Population, Rows, What, measure, name_of

EDGES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Lower ends of the bins of effect size, in standard deviations between units; the last has no upper end."""


RANDOM_FEATURES: Final = 150
"""Random features among the differences that are known, beside the measures and the detectors."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A difference between two groups of a population: `gap` above 0, and in standard deviations between wordings."""

    what: What
    more: str
    less: str
    effect: float


@lru_cache(maxsize=16)
def known(population: Population) -> tuple[tuple[Known, ...], ...]:
    """Differences between the groups, by bin of effect size: all measures, all detectors, and random features."""
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
            bins[bin_of(abs(effect))].append(Known(what=what, more=more, less=less, effect=abs(effect)))
    return tuple(tuple(each) for each in bins)


def bin_of(effect: float) -> int:
    """The bin of `EDGES` that an effect size lies in."""
    return int(np.searchsorted(EDGES, effect, side="right")) - 1


def greater(population: Population, rng: Rng) -> Claimed | None:
    """The group that has more above the one that has less."""
    return _greater(population, rng, topics(rng, population))


def crossed(population: Population, rng: Rng) -> Claimed | None:
    """The same over templates and topics."""
    return _greater(population, rng, topics(rng, population, least=TOPICS), over=("templates", "topics"))


def at_least(population: Population, rng: Rng) -> Claimed | None:
    """The same by more than a margin, which is a share of the difference."""
    return _greater(population, rng, topics(rng, population), share=float(rng.uniform(0.1, 0.8)))


def _greater(
    population: Population, rng: Rng, columns: Rows, *, over: tuple[Over, ...] = (), share: float = 0.0
) -> Claimed | None:
    one = _a_known(population, rng)
    more, less = population.groups[one.more], population.groups[one.less]
    where = np.arange(population.n_topics) if over else columns
    grid = population.grid(one.what)[:, where]
    by = share * float(grid[more].mean() - grid[less].mean())
    effect = effect_of(population, one.what, more, less, where, by=by)
    if effect is None or effect <= 0 or by < 0:
        return None
    count = wordings(rng, at_most=len(more) // 2)
    features = population.drawn({"a": some(rng, more, count), "b": some(rng, less, count)}, columns)
    return compared(features, one.what, wordings=count, by=by, over=over, effect=effect)


def _a_known(population: Population, rng: Rng) -> Known:
    """A difference of a bin that is drawn first, so that small effects do not crowd out large ones."""
    bins = [each for each in known(population) if each]
    chosen = bins[int(rng.integers(len(bins)))]
    return chosen[int(rng.integers(len(chosen)))]


def over_topics(population: Population, rng: Rng) -> Claimed | None:
    """One wording above another, over topics of which half at most are drawn."""
    what, columns = anything(rng, population), topics(rng, population, half=True, least=TOPICS)
    first, second = rng.permutation(population.n_wordings)[:2]
    differences = population.grid(what)[first] - population.grid(what)[second]
    spread = float(differences.std(ddof=1))
    if spread == 0 or differences.mean() == 0:
        return None
    more, less = (first, second) if differences.mean() > 0 else (second, first)
    features = population.drawn({"a": np.array([more]), "b": np.array([less])}, columns)
    return compared(features, what, wordings=1, effect=abs(float(differences.mean())) / spread)


def about_equal(population: Population, rng: Rng) -> Claimed | None:
    """Two random halves of a group, up to a margin of several standard deviations between wordings."""
    what, columns = anything(rng, population), topics(rng, population)
    group = _a_group(population, rng)
    spread = spread_of(population.grid(what)[group][:, columns].mean(axis=1))
    if spread == 0:
        return None
    effect = _a_distance(rng)
    margin = effect * spread
    count = wordings(rng, at_most=len(group) // 2)
    drawn = some(rng, group, 2 * count)
    features = population.drawn({"a": drawn[:count], "b": drawn[count:]}, columns)
    a, b = measure(what, features["a"]), measure(what, features["b"])
    return Claimed(
        measure=name_of(what),
        wordings=count,
        topics=len(columns),
        compare=lambda: a == about(b, margin=margin),
        naive=lambda alpha: equal(first_wording(a), first_wording(b), alpha, margin=margin),
        effect=effect,
    )


def bound(population: Population, rng: Rng) -> Claimed | None:
    """The mean of a group above a number that lies some standard deviations between wordings below it."""
    what, columns, group = a_measure(rng), topics(rng, population), _a_group(population, rng)
    means = population.grid(what)[group][:, columns].mean(axis=1)
    effect = _a_distance(rng)
    number = float(means.mean()) - effect * spread_of(means)
    count = wordings(rng, at_most=len(group) // 2, sides=UNITS)
    a = measure(what, population.drawn({"a": some(rng, group, count)}, columns))
    return Claimed(
        measure=name_of(what),
        wordings=count,
        topics=len(columns),
        compare=lambda: a > number,
        naive=lambda alpha: above(first_wording(a), number, alpha),
        effect=effect,
    )


def _a_group(population: Population, rng: Rng) -> Rows:
    return population.groups[str(rng.choice(list(population.groups)))]


def _a_distance(rng: Rng) -> float:
    """An effect size: a bin, and a place in it; the last bin ends at 7."""
    low: Sequence[float] = EDGES
    at = int(rng.integers(len(low)))
    return float(rng.uniform(max(low[at], 0.05), [*low[1:], 7.0][at]))
