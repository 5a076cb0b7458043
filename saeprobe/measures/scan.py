"""A scan picks features on one half of the prompts and confirms them on the other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import ceil, inf

import numpy as np

from saeprobe.evidence import Evidence, Needed, Sample, Terms, current_terms, record
from saeprobe.evidence.controls import refuse_others, verdict_of
from saeprobe.evidence.controls.adjusting import run_rivals
from saeprobe.evidence.controls.draws import BothSides, Effect
from saeprobe.evidence.near import one_near
from saeprobe.evidence.units import unit_values
from saeprobe.features import Features
from saeprobe.files import against, p_value
from saeprobe.measures.halving import Rates, Selected, halved, rates, selected
from saeprobe.measures.reading import Readable, captured, refuse_apart, templates, topics
from saeprobe.measures.separation import SHARE
from saeprobe.prompts.wordings import copies
from saeprobe.statistics.intervals import units_to_decide
from saeprobe.statistics.permutation import Tested
from saeprobe.statistics.planning import q_values

EXAMPLES = 3  # confirmed features at most that the reason names; the others are in the report


def pick(yes: Readable, no: Readable, *, most: int = 1) -> Selected:
    """Return the features that fire on `yes` more often than on `no` by the largest difference of their rates.

    Rates are means over templates where both sides have several, else over topics. Equal differences are ordered by
    the difference in standard deviations between these units, then by number. Picked by looking at these prompts, they
    prove nothing there: confirm them on others (`halves`).

    Raises:
        ValueError: the prompts share no topic.
        TypeError: the sides were read at different tokens, or share prompts.
        NotRun: a record does not say which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    found = rates(yes, no, current_terms().over)
    if isinstance(found, str):
        raise ValueError(f"{found}: nothing to pick by")  # noqa: TRY004 - the sentence says why there is nothing
    return selected(found.ranked(most), yes, no)


