"""One approval: the values, who accepted them and why, and what they were measured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from saeprobe.claims import Word

IDENTITY: Final = ("model", "model_hash", "sae", "sae_hash", "hook_name", "dtype", "protocol", "fingerprint")
"""What is kept of each subject, by the names that a report gives it."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One measured mean, in `unit`, and what a later one is held against.

    Attributes:
        label: of which prompts, the style as a rule.
        measure: what was measured.
        unit: of all numbers here.
        mean: over the prompts.
        n: prompts; None where a record does not tell.
        interval: of the mean over units of replication; None where none could be given.
        near_moves: by how much rounding may move the mean at most, where features lie near their threshold.
        units: what `unit_means` are of: templates, topics, or nothing where only a summary was recorded.
        unit_means: the mean of each unit, by the template's wording or the topic.
        prompts: SHA-256 over the prompts, shortened; empty for a summary.
    """

    label: str
    measure: str
    unit: str
    mean: float
    n: int | None = None
    interval: tuple[float, float] | None = None
    near_moves: float | None = None
    units: str = ""
    unit_means: Mapping[str, float] = field(default_factory=dict[str, float])
    prompts: str = ""

    @property
    def name(self) -> str:
        """`l0 of novice`."""
        return f"{self.measure} of {self.label}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the other values of its claim."""
        return self.label, self.measure, self.unit

    @property
    def reach(self) -> float:
        """How far the farther end of the interval lies from the mean; 0 without an interval."""
        return 0.0 if self.interval is None else max(abs(end - self.mean) for end in self.interval)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What values were measured with; None where it is not known, and an unknown never counts as changed.

    `subjects` holds the fields of `IDENTITY` by subject, several for a claim on several; `evidence` is the name of the
    folder of recorded files that stood in for the models. `alpha` and `seed` are those of the tests.
    """

    subjects: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict[str, Mapping[str, str | None]])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    python: str | None = None
    platform: str | None = None
    device: str | None = None
    evidence: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    generated: str | None = None
    alpha: float = 0.05
    seed: int = 0


def identity_of(described: Mapping[str, object]) -> dict[str, str | None]:
    """What a baseline keeps of a subject as a report describes it."""
    kept = {name: described.get(name) for name in IDENTITY}
    return {name: value if isinstance(value, str) else None for name, value in kept.items()}


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Values of one claim on one subject that a person approved on a day (ISO 8601), with the verdict they had."""

    claim: str
    subject: str
    sentence: str
    approved_by: str
    because: str
    on: str
    verdict: Word
    values: tuple[Value, ...]
    measured_with: Provenance
