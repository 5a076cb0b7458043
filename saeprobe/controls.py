"""Controls: what is left of an effect once a rival explanation is taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from saeprobe.evidence import ControlResult, Recorder
from saeprobe.replication import Compared, compare
from saeprobe.statistics import within_slope

if TYPE_CHECKING:
    from saeprobe.measurement import Measurement


def length_control(a: Measurement, b: Measurement, compared: Compared, terms: Recorder) -> ControlResult:
    """Repeat the comparison with every value moved to the same prompt length, along the slope within styles."""
    whole = a.whole
    long_a, long_b, long_whole = a.n_tokens, b.n_tokens, whole.n_tokens
    if long_a is None or long_b is None or long_whole is None:
        return _no_control(compared, "the record does not tell how long the prompts are")
    groups = tuple(prompt.style for prompt in whole.prompts)
    slope = within_slope(whole.values, long_whole.astype(np.float64), groups)
    gap = float(long_a.mean() - long_b.mean())
    if slope is None:
        if gap == 0:
            detail = "all prompts are equally long"
            return replace(_no_control(compared, detail), p=compared.shift.p, interval=compared.shift.interval)
        return _no_control(compared, f"prompts differ by {gap:.1f} tokens between the styles but never within one")
    middle = float(np.concatenate([long_a, long_b]).mean())
    again = compare(
        replace(a, values=a.values - slope * (long_a - middle)),
        replace(b, values=b.values - slope * (long_b - middle)),
        alpha=terms.alpha,
        seed=terms.seed,
    )
    if isinstance(again, str):
        return _no_control(compared, again)
    left = again.shift
    found = compared.shift.p < terms.alpha and compared.shift.estimate > 0
    withstands = left.p < terms.alpha and left.estimate > 0
    taken = left.interval is not None and compared.shift.estimate > left.interval[1]
    return ControlResult(
        name="length",
        explains=found and not withstands and (left.estimate <= 0 or taken),
        estimate=left.estimate,
        interval=left.interval,
        p=left.p,
        detail=(
            f"{a.label} is {gap:+.1f} tokens longer than {b.label}; within a style the value rises {slope:.3f} "
            f"a token, and at equal length {left.estimate:+.3f} {a.unit} of {compared.shift.estimate:+.3f} are left"
        ),
    )


def _no_control(compared: Compared, why: str) -> ControlResult:
    return ControlResult(
        name="length", explains=False, estimate=compared.shift.estimate, interval=None, p=None, detail=why
    )
