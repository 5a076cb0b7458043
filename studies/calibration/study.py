"""The study: every design drawn many times on every population, one row a claim."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from studies.calibration.arms import Terms, ours, theirs
from studies.calibration.claimed import Claimed, Design, Truth
from studies.calibration.populations import Population

DRAWS = 1000
"""Tries at most for one claim: some draws allow none, as where a feature fires on no prompt of either side."""


Judge = Callable[[Claimed, str, Terms], str]
"""From a claim, the subject's name and the terms to the word of the verdict."""


class StudyError(Exception):
    """A design gives no claim on a population."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One claim and what both arms made of it.

    `word` is the verdict; `naive` says whether the naive arm confirms it, None where that has no such test. `level` and
    `contrary` are those of its design.
    """

    subject: str
    population: str
    kind: str
    how: str
    truth: Truth
    level: float
    contrary: float | None
    measure: str
    wordings: int
    topics: int
    effect: float | None
    word: str
    naive: bool | None

    @property
    def confirmed(self) -> bool:
        """Whether the verdict is `supported`."""
        return self.word == "supported"


def verdict_of(claimed: Claimed, subject: str, terms: Terms) -> str:
    """The word of the verdict on the whole path."""
    return ours(claimed, subject, terms).word


def rows(
    populations: Sequence[Population],
    designs: Sequence[Design],
    *,
    subject: str,
    claims: int,
    terms: Terms,
    judge: Judge = verdict_of,
) -> Iterator[Row]:
    """`claims` claims of each design, or several times as many, shared out among its populations in turn.

    The draw of each depends on the seed, the subject, the design and its number alone: a design that is added, or left
    out, changes no other.

    Raises:
        StudyError: a design gives no claim.
    """
    for design in designs:
        usable = [population for population in populations if population.name in design.populations]
        for number in range(claims * design.times if usable else 0):
            population = usable[number % len(usable)]
            claimed = _drawn(design, population, f"{subject} {design.name} {number}", terms.seed)
            yield Row(
                subject=subject,
                population=population.name,
                kind=design.kind,
                how=design.how,
                truth=design.truth,
                level=design.level,
                contrary=design.contrary,
                measure=claimed.measure,
                wordings=claimed.wordings,
                topics=claimed.topics,
                effect=claimed.effect,
                word=judge(claimed, subject, terms),
                naive=theirs(claimed, terms),
            )


def _drawn(design: Design, population: Population, name: str, seed: int) -> Claimed:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    for _ in range(DRAWS):
        claimed = design.make(population, rng)
        if claimed is not None:
            return claimed
    raise StudyError(
        f"{design.name}: no claim in {DRAWS} draws from the {population.name} of {population.features.subject}"
    )
