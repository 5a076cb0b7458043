"""Elsewhere: what a style's own words bring about alone, read from neutral prompts into which they are pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeprobe.claims import Control, NotRun
from saeprobe.controls.wording import UNKNOWN_WORDS, own_words
from saeprobe.evidence.controls.results import HALF, Again, found, not_run, share_of
from saeprobe.evidence.evidence import ControlResult, Recorder
from saeprobe.evidence.units import Compared

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement

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
