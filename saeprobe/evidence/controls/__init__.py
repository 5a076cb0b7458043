"""A control takes a rival explanation out of an effect, or shows what the rival alone brings about.

Here stands what all controls share: their results, and what several of them decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saeprobe.claims import Control
from saeprobe.evidence.evidence import ControlResult, Evidence, EvidenceOutcome, Expects, Terms
from saeprobe.evidence.units import Compared
from saeprobe.evidence.values import Measurement
from saeprobe.files import amount, number

Again = Callable[[Measurement, Measurement], Evidence]
"""Makes the comparison of the claim on two other measurements, without controls."""

RANDOM: Final[tuple[Control, ...]] = ("random-model", "random-sae")
"""The controls of which many draws are read."""

READ_ELSEWHERE: Final[tuple[Control, ...]] = ("injection", *RANDOM)
"""The controls that read something else than the claim does, and so are part of the plan."""

ROUNDING: Final = 1e-9  # what is no larger a share of the effect is shown as 0
HALF = 0.5  # the share of the claim's effect from which on a rival makes up as much of it as it leaves


def found(compared: Compared, terms: Terms) -> bool:
    """Decide whether the claim's own comparison shows the effect; a control is only judged where it does."""
    return compared.shift.p < terms.alpha and compared.shift.estimate > 0


def share_of(part: float, effect: float) -> float | None:
    """Return `part` as a share of the claim's effect; None where there is no effect."""
    return part / effect if effect else None


def not_run(name: Control, expects: Expects, compared: Compared, why: str) -> ControlResult:
    """Make the result of a control that could not be run, so that the claim's own estimate stands unexamined."""
    return ControlResult(
        name=name,
        expects=expects,
        explains=False,
        estimate=compared.shift.estimate,
        interval=None,
        p=None,
        detail=why,
    )


def what_is_left(name: Control, compared: Compared, again: Evidence, terms: Terms, *, done: str) -> ControlResult:
    """Make the result of a control under which the effect has to persist, from the comparison that it made.

    It explains the claim if nothing is left, or if what is left may be nothing while its interval excludes the claim's
    own effect. `done` says what was done; the numbers follow it.
    """
    if again.p is None or again.estimate is None:
        return not_run(name, "persists", compared, f"{done}: {again.reason}")
    left, effect, unit = again.estimate, compared.shift.estimate, again.unit
    share = share_of(left, effect)
    rest = left if abs(left) > ROUNDING * abs(effect) else 0.0
    taken = again.interval is not None and effect > again.interval[1]
    explains = left <= 0 or (taken and not withstands(name, left, again.p, share, terms.alpha))
    return ControlResult(
        name=name,
        expects="persists",
        explains=found(compared, terms) and explains,
        estimate=left,
        interval=again.interval,
        p=again.p,
        detail=f"{done} {amount(rest, unit, signed=True)} of {number(effect, unit, signed=True)} are left",
        share=share,
        evidence=again,
    )


def what_is_shown(
    name: Control, effect: float | None, again: Evidence, alpha: float, detail: str, *, found: bool
) -> ControlResult:
    """Make the result of a control under which the effect has to be absent, from the comparison that it made.

    It explains the claim, whose `effect` was `found`, if it shows at least half as much, with p below alpha.
    """
    share = None if not effect or again.estimate is None else again.estimate / effect
    return ControlResult(
        name=name,
        expects="absent",
        explains=found and again.p is not None and again.p < alpha and share is not None and share >= HALF,
        estimate=again.estimate or 0.0,
        interval=again.interval,
        p=again.p,
        detail=detail,
        share=share,
        evidence=again,
    )


def withstands(name: Control, left: float, p: float, share: float | None, alpha: float) -> bool:
    """Decide whether enough is left of an effect that has to persist.

    The control for wording drops prompts, and with them power: there half of the effect is enough.
    """
    if p < alpha and left > 0:
        return True
    return name == "wording" and share is not None and share >= HALF


_RIVALS: Final[dict[Control, tuple[str, str]]] = {
    "length": ("prompt length", "with prompt length held equal"),
    "wording": ("the styles' own words", "without the styles' own words"),
    "activity": ("the number of active features", "with equally many active features"),
    "injection": ("the styles' own words", "from the styles' own words alone"),
    "random-model": ("a random model", "in a random model"),
    "random-sae": ("random features", "with random features"),
}
"""What each control takes for the rival, and where the rest of the effect then stands."""


def verdict_of(controls: Sequence[ControlResult], numbers: str, alpha: float) -> tuple[EvidenceOutcome, str] | None:
    """Return what the controls decide; None where the claim withstands all of them.

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
            rival = _RIVALS[control.name][0]
            return "inconclusive", f"{numbers}, but not distinguished from {rival}: {control.detail}"
    return None


def summary_of(controls: Sequence[ControlResult], unit: str = "") -> str:
    """Say what the controls left of an effect, or showed without it, to go on after its numbers."""
    return "".join(
        f"; {control.detail}"
        if control.name == "labels"
        else f"; {number(control.estimate, unit, signed=True)} {_RIVALS[control.name][1]}"
        for control in controls
        if control.p is not None
    )


def _against(controls: Sequence[ControlResult], expects: Expects, verb: str) -> str:
    """Name the controls of a sort that are against the claim, and what they show; empty where none is."""
    these = [control for control in controls if control.explains and control.expects == expects]
    named = _listed([control.name for control in these])
    return f"{verb} by {named}: {'; '.join(control.detail for control in these)}" if these else ""


def _listed(names: Sequence[str]) -> str:
    """List `length`, `length and wording`, `length, wording and labels`."""
    *others, last = names or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _open(control: ControlResult, p: float, alpha: float) -> bool:
    """Decide whether a control neither took the effect nor left it standing."""
    if control.expects == "persists":
        return not withstands(control.name, control.estimate, p, control.share, alpha)
    if control.name in RANDOM:  # p is the rank of the claim among the draws, which has to lie above them
        return p >= alpha
    return p >= alpha and control.share is not None and control.share >= HALF
