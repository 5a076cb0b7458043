"""Sides: the values on each side of a comparison as evidence keeps them, and the evidence around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Kind, Sample, current_terms
from saeprobe.evidence.units import Compared, mean_interval
from saeprobe.statistics.permutation import drawing_told

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement

Judged = tuple[EvidenceOutcome, str]
NUMBER = (float, int, np.integer, np.floating)
"""Plain numbers, those of numpy too."""


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a plain number."""
    return isinstance(value, NUMBER)


def sample_of(of: Measurement) -> Sample:
    """The values of a measurement as evidence keeps them, with the interval of their mean over templates."""
    return Sample(
        label=of.label,
        measure=of.measure,
        unit=of.unit,
        mean=of.mean,
        n=len(of.values),
        interval=mean_interval(of),
        values=tuple(float(value) for value in of.values),
        prompts=of.prompts,
        place=of.place,
        near_threshold=None if of.near is None else of.near.sentence(of.unit),
        near_moves=None if of.near is None else float(of.near.moves.mean()),
    )


def summaries(kind: Kind, statement: str, a: Sample, b: Sample) -> Evidence:
    """Evidence where a side is a bare summary: the numbers, and no interval made up around them."""
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=(
            f"only summaries are recorded, {a.mean:.4g} against {b.mean:.4g} {a.unit}: without the values of each "
            "prompt nothing tells chance from effect; a features_layer50.pt of the same run would decide it"
        ),
        scope="the recorded summaries",
        unit=a.unit,
        estimate=a.mean - b.mean,
        samples=(a, b),
        rule="a mean without the values behind it decides nothing",
    )


def refuse_controls(kind: Kind) -> None:
    """Controls rule out what else could explain a difference between two sides; other kinds have none.

    Raises:
        TypeError: the claim in force asks for controls.
    """
    controls = current_terms().controls
    if controls:
        raise TypeError(
            f"a comparison of the kind {kind!r} takes no controls, and the claim asks for {', '.join(controls)}; "
            "state it in a claim of its own, without controls=..."
        )


def tested(
    kind: Kind, statement: str, a: Measurement, b: Measurement, compared: Compared, judged: Judged, alpha: float
) -> Evidence:
    """Evidence on two measurements that were tested."""
    shift = compared.shift
    return Evidence(
        kind=kind,
        statement=statement,
        outcome=judged[0],
        reason=judged[1],
        scope=compared.scope,
        unit=a.unit,
        estimate=shift.estimate,
        interval=shift.interval,
        level=1 - alpha,
        p=shift.p,
        alpha=alpha,
        test=f"{shift.test} ({compared.units})",
        seed=shift.seed,
        units=compared.units,
        n_units=compared.n_units,
        samples=(sample_of(a), sample_of(b)),
        unit_values=compared.unit_values,
        continuations=tuple((side.label, *told) for side in (a, b) for told in side.continuations),
    )


def by_hand(compared: Compared) -> str:
    """How the units, the interval and what was drawn come about, to go on after a rule."""
    of_templates = (
        "a template's is its mean over the topics that both sides have, each prompt less the mean of its topic over "
        "both sides and plus the mean of these means"
    )
    of_differences = "a unit's is its mean on the first side less that on the second"
    what = of_differences if compared.paired else of_templates
    if compared.units.startswith("templates and"):
        what += "; a topic's is its difference of the sides, taken less their mean and times sqrt(n / (n - 1))"
    told = f". Of the unit values {what}. The interval holds what can be taken off the first side without rejection"
    return told + drawing_told(compared.shift.seed)


def untested(kind: Kind, statement: str, a: Measurement, b: Measurement, why: str) -> Evidence:
    """Evidence on two measurements that could not be tested, and why."""
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=why,
        scope="these prompts only",
        unit=a.unit,
        estimate=a.mean - b.mean,
        samples=(sample_of(a), sample_of(b)),
        rule="nothing is decided without a test",
    )
