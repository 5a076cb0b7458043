"""Power lies beside that of statsmodels."""

from __future__ import annotations

from itertools import combinations
from math import ceil, comb, inf

import numpy as np
import pytest
from scipy.stats import nct, t, ttest_ind
from statsmodels.stats.power import TTestIndPower, TTestPower

from saeprobe.statistics.intervals import least_units, power_of, smallest_p, units_to_decide
from saeprobe.statistics.planning import detectable


@pytest.mark.parametrize("effect", [0.3, 0.5, 0.8, 1.0, 1.2])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_units_to_decide_are_those_of_statsmodels(effect: float, alpha: float) -> None:
    """Where p has fine steps the level is alpha, and the units are those of the t test."""
    groups = TTestIndPower().solve_power(effect_size=effect, alpha=alpha, power=0.8)
    assert units_to_decide(effect, alpha=alpha, paired=False) == ceil(groups)
    assert units_to_decide(-effect, alpha=alpha, paired=False) == ceil(groups)
    if effect < 0.6:
        pairs = TTestPower().solve_power(effect_size=effect, alpha=alpha, power=0.8)
        assert units_to_decide(effect, alpha=alpha, paired=True) == ceil(pairs)


def test_units_to_decide_grow_with_the_power_wanted() -> None:
    """90 % takes 22 units a side for an effect of 1 where 80 % takes 17 (statsmodels)."""
    wanted = TTestIndPower().solve_power(effect_size=1.0, alpha=0.05, power=0.9)
    assert units_to_decide(1.0, alpha=0.05, paired=False, power=0.9) == ceil(wanted) == 23


@pytest.mark.parametrize(("paired", "units", "level"), [(False, 5, 12 / 252), (True, 7, 6 / 128)])
def test_the_level_of_few_units_is_what_they_can_reach(units: int, level: float, *, paired: bool) -> None:
    """5 + 5 units reach 12/252 below 0.05, 7 pairs 6/128: the power is that of a t test there."""
    test = TTestPower() if paired else TTestIndPower()
    for effect in (0.5, 1.5, 3.0):
        expected = test.power(effect, units, level)
        assert power_of(effect, units, alpha=0.05, paired=paired) == pytest.approx(expected, abs=1e-6)
        assert power_of(-effect, units, alpha=0.05, paired=paired) == pytest.approx(expected, abs=1e-6)


def test_four_units_a_side_have_the_power_of_welchs_t() -> None:
    """Of 4 + 4 normal units it finds 61 % at 2 and 76 % at 2.38 standard deviations; what is told lies within 2 %."""
    units = np.random.default_rng(0).normal(size=(20_000, 8))
    for effect in (1.5, 2.0, 2.38, 3.0):
        found = ttest_ind(units[:, :4] + effect, units[:, 4:], axis=1, equal_var=False).pvalue < 0.05
        assert power_of(effect, 4, alpha=0.05, paired=False) == pytest.approx(found.mean(), abs=0.02)


def test_without_an_effect_power_is_the_level() -> None:
    """Both tails count."""
    assert power_of(0.0, 5, alpha=0.05, paired=False) == pytest.approx(12 / 252)
    assert power_of(0.0, 1000, alpha=0.05, paired=False) == pytest.approx(0.05)


def test_a_level_that_few_pairs_cannot_reach_takes_one_more() -> None:
    """10 pairs reach 50/1024 below 0.05 and see an effect of 1 with 79.6 % there, 11 reach 102/2048 (statsmodels)."""
    assert TTestPower().power(1.0, 10, 0.05) > 0.8 > TTestPower().power(1.0, 10, 50 / 1024)
    assert TTestPower().power(1.0, 11, 102 / 2048) > 0.8
    assert units_to_decide(1.0, alpha=0.05, paired=True) == 11


@pytest.mark.parametrize("units", [6, 40, 500, 1000])
def test_power_rises_with_the_effect_until_it_is_one(units: int) -> None:
    """Also where scipy gives NaN for the tails, which are too small to count."""
    for paired in (False, True):
        powers = [power_of(effect, units, alpha=0.05, paired=paired) for effect in np.geomspace(0.01, 60, 200)]
        assert np.diff(powers).min() > -1e-9
        assert powers[-1] == pytest.approx(1)


def test_a_permutation_test_has_about_the_power_told() -> None:
    """Of 2,000 sets of 6 + 6 normal units at the effect that is told, about 80 % are found."""
    effect = detectable(6, alpha=0.05, paired=False)
    assert effect is not None
    units = np.random.default_rng(0).normal(size=(2000, 12))
    units[:, :6] += effect
    sums = np.stack([units[:, list(chosen)].sum(axis=1) for chosen in combinations(range(12), 6)], axis=1)
    contrasts = np.abs(2 * sums - units.sum(axis=1, keepdims=True))
    found = (contrasts >= contrasts[:, :1] - 1e-9).mean(axis=1) < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("paired", "alpha", "units"), [(False, 0.05, 4), (True, 0.05, 6), (False, 0.01, 5), (True, 0.01, 8), (True, 1.1, 2)]
)
def test_fewest_units_are_those_whose_smallest_p_lies_below_alpha(alpha: float, units: int, *, paired: bool) -> None:
    """2/C(8, 4) = 0.029 and 2/2^6 = 0.031 lie below 0.05; 2/C(10, 5) = 0.0079 and 2/2^8 = 0.0078 below 0.01."""
    assert least_units(alpha, paired=paired) == units
    assert units_to_decide(inf, alpha=alpha, paired=paired) == units
    assert units_to_decide(-inf, alpha=alpha, paired=paired) == units
    assert units_to_decide(50.0, alpha=alpha, paired=paired) == units


