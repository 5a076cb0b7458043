"""Selection: features that are picked on one half of the prompts and confirmed on the other."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf

import numpy as np
from jaxtyping import Float

from saeprobe.claims import Control
from saeprobe.evidence.controls import HALF, summary_of, verdict_of
from saeprobe.evidence.controls.draws import Effect
from saeprobe.evidence.evidence import (
    ControlResult,
    Evidence,
    EvidenceOutcome,
    Needed,
    Recorder,
    Sample,
    UnitValue,
    current_terms,
    record,
)
from saeprobe.features.sparse import Features
from saeprobe.measures.halving import Rates, Selected, halved, rates, selected
from saeprobe.measures.reading import Readable, captured, one_near, refuse_apart, templates, topics
from saeprobe.measures.separation import READ, BothSides, refuse_others, rival
from saeprobe.statistics.intervals import false_discoveries, units_to_decide

ROUNDS = 20
"""Scans between shuffled labels."""


Ps = Float[np.ndarray, " picked"]


def confirmed(tested: Rates, features: tuple[int, ...], terms: Recorder) -> tuple[Ps, Ps]:
    """The p of each picked feature, and p adjusted for how many were picked."""
    ps = np.array([tested.p_above(feature, alpha=terms.alpha, seed=terms.seed) for feature in features])
    return ps, false_discoveries(ps, q=terms.alpha)


def part_of(
    tested: Rates,
    feature: int,
    sides: tuple[Features, Features],
    *,
    p: float,
    adjusted: float,
    of: int,
    terms: Recorder,
) -> Evidence:
    """What the half that confirms shows of one feature."""
    values = tested.yes[:, feature], tested.no[:, feature]
    samples: list[Sample] = []
    for side, rate in zip(sides, values, strict=True):
        near = one_near(side, feature)
        samples.append(
            Sample(
                label=side.label,
                measure=f"firing rate of feature {feature}",
                unit="share of prompts",
                mean=float(rate.mean()),
                n=len(side),
                place=side.place,
                near_threshold=None if near is None else near.sentence("share of prompts"),
                near_moves=None if near is None else float(near.moves.mean()),
            )
        )
    a, b = samples
    return Evidence(
        kind="greater",
        statement=f"feature {feature} fires on {a.label} more often than on {b.label}",
        outcome="supported" if adjusted < terms.alpha else "inconclusive",
        reason=f"{a.mean:.1%} against {b.mean:.1%}, p = {p:.2g}, {adjusted:.2g} adjusted for {of} picked",
        scope=tested.scope,
        unit="share of prompts",
        estimate=a.mean - b.mean,
        p=float(p),
        alpha=terms.alpha,
        units=tested.units,
        n_units=(len(tested.yes), len(tested.no)),
        samples=(a, b),
        rule="supported where p, adjusted for the features that were picked, is below alpha; inconclusive otherwise",
        unit_values=tuple(
            UnitValue(side=side.label, unit=name, value=float(value))
            for side, names, rate in zip(samples, tested.names, values, strict=True)
            for name, value in zip(names, rate, strict=True)
        ),
    )


def needed_to_confirm(
    tested: Rates, feature: int, picked: int, sides: tuple[Features, Features], terms: Recorder
) -> Needed:
    """Units, of both halves together, with which this feature alone would be confirmed among so many."""
    effect, deviation = float(tested.difference[feature]), float(tested.deviation[feature])
    in_deviations = 0.0 if effect <= 0 else effect / deviation if deviation > 0 else inf
    wanted = units_to_decide(in_deviations, alpha=2 * terms.alpha / picked, paired=tested.paired)
    of = topics if tested.paired else templates
    have = min(len(of(side)) for side in sides)
    what = "topics" if tested.paired else "templates a style"
    if wanted is None:
        return Needed(units=what, have=have, wanted=None)
    wanted = max(2 * wanted, have + 1)
    each = sum(len(side) / len(of(side)) for side in sides)
    return Needed(units=what, have=have, wanted=wanted, prompts=ceil(wanted * each))


def shuffled_control(halves: tuple[Rates, Rates], most: int, found: float, terms: Recorder) -> ControlResult:
    """The same scan between made-up sides, each with half of the templates of either style (or topics turned round)."""
    looked, tested = halves
    rng = np.random.default_rng(terms.seed)
    counts: list[int] = []
    for _ in range(ROUNDS):
        features = looked.shuffled(rng).ranked(most)
        made_up = tested.shuffled(rng)
        counts.append(int((confirmed(made_up, features, terms)[1] < terms.alpha).sum()) if features else 0)
    mean = float(np.mean(counts))
    share = mean / found if found else None
    return ControlResult(
        name="labels",
        expects="absent",
        explains=share is not None and share >= HALF,
        estimate=mean,
        interval=None,
        p=(1 + sum(count >= found for count in counts)) / (1 + ROUNDS),
        share=share,
        detail=f"between shuffled labels the same scan confirms {mean:g} of {most} on average, in {ROUNDS} rounds "
        f"(seed {terms.seed})",
    )


CONTROLS: tuple[Control, ...] = ("labels", *READ)
"""The controls that a scan takes."""


EXAMPLES = 3
"""Confirmed features that the reason names; the others are in the report."""


def pick(yes: Readable, no: Readable, *, most: int = 1) -> Selected:
    """The features that fire on `yes` more often than on `no` by the largest difference of their rates.

    Rates are means over templates where both sides have several, else over topics. Equal differences are ordered by
    the difference in standard deviations between these units, then by number. Picked by looking at these prompts, they
    prove nothing there: confirm them on others (`halves`).

    Raises:
        ValueError: the prompts share no topic.
        TypeError: the sides were read at different tokens, or share prompts.
        NotRun: a record does not tell which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    found = rates(yes, no, current_terms().over)
    if isinstance(found, str):
        raise ValueError(f"{found}: nothing to pick by")  # noqa: TRY004 - the sentence says why there is nothing
    return selected(found.ranked(most), yes, no)


