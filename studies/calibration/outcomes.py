"""A cell is a population that is made up, with one sentence on it; an outcome counts what becomes of many claims on it.

The rows of made.toml say which cells there are.
"""

from __future__ import annotations

import math
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import resources
from itertools import product
from typing import Any, Final, Literal, cast

import numpy as np

from saeprobe.statistics.intervals import rate_interval
from studies.calibration import rivals, shapes
from studies.calibration.claim import WORDS, Claimed, Terms, verdict_on
from studies.calibration.made import Rng

ENOUGH: Final = 0.95
"""Power may fall short of that of the best valid test by one part in twenty."""
SURE: Final = 1.96
"""So many standard errors make a one-sided level of 2.5 %."""
AGAIN: Final = 4
"""So many times as many claims are judged where a word seems to be wrong too often."""

Known = Literal["false", "true", "explained", "printed", "moved"]
"""What is known: a sentence is false by nothing, true, or true for a rival's sake alone; a true one has a printed
number that is as true, or is moved."""
ALLOWED: Final[Mapping[Known, float]] = {"false": 0.5, "true": 0.6, "explained": 1.0, "printed": 1.0, "moved": 0.0}
"""So often, as a multiple of alpha, a wrong word is allowed: 2.5, 3, 5 and 5 % at an alpha of 5 %."""
RIGHT: Final[Mapping[Known, str]] = {"true": "supported", "printed": "supported", "moved": "drifted"}
WRONG: Final[Mapping[Known, tuple[tuple[str, ...], ...]]] = {
    "false": (("supported",), ("refuted",)),
    "true": (("refuted", "explained", "drifted"),),
    "explained": (("supported",),),
    "printed": (("drifted", "refuted", "explained"),),
    "moved": (),
}
"""The words that are wrong by what is known; a sentence that is false by nothing is no truer the other way round."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell is one population with one sentence on it, of which many claims are made.

    `best` names the best valid test on the same numbers, which `Claimed.best` makes; "oracle" knows of the population
    what no test can know. `limit` says why no test can hold, or has the power.
    """

    kind: str
    how: str
    truth: Known
    make: Callable[[Rng], Claimed]
    allowed: float  # of alpha, for wrong words
    best: str = ""
    limit: str = ""

    @property
    def name(self) -> str:
        """Return kind and population in one string."""
        return f"{self.kind}: {self.how}"


def cells() -> tuple[Cell, ...]:
    """Read the rows of made.toml: a cell for each combination of the numbers that a row lists."""
    rows = tomllib.loads((resources.files("studies.calibration") / "made.toml").read_text(encoding="utf-8"))["rows"]
    return tuple(cell for row in rows for cell in _cells(row, {**vars(rivals), **vars(shapes)}))


