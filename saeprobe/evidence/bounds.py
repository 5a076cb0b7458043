"""The mean of a measurement may lie above, or below, a number; a rate may be 1, or 0, on every prompt."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from math import isfinite
from typing import Literal

import numpy as np

from saeprobe.evidence.counts import Trials, alone, trials_of
from saeprobe.evidence.evidence import COUNTED, Evidence, EvidenceOutcome, Judged, Needed, Terms
from saeprobe.evidence.units import at_least, needed, needed_in_words, refuse_controls, sample_of, unit_means
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.files import amount, is_share, number, p_value
from saeprobe.statistics.intervals import MOST_UNITS, rate_interval, rate_p, units_for_rate
from saeprobe.statistics.shifts import paired_shift


def against_bound(of: Quantity, bound: float, terms: Terms, *, above: bool) -> Evidence:
    """Decide whether the mean of a measurement lies above, or below, a number; units are templates, or topics.

    Shares of prompts, whose values are all 0 or 1, are a rate, and so are recorded ones. There is no second side for a
    rival to explain, and so no control.
    """
    if not isfinite(bound):
        raise ValueError(f"{of.name} against {bound:g}; wanted a finite number in {of.unit}")
    if of.unit in COUNTED and not 0 <= bound <= 1:
        raise ValueError(f"{of.name} against {bound:g}; a {of.unit} lies between 0 and 1: 75 % is 0.75")
    if bounds_a_rate(of, bound):
        return rate_against(of, bound, terms, above=above)
    refuse_controls("bound", terms)
    if isinstance(of, Summary):
        return alone(of, f"{of.name} {'>' if above else '<'} {bound:g} {of.unit}", terms)
    units, what, scope = unit_means(of, terms.over)
    base = Evidence(
        kind="bound",
        statement=f"{of.name} {'>' if above else '<'} {bound:g} {of.unit}",
        outcome="inconclusive",
        reason=f"{amount(of.mean, of.unit)} on one {what.removesuffix('s')}: at least 2 are needed",
        scope=scope,
        unit=of.unit,
        estimate=float(np.mean([unit.value for unit in units])),
        samples=(sample_of(of, terms),),
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
    reason = f"{amount(of.mean, of.unit)} against {bound:g}, {p_value(shift.p)}"
    outcome: EvidenceOutcome = "inconclusive"
    more = None
    if not shift.spread:
        reason += ", without any spread between units"
    elif shift.p < terms.alpha:
        outcome = "supported" if (shift.estimate > 0) == above else "refuted"
    else:
        wanted = at_least(shift.needed, shift, len(units))
        more = needed(what, len(units), wanted, a_unit=len(of.prompts) / len(units))
        reason += f": not distinguished at alpha = {terms.alpha:g}. {needed_in_words(more, shift)}"
    return replace(
        base,
        outcome=outcome,
        reason=reason,
        interval=None if shift.interval is None else (shift.interval[0] + bound, shift.interval[1] + bound),
        level=1 - terms.alpha,
        p=shift.p,
        test=shift.test,
        seed=shift.seed,
        rule=f"{base.rule}. {shift.rule}",
        needed=more,
    )


def all_or_nothing(of: Measurement) -> bool:
    """Decide whether a measurement is 0 or 1 on every prompt, so that its mean is a rate."""
    return bool(np.isin(of.values, (0.0, 1.0)).all())


def bounds_a_rate(of: Quantity, bound: float) -> bool:
    """Decide whether a number is a bound on a rate: one between 0 and 1, or 0 or 1 themselves for a share.

    A share of what is counted (`COUNTED`) is a rate though a prompt may have a part of it: else a single prompt at
    0.99 would turn 8 templates, too few for a rate above 0.95, into 8 that lie above it by their signs.
    """
    if isinstance(of, Summary):
        return of.unit in COUNTED
    if of.unit in COUNTED and 0 < bound < 1:
        return bool((of.values >= 0).all() and (of.values <= 1).all())
    return all_or_nothing(of) and (0 < bound < 1 or (of.unit.startswith("share") and bound in (0, 1)))


def rate_against(of: Quantity, bound: float, terms: Terms, *, above: bool) -> Evidence:
    """Decide whether a rate lies above, or below, a number in [0, 1], by the exact binomial test over units."""
    refuse_controls("rate", terms)
    sign, alpha = ">" if above else "<", terms.alpha
    if of.unit.startswith("share") and bound == (1 if above else 0):
        raise ValueError(f"{of.name} {sign} {bound:g}: no share does; write == {bound:g}")
    base, found = rated(of, f"{of.name} {sign} {bound:g} {of.unit}", terms), trials_of(of, terms.over)
    if found is None:
        return base
    units, have, successes = found.what, found.trials, found.successes
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
    shown = p_value(p) if p else "which a single prompt excludes"
    asked = f"{100 * bound:g} %" if is_share(of.unit) else f"{bound:g}"
    reason = f"{number(base.estimate or 0.0, of.unit)} over {have} {units} against {asked}, {shown}"
    outcome: EvidenceOutcome = "inconclusive"
    more = None
    if p < alpha:
        outcome = "supported"
    elif contrary < alpha:
        outcome = "refuted"
        reason += f"; that it lies on the other side has {p_value(contrary)}"
    else:
        more = _needed(found, base.samples[0].n or 0, bound=bound, alpha=alpha)
        fewest = units_for_rate(bound, above=above, alpha=alpha) if 0 < bound < 1 else 0
        what = needed_in_words(more, at="rate")
        if fewest > have:
            what = f"{have} {units} cannot reach it whatever the rate; {fewest} can"
        reason += f": not distinguished at alpha = {alpha:g}. {what}"
    return replace(
        base, outcome=outcome, reason=reason, p=p, test=f"exact binomial over {have} {units}, one-sided", needed=more
    )


def rated(of: Quantity, statement: str, terms: Terms) -> Evidence:
    """Make the evidence on a rate before it is judged: its units, and the exact interval of the rate over them.

    A unit counts with the share of its prompts. The level is 1 - 2 alpha: the one-sided tests at alpha decide at its
    ends. Of a share of unknown prompts there is neither.
    """
    found = trials_of(of, terms.over)
    if found is None:
        return alone(of, statement, terms)
    level, have = 1 - 2 * terms.alpha, found.trials
    estimate = found.successes / have
    return Evidence(
        kind="rate",
        statement=statement,
        outcome="inconclusive",
        reason=f"{number(estimate, of.unit)} on one {found.what.removesuffix('s')}: at least 2 are needed",
        scope=found.scope,
        unit=of.unit,
        estimate=estimate,
        interval=rate_interval(found.successes, have, level=level) if have > 1 else None,
        level=level,
        alpha=terms.alpha,
        units=found.what,
        n_units=(have,),
        samples=(sample_of(of, terms),),
        unit_values=found.values,
    )


def _p(successes: float, have: int, *, bound: float, above: bool) -> float:
    """Return the one-sided exact p; a rate of 0, or of 1, is excluded by a single prompt."""
    if 0 < bound < 1:
        return rate_p(successes, have, bound=bound, above=above)
    if bound == (1 if above else 0):  # nothing lies beyond
        return 1.0
    return 1.0 if successes == bound * have else 0.0


def _needed(found: Trials, prompts: int, *, bound: float, alpha: float) -> Needed:
    """Ask for the units that would decide it at the rate as measured: for the sentence, or against it."""
    rate, have = found.successes / found.trials, found.trials
    side = rate > bound
    larger = range(have + 1, MOST_UNITS + 1)
    at = bisect_left(larger, x=True, key=lambda units: _p(rate * units, units, bound=bound, above=side) < alpha)
    wanted = larger[at] if rate != bound and at < len(larger) else None
    return needed(found.what, have, wanted, a_unit=prompts / have)


Wanted = Literal[0, 1]

ALWAYS_RULE = "supported where it holds on each of at least 2 prompts; a single exception refutes it"

ROUNDING = 1e-6  # a recorded rate may be a float32


def always(of: Quantity, wanted: Wanted, terms: Terms) -> Evidence:
    """Decide whether something happens on every prompt, `wanted` 1, or on none, 0; one exception refutes it.

    The exact interval of the rate says how far the sentence reaches beyond the prompts that were read, or recorded.
    """
    if not (of.unit.startswith("share") and (isinstance(of, Summary) or all_or_nothing(of))):
        raise TypeError(
            f"{of.name} == {wanted}; only a share that is 0 or 1 on every prompt, such as a firing rate, is compared "
            "with a number: == about(..., margin=...) compares two measurements"
        )
    refuse_controls("rate", terms)
    base = rated(of, f"{of.name} = {wanted} on each prompt", terms)
    count, shown, exceptions = base.samples[0].n or 0, *_shown(of, wanted)
    judged: Judged = "supported", shown
    if exceptions:
        judged = "refuted", f"{shown}: {exceptions}"
    elif count < 2:  # noqa: PLR2004 - one prompt shows nothing
        judged = "inconclusive", base.reason if isinstance(of, Summary) else f"{shown}: at least 2 are needed"
    elif base.interval is not None:
        low, high = base.interval
        edge = f"at least {number(low, of.unit)}" if wanted else f"at most {number(high, of.unit)}"
        judged = "supported", f"{shown}; over {base.n_units[0]} {base.units} that supports a rate of {edge}"
    return replace(base, outcome=judged[0], reason=judged[1], rule=ALWAYS_RULE)


def _shown(of: Quantity, wanted: Wanted) -> tuple[str, str]:
    """Say what the rate is, and what speaks against `wanted`: of a record it is not known on which prompts."""
    if isinstance(of, Summary):
        counted = "" if of.n is None else f" of {of.n} prompts"
        apart = f"not {number(wanted, of.unit)}" if abs(of.value - wanted) > ROUNDING else ""
        return f"{number(of.value, of.unit)} is recorded{counted}", apart
    rate, found = f"{number(of.mean, of.unit)} of {len(of.prompts)} prompts", np.flatnonzero(of.values != wanted)
    plural = "s, such as" if len(found) > 1 else ","
    return rate, f"{len(found):,} exception{plural} {of.prompts[int(found[0])].text!r}" if len(found) else ""
