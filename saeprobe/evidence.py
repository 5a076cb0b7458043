"""Evidence: what a comparison of measurements showed, and the recorder that keeps it under its claim."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from saeprobe.claims import Control
from saeprobe.prompts import Prompt

EvidenceOutcome = Literal["supported", "refuted", "inconclusive"]
Kind = Literal["greater", "bound", "about equal", "separation", "exclusive", "published", "every"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The measured values behind one side of a comparison: one a prompt, or a bare summary.

    `values` and `prompts` run in parallel and are empty for a summary, whose `mean` is all that was recorded; `n` is
    then the number of prompts if the record tells it. `interval` is the interval of `mean` over the units of
    replication, where one can be given. `near_threshold` says where rounding decides whether a feature fires.
    """

    label: str
    measure: str
    unit: str
    mean: float
    n: int | None
    interval: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    near_threshold: str | None = None


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """What one control showed: the effect that is left once the rival explanation is taken out."""

    name: Control
    explains: bool
    estimate: float
    interval: tuple[float, float] | None
    p: float | None
    detail: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Evidence:
    """The outcome of one comparison; true only when it supports what was asserted.

    `estimate` is in `unit`; for `greater` it is the difference of the two means. `interval` covers the estimate at
    `level`; None where no honest interval exists (summaries, one unit, no spread). `units` says what was resampled
    and `n_units` how many units stood on each side.
    """

    kind: Kind
    statement: str
    outcome: EvidenceOutcome
    reason: str
    scope: str
    unit: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    level: float | None = None
    p: float | None = None
    alpha: float | None = None
    test: str | None = None
    seed: int | None = None
    units: str | None = None
    n_units: tuple[int, ...] = ()
    samples: tuple[Sample, ...] = ()
    controls: tuple[ControlResult, ...] = ()
    parts: tuple[Evidence, ...] = field(default=())
    continuations: tuple[tuple[str, str, str], ...] = ()
    """Steering only: (arm, prompt, continuation), a few of each arm for the reader."""

    def __bool__(self) -> bool:
        return self.outcome == "supported"

    def __repr__(self) -> str:
        return f"<{self.outcome}: {self.statement}; {self.reason}>"

    @property
    def near_threshold(self) -> tuple[str, ...]:
        """Where rounding decides, by side: `novice: feature 7 is within rounding of its threshold ...`."""
        of_sides = [f"{one.label}: {one.near_threshold}" for one in self.samples if one.near_threshold is not None]
        return tuple(dict.fromkeys([*of_sides, *(told for part in self.parts for told in part.near_threshold)]))

    def lines(self) -> list[str]:
        """The evidence in lines, for a terminal: statement, outcome, numbers, test, controls, parts, near threshold."""
        lines = [f"{self.outcome}: {self.reason}"] if self.parts else [f"{self.outcome}: {self.statement}", self.reason]
        if self.interval is not None and self.level is not None:
            low, high = self.interval
            what = "mean" if self.kind == "bound" else "difference"
            told = f"{self.level:.0%} interval {low:.4g} to {high:.4g}"
            lines.append(f"{what} {self.estimate:.4g} {self.unit}, {told}")
        if self.test is not None:
            lines.append(f"{self.test}; scope: {self.scope}")
        lines += [f"control {control.name}: {control.detail}" for control in self.controls]
        lines += [f"  {part.outcome}: {part.statement}; {part.reason}" for part in self.parts]
        lines += [f"near threshold: {told}" for told in self.near_threshold]
        return lines


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Where evidence goes while a probe runs, and the terms under which it is judged."""

    alpha: float = 0.05
    seed: int = 0
    controls: tuple[Control, ...] = ()
    evidence: list[Evidence] = field(default_factory=list[Evidence])


_current: ContextVar[Recorder | None] = ContextVar("saeprobe_recorder", default=None)


def current_terms() -> Recorder:
    """The recorder in force, or a fresh one with the default terms (a notebook, say)."""
    return _current.get() or Recorder()


@contextmanager
def recording(recorder: Recorder) -> Generator[Recorder]:
    """Keep every piece of evidence made inside the block in `recorder.evidence`, in order."""
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def record(evidence: Evidence) -> Evidence:
    """Hand `evidence` to the recorder in force, if any, and return it."""
    recorder = _current.get()
    if recorder is not None:
        recorder.evidence.append(evidence)
    return evidence


def record_whole(whole: Evidence) -> Evidence:
    """Hand on evidence in place of its parts, which were recorded when they were made."""
    recorder = _current.get()
    if recorder is not None:
        recorder.evidence[:] = [one for one in recorder.evidence if not any(one is part for part in whole.parts)]
    return record(whole)
