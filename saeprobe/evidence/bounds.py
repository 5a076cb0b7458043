"""The mean of a measurement may lie above, or below, a number; a rate may be 1, or 0, on every prompt."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from math import isfinite
from typing import Literal

import numpy as np

from saeprobe.evidence import COUNTED, Evidence, EvidenceOutcome, Judged, Kind, Needed, Terms, towards
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.counts import Trials, alone, trials_of
from saeprobe.evidence.units import mean_shift, needed, needed_in_words, sample_of
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.files import amount, is_share, number, p_value
from saeprobe.prompts.wordings import copies
from saeprobe.statistics.intervals import (
    MOST_UNITS,
    Shares,
    made_up_share,
    shares_interval,
    shares_p,
    skews,
    units_for_rate,
)

MANY = 24  # with fewer units the mean of what cannot be negative is found too small in up to 10 of 100, if it is skewed


def against_bound(of: Quantity, bound: float, terms: Terms, *, above: bool) -> Evidence:
    """Decide whether the mean of a measurement lies above, or below, a number; units are templates, or topics.

    Shares of prompts, all 0 or 1, are a rate, and so are recorded ones. Without a second side there is no control.
    """
    if not isfinite(bound):
        raise ValueError(f"{of.name} against {bound:g}; wanted a finite number in {of.unit}")
    if of.unit in COUNTED and not 0 <= bound <= 1:
        raise ValueError(f"{of.name} against {bound:g}; a {of.unit} lies between 0 and 1: 75 % is 0.75")
    if bounds_a_rate(of, bound):
        return rate_against(of, bound, terms, above=above)
    refuse_controls("bound", terms)
    base = rated(of, f"{of.name} {'>' if above else '<'} {bound:.15g} {of.unit}", terms, kind="bound")
    if isinstance(of, Summary):
        return base
    units, what = np.array([unit.value for unit in base.unit_values]), base.units or ""
    base = replace(
        base,
        reason=f"{amount(of.mean, of.unit)} on one {what.removesuffix('s')}: at least 2 are needed",
        estimate=float(np.mean(units)),
        rule=(
            f"supported where the two-sided p of the units' distance from {bound:g} is below alpha = {terms.alpha:g} "
            f"and their mean lies {'above' if above else 'below'} it; refuted where p is below alpha and it lies on "
            "the other side; inconclusive otherwise, and where the units show no spread. p is the larger one of two: "
            "that of the signs of these distances flipped, and Student's of n - 1 at sqrt(n) (W + g W^2 / 3 + "
            "g^2 W^3 / 27 + g / (6 n)), W their mean in standard deviations and g their skewness (Hall 1992), which is "
            "1 if the sign of that differs"
        ),
    )
    shift = mean_shift(of, terms, bound)
    if shift is None:
        return base
    reason = f"{amount(base.estimate or 0.0, of.unit)} against {bound:g}, {p_value(shift.p)}"
    holds = (shift.estimate > 0) == above
    outcome: EvidenceOutcome = "inconclusive"
    more = None
    if not shift.spread:
        reason += ", without any spread between units"
    elif shift.p < terms.alpha:
        outcome = "supported" if holds else "refuted"
        below, few = shift.estimate < 0, len(units) < MANY and (of.values >= 0).all()
        if (below and few) or skews(units - bound):
            missing = f"a rare {'large' if below else 'small'} {what.removesuffix('s')} may be missing"
            reason += f"; if units are skewed, {missing}"
    else:
        more = needed(what, len(units), shift.needed, a_unit=len(of.prompts) / len(units), shift=shift)
        reason += f": not distinguished at alpha = {terms.alpha:g}. {needed_in_words(more, shift)}"
    return replace(
        base,
        outcome=outcome,
        reason=reason,
        interval=None if shift.interval is None else (shift.interval[0] + bound, shift.interval[1] + bound),
        level=1 - terms.alpha,
        p=shift.p,
        one_sided=towards(shift.p, holds=holds),
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
    """Decide whether a rate lies above, or below, a number in [0, 1], by twice the smaller `shares_p` of both."""
    refuse_controls("rate", terms)
    sign, tail = ">" if above else "<", terms.alpha / 2
    if of.unit.startswith("share") and bound == (1 if above else 0):
        raise ValueError(f"{of.name} {sign} {bound:g}: no share does; write == {bound:g}")
    base, found = rated(of, f"{of.name} {sign} {bound:.15g} {of.unit}", terms), trials_of(of, terms.over)
    if found is None:
        return base
    units, have = found.what, found.trials
    base = replace(base, rule=_rate_rule(found, bound, tail, above=above))
    if have < 2:  # noqa: PLR2004 - one unit shows nothing
        return base
    shares = found.shares
    holds, contrary = (_p(shares, bound=bound, above=side, tail=tail) for side in (above, not above))
    p = min(1.0, 2 * holds, 2 * contrary)
    shown = p_value(p) if p else "which a single prompt excludes"
    asked = f"{100 * bound:g} %" if is_share(of.unit) else f"{bound:g}"
    reason = f"{number(base.estimate or 0.0, of.unit)} over {have} {units} against {asked}, {shown}"
    outcome: EvidenceOutcome = "inconclusive"
    more = None
    if p < terms.alpha:
        outcome = "supported" if holds < contrary else "refuted"
    else:
        more = _needed(found, base.samples[0].n or 0, bound=bound, tail=tail)
        fewest = units_for_rate(bound, above=above, tail=tail, prompts=found.prompts) if 0 < bound < 1 else 0
        what = needed_in_words(more, at="rate")
        if fewest is None or fewest > have:
            what = f"{have} {units} cannot reach it whatever the rate; {fewest or f'more than {MOST_UNITS:,}'} can"
        reason += f": not distinguished at alpha = {terms.alpha:g}. {what}"
    if more is None and found.prompts > 1 and 0 < bound < 1:
        reason += _missed(shares, bound, tail, found.what, above=(outcome == "supported") == above)
    test = f"{'exact ' * (found.prompts == 1)}binomial over {have} {units}, two-sided"
    return replace(base, outcome=outcome, reason=reason, p=p, one_sided=holds, test=test, needed=more)


def _rate_rule(found: Trials, bound: float, tail: float, *, above: bool) -> str:
    """Say how a rate is held against a number, with the figures from which a reader gets p again."""
    rule = (
        f"p is twice the smaller one-sided p of {found.successes:.4g} in {found.trials} {found.what} against a rate of "
        f"{bound:g}; supported where it is below alpha = {2 * tail:g} on the side {'>' if above else '<'}, refuted on "
        "the other, inconclusive otherwise. A unit counts with the share of its prompts"
    )
    if found.prompts == 1 or not 0 < bound < 1:
        return f"{rule}, and the one-sided p is the exact binomial one"
    shown = [f"{100 * made_up_share(bound, above=side):.3g} %" for side in (above, not above)]
    return (
        f"{rule}. The one-sided p is the smaller one of two: the exact binomial p of the units as single trials, and "
        f"that of as many trials as have the variance between units and one more, made up, which shows {shown[0]} (on "
        f"the other side {shown[1]}): at most {found.prompts:.4g} a unit, times the square of t of all trials over t "
        "of units (Korn & Graubard 1998)"
    )


def _missed(of: Shares, bound: float, tail: float, what: str, *, above: bool) -> str:
    """Warn where units that are wholly unlike, and of which these have none, would put the rate beyond the bound."""
    missed = 1 - tail ** (1 / of.units)  # as large a share is missed with a chance of `tail`
    rate, edge = (of.mean, bound) if above else (1 - of.mean, 1 - bound)
    if rate * (1 - missed) >= edge or shares_p(of._replace(prompts=1), bound, above=above, tail=tail) < tail:
        return ""
    return f"; {what} that differ wholly may be missing: up to {100 * missed:.0f} % of all may be such"


def rated(of: Quantity, statement: str, terms: Terms, *, kind: Kind = "rate") -> Evidence:
    """Make the evidence on a mean before it is judged: its units, and of a rate the interval over them.

    A unit counts with the share of its prompts. Of a share of unknown prompts there is neither.
    """
    found = trials_of(of, terms.over)
    if found is None:
        return alone(of, statement, terms)
    estimate, several = found.successes / found.trials, found.trials > 1 and kind == "rate"
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=f"{number(estimate, of.unit)} on one {found.what.removesuffix('s')}: at least 2 are needed",
        scope=found.scope,
        unit=of.unit,
        estimate=estimate,
        interval=shares_interval(found.shares, tail=terms.alpha / 2) if several else None,
        level=1 - terms.alpha if kind == "rate" else None,
        alpha=terms.alpha,
        units=found.what,
        n_units=(found.trials,),
        samples=(sample_of(of, terms),),
        unit_values=found.values,
        copies=copies(of.prompts) if isinstance(of, Measurement) and found.what == "templates" else (),
    )


def _p(of: Shares, *, bound: float, above: bool, tail: float) -> float:
    """Return the one-sided p; a rate of 0, or of 1, is excluded by a single prompt."""
    if 0 < bound < 1:
        return shares_p(of, bound, above=above, tail=tail)
    return float(bound in (above, of.mean))  # nothing lies beyond 1, or below 0


def _needed(found: Trials, prompts: int, *, bound: float, tail: float) -> Needed:
    """Ask for the units that would decide it at the rate and spread as measured: for the sentence, or against it."""
    of, have = found.shares, found.trials
    larger = range(have + 1, MOST_UNITS + 1)

    def decided(units: int) -> bool:
        return _p(of._replace(units=units), bound=bound, above=of.mean > bound, tail=tail) < tail

    at = bisect_left(larger, x=True, key=decided)
    wanted = larger[at] if of.mean != bound and at < len(larger) else None
    return needed(found.what, have, wanted, a_unit=prompts / have)


ALWAYS_RULE = "supported where it holds on each of at least 2 prompts; a single exception refutes it"
ROUNDING = 1e-6  # a recorded rate may be a float32


def always(of: Quantity, wanted: Literal[0, 1], terms: Terms) -> Evidence:
    """Decide whether something happens on every prompt, `wanted` 1, or on none, 0; one exception refutes it.

    The interval of the rate says how far the sentence reaches beyond the prompts that were read, or recorded.
    """
    if not (of.unit.startswith("share") and (isinstance(of, Summary) or all_or_nothing(of))):
        raise TypeError(
            f"{of.name} == {wanted}; only a share that is 0 or 1 on every prompt, such as a firing rate, is compared "
            "with a number: == about(..., margin=...) compares two measurements"
        )
    refuse_controls("rate", terms)
    base = rated(of, f"{of.name} = {wanted} on each prompt", terms)
    shown, exceptions = _shown(of, wanted)
    judged: Judged = "supported", shown
    if exceptions:
        judged = "refuted", f"{shown}: {exceptions}"
    elif (base.samples[0].n or 0) < 2:  # noqa: PLR2004 - one prompt shows nothing
        judged = "inconclusive", base.reason if isinstance(of, Summary) else f"{shown}: at least 2 are needed"
    elif base.interval is not None:
        low, high = base.interval
        edge = f"at least {number(low, of.unit)}" if wanted else f"at most {number(high, of.unit)}"
        judged = "supported", f"{shown}; over {base.n_units[0]} {base.units} that supports a rate of {edge}"
    return replace(base, outcome=judged[0], reason=judged[1], rule=ALWAYS_RULE)


def _shown(of: Quantity, wanted: Literal[0, 1]) -> tuple[str, str]:
    """Say what the rate is, and what speaks against `wanted`: of a record it is not known on which prompts."""
    if isinstance(of, Summary):
        counted = "" if of.n is None else f" of {of.n} prompts"
        apart = f"not {number(wanted, of.unit)}" if abs(of.value - wanted) > ROUNDING else ""
        return f"{number(of.value, of.unit)} is recorded{counted}", apart
    rate, found = f"{number(of.mean, of.unit)} of {len(of.prompts)} prompts", np.flatnonzero(of.values != wanted)
    plural = "s, such as" if len(found) > 1 else ","
    return rate, f"{len(found):,} exception{plural} {of.prompts[int(found[0])].text!r}" if len(found) else ""
