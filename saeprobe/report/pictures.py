"""Pictures show a comparison as inline SVG: the values of each side, and estimates with their intervals.

Everything but an axis is drawn as a few paths in a box 1000 wide that the page stretches to its column, with strokes
that do not scale. A dot is a short stroke with round ends: ten bytes, and round at any width.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

from markupsafe import Markup

from saeprobe.files import is_share
from saeprobe.report.shape import Control, Document, Evidence, Interval, Published, Sample

WIDTH: Final = 1000
MARGIN: Final = 14  # room left and right of the outermost value, in thousandths of the width
MOST_DOTS: Final = 200  # of one sample; of a larger one a dot stands for several prompts, as the page says
MOST_LANES: Final = 12  # templates of one sample that get a lane each; more share one
MOST_SAMPLES: Final = 18  # in one picture: sixteen personas and a little more
LARGEST_MARKED, FINEST_MARKED = 1e12, 1e-9  # the largest value and the finest range that an axis marks with numbers
BIN: Final = 8  # dots nearer than this, in thousandths of the width, are stacked
DIFFERENCES: Final = ("greater", "at least", "about equal", "exclusive")
"""Kinds of evidence whose estimate is a difference, so that zero means no effect."""
SIGNS: Final = {"greater": ">", "at least": ">", "about equal": "≈", "separation": "|"}
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis has the range of values that a picture shows and the round numbers marked on it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int
    unit: str

    def x(self, value: float) -> int:
        """Give the place of `value` in thousandths of the width; halves keep the difference of huge numbers finite."""
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return round(MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN))

    def grid(self, height: int) -> str:
        """Draw a vertical line at every tick."""
        return "".join(f"M{self.x(tick)} 0V{height}" for tick in self.ticks)

    def drawing(self) -> Markup:
        """Draw the numbers under a picture; they are not stretched, so that they stay legible on a phone."""
        times, sign = (100, " %") if is_share(self.unit) else (1, "")
        decimals = max(0, self.decimals - 2) if sign else self.decimals
        labels = "".join(
            f'<text x="{self.x(tick) / 10:g}%" y="14">{times * tick:,.{decimals}f}{sign}</text>'.replace(">-", ">−")
            for tick in self.ticks
        )
        svg = f'<svg class="axis" width="100%" height="20" aria-hidden="true">{labels}</svg>'
        return Markup(svg)  # noqa: S704 - numbers only


def axis_over(values: Iterable[float], unit: str = "") -> Axis:
    """Make an axis that holds all `values`, with at most eight ticks at multiples of 1, 2 or 5 times a power of ten."""
    seen = list(values) or [0.0]
    low, high = min(seen), max(seen)
    size = max(abs(low), abs(high))
    if high / 2 - low / 2 <= 1e-9 * size:  # all the same: make room on both sides
        low, high = low - (size / 10 or 1.0), high + (size / 10 or 1.0)
    if size > LARGEST_MARKED or high - low < FINEST_MARKED:  # no round numbers that fit under a tick
        return Axis(low=low, high=high, ticks=(), decimals=0, unit=unit)
    rough = (high - low) / 7
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    ticks = tuple(index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(low=low, high=high, ticks=ticks, decimals=decimals, unit=unit)


def _box(paths: Sequence[tuple[str, str]], height: int, kind: str) -> Markup:
    """Draw the given paths (class, data) in an SVG `height` pixels high and as wide as its column."""
    drawn = "".join(f'<path class="{name}" d="{data}"/>' for name, data in paths if data)
    svg = f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" height="{height}" preserveAspectRatio="none" '
    return Markup(f'{svg}aria-hidden="true">{drawn}</svg>')  # noqa: S704 - numbers and our own class names only


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A strip draws the values of one sample: a dot a prompt, a lane a template, the mean with its interval.

    `each` is how many prompts a dot stands for; `fired` counts the ones where every value is 0 or 1.
    """

    sample: Sample
    series: int
    drawing: Markup
    published: tuple[Published, ...]
    each: int
    lanes: int
    fired: int | None


