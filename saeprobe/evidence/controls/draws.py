"""Draws: whether a random model or random features show as much as the claim, over many draws of what is random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import TYPE_CHECKING, Final

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls.results import HALF, Again, found, not_run, share_of
from saeprobe.evidence.evidence import COUNTED, ControlResult, Evidence, EvidenceOutcome, Recorder, UnitValue
from saeprobe.evidence.units import Compared
from saeprobe.prompts import Prompt
from saeprobe.statistics.shifts import paired_shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


FEWEST: Final = 20
"""Draws at least: with none of them as large as the claim, 1 / 21 is below the usual alpha of 0.05."""


TOPICS: Final = 8
"""Topics on which draws are read, the first ones of the prompts; the claim is held against them on the same."""


_DRAWN: Final[dict[Control, str]] = {
    "random-model": "a model of the same shape with random weights",
    "random-sae": "random features that fire as often as the SAE's",
}


_CLOSE: Final = 1e-9  # of an effect; what is as large but for rounding counts as large


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How much one draw shows, or the claim on the same prompts.

    `scale` is the mean of the smaller side, of which `size` is then taken as a share, for what a draw makes of prompts
    has a scale of its own; None where the size is comparable as it is.
    """

    size: float
    scale: float | None


def n_draws(alpha: float) -> int:
    """How many draws are read: as many as make 1 / (draws + 1) less than alpha, and `FEWEST` at least."""
    return max(FEWEST, floor(1 / alpha))


def draws_control(
    name: Control, a: Measurement, b: Measurement, compared: Compared, terms: Recorder, *, again: Again
) -> ControlResult:
    """Measure both sides under every draw, and hold the claim on the same prompts against what the draws show.

    An effect is the difference of the two means as a share of the smaller side's; see `judged_draws`. That of what is
    counted is the difference itself, since a rate has the same scale whatever fires.

    Raises:
        TypeError: no draw changes any value, so that the measure has nothing to do with what is drawn.
    """
    del again  # a draw is one value, whose own test would be of its prompts and not of the draw
    under_a, under_b = a.under, b.under
    if under_a is None or under_b is None:
        return not_run(name, "absent", compared, "it takes a run of the model, and a record stands in its place")

    def sides(draw: int) -> tuple[Measurement, Measurement]:
        return under_a(name, draw), under_b(name, draw)

    def restricted(read: Sequence[Measurement]) -> tuple[Measurement, Measurement]:
        there_a, there_b = read
        return _on(a, there_a.prompts), _on(b, there_b.prompts)

    try:
        read = [sides(draw) for draw in range(n_draws(terms.alpha))]
        here = restricted(read[0])
    except (NotRun, ValueError) as error:  # a mean over no active feature is a ValueError, for one
        return not_run(name, "absent", compared, str(error))
    if all(np.array_equal(one.values, of.values) for draw in read for one, of in zip(draw, here, strict=True)):
        raise TypeError(
            f"{name} says nothing about {a.measure}, which is the same under all {len(read)} draws; take it from "
            "controls=... of the claim"
        )
    return judged_draws(
        name,
        _effect(*here),
        [_effect(*draw) for draw in read],
        statement=f"{a.name} > {b.name}",
        unit=a.unit,
        prompts=len({*here[0].prompts, *here[1].prompts}),
        found=found(compared, terms),
        terms=terms,
    )


