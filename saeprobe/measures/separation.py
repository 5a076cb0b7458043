"""Separation: features that fire on every prompt of one style and on none of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls import RANDOM, READ_ELSEWHERE
from saeprobe.evidence.controls.draws import Effect, judged_draws, n_draws
from saeprobe.evidence.evidence import (
    ControlResult,
    Evidence,
    EvidenceOutcome,
    Recorder,
    Sample,
    UnitValue,
    current_terms,
    record,
)
from saeprobe.evidence.units import refuse_controls, sample_of, unit_means
from saeprobe.evidence.values import Measurement, Quantity
from saeprobe.features.sparse import Features
from saeprobe.measures.activity import firing_rate
from saeprobe.measures.halving import Selected, selected
from saeprobe.measures.reading import Readable, captured, feature_numbers, firing, refuse_apart
from saeprobe.recorded.directory import RecordedStyle
from saeprobe.statistics.intervals import rate_interval


def separating_features(yes: Features, no: Features, *, most: int = 10) -> Selected:
    """Features that fire on every prompt of `yes` and on none of `no`, the strongest on its weakest prompt first.

    There may be none; confirming a selection of none refutes that there is such a feature.

    Raises:
        TypeError: the sides were read at different tokens, or share prompts.
        NotRun: a record of summaries does not tell which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    candidates = np.flatnonzero(firing(yes).all(axis=0) & ~firing(no).any(axis=0))
    weakest = [_weakest(yes, int(feature)) for feature in candidates]
    order = np.argsort(weakest)[::-1][:most]
    return selected(tuple(int(candidates[index]) for index in order), yes, no)


def separates(features: int | Sequence[int] | Selected, yes: Readable, no: Readable) -> Evidence:
    """Evidence that each feature fires on every prompt of `yes` and on no prompt of `no`.

    A universal sentence: one exception refutes it. The interval of each rate is Clopper-Pearson over templates, or over
    topics under a single wording; a unit counts with the share of its prompts.

    Raises:
        ValueError: no feature is given.
        TypeError: the claim asks for controls, a feature is no whole number, or the sides were read at different tokens
            or share prompts.
    """
    refuse_controls("separation", current_terms())
    refuse_apart(yes, no)
    picked = features if isinstance(features, Selected) else None
    wanted = _numbers(features)
    if not wanted:
        if picked is None:
            raise ValueError("separates() was given no feature; a statement about none is not evidence")
        return record(_none_selected(yes, no, picked))
    parts = tuple(_separates_one(feature, yes, no, picked) for feature in wanted)
    if len(parts) == 1:
        return record(parts[0])
    against = [part for part in parts if part.outcome != "supported"]
    outcome: EvidenceOutcome = "supported"
    if against:
        outcome = "refuted" if any(part.outcome == "refuted" for part in against) else "inconclusive"
    reason = (
        f"{len(against)} of {len(parts)} features do not: {against[0].reason}"
        if against
        else f"all {len(parts)} features do: {', '.join(str(feature) for feature in wanted)}"
    )
    return record(
        Evidence(
            kind="every",
            statement=f"each of features {', '.join(map(str, wanted))} {_statement(yes, no)}",
            outcome=outcome,
            reason=reason,
            scope=parts[0].scope,
            unit="share of prompts",
            parts=parts,
            tried=parts[0].tried,
            rule="supported where every part is; refuted where a single one is; inconclusive otherwise",
        )
    )


def _none_selected(yes: Readable, no: Readable, picked: Selected) -> Evidence:
    return Evidence(
        kind="separation",
        statement=f"some feature {_statement(yes, no)}",
        outcome="refuted",
        reason=f"none of {picked.tried:,} features does so on {_beside(picked, yes, no)}",
        scope="these templates",
        unit="share of prompts",
        tried=picked.tried,
        rule="a feature that separates all prompts separates those that were picked on; where none does, there is none",
    )


def _numbers(features: int | Sequence[int] | Selected) -> tuple[int, ...]:
    return features.features if isinstance(features, Selected) else feature_numbers(features)


def _weakest(of: Features, feature: int) -> float:
    """Activation of `feature` on the prompt of `of` where it is weakest, the largest over the tokens read of each."""
    strongest = np.zeros(len(of))
    np.maximum.at(strongest, of.row_prompt, of.acts[:, [feature]].toarray().ravel())
    return float(strongest.min())


