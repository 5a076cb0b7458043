"""Separation says that a feature fires on every prompt of one style and on none of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saeprobe.claims import NotRun
from saeprobe.evidence.bounds import trials_of
from saeprobe.evidence.evidence import (
    Evidence,
    EvidenceOutcome,
    Judged,
    Sample,
    Terms,
    UnitValue,
    current_terms,
    record,
)
from saeprobe.evidence.units import refuse_controls, sample_of
from saeprobe.evidence.values import Measurement, Quantity
from saeprobe.features import Features
from saeprobe.files import number
from saeprobe.measures.activity import firing_rate
from saeprobe.measures.halving import Selected
from saeprobe.measures.reading import Readable, feature_numbers, label_of, refuse_apart, refuse_unread
from saeprobe.recorded.record import RecordedStyle
from saeprobe.statistics.intervals import rate_interval

SHARE = "share of prompts"
_PICKED = ", but on prompts on which it was picked: confirm it on others"


def separates(features: int | Sequence[int] | Selected, yes: Readable, no: Readable) -> Evidence:
    """Return evidence that each feature fires on every prompt of `yes` and on no prompt of `no`.

    A universal sentence: one exception refutes it. The interval of each rate is Clopper-Pearson over templates, or over
    topics under a single wording; a unit counts with the share of its prompts. How often the feature fires on every
    other style of the capture, or of the record, is shown beside it and decides nothing: `signature` does.

    Raises:
        ValueError: no feature is given.
        TypeError: the claim asks for controls, a feature is no whole number, or the sides were read at different tokens
            or share prompts.
    """
    terms = current_terms()
    refuse_controls("separation", terms)
    refuse_apart(yes, no)
    picked, wanted = _wanted("separates", features)
    statement = f"fires on every {label_of(yes)} prompt and on no {label_of(no)} prompt"
    if picked is not None and not wanted:
        return record(
            Evidence(
                kind="separation",
                statement=f"some feature {statement}",
                outcome="refuted",
                reason=f"none of {picked.tried:,} features does so on {picked.origin(*_captured(yes, no))}",
                scope="these templates",
                unit=SHARE,
                tried=picked.tried,
                rule="a feature that separates all prompts separates those that were picked on; where none does, there "
                "is none",
            )
        )
    parts = [_separates_one(feature, yes, no, picked, statement, terms) for feature in wanted]
    return record(_together(wanted, parts, statement))


def signature(features: int | Sequence[int] | Selected, of: Readable) -> Evidence:
    """Return evidence that each feature fires on every prompt of a style, and on fewer of every other style.

    The other styles are those of the same capture, or of the same record: a feature that fires on all prompts that ask
    for care is no signature of experts, though it is silent on novice prompts. The exact intervals of all rates hold at
    once (Bonferroni).

    Raises:
        ValueError: no feature is given.
        TypeError: the claim asks for controls, or a feature is no whole number.
        NotRun: nothing was picked, or a record does not list a feature.
    """
    terms = current_terms()
    refuse_controls("separation", terms)
    refuse_unread(of)
    picked, wanted = _wanted("signature", features)
    if picked is not None and not wanted:
        raise NotRun(f"none of {picked.tried:,} features was picked, so that there is none to hold beside other styles")
    statement = f"fires on every {label_of(of)} prompt, and on fewer of every other style"
    parts = [_signature_one(feature, of, picked, statement, terms) for feature in wanted]
    return record(_together(wanted, parts, statement))


def _wanted(call: str, features: int | Sequence[int] | Selected) -> tuple[Selected | None, tuple[int, ...]]:
    if isinstance(features, Selected):
        return features, features.features
    wanted = feature_numbers(features)
    if not wanted:
        raise ValueError(f"{call}() was given no feature; a statement about none is not evidence")
    return None, wanted


def _together(wanted: Sequence[int], parts: Sequence[Evidence], statement: str) -> Evidence:
    """Make the evidence that each feature does what `statement` says; of a single one it is its own."""
    if len(parts) == 1:
        return parts[0]
    against = [part for part in parts if part.outcome != "supported"]
    outcome: EvidenceOutcome = "supported"
    reason = f"all {len(parts)} features do: {', '.join(str(feature) for feature in wanted)}"
    if against:
        outcome = "refuted" if any(part.outcome == "refuted" for part in against) else "inconclusive"
        first = next(part for part in against if part.outcome == outcome)
        reason = f"{len(against)} of {len(parts)} features do not: {first.reason}"
    elsewhere = [(feature, _reaching(part.samples)) for feature, part in zip(wanted, parts, strict=True)]
    named = ", ".join(f"{feature} ({', '.join(labels)})" for feature, labels in elsewhere if labels)
    if named and outcome == "supported":
        reason += f"; not a signature of {parts[0].samples[0].label} prompts, as another style fires as often: {named}"
    return Evidence(
        kind="every",
        statement=f"each of features {', '.join(map(str, wanted))} {statement}",
        outcome=outcome,
        reason=reason,
        scope=parts[0].scope,
        unit=SHARE,
        parts=tuple(parts),
        tried=parts[0].tried,
        rule="supported where every part is; refuted where a single one is; inconclusive otherwise",
    )


def _separates_one(
    feature: int, yes: Readable, no: Readable, picked: Selected | None, statement: str, terms: Terms
) -> Evidence:
    rates = firing_rate(yes, feature), firing_rate(no, feature)
    n_yes, n_no = (_prompts_behind(rate, of) for rate, of in zip(rates, (yes, no), strict=True))
    sides = [_with_interval(rate, terms, 1 - terms.alpha) for rate in (*rates, *_beside(feature, yes, no))]
    (sample_yes, units_yes), (sample_no, units_no) = sides[:2]
    samples = tuple(sample for sample, _ in sides)
    fires = (
        f"feature {feature} fires on {number(sample_yes.mean, SHARE)} of {sample_yes.label} "
        f"and {number(sample_no.mean, SHARE)} of {sample_no.label} prompts"
    )
    judged: Judged = "supported", fires + _bounds(sample_yes, sample_no)
    if min(n_yes, n_no) < 2:  # noqa: PLR2004 - one prompt shows nothing
        judged = "inconclusive", f"{fires}, but a side has fewer than 2 prompts"
    elif sample_yes.mean != 1 or sample_no.mean != 0:
        judged = "refuted", fires + _exceptions(*rates)
    elif _picked_on(picked, yes, no):
        judged = "inconclusive", f"{fires}{_PICKED}"
    return Evidence(
        kind="separation",
        statement=f"feature {feature} {statement}",
        outcome=judged[0],
        reason=judged[1] + _elsewhere(samples[:1] + samples[2:]),
        scope=_scope((n_yes, n_no), picked, yes, no) + ("" if samples[2:] else f"; beside {label_of(no)} prompts only"),
        unit=SHARE,
        estimate=sample_yes.mean - sample_no.mean,
        level=1 - terms.alpha,
        units="prompts",
        n_units=(n_yes, n_no),
        samples=samples,
        tried=None if picked is None else picked.tried,
        unit_values=units_yes + units_no,
        rule=_RULE,
    )


_RULE = (
    "supported where the feature fires on every prompt of the first side and on none of the second, with at least 2 "
    "prompts on each; refuted by a single exception; inconclusive with fewer prompts, and where the feature was picked "
    "by looking at any of them. The intervals are exact binomial ones: the sum of the unit values of a side, out of "
    "their number, or what a record counts"
)


def _signature_one(feature: int, of: Readable, picked: Selected | None, statement: str, terms: Terms) -> Evidence:
    rates = firing_rate(of, feature), *_beside(feature, of)
    level = 1 - terms.alpha / len(rates)
    sides = [_with_interval(rate, terms, level) for rate in rates]
    own, *rest = samples = tuple(sample for sample, _ in sides)
    counts = tuple(_prompts_behind(rate, of) for rate in rates)
    fires = f"feature {feature} fires on {number(own.mean, SHARE)} of {own.label} prompts"
    least = 0.0 if own.interval is None else own.interval[0]
    unsure = [one.label for one in rest if one.interval is None or one.interval[1] >= least]
    judged: Judged = "supported", f"{fires}, of others at least {number(least, SHARE)}, and surely on fewer elsewhere"
    if min(counts) < 2:  # noqa: PLR2004 - one prompt shows nothing
        judged = "inconclusive", f"{fires}, but a style has fewer than 2 prompts"
    elif own.mean < 1:
        judged = "refuted", fires + _exceptions(rates[0], None)
    elif _reaching((own, own, *rest)):
        judged = "refuted", fires
    elif not rest:
        judged = "inconclusive", f"{fires}; no other style was read, and so nothing says that it is theirs alone"
    elif _picked_on(picked, of):
        judged = "inconclusive", f"{fires}{_PICKED}"
    elif unsure:
        judged = "inconclusive", f"{fires}; by the intervals it may be as many of {', '.join(unsure)}"
    return Evidence(
        kind="separation",
        statement=f"feature {feature} {statement}",
        outcome=judged[0],
        reason=judged[1] + _elsewhere(samples),
        scope=f"{_scope(counts, picked, of)}; beside {', '.join(one.label for one in rest) or 'no other style'}",
        unit=SHARE,
        level=level,
        units="prompts",
        n_units=counts,
        samples=samples,
        tried=None if picked is None else picked.tried,
        unit_values=tuple(unit for _, units in sides for unit in units),
        rule=_SIGNATURE_RULE,
    )


_SIGNATURE_RULE = (
    "refuted where the feature misses a prompt of its style, or fires on as large a share of another style; supported "
    "where it fires on all of at least 2 prompts, and the exact binomial interval of the rate of each other style lies "
    "below that of its own, each at 1 - alpha / styles; inconclusive otherwise, where no other style was read, and "
    "where the feature was picked by looking at any of these prompts"
)


def others(*sides: Readable) -> tuple[Readable, ...]:
    """Return each style that was read, or recorded, beside those of the sides."""
    found: dict[str, Readable] = {}
    for side in sides:
        family = side.whole if isinstance(side, Features) else side.family
        found |= {} if family is None else {style: family[style] for style in family.styles}
    own = {style for side in sides for style in (side.styles if isinstance(side, Features) else (side.style,))}
    return tuple(of for style, of in found.items() if style not in own)


def _beside(feature: int, *sides: Readable) -> tuple[Quantity, ...]:
    """Return how often a feature fires on each other style; a record need not list it for all of them."""
    known = (of for of in others(*sides) if isinstance(of, Features) or feature in of.firing_rates)
    return tuple(firing_rate(of, feature) for of in known)


def _reaching(samples: Sequence[Sample]) -> list[str]:
    """Name the styles after the first two on which a feature fires, and as often as on the first."""
    return [one.label for one in samples[2:] if one.mean > 0 and one.mean >= samples[0].mean]


def _elsewhere(samples: Sequence[Sample]) -> str:
    """Say how often a feature fires on the styles after the first, to go on after how often it fires there."""
    own, *rest = samples
    ranked = sorted((one for one in rest if one.mean > 0), key=lambda one: -one.mean)
    rates = [f"{number(one.mean, SHARE)} of {one.label}" for one in ranked]
    silent = " or ".join(one.label for one in rest if one.mean == 0)
    words = f"; fires on {', '.join(rates)} prompts too" if rates else ""
    words += f"; on no {silent} prompt" if silent else ""
    return words + (f": not a signature of {own.label} prompts" if _reaching((own, own, *rest)) else "")


def _picked_on(picked: Selected | None, *sides: Readable) -> bool:
    return picked is not None and any(set(picked.prompts) & set(side.prompts) for side in _captured(*sides))


def _prompts_behind(rate: Quantity, of: Readable) -> int:
    if isinstance(rate, Measurement):
        return len(rate.values)
    return rate.n or (of.n_at_least if isinstance(of, RecordedStyle) else 0) or 0


def _with_interval(rate: Quantity, terms: Terms, level: float) -> tuple[Sample, tuple[UnitValue, ...]]:
    """Return the rate with its exact interval over units, and these units; a share of unknown prompts has neither."""
    sample, found = sample_of(rate, terms), trials_of(rate, terms.over)
    if found is None:
        return sample, ()
    return replace(sample, interval=rate_interval(found.successes, found.trials, level=level)), found.values


def _bounds(yes: Sample, no: Sample) -> str:
    if yes.interval is None or no.interval is None:
        return ""
    least, most = number(yes.interval[0], SHARE), number(no.interval[1], SHARE)
    return f"; over these wordings that supports rates of at least {least} and at most {most}"


def _exceptions(yes: Quantity, no: Quantity | None) -> str:
    for side, wanted in ((yes, 1.0), (no, 0.0)):
        if isinstance(side, Measurement) and (side.values != wanted).any():
            wrong = side.prompts[int(np.flatnonzero(side.values != wanted)[0])]
            return f"; {'silent' if wanted else 'fires'} on {wrong.text!r}, for example"
    return ""


def _scope(prompts: Sequence[int], picked: Selected | None, *sides: Readable) -> str:
    first = sides[0]
    if isinstance(first, RecordedStyle):
        counted = " + ".join(map(str, prompts[: len(sides)]))
        known = f"{counted}, one wording a style" if first.n else f"at least {counted}"
        return f"the recorded prompts, {known}; the features were picked on these same prompts"
    templates = len({prompt.template for prompt in first.prompts})
    scope = "this wording only" if templates == 1 else f"these {templates} templates a style"
    if picked is not None:
        scope += f"; picked among {picked.tried:,} features on {picked.origin(*_captured(*sides))}"
    return scope


def _captured(*sides: Readable) -> list[Features]:
    return [side for side in sides if isinstance(side, Features)]
