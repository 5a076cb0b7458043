"""A sentence on a steered arm is held to its rank among random sets, and to what its feature was chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import floor
from typing import Final, NamedTuple

import numpy as np

from saeprobe.captures import Continuations
from saeprobe.evidence import Evidence, EvidenceOutcome, Needed, Terms
from saeprobe.evidence.bounds import ALWAYS_RULE
from saeprobe.evidence.greater import greater, raised_by
from saeprobe.evidence.units import needed_in_words, sample_of, unit_values
from saeprobe.evidence.values import Margin, Measurement, is_number
from saeprobe.files import against, p_value
from saeprobe.statistics.intervals import rate_p
from saeprobe.statistics.permutation import Units, tolerance


def greater_arm(a: Measurement, b: Measurement, terms: Terms, margin: Margin | None = None) -> Evidence:
    """Decide `a > b` of arms of steering: of the steered arm and random sets by rank, of others as of any prompts.

    The sets have as many features, at equal norm, and the steered arm is held against the unsteered model too. Both
    must hold (intersection-union test, Berger 1982): the rank says that these features do more than others, and is
    exact however few the prompts; the other comparison is for other wordings. All means of the rank are over samples
    that the sets have: as all arms share the luck of a sample, one with more could lie above all sets by luck alone.
    A TypeError says that the sets are not of the experiment and strength of the steered arm, so not of equal norm.
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

    up = steered is a
    larger, smaller = (steered, unsteered) if up else (unsteered, steered)
    part = greater(larger, smaller, terms, None if margin is None else replace(margin, of=smaller))
    found = among_sets(claim, base, sets, part, terms, margin, up=up)
    alpha, beyond = terms.alpha, None if margin is None else margin.over(b.mean)
    of_sets = {f"features {', '.join(map(str, of))}": mean for of, mean in zip(names, sets, strict=True)}
    own = unit_values(steered.label, {"the chosen features": claim}) + unit_values("unsteered", {"no features": base})
    return Evidence(
        kind="greater" if margin is None else "at least",
        statement=f"{a.name} > {b.name if margin is None else margin.name}",
        outcome=found.outcome,
        reason=f"{against(steered.mean, unsteered.mean, a.unit)} unsteered, {found.why}",
        scope=f"features such as these {len(sets)} random sets; against the unsteered model {part.scope}",
        unit=a.unit,
        estimate=a.mean - b.mean - (beyond or 0.0),
        p=found.p,
        one_sided=found.one_sided,
        alpha=alpha,
        test=f"rank among {len(sets)} random sets; against the unsteered model {part.test}",
        units="random sets",
        n_units=(1, len(sets)),
        samples=(sample_of(a, terms), sample_of(b, terms)),
        parts=(part,),
        margin=beyond,
        needed=found.needed,
        rule=_RANK.format(samples=samples, half=alpha / 2, far="large" if up else "small") + raised_by(margin),
        unit_values=own + unit_values(random.label, of_sets),
        continuations=tuple((arm.label, *text) for arm in (a, b) for text in arm.continuations),
    )


class Ranked(NamedTuple):
    """The rank of a steered arm among random sets, beside its `part` against the unsteered model, says this."""

    outcome: EvidenceOutcome
    why: str
    p: float
    one_sided: float
    needed: Needed | None


def among_sets(
    claim: float, base: float, sets: Units, part: Evidence, terms: Terms, margin: Margin | None, *, up: bool
) -> Ranked:
    """Rank the mean of a steered arm among those of random sets; `base` is that of the unsteered model."""
    side, slack = "above" if up else "below", tolerance(sets)
    times, plus = (1.0, 0.0) if margin is None else (margin.times, margin.plus)
    above = claim - (times * sets + plus) if up else sets - (times * claim + plus)
    as_far, no_farther = int((above <= slack).sum()), int((above >= -slack).sum())
    rank_p, contrary_p = (1 + as_far) / (1 + len(sets)), (1 + no_farther) / (1 + len(sets))  # Phipson & Smyth 2010
    effect, of_sets = (claim - base, sets - base) if up else (base - claim, base - sets)
    half = int((of_sets >= effect / 2 - slack).sum()) if effect > 0 else 0

    in_part = 1.0 if part.one_sided is None else part.one_sided
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
        needed, before = part.needed, "; 12 prompts x 2 samples go before more sets"
        more = part.reason if needed is None else needed_in_words(needed) + before
        why = f": not {side} the unsteered model. {more}"
    elif len(sets) < (wanted := floor(2 / alpha)):
        needed = Needed(units="random sets", have=len(sets), wanted=wanted)
        why = f": so few sets cannot reach p below {alpha:g} whatever the values; random_features={wanted} can"
    else:
        why = f": not distinguished from the sets at alpha = {alpha:g}"
    place = f"{side} {len(sets) - as_far} of {len(sets)} random sets, {p_value(p)}"
    one_sided = max(rank_p, 1.0 if part.claim_p is None else part.claim_p)
    return Ranked(outcome, place + why, p, one_sided, needed)


_RANK: Final = (
    "the unit values are means over the prompts and as many samples as the sets have, {samples}. Supported where the "
    "part against the unsteered model is and the rank p, (1 + sets as {far} as the steered arm) / (1 + sets), is below "
    "alpha / 2 = {half:g}; explained where only the part is, and so many sets make at least half of the steered arm's "
    "effect that 1 of 2 each would do so with a binomial p of at most 0.01; refuted where the part is and half of the "
    "sets are as {far}, or where the contrary rank p is below alpha / 2 and the part's estimate not above zero; "
    "inconclusive otherwise. p is twice the larger one-sided p"
)


def ranked_too(
    decided: Evidence, larger: object, smaller: object, terms: Terms, both: Callable[[Sequence[Evidence]], Evidence]
) -> Evidence:
    """Rank the steered arm too where a sentence on it is supported beside another arm or a number; both must hold.

    Random sets may do as much. Of two steered arms that of the greater strength is ranked, and the larger of equal
    ones. Equality up to a margin claims no effect, and a sentence that compares the arm with the sets is the rank.
    """
    never = decided.rule == ALWAYS_RULE and is_number(smaller) and smaller == 0
    sides = [(one.of if isinstance(one, Margin) else one, (one is larger) is not never) for one in (larger, smaller)]
    steered = [
        (of.continued, of.again, set(of.prompts), up)
        for of, up in sides
        if isinstance(of, Measurement) and of.continued is not None and of.again is not None
    ]
    arms = {arm.arm for arm, *_ in steered}
    asks = decided.outcome == "supported" and decided.kind in ("greater", "at least", "bound", "rate")
    if not asks or "steered" not in arms or "random" in arms:
        return decided
    arm, again, prompts, up = max(steered, key=lambda one: max(abs(item.strength) for item in one[0].arm_items))
    kept = replace(arm, items=tuple(one for one in arm.items if one.prompt in prompts))
    chosen, random = again(kept), again(kept.random_feature)
    ranked = greater_arm(*((chosen, random) if up else (random, chosen)), terms)
    if ranked.outcome == "refuted":
        less = "the sentence says less than that these features do more than others"
        ranked = replace(ranked, outcome="inconclusive", rule=f"{ranked.rule}. Inconclusive instead of refuted: {less}")
    return replace(both([decided, ranked]), reason=f"{decided.reason}; {ranked.reason}")


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
