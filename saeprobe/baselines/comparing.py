"""Comparing: the values of a run beside the approved ones, and whether they moved by more than noise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from saeprobe.baselines.changes import changed_prompts, changes
from saeprobe.baselines.values import samples_of, values_of
from saeprobe.evidence.evidence import Evidence
from saeprobe.statistics.shifts import paired_shift
from saeprobe.verdicts.baseline import Baseline, Provenance, Value

ROUNDING: Final = 1e-6
"""As a share of the approved mean: what adding in another order may change."""

DIGITS: Final = 4
"""Significant digits in which a value is told, or as many more as tell two apart."""
MOST_DIGITS: Final = 10


@dataclass(frozen=True, kw_only=True)
class BaselineRow:
    """An approved mean beside the measured one, in `unit`; they agree when they differ by `noise` at most.

    `measured`, `noise` and `noise_from`, which says in words what the noise is made of, are None where this run
    measured nothing of that name.
    """

    label: str
    measure: str
    unit: str
    approved: float
    measured: float | None
    noise: float | None
    noise_from: str | None

    @property
    def agrees(self) -> bool | None:
        """Whether the value stands where it was approved; None where it was not measured."""
        if self.measured is None or self.noise is None:
            return None
        return abs(self.measured - self.approved) <= self.noise


@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """A baseline beside a run; `changed` says in words what is recorded of both and differs."""

    baseline: Baseline
    rows: tuple[BaselineRow, ...]
    changed: tuple[str, ...]

    @property
    def moved(self) -> tuple[BaselineRow, ...]:
        """The values that have left their baseline."""
        return tuple(row for row in self.rows if row.agrees is False)

    @property
    def lost(self) -> tuple[BaselineRow, ...]:
        """The approved values that this run did not measure."""
        return tuple(row for row in self.rows if row.agrees is None)

    def reason(self, *, whole: bool) -> str | None:
        """What moved, since whose approval, and what changed in between; None where everything stands.

        `novice moved from 18.83 to 21.20 features since Ada approved it on 2026-11-22 ("as in table 1"); changed in
        between: transformers 5.23.0 -> 5.24.1`.

        Args:
            whole: the probe came to its end, so that a value it did not measure is one it no longer measures.
        """
        told = [_moved(row) for row in self.moved]
        if whole:
            told += [
                f"{row.measure} of {row.label}, {row.approved:.4g} {row.unit}, is measured no more" for row in self.lost
            ]
        if not told:
            return None
        one = self.baseline
        since = f"since {one.approved_by} approved {'it' if len(told) == 1 else 'them'} on {one.on}"
        between = ", ".join(self.changed)
        between = f"changed in between: {between}" if between else "nothing that is recorded changed in between"
        return f'{", ".join(told)} {since} ("{one.because}"); {between}'


def compare_baseline(baseline: Baseline, evidence: Iterable[Evidence], now: Provenance) -> BaselineComparison:
    """Each approved value beside the measured one of the same label, measure and unit.

    Args:
        baseline: what was approved.
        evidence: what this run showed; where it is empty nothing can be compared, and every value is told as lost.
        now: what this run was made with; its `alpha` and `seed` are those of the test over units.
    """
    measured = {value.key: value for value in values_of(samples_of(evidence))}
    pairs = [(old, measured[old.key]) for old in baseline.values if old.key in measured]
    return BaselineComparison(
        baseline=baseline,
        rows=tuple(_row(old, measured.get(old.key), now) for old in baseline.values),
        changed=(*changed_prompts(pairs), *changes(baseline.measured_with, now)),
    )


def _row(old: Value, new: Value | None, now: Provenance) -> BaselineRow:
    noise, told = (None, None) if new is None else noise_of(old, new, alpha=now.alpha, seed=now.seed)
    return BaselineRow(
        label=old.label,
        measure=old.measure,
        unit=old.unit,
        approved=old.mean,
        measured=None if new is None else new.mean,
        noise=noise,
        noise_from=told,
    )


def noise_of(old: Value, new: Value, *, alpha: float, seed: int) -> tuple[float, str]:
    """How far the mean may lie from the approved one before it counts as moved, and why so far.

    First rounding: a share `ROUNDING` of the mean, and what features near their threshold may move. A mean beyond it
    is held against the scatter of what was measured. On the same units (templates or topics) that is the largest move
    that sign flips of the paired differences do not find at `alpha`, but never more than the approved mean was
    uncertain by: one wild unit must not hide a move. On other units it is the two intervals of the means, added in
    quadrature.
    """
    rounding = max(ROUNDING * abs(old.mean), old.near_moves or 0.0, new.near_moves or 0.0)
    near = rounding > ROUNDING * abs(old.mean)
    least = rounding, "features near their threshold" if near else "rounding"
    if abs(new.mean - old.mean) <= rounding:
        return least
    if len(old.unit_means) > 1 and old.unit_means.keys() == new.unit_means.keys():
        differences = np.array([new.unit_means[name] - mean for name, mean in old.unit_means.items()])
        reach = min(_unseen(differences, alpha=alpha, seed=seed), old.reach)
        found = reach, f"{len(differences)} {old.units}, paired"
    else:
        found = math.hypot(old.reach, new.reach), "the intervals of both means"
    return max(least, found)


def _unseen(differences: np.ndarray, *, alpha: float, seed: int) -> float:
    """The largest mean difference, on its own side of zero, that the test would not tell from none.

    0 where every unit differs by the same amount, which is no noise, and where the units are too few for any test.
    """
    shift = paired_shift(differences, alpha=alpha, seed=seed)
    if shift.interval is None:
        return 0.0
    low, high = shift.interval
    return shift.estimate - low if shift.estimate > 0 else high - shift.estimate


def _moved(row: BaselineRow) -> str:
    before, after = told_apart(row.approved, row.measured or 0.0)
    return f"{row.label} moved from {before} to {after} {row.unit}"


def told_apart(before: float, after: float) -> tuple[str, str]:
    """Two numbers in as many digits as it takes to tell them apart, four at least.

    >>> told_apart(18.8333, 21.2)
    ('18.83', '21.20')
    >>> told_apart(0.50001, 0.50002)
    ('0.50001', '0.50002')
    """
    whole = len(str(int(max(abs(before), abs(after)))))  # never 1.234e+04
    for digits in range(max(DIGITS, whole), MOST_DIGITS):
        told = tuple(f"{number:#.{digits}g}".removesuffix(".") for number in (before, after))
        if told[0] != told[1]:
            return told[0], told[1]
    return repr(before), repr(after)
