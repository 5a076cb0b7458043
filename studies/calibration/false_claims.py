"""False claims: labels that mean nothing, because they were shuffled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from saeprobe import every
from saeprobe.claims import Control, Over
from saeprobe.measures import clusters, exclusive_features, halves, separates, separating_features
from studies.calibration import naive
from studies.calibration.claimed import Claimed
from studies.calibration.drawing import (
    SCANNED,
    TOPICS,
    UNITS,
    Rng,
    a_feature,
    a_measure,
    a_scan,
    anything,
    compared,
    first_firing,
    first_wording,
    in_order,
    shuffled,
    swapped,
    together,
    topics,
    two_measures,
    wordings,
)
from studies.calibration.naive import best_of_all
from studies.calibration.populations import Population, What, measure, name_of


def greater(population: Population, rng: Rng) -> Claimed:
    """Two groups of wordings at random, a measure of whole prompts."""
    return _greater(population, rng, a_measure(rng))


def greater_rate(population: Population, rng: Rng) -> Claimed:
    """Two groups of wordings at random, the firing rate of a random feature."""
    return _greater(population, rng, a_feature(rng, population))


def greater_controlled(population: Population, rng: Rng) -> Claimed:
    """The same under the controls for length and for shuffled labels."""
    return _greater(population, rng, a_measure(rng), controls=("length", "labels"))


def greater_crossed(population: Population, rng: Rng) -> Claimed:
    """The same over templates and topics."""
    return _greater(population, rng, anything(rng, population), over=("templates", "topics"))


def _greater(
    population: Population,
    rng: Rng,
    what: What,
    *,
    over: tuple[Over, ...] = (),
    controls: tuple[Control, ...] = (),
) -> Claimed:
    count = wordings(rng, at_most=12)
    columns = topics(rng, population, least=TOPICS if over else 4)
    features = population.drawn(shuffled(rng, population, "ab", count), columns)
    return compared(features, what, wordings=count, over=over, controls=controls)


def greater_over_topics(population: Population, rng: Rng) -> Claimed:
    """Two wordings whose names are swapped by a coin on each topic."""
    features = swapped(rng, population, topics(rng, population, least=TOPICS))
    return compared(features, anything(rng, population), wordings=1)


def every_other(population: Population, rng: Rng) -> Claimed:
    """One group at random above each of two others."""
    what, count = anything(rng, population), wordings(rng, at_most=12)
    features = population.drawn(shuffled(rng, population, "abc", count), topics(rng, population))
    a, b, c = (measure(what, features[label]) for label in "abc")
    return Claimed(
        measure=name_of(what),
        wordings=count,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: a > every([b, c]),
        naive=lambda alpha: all(naive.greater(first_wording(a), first_wording(one), alpha) for one in (b, c)),
    )


def exclusive(population: Population, rng: Rng) -> Claimed:
    """More features exclusive to one group at random than to the other."""
    count = wordings(rng, at_most=12)
    features = population.drawn(shuffled(rng, population, "ab", count), topics(rng, population))
    a, b = features["a"], features["b"]
    return Claimed(
        measure="exclusive features",
        wordings=count,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: exclusive_features(a, b) > exclusive_features(b, a),
        naive=lambda alpha: naive.exclusive(first_firing(a), first_firing(b), alpha),
    )


def picked(population: Population, rng: Rng) -> Claimed:
    """Features that separate two random groups on one half of the prompts, looked at on the other."""
    count = wordings(rng, at_most=12)
    features = population.drawn(shuffled(rng, population, "ab", count), topics(rng, population))
    look, judge = halves(features)
    found = separating_features(look["a"], look["b"])
    return Claimed(
        measure="separating features",
        wordings=count,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: separates(found, judge["a"], judge["b"]),
        naive=lambda alpha: best_of_all(first_firing(features["a"]), first_firing(features["b"]), alpha),
    )


def exclusive_thinned(population: Population, rng: Rng) -> Claimed:
    """One group against another that lost at random up to half of its firings, under the control for activity."""
    count = wordings(rng, at_most=6)
    features = population.drawn(shuffled(rng, population, "ab", count), topics(rng, population))
    a, b = features["a"], features["b"]
    acts = b.acts.copy()
    acts.data = np.where(rng.random(len(acts.data)) < rng.uniform(0.5, 0.9), acts.data, 0)
    acts.eliminate_zeros()
    less = replace(b, acts=acts)
    return Claimed(
        measure="exclusive features",
        wordings=count,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: exclusive_features(a, less) > exclusive_features(less, a),
        naive=lambda alpha: naive.exclusive(first_firing(a), first_firing(less), alpha),
        controls=("activity",),
    )


def ordering(population: Population, rng: Rng) -> Claimed:
    """Three groups at random, each above the next."""
    what, count = anything(rng, population), wordings(rng, at_most=12)
    features = population.drawn(shuffled(rng, population, "abc", count), topics(rng, population))
    return in_order([measure(what, features[label]) for label in "abc"], what, wordings=count)


def scanned(population: Population, rng: Rng) -> Claimed:
    """Some feature fires on one group at random more often than on the other."""
    count = wordings(rng, at_most=24, sides=SCANNED)
    return a_scan(population.drawn(shuffled(rng, population, "ab", count), topics(rng, population)), wordings=count)


def clustered(population: Population, rng: Rng) -> Claimed:
    """Two or three groups at random form regions of their own."""
    labels, count = "abc"[: int(rng.integers(2, 4))], wordings(rng, at_most=12)
    features = population.drawn(shuffled(rng, population, labels, count), topics(rng, population))
    return Claimed(
        measure="silhouette",
        wordings=count,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: clusters(features),
    )


def correlated(population: Population, rng: Rng) -> Claimed:
    """Two measures, of which one had its values dealt anew to the wordings."""
    first, second = two_measures(rng)
    count, columns = wordings(rng, at_most=24, sides=UNITS), topics(rng, population)
    features = population.drawn(shuffled(rng, population, "a", count), columns)
    x, y = measure(first, features), measure(second, features)
    dealt = rng.permutation(y.values.reshape(count, len(columns))).ravel()
    return together(x, replace(y, values=dealt), 0.0, wordings=count)
