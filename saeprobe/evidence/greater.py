"""One measurement may lie above another, under controls, or above it by a margin; or the two are about equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from saeprobe.captures import places_apart
from saeprobe.claims import Control
from saeprobe.evidence import ControlResult, Evidence, Judged, Kind, Needed, Terms, towards
from saeprobe.evidence.controls import RANDOM, found, refuse_controls, refuse_others, verdict_of
from saeprobe.evidence.controls.adjusting import injection_control, wording_control
from saeprobe.evidence.controls.draws import draws_control, of_means
from saeprobe.evidence.controls.length import length_control
from saeprobe.evidence.counts import about_in_words, summaries
from saeprobe.evidence.units import Compared, compare, mean_by, needed, needed_in_words, sample_of
from saeprobe.evidence.values import Margin, Measurement
from saeprobe.features import Features
from saeprobe.files import against, number, p_value, span
from saeprobe.prompts.wordings import copies
from saeprobe.statistics.intervals import least_units
from saeprobe.statistics.shifts import Shift


def side_by_side(a: Measurement, b: Measurement) -> tuple[Measurement, Measurement]:
    """Check two sides, which may be the same prompts, and name them by the tokens read where these differ."""
    if [prompt.text for prompt in a.prompts] != [prompt.text for prompt in b.prompts]:
        check_sides(a, b)
    if a.place == b.place:
        return a, b
    return replace(a, label=f"{a.label} at {_place(a)}"), replace(b, label=f"{b.label} at {_place(b)}")


def check_sides(a: Measurement | Features, b: Measurement | Features) -> None:
    """Refuse two sides that were read at different tokens or share prompts: only prompts may differ between them."""
    if places_apart(a.place, b.place):
        raise TypeError(
            f"{a.label} was read at {_place(a)} and {b.label} at {_place(b)}: no difference could be put down to the "
            "prompts; read both at the same tokens"
        )
    shared = {prompt.text for prompt in a.prompts} & {prompt.text for prompt in b.prompts}
    if shared:
        raise TypeError(
            f"{a.label} and {b.label} share {len(shared)} prompts, such as {min(shared)!r}: a part was compared with "
            'the whole; name a style of each capture, as in styles["novice"]'
        )


def _place(of: Measurement | Features) -> str:
    return of.place or "unknown tokens"


def greater(
    a: Measurement,
    b: Measurement,
    terms: Terms,
    margin: Margin | None = None,
    controls: tuple[ControlResult, ...] | None = None,
) -> Evidence:
    """Decide `a > b`: supported when a two-sided test at alpha finds it and every control is withstood.

    With a margin, which is put on `b`, the test is made once every value of `b` is raised by it. The answers of
    `controls` are given where a report is followed.
    """
    kind: Kind = "greater" if margin is None else "at least"
    statement = f"{a.name} > {b.name if margin is None else margin.name}"
    raised = b if margin is None else _raised(b, margin)
    compared = compare(a, raised, terms)
    if isinstance(compared, str):
        asked = margin and margin.over(b.mean)
        return replace(
            summaries(kind, statement, a, b, terms, compared), estimate=a.mean - b.mean - (asked or 0.0), margin=asked
        )
    asked = margin and margin.over((_mean(a, compared) - compared.shift.estimate - margin.plus) / margin.times)
    controls = _controls(a, raised, compared, terms) if controls is None else controls
    shift = compared.shift
    undecided = shift.p >= terms.alpha and shift.spread
    needed = _needed_between(a, b, compared, wanted=shift.needed) if undecided else None
    rates = not asked and bool(np.isin(np.concatenate([a.values, b.values]), (0.0, 1.0)).all())
    judged = _judge(a, b, compared, controls, needed, asked, rates=rates)
    rule = _rule(asked, terms.alpha, controls, rates=rates) + _by_hand(compared, shift.rule) + raised_by(margin)
    evidence = _tested(kind, statement, (a, b), compared, judged, terms)
    return replace(evidence, controls=controls, margin=asked, needed=needed, rule=rule)


def _raised(of: Measurement, margin: Margin) -> Measurement:
    return replace(of, values=margin.times * of.values + margin.plus)


def raised_by(margin: Margin | None) -> str:
    """Say how a margin enters, to go on after a rule."""
    by = "" if margin is None else f"times {margin.times!r} and plus {margin.plus!r}"
    return by and f". Before all this the second side's values are taken {by}"


def _tested(
    kind: Kind, statement: str, sides: tuple[Measurement, Measurement], compared: Compared, judged: Judged, terms: Terms
) -> Evidence:
    shift = compared.shift
    return Evidence(
        kind=kind,
        statement=statement,
        outcome=judged[0],
        reason=judged[1],
        scope=compared.scope,
        unit=sides[0].unit,
        estimate=shift.estimate,
        interval=shift.interval,
        level=1 - shift.alpha,
        p=shift.p,
        one_sided=_one_sided(shift, side=1),
        alpha=terms.alpha,
        test=f"{shift.test} ({compared.units})",
        seed=shift.seed,
        units=compared.units,
        n_units=compared.n_units,
        samples=tuple(sample_of(side, terms) for side in sides),
        unit_values=compared.unit_values,
        pairs=tuple((row, compared.n_units[0] + other) for row, other in compared.pairs),
        copies=copies(sides[0].prompts, sides[1].prompts),
        continuations=tuple((side.label, *shown) for side in sides for shown in side.continuations),
    )


def _needed_between(a: Measurement, b: Measurement, compared: Compared, *, wanted: int | None) -> Needed:
    """Say what would decide a comparison for which the effect and spread as measured ask `wanted` units."""
    n_a, n_b = compared.n_units
    names = "templates" if compared.paired else "templates a style"
    names = "topics" if compared.units.startswith("topics") else names
    each = len(a.prompts) / n_a + len(b.prompts) / n_b
    fewest = least_units(compared.shift.alpha, paired=True)
    if compared.units.startswith("templates and") and compared.n_topics < fewest:
        each = (len(a.prompts) + len(b.prompts)) / compared.n_topics
        return needed("topics", compared.n_topics, fewest, a_unit=each)
    return needed(names, min(n_a, n_b), wanted, a_unit=each, shift=compared.shift)


def _mean(a: Measurement, compared: Compared) -> float:
    """Return the mean of the first side's units, which the test compares; that of all prompts may be another one."""
    means = mean_by(a, "topics" if compared.units.startswith("topics") else "templates") if compared.paired else {}
    return fmean(means.get(unit.unit, unit.value) for unit in compared.unit_values[: compared.n_units[0]])


