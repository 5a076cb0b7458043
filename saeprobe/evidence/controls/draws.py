"""Many draws of what is random are held against a claim; for evidence on whole sets of features all rivals run here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Final

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls import HALF, RANDOM, Again, found, not_run, share_of, what_is_shown
from saeprobe.evidence.controls.adjusting import NO_MODEL
from saeprobe.evidence.evidence import COUNTED, ControlResult, Evidence, EvidenceOutcome, Terms, UnitValue
from saeprobe.evidence.units import Compared
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.files import SHARE, amount, number, p_value
from saeprobe.statistics.shifts import paired_shift

FEWEST: Final = 20
"""At least so many draws are read: with none of them as large as the claim, 1 / 21 is below the usual alpha of 0.05."""

TOPICS: Final = 8
"""Topics on which draws are read, the first ones of the prompts; the claim is held against them on the same."""

_DRAWN: Final[dict[Control, str]] = {
    "random-model": "a model of the same shape with random weights",
    "random-sae": "random features that fire as often as the SAE's",
}

_CLOSE: Final = 1e-9  # of an effect; what is as large but for rounding counts as large


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect is what one draw shows, or the claim on the same prompts.

    `scale` is the mean of the smaller side, of which `size` is then taken as a share, for what a draw makes of prompts
    has a scale of its own; None where the size is comparable as it is.
    """

    size: float
    scale: float | None


def n_draws(alpha: float) -> int:
    """Return how many draws are read: as many as make 1 / (draws + 1) less than alpha, and `FEWEST` at least."""
    return max(FEWEST, floor(1 / alpha))


def draws_control(
    name: Control, a: Measurement, b: Measurement, compared: Compared, terms: Terms, *, again: Again
) -> ControlResult:
    """Measure both sides under every draw, and hold the claim on the same prompts against what the draws show.

    An effect is the difference of the two means as a share of the smaller side's; see `judged_draws`. That of what is
    counted is the difference itself, since a rate has the same scale whatever fires.
    """
    del again  # a draw is one value, whose own test would be of its prompts and not of the draw
    under_a, under_b = a.under, b.under
    if under_a is None or under_b is None:
        return not_run(name, compared, NO_MODEL)
    try:
        read = [(under_a(name, draw), under_b(name, draw)) for draw in range(n_draws(terms.alpha))]
        here = _on(a, read[0][0]), _on(b, read[0][1])
    except (NotRun, ValueError) as error:  # such as a ValueError for a mean over no active feature
        return not_run(name, compared, str(error))
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
    terms: Terms,
) -> ControlResult:
    """Judge the claim `statement` by what each draw shows on so many `prompts`.

    The draws reproduce it if they show it on average, by flipping their signs, and at least half as large: what is
    random then makes up as much of the effect as it leaves. It withstands them if it lies above them: p is the rank of
    the claim among the draws, (1 + draws as large) / (1 + draws), as of any one of them if the claim's were a draw too
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585). Else the claim is open. A control is only judged where the
    claim's own comparison has `found` its effect.
    """
    relative = (
        claim.scale is not None and claim.scale > 0 and all(one.scale is not None and one.scale >= 0 for one in drawn)
    )

    def size(effect: Effect) -> float:
        return effect.size / (effect.scale or 1.0) if relative else effect.size

    def words(size: float) -> str:
        return f"{100 * size:+.3g} %" if relative else amount(size, unit, signed=True)

    here = size(claim)
    # A draw whose smaller side is 0, of which nothing is a share, is taken on the scale of the claim. A single one must
    # not put all the others, whose scale may be a hundredth of the claim's, on no scale at all.
    there = np.array([size(one if one.scale else replace(one, scale=claim.scale)) for one in drawn])
    shift = paired_shift(there, alpha=terms.alpha, seed=terms.seed)
    as_large = int(((there >= here) | np.isclose(there, here, rtol=_CLOSE, atol=0.0)).sum())
    share = share_of(shift.estimate, here) if here > 0 else None
    shown = shift.p < terms.alpha and shift.estimate > 0
    outcome: EvidenceOutcome = "supported" if shown else "inconclusive"
    if shift.p < terms.alpha and shift.estimate < 0:
        outcome = "refuted"
    evidence = Evidence(
        kind="greater",
        statement=f"{statement}, in draws of {_DRAWN[name]}",
        outcome=outcome,
        reason=f"{words(shift.estimate)} on average over {len(there)} draws, {p_value(shift.p)}",
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
            UnitValue(side=statement, unit=f"draw {draw}", value=float(value)) for draw, value in enumerate(there)
        ),
    )
    scale, p = (claim.scale or 0.0) if relative else 1.0, (1 + as_large) / (1 + len(there))
    explains = found and shown and share is not None and share >= HALF
    return ControlResult(
        name=name,
        answer="explains" if explains else "withstood" if p < terms.alpha else "cannot tell",
        estimate=(here - shift.estimate) * scale,
        interval=None,
        p=p,
        detail=(
            f"{len(there)} draws of {_DRAWN[name]} show {words(shift.estimate)} on average, {as_large} of them at "
            f"least the {words(here)} of the claim on the same {prompts:,} prompts"
        ),
        share=None if share is None else 1 - share,
        evidence=evidence,
    )


