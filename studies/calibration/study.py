"""A study draws every design many times on every population; each claim becomes one row."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np

from saeprobe import __version__
from saeprobe.captures import Capture
from saeprobe.store import Store
from saeprobe.subject.local import Subject
from studies.calibration.claim import Claimed, Design, Terms, Truth, verdict_on
from studies.calibration.false_claims import FALSE
from studies.calibration.outcomes import Outcome, cells, outcomes
from studies.calibration.populations import Population, gathered
from studies.calibration.true_claims import TRUE

DRAWS: Final = 1000
"""One claim takes so many tries at most: some draws allow none, as where a feature fires on no prompt at all."""
COMPUTE: Final = ("numpy", "scipy", "torch", "transformers", "transformer-lens", "sae-lens")
"""A study states the versions of these libraries."""


class StudyError(Exception):
    """A design gives no claim on a population."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row holds one claim and what both arms made of it.

    `word` is the verdict; `naive` says whether the naive arm confirms it, None where that has no such test. `level` and
    `contrary` are those of its design.
    """

    kind: str
    how: str
    truth: Truth
    level: float
    contrary: float | None
    word: str
    naive: bool | None


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study was run."""

    rows: tuple[Row, ...]  # one a claim
    terms: Terms  # under which all were judged
    command: str  # makes the study again
    fingerprints: Mapping[str, str]
    versions: Mapping[str, str]
    made: tuple[Outcome, ...] = ()  # one a made-up population


def number_of_claims(claims: int, *, subjects: int = 1, made: int = 0) -> int:
    """Return how many claims a study judges: so many of each design on each subject, and of each made-up population."""
    of_designs = claims * sum(design.times for design in (*FALSE, *TRUE))
    return subjects * of_designs + made * len(cells())


def run_study(
    subjects: Sequence[Subject],
    store: Store,
    *,
    claims: int,
    terms: Terms,
    made: int = 0,
    wanted: Mapping[str, Capture] | None = None,
    progress: Callable[[], object] | None = None,
) -> Study:
    """Read what is not stored, then draw and judge `claims` claims of each design on each subject.

    Of each made-up population `made` claims are judged. `wanted` says what to read of each subject, by population; None
    for all. `progress` is called after each claim.
    """
    found: list[Row] = []
    for subject in subjects:
        populations = gathered(subject, store, wanted=wanted)
        for row in rows(populations, (*FALSE, *TRUE), subject=subject.name, claims=claims, terms=terms):
            found.append(row)
            if progress is not None:
                progress()
    names = " ".join(subject.name for subject in subjects)
    options = f"--claims {claims} --made {made} --seed {terms.seed} --alpha {terms.alpha:g}"
    return Study(
        rows=tuple(found),
        terms=terms,
        command=f"python -m studies.calibration {names} {options}",
        fingerprints={subject.name: subject.identity().fingerprint for subject in subjects},
        versions={
            "saeprobe": __version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in COMPUTE},
        },
        made=tuple(outcomes(cells(), claims=made, terms=terms, progress=progress)) if made else (),
    )


def rows(
    populations: Sequence[Population], designs: Sequence[Design], *, subject: str, claims: int, terms: Terms
) -> Iterator[Row]:
    """Yield `claims` claims of each design, or several times as many, shared out among its populations in turn.

    The draw of each depends on the seed, the subject, the design and its number alone: a design that is added, or left
    out, changes no other.
    """
    for design in designs:
        usable = [population for population in populations if population.name in design.populations]
        for number in range(claims * design.times if usable else 0):
            population = usable[number % len(usable)]
            claimed = _drawn(design, population, f"{subject} {design.name} {number}", terms.seed)
            yield Row(
                kind=design.kind,
                how=design.how,
                truth=design.truth,
                level=design.level,
                contrary=design.contrary,
                word=verdict_on(claimed, subject, terms).word,
                naive=None if claimed.naive is None else claimed.naive(terms.alpha),
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
