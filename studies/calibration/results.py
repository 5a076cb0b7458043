"""The results of a study are counted here by design, and written for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studies.calibration.claim import Truth
from studies.calibration.outcomes import Share
from studies.calibration.study import Row, Study


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
        return self.allowed is not None and self.confirmed.above(self.allowed)

    @property
    def refuted_beyond(self) -> bool:
        """Say whether refuting is wrong, and the whole interval of its share lies above what is allowed."""
        return self.contrary is not None and self.refuted.above(self.contrary)


def line(
    rows: Sequence[Row], *, kind: str, how: str, allowed: float | None = None, contrary: float | None = None
) -> Line:
    """Count one line of a table."""
    both = [row for row in rows if row.naive is not None]
    confirmed, refuted, inconclusive = (
        Share(count=sum(row.word == word for row in rows), of=len(rows))
        for word in ("supported", "refuted", "inconclusive")
    )
    return Line(
        kind=kind,
        how=how,
        claims=len(rows),
        confirmed=confirmed,
        refuted=refuted,
        inconclusive=inconclusive,
        naive=Share(count=sum(bool(row.naive) for row in both), of=len(both)) if both else None,
        ours_where_naive=Share(count=sum(row.word == "supported" for row in both), of=len(both)) if both else None,
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


def write(study: Study, page: str, folder: Path) -> tuple[Path, ...]:
    """Write `calibration.json` and `.md` into a folder, which is made where it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = json.dumps(as_json(study), indent=1, allow_nan=False) + "\n"
    written = {folder / "calibration.json": counts, folder / "calibration.md": page}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return tuple(written)


def as_json(study: Study) -> dict[str, Any]:
    """Return the counts of a study in JSON's own types."""
    alpha = study.terms.alpha
    false, true = (lines(study.rows, truth, alpha=alpha) for truth in ("false", "true"))
    return {
        "alpha": alpha,
        "seed": study.terms.seed,
        "command": study.command,
        "fingerprints": dict(study.fingerprints),
        "versions": dict(study.versions),
        "false": [asdict(line) for line in false],
        "true": [asdict(line) for line in true],
        "all false": asdict(total(study.rows, "false")),
        "all true": asdict(total(study.rows, "true")),
        "beyond": [f"{line.kind}: {line.how}" for line in beyond(study)],
        "made up": [one.as_json(alpha) for one in study.made],
    }
