"""A claim of the study is a comparison whose truth is known; the framework and a naive test both judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from saeprobe.claims import Claim, Control, Over, Published, Verdict
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.verdicts import decide
from studies.calibration.populations import Population

Truth = Literal["false", "true"]
Naive = Callable[[float], bool]
"""A t test over the prompts of one wording a side says at an alpha whether it confirms the claim."""


WORDS: Final = ("supported", "explained", "refuted", "inconclusive", "drifted")
"""A claim of the study ends with one of these; any other means that the study itself is broken."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """All claims of a study are judged under the same terms."""

    alpha: float = 0.05
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Claimed:
    """One claim is made on prompts that were drawn."""

    compare: Callable[[], Evidence]  # as the assert of a probe would
    naive: Naive | None = None  # None where there is no t test of such a sentence
    over: tuple[Over, ...] = ()  # what the claim generalises over
    controls: tuple[Control, ...] = ()  # that it asks for
    best: Naive | None = None  # the best valid test of a made-up population says whether it confirms the claim
    published: Published | None = None  # what a source prints of the first side


Make = Callable[[Population, np.random.Generator], Claimed | None]


@dataclass(frozen=True, kw_only=True)
class Design:
    """A design makes claims of one kind whose truth is known.

    An exact test confirms a false claim at the share `level` of alpha: a two-sided test confirms a sentence that names
    a side at alpha / 2. It refutes it at the share `contrary`; None where refuting it is right, because labels without
    meaning separate nothing. A claim at the edge is no truer the other way round.
    """

    kind: str  # of sentence
    how: str  # why it is false, or true
    truth: Truth
    make: Make  # draws a claim from a population; None where the draw allows none, and the next one is tried
    level: float = 0.5
    contrary: float | None = 0.5
    times: int = 1  # as many claims as the others get: power by size of effect takes many
    populations: tuple[str, ...] = ("wordings", "mentions")  # that it is drawn from

    @property
    def name(self) -> str:
        """Return kind and reason in one string."""
        return f"{self.kind}: {self.how}"


def design(truth: Truth, kind: str, how: str, **more: Any) -> Callable[[Make], Design]:
    """Return a decorator that turns a function which draws claims into a design."""
    return lambda make: Design(truth=truth, kind=kind, how=how, make=make, **more)


def verdict_on(claimed: Claimed, subject: str, terms: Terms) -> Verdict:
    """Return the verdict that a probe with this comparison as its assert would earn."""
    claim = Claim(
        sentence="a claim of the calibration study",
        id="calibration",
        source="known",
        controls=claimed.controls,
        over=claimed.over,
        published={} if claimed.published is None else {subject: claimed.published},
    )
    ended: AssertionError | None = None
    recorder = Recorder(alpha=terms.alpha, seed=terms.seed, controls=claim.controls, over=claim.over)
    with recording(recorder):
        try:
            assert claimed.compare()
        except AssertionError as error:
            ended = error
    verdict = decide(claim, subject, recorder.evidence, ended)[0]
    if verdict.word not in WORDS:
        raise RuntimeError(f"a claim of the study ended {verdict.word}: {verdict.reason}")
    return verdict
