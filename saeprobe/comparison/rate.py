"""Rates: whether something happens on more, or on less, than a share of prompts."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from saeprobe.comparison import needs
from saeprobe.comparison.sides import refuse_controls, sample_of
from saeprobe.evidence.evidence import COUNTED, Evidence, EvidenceOutcome, Needed, current_terms
from saeprobe.evidence.units import unit_means
from saeprobe.statistics.intervals import rate_interval, rate_p, units_for_rate
from saeprobe.statistics.power import MOST_UNITS

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
    return needs.needed(base.units or "units", have, wanted, a_unit=prompts / have)


def _told(more: Needed, *, bound: float, above: bool, alpha: float) -> str:
    fewest = units_for_rate(bound, above=above, alpha=alpha) if 0 < bound < 1 else 0
    if fewest > more.have:
        return f"{more.have} {more.units} cannot reach it whatever the rate; {fewest} can"
    if more.wanted is None:
        return f"At this rate more than {MOST_UNITS:,} {more.units} would be needed"
    return f"About {more.wanted} {more.units} would decide it at this rate"
