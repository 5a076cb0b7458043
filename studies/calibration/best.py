"""The best valid test of a claim is made on the same unit means: its power is what the verdict's is held against.

Every function returns a one-sided p, small where the first lies above the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from saeprobe.shapes import Float

Units = Float[np.ndarray, " units"]


def above(units: Units, bound: float = 0.0) -> float:
    """Test the mean of units, or of pairs' differences, against a number, by Student's t (Biometrika 6, 1908)."""
    return _p(units.mean() - bound, units.var(ddof=1) / len(units), len(units) - 1)


def student(a: Units, b: Units) -> float:
    """Test two means by Student's t, for groups that scatter alike."""
    df = len(a) + len(b) - 2
    pooled = (_squares(a) + _squares(b)) / df
    return _p(a.mean() - b.mean(), pooled * (1 / len(a) + 1 / len(b)), df)


def welch(a: Units, b: Units) -> float:
    """Test two means by Welch's t (Biometrika 34, 1947), for groups that need not scatter alike."""
    return parts(a.mean() - b.mean(), [a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)], [len(a) - 1, len(b) - 1])


def parts(estimate: float, variances: Sequence[float], dfs: Sequence[int]) -> float:
    """Test an estimate whose variance is a sum of parts, with degrees of freedom by Satterthwaite (1946)."""
    whole = sum(variances)
    return _p(estimate, whole, whole**2 / sum(part**2 / df for part, df in zip(variances, dfs, strict=True)))


def at_equal_length(a: Units, b: Units, long_a: Units, long_b: Units) -> float:
    """Test what is left of a difference at equal length, by the analysis of covariance (Fisher 1932)."""
    x, y = ([side - side.mean() for side in sides] for sides in ((long_a, long_b), (a, b)))
    long, mean = np.concatenate(x), np.concatenate(y)
    spread, df, gap = float(long @ long), len(long) - 3, float(long_a.mean() - long_b.mean())
    if not spread:  # wordings of a style are equally long, so that no slope is known
        return 1.0
    slope = float(long @ mean) / spread
    rest = float(((mean - slope * long) ** 2).sum()) / df
    left = float(a.mean() - b.mean()) - slope * gap
    return _p(left, rest * (1 / len(a) + 1 / len(b) + gap**2 / spread), df)


def rank(claim: float, drawn: Units) -> float:
    """Rank a claim among draws that would be as large if nothing were in it (Phipson & Smyth 2010)."""
    return (1 + int((drawn >= claim).sum())) / (1 + len(drawn))


def correlated(x: Units, y: Units, bound: float) -> float:
    """Test a correlation against a number, by Fisher's z over units (Metron 1, 1921)."""
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1 + 1e-12, 1 - 1e-12))
    z = math.atanh(r) - math.atanh(bound)
    return NormalDist().cdf(-z * math.sqrt(len(x) - 3))


def t(statistic: float, df: float) -> float:
    """Return the share of Student's t that lies above a number."""
    from scipy.special import stdtr

    return float(stdtr(df, -statistic))


def _squares(of: Units) -> float:
    return float(((of - of.mean()) ** 2).sum())


def _p(estimate: float, variance: float, df: float) -> float:
    return t(float(estimate) / math.sqrt(variance), df)
