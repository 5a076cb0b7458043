"""Controls: what is left of an effect once a rival explanation is taken out, or what the rival alone brings about."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from saeprobe.claims import Control
from saeprobe.evidence.controls.adjusting import injection_control, length_control, shuffled_control, wording_control
from saeprobe.evidence.controls.draws import draws_control
from saeprobe.evidence.controls.results import RANDOM, Again
from saeprobe.evidence.evidence import ControlResult, Recorder
from saeprobe.evidence.units import Compared

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


READ_ELSEWHERE: Final[tuple[Control, ...]] = ("injection", *RANDOM)
"""The controls that read something else than the claim does, and so are part of the plan."""


class _Runs(Protocol):
    """One control."""

    def __call__(
        self, a: Measurement, b: Measurement, compared: Compared, terms: Recorder, /, *, again: Again
    ) -> ControlResult:
        """Run it."""
        ...


_CONTROLS: Final[dict[Control, _Runs]] = {
    "length": length_control,
    "wording": wording_control,
    "labels": shuffled_control,
    "injection": injection_control,
    **{name: partial(draws_control, name) for name in RANDOM},
}


def run_controls(
    a: Measurement,
    b: Measurement,
    compared: Compared,
    terms: Recorder,
    *,
    again: Again,
    without_margin: tuple[Compared, Again] | None = None,
) -> tuple[ControlResult, ...]:
    """The controls that a claim `a > b` declares, in that order.

    Args:
        a: the side claimed to be larger.
        b: the other side.
        compared: the claim's own comparison of the two.
        terms: alpha, seed and the controls declared.
        again: makes the same comparison on two other measurements, without controls.
        without_margin: the same without the margin that the claim puts on `b`, and the difference that it then finds,
            where there is a margin: the rivals bring about differences, not what exceeds a margin.

    Raises:
        TypeError: the claim declares `activity`, which is a control of exclusive features.
    """
    if "activity" in terms.controls:
        raise TypeError(
            f"activity is a control of exclusive features, and {a.name} > {b.name} counts none; "
            "take it from controls=... of the claim, or put the comparison into a claim of its own"
        )
    bare, bare_again = without_margin or (compared, again)
    return tuple(
        _CONTROLS[name](a, b, bare, terms, again=bare_again)
        if name == "injection"
        else _CONTROLS[name](a, b, compared, terms, again=again)
        for name in terms.controls
    )