def _separates_one(feature: int, yes: Readable, no: Readable, picked: Selected | None) -> Evidence:
    rates = firing_rate(yes, feature), firing_rate(no, feature)
    n_yes, n_no = (_prompts_behind(rate, of) for rate, of in zip(rates, (yes, no), strict=True))
    (sample_yes, units_yes), (sample_no, units_no) = (_with_interval(rate) for rate in rates)
    fires = (
        f"feature {feature} fires on {sample_yes.mean:.1%} of {sample_yes.label} "
        f"and {sample_no.mean:.1%} of {sample_no.label} prompts"
    )
    outcome: EvidenceOutcome
    if min(n_yes, n_no) < 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome, reason = "inconclusive", f"{fires}, but a side has fewer than 2 prompts"
    elif sample_yes.mean == 1 and sample_no.mean == 0:
        outcome, reason = "supported", fires + _bounds(sample_yes, sample_no)
        if picked is not None and _looked_at(picked, yes, no):
            outcome, reason = "inconclusive", f"{fires}, but on prompts on which it was picked: confirm it on others"
    else:
        outcome, reason = "refuted", fires + _exceptions(*rates)
    return Evidence(
        kind="separation",
        statement=f"feature {feature} {_statement(yes, no)}",
        outcome=outcome,
        reason=reason,
        scope=_scope(yes, no, (n_yes, n_no), picked),
        unit="share of prompts",
        estimate=sample_yes.mean - sample_no.mean,
        level=1 - current_terms().alpha,
        units="prompts",
        n_units=(n_yes, n_no),
        samples=(sample_yes, sample_no),
        tried=None if picked is None else picked.tried,
        unit_values=units_yes + units_no,
        rule=_RULE,
    )


_RULE = (
    "supported where the feature fires on every prompt of the first side and on none of the second, with at least 2 "
    "prompts on each; refuted by a single exception; inconclusive with fewer prompts, and where the feature was picked "
    "by looking at any of them. The intervals are exact binomial "
    "ones: the sum of the unit values of a side, out of their number"
)


def _statement(yes: Readable, no: Readable) -> str:
    return f"fires on every {_label(yes)} prompt and on no {_label(no)} prompt"


def _label(of: Readable) -> str:
    return of.style if isinstance(of, RecordedStyle) else of.label


def _prompts_behind(rate: Quantity, of: Readable) -> int:
    if isinstance(rate, Measurement):
        return len(rate.values)
    return (of.n_at_least if isinstance(of, RecordedStyle) else rate.n) or 0


def _with_interval(rate: Quantity) -> tuple[Sample, tuple[UnitValue, ...]]:
    """The rate with its exact interval over units, and these units; none for a bare summary."""
    terms = current_terms()
    sample = sample_of(rate, terms)
    if not isinstance(rate, Measurement):
        return sample, ()
    units, _, _ = unit_means(rate, terms.over)
    interval = rate_interval(sum(unit.value for unit in units), len(units), level=1 - terms.alpha)
    return replace(sample, interval=interval), units


def _bounds(yes: Sample, no: Sample) -> str:
    if yes.interval is None or no.interval is None:
        return ""
    return (
        f"; over these wordings that supports rates of at least {yes.interval[0]:.1%} and at most {no.interval[1]:.1%}"
    )


def _exceptions(yes: Quantity, no: Quantity) -> str:
    for side, wanted in ((yes, 1.0), (no, 0.0)):
        if isinstance(side, Measurement) and (side.values != wanted).any():
            wrong = side.prompts[int(np.flatnonzero(side.values != wanted)[0])]
            return f"; {'silent' if wanted else 'fires'} on {wrong.text!r}, for one"
    return ""


def _scope(yes: Readable, no: Readable, prompts: tuple[int, int], picked: Selected | None) -> str:
    if isinstance(yes, RecordedStyle):
        n_yes, n_no = prompts
        return f"the recorded prompts, at least {n_yes} + {n_no}; the features were picked on these same prompts"
    templates = len({prompt.template for prompt in yes.prompts})
    scope = "this wording only" if templates == 1 else f"these {templates} templates a style"
    if picked is not None:
        scope += f"; picked among {picked.tried:,} features on {_beside(picked, yes, no)}"
    return scope


def _looked_at(picked: Selected, *sides: Readable) -> bool:
    """Whether some of these prompts are among those on which was picked."""
    looked = set(picked.prompts)
    return any(not looked.isdisjoint(side.prompts) for side in sides if isinstance(side, Features))


def _beside(picked: Selected, *sides: Readable) -> str:
    return picked.beside(*(side for side in sides if isinstance(side, Features)))


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
