"""Confirming: what the other half of the prompts shows of features that were picked on one."""

from __future__ import annotations

from math import ceil, inf

import numpy as np
from jaxtyping import Float

from saeprobe.evidence.controls.results import HALF
from saeprobe.evidence.evidence import ControlResult, Evidence, Needed, Recorder, Sample, UnitValue
from saeprobe.features.sparse import Features
from saeprobe.measures.activity import one_near
from saeprobe.measures.design import templates, topics
from saeprobe.measures.rates import Rates
from saeprobe.statistics.discovery import false_discoveries
from saeprobe.statistics.power import units_to_decide

ROUNDS = 20
"""Scans between shuffled labels."""

Ps = Float[np.ndarray, " picked"]


def confirmed(tested: Rates, features: tuple[int, ...], terms: Recorder) -> tuple[Ps, Ps]:
    """The p of each picked feature, and p adjusted for how many were picked."""
    ps = np.array([tested.p_above(feature, alpha=terms.alpha, seed=terms.seed) for feature in features])
    return ps, false_discoveries(ps, q=terms.alpha)


def part_of(
    tested: Rates,
    feature: int,
    sides: tuple[Features, Features],
    *,
    p: float,
    adjusted: float,
    of: int,
    terms: Recorder,
) -> Evidence:
    """What the half that confirms shows of one feature."""
    values = tested.yes[:, feature], tested.no[:, feature]
    samples: list[Sample] = []
    for side, rate in zip(sides, values, strict=True):
        near = one_near(side, feature)
        samples.append(
            Sample(
                label=side.label,
                measure=f"firing rate of feature {feature}",
                unit="share of prompts",
                mean=float(rate.mean()),
                n=len(side),
                place=side.place,
                near_threshold=None if near is None else near.sentence("share of prompts"),
                near_moves=None if near is None else float(near.moves.mean()),
            )
        )
    a, b = samples
    return Evidence(
        kind="greater",
        statement=f"feature {feature} fires on {a.label} more often than on {b.label}",
        outcome="supported" if adjusted < terms.alpha else "inconclusive",
        reason=f"{a.mean:.1%} against {b.mean:.1%}, p = {p:.2g}, {adjusted:.2g} adjusted for {of} picked",
        scope=tested.scope,
        unit="share of prompts",
        estimate=a.mean - b.mean,
        p=float(p),
        alpha=terms.alpha,
        units=tested.units,
        n_units=(len(tested.yes), len(tested.no)),
        samples=(a, b),
        rule="supported where p, adjusted for the features that were picked, is below alpha; inconclusive otherwise",
        unit_values=tuple(
            UnitValue(side=side.label, unit=name, value=float(value))
            for side, names, rate in zip(samples, tested.names, values, strict=True)
            for name, value in zip(names, rate, strict=True)
        ),
    )


def needed_to_confirm(
    tested: Rates, feature: int, picked: int, sides: tuple[Features, Features], terms: Recorder
) -> Needed:
    """Units, of both halves together, with which this feature alone would be confirmed among so many."""
    effect, deviation = float(tested.difference[feature]), float(tested.deviation[feature])
    in_deviations = 0.0 if effect <= 0 else effect / deviation if deviation > 0 else inf
    wanted = units_to_decide(in_deviations, alpha=2 * terms.alpha / picked, paired=tested.paired)
    of = topics if tested.paired else templates
    have = min(len(of(side)) for side in sides)
    what = "topics" if tested.paired else "templates a style"
    if wanted is None:
        return Needed(units=what, have=have, wanted=None)
    wanted = max(2 * wanted, have + 1)
    each = sum(len(side) / len(of(side)) for side in sides)
    return Needed(units=what, have=have, wanted=wanted, prompts=ceil(wanted * each))


def shuffled_control(halves: tuple[Rates, Rates], most: int, found: float, terms: Recorder) -> ControlResult:
    """The same scan between made-up sides, each with half of the templates of either style (or topics turned round)."""
    looked, tested = halves
    rng = np.random.default_rng(terms.seed)
    counts: list[int] = []
    for _ in range(ROUNDS):
        features = looked.shuffled(rng).ranked(most)
        made_up = tested.shuffled(rng)
        counts.append(int((confirmed(made_up, features, terms)[1] < terms.alpha).sum()) if features else 0)
    mean = float(np.mean(counts))
    share = mean / found if found else None
    return ControlResult(
        name="labels",
        expects="absent",
        explains=share is not None and share >= HALF,
        estimate=mean,
        interval=None,
        p=(1 + sum(count >= found for count in counts)) / (1 + ROUNDS),
        share=share,
        detail=f"between shuffled labels the same scan confirms {mean:g} of {most} on average, in {ROUNDS} rounds "
        f"(seed {terms.seed})",
    )
