"""Separation says that a feature fires on every prompt of one style and on none of another; rivals are run here too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls import HALF, RANDOM, READ_ELSEWHERE
from saeprobe.evidence.controls.draws import Effect, judged_draws, n_draws
from saeprobe.evidence.evidence import (
    ControlResult,
    Evidence,
    EvidenceOutcome,
    Sample,
    Terms,
    UnitValue,
    current_terms,
    record,
)
from saeprobe.evidence.units import refuse_controls, sample_of, unit_means
from saeprobe.evidence.values import Measurement, Quantity
from saeprobe.features import Features
from saeprobe.files import number
from saeprobe.measures.activity import firing_rate
from saeprobe.measures.halving import Selected, selected
from saeprobe.measures.reading import Readable, captured, feature_numbers, firing, label_of, refuse_apart
from saeprobe.recorded.record import RecordedStyle
from saeprobe.statistics.intervals import rate_interval

SHARE = "share of prompts"


def separating_features(yes: Features, no: Features, *, most: int = 10) -> Selected:
    """Return features that fire on every prompt of `yes` and on none of `no`, strongest on their weakest prompt first.

    There may be none; confirming a selection of none refutes that there is such a feature.

    Raises:
        TypeError: the sides were read at different tokens, or share prompts.
        NotRun: a record of summaries does not say which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    candidates = np.flatnonzero(firing(yes).all(axis=0) & ~firing(no).any(axis=0))
    strongest = np.zeros((len(yes), len(candidates)))
    np.maximum.at(strongest, yes.row_prompt, yes.encoded[:, candidates].toarray())
    order = np.argsort(strongest.min(axis=0))[::-1][:most]
    return selected(tuple(int(candidates[index]) for index in order), yes, no)


def separates(features: int | Sequence[int] | Selected, yes: Readable, no: Readable) -> Evidence:
    """Return evidence that each feature fires on every prompt of `yes` and on no prompt of `no`.

    A universal sentence: one exception refutes it. The interval of each rate is Clopper-Pearson over templates, or over
    topics under a single wording; a unit counts with the share of its prompts.

    Raises:
        ValueError: no feature is given.
        TypeError: the claim asks for controls, a feature is no whole number, or the sides were read at different tokens
            or share prompts.
    """
    terms = current_terms()
    refuse_controls("separation", terms)
    refuse_apart(yes, no)
    picked = features if isinstance(features, Selected) else None
    wanted = picked.features if picked is not None else feature_numbers(features)
    if not wanted:
        if picked is None:
            raise ValueError("separates() was given no feature; a statement about none is not evidence")
        return record(
            Evidence(
                kind="separation",
                statement=f"some feature {_statement(yes, no)}",
                outcome="refuted",
                reason=f"none of {picked.tried:,} features does so on {picked.origin(*_captured(yes, no))}",
                scope="these templates",
                unit=SHARE,
                tried=picked.tried,
                rule="a feature that separates all prompts separates those that were picked on; where none does, there "
                "is none",
            )
        )
    parts = tuple(_separates_one(feature, yes, no, picked, terms) for feature in wanted)
    if len(parts) == 1:
        return record(parts[0])
    against = [part for part in parts if part.outcome != "supported"]
    outcome: EvidenceOutcome = "supported"
    reason = f"all {len(parts)} features do: {', '.join(str(feature) for feature in wanted)}"
    if against:
        outcome = "refuted" if any(part.outcome == "refuted" for part in against) else "inconclusive"
        reason = f"{len(against)} of {len(parts)} features do not: {against[0].reason}"
    return record(
        Evidence(
            kind="every",
            statement=f"each of features {', '.join(map(str, wanted))} {_statement(yes, no)}",
            outcome=outcome,
            reason=reason,
            scope=parts[0].scope,
            unit=SHARE,
            parts=parts,
            tried=parts[0].tried,
            rule="supported where every part is; refuted where a single one is; inconclusive otherwise",
        )
    )


