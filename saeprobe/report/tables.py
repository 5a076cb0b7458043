"""What the page's tables hold: numbers as a reader reads them, values by template, prompts by style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from markupsafe import Markup

from saeprobe.claims import Control
from saeprobe.evidence.controls import HALF, RANDOM, withstands
from saeprobe.report.document import (
    ControlJson,
    Document,
    EvidenceJson,
    ProbeJson,
    PromptJson,
    PublishedJson,
    SampleJson,
)
from saeprobe.report.pictures import MOST_LANES, OTHER_UNIT, by_template
from saeprobe.report.wording import Language, mark

MOST_VALUES: Final = 400
"""Values of one sample that the page prints one by one."""


MOST_TEMPLATES: Final = 60
"""Templates of one sample that the page lists."""


LONGEST_TEXT: Final = 2_000
"""Characters of a prompt or continuation that the page shows."""


MOST_PROMPT_TEXT: Final = 600_000
"""Characters of all prompts together that the page shows."""


PLAIN_FROM, PLAIN_TO = 1e-4, 1e6
"""Magnitudes between which a number is written without a power of ten."""


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def number(value: float | None) -> str:
    """`value` to four significant digits, or a dash."""
    if value is None:
        return "\N{EN DASH}"
    size = abs(value)
    if value == 0:
        return "0"
    if not PLAIN_FROM <= size < PLAIN_TO:
        return _signed(f"{value:.3g}")
    return _signed(f"{value:,.0f}" if size >= 1000 else f"{value:.4g}")  # noqa: PLR2004 - where four digits no longer show the whole


def exact(value: float | None) -> str:
    """`value` with every digit that was printed in its source: 132.4, 0.10 as 0.1, 4.0 as 4."""
    if value is None:
        return "\N{EN DASH}"
    text = repr(value)
    return _signed(text.removesuffix(".0"))


def estimate(value: float | None, ends: Sequence[float] | None) -> Markup:
    """`**2.50** [1.60, 3.40]`: a number with its interval, both to the decimals that the interval's width calls for."""
    if value is None or ends is None:
        return Markup("<b>{}</b>").format(number(value))
    width = abs(ends[1] - ends[0])
    if width == 0 or not all(PLAIN_FROM <= abs(it) < PLAIN_TO or it == 0 for it in (width, value, *ends)):
        shown = [number(it) for it in (value, *ends)]
    else:
        decimals = max(0, 2 - math.floor(math.log10(width)))
        shown = [_signed(f"{it:,.{decimals}f}") for it in (value, *ends)]
    return Markup('<b>{}</b> <span class="whole">[{}, {}]</span>').format(*shown)


def percent(level: float | None) -> str:
    """0.95 as `95%`."""
    return "" if level is None else f"{level * 100:g}%"


def share(part: float | None) -> str:
    """0.62 as `62%`, or a dash."""
    return "\N{EN DASH}" if part is None else _signed(f"{part * 100:.3g}%")


def probability(p: float | None) -> str:
    """A p-value to two significant digits, never as zero."""
    if p is None:
        return "\N{EN DASH}"
    return "< 0.0001" if p < PLAIN_FROM else f"{p:.2g}"


def seconds(duration: float) -> str:
    """A duration to a tenth of a second, never as zero."""
    return "< 0.1" if duration < 0.1 else f"{duration:,.1f}"  # noqa: PLR2004 - the last digit shown


