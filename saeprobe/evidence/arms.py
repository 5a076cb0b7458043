"""A steered arm is ranked among random sets of as many features at equal norm, and held against the unsteered model.

Both must hold (intersection-union test, Berger 1982): the rank says that these features do more than others, and is
exact however few the prompts; the comparison with the unsteered model is for other wordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor
from typing import Final

import numpy as np

from saeprobe.captures import Continuations
from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Needed, Terms, UnitValue
from saeprobe.evidence.greater import greater, raised_by
from saeprobe.evidence.units import needed_in_words, sample_of
from saeprobe.evidence.values import Margin, Measurement
from saeprobe.files import against, p_value
from saeprobe.statistics.intervals import rate_p
from saeprobe.statistics.permutation import tolerance


def greater_arm(a: Measurement, b: Measurement, terms: Terms, margin: Margin | None = None) -> Evidence:
    """Decide `a > b` of arms of steering: of the steered arm and random sets by rank, of others as of any prompts.

    All means of the rank are over the samples that the random sets have. As all arms share the luck of a sample, one
    with further samples could lie above all sets by that luck alone.

    Raises:
        TypeError: the sets are not of the experiment and strength of the steered arm, and so not of equal norm.
    """
    arms, again = {one.continued.arm: (one, one.continued) for one in (a, b) if one.continued is not None}, a.again
    if arms.keys() != {"steered", "random"} or again is None:
        return greater(a, b, terms, margin)
    (steered, arm), (random, other) = arms["steered"], arms["random"]
    if arm.items is not other.items or arm.strength != other.strength or steered.prompts != random.prompts:
        raise TypeError(
            f"{steered.label} and {random.label} are not of one experiment, strength and set of prompts, and so not of "
            "equal norm; compare golden.at(20) with golden.random_feature.at(20)"
        )

    def read(of: Continuations, features: tuple[int, ...] | None = None) -> Measurement:
        return again(replace(of, items=tuple(one for one in of.arm_items if features in (None, one.features))))

    prompts = set(steered.prompts)
    kept = replace(arm, items=tuple(one for one in arm.items if one.prompt in prompts))
    samples = 1 + max(one.sample for one in kept.random_feature.arm_items)
    first = replace(kept, items=tuple(one for one in kept.items if one.sample < samples))
    names = dict.fromkeys(one.features for one in first.random_feature.arm_items)
    sets = np.array([read(first.random_feature, features).mean for features in names])
    claim, base, unsteered = read(first).mean, read(first.unsteered).mean, read(kept.unsteered)

    up, slack = steered is a, tolerance(sets)
    times, plus = (1.0, 0.0) if margin is None else (margin.times, margin.plus)
    above = claim - (times * sets + plus) if up else sets - (times * claim + plus)
    as_far, no_farther = int((above <= slack).sum()), int((above >= -slack).sum())
    rank_p, contrary_p = (1 + as_far) / (1 + len(sets)), (1 + no_farther) / (1 + len(sets))  # Phipson & Smyth 2010
    effect, of_sets = (claim - base, sets - base) if up else (base - claim, base - sets)
    half = int((of_sets >= effect / 2 - slack).sum()) if effect > 0 else 0

    larger, smaller = (steered, unsteered) if up else (unsteered, steered)
    part = greater(larger, smaller, terms, None if margin is None else replace(margin, of=smaller))
    in_part = 1.0 if part.p is None else part.p / 2 if (part.estimate or 0.0) > 0 else 1 - part.p / 2
    p, alpha, works, needed = min(1.0, 2 * max(rank_p, in_part)), terms.alpha, part.outcome == "supported", None
    outcome: EvidenceOutcome = "inconclusive"
    if works and rank_p < alpha / 2:
        outcome, why = "supported", ""
    elif works and rate_p(half, len(sets), bound=0.5, above=True) <= 0.01:  # noqa: PLR2004 - 28 of 40 or 51 of 80
        outcome, why = "explained", f": {half} of the sets make at least half of the effect"
    elif part.outcome == "refuted" and 2 * as_far >= len(sets):
        outcome, why = "refuted", ": the contrary holds against the unsteered model"
    elif contrary_p < alpha / 2 and not (part.estimate or 0.0) > 0:
        outcome, why = "refuted", ": the contrary holds against the sets"
    elif not works:
        needed = part.needed
        more = (
            part.reason if needed is None else f"{needed_in_words(needed)}; 12 prompts x 2 samples go before more sets"
        )
        why = f": not {'above' if up else 'below'} the unsteered model. {more}"
    elif len(sets) < (wanted := floor(2 / alpha)):
        needed = Needed(units="random sets", have=len(sets), wanted=wanted)
        why = f": so few sets cannot reach p below {alpha:g} whatever the values; random_features={wanted} can"
    else:
        why = f": not distinguished from the sets at alpha = {alpha:g}"
    beyond = None if margin is None else margin.over(b.mean)
    place = f"{'above' if up else 'below'} {len(sets) - as_far} of {len(sets)} random sets"
    of_sets = (
        (random.label, f"features {', '.join(map(str, of))}", mean) for of, mean in zip(names, sets, strict=True)
    )
    means = (steered.label, "the chosen features", claim), ("unsteered", "no features", base), *of_sets
    return Evidence(
        kind="greater" if margin is None else "at least",
        statement=f"{a.name} > {b.name if margin is None else margin.name}",
        outcome=outcome,
        reason=f"{against(steered.mean, unsteered.mean, a.unit)} unsteered, {place}, {p_value(p)}{why}",
        scope=f"features such as these {len(sets)} random sets; against the unsteered model {part.scope}",
        unit=a.unit,
        estimate=a.mean - b.mean - (beyond or 0.0),
        p=p,
        one_sided=max(rank_p, 1.0 if part.claim_p is None else part.claim_p),
        alpha=alpha,
        test=f"rank among {len(sets)} random sets; against the unsteered model {part.test}",
        units="random sets",
        n_units=(1, len(sets)),
        samples=(sample_of(a, terms), sample_of(b, terms)),
        parts=(part,),
        margin=beyond,
        needed=needed,
        rule=_RULE.format(samples=samples, half=alpha / 2, far="large" if up else "small") + raised_by(margin),
        unit_values=tuple(UnitValue(side=side, unit=unit, value=float(value)) for side, unit, value in means),
        continuations=tuple((side.label, *text) for side in (a, b) for text in side.continuations),
    )


_RULE: Final = (
    "the unit values are means over the prompts and as many samples as the sets have, {samples}. Supported where the "
    "part against the unsteered model is and the rank p, (1 + sets as {far} as the steered arm) / (1 + sets), is below "
    "alpha / 2 = {half:g}; explained where only the part is, and so many sets make at least half of the steered arm's "
    "effect that 1 of 2 each would do so with a binomial p of at most 0.01; refuted where the part is and half of the "
    "sets are as {far}, or where the contrary rank p is below alpha / 2 and the part's estimate not above zero; "
    "inconclusive otherwise. p is twice the larger one-sided p"
)


def as_chosen(evidence: Evidence, arms: Sequence[Continuations]) -> Evidence:
    """Say on what the steered feature and its strength were chosen; without that nothing on them is supported."""
    chosen = {one.chosen_on for one in arms if one.arm == "steered"}
    if not chosen:
        return evidence
    stated = " and ".join(sorted(one or "what the probe does not state" for one in chosen))
    evidence = replace(evidence, scope=f"{evidence.scope}; feature and strength chosen on {stated}")
    if "" not in chosen or evidence.outcome != "supported":
        return evidence
    why = "on what feature and strength were chosen is not stated: write steer(..., chosen_on=PROMPTS or a source)"
    reason, rule = f"{evidence.reason}; but {why}", f"{evidence.rule}. Inconclusive where {why}"
    return replace(evidence, outcome="inconclusive", reason=reason, rule=rule)
