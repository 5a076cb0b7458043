"""The designs here make true claims: sentences that hold in the whole population, mostly at a known distance.

Where the distance has no single size, as of a rate or a scan, a claim has no effect size; its truth is known all the
same.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from saeprobe.claims import Over
from saeprobe.measures import clusters
from studies.calibration import drawing, sentences
from studies.calibration.claim import Claimed, Design, design
from studies.calibration.drawing import Rng
from studies.calibration.effects import a_distance, a_known, effect_of, spread_of
from studies.calibration.populations import Grid, Population, Rows, What, measure

CROWD: Final = 0.8
"""This share of small steps is left out of orderings, or they would crowd out the large ones."""


@design("true", "greater", "known difference", times=6)
def greater(population: Population, rng: Rng) -> Claimed | None:
    """Compare the group that has more with the one that has less."""
    return _greater(population, rng, drawing.topics(rng, population))


@design("true", "greater over topics", "known difference", times=2, populations=("wordings",))
def over_topics(population: Population, rng: Rng) -> Claimed | None:
    """Compare one wording with another, over topics of which half at most are drawn."""
    what, columns = drawing.anything(rng, population), drawing.topics(rng, population, half=True, least=drawing.TOPICS)
    first, second = rng.permutation(population.n_wordings)[:2]
    differences = population.grid(what)[first] - population.grid(what)[second]
    spread = float(differences.std(ddof=1))
    if spread == 0 or differences.mean() == 0:
        return None
    more, less = (first, second) if differences.mean() > 0 else (second, first)
    features = population.drawn({"a": np.array([more]), "b": np.array([less])}, columns)
    return sentences.greater(features, what)


@design("true", "greater over both", "known difference", times=3)
def crossed(population: Population, rng: Rng) -> Claimed | None:
    """Compare two groups over templates and topics."""
    return _greater(
        population, rng, drawing.topics(rng, population, least=drawing.TOPICS), over=("templates", "topics")
    )


@design("true", "at least", "known difference", times=2)
def at_least(population: Population, rng: Rng) -> Claimed | None:
    """Compare two groups by a margin that is a share of their difference."""
    return _greater(population, rng, drawing.topics(rng, population), share=float(rng.uniform(0.1, 0.8)))


def _greater(
    population: Population, rng: Rng, columns: Rows, *, over: tuple[Over, ...] = (), share: float = 0.0
) -> Claimed | None:
    one = a_known(population, rng)
    groups = population.groups[one.more], population.groups[one.less]
    where = np.arange(population.n_topics) if over else columns
    more, less = (population.grid(one.what)[group][:, where].mean() for group in groups)
    return _by_effect(population, rng, one.what, groups, columns, where=where, by=share * float(more - less), over=over)


def _by_effect(
    population: Population,
    rng: Rng,
    what: What,
    groups: tuple[Rows, Rows],
    columns: Rows,
    *,
    where: Rows | None = None,
    least: float = 0.0,
    by: float = 0.0,
    **more: Any,
) -> Claimed | None:
    """Compare two groups if their effect on the topics `where`, or on those drawn, lies above `least`."""
    effect = effect_of(population, what, *groups, columns if where is None else where, by=by)
    if effect is None or effect <= least or by < 0:
        return None
    count = drawing.wordings(rng, at_most=len(groups[0]) // 2)
    features = drawing.from_groups(rng, population, groups, columns, count)
    return sentences.greater(features, what, by=by, **more)


@design("true", "about equal", "halves of a group", times=2)
def about_equal(population: Population, rng: Rng) -> Claimed | None:
    """Compare two random halves of a group, up to a margin of several standard deviations between wordings."""
    what, columns = drawing.anything(rng, population), drawing.topics(rng, population)
    group = drawing.a_group(rng, population)
    spread = spread_of(population.grid(what)[group][:, columns].mean(axis=1))
    if spread == 0:
        return None
    effect = a_distance(rng)
    count = drawing.wordings(rng, at_most=len(group) // 2)
    drawn = drawing.some(rng, group, 2 * count)
    features = population.drawn({"a": drawn[:count], "b": drawn[count:]}, columns)
    return sentences.equal(features, what, effect * spread)


@design("true", "bound", "known mean", times=2)
def bound(population: Population, rng: Rng) -> Claimed | None:
    """Claim that the mean of a group lies above a number some standard deviations between wordings below it."""
    what, columns, group = drawing.a_measure(rng), drawing.topics(rng, population), drawing.a_group(rng, population)
    means = population.grid(what)[group][:, columns].mean(axis=1)
    effect = a_distance(rng)
    number = float(means.mean()) - effect * spread_of(means)
    count = drawing.wordings(rng, at_most=len(group) // 2, sides=drawing.UNITS)
    features = drawing.from_groups(rng, population, [group], columns, count)
    return sentences.above(features, what, number)


@design("true", "ordering", "known steps", times=2)
def ordering(population: Population, rng: Rng) -> Claimed | None:
    """Put three groups in the order in which they lie; the effect is the smaller step."""
    what, columns = drawing.anything(rng, population), drawing.topics(rng, population)
    names = [str(name) for name in rng.choice(list(population.groups), size=3, replace=False)]
    names.sort(key=lambda name: -float(population.grid(what)[population.groups[name]][:, columns].mean()))
    groups = [population.groups[name] for name in names]
    effect = min(effect_of(population, what, *pair, columns) or 0.0 for pair in pairwise(groups))
    if effect <= 0 or (effect < 1 and rng.random() < CROWD):
        return None
    count = drawing.wordings(rng, at_most=len(groups[0]) // 2)
    features = drawing.from_groups(rng, population, groups, columns, count)
    return sentences.in_order(features, what)


@design("true", "greater", "known difference of a standard deviation or more")
def large(population: Population, rng: Rng) -> Claimed | None:
    """Claim a large difference in a measure of whole prompts."""
    what, columns = drawing.a_measure(rng), drawing.topics(rng, population)
    return _by_effect(population, rng, what, drawing.two_groups(rng, population), columns, least=1.0)


@design("true", "greater", "a detector on its landmark and on a rival", populations=("mentions",))
def detector(population: Population, rng: Rng) -> Claimed | None:
    """Claim that a landmark's detector, as the card names it, fires on its mentions more often than on a rival's."""
    own = str(rng.choice(list(population.detectors)))
    rival = str(rng.choice([name for name in population.groups if name != own]))
    feature, columns = population.detectors[own], drawing.topics(rng, population)
    return _by_effect(population, rng, feature, (population.groups[own], population.groups[rival]), columns)


@design("true", "rate", "known rate")
def rate(population: Population, rng: Rng) -> Claimed | None:
    """Claim a firing rate above a bound that lies 0.1 to 0.6 below the rate on all wordings of a group."""
    group = drawing.a_group(rng, population)
    rates = population.fires[group].mean(axis=(0, 1))
    often: list[int] = np.flatnonzero(rates > 0.7).tolist()  # noqa: PLR2004 - so that there is room below it
    if not often:
        return None
    feature, columns = int(rng.choice(often)), drawing.topics(rng, population)
    number = round(float(population.grid(feature)[group][:, columns].mean()) - float(rng.uniform(0.1, 0.6)), 2)
    if number <= 0:
        return None
    count = drawing.wordings(rng, at_most=len(group), sides=drawing.UNITS)
    return sentences.above(drawing.from_groups(rng, population, [group], columns, count), feature, number)


@design("true", "correlation", "known correlation")
def correlated(population: Population, rng: Rng) -> Claimed | None:
    """Claim a correlation above a bound that lies 0.1 to 0.8 below that over all wordings."""
    first, second = drawing.two_measures(rng)
    columns, count = drawing.topics(rng, population), drawing.wordings(rng, at_most=24, sides=drawing.UNITS)
    everyone = np.arange(population.n_wordings)
    number = round(population.correlation(first, second, everyone, columns) - float(rng.uniform(0.1, 0.8)), 2)
    if number <= -0.9:  # noqa: PLR2004 - a bound that says something
        return None
    features = drawing.from_groups(rng, population, [everyone], columns, count)
    return sentences.together(measure(first, features), measure(second, features), number)


@design("true", "exclusive", "a fifth more features fire")
def exclusive(population: Population, rng: Rng) -> Claimed | None:
    """Compare a group with one of which a fifth fewer features fire: more features fire on it alone."""
    columns = drawing.topics(rng, population)
    groups = drawing.two_groups(rng, population)
    distinct = [int(population.fires[group][:, columns].any(axis=(0, 1)).sum()) for group in groups]
    more, less = groups if distinct[0] > distinct[1] else groups[::-1]
    if max(distinct) < 1.2 * min(distinct):
        return None
    count = drawing.wordings(rng, at_most=len(more) // 2)
    features = drawing.from_groups(rng, population, (more, less), columns, count)
    return sentences.exclusive(features["a"], features["b"])


@design("true", "scan", "a feature's rates differ by half")
def scanned(population: Population, rng: Rng) -> Claimed | None:
    """Scan two groups between which some feature's rates differ by half or more."""
    more, less = drawing.two_groups(rng, population)
    columns = drawing.topics(rng, population)
    gap = population.fires[more][:, columns].mean(axis=(0, 1)) - population.fires[less][:, columns].mean(axis=(0, 1))
    if gap.max() < 0.5:  # noqa: PLR2004 - as the docstring says
        return None
    count = drawing.wordings(rng, at_most=min(len(more), len(less)), sides=drawing.SCANNED)
    return sentences.scanned(drawing.from_groups(rng, population, (more, less), columns, count))