def scan(yes: Readable, no: Readable, *, most: int = 20) -> Evidence:
    """Evidence that some features fire on `yes` more often than on `no`, found by looking at all of them.

    The prompts are halved (`halves`): on one half the `most` features with the largest difference are picked, on the
    other each is tested by permuting labels between templates, or within topics under one wording. One-sided, for the
    direction was picked too. Among the picked, the false discovery rate is held at alpha (Benjamini & Hochberg 1995,
    J. R. Stat. Soc. B 57), so that of many confirmed ones a share of alpha may be false.

    Args:
        yes: where the features are to fire.
        no: where they are not.
        most: how many to confirm. With few templates fewer can be: 4 + 4 that confirm reach p = 1/70 at best.

    Raises:
        ValueError: fewer than one feature is wanted, or the prompts cannot be halved.
        TypeError: the claim declares a control that a scan does not take, or generalises over both at once; or the
            sides were read at different tokens, or share prompts.
        NotRun: a record does not tell which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    terms = current_terms()
    refuse_others("a scan", terms.controls, CONTROLS)
    if most < 1:
        raise ValueError(f"most is {most}; wanted at least one feature to confirm")
    if len(terms.over) > 1:
        raise TypeError("a scan permutes templates or topics; state one: over=('templates',) or over=('topics',)")
    return record(_scanned(yes, no, most, terms))


def _scanned(yes: Features, no: Features, most: int, terms: Recorder) -> Evidence:
    (pick_yes, test_yes), (pick_no, test_no) = halved((yes, no), terms.over)
    both = yes.label, no.label
    apart = not any(
        set(templates(pick)) & set(templates(test)) for pick, test in ((pick_yes, test_yes), (pick_no, test_no))
    )
    where = "on wordings and topics" if apart else "on topics"
    base = Evidence(
        kind="scan",
        statement=f"some features fire on {both[0]} more often than on {both[1]}, {where} they were not picked on",
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
        reason = f"of {yes.d_sae:,} features none fires on {both[0]} more often, on the prompts that were picked on"
        return replace(base, reason=reason, scope=tested.scope, p=1.0)
    looked_at = selected((), pick_yes, pick_no)  # each part tells where its feature is near its threshold
    ps, adjusted = confirmed(tested, features, terms)
    first = tested.shift(features[0], alpha=terms.alpha, seed=terms.seed)
    test = f"{first.test} ({tested.units}), one-sided"
    parts = tuple(
        replace(
            part_of(tested, feature, (test_yes, test_no), p=p, adjusted=q, of=len(features), terms=terms),
            test=test,
            seed=first.seed,
        )
        for feature, p, q in zip(features, ps, adjusted, strict=True)
    )
    base = replace(
        base,
        scope=f"{tested.scope}; picked on {looked_at.beside(test_yes, test_no)}",
        estimate=float((adjusted < terms.alpha).sum()),
        p=float(adjusted.min()),
        test=f"{test}; Benjamini-Hochberg over {len(features)} features",
        seed=first.seed,
        units=tested.units,
        n_units=(len(tested.yes), len(tested.no)),
        parts=parts,
    )
    controls = _controls(yes, no, most, base, (looked, tested), terms)
    return _judged(replace(base, controls=controls), tested, features, (yes, no), terms)


_RULE = (
    "each part is a feature picked on one half of the prompts, by looking at all of them, which cannot be done again "
    "from what is told here, and tested on the other: p is half of the two-sided one where both sides have as many "
    "units, else the two-sided one, and 1 where the feature fires no more often. Its adjusted p is the smallest, "
    "over the parts with at least that p, of p times their number divided by their rank. Supported if an adjusted p is "
    "below alpha and no control brings about half as many; refuted only by a control; else inconclusive, for features "
    "that were picked badly do not show that there are none"
)


def _judged(
    base: Evidence, tested: Rates, features: tuple[int, ...], sides: tuple[Features, Features], terms: Recorder
) -> Evidence:
    found = [(part, feature) for part, feature in zip(base.parts, features, strict=True) if part]
    outcome: EvidenceOutcome
    if not found:
        best = int(np.argmin([part.p or 0.0 for part in base.parts]))
        needed = needed_to_confirm(tested, features[best], len(features), sides, terms)
        reason = (
            f"none of {len(features)} picked among {base.tried:,} features is confirmed; the best, feature "
            f"{features[best]}: {base.parts[best].reason}{_more(needed)}"
        )
        return replace(base, reason=reason, needed=needed)
    examples = ", ".join(
        f"feature {feature}: {part.samples[0].mean:.1%} against {part.samples[1].mean:.1%}"
        for part, feature in found[:EXAMPLES]
    )
    others = ", ..." if len(found) > EXAMPLES else ""
    numbers = (
        f"{len(found)} of {len(features)} picked among {base.tried:,} features {'is' if len(found) == 1 else 'are'} "
        f"confirmed ({examples}{others}); Benjamini-Hochberg at {terms.alpha:.0%}"
    )
    decided = verdict_of(base.controls, numbers, terms.alpha)
    outcome, reason = decided or ("supported", f"{numbers}{summary_of(base.controls)}")
    return replace(base, outcome=outcome, reason=reason)


def _more(needed: Needed) -> str:
    if needed.wanted is None:
        return f". At this difference no plan of {needed.units} would confirm it"
    return f". About {needed.wanted} {needed.units} would confirm it among so many; fewer would if fewer were picked"


def _controls(
    yes: Features, no: Features, most: int, base: Evidence, halves: tuple[Rates, Rates], terms: Recorder
) -> tuple[ControlResult, ...]:
    """The controls that the claim declares, in that order."""
    found = base.estimate or 0.0
    unasked = replace(terms, controls=(), evidence=[])

    def run(name: Control) -> ControlResult:
        if name == "labels":
            return shuffled_control(halves, most, found, terms)

        def again(sides: BothSides) -> Evidence:
            a, b = sides
            return _scanned(a, b, most, unasked)

        def shown(sides: BothSides) -> Effect:
            return Effect(size=again(sides).estimate or 0.0, scale=None)

        return rival(name, (yes, no), base, again, shown, found=found > 0, terms=terms)

    return tuple(run(name) for name in terms.controls)
