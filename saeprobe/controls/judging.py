"""Judging: what the controls of a claim make of it, once its own comparison is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saeprobe.claims import Control
from saeprobe.evidence.controls.draws import RANDOM
from saeprobe.evidence.controls.results import HALF, withstands
from saeprobe.evidence.evidence import ControlResult, EvidenceOutcome, Expects

_RIVAL: Final[dict[Control, str]] = {
    "length": "prompt length",
    "wording": "the styles' own words",
    "activity": "the number of active features",
    "injection": "the styles' own words",
    "random-model": "a random model",
    "random-sae": "random features",
}
_LEFT: Final[dict[Control, str]] = {
    "length": "with prompt length held equal",
    "wording": "without the styles' own words",
    "activity": "with equally many active features",
    "injection": "from the styles' own words alone",
    "random-model": "in a random model",
    "random-sae": "with random features",
}


def verdict_of(controls: Sequence[ControlResult], numbers: str, alpha: float) -> tuple[EvidenceOutcome, str] | None:
    """What the controls decide; None where the claim withstands all of them.

    One that explains the effect refutes the claim, whatever the others say, and the reason names all that do; one that
    could not be run, or that left both open, makes it inconclusive. `numbers` are those of the claim's own comparison.
    """
    against = [_against(controls, "persists", "explained"), _against(controls, "absent", "reproduced")]
    if any(against):
        return "refuted", "; ".join(one for one in against if one)
    for control in controls:
        if control.p is None:
            others = [one.name for one in controls if one.p is None and one is not control]
            nor = f"; nor could {_listed(others)}" if others else ""
            why = f"the control for {control.name} could not be run: {control.detail}{nor}"
            return "inconclusive", f"{numbers}, but {why}"
        if control.name != "labels" and _open(control, control.p, alpha):
            return "inconclusive", f"{numbers}, but not told apart from {_RIVAL[control.name]}: {control.detail}"
    return None


def told(controls: Sequence[ControlResult]) -> str:
    """What the controls left of an effect, or showed without it, to go on after its numbers."""
    return "".join(
        f"; {control.detail}" if control.name == "labels" else f"; {control.estimate:+.4g} {_LEFT[control.name]}"
        for control in controls
        if control.p is not None
    )


def _against(controls: Sequence[ControlResult], expects: Expects, verb: str) -> str:
    """Which controls of a sort are against the claim, and what they show; empty where none is."""
    these = [control for control in controls if control.explains and control.expects == expects]
    named = _listed([control.name for control in these])
    return f"{verb} by {named}: {'; '.join(control.detail for control in these)}" if these else ""


def _listed(names: Sequence[str]) -> str:
    """`length`, `length and wording`, `length, wording and labels`."""
    *others, last = names or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _open(control: ControlResult, p: float, alpha: float) -> bool:
    """Whether a control neither took the effect nor left it standing."""
    if control.expects == "persists":
        return not withstands(control.name, control.estimate, p, control.share, alpha)
    if control.name in RANDOM:  # p is the rank of the claim among the draws, which has to lie above them
        return p >= alpha
    return p >= alpha and control.share is not None and control.share >= HALF
