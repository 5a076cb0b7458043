"""Rivals: the same decision on what a control reads instead, for kinds of evidence that are made on features."""

from __future__ import annotations

from collections.abc import Callable

from saeprobe.claims import Control, NotRun
from saeprobe.controls import READ_ELSEWHERE
from saeprobe.evidence.controls.draws import RANDOM, Effect, judged_draws, n_draws
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder
from saeprobe.features.sparse import Features

READ: tuple[Control, ...] = READ_ELSEWHERE
"""The controls for which something else is read: other prompts, other models, other SAEs."""
BothSides = tuple[Features, ...]
"""What a kind of evidence is made on."""
PERMUTED = "; the p of the claim is itself counted over permuted labels, so that the control could refute nothing"
"""Why a kind of evidence does not take the control `labels`."""


def refuse_others(kind: str, declared: tuple[Control, ...], known: tuple[Control, ...], *, remedy: str = "") -> None:
    """Raise where a claim declares a control that cannot be applied to a kind of evidence.

    Raises:
        TypeError: it does; the text names the controls that can be.
    """
    for control in declared:
        if control not in known:
            why = PERMUTED if control == "labels" else remedy
            raise TypeError(f"the control {control} cannot be applied to {kind}{why}; it takes: {', '.join(known)}")


def rival(
    name: Control,
    sides: BothSides,
    claim: Evidence,
    again: Callable[[BothSides], Evidence],
    shown: Callable[[BothSides], Effect],
    *,
    found: bool,
    terms: Recorder,
) -> ControlResult:
    """The evidence again on what a control reads: it explains the claim if it is there too, at least half as large.

    Args:
        name: one of `READ`.
        sides: what the claim's evidence is made on.
        claim: that evidence.
        again: makes it on other features, without controls; for pasted words.
        shown: how much of the effect some features show; for draws of what is random.
        found: whether the claim's own evidence is there; nothing else can be explained.
        terms: of the claim.
    """
    try:
        if name in RANDOM:
            return _drawn(name, sides, claim, shown, found=found, terms=terms)
        evidence = again(tuple(side.under(name) for side in sides))
    except (NotRun, ValueError) as error:  # no feature fires on some prompt of a random model, for one
        return ControlResult(
            name=name, expects="absent", explains=False, estimate=0.0, interval=None, p=None, detail=str(error)
        )
    share = None if not claim.estimate or evidence.estimate is None else evidence.estimate / claim.estimate
    told = "" if share is None or evidence.p is None else f"; {share:.0%} of the effect"
    reproduced = evidence.p is not None and evidence.p < terms.alpha and share is not None and share >= 0.5  # noqa: PLR2004 - it makes up more of the effect than it leaves
    return ControlResult(
        name=name,
        expects="absent",
        explains=found and reproduced,
        estimate=evidence.estimate or 0.0,
        interval=evidence.interval,
        p=evidence.p,
        share=share,
        evidence=evidence,
        detail=f"with the styles' own words pasted into neutral prompts {evidence.reason}{told}",
    )


def _drawn(
    name: Control,
    sides: BothSides,
    claim: Evidence,
    shown: Callable[[BothSides], Effect],
    *,
    found: bool,
    terms: Recorder,
) -> ControlResult:
    """What the draws show, beside what the claim shows on the prompts that they read."""

    def under(draw: int) -> BothSides:
        return tuple(side.under(name, draw) for side in sides)

    first = under(0)
    here = tuple(_on(side, there) for side, there in zip(sides, first, strict=True))
    drawn = [shown(first), *(shown(under(draw)) for draw in range(1, n_draws(terms.alpha)))]
    return judged_draws(
        name,
        shown(here),
        drawn,
        statement=claim.statement,
        unit=claim.unit,
        prompts=sum(len(side) for side in here),
        found=found,
        terms=terms,
    )


def _on(side: Features, there: Features) -> Features:
    """The prompts that were read there too."""
    these = set(there.prompts)
    return side.select([index for index, prompt in enumerate(side.prompts) if prompt in these])
