"""The naive arm makes t tests over prompts, topics under one wording, as if each topic were an independent look.

Welch's test (Biometrika 34, 1947) where two sides are compared. All take the alpha last and answer whether the claim
is confirmed; values without any spread are taken at their word.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from saeprobe.shapes import Bool, Float
from studies.calibration import best

Values = Float[np.ndarray, " prompts"]
Fires = Bool[np.ndarray, "prompts d_sae"]


def greater(a: Values, b: Values, alpha: float, *, by: float = 0.0) -> bool:
    """Confirm that `a` lies above `b` by more than `by`: two-sided Welch t."""
    return _welch(a - by, b) < alpha / 2


def equal(a: Values, b: Values, alpha: float, *, margin: float) -> bool:
    """Confirm that `a` and `b` differ by less than `margin`: two one-sided Welch tests."""
    return _welch(a + margin, b) < alpha and _welch(b + margin, a) < alpha


def ordered(sides: Sequence[Values], alpha: float) -> bool:
    """Confirm that each side lies above the next."""
    return all(greater(above, below, alpha) for above, below in pairwise(sides))


def above(values: Values, bound: float, alpha: float) -> bool:
    """Confirm that the mean lies above `bound`: two-sided t test of one sample."""
    return bool(values[0] > bound) if np.ptp(values) == 0 else best.above(values, bound) < alpha / 2


def correlated(x: Values, y: Values, bound: float, alpha: float) -> bool:
    """Confirm that the correlation lies above `bound`, by Fisher's z over prompts."""
    if min(np.ptp(x), np.ptp(y)) == 0 or len(x) < 4:  # noqa: PLR2004 - z has variance 1 / (n - 3)
        return False
    return best.correlated(x, y, bound) < alpha / 2


def exclusive(a: Fires, b: Fires, alpha: float) -> bool:
    """Confirm that `a` shows more features a prompt that the other side never shows: Welch t over prompts."""
    return greater((a & ~b.any(axis=0)).sum(axis=1) * 1.0, (b & ~a.any(axis=0)).sum(axis=1) * 1.0, alpha)


def best_of_all(a: Fires, b: Fires, alpha: float) -> bool:
    """Pick the feature that separates `a` from `b` best and judge it on the same prompts."""
    gap = a.mean(axis=0) - b.mean(axis=0)
    picked = int(gap.argmax())
    return greater(a[:, picked] * 1.0, b[:, picked] * 1.0, alpha)


def _welch(a: Values, b: Values) -> float:
    """Return Welch's one-sided p that `a` lies above `b`, 0 or 1 for values without any spread."""
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return 0.0 if a[0] > b[0] else 1.0
    return best.welch(a, b)