_RULE: Final = (
    "the unit values are what each draw shows, as a share of its smaller side, or of the claim's where its own is 0; "
    "as it is of a share of prompts, tokens or continuations, and where the claim's smaller side is not above zero or "
    "a draw's is below. The draws reproduce the claim where their mean is above zero with p by sign flips below "
    "alpha = {alpha:g} and is at least half of what the claim shows on the same prompts. The claim withstands them "
    "where (1 + draws that show at least as much) / (1 + draws) is below alpha; else it is open"
)


def _effect(a: Measurement, b: Measurement) -> Effect:
    return Effect(size=a.mean - b.mean, scale=None if a.unit in COUNTED else b.mean)


def _on(of: Measurement, there: Measurement) -> Measurement:
    """Take the values on the prompts that were read there too."""
    these = set(there.prompts)
    return of.select(np.array([prompt in these for prompt in of.prompts]))


BothSides = tuple[Features, ...]
"""A kind of evidence is made on these: the captures, or the styles of one, that its sentence names."""


def run_rivals(
    sides: BothSides,
    claim: Evidence,
    again: Callable[[BothSides, Terms], Evidence],
    effect: Callable[[BothSides], Effect] | None = None,
    *,
    found: bool,
    terms: Terms,
    own: Mapping[Control, Callable[[], ControlResult]],
) -> tuple[ControlResult, ...]:
    """Run the controls that a claim declares, in that order.

    A control that reads something else explains the claim if its evidence is there too, at least half as large.

    Args:
        sides: what the claim's evidence is made on.
        claim: that evidence.
        again: makes it on other features and under terms without controls; for pasted words.
        effect: how much some features show, for draws of what is random; by default the estimate of the evidence.
        found: whether the claim's own evidence is there; nothing else can be explained.
        terms: of the claim.
        own: the controls that only this kind of evidence has.
    """
    unasked = Terms(alpha=terms.alpha, seed=terms.seed, over=terms.over)

    def estimated(there: BothSides) -> Effect:
        return Effect(size=again(there, unasked).estimate or 0.0, scale=None)

    def rival(name: Control) -> ControlResult:
        try:
            if name in RANDOM:
                return _drawn(name, sides, claim, effect or estimated, found=found, terms=terms)
            return _pasted(name, claim, again(tuple(side.under(name) for side in sides), unasked), found, terms.alpha)
        except (NotRun, ValueError) as error:  # such as a random model under which no feature fires on some prompt
            return ControlResult(
                name=name, answer="cannot tell", estimate=0.0, interval=None, p=None, detail=str(error)
            )

    return tuple(own[name]() if name in own else rival(name) for name in terms.controls)


def _pasted(name: Control, claim: Evidence, evidence: Evidence, found: bool, alpha: float) -> ControlResult:  # noqa: FBT001 - as every control is called
    """Hold the evidence on pasted words against that of the claim."""
    detail = f"with the styles' own words pasted into neutral prompts {evidence.reason}"
    if claim.estimate and evidence.estimate is not None and evidence.p is not None:
        detail += f"; {number(evidence.estimate / claim.estimate, SHARE)} of the effect"
    return what_is_shown(name, claim.estimate, evidence, alpha, detail, found=found)


def _drawn(
    name: Control,
    sides: BothSides,
    claim: Evidence,
    effect: Callable[[BothSides], Effect],
    *,
    found: bool,
    terms: Terms,
) -> ControlResult:
    """Hold what the draws show against what the claim shows on the prompts that they read."""

    def under(draw: int) -> BothSides:
        return tuple(side.under(name, draw) for side in sides)

    def restricted(side: Features, there: Features) -> Features:
        these = set(there.prompts)
        return side.select([index for index, prompt in enumerate(side.prompts) if prompt in these])

    first = under(0)
    here = tuple(restricted(side, there) for side, there in zip(sides, first, strict=True))
    drawn = [effect(first), *(effect(under(draw)) for draw in range(1, n_draws(terms.alpha)))]
    return judged_draws(
        name,
        effect(here),
        drawn,
        statement=claim.statement,
        unit=claim.unit,
        prompts=sum(len(side) for side in here),
        found=found,
        terms=terms,
    )
