"""Drawing: which wordings and topics a claim is made on, always afresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from saeprobe.claims import Control, Over
from saeprobe.evidence.compare import ordered
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.values import Measurement
from saeprobe.features.sparse import Features
from saeprobe.measures import scan
from saeprobe.measures.reading import firing
from saeprobe.prompts import Prompt
from studies.calibration import naive
from studies.calibration.claimed import Claimed
from studies.calibration.naive import best_of_all, correlated, greater
from studies.calibration.populations import MEASURES, Population, Rows, What, measure, name_of

SIDES: Final = (4, 6, 8, 12)
"""Wordings a side; 4 are the fewest with which a two-sided test can reach alpha = 0.05."""


SCANNED: Final = (8, 12, 16, 24)
"""For a scan, which halves them."""


TOPICS: Final = 6
"""The fewest topics whose signs, flipped, can reach alpha = 0.05."""


UNITS: Final = (6, 8, 12, 24)
"""Where one group of wordings is drawn, and not two to be told apart."""


Rng = np.random.Generator


def wordings(rng: Rng, *, at_most: int, sides: Sequence[int] = SIDES) -> int:
    """How many wordings a side."""
    return int(rng.choice([side for side in sides if side <= at_most] or [at_most]))


def some(rng: Rng, rows: Rows, count: int) -> Rows:
    """So many of the rows, in random order."""
    return rng.permutation(rows)[:count]


def topics(rng: Rng, population: Population, *, half: bool = False, least: int = 4) -> Rows:
    """An eighth, a quarter, half or all of the topics, at least so many; at most half where `half` is asked for."""
    counts = [population.n_topics // part for part in ((8, 4, 2) if half else (8, 4, 2, 1))]
    count = int(rng.choice([count for count in counts if count >= least]))
    return np.sort(rng.permutation(population.n_topics)[:count])


def a_measure(rng: Rng) -> str:
    """One of the measures of whole prompts."""
    return str(rng.choice(list(MEASURES)))


def a_feature(rng: Rng, population: Population) -> int:
    """A feature that fires on some prompts and not on others."""
    return int(rng.choice(population.live))


def anything(rng: Rng, population: Population) -> What:
    """A measure or, one time in three, the firing rate of a feature."""
    return a_feature(rng, population) if rng.random() < 1 / 3 else a_measure(rng)


def shuffled(rng: Rng, population: Population, labels: Sequence[str], count: int) -> dict[str, Rows]:
    """So many wordings under each label, drawn from all groups together: the labels mean nothing."""
    rows = rng.permutation(population.n_wordings)[: count * len(labels)].reshape(len(labels), count)
    return dict(zip(labels, rows, strict=True))


def two_groups(rng: Rng, population: Population) -> tuple[Rows, Rows]:
    """The wordings of two groups, all of them."""
    first, second = rng.choice(list(population.groups), size=2, replace=False)
    return population.groups[str(first)], population.groups[str(second)]


def swapped(rng: Rng, population: Population, columns: Rows) -> Features:
    """Two wordings on some topics; on each topic a coin says which of the two is called a, and which b."""
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


def first_wording(of: Measurement) -> Float[np.ndarray, " prompts"]:
    """The values of the prompts of one wording, the first that was drawn."""
    return of.values[[prompt.template == of.prompts[0].template for prompt in of.prompts]]


def compared(
    features: Features,
    what: What,
    *,
    wordings: int,
    by: float = 0.0,
    over: tuple[Over, ...] = (),
    controls: tuple[Control, ...] = (),
    effect: float | None = None,
) -> Claimed:
    """`measure(a) > measure(b)`, or `> measure(b) + by`."""
    a, b = measure(what, features["a"]), measure(what, features["b"])
    return Claimed(
        measure=name_of(what),
        wordings=wordings,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: a > b + by if by else a > b,
        naive=lambda alpha: greater(first_wording(a), first_wording(b), alpha, by=by),
        over=over,
        controls=controls,
        effect=effect,
    )


def in_order(sides: Sequence[Measurement], what: What, *, wordings: int, effect: float | None = None) -> Claimed:
    """`ordered(...)`: each side above the next."""
    return Claimed(
        measure=name_of(what),
        wordings=wordings,
        topics=len({prompt.topic for prompt in sides[0].prompts}),
        compare=lambda: ordered(sides),
        naive=lambda alpha: naive.ordered([first_wording(side) for side in sides], alpha),
        effect=effect,
    )


def a_scan(features: Features, *, wordings: int) -> Claimed:
    """`scan(a, b)`, beside the feature that a t test likes best on the prompts of one wording a side."""
    a, b = features["a"], features["b"]
    return Claimed(
        measure="firing rates",
        wordings=wordings,
        topics=len({prompt.topic for prompt in features.prompts}),
        compare=lambda: scan(a, b),
        naive=lambda alpha: best_of_all(first_firing(a), first_firing(b), alpha),
    )


def first_firing(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """What fires on the prompts of one wording, the first that was drawn."""
    template = of.prompts[0].template
    return firing(of.select([at for at, one in enumerate(of.prompts) if one.template == template]))


def two_measures(rng: Rng) -> tuple[str, str]:
    """Two different measures of whole prompts; the active share is the L0 in another unit."""
    first, second = rng.choice([name for name in MEASURES if name != "active share"], size=2, replace=False)
    return str(first), str(second)


def together(x: Measurement, y: Measurement, bound: float, *, wordings: int, effect: float | None = None) -> Claimed:
    """`correlation(x, y) > bound`."""
    return Claimed(
        measure=f"{x.measure}, {y.measure}",
        wordings=wordings,
        topics=len({prompt.topic for prompt in x.prompts}),
        compare=lambda: correlation(x, y) > bound,
        naive=lambda alpha: correlated(first_wording(x), first_wording(y), bound, alpha),
        effect=effect,
    )


def effect_of(
    population: Population, what: What, more: Rows, less: Rows, columns: Rows, *, by: float = 0.0
) -> float | None:
    """Difference of two groups less `by`, in standard deviations between wordings; None where wordings do not differ.

    The standard deviation is the root of the mean of both groups' variances, as `power.units_to_decide` takes it.
    """
    grid = population.grid(what)[:, columns].mean(axis=1)
    spread = spread_of(grid[more], grid[less])
    return float(grid[more].mean() - grid[less].mean() - by) / spread if spread > 0 else None


def spread_of(*groups: np.ndarray) -> float:
    """Root of the mean of the groups' variances."""
    return float(np.sqrt(np.mean([group.var(ddof=1) for group in groups])))
