"""Evidence holds what a comparison of measurements showed; the room has a file a kind of sentence."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Literal

from saeprobe.claims import Control, Over
from saeprobe.features import RecordedRun
from saeprobe.files import amount, span, visible
from saeprobe.prompts.prompt import Prompt
from saeprobe.statistics.intervals import Spread, UnitValue

EvidenceOutcome = Literal["supported", "explained", "drifted", "refuted", "inconclusive"]
"""What holds is `explained` where a control accounts for it, a printed ratio `drifted`; `refuted` is against it."""

Judged = tuple[EvidenceOutcome, str]

Kind = Literal[
    "greater",
    "at least",
    "bound",
    "rate",
    "about equal",
    "ordering",
    "separation",
    "exclusive",
    "scan",
    "correlation",
    "clusters",
    "published",
    "printed",
    "every",
]

_ESTIMATES: Mapping[Kind, str] = {  # what `Evidence.estimate` is, where it is no plain difference
    "bound": "mean",
    "rate": "rate",
    "correlation": "correlation",
    "printed": "rank correlation",
    "at least": "excess over the margin",
}

Answer = Literal["withstood", "explains", "cannot tell"]
"""What a control says: something is surely left, the rival surely makes more than half, or neither is sure."""

Agreement = Literal["agrees", "drifted", "rounding decides", "cannot be compared"]  # what is found of a printed number

COUNTED = ("share of prompts", "share of tokens", "share of continuations")
"""Units of what happens or does not; a prompt read at several tokens has a share of it."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample holds the values behind one side of a comparison: one a prompt, or a bare summary.

    `values` and `prompts` run in parallel and are empty for a summary, whose `mean` is all that was recorded; `n` is
    then the number of prompts if it is known. `interval` is the interval of `mean` over the units of replication,
    where one can be given. `place` names the tokens that were read. `near_threshold` says where rounding decides
    whether a feature fires, and `reach` between which means it may so put this one, in `unit`; None where nothing that
    is stored says so. `run` says of which run it is recorded; `looked` are features picked by looking at the prompts.
    """

    label: str
    measure: str
    unit: str
    mean: float
    n: int | None
    interval: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    place: str = ""
    near_threshold: str | None = None
    reach: tuple[float, float] | None = None
    run: RecordedRun | None = None
    spreads: tuple[Spread, ...] = ()
    rarefied: tuple[tuple[float, float], ...] = ()
    looked: tuple[int, ...] = ()

    @property
    def near_moves(self) -> float | None:
        """Return how far the farther end of `reach` lies from the mean; None where there is no such end."""
        return max(abs(end - self.mean) for end in self.reach or (self.mean,)) or None


@dataclass(frozen=True, kw_only=True)
class Needed:
    """An open comparison would be decided by so many `units` where there are `have`, by `prompts` in all.

    `wanted` is None where no number of them would, or where it is beyond any plan.
    """

    units: str
    have: int
    wanted: int | None
    prompts: int | None = None


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """One control gave this result.

    `estimate` is what is left of the effect once what the rival makes is taken off, in the unit of the claim, and
    `share` that as a share of the effect. `interval` is its interval, and `p` the one-sided p of "something is left";
    None where the control could not be run, and `detail` says why. `rule` says how `answer` follows by hand from
    `numbers` and `unit_values`. `evidence` is the comparison that the control made, where it made one of its own.
    """

    name: Control
    answer: Answer
    estimate: float
    interval: tuple[float, float] | None
    p: float | None
    detail: str
    share: float | None = None
    rule: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    unit_values: tuple[UnitValue, ...] = ()
    evidence: Evidence | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Evidence:
    """Evidence is the outcome of one comparison; it is true only when it supports what was asserted.

    `estimate` is in `unit`; for `greater` it is the difference of the two means, for `at least` what of it exceeds the
    margin. `interval` covers the estimate at `level`; None where no honest interval exists (summaries, one unit, no
    spread). `units` says what was resampled and `n_units` how many units stood on each side.
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
    one_sided: float | None = None
    """The largest p of what it tests, in the direction of the sentence, where `p` is two-sided or not of all."""
    alpha: float | None = None
    test: str | None = None
    seed: int | None = None
    units: str | None = None
    n_units: tuple[int, ...] = ()
    samples: tuple[Sample, ...] = ()
    controls: tuple[ControlResult, ...] = ()
    parts: tuple[Evidence, ...] = field(default=())
    rule: str = ""
    """How the outcome follows from the numbers, in words that a reader can apply by hand."""
    unit_values: tuple[UnitValue, ...] = ()
    """What the test was made on; with `test` and `seed` they give `p` and `interval` again."""
    pairs: tuple[tuple[int, int], ...] = ()
    """Rows of `unit_values` that share a frame: two wordings whose labels are dealt within the pair."""
    copies: tuple[tuple[str, ...], ...] = ()
    """Templates that are near copies of each other: one unit by the name of the first, unless declared distinct."""
    patterns: tuple[tuple[str, int], ...] = ()
    """Counts of distinct features only: in which units features fire, a 1 or a 0 a unit in the order of `unit_values`,
    and how many features fire in just these. Those that fire in none are left out."""
    distances: tuple[tuple[float, ...], ...] = ()
    """Clusters only: distances between the units in the order of `unit_values`, of each but the first to those before
    it; the test was made on them as they are rounded here."""
    margin: float | None = None
    """The margin of `at least` (what the difference has to exceed) and of `about equal`, in `unit`."""
    tried: int | None = None
    """Where features were picked by looking: among how many."""
    needed: Needed | None = None
    continuations: tuple[tuple[str, str, str], ...] = ()
    """Steering only: (arm, prompt, continuation), a few of each arm for the reader."""

    def __bool__(self) -> bool:
        return self.outcome == "supported"

    def __repr__(self) -> str:
        return visible(f"<{self.outcome}: {self.statement}; {self.reason}>")

    def walk(self, *, controls: bool = False) -> Iterator[Evidence]:
        """Yield this evidence and, in order, its parts; with `controls` also what the controls of each compared."""
        yield self
        for part in self.parts:
            yield from part.walk(controls=controls)
        for control in self.controls if controls else ():
            if control.evidence is not None:
                yield from control.evidence.walk(controls=True)

    @property
    def claim_p(self) -> float | None:
        """Return the largest p of all that has to hold: what was tested, its parts, and every control.

        The largest is a p of them together (intersection-union; Berger, Technometrics 24, 1982). None where nothing was
        tested; a control that could not be run has a p of 1.
        """
        own = self.p if self.one_sided is None else self.one_sided
        inner = [part.claim_p for part in self.parts] if own is None else [own]
        tested = [p for p in inner if p is not None]
        controls = [1.0 if control.p is None else control.p for control in self.controls]
        return max(tested + controls) if tested else None

    @property
    def near_threshold(self) -> tuple[str, ...]:
        """Say where rounding decides, by side: `novice: feature 7 is within rounding of its threshold ...`."""
        samples = [sample for piece in self.walk() for sample in piece.samples]
        return tuple(dict.fromkeys(f"{one.label}: {one.near_threshold}" for one in samples if one.near_threshold))

    def lines(self) -> list[str]:
        """Give the evidence in lines for a terminal: statement, outcome, numbers, test, controls and parts."""
        lines = [f"{self.outcome}: {self.reason}"] if self.parts else [f"{self.outcome}: {self.statement}", self.reason]
        if self.estimate is not None and self.interval is not None and self.level is not None:
            signed = self.kind not in ("bound", "rate", "correlation", "printed")
            estimate = f"{_ESTIMATES.get(self.kind, 'difference')} {amount(self.estimate, self.unit, signed=signed)}"
            lines.append(f"{estimate}, {self.level:.0%} interval {span(self.interval, self.unit)}")
        if self.test is not None:
            lines.append(f"{self.test}; scope: {self.scope}")
        lines += [f"control {control.name}: {control.detail}" for control in self.controls]
        lines += [f"  {part.outcome}: {part.statement}; {part.reason}" for part in self.parts]
        lines += [f"near threshold: {where}" for where in self.near_threshold]
        return lines


