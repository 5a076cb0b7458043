"""The designs here make false claims: labels mean nothing, or a sentence asks for exactly as much as is there.

Claims of the second sort are at the edge, where a test is most easily deceived.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from saeprobe import every
from saeprobe.claims import Over
from saeprobe.features import Features
from saeprobe.measures import clusters, halves, separates, separating_features
from studies.calibration import drawing, naive, sentences
from studies.calibration.claim import Claimed, Design, design
from studies.calibration.drawing import Rng
from studies.calibration.effects import known
from studies.calibration.populations import Population, Rows, What, measure


@design("false", "greater", "labels shuffled", times=2)
def greater(population: Population, rng: Rng) -> Claimed:
    """Compare two random groups of wordings by a measure of whole prompts."""
    return _greater(population, rng, drawing.a_measure(rng))


@design("false", "greater", "labels shuffled, a random feature's firing rate")
def greater_rate(population: Population, rng: Rng) -> Claimed:
    """Compare two random groups of wordings by the firing rate of a random feature."""
    return _greater(population, rng, drawing.a_feature(rng, population))


@design("false", "greater over topics", "labels swapped by topic")
def greater_over_topics(population: Population, rng: Rng) -> Claimed:
    """Compare two wordings whose names are swapped by a coin on each topic."""
    features = drawing.swapped(rng, population, drawing.topics(rng, population, least=drawing.TOPICS))
    return sentences.greater(features, drawing.anything(rng, population))


@design("false", "greater over both", "labels shuffled")
def greater_crossed(population: Population, rng: Rng) -> Claimed:
    """Compare two random groups of wordings over templates and topics."""
    return _greater(population, rng, drawing.anything(rng, population), over=("templates", "topics"))


def _greater(population: Population, rng: Rng, what: What, *, over: tuple[Over, ...] = ()) -> Claimed:
    count = drawing.wordings(rng, at_most=12)
    columns = drawing.topics(rng, population, least=drawing.TOPICS if over else 4)
    features = population.drawn(drawing.shuffled(rng, population, "ab", count), columns)
    return sentences.greater(features, what, over=over)


def _dealt(population: Population, rng: Rng, labels: str, count: int) -> Features:
    return population.drawn(drawing.shuffled(rng, population, labels, count), drawing.topics(rng, population))


@design("false", "every", "labels shuffled", contrary=1.0)
def every_other(population: Population, rng: Rng) -> Claimed:
    """Claim that one random group lies above each of two others."""
    what, count = drawing.anything(rng, population), drawing.wordings(rng, at_most=12)
    features = _dealt(population, rng, "abc", count)
    a, b, c = (measure(what, features[label]) for label in "abc")

    def by_t(alpha: float) -> bool:
        return all(naive.greater(sentences.first_wording(a), sentences.first_wording(one), alpha) for one in (b, c))

    return Claimed(compare=lambda: a > every([b, c]), naive=by_t)


@design("false", "exclusive", "labels shuffled")
def exclusive(population: Population, rng: Rng) -> Claimed:
    """Claim that more features are exclusive to one random group than to the other."""
    count = drawing.wordings(rng, at_most=12)
    features = _dealt(population, rng, "ab", count)
    return sentences.exclusive(features["a"], features["b"])


@design("false", "exclusive", "one side thinned at random, under the control for activity", level=1.0, contrary=None)
def exclusive_thinned(population: Population, rng: Rng) -> Claimed:
    """Compare one group with another that lost up to half of its firings at random, under the control for activity."""
    count = drawing.wordings(rng, at_most=6)
    features = _dealt(population, rng, "ab", count)
    acts = features["b"].encoded.copy()
    acts.data = np.where(rng.random(len(acts.data)) < rng.uniform(0.5, 0.9), acts.data, 0)
    acts.eliminate_zeros()
    return sentences.exclusive(features["a"], replace(features["b"], acts=acts), controls=("activity",))


@design("false", "ordering", "labels shuffled", contrary=1.0)
def ordering(population: Population, rng: Rng) -> Claimed:
    """Claim that each of three random groups lies above the next."""
    what, count = drawing.anything(rng, population), drawing.wordings(rng, at_most=12)
    return sentences.in_order(_dealt(population, rng, "abc", count), what)


@design("false", "scan", "labels shuffled", contrary=None)
def scanned(population: Population, rng: Rng) -> Claimed:
    """Claim that some feature fires on one random group more often than on the other."""
    count = drawing.wordings(rng, at_most=24, sides=drawing.SCANNED)
    return sentences.scanned(_dealt(population, rng, "ab", count))


@design("false", "clusters", "labels shuffled", level=1.0, contrary=None)
def clustered(population: Population, rng: Rng) -> Claimed:
    """Claim that two or three random groups form regions of their own."""
    labels, count = "abc"[: int(rng.integers(2, 4))], drawing.wordings(rng, at_most=12)
    features = _dealt(population, rng, labels, count)
    return Claimed(compare=lambda: clusters(features))


@design("false", "separation", "labels shuffled, picked on one half", contrary=None)
def picked(population: Population, rng: Rng) -> Claimed:
    """Pick features that separate two random groups on one half of the prompts, and judge them on the other."""
    count = drawing.wordings(rng, at_most=12)
    features = _dealt(population, rng, "ab", count)
    look, judge = halves(features)
    found = separating_features(look["a"], look["b"])
    compare = partial(separates, found, judge["a"], judge["b"])
    return Claimed(compare=compare, naive=sentences.best_of(features["a"], features["b"]))


@design("false", "at least", "margin = difference")
def at_least(population: Population, rng: Rng) -> Claimed | None:
    """Compare two groups by a margin that is the difference between all their wordings on the topics drawn."""
    groups = drawing.two_groups(rng, population)
    count = drawing.wordings(rng, at_most=min(len(group) for group in groups) // 2)
    columns, what = drawing.topics(rng, population), drawing.anything(rng, population)
    grid = population.grid(what)[:, columns]
    gap = float(grid[groups[0]].mean() - grid[groups[1]].mean())
    if gap == 0:
        return None
    a, b = (drawing.some(rng, group, count) for group in groups)
    return _by_gap(population, what, (a, b), columns, gap)


@design("false", "at least over topics", "margin = difference", populations=("wordings",))
def at_least_over_topics(population: Population, rng: Rng) -> Claimed | None:
    """Compare fixed wordings by their difference on all topics, of which up to half are drawn."""
    what, count = drawing.anything(rng, population), drawing.wordings(rng, at_most=12)
    a, b = drawing.shuffled(rng, population, "ab", count).values()
    grid = population.grid(what)
    columns = drawing.topics(rng, population, half=True, least=drawing.TOPICS)
    return _by_gap(population, what, (a, b), columns, grid[a].mean() - grid[b].mean(), over=("topics",))


@design("false", "at least over both", "margin = difference", populations=("wordings",))
def at_least_crossed(population: Population, rng: Rng) -> Claimed | None:
    """Compare two groups by their difference on all wordings and topics, of both of which up to half are drawn."""
    what = drawing.anything(rng, population)
    first, second = drawing.two_groups(rng, population)
    count = drawing.wordings(rng, at_most=min(len(first), len(second)) // 2)
    sides = drawing.some(rng, first, count), drawing.some(rng, second, count)
    grid = population.grid(what)
    columns = drawing.topics(rng, population, half=True, least=drawing.TOPICS)
    gap = grid[first].mean() - grid[second].mean()
    return _by_gap(population, what, sides, columns, gap, over=("templates", "topics"))


def _by_gap(
    population: Population,
    what: What,
    sides: tuple[Rows, Rows],
    columns: Rows,
    gap: float,
    *,
    over: tuple[Over, ...] = (),
) -> Claimed | None:
    """Claim that the larger side exceeds the other by the gap; no claim where there is no gap."""
    if gap == 0:
        return None
    a, b = sides if gap > 0 else sides[::-1]
    features = population.drawn({"a": a, "b": b}, columns)
    return sentences.greater(features, what, by=abs(float(gap)), over=over)


@design("false", "about equal", "margin = difference", level=1.0, contrary=1.0)
def about_equal(population: Population, rng: Rng) -> Claimed | None:
    """Claim that two groups are equal up to a margin by which they differ exactly."""
    what, columns = drawing.anything(rng, population), drawing.topics(rng, population)
    first, second = drawing.two_groups(rng, population)
    grid = population.grid(what)[:, columns]
    margin = abs(float(grid[first].mean() - grid[second].mean()))
    if margin == 0:
        return None
    count = drawing.wordings(rng, at_most=min(len(first), len(second)) // 2)
    features = drawing.from_groups(rng, population, (first, second), columns, count)
    return sentences.equal(features, what, margin)


@design("false", "ordering", "one step is there, the other is not")
def half_ordered(population: Population, rng: Rng) -> Claimed:
    """Order two groups that differ by far more than the spread, and two halves of one group that do not differ."""
    large = [one for each in known(population)[-2:] for one in each]  # from 3 standard deviations
    one = large[int(rng.integers(len(large)))]
    columns, more, less = drawing.topics(rng, population), population.groups[one.more], population.groups[one.less]
    count = drawing.wordings(rng, at_most=min(len(more), len(less) // 2))
    halved = drawing.some(rng, less, 2 * count)
    features = population.drawn(
        {"a": drawing.some(rng, more, count), "b": halved[:count], "c": halved[count:]}, columns
    )
    return sentences.in_order(features, one.what)


FALSE: Final[tuple[Design, ...]] = (
    greater, greater_rate, greater_over_topics, greater_crossed, every_other, exclusive,
    exclusive_thinned, ordering, scanned, clustered, picked, at_least,
    at_least_over_topics, at_least_crossed, about_equal, half_ordered,
)  # fmt: skip
