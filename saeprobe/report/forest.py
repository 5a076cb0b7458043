"""Estimates with their intervals, one under the other: of a comparison, of its controls and of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from saeprobe.report.pictures import Axis, axis_over, box
from saeprobe.report.rivals import drawn
from saeprobe.report.shape import EvidenceJson


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One row: an estimate in the evidence's unit, as measured, with the rival `control` taken out, or of it alone."""

    label: str | None
    control: str | None
    alone: bool
    explains: bool
    outcome: str
    estimate: float | None
    interval: list[float] | None
    p: float | None
    drawing: Markup


@dataclass(frozen=True, kw_only=True)
class Forest:
    """The rows on one axis that shows zero."""

    rows: tuple[Estimate, ...]
    axis: Axis

    @property
    def controls(self) -> bool:
        """Whether a row has a rival taken out."""
        return any(row.control is not None for row in self.rows)

    @property
    def intervals(self) -> bool:
        """Whether an estimate has an interval."""
        return any(row.interval for row in self.rows)


DIFFERENCES: Final = ("greater", "at least", "about equal", "exclusive")
"""Kinds of evidence whose estimate is a difference, so that zero means no effect."""

SIGNS: Final = {"greater": ">", "at least": ">", "about equal": "≈", "separation": "|"}


def part_labels(evidence: EvidenceJson[int]) -> list[str]:
    """The parts by what tells them apart: `novice` where all are held against one, `novice > expert`, or statements."""
    parts = evidence["parts"]
    first = [part["samples"][0]["label"] if part["samples"] else "" for part in parts]
    rest = {tuple(sample["label"] for sample in part["samples"][1:]) for part in parts}
    both = [f" {SIGNS.get(part['kind'], '·')} ".join(sample["label"] for sample in part["samples"]) for part in parts]
    for labels in (first if len(rest) == 1 else both, both):
        if "" not in labels and len(set(labels)) == len(labels):
            return labels
    return [part["statement"] for part in parts]


def _draw(estimate: float | None, interval: list[float] | None, axis: Axis, *, control: bool) -> Markup:
    height = 16 if control else 20
    middle = height // 2
    line = ""
    if interval is not None:
        left, right = (axis.x(end) for end in interval)
        line = f"M{left} {middle}H{right}M{left} {middle - 3}v6M{right} {middle - 3}v6"
    dot = "" if estimate is None else f"M{axis.x(estimate)} {middle}h.1"
    paths = [("grid", axis.grid(height)), ("zero", f"M{axis.x(0.0)} 0V{height}"), ("reach", line)]
    paths += [("ring", dot), ("hole", dot)] if control else [("square", dot)]
    return box(paths, height, "row-picture")


def _rows(evidence: EvidenceJson[int], label: str | None, axis: Axis) -> Iterator[Estimate]:
    yield Estimate(
        label=label,
        control=None,
        alone=False,
        explains=False,
        outcome=evidence["outcome"],
        estimate=evidence["estimate"],
        interval=evidence["interval"],
        p=evidence["p"],
        drawing=_draw(evidence["estimate"], evidence["interval"], axis, control=False),
    )
    for control in filter(drawn, evidence["controls"]):
        yield Estimate(
            label=label,
            control=control["name"],
            alone=control["expects"] == "absent",
            explains=control["explains"],
            outcome=evidence["outcome"],
            estimate=control["estimate"],
            interval=control["interval"],
            p=control["p"],
            drawing=_draw(control["estimate"], control["interval"], axis, control=True),
        )


def _numbers(evidence: EvidenceJson[int]) -> Iterator[float]:
    if evidence["estimate"] is not None:
        yield evidence["estimate"]
    yield from evidence["interval"] or ()
    for control in filter(drawn, evidence["controls"]):
        yield control["estimate"]
        yield from control["interval"] or ()


def forest(evidence: EvidenceJson[int]) -> Forest | None:
    """The estimate of a comparison with its controls, or of each part of it; None where there is nothing to draw."""
    shown = evidence["parts"] or [evidence]
    numbers = [number for piece in shown for number in _numbers(piece)]
    lone = evidence["kind"] not in DIFFERENCES or not (
        evidence["interval"] or any(drawn(control) for control in evidence["controls"])
    )
    if not numbers or (lone and not evidence["parts"]):
        return None
    axis = axis_over([0.0, *numbers])
    labels: list[str | None] = [*part_labels(evidence)] if evidence["parts"] else [None]
    rows = tuple(row for piece, label in zip(shown, labels, strict=True) for row in _rows(piece, label, axis))
    return Forest(rows=rows, axis=axis)
