"""Separation says that a feature fires on every prompt of one style and on none of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from saeprobe.claims import NotRun
from saeprobe.evidence import Evidence, Judged, Sample, Terms, as_looked, current_terms, record
from saeprobe.evidence.compare import each_holds
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.counts import with_interval
from saeprobe.features import Features
from saeprobe.files import number
from saeprobe.measures.activity import activation, firing_rate
from saeprobe.measures.halving import Selected
from saeprobe.measures.reading import Readable, feature_numbers, refuse_apart, refuse_unread
from saeprobe.prompts.wordings import unit_of
from saeprobe.recorded.record import RecordedStyle

SHARE = "share of prompts"


def separates(features: int | Sequence[int] | Selected, yes: Readable, no: Readable) -> Evidence:
    """Return evidence that each feature fires on every prompt of `yes` and on no prompt of `no`.

    A universal sentence: one exception refutes it. The interval of each rate is Clopper-Pearson over templates, or over
    topics under a single wording; a unit counts with the share of its prompts. How often the feature fires on every
    other style of the capture, or of the record, is shown beside it and decides nothing: `signature` does. Prompts on
    which a feature was picked, as those of a record are, show the rates and support nothing.

    Raises:
        ValueError: no feature is given.
        TypeError: the claim asks for controls, a feature is no whole number, or the sides were read at different tokens
            or share prompts.
    """
    terms = current_terms()
    refuse_controls("separation", terms)
    refuse_apart(yes, no)
    picked, wanted = _wanted("separates", features)
    statement = f"fires on every {yes.label} prompt and on no {no.label} prompt"
    if picked is not None and not wanted:
        return record(
            Evidence(
                kind="separation",
                statement=f"some feature {statement}",
                outcome="refuted",
                reason=f"none of {picked.tried:,} features does so on {picked.origin(yes, no)}",
                scope="these templates",
                unit=SHARE,
                tried=picked.tried,
                rule="a feature that separates all prompts separates those that were picked on; where none does, there "
                "is none",
            )
        )
    return record(_each(wanted, (yes, no), picked, statement, terms))


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
    statement = f"fires on every {of.label} prompt, and on fewer of every other style"
    return record(_each(wanted, (of,), picked, statement, terms))


def _wanted(call: str, features: int | Sequence[int] | Selected) -> tuple[Selected | None, tuple[int, ...]]:
    if isinstance(features, Selected):
        return features, features.features
    wanted = feature_numbers(features)
    if not wanted:
        raise ValueError(f"{call}() was given no feature; a statement about none is not evidence")
    return None, wanted


def _each(
    wanted: Sequence[int], sides: Sequence[Readable], picked: Selected | None, statement: str, terms: Terms
) -> Evidence:
    """Make the evidence that each feature does what `statement` says; of a single one it is its own."""
    parts = [as_looked(_one(feature, sides, picked, statement, terms)) for feature in wanted]
    if len(parts) == 1:
        return parts[0]
    whole, against = each_holds(parts), [part for part in parts if part.outcome == "refuted"]
    listed, these = ", ".join(map(str, wanted)), against or [part for part in parts if part.outcome == "inconclusive"]
    reason = f"all {len(parts)} features do: {listed}"
    if these:
        reason = f"{len(these)} of {len(parts)} features {'do not' if against else 'are open'}: {these[0].reason}"
    elsewhere = [(feature, _reaching(*part.samples)) for feature, part in zip(wanted, parts, strict=True)]
    named = ", ".join(f"{feature} ({', '.join(labels)})" for feature, labels in elsewhere if labels)
    if named and not against:
        reason += f"; not a signature of {sides[0].label} prompts, as another style fires as often: {named}"
    statement = f"each of features {listed} {statement}"
    return replace(whole, statement=statement, reason=reason, tried=parts[0].tried)


def _one(feature: int, sides: Sequence[Readable], picked: Selected | None, statement: str, terms: Terms) -> Evidence:
    """Decide a sentence on one feature: of two sides that it separates them, of one that it is a signature of that.

    The other styles are shown with both, and decide the second.
    """
    beside = others(*sides)
    unknown = [of.label for of in beside if isinstance(of, RecordedStyle) and feature not in of.firing_rates]
    styles = (*sides, *(of for of in beside if of.label not in unknown))
    rates = [firing_rate(of, feature) for of in styles]
    deciding = len(rates) if len(sides) == 1 else 2
    level = 1 - terms.alpha / (len(rates) if len(sides) == 1 else 1)
    shown = [with_interval(rate, terms, level) for rate in rates]
    own, *rest = samples = tuple(
        replace(sample, looked=sample.looked * (row < deciding)) for row, (sample, _) in enumerate(shown)
    )
    at_least = (of.n_at_least or 0 if isinstance(of, RecordedStyle) else 0 for of in styles)
    counts = tuple(one.n or least for one, least in zip(samples[:deciding], at_least, strict=False))
    of_others = samples[len(sides) :]
    fires = f"feature {feature} fires on {number(own.mean, SHARE)} of {own.label}"
    if len(sides) == 1:
        judged = judged_signature(f"{fires} prompts", counts, samples, unknown)
        named = ", ".join(one.label for one in rest) or "no other style"
    else:
        fires += f" and {number(rest[0].mean, SHARE)} of {rest[0].label} prompts"
        judged = judged_separation(fires, counts, samples)
        named = "" if of_others and not unknown else f"{', '.join(one.label for one in rest)} prompts only"
    return Evidence(
        kind="separation",
        statement=f"feature {feature} {statement}",
        outcome=judged[0],
        reason=judged[1] + _weakest(sides[0], feature) + _elsewhere(own, of_others),
        scope=_scope(counts[: len(sides)], named, picked, sides),
        unit=SHARE,
        estimate=own.mean - rest[0].mean if len(sides) > 1 else None,
        level=level,
        units="prompts",
        n_units=counts,
        samples=samples,
        tried=None if picked is None else picked.tried,
        unit_values=tuple(unit for _, units in shown[:deciding] for unit in units),
        rule=RULES[len(sides)],
    )


def judged_separation(fires: str, counts: Sequence[int], samples: Sequence[Sample]) -> Judged:
    """Decide by the rates of a feature on two sides, of so many prompts, whether it separates them."""
    yes, no = samples[:2]
    if min(counts) < 2:  # noqa: PLR2004 - one prompt shows nothing
        return "inconclusive", f"{fires}, but a side has fewer than 2 prompts"
    if yes.mean != 1 or no.mean != 0:
        return "refuted", fires + (_exception(yes, 1) or _exception(no, 0))
    if yes.interval is None or no.interval is None:
        return "supported", fires
    least, most = number(yes.interval[0], SHARE), number(no.interval[1], SHARE)
    return "supported", f"{fires}; over these wordings that supports rates of at least {least} and at most {most}"


def judged_signature(fires: str, counts: Sequence[int], samples: Sequence[Sample], unknown: Sequence[str]) -> Judged:
    """Decide by the rates of a feature on a style and on all others whether it is a signature of the first."""
    own, *rest = samples
    least = 0.0 if own.interval is None else own.interval[0]
    unsure = [one.label for one in rest if one.interval is None or one.interval[1] >= least]
    if min(counts) < 2:  # noqa: PLR2004 - one prompt shows nothing
        return "inconclusive", f"{fires}, but a style has fewer than 2 prompts"
    if own.mean < 1:
        return "refuted", fires + _exception(own, 1)
    if _reaching(own, own, *rest):
        return "refuted", fires
    if unknown:
        return "inconclusive", f"{fires}; not known is on how many of {', '.join(unknown)}"
    if not rest:
        return "inconclusive", f"{fires}; no other style was read, and so nothing says that it is theirs alone"
    if unsure:
        return "inconclusive", f"{fires}; by the intervals it may be as many of {', '.join(unsure)}"
    return "supported", f"{fires}, a rate of at least {number(least, SHARE)}, and surely on fewer elsewhere"


RULES = {  # how the sentences about two sides, and about one, are decided
    2: "supported where the feature fires on every prompt of the first side and on none of the second, with at least 2 "
    "prompts on each; refuted by a single exception; inconclusive with fewer prompts. The intervals are those of a "
    "rate beside a number: exact binomial ones of what a record counts, and of units of several prompts by the trials "
    "that their variance leaves",
    1: "refuted where the feature misses a prompt of its style, or fires on as large a share of another style; "
    "supported where it fires on all of at least 2 prompts, and the interval of the rate of each other "
    "style lies below that of its own, each at 1 - alpha / styles; inconclusive otherwise, and where no other style "
    "was read or one is not known",
}


def others(*sides: Readable) -> tuple[Readable, ...]:
    """Return each style that was read, or recorded, but those of the sides, and what repeats a style."""
    found: dict[str, Readable] = {}
    own = {style for side in sides for style in side.styles}
    for side in sides:
        family = side.whole if isinstance(side, Features) else side.family
        found |= {} if family is None else {style: family[style] for style in family.present}
        if isinstance(side, RecordedStyle) and side.family is not None:
            own |= {side.family.repeats.get(side.style, side.style)}
    texts = {prompt.text for side in sides for prompt in side.prompts}  # those of the style that a side repeats
    return tuple(
        of for style, of in found.items() if style not in own and texts.isdisjoint(one.text for one in of.prompts)
    )


def _reaching(own: Sample, _second: Sample, *rest: Sample) -> list[str]:
    """Name the styles after the first two on which a feature fires, and as often as on the first."""
    return [one.label for one in rest if one.mean > 0 and one.mean >= own.mean]


def _elsewhere(own: Sample, rest: Sequence[Sample]) -> str:
    """Say how often a feature fires on other styles, to go on after how often it fires on its own."""
    ranked = sorted(rest, key=lambda one: -one.mean)
    rates = [f"{number(one.mean, SHARE)} of {one.label}" for one in ranked if one.mean > 0]
    silent = " or ".join(one.label for one in rest if one.mean == 0)
    words = f"; fires on {', '.join(rates)} prompts too" if rates else ""
    words += f"; on no {silent} prompt" if silent else ""
    return words + (f": not a signature of {own.label} prompts" if _reaching(own, own, *rest) else "")


def _weakest(of: Readable, feature: int) -> str:
    """Say how strong the weakest recorded firing is beside the mean one: nobody knows what is near its threshold."""
    if of.run is None or (isinstance(of, RecordedStyle) and feature not in of.activations):
        return ""
    fired = activation(of, feature).values
    fired = fired[fired > 0]
    if not len(fired):
        return ""
    return f"; its weakest firing there is {number(float(fired.min()))}, the mean one {number(float(fired.mean()))}"


def _exception(side: Sample, wanted: int) -> str:
    wrong = (prompt for prompt, value in zip(side.prompts, side.values, strict=True) if value != wanted)
    return next((f"; {'silent' if wanted else 'fires'} on {prompt.text!r}, for example" for prompt in wrong), "")


def _scope(prompts: Sequence[int], others: str, picked: Selected | None, sides: Sequence[Readable]) -> str:
    first, counted, others = sides[0], " + ".join(map(str, prompts)), others and "; beside " + others
    if isinstance(first, RecordedStyle):
        known = f"{counted}, one wording a style" if first.n else f"at least {counted}"
        return f"the recorded prompts, {known}{others}"
    templates = len(set(unit_of(first.prompts)))
    scope = ("this wording only" if templates == 1 else f"these {templates} templates a style") + others
    return scope if picked is None else f"{scope}; picked among {picked.tried:,} features on {picked.origin(*sides)}"