def scan(yes: Readable, no: Readable, *, most: int = 20) -> Evidence:
    """Return evidence that some features fire on `yes` more often than on `no`, found by looking at all of them.

    The prompts are halved (`halves`): on one half the `most` features with the largest difference are picked, on the
    other each is tested by permuting labels between templates, or within topics under one wording. One-sided, for the
    direction was picked too. Among the picked, the false discovery rate is held at alpha / 2 (Benjamini & Hochberg
    1995, J. R. Stat. Soc. B 57): of many confirmed ones so large a share may be false. With few templates fewer than
    `most` can be confirmed: 4 + 4 that confirm reach p = 1/70 at best.

    Raises:
        ValueError: fewer than one feature is wanted, or the prompts cannot be halved.
        TypeError: the claim declares a control that a scan does not take, or generalises over both at once; or the
            sides were read at different tokens, or share prompts.
        NotRun: a record does not say which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    terms = current_terms()
    refuse_others("a scan", terms.controls)
    if most < 1:
        raise ValueError(f"most is {most}; wanted at least one feature to confirm")
    if len(terms.over) > 1:
        raise TypeError("a scan permutes templates or topics; state one: over=('templates',) or over=('topics',)")
    return record(_scanned((yes, no), terms, most=most))


def _scanned(sides: BothSides, terms: Terms, *, most: int) -> Evidence:
    yes, no = sides
    halves = halved(sides, terms.over)
    (pick_yes, test_yes), (pick_no, test_no) = halves
    apart = all(set(templates(picked)).isdisjoint(templates(tested)) for picked, tested in halves)
    where = "on wordings and topics" if apart else "on topics"
    base = Evidence(
        kind="scan",
        statement=f"some features fire on {yes.label} more often than on {no.label}, {where} they were not picked on",
        outcome="inconclusive",
        reason="",
        scope="these prompts only",
        unit="features",
        estimate=0.0,
        alpha=terms.alpha,
        tried=yes.d_sae,
        rule=_RULE,
    )
    looked, tested = rates(pick_yes, pick_no, terms.over), rates(test_yes, test_no, terms.over)
    if isinstance(looked, str) or isinstance(tested, str):
        return replace(base, reason=f"nothing was tested: in a half, {looked if isinstance(looked, str) else tested}")
    if min(len(tested.yes), len(tested.no)) < 2:  # noqa: PLR2004 - one unit can be permuted with nothing
        return replace(base, reason=f"the half that confirms has {len(tested.yes)} + {len(tested.no)} units: too few")
    features = looked.ranked(most)
    if not features:
        reason = f"of {yes.d_sae:,} features none fires on {yes.label} more often, on the prompts that were picked on"
        return replace(base, reason=reason, scope=tested.scope, p=1.0)
    tests = [tested.above(feature, alpha=terms.alpha, seed=terms.seed) for feature in features]
    adjusted = q_values([p for p, _ in tests])
    parts = tuple(
        _part(tested, feature, (test_yes, test_no), test, p=p, adjusted=q, of=len(features), alpha=terms.alpha)
        for feature, (p, test), q in zip(features, tests, adjusted, strict=True)
    )
    best = parts[int(np.argmin(adjusted))]
    picked_on = selected((), pick_yes, pick_no)  # each part says where its feature is near its threshold
    base = replace(
        base,
        scope=f"{tested.scope}; picked on {picked_on.origin(test_yes, test_no)}",
        estimate=float(sum(map(bool, parts))),
        p=min(adjusted),
        test=f"{best.test}; Benjamini-Hochberg over {len(features)} features",
        seed=best.seed,
        units=tested.units,
        n_units=(len(tested.yes), len(tested.no)),
        copies=() if tested.paired else copies(yes.prompts, no.prompts),
        parts=parts,
    )
    again = partial(_scanned, most=most)

    def effect(there: BothSides) -> Effect:
        return Effect(size=again(there, replace(terms, controls=())).estimate or 0.0, scale=None)

    base = run_rivals(sides, base, again, effect, terms, error=None)
    return _judged(base, tested, features, sides, terms)


_RULE = (
    "each part is a feature picked on one half of the prompts, by looking at all of them, which cannot be done again "
    "from what stands here, and tested on the other: p is half of the two-sided one, and 1 where the feature fires no "
    "more often. Its adjusted p is the smallest, over the parts with at least that p, of p times their number divided "
    "by their rank. Supported if an adjusted p is below alpha / 2 and every control is withstood; else explained by a "
    "control or inconclusive, never refuted, for features that were picked badly do not show that there are none"
)


def _part(
    tested: Rates, feature: int, sides: BothSides, test: Tested, *, p: float, adjusted: float, of: int, alpha: float
) -> Evidence:
    """Return what the half that confirms shows of one feature."""
    values = tested.yes[:, feature], tested.no[:, feature]
    a, b = (_sample(side, feature, float(rate.mean())) for side, rate in zip(sides, values, strict=True))
    return Evidence(
        kind="greater",
        statement=f"feature {feature} fires on {a.label} more often than on {b.label}",
        outcome="supported" if adjusted < alpha / 2 else "inconclusive",
        reason=f"{against(a.mean, b.mean, SHARE)}, {p_value(p)} ({p_value(adjusted)} adjusted for {of} picked)",
        scope=tested.scope,
        unit=SHARE,
        estimate=a.mean - b.mean,
        p=p,
        alpha=alpha,
        test=f"{test.name} ({tested.units}), one-sided",
        seed=test.seed,
        units=tested.units,
        n_units=(len(tested.yes), len(tested.no)),
        samples=(a, b),
        rule="supported where p, adjusted for the features that were picked, is below alpha / 2; inconclusive "
        f"otherwise. {test.rule}",
        unit_values=unit_values(a.label, dict(zip(tested.names[0], values[0], strict=True)))
        + unit_values(b.label, dict(zip(tested.names[1], values[1], strict=True))),
    )


def _sample(side: Features, feature: int, mean: float) -> Sample:
    near = one_near(side, feature)
    return Sample(
        label=side.label,
        measure=f"firing rate of feature {feature}",
        unit=SHARE,
        mean=mean,
        n=len(side),
        place=side.place,
        run=side.run,
        near_threshold=None if near is None else near.sentence(SHARE),
        reach=None if near is None else near.around(mean),
    )


def needed_to_confirm(tested: Rates, feature: int, picked: int, sides: BothSides, terms: Terms) -> Needed:
    """Return with how many units, of both halves together, this feature alone would be confirmed among so many."""
    effect, deviation = float(tested.difference[feature]), float(tested.deviation[feature])
    in_deviations = 0.0 if effect <= 0 else effect / deviation if deviation > 0 else inf
    wanted = units_to_decide(in_deviations, alpha=terms.alpha / picked, paired=tested.paired)
    of, what = (topics, "topics") if tested.paired else (templates, "templates a style")
    have, each = min(len(of(side)) for side in sides), sum(len(side) / len(of(side)) for side in sides)
    wanted = wanted and max(2 * wanted - 1, have + 1)
    return Needed(units=what, have=have, wanted=wanted, prompts=wanted and ceil(wanted * each))


def _judged(base: Evidence, tested: Rates, features: tuple[int, ...], sides: BothSides, terms: Terms) -> Evidence:
    found = [(part, feature) for part, feature in zip(base.parts, features, strict=True) if part]
    picked = f"{len(features)} picked among {base.tried:,} features"
    if not found:
        best = int(np.argmin([part.p or 0.0 for part in base.parts]))
        needed = needed_to_confirm(tested, features[best], len(features), sides, terms)
        more = f"About {needed.wanted} {needed.units} would confirm it among so many; fewer would if fewer were picked"
        if needed.wanted is None:
            more = f"At this difference no plan of {needed.units} would confirm it"
        reason = f"none of {picked} is confirmed; the best, feature {features[best]}: {base.parts[best].reason}. {more}"
        return replace(base, reason=reason, needed=needed)
    shown = [(feature, *(side.mean for side in part.samples)) for part, feature in found[:EXAMPLES]]
    examples = ", ".join(f"feature {feature}: {against(a, b, SHARE)}" for feature, a, b in shown)
    examples += ", ..." if len(found) > EXAMPLES else ""
    numbers = f"{len(found)} of {picked} {'is' if len(found) == 1 else 'are'} confirmed ({examples}); "
    numbers += f"Benjamini-Hochberg at alpha / 2 = {terms.alpha / 2:g}"
    outcome, reason = verdict_of(base.controls, numbers)
    return replace(base, outcome=outcome, reason=reason)
