"""Orderings: several quantities in a row, each above the next."""

from __future__ import annotations

from collections.abc import Sequence

from saeprobe.evidence.compare import largest_need, scopes, worst
from saeprobe.evidence.evidence import Evidence, Sample


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
