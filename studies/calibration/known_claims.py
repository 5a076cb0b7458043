"""Known claims: true ones whose distance from being false has no single size, though their truth is known."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from saeprobe.measures import clusters, exclusive_features
from studies.calibration import naive
from studies.calibration.claimed import Claimed
from studies.calibration.drawing import (
    SCANNED,
    UNITS,
    Rng,
    a_scan,
    anything,
    compared,
    effect_of,
    first_firing,
    first_wording,
    in_order,
    some,
    together,
    topics,
    two_groups,
    two_measures,
    wordings,
)
from studies.calibration.naive import Values, above
from studies.calibration.populations import MEASURES, Grid, Population, measure, name_of

CROWD = 0.8
"""Share of small steps that are left out of orderings, or they would crowd out the large ones."""


def detector(population: Population, rng: Rng) -> Claimed | None:
    """The detector of a landmark, as the card names it, fires on its mentions more often than on a rival's."""
    own = str(rng.choice(list(population.detectors)))
    rival = str(rng.choice([name for name in population.groups if name != own]))
    feature, columns = population.detectors[own], topics(rng, population)
    more, less = population.groups[own], population.groups[rival]
    effect = effect_of(population, feature, more, less, columns)
    if effect is None or effect <= 0:
        return None
    count = wordings(rng, at_most=12)
    features = population.drawn({"a": some(rng, more, count), "b": some(rng, less, count)}, columns)
    return compared(features, feature, wordings=count, effect=effect)