def _separates_one(feature: int, yes: Readable, no: Readable, picked: Selected | None, terms: Terms) -> Evidence:
    rates = firing_rate(yes, feature), firing_rate(no, feature)
    n_yes, n_no = (_prompts_behind(rate, of) for rate, of in zip(rates, (yes, no), strict=True))
    (sample_yes, units_yes), (sample_no, units_no) = (_with_interval(rate, terms) for rate in rates)
    fires = (
        f"feature {feature} fires on {number(sample_yes.mean, SHARE)} of {sample_yes.label} "
        f"and {number(sample_no.mean, SHARE)} of {sample_no.label} prompts"
    )
    outcome: EvidenceOutcome
    if min(n_yes, n_no) < 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome, reason = "inconclusive", f"{fires}, but a side has fewer than 2 prompts"
    elif sample_yes.mean == 1 and sample_no.mean == 0:
        outcome, reason = "supported", fires + _bounds(sample_yes, sample_no)
        if picked is not None and any(set(picked.prompts) & set(side.prompts) for side in _captured(yes, no)):
            outcome, reason = "inconclusive", f"{fires}, but on prompts on which it was picked: confirm it on others"
    else:
        outcome, reason = "refuted", fires + _exceptions(*rates)
    return Evidence(
        kind="separation",
        statement=f"feature {feature} {_statement(yes, no)}",
        outcome=outcome,
        reason=reason,
        scope=_scope(yes, no, (n_yes, n_no), picked),
        unit=SHARE,
        estimate=sample_yes.mean - sample_no.mean,
        level=1 - terms.alpha,
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
    return f"fires on every {label_of(yes)} prompt and on no {label_of(no)} prompt"


def _prompts_behind(rate: Quantity, of: Readable) -> int:
    if isinstance(rate, Measurement):
        return len(rate.values)
    return (of.n_at_least if isinstance(of, RecordedStyle) else rate.n) or 0


def _with_interval(rate: Quantity, terms: Terms) -> tuple[Sample, tuple[UnitValue, ...]]:
    """Return the rate with its exact interval over units, and these units; a bare summary has neither."""
    sample = sample_of(rate, terms)
    if not isinstance(rate, Measurement):
        return sample, ()
    units, _, _ = unit_means(rate, terms.over)
    interval = rate_interval(sum(unit.value for unit in units), len(units), level=1 - terms.alpha)
    return replace(sample, interval=interval), units


def _bounds(yes: Sample, no: Sample) -> str:
    if yes.interval is None or no.interval is None:
        return ""
    least, most = number(yes.interval[0], SHARE), number(no.interval[1], SHARE)
    return f"; over these wordings that supports rates of at least {least} and at most {most}"


def _exceptions(yes: Quantity, no: Quantity) -> str:
    for side, wanted in ((yes, 1.0), (no, 0.0)):
        if isinstance(side, Measurement) and (side.values != wanted).any():
            wrong = side.prompts[int(np.flatnonzero(side.values != wanted)[0])]
            return f"; {'silent' if wanted else 'fires'} on {wrong.text!r}, for example"
    return ""


def _scope(yes: Readable, no: Readable, prompts: tuple[int, int], picked: Selected | None) -> str:
    if isinstance(yes, RecordedStyle):
        n_yes, n_no = prompts
        return f"the recorded prompts, at least {n_yes} + {n_no}; the features were picked on these same prompts"
    templates = len({prompt.template for prompt in yes.prompts})
    scope = "this wording only" if templates == 1 else f"these {templates} templates a style"
    if picked is not None:
        scope += f"; picked among {picked.tried:,} features on {picked.origin(*_captured(yes, no))}"
    return scope


def _captured(*sides: Readable) -> list[Features]:
    return [side for side in sides if isinstance(side, Features)]


READ: tuple[Control, ...] = READ_ELSEWHERE
"""Under these controls something else is read: other prompts, other models, other SAEs."""

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
                name=name, expects="absent", explains=False, estimate=0.0, interval=None, p=None, detail=str(error)
            )

    return tuple(own[name]() if name in own else rival(name) for name in terms.controls)


def _pasted(name: Control, claim: Evidence, evidence: Evidence, found: bool, alpha: float) -> ControlResult:  # noqa: FBT001
    """Hold the evidence on pasted words against that of the claim."""
    share = None if not claim.estimate or evidence.estimate is None else evidence.estimate / claim.estimate
    reproduced = evidence.p is not None and evidence.p < alpha and share is not None and share >= HALF
    of_effect = "" if share is None or evidence.p is None else f"; {number(share, SHARE)} of the effect"
    return ControlResult(
        name=name,
        expects="absent",
        explains=found and reproduced,
        estimate=evidence.estimate or 0.0,
        interval=evidence.interval,
        p=evidence.p,
        share=share,
        evidence=evidence,
        detail=f"with the styles' own words pasted into neutral prompts {evidence.reason}{of_effect}",
    )


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
