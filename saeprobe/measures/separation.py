"""Separation: features that fire on every prompt of one style and on none of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saeprobe.evidence import Evidence, EvidenceOutcome, Sample, current_terms, record
from saeprobe.features import Features
from saeprobe.measurement import Measurement, Quantity
from saeprobe.measures.activity import Readable, firing, firing_rate, one_near
from saeprobe.recorded import RecordedStyle
from saeprobe.statistics import rate_interval

MOST_TOLD = 3
"""Picked features near their threshold that are named one by one."""


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Features picked by looking at some prompts, which therefore prove nothing there: confirm them on others."""

    features: tuple[int, ...]
    tried: int
    picked_on: str


def halves(of: Features) -> tuple[Features, Features]:
    """Two halves that share neither a template nor a topic: one to pick features on, one to confirm them.

    Templates (of each style) and topics are dealt out in turn; prompts that mix the halves are left out.

    Raises:
        ValueError: a style has a single template, or there is a single topic.
    """
    topics = list(dict.fromkeys(prompt.topic for prompt in of.prompts))
    sides: dict[tuple[str, str], int] = {}
    for style in of.styles:
        templates = list(dict.fromkeys(prompt.template for prompt in of.prompts if prompt.style == style))
        if min(len(templates), len(topics)) < 2:  # noqa: PLR2004 - a half each
            raise ValueError(
                f"{style} has {len(templates)} template(s) and {len(topics)} topic(s); halves need at least 2 of each"
            )
        sides.update({(style, template): index % 2 for index, template in enumerate(templates)})
    of_topic = {topic: index % 2 for index, topic in enumerate(topics)}
    chosen: tuple[list[int], list[int]] = ([], [])
    for index, prompt in enumerate(of.prompts):
        side = of_topic[prompt.topic]
        if sides[prompt.style, prompt.template] == side:
            chosen[side].append(index)
    return of.select(chosen[0]), of.select(chosen[1])


def separating_features(yes: Features, no: Features, *, most: int = 10) -> Selected:
    """Features that fire on every prompt of `yes` and on none of `no`, the strongest on its weakest prompt first.

    There may be none; confirming a selection of none refutes that there is such a feature.
    """
    candidates = np.flatnonzero(firing(yes).all(axis=0) & ~firing(no).any(axis=0))
    weakest = [_weakest(yes, int(feature)) for feature in candidates]
    order = np.argsort(weakest)[::-1][:most]
    templates = len({prompt.template for prompt in yes.prompts})
    features = tuple(int(candidates[index]) for index in order)
    picked_on = f"{len(yes)} + {len(no)} other prompts ({templates} other templates a style, other topics)"
    told = [
        f"{side.label}: {sentence}"
        for feature in features
        for side in (yes, no)
        if (near := one_near(side, feature)) is not None and (sentence := near.sentence("")) is not None
    ]
    return Selected(features=features, tried=yes.d_sae, picked_on="; there, ".join([picked_on, *told[:MOST_TOLD]]))


def separates(features: int | Sequence[int] | Selected, yes: Readable, no: Readable) -> Evidence:
    """Evidence that each feature fires on every prompt of `yes` and on no prompt of `no`.

    A universal sentence: one exception refutes it. The interval of each rate is Clopper-Pearson over templates (a
    template counts where all its prompts agree), or over prompts under a single wording.
    """
    selected = features if isinstance(features, Selected) else None
    wanted = _numbers(features)
    if not wanted and selected is None:
        raise ValueError("separates() was given no feature; a statement about none is not evidence")
    if not wanted:
        return record(_none_selected(yes, no, selected))
    parts = tuple(_separates_one(feature, yes, no, selected) for feature in wanted)
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
        )
    )


def _none_selected(yes: Readable, no: Readable, selected: Selected | None) -> Evidence:
    picked = "" if selected is None else f"none of {selected.tried:,} features does so on {selected.picked_on}"
    return Evidence(
        kind="separation",
        statement=f"some feature {_statement(yes, no)}",
        outcome="refuted",
        reason=picked,
        scope="these templates",
        unit="share of prompts",
    )


