"""Bootstrap intervals and false discoveries, beside scipy's and statsmodels'."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from statsmodels.stats.multitest import multipletests

from saeprobe.statistics import q_values
from saeprobe.statistics.intervals import RESAMPLES, bca_interval

rng = np.random.default_rng(0)
X = rng.normal(size=20)
Y = X + rng.normal(size=20)


def correlation(units: np.ndarray) -> float:
    """Pearson's r of the chosen units."""
    return float(np.corrcoef(X[units], Y[units])[0, 1])


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_bootstrap_intervals_are_those_of_scipy(level: float) -> None:
    """The bias-corrected and accelerated interval of a correlation over 20 units, from the same resamples."""
    expected = bootstrap(
        (np.arange(20),),
        correlation,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=level,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = bca_interval(20, correlation, level=level, seed=3)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_bootstrap_intervals_follow_the_seed() -> None:
    """The same seed gives the same interval, another one nearly the same."""
    one, again, other = (bca_interval(20, correlation, level=0.9, seed=seed) for seed in (1, 1, 2))
    assert one is not None
    assert one == again != other
    assert other == pytest.approx(one, abs=0.05)


def test_a_statistic_that_does_not_vary_has_no_bootstrap_interval() -> None:
    """Nothing is made of a constant, nor of one that is undefined."""
    assert bca_interval(8, lambda _: 1.0, level=0.95, seed=0) is None
    assert bca_interval(8, lambda _: float("nan"), level=0.95, seed=0) is None


def test_resamples_that_tie_with_what_was_found_count_half() -> None:
    """The median of small whole numbers often ties; scipy counts ties the same way."""
    whole = np.array([1.0, 2, 2, 3, 3, 3, 4, 6, 9])

    def median(units: np.ndarray) -> float:
        return float(np.median(whole[units]) + whole[units].mean() / 1000 * (len(units) < 9))

    expected = bootstrap(
        (np.arange(9),), median, vectorized=False, n_resamples=RESAMPLES, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert bca_interval(9, median, level=0.95, seed=1) == pytest.approx((expected.low, expected.high))


def test_two_units_span_their_bootstrap_interval() -> None:
    """Of 0 and 1 the mean is 0, 1/2 or 1."""
    assert bca_interval(2, lambda units: float(units.mean()), level=0.9, seed=0) == (0.0, 1.0)


@pytest.mark.parametrize("side", [100.0, -100.0])
def test_a_statistic_beyond_all_its_resamples_has_no_bootstrap_interval(side: float) -> None:
    """Where all resamples lie on one side of what was found there is no correction for it."""

    def beyond(units: np.ndarray) -> float:
        return side if units.tolist() == list(range(12)) else float(units.mean())

    assert bca_interval(12, beyond, level=0.9, seed=0) is None


def test_a_statistic_that_no_single_unit_moves_has_no_bootstrap_interval() -> None:
    """Eight different units become seven whichever is left out: there is no acceleration."""
    assert bca_interval(8, lambda units: float(len(set(units))), level=0.95, seed=0) is None
    assert bca_interval(8, lambda units: -float(len(set(units))), level=0.95, seed=0) is None


@pytest.mark.parametrize(("units", "defined"), [(8, True), (4, False)])
def test_few_undefined_resamples_are_left_out_and_many_are_not(units: int, *, defined: bool) -> None:
    """A resample of one unit only has no slope: 8 in 8^8 of 8 units, but 4 in 4^4 = 1.6 % of 4 units."""

    def slope(chosen: np.ndarray) -> float:
        return float("nan") if len(set(chosen)) == 1 else float(np.polyfit(X[chosen], Y[chosen], 1)[0])

    assert (bca_interval(units, slope, level=0.9, seed=0) is not None) == defined


def test_a_statistic_that_is_undefined_without_one_unit_has_no_bootstrap_interval() -> None:
    """The acceleration leaves each unit out in turn."""

    def needs_the_first(units: np.ndarray) -> float:
        return float(X[units].mean()) if 0 in units or len(units) == 20 else float("nan")

    assert bca_interval(20, needs_the_first, level=0.9, seed=0) is None


def test_fewer_than_two_units_have_no_bootstrap_interval() -> None:
    """One unit has no spread."""
    with pytest.raises(ValueError, match="1 unit of replication; an interval needs at least 2"):
        bca_interval(1, lambda _: 1.0, level=0.95, seed=0)


@settings(max_examples=40, deadline=None)
@given(ps=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_those_of_statsmodels(ps: list[float]) -> None:
    """Benjamini and Hochberg's."""
    expected = multipletests(ps, method="fdr_bh")[1]
    assert q_values(ps) == pytest.approx(expected)


def test_adjusted_p_values_by_hand() -> None:
    """0.01, 0.02 and 0.04 of 4 become 0.04, 0.04 and 0.16 / 3."""
    found = q_values([0.02, 0.9, 0.01, 0.04])
    assert found == pytest.approx([0.04, 0.9, 0.04, 0.16 / 3])


def test_a_p_that_is_none_has_no_adjusted_one() -> None:
    """It lies between 0 and 1."""
    with pytest.raises(ValueError, match="only numbers between 0 and 1 are"):
        q_values([1.5])
