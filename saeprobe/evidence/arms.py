"""A sentence on a steered arm is held to the rank among random sets too, and to what its feature was chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from saeprobe.captures import Continuations
from saeprobe.evidence import Evidence, Terms
from saeprobe.evidence.bounds import ALWAYS_RULE
from saeprobe.evidence.controls.draws import greater_arm
from saeprobe.evidence.greater import greater
from saeprobe.evidence.values import Margin, Measurement, is_number


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
    ranked = greater_arm(*((chosen, random) if up else (random, chosen)), terms, None, greater=greater)
    if ranked.outcome == "refuted":
        ranked = replace(ranked, outcome="inconclusive", rule=f"{ranked.rule}. {_BESIDE}")
    return replace(both([decided, ranked]), reason=f"{decided.reason}; {ranked.reason}")


_BESIDE: Final = "Inconclusive instead of refuted: the sentence says less than that these features do more than others"


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
