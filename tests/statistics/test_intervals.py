"""Rates beside scipy's exact binomial test and statsmodels' exact interval; means beside scipy's t test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import beta, binomtest, skew, t, ttest_1samp
from statsmodels.stats.proportion import proportion_confint

from saeprobe.statistics.intervals import (
    Shares,
    hall,
    made_up_share,
    rate_interval,
    rate_p,
    shares_interval,
    shares_p,
    units_for_rate,
)

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


def of_units(shares: Sequence[float], prompts: float = 4) -> Shares:
    """Units by their shares."""
    return Shares(float(np.mean(shares)), float(np.var(shares)), len(shares), prompts)


def by_definition(shares: Sequence[float], prompts: float, bound: float, tail: float) -> float:
    """Korn & Graubard's p over the units and one that is made up, worked from the list of them."""
    units = [*shares, made_up_share(bound, above=True)]
    rate, trials = float(np.mean(units)), len(units) * prompts
    spread = float(np.var(units, ddof=1)) / len(units)
    effective = min(trials, rate * (1 - rate) / spread) if spread else trials
    effective *= (t.ppf(1 - tail, trials - 1) / t.ppf(1 - tail, len(units) - 1)) ** 2
    return float(beta.cdf(bound, rate * effective, effective - rate * effective + 1))


@pytest.mark.parametrize(
    ("bound", "made_up"),
    [(0.05, 0), (0.2, 0), (0.5, 0.25), (0.75, 0.25), (0.8, 0.3), (0.9, 0.525), (0.95, 0.55)],
)
def test_the_made_up_unit_shows_less_than_the_bound(bound: float, made_up: float) -> None:
    """None at 0.2, then 0.5 - 0.5 / 2, at most 1/4, 0.8 - 1.25 x 0.4, 0.9 - 1.25 x 0.3, and at most 0.55."""
    assert made_up_share(bound, above=True) == pytest.approx(made_up)
    assert made_up_share(1 - bound, above=False) == pytest.approx(1 - made_up)


@pytest.mark.parametrize("shares", [[0.75, 1] * 6, [0.9] * 24, [1.0] * 16, [0.5, 0.25, 0.75, 1.0] * 4])
@pytest.mark.parametrize("bound", [0.1, 0.5, 0.75, 0.9])
def test_the_p_of_shares_is_the_smaller_one_of_two(shares: list[float], bound: float) -> None:
    """The exact binomial p of units as single trials, and that of an effective number of trials."""
    exact = rate_p(sum(shares), len(shares), bound=bound, above=True)
    expected = min(exact, by_definition(shares, 8, bound, 0.025))
    assert shares_p(of_units(shares, 8), bound, above=True, tail=0.025) == pytest.approx(expected, rel=1e-6)
    turned = of_units([1 - share for share in shares], 8)
    assert shares_p(turned, 1 - bound, above=False, tail=0.025) == pytest.approx(expected, rel=1e-6)


def test_both_ps_of_shares_count() -> None:
    """24 wordings at 9 of 10 pass 75 % by their small spread alone, six that show it on all prompts 1/2 as trials."""
    even, all_of_them = of_units([0.9] * 24, 48), of_units([1.0] * 6, 48)
    assert shares_p(even, 0.75, above=True, tail=0.025) < 0.025 < rate_p(21.6, 24, bound=0.75, above=True)
    assert shares_p(all_of_them, 0.5, above=True, tail=0.025) == 1 / 64 < 0.025
    assert by_definition([1.0] * 6, 48, 0.5, 0.025) > 0.025


def test_units_of_one_prompt_are_trials_and_none_that_show_it_say_nothing() -> None:
    """The exact p and interval of prompts; nothing is above a rate that no unit shows."""
    prompts = of_units([1.0] * 9 + [0.0], 1)
    assert shares_p(prompts, 0.5, above=True, tail=0.025) == pytest.approx(11 / 1024)
    assert shares_interval(prompts, tail=0.025) == pytest.approx(rate_interval(9, 10, level=0.95))
    none = of_units([0.0] * 10)
    assert shares_p(none, 0.01, above=True, tail=0.025) == 1
    assert shares_interval(none, tail=0.025)[0] == 0
    assert shares_interval(of_units([1.0] * 10), tail=0.025)[1] == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=30), st.floats(0.02, 0.98), st.sampled_from([0.025, 0.005]))
def test_the_interval_of_shares_holds_what_is_not_decided(counts: list[int], bound: float, tail: float) -> None:
    """A bound below it is passed, one above it is not reached, and one inside is left open."""
    of = of_units([count / 8 for count in counts], 8)
    low, high = shares_interval(of, tail=tail)
    if min(abs(low - bound), abs(high - bound)) > 1e-9:
        assert (low > bound) == (shares_p(of, bound, above=True, tail=tail) < tail)
        assert (high < bound) == (shares_p(of, bound, above=False, tail=tail) < tail)


