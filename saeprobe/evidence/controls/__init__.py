"""A control takes a rival explanation out of an effect, or shows what the rival alone brings about.

Here stands what all controls share: their results, and what several of them decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saeprobe.claims import Control
from saeprobe.evidence.evidence import Answer, ControlResult, Evidence, EvidenceOutcome, Terms
from saeprobe.evidence.units import Compared
from saeprobe.evidence.values import Measurement
from saeprobe.files import SHARE, amount, number

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


def not_run(name: Control, compared: Compared, why: str) -> ControlResult:
    """Make the result of a control that could not be run, so that the claim's own estimate stands unexamined."""
    return ControlResult(
        name=name,
        answer="cannot tell",
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
        return not_run(name, compared, f"{done}: {again.reason}")
    left, effect, unit = again.estimate, compared.shift.estimate, again.unit
    share = share_of(left, effect)
    rest = left if abs(left) > ROUNDING * abs(effect) else 0.0
    taken = again.interval is not None and effect > again.interval[1]
    explains = left <= 0 or (taken and not withstands(name, left, again.p, share, terms.alpha))
    return ControlResult(
        name=name,
        answer=_answer(
            explains=found(compared, terms) and explains, withstood=withstands(name, left, again.p, share, terms.alpha)
        ),
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
    shown, large = again.p is not None and again.p < alpha, share is not None and share >= HALF
    return ControlResult(
        name=name,
        answer=_answer(explains=found and shown and large, withstood=again.p is not None and not (large and not shown)),
        estimate=(effect or 0.0) - (again.estimate or 0.0),
        interval=again.interval,
        p=again.p,
        detail=detail,
        share=None if share is None else 1 - share,
        evidence=again,
    )


def _answer(*, explains: bool, withstood: bool) -> Answer:
    return "explains" if explains else "withstood" if withstood else "cannot tell"


def withstands(name: Control, left: float, p: float, share: float | None, alpha: float) -> bool:
    """Decide whether enough is left of an effect that has to persist.

    The control for wording drops prompts, and with them power: there half of the effect is enough.
    """
    if p < alpha and left > 0:
        return True
    return name == "wording" and share is not None and share >= HALF


_RIVALS: Final[dict[Control, str]] = {
    "length": "prompt length",
    "wording": "the styles' own words",
    "activity": "the number of active features",
    "injection": "the styles' own words alone",
    "random-model": "a random model",
    "random-sae": "random features",
}
"""What each control takes for the rival."""


def verdict_of(controls: Sequence[ControlResult], numbers: str) -> tuple[EvidenceOutcome, str] | None:
    """Return what the controls decide of an effect that was found; None where it withstands all of them.

    One that explains the effect decides, whatever the others say, and the reason names all that do; else one that
    cannot tell leaves the claim open. `numbers` are those of the claim's own comparison.
    """
    explaining = [control for control in controls if control.answer == "explains"]
    if explaining:
        named = _listed([control.name for control in explaining])
        return "explained", f"{numbers}, but explained by {named}: {'; '.join(one.detail for one in explaining)}"
    unrun = [control for control in controls if control.p is None]
    for control in unrun[:1]:
        nor = f"; nor could {_listed([one.name for one in unrun[1:]])}" if unrun[1:] else ""
        why = f"the control for {control.name} could not be run: {control.detail}{nor}"
        return "inconclusive", f"{numbers}, but {why}"
    for control in controls:
        if control.answer == "cannot tell":
            return "inconclusive", f"{numbers}, but not distinguished from {_RIVALS[control.name]}: {control.detail}"
    return None


def summary_of(controls: Sequence[ControlResult], unit: str = "") -> str:
    """Say what the controls left of an effect, to go on after its numbers."""
    return "".join(
        f"; {number(control.estimate, unit, signed=True)}{_share(control.share)} beside {_RIVALS[control.name]}"
        for control in controls
        if control.p is not None
    )


def _share(share: float | None) -> str:
    return "" if share is None else f" ({number(share, SHARE)})"


def _listed(names: Sequence[str]) -> str:
    """List `length`, `length and wording`, `length, wording and activity`."""
    *others, last = names or [""]
    return f"{', '.join(others)} and {last}" if others else last
