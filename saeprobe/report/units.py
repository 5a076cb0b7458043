"""Units: what a test was made on, by side, as the page lists it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saeprobe.report.shape import EvidenceJson
from saeprobe.report.tables import number

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