def _judge(
    a: Measurement,
    b: Measurement,
    compared: Compared,
    controls: Sequence[ControlResult],
    needed: Needed | None,
    asked: float | None,
    *,
    rates: bool,
) -> Judged:
    shift, estimate = compared.shift, number(compared.shift.estimate, a.unit, signed=True)
    if not shift.spread and (shift.estimate == 0 or not rates):
        return "inconclusive", f"every unit differs by exactly {estimate}: without spread nothing can be tested"
    # so many times nothing is no margin
    apart = f"{estimate} beyond the margin of {number(asked, a.unit)}" if asked else f"a difference of {estimate}"
    first = _mean(a, compared)
    numbers = f"{against(first, first - shift.estimate - (asked or 0.0), a.unit)}, {apart}"
    if {prompt.topic for prompt in a.prompts} != {prompt.topic for prompt in b.prompts}:
        shared = "topic" if compared.n_topics == 1 else f"{compared.n_topics} topics"
        numbers += f" on the {shared} that both have"
    numbers += f", {p_value(shift.p)}"
    if shift.p >= shift.alpha:
        more = "" if needed is None else f". {needed_in_words(needed, shift)}"
        return "inconclusive", f"{numbers}: not distinguished at alpha = {shift.alpha:g}{more}"
    warned = f"; {shift.warning}" if shift.warning else ""
    if shift.estimate < 0:
        return "refuted", f"{'less than the margin' if asked else 'the contrary holds'}: {numbers}{warned}"
    outcome, reason = verdict_of(controls, numbers, a.unit)
    return outcome, reason + warned * (outcome == "supported")


def _rule(asked: float | None, alpha: float, controls: Sequence[ControlResult], *, rates: bool) -> str:
    what = "the difference of the means" if asked is None else "what of the difference exceeds the margin"
    rule = (
        f"supported where the two-sided p is below alpha = {alpha:g} and {what} is above zero; refuted where p is "
        "below alpha and it is below zero; inconclusive otherwise, and where the units show no spread"
    )
    if rates:
        rule += " and do not differ: every value here is 0 or 1, which leaves them no more to show"
    if controls:
        rule += (
            ". Where this supports it, a control that explains the effect makes it explained, and else one that cannot "
            "tell leaves it inconclusive; each control has its own rule"
        )
    return rule


def _by_hand(compared: Compared, tested: str) -> str:
    """Say how the units, the interval and p come about, to go on after a rule."""
    if compared.paired:
        what = "A unit's value is its mean on the first side less that on the second"
    else:
        what = (
            "A template's value is its mean over the topics that both sides have, each prompt less the mean of its "
            "topic over both sides and plus the mean of these means"
        )
    if compared.units.startswith("templates and"):
        what += "; a topic's is its difference of the sides, taken less their mean and times sqrt(n / (n - 1))"
    how = f". {what}. The interval holds what can be taken off the first side without rejection"
    return f"{how}. {tested}"


