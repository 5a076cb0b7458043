"""Comparisons: from two quantities to evidence, with the units of replication and the controls that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from saeprobe.claims import Published
from saeprobe.controls import length_control
from saeprobe.evidence import ControlResult, Evidence, EvidenceOutcome, Kind, Sample, current_terms
from saeprobe.replication import Compared, compare, mean_by, mean_interval
from saeprobe.statistics import Shift, paired_shift

if TYPE_CHECKING:
    from saeprobe.measurement import Measurement

Judged = tuple[EvidenceOutcome, str]


def greater(larger: Measurement, smaller: Measurement) -> Evidence:
    """Evidence on `larger > smaller`; supported when a two-sided test at alpha finds it and every control is passed."""
    statement = f"{larger.name} > {smaller.name}"
    terms = current_terms()
    compared = compare(larger, smaller, alpha=terms.alpha, seed=terms.seed)
    if isinstance(compared, str):
        return _untested("greater", statement, larger, smaller, compared)
    controls = tuple(length_control(larger, smaller, compared, terms) for _ in terms.controls)
    judged = _judge_greater(larger, smaller, compared, controls, terms.alpha)
    return replace(_tested("greater", statement, larger, smaller, compared, judged, terms.alpha), controls=controls)


def about_equal(a: Measurement, b: Measurement, *, margin: float) -> Evidence:
    """Evidence on equality up to `margin`: supported when the (1 - 2 alpha) interval of the difference lies inside."""
    statement = f"{a.name} = {b.name} ± {margin:g} {a.unit}"
    terms = current_terms()
    alpha = 2 * terms.alpha
    compared = compare(a, b, alpha=alpha, seed=terms.seed)
    if isinstance(compared, str):
        return _untested("about equal", statement, a, b, compared)
    return _tested("about equal", statement, a, b, compared, _judge_equal(a, b, compared, margin), alpha)


def beside_bound(of: Measurement, bound: float, *, above: bool) -> Evidence:
    """Evidence that the mean of a measurement lies above, or below, a number; units are templates, or topics."""
    terms = current_terms()
    statement = f"{of.name} {'>' if above else '<'} {bound:g} {of.unit}"
    templates = mean_by(of, "template")
    units, scope = templates, f"these {len(templates)} templates"
    if len(templates) < 2:  # noqa: PLR2004 - one wording: the topics under it are the units
        units = mean_by(of, "topic")
        scope = f"this wording only, over {len(units)} topics"
    sample = sample_of(of)
    base = Evidence(
        kind="bound",
        statement=statement,
        outcome="inconclusive",
        reason=f"{of.mean:.4g} {of.unit} on {len(units)} unit(s): at least 2 are needed",
        scope=scope,
        unit=of.unit,
        estimate=of.mean,
        samples=(sample,),
    )
    if len(units) < 2:  # noqa: PLR2004 - no spread on one unit
        return base
    side = 1.0 if above else -1.0
    shift = paired_shift(side * (np.array(list(units.values())) - bound), alpha=terms.alpha, seed=terms.seed)
    told = f"{of.mean:.4g} {of.unit} beside {bound:g}, p = {shift.p:.2g}"
    outcome: EvidenceOutcome = "inconclusive"
    if shift.spread and shift.p < terms.alpha:
        outcome = "supported" if shift.estimate > 0 else "refuted"
    return replace(
        base,
        outcome=outcome,
        reason=told if shift.spread else f"{told}, without any spread between units",
        interval=sample.interval,
        level=1 - terms.alpha,
        p=shift.p,
        alpha=terms.alpha,
        test=shift.test,
        seed=shift.seed,
        units="templates" if units is templates else "topics",
        n_units=(len(units),),
    )


def as_published(of: Measurement, published: Published) -> Evidence:
    """Evidence that the mean of each style repeats the printed number of that label; a reading, nothing is inferred."""
    samples = tuple(sample_of(of[label]) for label in published.values)
    apart = {
        sample.label: abs(sample.mean - published.values[sample.label])
        for sample in samples
        if abs(sample.mean - published.values[sample.label]) > (published.tolerance or published.rounding(sample.label))
    }
    told = ", ".join(f"{sample.label} {sample.mean:.4g} ({published.values[sample.label]:g})" for sample in samples)
    return Evidence(
        kind="published",
        statement=f"{of.measure} as printed, on the same prompts",
        outcome="refuted" if apart else "supported",
        reason=f"measured (printed): {told} {of.unit}; {len(samples) - len(apart)} of {len(samples)} agree",
        scope="these prompts only: a reading of each, no inference",
        unit=of.unit,
        samples=samples,
    )


def every(parts: Sequence[Evidence]) -> Evidence:
    """Evidence that all of `parts` hold; a single refuted one refutes it (intersection-union test)."""
    against = [part for part in parts if part.outcome == "refuted"]
    undecided = [part for part in parts if part.outcome == "inconclusive"]
    outcome: EvidenceOutcome = "refuted" if against else "inconclusive" if undecided else "supported"
    if against:
        reason = f"{len(against)} of {len(parts)} comparisons are refuted: {_shorten(against)}"
        below = sum(any(control.estimate < 0 for control in part.controls) for part in parts)
        if below:
            before = sum((part.estimate or 0) < 0 for part in parts)
            reason = (
                f"with prompt length held equal {below} of the {len(parts)} differences fall below zero "
                f"({before} before); {reason}"
            )
    elif undecided:
        reason = f"{len(undecided)} of {len(parts)} comparisons are open: {_shorten(undecided)}"
    else:
        reason = f"all {len(parts)} comparisons hold"
    return Evidence(
        kind="every",
        statement="; ".join(part.statement for part in parts),
        outcome=outcome,
        reason=reason,
        scope=parts[0].scope,
        unit=parts[0].unit,
        alpha=parts[0].alpha,
        parts=tuple(parts),
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
    )


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
        near_threshold=None if of.near is None else of.near.sentence(of.unit),
    )


def _judge_greater(
    a: Measurement, b: Measurement, compared: Compared, controls: tuple[ControlResult, ...], alpha: float
) -> Judged:
    shift = compared.shift
    numbers = f"{a.mean:.4g} against {b.mean:.4g} {a.unit}, a difference of {shift.estimate:+.4g}, p = {shift.p:.2g}"
    if not shift.spread and (compared.spread_matters or shift.estimate == 0):
        return (
            "inconclusive",
            f"every unit differs by exactly {shift.estimate:.4g}: without spread nothing can be tested",
        )
    if shift.p >= alpha:
        return "inconclusive", f"{numbers}: not told apart at alpha = {alpha:g}. {_more(shift, compared, alpha)}"
    if shift.estimate < 0:
        return "refuted", f"the contrary holds: {numbers}"
    for control in controls:
        if control.explains:
            return "refuted", f"explained by {control.name}: {control.detail}"
        if control.p is None:
            return "inconclusive", f"{numbers}, but the control for {control.name} could not be run: {control.detail}"
        if control.p >= alpha:
            return "inconclusive", f"{numbers}, but not told apart from prompt {control.name}: {control.detail}"
    left = "".join(f"; {each.estimate:+.4g} with prompt {each.name} held equal" for each in controls)
    return "supported", numbers + left


def _judge_equal(a: Measurement, b: Measurement, compared: Compared, margin: float) -> Judged:
    shift = compared.shift
    numbers = f"{a.mean:.4g} against {b.mean:.4g} {a.unit}, a difference of {shift.estimate:+.4g}"
    if shift.interval is None:
        return "inconclusive", f"{numbers}; {compared.n_units[0]} units give no interval to hold against ± {margin:g}"
    low, high = shift.interval
    between = f"interval {low:+.4g} to {high:+.4g}, margin ± {margin:g}"
    if -margin < low and high < margin:
        return "supported", f"{numbers}; {between}"
    if low > margin or high < -margin:
        return "refuted", f"{numbers}; {between}: they differ by more"
    return "inconclusive", f"{numbers}; {between}: neither inside nor outside"


def _more(shift: Shift, compared: Compared, alpha: float) -> str:
    what = "topics" if compared.units.startswith("topics") else "templates a style"
    if shift.smallest_p >= alpha:
        return (
            f"{compared.n_units[0]} {what} cannot reach it whatever the values; 4 templates a style, or 6 topics, can"
        )
    if shift.needed is None or shift.needed > 1000:  # noqa: PLR2004 - no plan reaches further
        return f"At this spread more than 1,000 {what} would be needed"
    return f"About {max(shift.needed, compared.n_units[0] + 1)} {what} would decide it at this effect and spread"


def _tested(
    kind: Kind, statement: str, a: Measurement, b: Measurement, compared: Compared, judged: Judged, alpha: float
) -> Evidence:
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
        continuations=tuple((side.label, *told) for side in (a, b) for told in side.continuations),
    )


def _untested(kind: Kind, statement: str, a: Measurement, b: Measurement, why: str) -> Evidence:
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=why,
        scope="these prompts only",
        unit=a.unit,
        estimate=a.mean - b.mean,
        samples=(sample_of(a), sample_of(b)),
    )


def _shorten(parts: Sequence[Evidence]) -> str:
    """The first of `parts` in full; the others are in the report."""
    told = f"{parts[0].statement}: {parts[0].reason}"
    return told if len(parts) == 1 else f"for one, {told}"
