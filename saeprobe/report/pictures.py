"""Pictures of a comparison as inline SVG: the values of each side, and estimates with their intervals.

Everything but an axis is drawn as a few paths in a box 1000 wide that the page stretches to its column, with strokes
that do not scale. A dot is a short stroke with round ends: ten bytes, and round at any width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from saeprobe.report.document import ControlJson, EvidenceJson, PromptJson, PublishedJson, SampleJson

WIDTH: Final = 1000


MARGIN: Final = 14
"""Room left and right of the outermost value, in thousandths of the width."""


MOST_DOTS: Final = 200
"""Dots drawn of one sample; of a larger one a dot stands for several prompts, and the page says for how many."""


OTHER_UNIT: Final = ("labels",)
"""Controls whose estimate is a share of shuffles, which no axis of the effect can show."""

MOST_LANES: Final = 12
"""Templates of one sample that get a lane each; more share one."""


MOST_SAMPLES: Final = 18
"""Samples in one picture: sixteen personas and a little more."""


LARGEST_MARKED, FINEST_MARKED = 1e12, 1e-9
"""The largest value and the finest range that an axis marks with numbers."""


BIN: Final = 8
"""Dots nearer than this, in thousandths of the width, are stacked."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The range of values that a picture shows and the round numbers marked on it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    def x(self, value: float) -> int:
        """Where `value` lies, in thousandths of the width; halves keep the difference of two huge numbers finite."""
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return round(MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN))

    def grid(self, height: int) -> str:
        """A vertical line at every tick."""
        return "".join(f"M{self.x(tick)} 0V{height}" for tick in self.ticks)

    def drawing(self) -> Markup:
        """The numbers under a picture; not stretched, so that they stay legible on a phone."""
        labels = "".join(
            f'<text x="{self.x(tick) / 10:g}%" y="14">{tick:,.{self.decimals}f}</text>'.replace(">-", ">−")
            for tick in self.ticks
        )
        svg = f'<svg class="axis" width="100%" height="20" aria-hidden="true">{labels}</svg>'
        return Markup(svg)  # noqa: S704 - numbers only


