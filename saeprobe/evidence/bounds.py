"""Bounds: whether the mean of a measurement lies above, or below, a number."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Literal

import numpy as np

from saeprobe.evidence.evidence import COUNTED, Evidence, EvidenceOutcome, Needed, Sample, current_terms
from saeprobe.evidence.units import at_least, needed, needed_in_words, refuse_controls, sample_of, unit_means
from saeprobe.statistics.intervals import rate_interval, rate_p, units_for_rate
from saeprobe.statistics.permutation import drawing_told
from saeprobe.statistics.power import MOST_UNITS
from saeprobe.statistics.shifts import paired_shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


def all_or_nothing(of: Measurement) -> bool:
    """Whether a measurement is 0 or 1 on every prompt, so that its mean is a rate."""
    return bool(np.isin(of.values, (0.0, 1.0)).all())


def bounds_a_rate(of: Measurement, bound: float) -> bool:
    """Whether a number is a bound on a rate: one between 0 and 1, or 0 or 1 themselves for a share.

    A share of what is counted (`COUNTED`) is a rate though a prompt may have a part of it: else a single prompt at
    0.99 would turn 8 templates, too few for a rate above 0.95, into 8 that lie above it by their signs.
    """
    if of.unit in COUNTED and 0 < bound < 1:
        return bool((of.values >= 0).all() and (of.values <= 1).all())
    return all_or_nothing(of) and (0 < bound < 1 or (of.unit.startswith("share") and bound in (0, 1)))


def rate_beside(of: Measurement, bound: float, *, above: bool) -> Evidence:
    """Evidence that a rate lies above, or below, a number in [0, 1], by the exact binomial test over units.

    Raises:
        TypeError: the claim asks for controls.
        ValueError: no share can lie beyond the bound.
    """
    refuse_controls("rate")
    sign = ">" if above else "<"
    if of.unit.startswith("share") and bound == (1 if above else 0):
        raise ValueError(f"{of.name} {sign} {bound:g}: no share does; write == {bound:g}")
    terms = current_terms()
    alpha = terms.alpha
    base = rated(of, f"{of.name} {sign} {bound:g} {of.unit}")
    units, have = base.units or "units", base.n_units[0]
    successes = sum(unit.value for unit in base.unit_values)
    base = replace(
        base,
        rule=(
            f"supported where the exact binomial p of {successes:.4g} in {have} {units} against a rate of {bound:g}, "
            f"on the side {sign}, is below alpha = {alpha:g}; refuted where that of the other side is; inconclusive "
            "otherwise. A unit counts with the share of its prompts"
        ),
    )
    if have < 2:  # noqa: PLR2004 - one unit shows nothing
        return base
    p = _p(successes, have, bound=bound, above=above)
    contrary = _p(successes, have, bound=bound, above=not above)
    shown = f"p = {p:.2g}" if p else "which a single prompt excludes"
    told = f"{base.estimate:.1%} over {have} {units} beside {bound:g}, {shown}"
    outcome: EvidenceOutcome = "inconclusive"
    more = None
    if p < alpha:
        outcome = "supported"
    elif contrary < alpha:
        outcome = "refuted"
        told += f"; that it lies on the other side has p = {contrary:.2g}"
    else:
        more = _needed(base, len(of.prompts), bound=bound, alpha=alpha)
        told += f": not told apart at alpha = {alpha:g}. {_told(more, bound=bound, above=above, alpha=alpha)}"
    return replace(
        base, outcome=outcome, reason=told, p=p, test=f"exact binomial over {have} {units}, one-sided", needed=more
    )


def rated(of: Measurement, statement: str) -> Evidence:
    """Evidence on a rate before it is judged: its units, and the exact interval of the rate over them.

    A unit counts with the share of its prompts, so that the successes need not be whole; the interval of Clopper and
    Pearson goes through the beta distribution for them too, as Korn & Graubard (Survey Methodology 24, 1998) use it.
    Its level is 1 - 2 alpha: its ends are where the one-sided tests at alpha decide.
    """
    terms = current_terms()
    values, units, scope = unit_means(of, terms.over)
    level = 1 - 2 * terms.alpha
    successes = sum(unit.value for unit in values)
    return Evidence(
        kind="rate",
        statement=statement,
        outcome="inconclusive",
        reason=f"{of.mean:.1%} on one {units.removesuffix('s')}: at least 2 are needed",
        scope=scope,
        unit=of.unit,
        estimate=successes / len(values),
        interval=rate_interval(successes, len(values), level=level) if len(values) > 1 else None,
        level=level,
        alpha=terms.alpha,
        units=units,
        n_units=(len(values),),
        samples=(sample_of(of),),
        unit_values=values,
    )


def _p(successes: float, have: int, *, bound: float, above: bool) -> float:
    """One-sided exact p; a rate of 0, or of 1, is excluded by a single prompt."""
    if 0 < bound < 1:
        return rate_p(successes, have, bound=bound, above=above)
    if bound == (1 if above else 0):  # nothing lies beyond
        return 1.0
    return 1.0 if successes == bound * have else 0.0


def _needed(base: Evidence, prompts: int, *, bound: float, alpha: float) -> Needed:
    """Units that would decide it at the rate as measured: for the sentence, or against it where the rate says so."""
    rate, have = base.estimate or 0.0, base.n_units[0]
    side = rate > bound
    larger = range(have + 1, MOST_UNITS + 1)
    found = bisect_left(larger, x=True, key=lambda units: _p(rate * units, units, bound=bound, above=side) < alpha)
    wanted = larger[found] if rate != bound and found < len(larger) else None
    return needed(base.units or "units", have, wanted, a_unit=prompts / have)


def _told(more: Needed, *, bound: float, above: bool, alpha: float) -> str:
    fewest = units_for_rate(bound, above=above, alpha=alpha) if 0 < bound < 1 else 0
    if fewest > more.have:
        return f"{more.have} {more.units} cannot reach it whatever the rate; {fewest} can"
    if more.wanted is None:
        return f"At this rate more than {MOST_UNITS:,} {more.units} would be needed"
    return f"About {more.wanted} {more.units} would decide it at this rate"


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


Wanted = Literal[0, 1]


RULE = "supported where it holds on each of at least 2 prompts; a single exception refutes it"


ROUNDING = 1e-6
"""A recorded rate may be a float32."""


def always(of: Measurement, wanted: Wanted) -> Evidence:
    """Evidence that something happens on every prompt, `wanted` 1, or on none, 0; one exception refutes it.

    The exact interval of the rate tells how far the sentence reaches beyond the prompts that were read.

    Raises:
        TypeError: the measure is no share that is 0 or 1 on every prompt, or the claim asks for controls.
    """
    if not all_or_nothing(of):
        raise _no_rate(of.name, wanted)
    _check(of.name, of.unit, wanted)
    base = rated(of, _statement(of.name, wanted))
    exceptions = np.flatnonzero(of.values != wanted)
    told = f"{of.mean:.1%} of {len(of.prompts)} prompts"
    outcome: EvidenceOutcome = "supported"
    if len(exceptions):
        outcome = "refuted"
        told += f": {len(exceptions):,} exception{'s' if len(exceptions) > 1 else ''}"
        told += f", {of.prompts[int(exceptions[0])].text!r} for one"
    elif len(of.prompts) < 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome = "inconclusive"
        told += ": at least 2 are needed"
    elif base.interval is not None:
        low, high = base.interval
        reach = f"at least {low:.1%}" if wanted else f"at most {high:.1%}"
        told += f"; over {base.n_units[0]} {base.units} that supports a rate of {reach}"
    return replace(base, outcome=outcome, reason=told, rule=RULE)


def always_recorded(sample: Sample, name: str, wanted: Wanted) -> Evidence:
    """The same on a recorded rate, whose exceptions show though the prompts behind it are not there.

    Raises:
        TypeError: it is no share, or the claim asks for controls.
    """
    _check(name, sample.unit, wanted)
    outcome: EvidenceOutcome = "inconclusive"
    told = f"{sample.mean:.1%} is recorded"
    if abs(sample.mean - wanted) > ROUNDING:
        outcome, told = "refuted", f"{told}: not {wanted:.0%}"
    elif sample.n is not None and sample.n >= 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome, told = "supported", f"{told} of {sample.n} prompts"
    else:
        told += ", but not of how many prompts: at least 2 are needed"
    return Evidence(
        kind="rate",
        statement=_statement(name, wanted),
        outcome=outcome,
        reason=told,
        scope="the recorded prompts",
        unit=sample.unit,
        estimate=sample.mean,
        samples=(sample,),
        rule=RULE,
    )


def _statement(name: str, wanted: Wanted) -> str:
    return f"{name} = {wanted} on each prompt"


def _check(name: str, unit: str, wanted: Wanted) -> None:
    if not unit.startswith("share"):
        raise _no_rate(name, wanted)
    refuse_controls("rate")


def _no_rate(name: str, wanted: Wanted) -> TypeError:
    return TypeError(
        f"{name} == {wanted}; only a share that is 0 or 1 on every prompt, such as a firing rate, is compared with a "
        "number: == about(..., margin=...) compares two measurements"
    )
