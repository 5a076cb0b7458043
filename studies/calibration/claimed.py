"""What is claimed: a comparison whose truth is known beforehand, and what a naive test makes of the same prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from saeprobe.claims import Control, Over
from saeprobe.evidence.evidence import Evidence
from studies.calibration.populations import Population

Truth = Literal["false", "true"]


Naive = Callable[[float], bool]
"""Whether a t test over the prompts of one wording a side confirms the claim at an alpha."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Claimed:
    """One claim on prompts that were drawn.

    Attributes:
        measure: what is measured.
        wordings: drawn a side.
        topics: drawn.
        compare: the comparison, as the assert of a probe would make it.
        naive: the naive arm; None where no t test speaks of such a sentence.
        over: what the claim generalises over.
        controls: that it asks for.
        effect: how far the truth lies inside what is claimed, in standard deviations between units; None for a false
            claim, and where a kind has no such size.
    """

    measure: str
    wordings: int
    topics: int
    compare: Callable[[], Evidence]
    naive: Naive | None = None
    over: tuple[Over, ...] = ()
    controls: tuple[Control, ...] = ()
    effect: float | None = None


Make = Callable[[Population, np.random.Generator], Claimed | None]


@dataclass(frozen=True, kw_only=True)
class Design:
    """A way of making claims of one kind whose truth is known.

    Attributes:
        kind: of sentence.
        how: why it is false, or true.
        truth: whether it is.
        make: draws a claim from a population; None where the draw allows none, and the next one is tried.
        level: of a false claim, the share of alpha at which a test that is exact confirms it: a two-sided test
            confirms a sentence that names a side at alpha / 2.
        contrary: the same for refuting it; None where refuting it is right, as labels that mean nothing do separate
            nothing. A claim at the edge is no truer the other way round.
        times: how many times as many claims as of the others; power by size of effect takes more than a single share.
        populations: that it is drawn from.
    """

    kind: str
    how: str
    truth: Truth
    make: Make
    level: float = 0.5
    contrary: float | None = 0.5
    times: int = 1
    populations: tuple[str, ...] = ("wordings", "mentions")

    @property
    def name(self) -> str:
        """Kind and reason in one string."""
        return f"{self.kind}: {self.how}"
