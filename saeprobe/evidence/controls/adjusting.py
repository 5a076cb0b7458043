"""Length: what is left of an effect once every prompt is taken as equally long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls.results import HALF, Again, found, not_run, share_of, what_is_left
from saeprobe.evidence.evidence import ControlResult, Recorder
from saeprobe.evidence.units import Compared
from saeprobe.prompts.prompt import mentions
from saeprobe.statistics.intervals import rate_interval, rate_p, slope_error, within_slope
from saeprobe.statistics.shifts import paired_shuffled_ps, shuffled_ps

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


FEWEST_CLUSTERS = 3
"""Templates, or topics, from which the error of a slope is taken; of two it is hardly known."""


def length_control(
    a: Measurement, b: Measurement, compared: Compared, terms: Recorder, *, again: Again
) -> ControlResult:
    """Repeat the comparison with every value moved to the same prompt length, along the slope within styles.

    The slope is an estimate too, and the farther the styles lie apart in length the more hangs on it. So p is the
    larger one of that of the comparison and that of what is left beside the error of what was taken.
    """
    whole = a.whole
    long_a, long_b, long_whole = a.n_tokens, b.n_tokens, whole.n_tokens
    if long_a is None or long_b is None or long_whole is None:
        return not_run("length", "persists", compared, "the record does not tell how long the prompts are")
    groups = tuple(prompt.style for prompt in whole.prompts)
    slope = within_slope(whole.values, long_whole.astype(np.float64), groups)
    gap = float(long_a.mean() - long_b.mean())
    if slope is None:
        if gap == 0:
            shift = compared.shift
            unmoved = not_run("length", "persists", compared, "all prompts are equally long")
            return replace(unmoved, p=shift.p, interval=shift.interval, share=1.0)
        why = f"prompts differ by {gap:.1f} tokens between the styles but never within one"
        return not_run("length", "persists", compared, why)
    middle = float(np.concatenate([long_a, long_b]).mean())
    made = again(
        replace(a, values=a.values - slope * (long_a - middle)),
        replace(b, values=b.values - slope * (long_b - middle)),
    )
    told = (
        f"{a.label} is {gap:+.1f} tokens longer than {b.label}; within a style the value rises {slope:.3f} "
        "a token, and at equal length"
    )
    result = what_is_left("length", compared, made, terms, told=told)
    p = 0.0 if gap == 0 else _slope_p(whole, long_whole.astype(np.float64), groups, gap=gap, left=result.estimate)
    if result.p is None or p <= result.p:
        return result
    uncertain = "" if p < terms.alpha else f"; beside the error of that slope p = {p:.2g}"
    return replace(result, p=p, detail=f"{result.detail}{uncertain}")


def _slope_p(whole: Measurement, lengths: np.ndarray, groups: tuple[str, ...], *, gap: float, left: float) -> float:
    """Two-sided p of what is left beside the jackknife error of what the slope took, by Student's t.

    Templates are left out one at a time, and topics; the larger p counts. 1 where the slope hangs on one of them.
    """
    from scipy.special import stdtr  # a quarter of a second to import, and not every run needs it

    templates = tuple(f"{prompt.style}: {prompt.template}" for prompt in whole.prompts)
    topics = tuple(prompt.topic for prompt in whole.prompts)
    ps: list[float] = []
    for clusters in (templates, topics):
        count = len(set(clusters))
        if count < FEWEST_CLUSTERS:
            continue
        error = slope_error(whole.values, lengths, groups, clusters)
        if error is None:
            return 1.0
        taken = abs(gap) * error
        ps.append(2 * float(stdtr(count - 1, -abs(left) / taken)) if taken > 0 else 0.0)
    return max(ps, default=1.0)


UNKNOWN_WORDS: Final = (
    'nothing tells which words are the styles\' own; a file of prompts does by words = ["..."] under each style'
)


def wording_control(
    a: Measurement, b: Measurement, compared: Compared, terms: Recorder, *, again: Again
) -> ControlResult:
    """Repeat the comparison on the prompts of either side that say none of the words of either style."""
    words = own_words(a, b)
    if not words:
        return not_run("wording", "persists", compared, UNKNOWN_WORDS)
    said = " and ".join(f"'{word}'" for word in words)
    kept = _without(a, words), _without(b, words)
    least = 2 if compared.units.startswith("templates") else 1
    for side, rest in zip((a, b), kept, strict=True):
        there, left = n_templates(side), 0 if rest is None else n_templates(rest)
        if left < least:
            why = f"{left} of {there} wordings of {side.label} do without {said}; at least {least} are needed"
            return not_run("wording", "persists", compared, why)
    rest_a, rest_b = kept
    if rest_a is None or rest_b is None:  # `left` was 0 then
        raise AssertionError("a side without prompts was let through")
    told = f"in the {n_templates(rest_a)} + {n_templates(rest_b)} wordings without {said}"
    return what_is_left("wording", compared, again(rest_a, rest_b), terms, told=told)


def own_words(a: Measurement, b: Measurement) -> tuple[str, ...]:
    """The words that the styles on either side call themselves by, each once."""
    styles = dict.fromkeys(prompt.style for side in (a, b) for prompt in side.prompts)
    return tuple(dict.fromkeys(word for style in styles for of in (a, b) for word in of.words.get(style, ())))


def n_templates(of: Measurement) -> int:
    """How many templates a measurement has."""
    return len({prompt.template for prompt in of.prompts})


def _without(of: Measurement, words: tuple[str, ...]) -> Measurement | None:
    """The prompts that say none of the words; None where all do. A template's text alone would show its fields."""
    chosen = np.array([not mentions(prompt.text, words) for prompt in of.prompts])
    if not chosen.any():
        return None
    return replace(
        of,
        values=of.values[chosen],
        prompts=tuple(prompt for prompt, keep in zip(of.prompts, chosen, strict=True) if keep),
        n_tokens=None if of.n_tokens is None else of.n_tokens[chosen],
        family=of.whole,
        near=None if of.near is None else of.near.chosen(chosen),
    )


