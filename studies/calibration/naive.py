"""The naive arm makes t tests over prompts, topics under one wording, as if each topic were an independent look.

Welch's test (Biometrika 34, 1947) where two sides are compared. All take the alpha last and answer whether the claim
is confirmed; values without any spread are taken at their word.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np

from saeprobe.shapes import Bool, Float

Values = Float[np.ndarray, " prompts"]
Fires = Bool[np.ndarray, "prompts d_sae"]
Side = Literal["two-sided", "greater", "less"]


def greater(a: Values, b: Values, alpha: float, *, by: float = 0.0) -> bool:
    """Confirm that `a` lies above `b` by more than `by`: two-sided Welch t."""
    distance = float(a.mean() - b.mean()) - by
    return distance > 0 and _welch_p(a - by, b, "two-sided") < alpha


def equal(a: Values, b: Values, alpha: float, *, margin: float) -> bool:
    """Confirm that `a` and `b` differ by less than `margin`: two one-sided Welch tests."""
    return _welch_p(a + margin, b, "greater") < alpha and _welch_p(a - margin, b, "less") < alpha


def ordered(sides: Sequence[Values], alpha: float) -> bool:
    """Confirm that each side lies above the next."""
    return all(greater(above, below, alpha) for above, below in pairwise(sides))


def above(values: Values, bound: float, alpha: float) -> bool:
    """Confirm that the mean lies above `bound`: two-sided t test of one sample."""
    from scipy.stats import ttest_1samp

    if np.ptp(values) == 0:
        return bool(values[0] > bound)
    return bool(values.mean() > bound and ttest_1samp(values, bound).pvalue < alpha)


def correlated(x: Values, y: Values, bound: float, alpha: float) -> bool:
    """Confirm that the correlation lies above `bound`, by Fisher's z over prompts."""
    from scipy.stats import norm

    if min(np.ptp(x), np.ptp(y)) == 0 or len(x) < 4:  # noqa: PLR2004 - z has variance 1 / (n - 3)
        return False
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1 + 1e-12, 1 - 1e-12))
    z = (math.atanh(r) - math.atanh(bound)) * math.sqrt(len(x) - 3)
    return bool(norm.sf(z) < alpha / 2)


def exclusive(a: Fires, b: Fires, alpha: float) -> bool:
    """Confirm that `a` shows more features a prompt that the other side never shows: Welch t over prompts."""
    return greater((a & ~b.any(axis=0)).sum(axis=1) * 1.0, (b & ~a.any(axis=0)).sum(axis=1) * 1.0, alpha)


def best_of_all(a: Fires, b: Fires, alpha: float) -> bool:
    """Pick the feature that separates `a` from `b` best and judge it on the same prompts."""
    gap = a.mean(axis=0) - b.mean(axis=0)
    best = int(gap.argmax())
    return greater(a[:, best] * 1.0, b[:, best] * 1.0, alpha)


def _welch_p(a: Values, b: Values, side: Side) -> float:
    from scipy.stats import ttest_ind

    if np.ptp(a) == 0 and np.ptp(b) == 0:
        alike = {"two-sided": a[0] != b[0], "greater": a[0] > b[0], "less": a[0] < b[0]}
        return 0.0 if alike[side] else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # values that are all but identical
        return float(cast("Any", ttest_ind)(a, b, equal_var=False, alternative=side).pvalue)