def clip(text: str, *, language: Language) -> Markup:
    """`text` escaped, cut where it is too long for the page, saying how much is left out."""
    if len(text) <= LONGEST_TEXT:
        return Markup("{}").format(text)
    rest = mark("clipped", language, n=f"{len(text) - LONGEST_TEXT:,}")
    return Markup("{}… {}").format(text[:LONGEST_TEXT], rest)


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A printed number with the interval of what was measured here, where the evidence has one."""

    row: PublishedJson
    interval: list[float] | None


def _all_samples(evidence: EvidenceJson[int]) -> list[SampleJson[int]]:
    return [*evidence["samples"], *(sample for part in evidence["parts"] for sample in _all_samples(part))]


def published_rows(probe: ProbeJson[int]) -> list[PublishedRow]:
    """The published numbers of a probe, in their order."""
    samples = [sample for piece in probe["evidence"] for sample in _all_samples(piece)]
    ends = {(sample["label"], sample["unit"], sample["mean"]): sample["interval"] for sample in samples}
    return [
        PublishedRow(
            row=row,
            interval=None if row["measured"] is None else ends.get((row["label"], row["unit"], row["measured"])),
        )
        for row in probe["published"]
    ]


def near_threshold(evidence: EvidenceJson[int]) -> list[tuple[str, str]]:
    """(label, sentence) of each sample, parts included, of which rounding decides something."""
    told = ((sample["label"], sample["near_threshold"]) for sample in _all_samples(evidence))
    return list(dict.fromkeys((label, sentence) for label, sentence in told if sentence is not None))


def places(evidence: EvidenceJson[int]) -> list[str]:
    """The tokens that were read, each once, parts included."""
    return list(dict.fromkeys(sample["place"] for sample in _all_samples(evidence) if sample["place"]))


def arms(evidence: EvidenceJson[int]) -> dict[str, list[tuple[str, str]]]:
    """(prompt, continuation) of a steering experiment by arm, in order of first appearance."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for arm, prompt, text in evidence["continuations"]:
        groups.setdefault(arm, []).append((prompt, text))
    return groups


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template of a sample with its values summed up."""

    name: str
    wording: str
    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ValuesTable:
    """Values of one sample: a line a topic, a column a template; no lines where they would be too many."""

    sample: SampleJson[int]
    templates: tuple[Template, ...]
    left_out: int
    lines: tuple[tuple[str, tuple[str, ...]], ...]


def values_table(sample: SampleJson[int], prompts: Sequence[PromptJson]) -> ValuesTable:
    """The values of `sample` as a table."""
    groups = by_template(sample, prompts)
    templates = tuple(
        Template(
            name=f"T{index}",
            wording=wording,
            n=len(group),
            mean=math.fsum(value / len(group) for _, value in group),
            low=min(value for _, value in group),
            high=max(value for _, value in group),
        )
        for index, (wording, group) in enumerate(groups.items(), start=1)
    )
    lines: list[tuple[str, tuple[str, ...]]] = []
    if len(groups) <= MOST_LANES and len(sample["values"]) <= MOST_VALUES:
        columns: list[dict[str, list[str]]] = []
        for group in groups.values():
            column: dict[str, list[str]] = {}
            for topic, value in group:
                column.setdefault(topic, []).append(number(value))
            columns.append(column)
        topics = dict.fromkeys(topic for group in groups.values() for topic, _ in group)
        lines = [(topic, tuple(" · ".join(column.get(topic, [])) for column in columns)) for topic in topics]
    return ValuesTable(
        sample=sample,
        templates=templates[:MOST_TEMPLATES],
        left_out=max(0, len(templates) - MOST_TEMPLATES),
        lines=tuple(lines),
    )


@dataclass(frozen=True, kw_only=True)
class PromptGroup:
    """The prompts of one style and template."""

    style: str
    template: str
    prompts: tuple[PromptJson, ...]


def prompt_groups(document: Document) -> tuple[list[PromptGroup], int]:
    """The prompts by style and template in order of first appearance, and how many the page has no room for."""
    groups: dict[tuple[str, str], list[PromptJson]] = {}
    room, left_out = MOST_PROMPT_TEXT, 0
    for prompt in document["prompts"]:
        room -= min(len(prompt["text"]), LONGEST_TEXT) + len(prompt["topic"])
        if room < 0:
            left_out += 1
            continue
        groups.setdefault((prompt["style"], prompt["template"]), []).append(prompt)
    return (
        [
            PromptGroup(style=style, template=template, prompts=tuple(prompts))
            for (style, template), prompts in groups.items()
        ],
        left_out,
    )


MOST_UNITS: Final = 120
"""Units of one side that the page lists."""


LONGEST_NAME: Final = 90
"""Characters of a wording that stand beside its value; the whole of it stands with the values by prompt."""


_CROSSED: Final = "templates and topics"
"""Two sorts of units: the templates of either side, and then the topics' differences."""


@dataclass(frozen=True, kw_only=True)
class UnitSide:
    """The units of one side with their values and what they are; `left_out` more are in the JSON."""

    side: str
    what: str
    lines: Sequence[tuple[str, str]]
    left_out: int


def unit_sides(evidence: EvidenceJson[int]) -> list[UnitSide]:
    """The units by side, in the order of the test."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for unit in evidence["unit_values"]:
        groups.setdefault(unit["side"], []).append((_name(unit["unit"]), number(unit["value"])))
    what = evidence["units"] or ""
    sorts = [what] * len(groups)
    if what.startswith(_CROSSED) and len(groups) > 1:  # where templates are paired too, both are one side's
        sorts = ["templates"] * (len(groups) - 1) + ["topics"]
    return [
        UnitSide(side=side, what=sort, lines=lines[:MOST_UNITS], left_out=max(0, len(lines) - MOST_UNITS))
        for sort, (side, lines) in zip(sorts, groups.items(), strict=True)
    ]


def _name(unit: str) -> str:
    text = " ".join(unit.split())
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


Standing = Literal["withstood", "explains", "reproduces", "open", "not-run", "not-judged"]


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One control and what it makes of the effect; `standing` is a key of `words.toml` under `standing`."""

    control: ControlJson[int]
    standing: Standing

    @property
    def outcome(self) -> str:
        """The outcome whose colour and sign it takes."""
        if self.standing in ("explains", "reproduces"):
            return "refuted"
        return "supported" if self.standing == "withstood" else "inconclusive"


def rivals(evidence: EvidenceJson[int]) -> list[Rival]:
    """The controls of a comparison, in the order declared."""
    alpha = evidence["alpha"]
    found = [Rival(control=control, standing=_standing(control, alpha)) for control in evidence["controls"]]
    if evidence["outcome"] == "supported" or any(rival.control["explains"] for rival in found):
        return found
    if evidence["p"] is not None and alpha is not None and evidence["p"] < alpha and (evidence["estimate"] or 0) > 0:
        return found
    # Where the claim's own comparison finds no effect there is nothing that a rival could explain.
    return [rival if rival.standing == "not-run" else replace(rival, standing="not-judged") for rival in found]


def _standing(control: ControlJson[int], alpha: float | None) -> Standing:
    p, share, left = control["p"], control["share"], control["estimate"]
    if p is None:
        return "not-run"
    if control["explains"]:
        return "explains" if control["expects"] == "persists" else "reproduces"
    if alpha is None or control["name"] in OTHER_UNIT:
        return "withstood"
    if control["expects"] == "persists":
        holds = withstands(cast("Control", control["name"]), left, p, share, alpha)
        return "withstood" if holds else "open"
    if control["name"] in RANDOM:  # p is the rank of the claim among the draws
        return "open" if p >= alpha else "withstood"
    return "open" if p >= alpha and share is not None and share >= HALF else "withstood"
