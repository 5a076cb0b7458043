"""Values: from the samples of a run's evidence to what a baseline keeps of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal

from saeprobe.evidence.evidence import Evidence, Sample
from saeprobe.verdicts.baseline import Value

DIGITS: Final = 10
"""Significant digits that are kept: more than any comparison reads, and a file that a person can read."""

ENOUGH: Final = 6
"""Paired units from which a test can find a move at alpha = 0.05: 2 of 2^6 signs are 0.031, 2 of 2^5 are 0.063."""


def samples_of(evidence: Iterable[Evidence]) -> Iterator[Sample]:
    """The samples of some evidence and of its parts, in order.

    Those of controls are not the claim's, and the numbers of a printed table were not measured.
    """
    for piece in evidence:
        if piece.kind != "printed":
            yield from piece.samples
        yield from samples_of(piece.parts)


def values_of(samples: Iterable[Sample]) -> tuple[Value, ...]:
    """What was measured, each once, in order of first appearance.

    Two samples of one label and measure are told apart by the tokens that were read, where these differ. What is left
    (a probe that reads several sets of prompts) is told apart by a number behind the label of the later one.
    """
    measured = list(samples)
    places: dict[tuple[str, str, str], set[str]] = {}
    for sample in measured:
        places.setdefault((sample.label, sample.measure, sample.unit), set()).add(sample.place)
    seen: dict[tuple[str, str, str], list[Sample]] = {}
    values: list[Value] = []
    for sample in measured:
        several = len(places[sample.label, sample.measure, sample.unit]) > 1 and sample.place
        label = f"{sample.label} at {sample.place}" if several else sample.label
        same = seen.setdefault((label, sample.measure, sample.unit), [])
        if any(sample.mean == other.mean and sample.prompts == other.prompts for other in same):
            continue
        same.append(sample)
        values.append(replace(_value_of(sample), label=label if len(same) == 1 else f"{label} ({len(same)})"))
    return tuple(values)


def _value_of(sample: Sample) -> Value:
    units, means = _unit_means(sample)
    return Value(
        label=sample.label,
        measure=sample.measure,
        unit=sample.unit,
        mean=_rounded(sample.mean),
        n=sample.n,
        interval=None if sample.interval is None else (_rounded(sample.interval[0]), _rounded(sample.interval[1])),
        near_moves=None if sample.near_moves is None else _rounded(sample.near_moves),
        units=units,
        unit_means=means,
        prompts=_digest(sample),
    )


def _unit_means(sample: Sample) -> tuple[str, dict[str, float]]:
    """Means by template where there are enough of them to find a move, else by whichever there are more of."""
    if not sample.values:
        return "", {}
    templates, topics = _mean_by(sample, "template"), _mean_by(sample, "topic")
    if len(templates) >= ENOUGH or len(templates) >= len(topics):
        return "templates", templates
    return "topics", topics


def _mean_by(sample: Sample, what: Literal["template", "topic"]) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for prompt, value in zip(sample.prompts, sample.values, strict=True):
        groups.setdefault(getattr(prompt, what), []).append(value)
    return {name: _rounded(_mean(group)) for name, group in groups.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _digest(sample: Sample) -> str:
    """SHA-256 over the texts in order, its first 16 hex digits; a changed wording or order changes it."""
    if not sample.prompts:
        return ""
    held = hashlib.sha256()
    for prompt in sample.prompts:
        held.update(prompt.text.encode("utf-8", errors="surrogatepass") + b"\0")
    return held.hexdigest()[:16]
