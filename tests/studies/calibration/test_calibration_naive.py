"""The naive arm makes the t tests that scipy and statsmodels make, and reads values without spread as they stand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, ttest_1samp
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

from studies.calibration import naive

RNG = np.random.default_rng(3)
A, B = RNG.normal(1.0, 1.0, 20) + 1.0, RNG.normal(0.3, 2.0, 15)


def welch(a: np.ndarray, b: np.ndarray) -> float:
    """Give the two-sided p of Welch's test by statsmodels."""
    return float(CompareMeans(DescrStatsW(a), DescrStatsW(b)).ttest_ind(usevar="unequal")[1])


def test_greater_is_welchs_test_on_the_side_named() -> None:
    """It confirms just above its own p, and never the contrary."""
    p = welch(A, B)
    assert naive.greater(A, B, p + 1e-9)
    assert not naive.greater(A, B, p - 1e-9)
    assert not naive.greater(B, A, 0.999)


def test_a_margin_is_taken_from_the_larger_side() -> None:
    """`a > b + m` is tested like `a - m > b`."""
    p = welch(A - 0.2, B)
    assert naive.greater(A, B, p + 1e-9, by=0.2)
    assert not naive.greater(A, B, p - 1e-9, by=0.2)
    assert not naive.greater(A, B, 0.999, by=5.0)


def test_equal_is_two_one_sided_welch_tests() -> None:
    """It agrees with statsmodels, whose p is the larger of the two."""
    p = float(ttost_ind(A, B, -2.0, 2.0, usevar="unequal")[0])
    assert naive.equal(A, B, p + 1e-9, margin=2.0)
    assert not naive.equal(A, B, p - 1e-9, margin=2.0)


def test_above_is_the_t_test_of_one_sample() -> None:
    """It confirms on the named side alone."""
    p = float(ttest_1samp(A, 0.5).pvalue)
    assert naive.above(A, 0.5, p + 1e-9)
    assert not naive.above(A, 0.5, p - 1e-9)
    assert not naive.above(-A, 0.5, 0.999)


def test_an_order_needs_every_step() -> None:
    """Two steps hold, and the last does not."""
    sides = [np.array([5.0, 5.1, 5.2]), np.array([3.0, 3.1, 3.2]), np.array([1.0, 1.1, 1.2])]
    assert naive.ordered(sides, 0.05)
    assert not naive.ordered([*sides, sides[-1]], 0.05)


def test_a_correlation_is_tested_by_fishers_z() -> None:
    """Its p lies near that of scipy's exact test at r = 0, and it wants more of a bound near r."""
    x = RNG.normal(size=60)
    y = x + RNG.normal(size=60)
    p = float(pearsonr(x, y).pvalue)
    assert naive.correlated(x, y, 0.0, max(10 * p, 1e-4))
    assert not naive.correlated(x, y, float(np.corrcoef(x, y)[0, 1]), 0.5)
    assert not naive.correlated(x, np.ones(60), 0.0, 0.999)


def test_values_without_spread_are_taken_at_their_word() -> None:
    """All ones against all zeros are confirmed at any alpha, equal constants at none."""
    ones, zeros = np.ones(5), np.zeros(5)
    assert naive.greater(ones, zeros, 1e-9)
    assert not naive.greater(ones, ones, 0.999)
    assert naive.above(ones, 0.5, 1e-9)
    assert not naive.above(ones, 1.0, 0.999)
    assert naive.equal(ones, ones, 1e-9, margin=0.1)
    assert not naive.equal(ones, zeros, 0.05, margin=0.1)


def test_a_feature_is_picked_and_judged_on_the_same_prompts() -> None:
    """The best of four hundred features that mean nothing looks significant on ten prompts a side."""
    a, b = RNG.random((10, 400)) < 0.5, RNG.random((10, 400)) < 0.5
    assert naive.best_of_all(a, b, 0.05)


def test_exclusive_features_are_counted_a_prompt() -> None:
    """A side is confirmed where its prompts each show features that the other never does."""
    a, b = np.zeros((6, 5), dtype=bool), np.zeros((6, 5), dtype=bool)
    a[:, 0], b[:, 1] = True, True
    assert not naive.exclusive(a, b, 0.05)
    a[:, 2:] = True
    assert naive.exclusive(a, b, 0.05)
    assert not naive.exclusive(b, a, 0.05)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_arm_keeps_its_level_where_prompts_are_independent(alpha: float) -> None:
    """Welch's test confirms alpha / 2 on independent prompts, so the naive arm is a fair one."""
    rng = np.random.default_rng(1)
    confirmed = sum(naive.greater(rng.normal(size=12), rng.normal(size=12), alpha) for _ in range(400))
    assert abs(confirmed / 400 - alpha / 2) < 4 * (alpha / 2 / 400) ** 0.5