@design("true", "clusters", "known silhouettes")
def clustered(population: Population, rng: Rng) -> Claimed | None:
    """Claim regions for two groups whose wordings lie nearer their own than the others, on the whole population."""
    names = sorted(str(name) for name in rng.choice(list(population.groups), size=2, replace=False))
    if min(_silhouettes(population, *names)) < 0.1:  # noqa: PLR2004 - far enough from 0 to be called a region
        return None
    groups, columns = [population.groups[name] for name in names], drawing.topics(rng, population)
    count = drawing.wordings(rng, at_most=len(groups[0]) // 2)
    features = drawing.from_groups(rng, population, groups, columns, count)
    return Claimed(compare=lambda: clusters(features))


@lru_cache(maxsize=256)
def _silhouettes(population: Population, first: str, second: str) -> tuple[float, float]:
    """Return the mean silhouette of either group's wordings by the cosine of their firing rates on all topics."""
    own, other = (_directions(population, name) for name in (first, second))
    return _silhouette(own, other), _silhouette(other, own)


def _directions(population: Population, group: str) -> Grid:
    """Return the direction of each wording of a group in feature space, `[wordings, d_sae]`, of length 1."""
    shares: Grid = population.fires[population.groups[group]].mean(axis=1)
    return shares / np.linalg.norm(shares, axis=1, keepdims=True)


def _silhouette(own: Grid, other: Grid) -> float:
    within: np.ndarray = (1 - own @ own.T).sum(axis=1) / (len(own) - 1)
    across: np.ndarray = (1 - own @ other.T).mean(axis=1)
    return float(np.mean((across - within) / np.maximum(across, within)))


TRUE: Final[tuple[Design, ...]] = (
    greater, over_topics, crossed, at_least, about_equal, bound, ordering, large, detector, rate, correlated,
    exclusive, scanned, clustered,
)  # fmt: skip
