"""Wholes: evidence made of parts, each a comparison of its own."""

from __future__ import annotations

from collections.abc import Sequence

from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Needed


def every(parts: Sequence[Evidence]) -> Evidence:
    """Evidence that all of `parts` hold; a single refuted one refutes it (intersection-union test, Berger 1982)."""
    against = [part for part in parts if part.outcome == "refuted"]
    undecided = [part for part in parts if part.outcome == "inconclusive"]
    if against:
        reason = f"{len(against)} of {len(parts)} comparisons {_are(against)} refuted: {_shorten(against)}"
        below = sum(any(one.name == "length" and one.estimate < 0 for one in part.controls) for part in parts)
        if below:
            before = sum((part.estimate or 0) < 0 for part in parts)
            reason = (
                f"with prompt length held equal {below} of the {len(parts)} differences fall below zero "
                f"({before} before); {reason}"
            )
    elif undecided:
        reason = f"{len(undecided)} of {len(parts)} comparisons {_are(undecided)} open: {_shorten(undecided)}"
    else:
        reason = f"all {len(parts)} comparisons hold"
    return Evidence(
        kind="every",
        statement="; ".join(part.statement for part in parts),
        outcome=worst(parts),
        reason=reason,
        scope=scopes(parts),
        unit=parts[0].unit,
        alpha=parts[0].alpha,
        parts=tuple(parts),
        rule="supported where every part is; refuted where a single one is; inconclusive otherwise",
        needed=largest_need(parts),
    )


def worst(parts: Sequence[Evidence]) -> EvidenceOutcome:
    """What parts that must all hold come to."""
    outcomes = {part.outcome for part in parts}
    return "refuted" if "refuted" in outcomes else "inconclusive" if "inconclusive" in outcomes else "supported"


def scopes(parts: Sequence[Evidence]) -> str:
    """The scopes of parts, each once."""
    return "; ".join(dict.fromkeys(part.scope for part in parts))


def largest_need(parts: Sequence[Evidence]) -> Needed | None:
    """What would decide all parts: the largest of what they need, beyond any plan where one is.

    None where the whole is decided, or where an open part cannot tell.
    """
    needs = [part.needed for part in parts if part.outcome == "inconclusive"]
    if worst(parts) != "inconclusive" or None in needs:
        return None
    return max((need for need in needs if need is not None), key=lambda need: (need.wanted is None, need.wanted or 0))


def _are(parts: Sequence[Evidence]) -> str:
    return "is" if len(parts) == 1 else "are"


def _shorten(parts: Sequence[Evidence]) -> str:
    """The first of `parts` in full; the others are in the report."""
    told = f"{parts[0].statement}: {parts[0].reason}"
    return told if len(parts) == 1 else f"for one, {told}"
