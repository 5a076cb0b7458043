"""Near threshold: what rounding, which decides whether some features fire, may change in what is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, kw_only=True, eq=False)
class NearThreshold:
    """How far features close to their threshold may move a measurement.

    Attributes:
        moves: by how much at most rounding may move the value of each prompt, in the measure's unit, `[prompts]`.
        tolerance: by how much rounding may move an activation, as a share of the residual stream's norm.
        feature: the one that is measured; None where all features are.
    """

    moves: Float[np.ndarray, " prompts"]
    tolerance: float
    feature: int | None = None

    def chosen(self, which: Bool[np.ndarray, " prompts"]) -> NearThreshold:
        """Of some of the prompts."""
        return replace(self, moves=self.moves[which])

    def sentence(self, unit: str) -> str | None:
        """For the reader; None where no prompt is touched.

        >>> some = NearThreshold(moves=np.array([0.0, 1.0, 0.0]), tolerance=1e-4, feature=7)
        >>> some.sentence("share of prompts")
        "feature 7 is within rounding of its threshold (0.0001 of the stream's norm) on 1 of 3 prompts"
        """
        touched = int((self.moves > 0).sum())
        if not touched:
            return None
        where = f"{within_rounding(self.tolerance)} on {touched} of {len(self.moves)} prompts"
        if self.feature is not None:
            return f"feature {self.feature} is {where}"
        return f"a feature is {where}, which may move the mean by {float(self.moves.mean()):.2g} {unit} at most"


def within_rounding(tolerance: float) -> str:
    """Where a feature near its threshold lies, in words."""
    return f"within rounding of its threshold ({tolerance:.2g} of the stream's norm)"