@dataclass(frozen=True, kw_only=True)
class Picture(Generic[Row]):
    """A picture has rows on one axis; `caption` are keys of `words.toml`, and a dot stands for up to `each` prompts."""

    rows: tuple[Row, ...]
    axis: Axis
    caption: tuple[str, ...]
    each: int = 1


def mean_of(values: Sequence[float]) -> float:
    """Give the mean; each value is divided first, so that huge ones stay finite."""
    return math.fsum(value / len(values) for value in values)


def _stacked(values: Sequence[float], axis: Axis, middle: float, height: float, each: int) -> str:
    """Draw the dots of one lane; those that fall together are stacked around the middle, closer the more there are."""
    bins = Counter(axis.x(value) // BIN for value in values)
    drawn = ""
    for place, count in bins.items():
        dots = math.ceil(count / each)
        gap = min(4.6, (height - 4) / dots)
        top = middle - gap * (dots - 1) / 2
        drawn += "".join(f"M{place * BIN + BIN // 2} {top + gap * index:.4g}h.1" for index in range(dots))
    return drawn


def _binary(sample: Sample) -> bool:
    return bool(sample.values) and set(sample.values) <= {0.0, 1.0}


def _strip(sample: Sample, *, axis: Axis, document: Document, published: Sequence[Published], series: int) -> Strip:
    lanes: list[Sequence[float]] = [[value for _, value in it] for it in by_template(sample, document).values()]
    if not (1 < len(lanes) <= MOST_LANES and len(sample.values) >= 2 * len(lanes)):
        lanes = [sample.values] if sample.values else []
    binary = _binary(sample)
    each = 1 if binary else max(1, math.ceil(len(sample.values) / MOST_DOTS))
    lane_height = 44 if len(lanes) <= 1 else max(10, 56 // len(lanes))
    height = 24 if not lanes else lane_height * len(lanes) + 4
    dots, ticks, band = "", "", ""
    for index, values in enumerate(lanes):
        middle = 2 + lane_height * (index + 0.5)
        if not binary:
            dots += _stacked(values, axis, middle, lane_height, each)
        if len(lanes) > 1:
            ticks += f"M{axis.x(mean_of(values))} {middle - 4.5:g}v9"
    if sample.interval is not None:
        left, right = (axis.x(end) for end in sample.interval)
        band = f"M{left} 0H{right}V{height}H{left}Z"
    own = tuple(row for row in published if (row.label, row.unit) == (sample.label, sample.unit))
    paths = [
        ("grid", axis.grid(height)),
        ("band", band),
        ("dots", dots),
        ("bar", f"M{axis.x(0.0)} {height // 2}H{axis.x(sample.mean)}" if binary else ""),
        ("means", ticks),
        ("mean", f"M{axis.x(sample.mean)} 0V{height}"),
        ("print", "".join(f"M{axis.x(row.value)} 0V{height}" for row in own)),
    ]
    return Strip(
        sample=sample,
        series=series % 6,
        drawing=_box(paths, height, f"strip s{series % 6}"),
        published=own,
        each=each,
        lanes=len(lanes),
        fired=sum(value == 1.0 for value in sample.values) if binary else None,
    )


def strips(evidence: Evidence, document: Document, published: Sequence[Published]) -> Picture[Strip] | None:
    """Draw the samples of a comparison on one axis with their published values; None without samples.

    They are the comparison's own, or those of its parts that share a measure, each once.
    """
    own = evidence.samples or [row for part in evidence.parts for row in document.evidence[part].samples]
    found = [document.samples[row] for row in dict.fromkeys(own)]
    samples = [one for one in found if (one.measure, one.unit) == (found[0].measure, found[0].unit)][:MOST_SAMPLES]
    if not samples:
        return None
    labels = {(sample.label, sample.unit) for sample in samples}
    shown = [value for sample in samples for value in (*sample.values, *(sample.interval or ()), sample.mean)]
    shown += [row.value for row in published if (row.label, row.unit) in labels]
    if evidence.kind == "separation" or any(_binary(sample) for sample in samples):
        shown.append(0.0)
    axis = axis_over(shown, samples[0].unit)
    draw = partial(_strip, axis=axis, document=document, published=published)
    rows = tuple(draw(sample, series=index) for index, sample in enumerate(samples))
    each = max(row.each for row in rows)
    caption = {
        "plot.each" if each > 1 else "plot.dot": any(row.sample.values and row.fired is None for row in rows),
        "plot.lane": any(row.lanes > 1 for row in rows),
        "plot.band" if any(row.sample.interval for row in rows) else "plot.line": True,
        "plot.print": any(row.published for row in rows),
    }
    return Picture(rows=rows, axis=axis, each=each, caption=tuple(key for key, said in caption.items() if said))


def by_template(sample: Sample, document: Document) -> dict[str, list[tuple[str, float]]]:
    """Give (topic, value) of each prompt by template, in order of first appearance."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for row, value in zip(sample.prompts, sample.values, strict=True):
        groups.setdefault(document.prompts.template[row], []).append((document.prompts.topic[row], value))
    return groups


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A row of the forest is an estimate as measured, or what is left of it under `control`."""

    label: str | None
    control: Control | None
    outcome: str
    estimate: float | None
    interval: Interval
    drawing: Markup


def part_labels(evidence: Evidence, document: Document) -> list[str]:
    """Name the parts by what differs: `novice` where all are held against one, `novice > expert`, or statements."""
    parts = [document.evidence[row] for row in evidence.parts]
    names = [[document.samples[row].label for row in part.samples] for part in parts]
    first = [sides[0] if sides else "" for sides in names]
    both = [f" {SIGNS.get(part.kind, '·')} ".join(sides) for part, sides in zip(parts, names, strict=True)]
    one_rest = len({tuple(sides[1:]) for sides in names}) == 1
    for labels in (first if one_rest else both, both):
        if "" not in labels and len(set(labels)) == len(labels):
            return labels
    return [part.statement for part in parts]


def _draw(estimate: float | None, interval: Interval, axis: Axis, *, control: bool) -> Markup:
    height = 16 if control else 20
    middle = height // 2
    line = ""
    if interval is not None:
        left, right = (axis.x(end) for end in interval)
        line = f"M{left} {middle}H{right}M{left} {middle - 3}v6M{right} {middle - 3}v6"
    dot = "" if estimate is None else f"M{axis.x(estimate)} {middle}h.1"
    paths = [("grid", axis.grid(height)), ("zero", f"M{axis.x(0.0)} 0V{height}"), ("reach", line)]
    paths += [("ring", dot), ("hole", dot)] if control else [("square", dot)]
    return _box(paths, height, "row-picture")


def _rows(evidence: Evidence, label: str | None, axis: Axis) -> Iterator[Estimate]:
    for one in (evidence, *_drawn(evidence)):
        control = one if isinstance(one, Control) else None
        drawing = _draw(one.estimate, one.interval, axis, control=control is not None)
        made = partial(Estimate, label=label, control=control, outcome=evidence.outcome, drawing=drawing)
        yield made(estimate=one.estimate, interval=one.interval)


def _drawn(evidence: Evidence) -> list[Control]:
    return [one for one in evidence.controls if one.p is not None]  # of those that were not run there is nothing


def forest(evidence: Evidence, document: Document) -> Picture[Estimate] | None:
    """Draw the estimate of a comparison with its controls, or of each part of it; None where there is none to draw."""
    shown = [document.evidence[row] for row in evidence.parts] or [evidence]
    estimates = [one for piece in shown for one in (piece, *_drawn(piece))]
    numbers = [one.estimate for one in estimates if one.estimate is not None]
    numbers += [end for one in estimates for end in one.interval or ()]
    lone = evidence.kind not in DIFFERENCES or not (evidence.interval or _drawn(evidence))
    if not numbers or (lone and not evidence.parts):
        return None
    axis = axis_over([0.0, *numbers], shown[0].unit)
    labels: list[str | None] = [*part_labels(evidence, document)] if evidence.parts else [None]
    rows = tuple(row for piece, label in zip(shown, labels, strict=True) for row in _rows(piece, label, axis))
    caption = {
        "plot.square": True,
        "plot.ring": any(row.control is not None for row in rows),
        "plot.reach": any(row.interval for row in rows),
    }
    return Picture(rows=rows, axis=axis, caption=tuple(key for key, said in caption.items() if said))