def test_an_alpha_that_is_the_smallest_p_takes_more_units() -> None:
    """A p below 2/70 is out of reach of 4 + 4 units."""
    assert smallest_p(4, paired=False) == 2 / 70
    assert smallest_p(6, paired=True) == 2 / 64
    assert least_units(2 / 70, paired=False) == 5
    assert least_units(2 / 64, paired=True) == 7


def test_units_that_cannot_reach_alpha_have_no_power() -> None:
    """However large the effect: 3 + 3 units at 0.05, and 6 pairs at 2/64, which they reach and do not pass."""
    assert power_of(100.0, 3, alpha=0.05, paired=False) == 0
    assert power_of(100.0, 6, alpha=2 / 64, paired=True) == 0
    assert power_of(100.0, 6, alpha=2 / 63, paired=True) == pytest.approx(1)


def test_more_than_a_thousand_units_are_no_plan() -> None:
    """1,000 units a side see an effect of 0.1254 and not of 0.125; None is told."""
    edge = TTestIndPower().solve_power(nobs1=1000, alpha=0.05, power=0.8)
    assert units_to_decide(edge + 1e-6, alpha=0.05, paired=False) == 1000
    assert units_to_decide(edge - 1e-6, alpha=0.05, paired=False) is None
    assert units_to_decide(0.0, alpha=0.05, paired=False) is None


def test_noise_that_more_units_do_not_lower_is_added() -> None:
    """With a noise of 1/17 beside 2/n a side it takes the n at which 2/n + 1/17 is small enough, or none is."""
    plain = units_to_decide(1.0, alpha=0.05, paired=False)
    noisy = units_to_decide(1.0, alpha=0.05, paired=False, noise=1 / 17)
    assert plain == 17
    assert noisy is not None
    scaled = 1 / np.sqrt(1 + noisy / 34)  # 2/n + 1/17 = 2/n (1 + n/34)
    assert TTestIndPower().power(scaled, noisy, 0.05) >= 0.8
    fewer = 1 / np.sqrt(1 + (noisy - 1) / 34)
    assert TTestIndPower().power(fewer, noisy - 1, 0.05) < 0.8
    assert units_to_decide(1.0, alpha=0.05, paired=False, noise=0.2) is None
    pairs = power_of(1.0, 20, alpha=0.05, paired=True, noise=1 / 20)
    assert pairs == pytest.approx(TTestPower().power(1 / 2**0.5, 20, 0.05), abs=1e-4)


@pytest.mark.parametrize(("units", "paired"), [(12, False), (40, False), (20, True), (100, True)])
def test_detectable_effects_are_those_of_statsmodels(units: int, *, paired: bool) -> None:
    """12 units a side see 1.20 standard deviations."""
    test = TTestPower() if paired else TTestIndPower()
    expected = test.solve_power(effect_size=None, alpha=0.05, power=0.8, **{"nobs" if paired else "nobs1": units})
    assert detectable(units, alpha=0.05, paired=paired) == pytest.approx(expected, rel=1e-4)


def test_no_effect_is_detectable_where_alpha_is_out_of_reach() -> None:
    """3 + 3 units and 5 pairs see nothing at 0.05; one more sees something."""
    assert detectable(3, alpha=0.05, paired=False) is None
    assert detectable(5, alpha=0.05, paired=True) is None
    assert detectable(4, alpha=0.05, paired=False) is not None
    assert detectable(6, alpha=0.05, paired=True) is not None


@pytest.mark.parametrize(("units", "others"), [(4, 5), (4, 12), (12, 30)])
def test_sides_of_unlike_size_have_the_power_of_welchs_test(units: int, others: int) -> None:
    """4 + 5 units reach 6/126 below 0.05, where 3 + 4 reach 2/35 at best; the freedom of 4 + 12 is 5.18 and not 14."""
    step = smallest_p(units, paired=False, others=others)
    assert step == 2 / comb(units + others, units) < 0.05 < smallest_p(3, paired=False, others=4)
    level = step * (ceil(0.05 / step) - 1) if step > 1e-8 else 0.05
    variance = 1 / units + 1 / others
    freedom = variance**2 / (1 / units**2 / (units - 1) + 1 / others**2 / (others - 1))
    assert others != 12 or round(freedom, 2) == 5.18
    centre, reach = 2.0 / variance**0.5, t.ppf(1 - level / 2, freedom)
    expected = nct.sf(reach, freedom, centre) + nct.cdf(-reach, freedom, centre)
    assert power_of(2.0, units, alpha=0.05, paired=False, others=others) == pytest.approx(expected, abs=1e-6)
    assert detectable(units, alpha=0.05, paired=False, others=others) is not None
