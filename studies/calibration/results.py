"""The results of a study are counted here by design and by size of effect, and written for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from saeprobe.statistics.intervals import power_of
from studies.calibration.claim import Truth
from studies.calibration.effects import EDGES, bin_of
from studies.calibration.outcomes import Share, as_counts, made_as_json
from studies.calibration.study import Row, Study

COLUMNS: Final = (
    "subject", "population", "design", "measure", "wordings", "topics", "effect", "verdict", "naive",
)  # fmt: skip
"""The CSV has these columns; the JSON gives the kind of each design, and why it is false or true."""


def share(rows: Iterable[Row], fulfils: Callable[[Row], bool]) -> Share:
    """Return the share of rows that fulfil something."""
    found = [fulfils(row) for row in rows]
    return Share(count=sum(found), of=len(found))


def confirmed(rows: Iterable[Row]) -> Share:
    """Return the share of claims that are confirmed."""
    return share(rows, lambda row: row.confirmed)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line counts what became of all claims of one design, or of several together.

    `allowed` is the share of false claims that may be confirmed, and `contrary` refuted; None where claims of several
    levels are taken together, or are true, or refuting them is right. `naive` is None where the naive arm has no test;
    `ours_where_naive` is the share that the framework confirms of the claims for which it has one.
    """

    kind: str
    how: str
    claims: int
    confirmed: Share
    refuted: Share
    inconclusive: Share
    naive: Share | None
    ours_where_naive: Share | None
    allowed: float | None
    contrary: float | None

    @property
    def confirmed_beyond(self) -> bool:
        """Say whether the whole interval of the confirmed share lies above what is allowed."""
        return self.allowed is not None and self.confirmed.interval[0] > self.allowed

    @property
    def refuted_beyond(self) -> bool:
        """Say whether refuting is wrong, and the whole interval of its share lies above what is allowed."""
        return self.contrary is not None and self.refuted.interval[0] > self.contrary


def line(
    rows: Sequence[Row], *, kind: str, how: str, allowed: float | None = None, contrary: float | None = None
) -> Line:
    """Count one line of a table."""
    both = [row for row in rows if row.naive is not None]
    return Line(
        kind=kind,
        how=how,
        claims=len(rows),
        confirmed=confirmed(rows),
        refuted=share(rows, lambda row: row.word == "refuted"),
        inconclusive=share(rows, lambda row: row.word == "inconclusive"),
        naive=share(both, lambda row: bool(row.naive)) if both else None,
        ours_where_naive=confirmed(both) if both else None,
        allowed=allowed,
        contrary=contrary,
    )


def lines(rows: Sequence[Row], truth: Truth, *, alpha: float) -> list[Line]:
    """Count a line a design, in the order in which the designs were run."""
    designs = dict.fromkeys((row.kind, row.how, row.level, row.contrary) for row in rows if row.truth == truth)
    return [
        line(
            [row for row in rows if (row.truth, row.kind, row.how) == (truth, kind, how)],
            kind=kind,
            how=how,
            allowed=level * alpha if truth == "false" else None,
            contrary=contrary * alpha if truth == "false" and contrary is not None else None,
        )
        for kind, how, level, contrary in designs
    ]


def total(rows: Sequence[Row], truth: Truth) -> Line:
    """Count all claims that are false, or true, together."""
    return line([row for row in rows if row.truth == truth], kind="all", how="")


def beyond(study: Study) -> tuple[Line, ...]:
    """Return the kinds of false claims that are confirmed, or wrongly refuted, more often than allowed for."""
    false = lines(study.rows, "false", alpha=study.terms.alpha)
    return tuple(line for line in false if line.confirmed_beyond or line.refuted_beyond)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell holds claims of one size of effect on so many units: the share confirmed, and what planning predicts."""

    units: int
    low: float
    confirmed: Share
    planned: float


def powers(rows: Sequence[Row], *, alpha: float) -> list[Cell]:
    """Count confirmed true claims by number of wordings and by effect size; `planned` is the mean of `power_of`."""
    cells: dict[tuple[int, int], list[tuple[Row, float]]] = {}
    for row in rows:
        if row.effect is not None:
            cells.setdefault((row.wordings, bin_of(row.effect)), []).append((row, row.effect))
    return [
        Cell(
            units=units,
            low=EDGES[at],
            confirmed=confirmed(row for row, _ in cells[units, at]),
            planned=sum(power_of(effect, units, alpha=alpha, paired=False) for _, effect in cells[units, at])
            / len(cells[units, at]),
        )
        for units, at in sorted(cells)
    ]


def write(study: Study, page: str, folder: Path) -> tuple[Path, ...]:
    """Write `calibration.json`, `.csv` and `.md` into a folder, which is made where it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"calibration.{suffix}" for suffix in ("json", "csv", "md"))
    paths[0].write_text(json.dumps(as_json(study), indent=1, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
    designs = list(dict.fromkeys((row.truth, row.kind, row.how) for row in study.rows))
    with paths[1].open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row, designs.index((row.truth, row.kind, row.how)) + 1) for row in study.rows)
    paths[2].write_text(page, encoding="utf-8", newline="\n")
    return paths


def _cells(row: Row, design: int) -> Sequence[object]:
    effect = "" if row.effect is None else f"{row.effect:.3g}"
    naive = "" if row.naive is None else "confirmed" if row.naive else "open"
    return (
        row.subject, row.population, design, row.measure, row.wordings, row.topics, effect, row.word, naive,
    )  # fmt: skip


def as_json(study: Study) -> dict[str, Any]:
    """Return the counts of a study in JSON's own types; designs are numbered in the order in which they were run."""
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
        "beyond": [f"{line.kind}: {line.how}" for line in beyond(study)],
        "made up": [made_as_json(one, alpha=alpha) for one in study.made],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "how": line.how,
        "claims": line.claims,
        "confirmed": as_counts(line.confirmed),
        "refuted": as_counts(line.refuted),
        "inconclusive": as_counts(line.inconclusive),
        "naive": None if line.naive is None else as_counts(line.naive),
        "allowed": line.allowed,
        "allowed_refuted": line.contrary,
    }
