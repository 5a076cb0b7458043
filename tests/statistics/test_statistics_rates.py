"""Rates beside scipy's exact binomial test and statsmodels' exact interval."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest
from statsmodels.stats.proportion import proportion_confint

from saeprobe.statistics.intervals import rate_interval, rate_p, units_for_rate

counts = st.integers(1, 80).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


def test_rate_intervals_are_those_of_the_closed_form() -> None:
    """50 of 50 supports at least 0.025^(1/50) = 92.9 %, 0 of 50 at most 7.1 %; 7 of 10 gives the beta quantiles."""
    assert rate_interval(50, 50, level=0.95) == (pytest.approx(0.025 ** (1 / 50)), 1.0)
    assert round(0.025 ** (1 / 50), 3) == 0.929
    assert rate_interval(0, 50, level=0.95) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50)))
    expected = (beta.ppf(0.025, 7, 4), beta.ppf(0.975, 8, 3))
    assert rate_interval(7, 10, level=0.95) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(of=counts, level=st.sampled_from([0.9, 0.95, 0.999]))
def test_rate_intervals_of_whole_counts_are_those_of_statsmodels(of: tuple[int, int], level: float) -> None:
    """Clopper and Pearson's interval."""
    expected = proportion_confint(*of, alpha=1 - level, method="beta")
    assert rate_interval(*of, level=level) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(of=counts, bound=st.floats(0.01, 0.99), above=st.booleans())
def test_rate_p_of_whole_counts_is_that_of_scipy(of: tuple[int, int], bound: float, *, above: bool) -> None:
    """The one-sided exact binomial test."""
    expected = binomtest(*of, bound, alternative="greater" if above else "less").pvalue
    assert rate_p(*of, bound=bound, above=above) == pytest.approx(expected, abs=1e-12)


def test_twelve_of_twelve_support_more_than_their_twelfth_root() -> None:
    """At a rate of 0.779 twelve of twelve have the chance 0.779^12 = 0.0499, at 0.78 one of 0.0507."""
    assert rate_p(12, 12, bound=0.779, above=True) == pytest.approx(0.779**12)
    assert rate_p(12, 12, bound=0.779, above=True) < 0.05 < rate_p(12, 12, bound=0.78, above=True)
    assert rate_p(0, 12, bound=0.221, above=False) == pytest.approx(0.779**12)
    assert rate_p(0, 12, bound=0.5, above=True) == rate_p(12, 12, bound=0.5, above=False) == 1.0


def test_half_a_success_lies_between_none_and_one() -> None:
    """11.5 of 12: p and the interval lie between those of 11 and of 12; the tail is the beta distribution's."""
    for bound in (0.5, 0.8, 0.95):
        low, half, high = (rate_p(successes, 12, bound=bound, above=True) for successes in (12, 11.5, 11))
        assert low < half < high
        assert half == pytest.approx(beta.cdf(bound, 11.5, 1.5))
        assert rate_p(11.5, 12, bound=bound, above=False) == pytest.approx(1 - beta.cdf(bound, 12.5, 0.5))
    low, high = rate_interval(11.5, 12, level=0.9)
    assert (low, high) == pytest.approx((beta.ppf(0.05, 11.5, 1.5), beta.ppf(0.95, 12.5, 0.5)))


@pytest.mark.parametrize(("bound", "units"), [(0.95, 59), (0.9, 29), (0.779, 12), (0.78, 13), (0.5, 5), (0.01, 1)])
def test_units_for_a_rate_are_the_first_that_reach_it(bound: float, units: int) -> None:
    """59 of 59 show a rate above 95 %, 58 of 58 do not, and so for none of them below 5 %."""
    for above, edge in ((True, bound), (False, 1 - bound)):
        assert units_for_rate(edge, above=above, alpha=0.05) == units
        showing = units if above else 0
        assert rate_p(showing, units, bound=edge, above=above) < 0.05
        if units > 1:
            fewer = units - 1
            assert rate_p(fewer if above else 0, fewer, bound=edge, above=above) >= 0.05


def test_units_that_reach_alpha_exactly_are_one_too_few() -> None:
    """Three at a rate of 1/2 have the chance 1/8: to be below 1/8 it takes four."""
    assert units_for_rate(0.5, above=True, alpha=0.125) == 4
    assert units_for_rate(0.5, above=True, alpha=0.126) == 3


@pytest.mark.parametrize(("successes", "trials"), [(-0.1, 5), (5.1, 5), (0, 0)])
def test_counts_that_are_none_raise(successes: float, trials: int) -> None:
    """More successes than trials, fewer than none, and no trial."""
    told = rf"{successes} of {trials}; wanted at least one trial and 0 to {trials} successes"
    with pytest.raises(ValueError, match=told):
        rate_interval(successes, trials, level=0.95)
    with pytest.raises(ValueError, match=told):
        rate_p(successes, trials, bound=0.5, above=True)


@pytest.mark.parametrize("bound", [0.0, 1.0, 1.5, -0.2])
def test_bounds_that_no_rate_can_pass_raise(bound: float) -> None:
    """A rate is neither above 1 nor below 0."""
    told = f"a rate is held against {bound}; wanted a bound between 0 and 1, such as 0.95"
    with pytest.raises(ValueError, match=told):
        rate_p(5, 5, bound=bound, above=True)
    with pytest.raises(ValueError, match=told):
        units_for_rate(bound, above=True, alpha=0.05)