def towards(p: float, *, holds: bool) -> float:
    """Return the one-sided p of a two-sided one, where the numbers lie as the sentence says, or the other way."""
    return p / 2 if holds else 1 - p / 2


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Evidence is judged under these terms, which its claim and the settings of the run give.

    `published_prompts` says that a subject reads the prompts of the published run again.
    """

    alpha: float = 0.05
    seed: int = 0
    controls: tuple[Control, ...] = ()
    over: tuple[Over, ...] = ()
    published_prompts: bool = False


@dataclass(frozen=True, kw_only=True)
class Recorder(Terms):
    """A recorder keeps the evidence of a probe while it runs, and the terms under which it is judged."""

    evidence: list[Evidence] = field(default_factory=list[Evidence])


_current: ContextVar[Recorder | None] = ContextVar("saeprobe_recorder", default=None)


def current_terms() -> Recorder:
    """Return the recorder in force, or a fresh one with the default terms (in a notebook, say)."""
    return _current.get() or Recorder()


@contextmanager
def recording(recorder: Recorder) -> Generator[Recorder]:
    """Keep every piece of evidence made inside the block in `recorder.evidence`, in order."""
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def as_looked(evidence: Evidence) -> Evidence:
    """Leave a sentence open that holds on the very prompts on which its features were picked, among thousands."""
    looked = [f"{', '.join(map(str, one.looked))} on {one.label}" for one in evidence.samples if one.looked]
    if evidence.outcome != "supported" or evidence.kind == "published" or not looked:
        return evidence
    why = "but it was picked on these very prompts: other topics, or other wordings, would confirm it"
    reason, scope = f"{evidence.reason}; {why}", f"{evidence.scope}; picked on these same prompts"
    rule = f"{evidence.rule}. Inconclusive where it is supported by prompts on which a feature was picked, here "
    return replace(evidence, outcome="inconclusive", reason=reason, scope=scope, rule=rule + "; ".join(looked))


def record(evidence: Evidence) -> Evidence:
    """Hand `evidence`, `as_looked`, to the recorder in force, if any, and return it.

    It takes the place of its parts, where they were recorded when they were made.
    """
    evidence = as_looked(evidence)
    if (recorder := _current.get()) is not None:
        recorder.evidence[:] = [one for one in recorder.evidence if not any(one is part for part in evidence.parts)]
        recorder.evidence.append(evidence)
    return evidence
