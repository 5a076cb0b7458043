"""Tables of the study: of each kind of claim what became of it, and the power by size of the effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from saeprobe.statistics.intervals import power_of, rate_interval
from studies.calibration.claimed import Truth
from studies.calibration.study import Row
from studies.calibration.true_claims import EDGES, bin_of

LEVEL = 0.95
"""Of all intervals of the study."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many, with the exact binomial interval of the share (Clopper & Pearson 1934)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share, at 95 %."""
        return rate_interval(self.count, self.of, level=LEVEL)


def share(rows: Iterable[Row], fulfils: Callable[[Row], bool]) -> Share:
    """The share of rows that fulfil something."""
    found = [fulfils(row) for row in rows]
    return Share(count=sum(found), of=len(found))


@dataclass(frozen=True, kw_only=True)
class Line:
    """What became of all claims of one design, or of several together.

    `expected` is the share of false claims that an exact test would confirm, and `contrary` refute; None where claims
    of several levels are taken together, or are true, or refuting them is right. `naive` is None where the naive arm
    has no test.
    """

    kind: str
    how: str
    claims: int
    confirmed: Share
    refuted: Share
    inconclusive: Share
    naive: Share | None
    ours_beside_naive: Share | None
    expected: float | None
    contrary: float | None

    def confirmed_beyond(self, alpha: float) -> bool:
        """Whether the whole interval of the confirmed share lies above alpha."""
        return self.confirmed.interval[0] > alpha

    def refuted_beyond(self, alpha: float) -> bool:
        """Whether refuting is wrong, and the whole interval of its share lies above alpha, and above what is exact."""
        return self.contrary is not None and self.refuted.interval[0] > max(alpha, self.contrary)

    def beyond(self, alpha: float) -> bool:
        """Whether either share of wrong verdicts is."""
        return self.confirmed_beyond(alpha) or self.refuted_beyond(alpha)


def line(
    rows: Sequence[Row], *, kind: str, how: str, expected: float | None = None, contrary: float | None = None
) -> Line:
    """One line of a table; `ours_beside_naive` counts the claims on which the naive arm has a test."""
    both = [row for row in rows if row.naive is not None]
    return Line(
        kind=kind,
        how=how,
        claims=len(rows),
        confirmed=share(rows, lambda row: row.confirmed),
        refuted=share(rows, lambda row: row.word == "refuted"),
        inconclusive=share(rows, lambda row: row.word == "inconclusive"),
        naive=share(both, lambda row: bool(row.naive)) if both else None,
        ours_beside_naive=share(both, lambda row: row.confirmed) if both else None,
        expected=expected,
        contrary=contrary,
    )


def lines(rows: Sequence[Row], truth: Truth, *, alpha: float) -> list[Line]:
    """A line a design, in the order in which the designs were run."""
    designs = dict.fromkeys((row.kind, row.how, row.level, row.contrary) for row in rows if row.truth == truth)
    return [
        line(
            [row for row in rows if (row.truth, row.kind, row.how) == (truth, kind, how)],
            kind=kind,
            how=how,
            expected=level * alpha if truth == "false" else None,
            contrary=contrary * alpha if truth == "false" and contrary is not None else None,
        )
        for kind, how, level, contrary in designs
    ]


def total(rows: Sequence[Row], truth: Truth) -> Line:
    """All claims that are false, or true, together."""
    return line([row for row in rows if row.truth == truth], kind="all", how="")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Claims of one size of effect on so many wordings, or topics: the share confirmed, and what planning predicts."""

    units: int
    low: float
    confirmed: Share
    planned: float | None


def powers(rows: Sequence[Row], *, alpha: float, planned: bool, topics: bool = False) -> list[Cell]:
    """Confirmed true claims by number of wordings, or of topics, and by effect size.

    `planned` asks for the mean of `power.power_of` beside them.
    """
    cells: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if row.effect is not None:
            units = row.topics if topics else row.wordings
            cells.setdefault((units, bin_of(row.effect)), []).append(row)
    return [
        Cell(
            units=count,
            low=EDGES[at],
            confirmed=share(cells[count, at], lambda row: row.confirmed),
            planned=_planned(cells[count, at], count, alpha) if planned else None,
        )
        for count, at in sorted(cells)
    ]


def _planned(rows: Sequence[Row], units: int, alpha: float) -> float:
    return sum(power_of(row.effect or 0.0, units, alpha=alpha, paired=False) for row in rows) / len(rows)
