"""Rounding decides whether a feature near its threshold fires; here is by how much it may so move each measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from saeprobe.features import Features
from saeprobe.files import amount
from saeprobe.shapes import Bool, Float


@dataclass(frozen=True, kw_only=True, eq=False)
class NearThreshold:
    """Rounding may move a measurement by so much, mostly through features close to their threshold.

    At most it `lowers` and `raises` the value of each prompt by so much, in the measure's unit; it moves an activation
    by the `tolerance`, a share of the residual stream's norm. `feature` is the one that is measured, None where all
    are. `flips` says whether features fire or not as rounding has it; where not, it is their activations that it moves.
    """

    lowers: Float[np.ndarray, " prompts"]
    raises: Float[np.ndarray, " prompts"]
    tolerance: float
    feature: int | None = None
    flips: bool = True

    def chosen(self, which: Bool[np.ndarray, " prompts"]) -> NearThreshold:
        """Keep some of the prompts."""
        return replace(self, lowers=self.lowers[which], raises=self.raises[which])

    def around(self, mean: float) -> tuple[float, float]:
        """Return the lowest and the highest mean that rounding may give where it gave `mean`."""
        return mean - float(self.lowers.mean()), mean + float(self.raises.mean())

    def sentence(self, unit: str) -> str | None:
        """Write for the reader where rounding decides whether a feature fires; None where it does so on no prompt.

        >>> some = NearThreshold(lowers=np.array([0.0, 1.0]), raises=np.zeros(2), tolerance=1e-4, feature=7)
        >>> some.sentence("share of prompts")
        "feature 7 is within rounding of its threshold (0.0001 of the stream's norm) on 1 of 2 prompts"
        """
        touched = int((self.lowers + self.raises > 0).sum())
        if not (touched and self.flips):
            return None
        where = f"{within_rounding(self.tolerance)} on {touched} of {len(self.lowers)} prompts"
        if self.feature is not None:
            return f"feature {self.feature} is {where}"
        lower, higher = (amount(float(moves.mean()), unit) for moves in (self.lowers, self.raises))
        return f"a feature is {where}, which may lower the mean by {lower} and raise it by {higher} at most"


def within_rounding(tolerance: float) -> str:
    """Write in words where a feature near its threshold lies."""
    return f"within rounding of its threshold ({tolerance:.2g} of the stream's norm)"


def one_near(of: Features, feature: int) -> NearThreshold | None:
    """Return on which prompts rounding decides whether `feature` fires; there the rate may move by 1."""
    if of.near is None:
        return None
    near, active = (table[:, [feature]].toarray().ravel() > 0 for table in (of.near, of.encoded))
    touched, sure, fires = (
        np.bincount(of.row_prompt[rows], minlength=len(of)) > 0 for rows in (near, active & ~near, active)
    )
    lowers, raises = ((touched & ~sure & now).astype(np.float64) for now in (fires, ~fires))
    return NearThreshold(lowers=lowers, raises=raises, tolerance=of.tolerance, feature=feature)


def any_near(of: Features, share_of: int = 1) -> NearThreshold | None:
    """Return how far the L0 may move: on each token by one for each of its features near their threshold."""
    if of.near is None:
        return None
    fire = of.near.multiply(of.encoded.astype(bool)).count_nonzero(axis=1)
    lowers, raises = (of.over_tokens(rows / share_of) for rows in (fire, np.diff(of.near.indptr) - fire))
    return NearThreshold(lowers=lowers, raises=raises, tolerance=of.tolerance)


def mean_near(of: Features) -> NearThreshold | None:
    """Return how far the mean strength may move as features near their threshold go out, or come in at 0."""
    if of.near is None:
        return None
    lowers, raises = np.zeros(len(of)), np.zeros(len(of))
    at_stake = of.encoded.multiply(of.near).tocsr()
    for prompt in np.unique(of.row_prompt[np.diff(of.near.indptr) > 0]):
        rows = slice(*np.searchsorted(of.row_prompt, [prompt, prompt + 1]))
        values, leaving = of.encoded[rows].data, np.sort(at_stake[rows].data.astype(np.float64))
        total, count = float(values.sum(dtype=np.float64)), len(values)
        coming = of.near[rows].nnz - len(leaving)
        lowers[prompt] = total / count - _least_mean(total, count + coming, leaving[::-1])
        raises[prompt] = -_least_mean(-total, count, -leaving) - total / count
    return NearThreshold(lowers=lowers, raises=raises, tolerance=of.tolerance)


def _least_mean(total: float, count: int, leaving: Float[np.ndarray, " near"]) -> float:
    """Return the least mean of `count` values with this sum once some of those that may leave, largest first, do."""
    for value in leaving.tolist():
        if count == 1 or value * count <= total:
            break
        total, count = total - value, count - 1
    return total / count


def as_the_stream(of: Features, values: Callable[[Features], Float[np.ndarray, " prompts"]]) -> NearThreshold | None:
    """Return how far values may move that rounding moves by the same share of themselves as the stream."""
    moves = of.tolerance * values(of)
    return NearThreshold(lowers=moves, raises=moves, tolerance=of.tolerance, flips=False) if of.tolerance else None
