"""Claims at the edge: false ones that ask for exactly as much as is there, where a test is most easily deceived."""

from __future__ import annotations

import numpy as np

from saeprobe import about
from saeprobe.claims import Over
from studies.calibration.claimed import Claimed
from studies.calibration.drawing import (
    TOPICS,
    UNITS,
    Rng,
    a_feature,
    a_measure,
    anything,
    compared,
    first_wording,
    in_order,
    shuffled,
    some,
    together,
    topics,
    two_groups,
    two_measures,
    wordings,
)
from studies.calibration.naive import above, equal
from studies.calibration.populations import Population, Rows, What, measure, name_of
from studies.calibration.true_claims import known


def at_least(population: Population, rng: Rng) -> Claimed | None:
    """Two groups, and the margin is the difference between all their wordings on the topics drawn."""
    first, second = two_groups(rng, population)
    count = wordings(rng, at_most=min(len(first), len(second)) // 2)
    return _at_edge(population, rng, (first, second), (count, count), topics(rng, population))


def at_least_unequal(population: Population, rng: Rng) -> Claimed | None:
    """The same with 4 wordings on one side and 12 on the other: spreads that differ tell most there."""
    sizes = (4, 12) if rng.random() < 0.5 else (12, 4)  # noqa: PLR2004 - a fair coin
    return _at_edge(population, rng, two_groups(rng, population), sizes, topics(rng, population))


def _at_edge(
    population: Population, rng: Rng, groups: tuple[Rows, Rows], sizes: tuple[int, int], columns: Rows
) -> Claimed | None:
    what = anything(rng, population)
    grid = population.grid(what)[:, columns]
    gap = float(grid[groups[0]].mean() - grid[groups[1]].mean())
    if gap == 0:
        return None
    rows = [some(rng, group, size) for group, size in zip(groups, sizes, strict=True)]
    sides = dict(zip("ab", rows if gap > 0 else rows[::-1], strict=True))
    return compared(population.drawn(sides, columns), what, wordings=min(sizes), by=abs(gap))


def at_least_over_topics(population: Population, rng: Rng) -> Claimed | None:
    """Wordings that are fixed, and the margin is their difference on all topics, of which up to half are drawn."""
    what, count = anything(rng, population), wordings(rng, at_most=12)
    sides = shuffled(rng, population, "ab", count)
    grid = population.grid(what)
    return _edge_over(
        population,
        what,
        sides,
        topics(rng, population, half=True, least=TOPICS),
        ("topics",),
        grid[sides["a"]].mean() - grid[sides["b"]].mean(),
    )


def at_least_crossed(population: Population, rng: Rng) -> Claimed | None:
    """Two groups, and the margin is the difference on all their wordings and topics; up to half of both are drawn."""
    what = anything(rng, population)
    first, second = two_groups(rng, population)
    count = wordings(rng, at_most=min(len(first), len(second)) // 2)
    sides = {"a": some(rng, first, count), "b": some(rng, second, count)}
    grid = population.grid(what)
    columns = topics(rng, population, half=True, least=TOPICS)
    return _edge_over(
        population, what, sides, columns, ("templates", "topics"), grid[first].mean() - grid[second].mean()
    )


def _edge_over(
    population: Population, what: What, sides: dict[str, Rows], columns: Rows, over: tuple[Over, ...], gap: float
) -> Claimed | None:
    if gap == 0:
        return None
    ordered = sides if gap > 0 else {"a": sides["b"], "b": sides["a"]}
    features = population.drawn(ordered, columns)
    return compared(features, what, wordings=len(sides["a"]), by=abs(float(gap)), over=over)


def about_equal(population: Population, rng: Rng) -> Claimed | None:
    """Two groups that differ by the margin exactly."""
    what, columns = anything(rng, population), topics(rng, population)
    first, second = two_groups(rng, population)
    grid = population.grid(what)[:, columns]
    margin = abs(float(grid[first].mean() - grid[second].mean()))
    if margin == 0:
        return None
    count = wordings(rng, at_most=min(len(first), len(second)) // 2)
    features = population.drawn({"a": some(rng, first, count), "b": some(rng, second, count)}, columns)
    a, b = measure(what, features["a"]), measure(what, features["b"])
    return Claimed(
        measure=name_of(what),
        wordings=count,
        topics=len(columns),
        compare=lambda: a == about(b, margin=margin),
        naive=lambda alpha: equal(first_wording(a), first_wording(b), alpha, margin=margin),
    )


def at_mean(population: Population, rng: Rng) -> Claimed | None:
    """The mean of a group above the mean of all its wordings."""
    what, columns = a_measure(rng), topics(rng, population)
    group = population.groups[str(rng.choice(list(population.groups)))]
    count = wordings(rng, at_most=len(group) // 2, sides=UNITS)
    number = float(population.grid(what)[group][:, columns].mean())
    a = measure(what, population.drawn({"a": some(rng, group, count)}, columns))
    return Claimed(
        measure=name_of(what),
        wordings=count,
        topics=len(columns),
        compare=lambda: a > number,
        naive=lambda alpha: above(first_wording(a), number, alpha),
    )


def rate(population: Population, rng: Rng) -> Claimed | None:
    """The firing rate of a feature above its rate on all wordings."""
    feature, columns = a_feature(rng, population), topics(rng, population)
    everyone = np.arange(population.n_wordings)
    number = float(population.grid(feature)[:, columns].mean())
    count = wordings(rng, at_most=24, sides=UNITS)
    a = measure(feature, population.drawn({"a": some(rng, everyone, count)}, columns))
    if not 0 < number < 1:
        return None
    return Claimed(
        measure=name_of(feature),
        wordings=count,
        topics=len(columns),
        compare=lambda: a > number,
        naive=lambda alpha: above(first_wording(a), number, alpha),
    )


def ordering(population: Population, rng: Rng) -> Claimed:
    """A step that is there and far larger than the spread, and one between halves of a group that is not."""
    large = [one for each in known(population)[-2:] for one in each]  # from 3 standard deviations
    one = large[int(rng.integers(len(large)))]
    columns, more, less = topics(rng, population), population.groups[one.more], population.groups[one.less]
    count = wordings(rng, at_most=min(len(more), len(less) // 2))
    halves = some(rng, less, 2 * count)
    sides = {"a": some(rng, more, count), "b": halves[:count], "c": halves[count:]}
    features = population.drawn(sides, columns)
    return in_order([measure(one.what, features[label]) for label in "abc"], one.what, wordings=count)


def correlated(population: Population, rng: Rng) -> Claimed:
    """A correlation above that over all prompts on these topics: of a landmark's mentions, or of all wordings."""
    names = list(population.groups)
    group = np.arange(population.n_wordings)
    if population.name == "mentions":
        group = population.groups[str(rng.choice(names))]
    first, second = two_measures(rng)
    columns, count = topics(rng, population), wordings(rng, at_most=24, sides=UNITS)
    bound = population.correlation(first, second, group, columns)
    features = population.drawn({"a": some(rng, group, count)}, columns)
    x, y = measure(first, features), measure(second, features)
    return together(x, y, bound, wordings=count)