def _cells(row: dict[str, Any], draws: Mapping[str, Callable[..., Claimed]]) -> Iterator[Cell]:
    own = {key: row[key] for key in ("best", "limit") if key in row}
    given = {key: value for key, value in row.items() if key not in (*own, "kind", "how", "truth", "draw", "allowed")}
    axes = [cast("list[Any]", value) if isinstance(value, list) else [value] for value in given.values()]
    for chosen in product(*axes):
        numbers: dict[str, Any] = dict(zip(given, chosen, strict=True))
        yield Cell(
            kind=row["kind"],
            how=row["how"].format(**numbers),
            truth=row["truth"],
            make=partial(draws[row["draw"]], **numbers),
            allowed=row.get("allowed", ALLOWED[cast("Known", row["truth"])]),
            **own,
        )


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share is `count` of `of`, with its exact binomial interval (Clopper & Pearson 1934)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """Return the share as a number."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval of the share at 95 %."""
        return rate_interval(self.count, self.of, level=0.95)

    def above(self, allowed: float) -> bool:
        """Say whether the whole interval lies above what is allowed; that of 1 of 1 begins at 2.5 % itself."""
        return self.interval[0] > allowed + 1e-9


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An outcome counts by word what became of the claims on one population.

    `best` counts those that the best valid test confirms, `ours_alone` and `best_alone` those that one of both does.
    """

    cell: Cell
    words: Mapping[str, int]
    best: int
    ours_alone: int
    best_alone: int

    @property
    def claims(self) -> int:
        """Count the claims."""
        return sum(self.words.values())

    def share(self, *words: str) -> Share:
        """Return the share of claims that end with one of these words."""
        return Share(count=sum(self.words.get(word, 0) for word in words), of=self.claims)

    @property
    def errors(self) -> tuple[Share, ...]:
        """Return the shares of wrong words; where none is allowed at all, refuting is right."""
        wrong = WRONG[self.cell.truth]
        return tuple(self.share(*words) for words in (wrong if self.cell.allowed else wrong[:1]))

    def too_often(self, share: Share, alpha: float) -> bool:
        """Say whether the whole interval of a share of wrong words lies above what is allowed."""
        return share.above(self.cell.allowed * alpha)

    def beyond(self, alpha: float) -> bool:
        """Say whether a word is wrong too often."""
        return any(self.too_often(share, alpha) for share in self.errors)

    @property
    def power(self) -> Share:
        """Return the share of claims that end with the right word."""
        return self.share(RIGHT.get(self.cell.truth, ""))

    @property
    def ratio(self) -> float | None:
        """Return the power as a share of that of the best valid test; None where there is none."""
        return self.power.count / self.best if self.cell.best and self.best else None

    @property
    def weak(self) -> bool:
        """Say whether the power falls short of that of the best valid test, beyond chance, on the same claims."""
        if self.ratio is None or self.cell.best.startswith("oracle"):
            return False
        both = self.best - self.best_alone
        mean = (self.power.count - ENOUGH * self.best) / self.claims
        squares = both * (1 - ENOUGH) ** 2 + self.ours_alone + self.best_alone * ENOUGH**2
        return mean + SURE * math.sqrt(max(0.0, squares / self.claims - mean**2) / self.claims) < 0

    def as_json(self, alpha: float) -> dict[str, Any]:
        """Return the outcome in JSON's own types."""
        cell = {key: value for key, value in vars(self.cell).items() if key != "make"}
        errors = {"wrong": [asdict(share) for share in self.errors], "beyond": self.beyond(alpha), "weak": self.weak}
        return cell | {"words": dict(self.words), "best_confirmed": self.best} | errors


def outcomes(
    cells: Sequence[Cell], *, claims: int, terms: Terms, progress: Callable[[], object] | None = None
) -> Iterator[Outcome]:
    """Judge so many claims on each population; the draw of each depends on the seed, the population and its number.

    Where a wrong word is too often, though a test can hold, so many more are judged that chance among many populations
    is not taken for a fault.
    """
    for cell in cells:
        words, confirmed = Counter[str](), Counter[tuple[bool, bool]]()
        for number in range(claims * AGAIN):
            if number == claims and (cell.limit or not _outcome(cell, words, confirmed).beyond(terms.alpha)):
                break
            name = f"made {cell.name} {number}"
            claimed = cell.make(np.random.default_rng([terms.seed, zlib.crc32(name.encode())]))
            word = verdict_on(claimed, "made", terms).word
            words[word] += 1
            by_best = claimed.best is not None and claimed.best(terms.alpha)
            confirmed[word == RIGHT.get(cell.truth), by_best] += 1
            if progress is not None:
                progress()
        yield _outcome(cell, words, confirmed)


def _outcome(cell: Cell, words: Mapping[str, int], confirmed: Mapping[tuple[bool, bool], int]) -> Outcome:
    return Outcome(
        cell=cell,
        words={word: words[word] for word in WORDS},
        best=confirmed[True, True] + confirmed[False, True],
        ours_alone=confirmed[True, False],
        best_alone=confirmed[False, True],
    )
