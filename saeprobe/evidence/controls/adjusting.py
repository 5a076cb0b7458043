"""Length: what is left of an effect once every prompt is taken as equally long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from saeprobe.evidence.controls.results import Again, not_run, what_is_left
from saeprobe.evidence.evidence import ControlResult, Recorder
from saeprobe.evidence.units import Compared
from saeprobe.statistics.slopes import slope_error, within_slope

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