def axis_over(values: Iterable[float]) -> Axis:
    """An axis that holds all `values`, with at most eight ticks at multiples of 1, 2 or 5 times a power of ten."""
    seen = list(values) or [0.0]
    low, high = min(seen), max(seen)
    size = max(abs(low), abs(high))
    if high / 2 - low / 2 <= 1e-9 * size:  # nothing to tell apart: make room on both sides
        low, high = low - (size / 10 or 1.0), high + (size / 10 or 1.0)
    if size > LARGEST_MARKED or high - low < FINEST_MARKED:  # no round numbers that fit under a tick
        return Axis(low=low, high=high, ticks=(), decimals=0)
    rough = (high - low) / 7
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    ticks = tuple(index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
    return Axis(low=low, high=high, ticks=ticks, decimals=max(0, -math.floor(math.log10(step) + 1e-9)))


def box(paths: Sequence[tuple[str, str]], height: int, kind: str) -> Markup:
    """An SVG of the given paths (class, data), `height` pixels high and as wide as its column."""
    drawn = "".join(f'<path class="{name}" d="{data}"/>' for name, data in paths if data)
    svg = (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" height="{height}" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )
    return Markup(svg)  # noqa: S704 - numbers and our own class names only


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The values of one sample, drawn: a dot a prompt, a lane a template, the mean with its interval.

    `each` is how many prompts a dot stands for; `fired` counts the ones where every value is 0 or 1.
    """

    sample: SampleJson[int]
    series: int
    drawing: Markup
    published: tuple[PublishedJson, ...]
    each: int
    lanes: int
    fired: int | None


@dataclass(frozen=True, kw_only=True)
class Strips:
    """The samples of one comparison on one axis."""

    rows: tuple[Strip, ...]
    axis: Axis

    @property
    def each(self) -> int:
        """The most prompts that one dot of the picture stands for."""
        return max(row.each for row in self.rows)

    @property
    def dots(self) -> bool:
        """Whether prompts are drawn one by one."""
        return any(row.sample["values"] and row.fired is None for row in self.rows)

    @property
    def values(self) -> bool:
        """Whether there are values of prompts at all, or summaries only."""
        return any(row.sample["values"] for row in self.rows)

    @property
    def lanes(self) -> bool:
        """Whether a side is drawn with a lane a template."""
        return any(row.lanes > 1 for row in self.rows)

    @property
    def intervals(self) -> bool:
        """Whether a mean has an interval."""
        return any(row.sample["interval"] for row in self.rows)

    @property
    def published(self) -> bool:
        """Whether a published value is marked."""
        return any(row.published for row in self.rows)


def by_template(sample: SampleJson[int], prompts: Sequence[PromptJson]) -> dict[str, list[tuple[str, float]]]:
    """(topic, value) of each prompt by template, in order of first appearance."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for number, value in zip(sample["prompts"], sample["values"], strict=True):
        prompt = prompts[number]
        groups.setdefault(prompt["template"], []).append((prompt["topic"], value))
    return groups


def _lane_values(sample: SampleJson[int], prompts: Sequence[PromptJson]) -> list[list[float]]:
    lanes = [[value for _, value in group] for group in by_template(sample, prompts).values()]
    if 1 < len(lanes) <= MOST_LANES and len(sample["values"]) >= 2 * len(lanes):
        return lanes
    return [sample["values"]] if sample["values"] else []


def _stacked(values: Sequence[float], axis: Axis, middle: float, height: float, each: int) -> str:
    """Dots of one lane; prompts that fall together are stacked around the middle, closer the more there are."""
    bins: dict[int, int] = {}
    for value in values:
        place = axis.x(value) // BIN
        bins[place] = bins.get(place, 0) + 1
    drawn: list[str] = []
    for place, count in bins.items():
        dots = math.ceil(count / each)
        gap = min(4.6, (height - 4) / dots)
        top = middle - gap * (dots - 1) / 2
        drawn += [f"M{place * BIN + BIN // 2} {top + gap * index:.4g}h.1" for index in range(dots)]
    return "".join(drawn)


def _binary(sample: SampleJson[int]) -> bool:
    return bool(sample["values"]) and set(sample["values"]) <= {0.0, 1.0}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(value / len(values) for value in values)


def _strip(
    sample: SampleJson[int],
    *,
    axis: Axis,
    prompts: Sequence[PromptJson],
    published: Sequence[PublishedJson],
    series: int,
) -> Strip:
    """One row of `strips`."""
    lanes = _lane_values(sample, prompts)
    binary = _binary(sample)
    each = max(1, math.ceil(len(sample["values"]) / MOST_DOTS))
    lane_height = 44 if len(lanes) <= 1 else max(10, 56 // len(lanes))
    height = 24 if not lanes else lane_height * len(lanes) + 4
    dots, ticks = "", ""
    for index, values in enumerate(lanes):
        middle = 2 + lane_height * (index + 0.5)
        if not binary:
            dots += _stacked(values, axis, middle, lane_height, each)
        if len(lanes) > 1:
            ticks += f"M{axis.x(_mean(values))} {middle - 4.5:g}v9"
    band = ""
    if sample["interval"] is not None:
        left, right = (axis.x(end) for end in sample["interval"])
        band = f"M{left} 0H{right}V{height}H{left}Z"
    own = tuple(row for row in published if row["label"] == sample["label"] and row["unit"] == sample["unit"])
    drawing = box(
        [
            ("grid", axis.grid(height)),
            ("band", band),
            ("dots", dots),
            ("bar" if binary else "", f"M{axis.x(0.0)} {height // 2}H{axis.x(sample['mean'])}" if binary else ""),
            ("means", ticks),
            ("mean", f"M{axis.x(sample['mean'])} 0V{height}"),
            ("print", "".join(f"M{axis.x(row['value'])} 0V{height}" for row in own)),
        ],
        height,
        f"strip s{series % 6}",
    )
    return Strip(
        sample=sample,
        series=series % 6,
        drawing=drawing,
        published=own,
        each=1 if binary else each,
        lanes=len(lanes),
        fired=sum(value == 1.0 for value in sample["values"]) if binary else None,
    )


def shown_samples(evidence: EvidenceJson[int]) -> list[SampleJson[int]]:
    """The samples to draw: the evidence's own, or those of its parts that share a measure, each once."""
    samples = evidence["samples"] or [sample for part in evidence["parts"] for sample in part["samples"]]
    distinct: list[SampleJson[int]] = []
    for sample in samples:
        if sample not in distinct and (sample["measure"], sample["unit"]) == (
            samples[0]["measure"],
            samples[0]["unit"],
        ):
            distinct.append(sample)
    return distinct[:MOST_SAMPLES]


def strips(
    evidence: EvidenceJson[int], prompts: Sequence[PromptJson], published: Sequence[PublishedJson]
) -> Strips | None:
    """The samples of a comparison, drawn on one axis with the published values beside them; None without samples."""
    samples = shown_samples(evidence)
    if not samples:
        return None
    labels = {(sample["label"], sample["unit"]) for sample in samples}
    shown = [value for sample in samples for value in (*sample["values"], *(sample["interval"] or ()), sample["mean"])]
    shown += [row["value"] for row in published if (row["label"], row["unit"]) in labels]
    if evidence["kind"] == "separation" or any(_binary(sample) for sample in samples):
        shown.append(0.0)
    axis = axis_over(shown)
    rows = tuple(
        _strip(sample, axis=axis, prompts=prompts, published=published, series=index)
        for index, sample in enumerate(samples)
    )
    return Strips(rows=rows, axis=axis)


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


def drawn(control: ControlJson[int]) -> bool:
    """Whether its estimate stands on the axis of the effect: it was run, and is in the same unit."""
    return control["p"] is not None and control["name"] not in OTHER_UNIT
