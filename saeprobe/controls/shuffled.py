"""Shuffled: whether the claim's own test finds the effect between labels that mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from saeprobe.evidence.controls.results import Again, found
from saeprobe.evidence.evidence import ControlResult, Recorder
from saeprobe.evidence.units import Compared
from saeprobe.statistics.intervals import rate_interval, rate_p
from saeprobe.statistics.shuffling import paired_shuffled_ps, shuffled_ps

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement

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
