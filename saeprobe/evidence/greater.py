"""Greater: whether one measurement lies above another, or above it by a margin, under the controls asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from saeprobe.comparison.margin import Margin, raised
from saeprobe.comparison.needs import needed_between, needed_in_words
from saeprobe.comparison.sides import Judged, by_hand, summaries, tested, untested
from saeprobe.controls import run_controls
from saeprobe.controls.judging import told, verdict_of
from saeprobe.evidence.evidence import ControlResult, Evidence, Kind, Needed, Recorder, Sample, current_terms
from saeprobe.evidence.units import Compared, compare

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


def greater(larger: Measurement, smaller: Measurement, margin: Margin | None = None) -> Evidence:
    """Evidence on `larger > smaller`; supported when a two-sided test at alpha finds it and every control is withstood.

    With a margin, which is put on `smaller`, the test is made once every value of `smaller` is raised by it.
    """
    return _greater(current_terms(), margin, larger, smaller)


def greater_summaries(larger: Sample, smaller: Sample, statement: str, margin: Margin | None = None) -> Evidence:
    """The same where a side is a bare summary, which decides nothing."""
    if margin is None:
        return summaries("greater", statement, larger, smaller)
    asked = margin.over(smaller.mean)
    shown = summaries("at least", statement, larger, smaller)
    return replace(shown, estimate=larger.mean - smaller.mean - asked, margin=asked)


def _greater(terms: Recorder, margin: Margin | None, a: Measurement, b: Measurement) -> Evidence:
    kind: Kind = "greater" if margin is None else "at least"
    statement = f"{a.name} > {b.name if margin is None else margin.name}"
    asked = None if margin is None else margin.over(b.mean)
    compared = compare(
        a, b if margin is None else raised(b, margin), alpha=terms.alpha, seed=terms.seed, over=terms.over
    )
    if isinstance(compared, str):
        return replace(
            untested(kind, statement, a, b, compared), estimate=a.mean - b.mean - (asked or 0.0), margin=asked
        )
    unasked = replace(terms, controls=())
    bare = None if margin is None else compare(a, b, alpha=terms.alpha, seed=terms.seed, over=terms.over)
    controls = run_controls(
        a,
        b,
        compared,
        terms,
        again=partial(_greater, unasked, margin),
        without_margin=None if bare is None or isinstance(bare, str) else (bare, partial(_greater, unasked, None)),
    )
    needed = _needed(a, b, compared, terms.alpha)
    judged = _judge(a, b, compared, controls, asked=asked, needed=needed, alpha=terms.alpha)
    return replace(
        tested(kind, statement, a, b, compared, judged, terms.alpha),
        controls=controls,
        margin=asked,
        needed=needed,
        rule=_rule(asked, terms.alpha, controls) + by_hand(compared) + _raising(margin),
    )


def _needed(a: Measurement, b: Measurement, compared: Compared, alpha: float) -> Needed | None:
    """What would decide it where p does not; None where more of the same would not help."""
    shift = compared.shift
    if shift.p < alpha or not shift.spread:
        return None
    return needed_between(a, b, compared, alpha, wanted=shift.needed)


def _judge(
    a: Measurement,
    b: Measurement,
    compared: Compared,
    controls: tuple[ControlResult, ...],
    *,
    asked: float | None,
    needed: Needed | None,
    alpha: float,
) -> Judged:
    shift = compared.shift
    if not shift.spread and (compared.spread_matters or shift.estimate == 0):
        return (
            "inconclusive",
            f"every unit differs by exactly {shift.estimate:.4g}: without spread nothing can be tested",
        )
    numbers = f"{a.mean:.4g} against {b.mean:.4g} {a.unit}, {_apart(shift.estimate, asked)}"
    if {prompt.topic for prompt in a.prompts} != {prompt.topic for prompt in b.prompts}:  # the means are of all prompts
        shared = "topic" if compared.n_topics == 1 else f"{compared.n_topics} topics"
        numbers += f" on the {shared} that both have"
    numbers += f", p = {shift.p:.2g}"
    if shift.p >= alpha:
        more = "" if needed is None else f". {needed_in_words(needed, shift, alpha)}"
        return "inconclusive", f"{numbers}: not told apart at alpha = {alpha:g}{more}"
    if shift.estimate < 0:
        return "refuted", f"{'the contrary holds' if asked is None else 'less than the margin'}: {numbers}"
    return verdict_of(controls, numbers, alpha) or ("supported", numbers + told(controls))


def _controls_told(controls: tuple[ControlResult, ...]) -> str:
    """How those that were run are judged, to go on after a rule."""
    names = {control.name for control in controls}
    told = ""
    if any(control.expects == "persists" for control in controls):
        told += (
            ". An effect that is to persist withstands a control with p below alpha and a rest above zero, or in other "
            "wordings with half of it left; else it is explained where nothing is left, or where the interval of the "
            "rest lies below it"
        )
    if "length" in names:
        told += (
            ". For length p is the larger one of that of the values moved along the slope and, by Student's t, that "
            "of what is left beside the jackknife error of the slope times the difference in length, over templates "
            "and over topics"
        )
    if "injection" in names:
        told += (
            ". Pasted words reproduce it with p below alpha and at least half of it, and leave it open where at least "
            "half shows with p not below alpha"
        )
    if "labels" in names:
        told += (
            ". Shuffled labels reproduce it where the test finds something in more than alpha of 200 shuffles, by the "
            "lower end of a 99 % binomial interval; they are drawn by numpy.random.default_rng(seed of the run): "
            "permutation(units)[:half] of each side make up the first, or are the signs that are turned"
        )
    return told


def _raising(margin: Margin | None) -> str:
    if margin is None:
        return ""
    return f". Before all this the second side's values are taken times {margin.times!r} and plus {margin.plus!r}"


def _apart(estimate: float, asked: float | None) -> str:
    if asked is None:
        return f"a difference of {estimate:+.4g}"
    return f"{estimate:+.4g} beyond the margin of {asked:.4g}"


def _rule(asked: float | None, alpha: float, controls: tuple[ControlResult, ...]) -> str:
    what = "the difference of the means" if asked is None else "what of the difference exceeds the margin"
    rule = (
        f"supported where the two-sided p is below alpha = {alpha:g} and {what} is above zero; refuted where p is "
        "below alpha and it is below zero; inconclusive otherwise, and where the units show no spread"
    )
    if controls:
        rule += (
            ". Where this supports it, a control that explains or reproduces the effect refutes it, and one that could "
            "not be run or cannot tell leaves it inconclusive"
        )
    return rule + _controls_told(controls)
