"""Greater: whether one measurement lies above another, or above it by a margin, under the controls asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from saeprobe.captures import places_apart
from saeprobe.evidence.controls import run_controls
from saeprobe.evidence.controls.results import told, verdict_of
from saeprobe.evidence.evidence import ControlResult, Evidence, Kind, Needed, Recorder, Sample, current_terms
from saeprobe.evidence.units import (
    Compared,
    Judged,
    by_hand,
    compare,
    needed_between,
    needed_in_words,
    refuse_controls,
    summaries,
    tested,
    untested,
)
from saeprobe.evidence.values import Margin, raised
from saeprobe.statistics.shifts import Shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement
    from saeprobe.prompts import Prompt


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


class Read(Protocol):
    """What was read of some prompts, at some tokens of each."""

    @property
    def label(self) -> str:
        """Which prompts these are, in words."""
        ...

    @property
    def place(self) -> str:
        """The tokens that were read, in words; empty where nobody tells."""
        ...

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts."""
        ...


def side_by_side(a: Measurement, b: Measurement) -> tuple[Measurement, Measurement]:
    """The two sides of a comparison, named by the tokens read where these differ; the same prompts may be both sides.

    Raises:
        TypeError: as for `check_sides`.
    """
    if [prompt.text for prompt in a.prompts] != [prompt.text for prompt in b.prompts]:
        check_sides(a, b)
    if a.place == b.place:
        return a, b
    return replace(a, label=f"{a.label} at {_told(a)}"), replace(b, label=f"{b.label} at {_told(b)}")


def check_sides(a: Read, b: Read) -> None:
    """See that prompts are all that two sides differ by.

    Raises:
        TypeError: they were read at different tokens, with no text to account for that, or share prompts.
    """
    if places_apart(a.place, b.place):
        raise TypeError(
            f"{a.label} was read at {_told(a)} and {b.label} at {_told(b)}: no difference could be put down to the "
            "prompts; read both at the same tokens"
        )
    shared = {prompt.text for prompt in a.prompts} & {prompt.text for prompt in b.prompts}
    if shared:
        raise TypeError(
            f"{a.label} and {b.label} share {len(shared)} prompts, such as {min(shared)!r}: a part was put beside the "
            'whole; name a style of each capture, as in styles["novice"]'
        )


def _told(of: Read) -> str:
    return of.place or "tokens that nobody tells"


def about_equal(a: Measurement, b: Measurement, *, margin: float) -> Evidence:
    """Evidence on equality up to `margin` by two one-sided tests (Schuirmann 1987), each at alpha.

    Raises:
        TypeError: the claim asks for controls; a rival explanation of no difference has no meaning.
    """
    terms = current_terms()
    refuse_controls("about equal")
    statement = f"{a.name} = {b.name} ± {margin:g} {a.unit}"
    compared = compare(a, b, alpha=2 * terms.alpha, seed=terms.seed, over=terms.over)
    if isinstance(compared, str):
        return replace(untested("about equal", statement, a, b, compared), margin=margin)
    above, below = _beside(a, b, -margin, terms), _beside(a, b, margin, terms)
    p = max(_one_sided(above, side=1), _one_sided(below, side=-1))
    judged = _judge_equal(a, b, compared, (above, below), margin=margin, p=p, alpha=terms.alpha)
    needed = _needed_equal(a, b, compared, (above, below), terms.alpha) if judged[0] == "inconclusive" else None
    if needed is not None:
        judged = judged[0], f"{judged[1]}. {needed_in_words(needed, compared.shift, 2 * terms.alpha)}"
    evidence = tested("about equal", statement, a, b, compared, judged, 2 * terms.alpha)
    return replace(
        evidence,
        p=p,
        alpha=terms.alpha,
        test=f"two one-sided tests, each by {evidence.test}",
        margin=margin,
        needed=needed,
        rule=(
            f"p is the larger one-sided p of the difference against -{margin:g} and +{margin:g}, half of a two-sided p "
            f"each; supported where it is below alpha = {terms.alpha:g}, which is where the {1 - 2 * terms.alpha:.0%} "
            "interval lies inside the margin; refuted where the difference lies beyond the margin with a one-sided p "
            "below alpha; inconclusive otherwise, and where the units show no spread" + by_hand(compared)
        ),
    )


def _beside(a: Measurement, b: Measurement, margin: float, terms: Recorder) -> Shift:
    """How far the difference lies above `margin`."""
    compared = compare(a, b, alpha=2 * terms.alpha, seed=terms.seed, over=terms.over, shift_by=margin)
    if isinstance(compared, str):  # it could be compared without the margin
        raise TypeError(compared)
    return compared.shift


def _one_sided(shift: Shift, *, side: int) -> float:
    """One-sided p of the test that a shift does not lie on that side of zero, +1 or -1."""
    return shift.p / 2 if side * shift.estimate > 0 else 1 - shift.p / 2


def _judge_equal(
    a: Measurement,
    b: Measurement,
    compared: Compared,
    beside: tuple[Shift, Shift],
    *,
    margin: float,
    p: float,
    alpha: float,
) -> Judged:
    shift = compared.shift
    numbers = f"{a.mean:.4g} against {b.mean:.4g} {a.unit}, a difference of {shift.estimate:+.4g}"
    if shift.interval is None:
        why = f"{compared.n_units[0]} units" if shift.spread else "units without spread"
        return "inconclusive", f"{numbers}; {why} give no interval to hold against ± {margin:g}"
    low, high = shift.interval
    between = f"interval {low:+.4g} to {high:+.4g}, margin ± {margin:g}, p = {p:.2g}"
    if p < alpha:
        return "supported", f"{numbers}; {between}"
    above, below = beside
    if min(_one_sided(above, side=-1), _one_sided(below, side=1)) < alpha:
        return "refuted", f"{numbers}; {between}: they differ by more"
    return "inconclusive", f"{numbers}; {between}: neither inside nor outside"


def _needed_equal(
    a: Measurement, b: Measurement, compared: Compared, beside: tuple[Shift, Shift], alpha: float
) -> Needed | None:
    """What would tell the difference, inside the margin or outside, from the nearer of its edges."""
    if not compared.shift.spread:
        return None
    known = [edge.needed for edge in beside if edge.needed is not None]
    wanted = max(known) if len(known) == len(beside) else None  # on the edge itself no number would do
    return needed_between(a, b, compared, 2 * alpha, wanted=wanted)