def judged_draws(
    name: Control,
    claim: Effect,
    drawn: Sequence[Effect],
    *,
    statement: str,
    unit: str,
    prompts: int,
    found: bool,
    terms: Recorder,
) -> ControlResult:
    """What the draws say of a claim.

    They reproduce it if they show it on average, by flipping their signs, and at least half as large: what is random
    then makes up as much of the effect as it leaves. It withstands them if it lies above them: p is the rank of the
    claim among the draws, (1 + draws as large) / (1 + draws), as of any one of them if the claim's were a draw too
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585). Else the claim is open.

    Args:
        name: of the control.
        claim: its effect on the prompts that the draws read.
        drawn: the effect of each draw.
        statement: what is claimed.
        unit: of the effects.
        prompts: how many were read of each draw.
        found: whether the claim's own comparison finds its effect; a control is only judged where it does.
        terms: of the claim.
    """
    relative = (
        claim.scale is not None and claim.scale > 0 and all(one.scale is not None and one.scale >= 0 for one in drawn)
    )
    here = _size(claim, relative=relative)
    there = np.array([_size(_scaled(one, claim), relative=relative) for one in drawn])
    shift = paired_shift(there, alpha=terms.alpha, seed=terms.seed)
    as_large = int(((there >= here) | np.isclose(there, here, rtol=_CLOSE, atol=0.0)).sum())
    p = (1 + as_large) / (1 + len(there))
    share = share_of(shift.estimate, here) if here > 0 else None
    shown = shift.p < terms.alpha and shift.estimate > 0
    told = _told(relative=relative, unit=unit)
    detail = (
        f"{len(there)} draws of {_DRAWN[name]} show {told(shift.estimate)} on average, {as_large} of them at least the "
        f"{told(here)} of the claim on the same {prompts:,} prompts"
    )
    outcome: EvidenceOutcome = "supported" if shown else "inconclusive"
    if shift.p < terms.alpha and shift.estimate < 0:
        outcome = "refuted"
    evidence = Evidence(
        kind="greater",
        statement=f"{statement}, in draws of {_DRAWN[name]}",
        outcome=outcome,
        reason=f"{told(shift.estimate)} on average over {len(there)} draws, p = {shift.p:.2g}",
        scope=f"draws of what is random, on these {prompts:,} prompts",
        unit="share of the smaller side" if relative else unit,
        estimate=shift.estimate,
        interval=shift.interval,
        level=1 - terms.alpha,
        p=shift.p,
        alpha=terms.alpha,
        test=f"{shift.test} (draws)",
        seed=shift.seed,
        units="draws",
        n_units=(len(there),),
        rule=_RULE.format(alpha=terms.alpha),
        unit_values=tuple(
            UnitValue(side=statement, unit=f"draw {number}", value=float(value)) for number, value in enumerate(there)
        ),
    )
    scale = (claim.scale or 0.0) if relative else 1.0
    return ControlResult(
        name=name,
        expects="absent",
        explains=found and shown and share is not None and share >= HALF,
        estimate=shift.estimate * scale,
        interval=None if shift.interval is None else (shift.interval[0] * scale, shift.interval[1] * scale),
        p=p,
        detail=detail,
        share=share,
        evidence=evidence,
    )


_RULE: Final = (
    "the unit values are what each draw shows, as a share of its smaller side, or of the claim's where its own is 0; "
    "as it is of a share of prompts, tokens or continuations, and where the claim's smaller side is not above zero or "
    "a draw's is below. The draws reproduce the claim where their mean is above zero with p by sign flips below "
    "alpha = {alpha:g} and is at least half of what the claim shows on the same prompts. The claim withstands them "
    "where (1 + draws that show at least as much) / (1 + draws) is below alpha; else it is open"
)


def _size(effect: Effect, *, relative: bool) -> float:
    return effect.size / (effect.scale or 1.0) if relative else effect.size


def _scaled(draw: Effect, claim: Effect) -> Effect:
    """A draw whose smaller side is 0, of which nothing is a share, is taken on the scale of the claim.

    A single one must not put all the others, whose scale may be a hundredth of the claim's, beside it as they are.
    """
    return draw if draw.scale else replace(draw, scale=claim.scale)


def _told(*, relative: bool, unit: str) -> Callable[[float], str]:
    return (lambda size: f"{size:+.1%}") if relative else (lambda size: f"{size:+.3f} {unit}")


def _effect(a: Measurement, b: Measurement) -> Effect:
    return Effect(size=a.mean - b.mean, scale=None if a.unit in COUNTED else b.mean)


def _on(of: Measurement, prompts: Sequence[Prompt]) -> Measurement:
    """The values on some prompts.

    Raises:
        ValueError: it has none of them.
    """
    these = set(prompts)
    chosen = np.array([prompt in these for prompt in of.prompts])
    return replace(
        of,
        values=of.values[chosen],
        prompts=tuple(prompt for prompt, keep in zip(of.prompts, chosen, strict=True) if keep),
        n_tokens=None,
        near=None,
    )