ROUNDS: Final = 200
"""Enough to tell a test that finds something in one of ten shuffles from one that does in one of twenty."""


LEVEL: Final = 0.99
"""Of the interval of that share: one claim in two hundred would be lost to chance."""


def shuffled_control(
    _a: Measurement, _b: Measurement, compared: Compared, terms: Recorder, *, again: Again
) -> ControlResult:
    """Repeat the test between pseudo sides, each of which has half of the units of either side.

    It explains the claim if the test finds something, in either direction, in more shuffles than its alpha allows for:
    if the lower end of the exact binomial interval of their share lies above alpha. Where templates and topics are
    crossed, the labels of the templates are shuffled.
    """
    del again  # the units are at hand; nothing is measured again
    values = np.array([unit.value for unit in compared.unit_values])
    if compared.paired:
        ps = paired_shuffled_ps(values[: compared.n_units[0]], rounds=ROUNDS, seed=terms.seed)
    else:
        middle, end = compared.n_units[0], sum(compared.n_units)
        ps = shuffled_ps(values[:middle], values[middle:end], rounds=ROUNDS, seed=terms.seed)
    times = int((ps < terms.alpha).sum())
    interval = rate_interval(times, len(ps), level=LEVEL)
    return ControlResult(
        name="labels",
        expects="absent",
        explains=found(compared, terms) and interval[0] > terms.alpha,
        estimate=times / len(ps),
        interval=interval,
        p=rate_p(times, len(ps), bound=terms.alpha, above=True),
        detail=f"found in {times} of {len(ps)} shuffles of the labels, where alpha = {terms.alpha:g} allows for "
        f"{terms.alpha * len(ps):.0f}",
    )


_NAME: Control = "injection"


def injection_control(
    a: Measurement, b: Measurement, compared: Compared, terms: Recorder, *, again: Again
) -> ControlResult:
    """Make the comparison where only the words are at work.

    They reproduce the effect if it is found there too, in the same direction, and is at least half as large: the words
    then make up as much of the effect as they leave.
    """
    if not own_words(a, b):
        return not_run(_NAME, "absent", compared, UNKNOWN_WORDS)
    if a.under is None or b.under is None:
        return not_run(_NAME, "absent", compared, "it takes a run of the model, and a record stands in its place")
    try:
        made = again(a.under(_NAME, 0), b.under(_NAME, 0))
    except (NotRun, ValueError) as error:  # a mean over no active feature is a ValueError, for one
        return not_run(_NAME, "absent", compared, str(error))
    if made.p is None or made.estimate is None:
        return not_run(_NAME, "absent", compared, made.reason)
    share = share_of(made.estimate, compared.shift.estimate)
    words = " and ".join(f"'{word}'" for word in own_words(a, b))
    return ControlResult(
        name=_NAME,
        expects="absent",
        explains=found(compared, terms) and made.p < terms.alpha and share is not None and share >= HALF,
        estimate=made.estimate,
        interval=made.interval,
        p=made.p,
        detail=(
            f"with {words} pasted into neutral prompts the difference is {made.estimate:+.3f} {made.unit} "
            f"(p = {made.p:.2g}) beside {compared.shift.estimate:+.3f}"
        ),
        share=share,
        evidence=made,
    )
