"""Bounds: whether the mean of a measurement lies above, or below, a number."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from saeprobe.comparison.needs import at_least, needed, needed_in_words
from saeprobe.comparison.rate import bounds_a_rate, rate_beside
from saeprobe.comparison.sides import refuse_controls, sample_of
from saeprobe.evidence.evidence import COUNTED, Evidence, EvidenceOutcome, current_terms
from saeprobe.evidence.units import unit_means
from saeprobe.statistics.permutation import drawing_told
from saeprobe.statistics.shifts import paired_shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


def beside_bound(of: Measurement, bound: float, *, above: bool) -> Evidence:
    """Evidence that the mean of a measurement lies above, or below, a number; units are templates, or topics.

    Shares of prompts, whose values are all 0 or 1, are a rate.

    Raises:
        TypeError: the claim asks for controls; there is no second side for a rival to explain.
        ValueError: the bound is no finite number, or none that a share can be.
    """
    if not isfinite(bound):
        raise ValueError(f"{of.name} beside {bound:g}; wanted a finite number in {of.unit}")
    if of.unit in COUNTED and not 0 <= bound <= 1:
        raise ValueError(f"{of.name} beside {bound:g}; a {of.unit} lies between 0 and 1: 75 % is 0.75")
    if bounds_a_rate(of, bound):
        return rate_beside(of, bound, above=above)
    refuse_controls("bound")
    terms = current_terms()
    units, what, scope = unit_means(of, terms.over)
    base = Evidence(
        kind="bound",
        statement=f"{of.name} {'>' if above else '<'} {bound:g} {of.unit}",
        outcome="inconclusive",
        reason=f"{of.mean:.4g} {of.unit} on one {what.removesuffix('s')}: at least 2 are needed",
        scope=scope,
        unit=of.unit,
        estimate=float(np.mean([unit.value for unit in units])),
        samples=(sample_of(of),),
        unit_values=units,
        alpha=terms.alpha,
        units=what,
        n_units=(len(units),),
        rule=(
            f"supported where the two-sided p of the units' distance from {bound:g} is below alpha = {terms.alpha:g} "
            f"and their mean lies {'above' if above else 'below'} it; refuted where p is below alpha and it lies on "
            "the other side; inconclusive otherwise, and where the units show no spread. The signs of these distances "
            "are flipped, which takes the units to scatter alike to both sides of their mean"
        ),
    )
    if len(units) < 2:  # noqa: PLR2004 - no spread on one unit
        return base
    shift = paired_shift(np.array([unit.value for unit in units]) - bound, alpha=terms.alpha, seed=terms.seed)
    told = f"{of.mean:.4g} {of.unit} beside {bound:g}, p = {shift.p:.2g}"
    outcome: EvidenceOutcome = "inconclusive"
    more = None
    if not shift.spread:
        told += ", without any spread between units"
    elif shift.p < terms.alpha:
        outcome = "supported" if (shift.estimate > 0) == above else "refuted"
    else:
        wanted = at_least(shift.needed, shift, len(units), terms.alpha, paired=True)
        more = needed(what, len(units), wanted, a_unit=len(of.prompts) / len(units))
        told += f": not told apart at alpha = {terms.alpha:g}. {needed_in_words(more, shift, terms.alpha)}"
    return replace(
        base,
        outcome=outcome,
        reason=told,
        interval=None if shift.interval is None else (shift.interval[0] + bound, shift.interval[1] + bound),
        level=1 - terms.alpha,
        p=shift.p,
        test=shift.test,
        seed=shift.seed,
        rule=base.rule + drawing_told(shift.seed),
        needed=more,
    )
