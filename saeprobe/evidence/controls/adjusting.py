"""Three controls hold a claim at equal length, without the styles' words, and by these words alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Final

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls import Again, found, not_run, what_is_left, what_is_shown
from saeprobe.evidence.evidence import ControlResult, Terms
from saeprobe.evidence.units import Compared
from saeprobe.evidence.values import Measurement
from saeprobe.files import amount, number, p_value
from saeprobe.prompts.prompt import mentions
from saeprobe.shapes import Float

FEWEST_CLUSTERS = 3  # templates, or topics, from which the error of a slope is taken; of two it is hardly known


def length_control(a: Measurement, b: Measurement, compared: Compared, terms: Terms, *, again: Again) -> ControlResult:
    """Repeat the comparison with every value moved to the same prompt length, along the slope within styles.

    The slope is an estimate too, and the farther the styles lie apart in length the more hangs on it. So p is the
    larger one of that of the comparison and that of what is left against the error of what was taken.
    """
    whole = a.whole
    long_a, long_b, long_whole = a.n_tokens, b.n_tokens, whole.n_tokens
    if long_a is None or long_b is None or long_whole is None:
        return not_run("length", compared, "the record does not say how long the prompts are")
    if whole.measure != b.whole.measure and a.prompts != b.prompts:
        return not_run("length", compared, "two features on other prompts rise with length each in its way")
    lengths, styles = long_whole.astype(np.float64), [prompt.style for prompt in whole.prompts]
    slope = within_slope(whole.values, lengths, styles)
    gap = float(long_a.mean() - long_b.mean())
    if slope is None:
        if gap == 0:
            shift = compared.shift
            unmoved = not_run("length", compared, "all prompts are equally long")
            return replace(unmoved, answer="withstood", p=shift.p, interval=shift.interval, share=1.0)
        why = f"prompts differ by {gap:.1f} tokens between the styles but never within one"
        return not_run("length", compared, why)
    middle = float(np.concatenate([long_a, long_b]).mean())
    made = again(
        replace(a, values=a.values - slope * (long_a - middle)),
        replace(b, values=b.values - slope * (long_b - middle)),
    )
    done = (
        f"{a.label} is {gap:+.1f} tokens longer than {b.label}; within a style the value rises {number(slope)} "
        "a token, and at equal length"
    )
    result = what_is_left("length", compared, made, terms, done=done)
    p = 0.0 if gap == 0 else _slope_p(whole, lengths, styles, gap=gap, left=result.estimate)
    if result.p is None or p <= result.p:
        return result
    answer = "cannot tell" if p >= terms.alpha and result.answer == "withstood" else result.answer
    uncertain = "" if p < terms.alpha else f"; against the error of that slope {p_value(p)}"
    return replace(result, answer=answer, p=p, detail=f"{result.detail}{uncertain}")


Values = Float[np.ndarray, " prompts"]


def _slope_p(whole: Measurement, lengths: Values, styles: Sequence[str], *, gap: float, left: float) -> float:
    """Return the two-sided p of what is left against the jackknife error of what the slope took, by Student's t.

    Templates are left out one at a time, and topics; the larger p counts. 1 where the slope hangs on one of them.
    """
    from scipy.special import stdtr  # a quarter of a second to import, and not every run needs it

    templates = [f"{prompt.style}: {prompt.template}" for prompt in whole.prompts]
    topics = [prompt.topic for prompt in whole.prompts]
    ps: list[float] = []
    for clusters in (templates, topics):
        count = len(set(clusters))
        if count < FEWEST_CLUSTERS:
            continue
        error = slope_error(whole.values, lengths, styles, clusters)
        if error is None:
            return 1.0
        taken = abs(gap) * error
        ps.append(2 * float(stdtr(count - 1, -abs(left) / taken)) if taken > 0 else 0.0)
    return max(ps, default=1.0)


HANGS = 1e-9  # where no more than this share of the spread of lengths is left without a cluster, the slope hangs on it


def within_slope(values: Values, lengths: Values, groups: Sequence[str]) -> float | None:
    """Return the slope of `values` on `lengths` within groups, pooled; None where lengths vary within no group."""
    of = np.asarray(groups)
    covariance = variance = 0.0
    for group in dict.fromkeys(groups):
        inside = of == group
        x = lengths[inside] - lengths[inside].mean()
        covariance += float(x @ values[inside])  # x is about its mean, so that a level of the values drops out
        variance += float(x @ x)
    return covariance / variance if variance > 0 else None


def slope_error(values: Values, lengths: Values, groups: Sequence[str], clusters: Sequence[str]) -> float | None:
    """Return the standard error of `within_slope`, by leaving out one cluster of prompts at a time (jackknife).

    None where the slope hangs on a single cluster, without which lengths do not vary within any group.
    """
    (_, group), (_, cluster) = (np.unique(np.asarray(of), return_inverse=True) for of in (groups, clusters))
    prompts = np.bincount(group)
    x = lengths - (np.bincount(group, weights=lengths) / prompts)[group]
    y = values - (np.bincount(group, weights=values) / prompts)[group]
    sums = np.zeros((5, group.max() + 1, cluster.max() + 1))
    for total, each in zip(sums, (np.ones_like(x), x, y, x * x, x * y), strict=True):
        np.add.at(total, (group, cluster), each)
    count, of_x, of_y, of_xx, of_xy = sums.sum(axis=2, keepdims=True) - sums
    count = np.maximum(count, 1)  # of a group that lies in one cluster nothing is left, and nothing is added
    variance = (of_xx - of_x**2 / count).sum(axis=0)
    if (variance <= HANGS * float(x @ x)).any():
        return None
    without = (of_xy - of_x * of_y / count).sum(axis=0) / variance
    return sqrt((len(without) - 1) * float(without.var()))


NO_MODEL: Final = "it takes a run of the model, and a record stands in its place"
UNKNOWN_WORDS: Final = (
    'nobody knows which words are the styles\' own; a file of prompts says so by words = ["..."] under each style'
)


def wording_control(a: Measurement, b: Measurement, compared: Compared, terms: Terms, *, again: Again) -> ControlResult:
    """Repeat the comparison on the prompts of either side that say none of the words of either style."""
    words = own_words(a, b)
    if not words:
        return not_run("wording", compared, UNKNOWN_WORDS)
    said = " and ".join(f"'{word}'" for word in words)
    least = 2 if compared.units.startswith("templates") else 1
    kept: list[Measurement] = []
    for side in (a, b):  # a template's text alone would show its fields
        silent = np.array([not mentions(prompt.text, words) for prompt in side.prompts])
        left = len({prompt.template for prompt, keep in zip(side.prompts, silent, strict=True) if keep})
        if left < least:
            there = len({prompt.template for prompt in side.prompts})
            why = f"{left} of {there} wordings of {side.label} do without {said}; at least {least} are needed"
            return not_run("wording", compared, why)
        kept.append(replace(side.select(silent), family=side.whole))
    counts = " + ".join(str(len({prompt.template for prompt in side.prompts})) for side in kept)
    done = f"in the {counts} wordings without {said}"
    return what_is_left("wording", compared, again(kept[0], kept[1]), terms, done=done)


def own_words(a: Measurement, b: Measurement) -> tuple[str, ...]:
    """Return the words that the styles on either side call themselves by, each once."""
    styles = dict.fromkeys(prompt.style for side in (a, b) for prompt in side.prompts)
    return tuple(dict.fromkeys(word for style in styles for of in (a, b) for word in of.words.get(style, ())))


def injection_control(
    a: Measurement, b: Measurement, compared: Compared, terms: Terms, *, again: Again
) -> ControlResult:
    """Make the comparison where only the words are at work.

    They reproduce the effect if it is found there too, in the same direction, and is at least half as large: the words
    then make up as much of the effect as they leave.
    """
    name: Control = "injection"
    if not own_words(a, b):
        return not_run(name, compared, UNKNOWN_WORDS)
    if a.under is None or b.under is None:
        return not_run(name, compared, NO_MODEL)
    try:
        made = again(a.under(name, 0), b.under(name, 0))
    except (NotRun, ValueError) as error:  # such as a ValueError for a mean over no active feature
        return not_run(name, compared, str(error))
    if made.p is None or made.estimate is None:
        return not_run(name, compared, made.reason)
    words, effect = " and ".join(f"'{word}'" for word in own_words(a, b)), compared.shift.estimate
    detail = (
        f"with {words} pasted into neutral prompts the difference is {amount(made.estimate, made.unit, signed=True)} "
        f"({p_value(made.p)}) against {number(effect, made.unit, signed=True)}"
    )
    return what_is_shown(name, effect, made, terms.alpha, detail, found=found(compared, terms))
