"""A printed reading is held against what is measured on the same prompts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from saeprobe.claims import NotRun, Published
from saeprobe.evidence.evidence import Evidence, Sample, Terms, UnitValue
from saeprobe.evidence.units import refuse_controls, sample_of
from saeprobe.evidence.values import Quantity


class _ByStyle(Protocol):
    """A measurement holds values by style, and so do counts."""

    @property
    def measure(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def name(self) -> str: ...
    def __getitem__(self, style: str, /) -> Quantity: ...


def as_published(of: _ByStyle, published: Published, terms: Terms) -> Evidence:
    """Decide whether the mean of each style repeats the printed number of that label; nothing is inferred from it.

    Raises:
        NotRun: what is recorded is of another run than the printed numbers.
    """
    refuse_controls("published", terms)
    if of.unit != published.unit or published.measure not in ("", of.measure):
        printed = f"{published.measure} in {published.unit}".removeprefix(" in ")
        raise TypeError(f"{of.name} in {of.unit} is not what the numbers are printed of: {printed}")
    samples = tuple(sample_of(of[label], terms) for label in published.values)
    if another := another_run(published, samples):
        raise NotRun(another)
    apart = [sample for sample in samples if not _agrees(sample, published)]
    shown = ", ".join(f"{sample.label} {sample.mean:.4g} ({published.printed[sample.label]})" for sample in samples)
    within = "rounds to" if published.tolerance is None else f"lies within {published.tolerance:g} of"
    return Evidence(
        kind="published",
        statement=f"{of.measure} as printed, on the same prompts",
        outcome="refuted" if apart else "supported",
        reason=f"measured (printed): {shown} {of.unit}; {len(samples) - len(apart)} of {len(samples)} agree",
        scope="these prompts only: a reading of each, no inference",
        unit=of.unit,
        samples=samples,
        rule=f"supported where every measured mean {within} its printed number; refuted where one does not",
        unit_values=tuple(UnitValue(side=one.label, unit="mean of its prompts", value=one.mean) for one in samples),
    )


def another_run(published: Published | None, samples: Iterable[Sample]) -> str:
    """Say that samples which answer for printed numbers are recorded of another run; empty where none is."""
    if published is None:
        return ""
    for sample in samples:
        alike = sample.label in published.values and sample.unit == published.unit
        if alike and sample.run and (apart := sample.run.apart(published.n)):
            return f"another run: {apart}; its numbers are not compared with the published ones"
    return ""


def _agrees(sample: Sample, published: Published) -> bool:
    """Decide whether a mean rounds to the printed number, or lies within the tolerance that the claim sets."""
    value = published.values[sample.label]
    within = published.rounding(sample.label) if published.tolerance is None else published.tolerance
    return abs(sample.mean - value) <= within + 1e-9 * abs(value)  # 0.35 - 0.3 is more than 0.05