def controlled(population: Population, rng: Rng) -> Claimed | None:
    """A large difference in a measure of whole prompts, under the control that shuffles labels."""
    what, columns = str(rng.choice(list(MEASURES))), topics(rng, population)
    more, less = two_groups(rng, population)
    effect = effect_of(population, what, more, less, columns)
    if effect is None or effect < 1:
        return None
    count = wordings(rng, at_most=len(more) // 2)
    features = population.drawn({"a": some(rng, more, count), "b": some(rng, less, count)}, columns)
    return compared(features, what, wordings=count, effect=effect, controls=("labels",))


def ordering(population: Population, rng: Rng) -> Claimed | None:
    """Three groups in the order in which they lie; the effect is the smaller step."""
    what, columns = anything(rng, population), topics(rng, population)
    names = [str(name) for name in rng.choice(list(population.groups), size=3, replace=False)]
    names.sort(key=lambda name: -float(population.grid(what)[population.groups[name]][:, columns].mean()))
    groups = [population.groups[name] for name in names]
    steps = [effect_of(population, what, *pair, columns) for pair in pairwise(groups)]
    effect = min(step or 0.0 for step in steps)
    if effect <= 0 or (effect < 1 and rng.random() < CROWD):
        return None
    count = wordings(rng, at_most=len(groups[0]) // 2)
    features = population.drawn(
        {label: some(rng, group, count) for label, group in zip("abc", groups, strict=True)}, columns
    )
    sides = [measure(what, features[label]) for label in "abc"]
    return in_order(sides, what, wordings=count, effect=effect)


def rate(population: Population, rng: Rng) -> Claimed | None:
    """The firing rate of a feature above a bound that lies 0.1 to 0.6 below its rate on all wordings of a group."""
    group = population.groups[str(rng.choice(list(population.groups)))]
    rates = population.fires[group].mean(axis=(0, 1))
    often: list[int] = np.flatnonzero(rates > 0.7).tolist()  # noqa: PLR2004 - so that there is room below it
    if not often:
        return None
    feature, columns = int(rng.choice(often)), topics(rng, population)
    number = round(float(population.grid(feature)[group][:, columns].mean()) - float(rng.uniform(0.1, 0.6)), 2)
    if number <= 0:
        return None
    count = wordings(rng, at_most=len(group), sides=UNITS)
    a = measure(feature, population.drawn({"a": some(rng, group, count)}, columns))
    return Claimed(
        measure=name_of(feature),
        wordings=count,
        topics=len(columns),
        compare=lambda: a > number,
        naive=lambda alpha: above(first_wording(a), number, alpha),
    )


def exclusive(population: Population, rng: Rng) -> Claimed | None:
    """The group of which at least a fifth more features fire than of the other, and so more that do on it alone."""
    columns = topics(rng, population)
    first, second = two_groups(rng, population)
    distinct = [int(population.fires[group][:, columns].any(axis=(0, 1)).sum()) for group in (first, second)]
    more, less = (first, second) if distinct[0] > distinct[1] else (second, first)
    if max(distinct) < 1.2 * min(distinct):
        return None
    count = wordings(rng, at_most=len(more) // 2)
    features = population.drawn({"a": some(rng, more, count), "b": some(rng, less, count)}, columns)
    a, b = features["a"], features["b"]
    return Claimed(
        measure="exclusive features",
        wordings=count,
        topics=len(columns),
        compare=lambda: exclusive_features(a, b) > exclusive_features(b, a),
        naive=lambda alpha: naive.exclusive(first_firing(a), first_firing(b), alpha),
    )


def scanned(population: Population, rng: Rng) -> Claimed | None:
    """Two groups between which some feature's rates differ by half or more."""
    more, less = two_groups(rng, population)
    columns = topics(rng, population)
    gap = population.fires[more][:, columns].mean(axis=(0, 1)) - population.fires[less][:, columns].mean(axis=(0, 1))
    if gap.max() < 0.5:  # noqa: PLR2004 - as the docstring says
        return None
    count = wordings(rng, at_most=min(len(more), len(less)), sides=SCANNED)
    features = population.drawn({"a": some(rng, more, count), "b": some(rng, less, count)}, columns)
    return a_scan(features, wordings=count)


def clustered(population: Population, rng: Rng) -> Claimed | None:
    """Two groups each of whose wordings lie nearer their own than the others, on the whole population."""
    names = sorted(str(name) for name in rng.choice(list(population.groups), size=2, replace=False))
    if min(_silhouettes(population, *names)) < 0.1:  # noqa: PLR2004 - far enough from 0 to be called a region
        return None
    groups, columns = [population.groups[name] for name in names], topics(rng, population)
    count = wordings(rng, at_most=len(groups[0]) // 2)
    features = population.drawn(
        {label: some(rng, group, count) for label, group in zip("ab", groups, strict=True)}, columns
    )
    return Claimed(
        measure="silhouette",
        wordings=count,
        topics=len(columns),
        compare=lambda: clusters(features),
    )


@lru_cache(maxsize=256)
def _silhouettes(population: Population, first: str, second: str) -> tuple[float, float]:
    """Mean silhouette of either group's wordings by the cosine of their firing rates, all topics together."""
    own, other = (_directions(population, name) for name in (first, second))
    return _silhouette(own, other), _silhouette(other, own)


def _directions(population: Population, group: str) -> Grid:
    """The direction of each wording of a group in feature space, `[wordings, d_sae]`, of length 1."""
    shares: Grid = population.fires[population.groups[group]].mean(axis=1)
    return shares / np.linalg.norm(shares, axis=1, keepdims=True)


def _silhouette(own: Grid, other: Grid) -> float:
    within: Values = (1 - own @ own.T).sum(axis=1) / (len(own) - 1)
    across: Values = (1 - own @ other.T).mean(axis=1)
    return float(np.mean((across - within) / np.maximum(across, within)))


def correlated(population: Population, rng: Rng) -> Claimed | None:
    """A correlation above a bound that lies 0.1 to 0.8 below that over all wordings."""
    first, second = two_measures(rng)
    columns, count = topics(rng, population), wordings(rng, at_most=24, sides=UNITS)
    everyone = np.arange(population.n_wordings)
    number = round(population.correlation(first, second, everyone, columns) - float(rng.uniform(0.1, 0.8)), 2)
    if number <= -0.9:  # noqa: PLR2004 - a bound that says something
        return None
    features = population.drawn({"a": some(rng, everyone, count)}, columns)
    return together(measure(first, features), measure(second, features), number, wordings=count)
