"""Files: what a study leaves behind, as JSON for programs, CSV with a row a claim, and Markdown for readers."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from studies.calibration.arms import Terms
from studies.calibration.study import Row
from studies.calibration.tables import Line, Share, lines, total

NAME: Final = "calibration"


COLUMNS: Final = (
    "subject", "population", "design", "measure", "wordings", "topics", "effect", "verdict", "naive",
)  # fmt: skip
"""Of the CSV; the JSON tells of each design its kind, and why it is false or true."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study that was run.

    Attributes:
        rows: one a claim.
        terms: under which all were judged.
        command: that makes it again.
        fingerprints: of the subjects, by name.
        versions: of the libraries that computed.
    """

    rows: tuple[Row, ...]
    terms: Terms
    command: str
    fingerprints: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def beyond(self) -> tuple[Line, ...]:
        """The kinds of false claims that are confirmed, or wrongly refuted, beyond alpha and beyond chance."""
        alpha = self.terms.alpha
        return tuple(line for line in lines(self.rows, "false", alpha=alpha) if line.beyond(alpha))


def write(study: Study, page: str, folder: Path) -> tuple[Path, ...]:
    """Write `calibration.json`, `.csv` and `.md` into a folder, which is made where it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{NAME}.{suffix}" for suffix in ("json", "csv", "md"))
    paths[0].write_text(json.dumps(as_json(study), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with paths[1].open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        numbers = {
            name: number for number, name in enumerate(dict.fromkeys(_design(row) for row in study.rows), start=1)
        }
        writer.writerows(_cells(row, numbers[_design(row)]) for row in study.rows)
    paths[2].write_text(page, encoding="utf-8")
    return paths


def _design(row: Row) -> tuple[str, str, str]:
    return row.truth, row.kind, row.how


def _cells(row: Row, design: int) -> Sequence[object]:
    effect = "" if row.effect is None else f"{row.effect:.3g}"
    naive = "" if row.naive is None else "confirmed" if row.naive else "open"
    return (
        row.subject, row.population, design, row.measure, row.wordings, row.topics, effect, row.word, naive,
    )  # fmt: skip


def as_json(study: Study) -> dict[str, Any]:
    """The counts of a study in JSON's own types; designs are numbered in the order in which they were run."""
    alpha = study.terms.alpha
    false, true = (lines(study.rows, truth, alpha=alpha) for truth in ("false", "true"))
    return {
        "alpha": alpha,
        "seed": study.terms.seed,
        "command": study.command,
        "fingerprints": dict(study.fingerprints),
        "versions": dict(study.versions),
        "false": [{"design": number, **_line(line)} for number, line in enumerate(false, start=1)],
        "true": [{"design": number, **_line(line)} for number, line in enumerate(true, start=len(false) + 1)],
        "all false": _line(total(study.rows, "false")),
        "all true": _line(total(study.rows, "true")),
        "beyond": [f"{line.kind}: {line.how}" for line in study.beyond],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "how": line.how,
        "claims": line.claims,
        "confirmed": _share(line.confirmed),
        "refuted": _share(line.refuted),
        "inconclusive": _share(line.inconclusive),
        "naive": None if line.naive is None else _share(line.naive),
        "expected": line.expected,
        "expected_refuted": line.contrary,
    }


def _share(of: Share) -> dict[str, Any]:
    low, high = of.interval
    return {"count": of.count, "of": of.of, "share": round(of.value, 4), "interval": [round(low, 4), round(high, 4)]}
