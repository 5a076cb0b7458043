"""A cell is one population that is made up, with one sentence on it; the rows of made.toml say which there are."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from itertools import product
from typing import Any, Final, Literal, cast

from studies.calibration import rivals, shapes
from studies.calibration.claim import Claimed
from studies.calibration.made import Rng

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
    what no test can know. `limit` says why no test can hold, and `waits` for what the cell is not run yet.
    """

    kind: str
    how: str
    truth: Known
    make: Callable[[Rng], Claimed]
    allowed: float  # of alpha, for wrong words
    best: str = ""
    limit: str = ""
    waits: str = ""

    @property
    def name(self) -> str:
        """Return kind and population in one string."""
        return f"{self.kind}: {self.how}"


def cells() -> tuple[Cell, ...]:
    """Read the rows of made.toml: a cell for each combination of the numbers that a row lists."""
    rows = tomllib.loads((resources.files("studies.calibration") / "made.toml").read_text(encoding="utf-8"))["rows"]
    return tuple(cell for row in rows for cell in _cells(row, {**vars(rivals), **vars(shapes)}))


def _cells(row: dict[str, Any], draws: Mapping[str, Callable[..., Claimed]]) -> Iterator[Cell]:
    own = {key: row[key] for key in ("best", "limit", "waits") if key in row}
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