@pytest.mark.parametrize(
    ("bound", "units", "correlation", "failing"),
    [(bound, units, 0.09, 0.15) for bound in (0.65, 0.75, 0.8) for units in (12, 16, 20)]
    + [(bound, units, 0.5, 0.0) for bound in (0.5, 0.75, 0.9) for units in (12, 24, 40)],
)
def test_false_rates_are_confirmed_at_most_at_their_tail(
    bound: float, units: int, correlation: float, failing: float
) -> None:
    """Of 1,000 sets of wordings whose rate is the bound itself at most 2.5 %, and the error of that, pass it."""
    rng, mean, total = np.random.default_rng(0), bound / (1 - failing), 1 / correlation - 1
    rates = rng.beta(mean * total, (1 - mean) * total, (1000, units)) * (rng.random((1000, units)) >= failing)
    passed = [shares_p(of_units(row, 8), bound, above=True, tail=0.025) < 0.025 for row in rng.binomial(8, rates) / 8]
    assert np.mean(passed) <= 0.025 + 2.6 * (0.025 * 0.975 / 1000) ** 0.5


@pytest.mark.parametrize(("bound", "units"), [(0.95, 72), (0.9, 36), (0.75, 13), (0.5, 6), (0.01, 2)])
def test_units_of_one_prompt_for_a_rate_are_the_first_that_reach_it(bound: float, units: int) -> None:
    """0.95^72 = 0.0249 and 0.95^71 = 0.0262; one unit alone never decides."""
    assert units_for_rate(bound, above=True, tail=0.025, prompts=1) == units
    assert units_for_rate(1 - bound, above=False, tail=0.025, prompts=1) == units
    assert units == 2 or bound**units < 0.025 <= bound ** (units - 1)


@pytest.mark.parametrize("bound", [0.5, 0.75, 0.9, 0.95])
def test_units_of_several_prompts_for_a_rate_are_the_first_that_reach_it(bound: float) -> None:
    """All of them show it on every prompt, by the exact p or by that of trials and a unit made up."""
    units = units_for_rate(bound, above=True, tail=0.025, prompts=8)
    assert units is not None
    ps = [min(bound**n, by_definition([1.0] * n, 8, bound, 0.025)) for n in range(2, units + 1)]
    assert min(ps[:-1]) >= 0.025 > ps[-1]


def test_no_plan_reaches_further_than_a_thousand_units() -> None:
    """0.999^1000 = 0.37."""
    assert units_for_rate(0.999, above=True, tail=0.025, prompts=1) is None


@pytest.mark.parametrize("units", [[3.0, 1, 2, 5, 4], [1.0, 2, 3, 5, 8, 30], [-9.0, 1, 2, 2, 3, 4], [0.1, 0.1, 0.2, 9]])
def test_halls_test_and_interval_are_those_of_their_formula(units: list[float]) -> None:
    """Worked with scipy's skewness and Student's t; the ends are where a numerical root of the formula lies."""
    values, count = np.array(units), len(units)

    def transformed(bound: float) -> float:
        far, g = (values.mean() - bound) / values.std(ddof=1), skew(values)
        return count**0.5 * (far + g * far**2 / 3 + g**2 * far**3 / 27 + g / (6 * count))

    p, ends = hall(values, alpha=0.05)
    assert p == pytest.approx(2 * t.sf(abs(transformed(0.0)), count - 1))
    reach = t.ppf(0.975, count - 1)
    roots = [brentq(lambda bound, at=at: transformed(bound) - at, -1e6, 1e6) for at in (reach, -reach)]
    assert ends == pytest.approx(roots, rel=1e-6)


def test_symmetric_units_have_the_t_test() -> None:
    """Without skewness nothing is transformed."""
    values = np.array([1.0, 2, 3, 4, 5]) - 0.5
    found = ttest_1samp(values, 0.0)
    p, ends = hall(values, alpha=0.05)
    assert p == pytest.approx(found.pvalue)
    assert ends == pytest.approx(tuple(found.confidence_interval(0.95)))


def test_a_skew_that_turns_the_sign_of_a_mean_decides_nothing() -> None:
    """Nine units at -1 and one at 8.9: the mean of -0.01 is below zero, and with its skewness above it: p is 1."""
    values = np.array([-1.0] * 9 + [8.9])
    assert hall(values, alpha=0.05)[0] == 1
    assert hall(values + 0.02, alpha=0.05)[0] < 1
