"""Results of controls: what all of them are made from, and those that could not be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from saeprobe.claims import Control
from saeprobe.evidence.evidence import ControlResult, Evidence, Expects, Recorder
from saeprobe.evidence.units import Compared

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


Again = Callable[["Measurement", "Measurement"], Evidence]
"""Makes the comparison of the claim on two other measurements, without controls."""


HALF = 0.5
"""The share of the claim's effect from which on a rival makes up as much of it as it leaves."""


def found(compared: Compared, terms: Recorder) -> bool:
    """Whether the claim's own comparison shows the effect; a control is only judged where it does."""
    return compared.shift.p < terms.alpha and compared.shift.estimate > 0


def share_of(part: float, effect: float) -> float | None:
    """`part` as a share of the claim's effect; None where there is no effect."""
    return part / effect if effect else None


def not_run(name: Control, expects: Expects, compared: Compared, why: str) -> ControlResult:
    """A control that could not be run; nothing is known of the rival, so the claim's own estimate stands unexamined."""
    return ControlResult(
        name=name,
        expects=expects,
        explains=False,
        estimate=compared.shift.estimate,
        interval=None,
        p=None,
        detail=why,
    )


def what_is_left(name: Control, compared: Compared, again: Evidence, terms: Recorder, *, told: str) -> ControlResult:
    """The result of a control under which the effect has to persist, from the comparison that it made.

    It explains the claim if nothing is left, or if what is left cannot be told from nothing while its interval
    excludes the claim's own effect. `told` says what was done; the numbers follow it.
    """
    if again.p is None or again.estimate is None:
        return not_run(name, "persists", compared, f"{told}: {again.reason}")
    left, effect = again.estimate, compared.shift.estimate
    share = share_of(left, effect)
    taken = again.interval is not None and effect > again.interval[1]
    explains = left <= 0 or (taken and not withstands(name, left, again.p, share, terms.alpha))
    return ControlResult(
        name=name,
        expects="persists",
        explains=found(compared, terms) and explains,
        estimate=left,
        interval=again.interval,
        p=again.p,
        detail=f"{told} {left:+.3f} {again.unit} of {effect:+.3f} are left",
        share=share,
        evidence=again,
    )


def withstands(name: Control, left: float, p: float, share: float | None, alpha: float) -> bool:
    """Whether enough is left of an effect that has to persist.

    The control for wording drops prompts, and with them power: there half of the effect is enough.
    """
    if p < alpha and left > 0:
        return True
    return name == "wording" and share is not None and share >= HALF
