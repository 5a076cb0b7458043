"""Evidence and samples are made again, as a probe recorded them, from the rows of a report that keep them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from saeprobe.evidence import ControlResult, Evidence, Sample, UnitValue
from saeprobe.prompts import Prompt
from saeprobe.report import shape
from saeprobe.report.shape import Document


def samples_at(document: Document, rows: Iterable[int]) -> Iterator[shape.Sample]:
    """Give the samples of some rows of evidence and of their parts, in order, not of what controls compared."""
    for row in rows:
        yield from (document.samples[one] for one in document.evidence[row].samples)
        yield from samples_at(document, document.evidence[row].parts)


def in_full(document: Document, sample: shape.Sample) -> Sample:
    """Give a sample with each prompt in full; of which run it is recorded, the scope of the verdict alone says."""
    held = document.prompts
    columns = held.text, held.style, held.topic, held.template
    rows = ([column[at] for column in columns] for at in sample.prompts)
    prompts = tuple(Prompt(text=text, style=style, topic=of, template=wording) for text, style, of, wording in rows)
    kept: dict[str, Any] = vars(sample) | {"prompts": prompts}
    return Sample(**kept)


def evidence_at(document: Document, row: int) -> Evidence:
    """Give a piece of evidence with its samples, its parts, and its controls with what these compared."""
    piece = document.evidence[row]
    shown = piece.continuations
    kept: dict[str, Any] = vars(piece) | {
        "samples": tuple(in_full(document, document.samples[one]) for one in piece.samples),
        "parts": tuple(evidence_at(document, one) for one in piece.parts),
        "controls": tuple(_control(document, one) for one in piece.controls),
        "unit_values": _units(piece.unit_values),
        "patterns": tuple(zip(piece.patterns.fires, piece.patterns.features, strict=True)),
        "continuations": tuple(zip(shown.arm, shown.prompt, shown.text, strict=True)),
    }
    return Evidence(**kept)


def _control(document: Document, one: shape.Control) -> ControlResult:
    made = None if one.evidence is None else evidence_at(document, one.evidence)
    units = _units(one.unit_values)
    kept: dict[str, Any] = vars(one) | {"numbers": dict(one.numbers), "unit_values": units, "evidence": made}
    return ControlResult(**kept)


def _units(table: shape.UnitValues) -> tuple[UnitValue, ...]:
    rows = zip(table.side, table.unit, table.value, strict=True)
    return tuple(UnitValue(side=side, unit=unit, value=value) for side, unit, value in rows)