def _controls(a: Measurement, b: Measurement, compared: Compared, terms: Terms) -> tuple[ControlResult, ...]:
    """Run the controls that the claim declares, in that order; `b` is raised by the claim's margin.

    Those that change what is read are held against the claim without its margin: they bring about differences, not
    what exceeds one. What is left of a claim with a margin has to exceed it still.
    """
    if not terms.controls:
        return ()
    refuse_others("a comparison of two measurements", terms.controls)
    there = found(compared, terms)

    def run(name: Control) -> ControlResult:
        if name in RANDOM:
            own, what = compared.shift.estimate, {"statement": f"{a.name} > {b.name}", "unit": a.unit}
            return draws_control(name, (a, b), of_means, **what, own=own, found=there, terms=terms)
        if name == "injection":
            return injection_control(a, b, compared, terms, again=greater)
        return (length_control if name == "length" else wording_control)(a, b, compared, terms)

    return tuple(map(run, terms.controls))


def about_equal(a: Measurement, b: Measurement, terms: Terms, *, margin: float, share: float | None = None) -> Evidence:
    """Decide equality up to `margin` by two one-sided tests (Schuirmann 1987), each at alpha.

    Up to a share of `b` the two are whether `a` lies above (1 - share) b and below (1 + share) b: the error of `b`
    counts in its margin too. Of values below zero they change places.
    """
    refuse_controls("about equal", terms)
    statement = about_in_words(a, b, margin, share)
    both = replace(terms, alpha=2 * terms.alpha)
    by = (share or 0.0) * (1 if b.mean > 0 else -1)
    edges = [Margin(of=b, times=1 + side * by, plus=side * margin * (share is None)) for side in (-1, 1)]
    compared, above, below = compare(a, b, both), *(compare(a, _raised(b, edge), both) for edge in edges)
    if isinstance(compared, str) or isinstance(above, str) or isinstance(below, str):
        return replace(summaries("about equal", statement, a, b, terms, f"{compared}"), margin=margin)
    shifts = above.shift, below.shift
    low, high = shifts[below.shift.estimate > 0], shifts[above.shift.estimate >= 0]  # the edges that decide at its ends
    if low.interval and high.interval:
        middle = compared.shift.estimate
        ends = middle + low.interval[0] - low.estimate, middle + high.interval[1] - high.estimate
        compared = replace(compared, shift=replace(compared.shift, interval=ends))
    p, decides = max((_one_sided(edge, side=side), edge.rule) for edge, side in zip(shifts, (1, -1), strict=True))
    within = f"± {margin:g}" if share is None else f"± {share:g} times the second side"
    judged = _judge_equal(a, compared, shifts, within=within, p=p)
    needed = None
    if judged[0] == "inconclusive" and compared.shift.spread:  # from the nearer edge, inside the margin or outside
        known = [edge.needed for edge in shifts if edge.needed is not None]
        wanted = max(known) if len(known) == len(shifts) else None  # on the edge itself no number would do
        needed = _needed_between(a, b, compared, wanted=wanted)
        judged = judged[0], f"{judged[1]}. {needed_in_words(needed, compared.shift)}"
    evidence = _tested("about equal", statement, (a, b), compared, judged, terms)
    tested = f"the first side against {edges[0].times!r} and {edges[1].times!r} times the second"
    if share is None:
        tested = f"the difference against -{margin:g} and +{margin:g}"
    return replace(
        evidence,
        p=p,
        one_sided=None,
        test=f"two one-sided tests, each by {evidence.test}",
        margin=margin,
        needed=needed,
        rule=(
            f"p is the larger one-sided p of {tested}, half of a two-sided p each; supported where it is below alpha = "
            f"{terms.alpha:g}, which is where the {1 - 2 * terms.alpha:.0%} interval lies inside the margin: each end "
            "has the error of that of these tests which decides there; refuted where the first side lies beyond one of "
            "the two with a one-sided p below alpha; inconclusive otherwise, and where the units show no spread"
            + _by_hand(compared, f"Against the edge that p is of: {decides}")
        ),
    )


def _one_sided(shift: Shift, *, side: int) -> float:
    """Return the one-sided p of the test that a shift does not lie on that side of zero, +1 or -1."""
    return towards(shift.p, holds=side * shift.estimate > 0)


def _judge_equal(a: Measurement, compared: Compared, edges: tuple[Shift, Shift], *, within: str, p: float) -> Judged:
    shift, alpha = compared.shift, compared.shift.alpha / 2  # of each one-sided test
    first, apart = _mean(a, compared), number(shift.estimate, a.unit, signed=True)
    numbers = f"{against(first, first - shift.estimate, a.unit)}, a difference of {apart}"
    if shift.interval is None:
        why = f"{compared.n_units[0]} units" if shift.spread else "units without spread"
        return "inconclusive", f"{numbers}; {why} give no interval to hold against {within}"
    shown = f"{numbers}; interval {span(shift.interval, a.unit)}, margin {within}, {p_value(p)}"
    if p < alpha:
        return "supported", shown
    above, below = edges
    if min(_one_sided(above, side=-1), _one_sided(below, side=1)) < alpha:
        return "refuted", f"{shown}: they differ by more"
    return "inconclusive", f"{shown}: neither inside nor outside"
