"""Wholes: evidence made of parts, each a comparison of its own."""

from __future__ import annotations

from collections.abc import Sequence

from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Needed, Sample


def each_holds(parts: Sequence[Evidence]) -> Evidence:
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


def ordering(names: Sequence[str], parts: Sequence[Evidence]) -> Evidence:
    """Evidence that quantities descend as `names` lists them; `parts` compare each with the next.

    All adjacent comparisons must hold (intersection-union test, Berger 1982): each is made at alpha, and so is the
    whole. They imply all the others.
    """
    told: dict[str, list[str]] = {}
    for upper, lower, part in zip(names[:-1], names[1:], parts, strict=True):
        told.setdefault(_word(part), []).append(f"{upper} > {lower}")
    reason = "; ".join(f"{word}: {', '.join(pairs)}" for word, pairs in told.items())
    explained = "".join(f". {part.statement} is {part.reason}" for part in parts if _word(part) == "refuted")
    return Evidence(
        kind="ordering",
        statement=" > ".join(names),
        outcome=worst(parts),
        reason=f"{reason}{explained}. As measured: {_as_measured(parts)}",
        scope=scopes(parts),
        unit=parts[0].unit,
        alpha=parts[0].alpha,
        parts=tuple(parts),
        rule=(
            "supported where each quantity is above the next; refuted where a single adjacent comparison is; "
            "inconclusive otherwise"
        ),
        needed=largest_need(parts),
    )


def _word(part: Evidence) -> str:
    if part.outcome == "refuted":
        return "reversed" if (part.estimate or 0) < 0 else "refuted"
    return "holds" if part.outcome == "supported" else "open"


def _as_measured(parts: Sequence[Evidence]) -> str:
    """The means from the highest down, whatever the sentence says."""
    samples: dict[str, Sample] = {sample.label: sample for part in parts for sample in part.samples}
    ordered = sorted(samples.values(), key=lambda sample: -sample.mean)
    return f"{', '.join(f'{one.label} {one.mean:.4g}' for one in ordered)} {ordered[0].unit}"
