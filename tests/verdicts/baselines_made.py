"""Samples, values and approvals made by hand, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

from saeprobe.evidence import Evidence, EvidenceOutcome, Sample, Spread
from saeprobe.prompts import Prompt
from saeprobe.verdicts.baseline import values_of
from saeprobe.verdicts.baseline_files import Baseline, Provenance, Value

SCATTER = (Spread(units="templates", n=4, deviation=1e-6),)  # so that a printed number is held to its precision
TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees", "maps", "rain")


def sample(
    label: str,
    rows: Sequence[Sequence[float]],
    *,
    interval: tuple[float, float] | None = None,
    measure: str = "l0",
    unit: str = "features",
    near_moves: float | None = None,
) -> Sample:
    """`rows[t][k]` is the value under template t on topic k."""
    prompts = tuple(
        Prompt(text=f"{label} {t}: {TOPICS[k]}", style=label, topic=TOPICS[k], template=f"{label} {t}: {{topic}}")
        for t, row in enumerate(rows)
        for k in range(len(row))
    )
    values = tuple(value for row in rows for value in row)
    mean = sum(values) / len(values)
    return Sample(
        label=label,
        measure=measure,
        unit=unit,
        mean=mean,
        n=len(values),
        interval=interval,
        values=values,
        prompts=prompts,
        reach=None if near_moves is None else (mean - near_moves, mean),
    )


def summary(label: str, mean: float, *, interval: tuple[float, float] | None = None, unit: str = "features") -> Sample:
    """A mean without the values behind it."""
    return Sample(label=label, measure="l0", unit=unit, mean=mean, n=None, interval=interval, spreads=SCATTER)


def found(*samples: Sample, outcome: EvidenceOutcome = "supported", parts: tuple[Evidence, ...] = ()) -> Evidence:
    """A piece of evidence with this outcome, whose reason is its outcome."""
    return Evidence(
        kind="every" if parts else "greater",
        statement="a > b",
        outcome=outcome,
        reason=f"told {outcome}",
        scope="these templates",
        unit="features",
        samples=samples,
        parts=parts,
    )


def value(mean: float, units: dict[str, float] | None = None, **more: object) -> Value:
    """An approved value of novice."""
    given = {"label": "novice", "measure": "l0", "unit": "features", "mean": mean, "unit_means": units or {}}
    return Value(**(given | ({"units": "templates"} if units else {}) | more))  # type: ignore[arg-type]


def baseline(*samples: Sample, values: tuple[Value, ...] = (), **more: object) -> Baseline:
    """An approval of these samples by Ada, on the day before last."""
    given = {
        "claim": "a.b",
        "subject": "sparrow",
        "sentence": "Novice activates more.",
        "approved_by": "Ada",
        "because": "as in table 1",
        "on": "2026-11-20",
        "verdict": "supported",
        "values": values or values_of(samples),
        "measured_with": Provenance(),
    }
    return Baseline(**(given | more))  # type: ignore[arg-type]