def _numbers(features: int | Sequence[int] | Selected) -> tuple[int, ...]:
    if isinstance(features, int):
        return (features,)
    return features.features if isinstance(features, Selected) else tuple(features)


def _weakest(of: Features, feature: int) -> float:
    """Activation of `feature` on the prompt of `of` where it is weakest, the largest over the tokens read of each."""
    strongest = np.zeros(len(of))
    np.maximum.at(strongest, of.row_prompt, of.acts[:, [feature]].toarray().ravel())
    return float(strongest.min())


def _separates_one(feature: int, yes: Readable, no: Readable, selected: Selected | None) -> Evidence:
    rate_yes, rate_no = firing_rate(yes, feature), firing_rate(no, feature)
    n_yes, n_no = _prompts_behind(rate_yes, yes), _prompts_behind(rate_no, no)
    sample_yes, sample_no = _with_interval(rate_yes), _with_interval(rate_no)
    fires = (
        f"feature {feature} fires on {sample_yes.mean:.1%} of {sample_yes.label} "
        f"and {sample_no.mean:.1%} of {sample_no.label} prompts"
    )
    outcome: EvidenceOutcome
    if min(n_yes, n_no) < 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome, reason = "inconclusive", f"{fires}, but a side has fewer than 2 prompts"
    elif sample_yes.mean == 1 and sample_no.mean == 0:
        outcome, reason = "supported", fires + _bounds(sample_yes, sample_no)
    else:
        outcome, reason = "refuted", fires + _exceptions(rate_yes, rate_no)
    return Evidence(
        kind="separation",
        statement=f"feature {feature} {_statement(yes, no)}",
        outcome=outcome,
        reason=reason,
        scope=_scope(yes, n_yes, n_no, selected),
        unit="share of prompts",
        estimate=sample_yes.mean - sample_no.mean,
        level=1 - current_terms().alpha,
        units="prompts",
        n_units=(n_yes, n_no),
        samples=(sample_yes, sample_no),
    )


def _statement(yes: Readable, no: Readable) -> str:
    return f"fires on every {_label(yes)} prompt and on no {_label(no)} prompt"


def _label(of: Readable) -> str:
    return of.style if isinstance(of, RecordedStyle) else of.label


def _prompts_behind(rate: Quantity, of: Readable) -> int:
    if isinstance(rate, Measurement):
        return len(rate.values)
    return (of.n_at_least if isinstance(of, RecordedStyle) else rate.n) or 0


def _with_interval(rate: Quantity) -> Sample:
    """The rate with its exact interval over templates, or over prompts under one wording; none for a bare summary."""
    sample = rate.sample
    if not isinstance(rate, Measurement):
        return sample
    by_template: dict[str, list[float]] = {}
    for prompt, value in zip(rate.prompts, rate.values, strict=True):
        by_template.setdefault(prompt.template, []).append(float(value))
    units = list(rate.values) if len(by_template) == 1 else [float(np.mean(each)) for each in by_template.values()]
    whole = units if rate.mean > 0.5 else [1 - unit for unit in units]  # noqa: PLR2004 - count the agreeing units
    low, high = rate_interval(sum(unit == 1 for unit in whole), len(whole), level=1 - current_terms().alpha)
    return replace(sample, interval=(low, high) if whole is units else (1 - high, 1 - low))


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


def _scope(yes: Readable, n_yes: int, n_no: int, selected: Selected | None) -> str:
    if isinstance(yes, RecordedStyle):
        return f"the recorded prompts, at least {n_yes} + {n_no}; the features were picked on these same prompts"
    templates = len({prompt.template for prompt in yes.prompts})
    scope = "this wording only" if templates == 1 else f"these {templates} templates a style"
    if selected:
        scope += f"; picked among {selected.tried:,} features on {selected.picked_on}"
    return scope
