"""This module draws the wordings, topics and measures that a claim is made on; each claim draws afresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from saeprobe.features import Features
from saeprobe.prompts import Prompt
from studies.calibration.populations import MEASURES, Population, Rows, What

SIDES: Final = (4, 6, 8, 12)
"""A side has so many wordings; 4 are the fewest with which a two-sided test can reach alpha = 0.05."""
SCANNED: Final = (8, 12, 16, 24)
"""A scan takes so many, because it halves them."""
UNITS: Final = (6, 8, 12, 24)
"""One group of wordings that is compared with no other has so many."""
TOPICS: Final = 6
"""Flipping the signs of fewer topics cannot reach alpha = 0.05."""

Rng = np.random.Generator


def wordings(rng: Rng, *, at_most: int, sides: Sequence[int] = SIDES) -> int:
    """Draw how many wordings a side has."""
    return int(rng.choice([side for side in sides if side <= at_most] or [at_most]))


def some(rng: Rng, rows: Rows, count: int) -> Rows:
    """Draw `count` of the rows, in random order."""
    return rng.permutation(rows)[:count]


def topics(rng: Rng, population: Population, *, half: bool = False, least: int = 4) -> Rows:
    """Draw an eighth, a quarter, half or all of the topics, at least `least`; at most half where `half` asks for it."""
    counts = [population.n_topics // part for part in ((8, 4, 2) if half else (8, 4, 2, 1))]
    count = int(rng.choice([count for count in counts if count >= least]))
    return np.sort(rng.permutation(population.n_topics)[:count])


def a_measure(rng: Rng) -> str:
    """Draw one of the measures of whole prompts."""
    return str(rng.choice(list(MEASURES)))


def two_measures(rng: Rng) -> tuple[str, str]:
    """Draw two different measures of whole prompts; the active share is left out, for it is the L0 in another unit."""
    first, second = rng.choice([name for name in MEASURES if name != "active share"], size=2, replace=False)
    return str(first), str(second)


def a_feature(rng: Rng, population: Population) -> int:
    """Draw a feature that fires on some prompts and not on others."""
    return int(rng.choice(population.live))


def anything(rng: Rng, population: Population) -> What:
    """Draw a measure or, one time in three, the firing rate of a feature."""
    return a_feature(rng, population) if rng.random() < 1 / 3 else a_measure(rng)


def a_group(rng: Rng, population: Population) -> Rows:
    """Draw a group and return all its wordings."""
    return population.groups[str(rng.choice(list(population.groups)))]


def two_groups(rng: Rng, population: Population) -> tuple[Rows, Rows]:
    """Draw two groups and return all their wordings."""
    first, second = rng.choice(list(population.groups), size=2, replace=False)
    return population.groups[str(first)], population.groups[str(second)]


def from_groups(rng: Rng, population: Population, groups: Sequence[Rows], columns: Rows, count: int) -> Features:
    """Draw `count` wordings of each group on some topics, labelled a, b and so on."""
    sides = {label: some(rng, group, count) for label, group in zip("abc", groups, strict=False)}
    return population.drawn(sides, columns)


def shuffled(rng: Rng, population: Population, labels: Sequence[str], count: int) -> Mapping[str, Rows]:
    """Draw `count` wordings for each label from all groups together, so that the labels mean nothing."""
    rows = rng.permutation(population.n_wordings)[: count * len(labels)].reshape(len(labels), count)
    return dict(zip(labels, rows, strict=True))


def swapped(rng: Rng, population: Population, columns: Rows) -> Features:
    """Draw two wordings; on each topic a coin decides which of the two is called a, and which b."""
    pair = [int(row) for row in rng.permutation(population.n_wordings)[:2]]
    tails = [int(coin) for coin in rng.integers(2, size=len(columns))]
    on_topic = list(zip(tails, (int(column) for column in columns), strict=True))
    firsts = [pair[coin] * population.n_topics + column for coin, column in on_topic]
    seconds = [pair[1 - coin] * population.n_topics + column for coin, column in on_topic]
    features = population.features.select([*firsts, *seconds])
    prompts = tuple(
        Prompt(text=one.text, style=label, topic=one.topic, template=f"wording {label}")
        for one, label in zip(features.prompts, ["a"] * len(columns) + ["b"] * len(columns), strict=True)
    )
    return replace(features, prompts=prompts, family=None)
