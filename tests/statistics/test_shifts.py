"""Permutation tests and their intervals, beside scipy's and beside what can be counted by hand."""

from __future__ import annotations

from itertools import combinations
from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, permutation_test, skew
from statsmodels.stats.power import TTestIndPower, TTestPower

from saeprobe.statistics.intervals import skewness, skews
from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import invert, paired_shift, unpaired_shift

ALPHA = 0.05
integers = st.integers(-50, 50)
four_or_five = st.lists(integers, min_size=4, max_size=5).map(lambda values: np.array(values, dtype=np.float64))


def scipy_sign_p(differences: Units) -> float:
    """Exact two-sided p of a mean under sign flips, by scipy."""
    found = permutation_test(
        (differences,),
        lambda x, axis: np.abs(x.mean(axis=axis)),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    return float(found.pvalue)


@pytest.mark.parametrize(("units", "relabelings"), [(5, 252), (6, 924), (8, 12_870)])
def test_fully_separated_units_reach_two_relabelings_of_all(units: int, relabelings: int) -> None:
    """Of all relabelings only the observed one and its mirror are as far apart as fully separated units."""
    a, b = np.arange(units) + 100.0, np.arange(units) * 1.5
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(2 / relabelings)
    assert shift.smallest_p == pytest.approx(2 / relabelings)
    assert shift.test == f"exact permutation of {units} + {units} units (all {relabelings:,})"
    assert shift.seed is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [5, 8, 11])
def test_exact_sign_flips_agree_with_scipy(seed: int, count: int) -> None:
    """The exact p of paired differences is scipy's."""
    differences = np.random.default_rng(seed).normal(0.5, 1, count)
    shift = paired_shift(differences, alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(scipy_sign_p(differences))
    assert shift.test == f"exact sign flips of {count} paired differences (all {2**count:,})"
    assert shift.seed is None


@pytest.mark.parametrize("seed", range(4))
def test_interval_of_paired_differences_holds_what_scipy_does_not_reject(seed: int) -> None:
    """The same for sign flips."""
    differences = np.random.default_rng(seed).normal(1, 1, 8)
    interval = paired_shift(differences, alpha=ALPHA, seed=0).interval
    assert interval is not None
    low, high = interval
    width = high - low
    for inside in (low + 1e-6 * width, (low + high) / 2, high - 1e-6 * width):
        assert scipy_sign_p(differences - inside) >= ALPHA
    for outside in (low - 1e-6 * width, high + 1e-6 * width):
        assert scipy_sign_p(differences - outside) < ALPHA


def test_interval_of_six_differences_is_known_by_hand() -> None:
    """With six differences only all-equal signs are rejected at 5 %, so the interval spans smallest to largest."""
    shift = paired_shift(np.array([1.0, 2, 4, 8, 16, 32]), alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(2 / 64)
    assert shift.interval == pytest.approx((1.0, 32.0))


def test_too_few_units_have_no_interval() -> None:
    """Fewer than 4 + 4 units decide nothing and 5 pairs reach p = 0.0625, so that they have no interval; 6 pairs do."""
    three = unpaired_shift(np.array([90.0, 91, 93]), np.array([1.0, 2, 4]), alpha=ALPHA, seed=0)
    assert (three.p, three.smallest_p, three.interval) == (1.0, 1.0, None)
    five = paired_shift(np.array([1.0, 2, 3, 4, 6]), alpha=ALPHA, seed=0)
    assert (five.p, five.smallest_p, five.interval) == (pytest.approx(0.0625), pytest.approx(0.0625), None)
    assert paired_shift(np.array([1.0, 2, 3, 4, 6, 7]), alpha=ALPHA, seed=0).interval is not None


def test_smallest_p_of_unequal_groups_is_twice_one_relabeling() -> None:
    """Each direction is wrong in at most alpha / 2: 2 of 126 for 4 + 5 units, though the mirror is no relabeling."""
    shift = unpaired_shift(np.array([90.0, 91, 93, 99]), np.array([1.0, 2, 4, 8, 9]), alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(2 / 126)
    assert shift.smallest_p == pytest.approx(2 / 126)


def test_no_more_than_alpha_of_all_relabelings_are_rejected() -> None:
    """Over all 70 ways to deal eight values to two groups the test rejects at most 5 %, that is three."""
    values = np.array([0.0, 1, 3, 4, 7, 12, 13, 21])
    rejected = 0
    for members in combinations(range(8), 4):
        rest = [index for index in range(8) if index not in members]
        rejected += unpaired_shift(values[list(members)], values[rest], alpha=ALPHA, seed=0).p <= ALPHA
    assert 0 < rejected <= 3


@settings(max_examples=40, deadline=None)
@given(a=four_or_five, b=four_or_five, offset=st.floats(-1000, 1000), scale=st.floats(0.01, 100))
def test_shift_and_scale_of_the_values_pass_through(a: Units, b: Units, offset: float, scale: float) -> None:
    """Moving all values changes nothing, moving one group moves the estimate, scaling scales it; p follows neither."""
    plain = unpaired_shift(a, b, alpha=0.1, seed=0)
    moved = unpaired_shift(a * scale + offset, b * scale + offset, alpha=0.1, seed=0)
    assert moved.p == pytest.approx(plain.p)
    assert moved.estimate == pytest.approx(plain.estimate * scale, abs=1e-9)
    assert (moved.interval is None) == (plain.interval is None)
    if plain.interval is not None and moved.interval is not None:
        assert moved.interval == pytest.approx([end * scale for end in plain.interval], abs=1e-6 * scale * 200)
    apart = unpaired_shift(a + 7, b, alpha=0.1, seed=0)
    assert apart.estimate == pytest.approx(plain.estimate + 7)
    if plain.interval is not None:
        assert apart.interval == pytest.approx([end + 7 for end in plain.interval], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(a=four_or_five, b=four_or_five)
def test_exchanged_groups_give_the_mirror(a: Units, b: Units) -> None:
    """Exchanging the groups turns estimate and interval round and leaves p."""
    one, other = unpaired_shift(a, b, alpha=0.1, seed=0), unpaired_shift(b, a, alpha=0.1, seed=0)
    assert other.p == pytest.approx(one.p)
    assert other.estimate == pytest.approx(-one.estimate)
    if one.interval is not None:
        assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    differences=st.lists(integers, min_size=5, max_size=8).map(lambda values: np.array(values, dtype=np.float64)),
    scale=st.floats(0.01, 100),
)
def test_paired_differences_scale_and_turn_round(differences: Units, scale: float) -> None:
    """Scaling paired differences, or turning their sign, leaves p, which is never below 2 of 2^n."""
    plain = paired_shift(differences, alpha=0.1, seed=0)
    for factor in (scale, -scale):
        assert paired_shift(differences * factor, alpha=0.1, seed=0).p == pytest.approx(plain.p)
    assert plain.p >= plain.smallest_p == 2.0 ** (1 - len(differences))


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6, 1e8])
def test_a_large_common_offset_does_not_change_p(offset: float) -> None:
    """Separated units keep p = 2/70 however far from zero they lie: rounding never loses the observed labels."""
    a, b = np.array([5.3, 6.1, 7.7, 8.2]) + offset, np.array([1.1, 2.7, 3.3, 4.9]) + offset
    assert unpaired_shift(a, b, alpha=ALPHA, seed=0).p == pytest.approx(2 / 70)


@pytest.mark.parametrize("few", [[], [1.0]])
def test_fewer_than_two_units_raise(few: list[float]) -> None:
    """One unit has no spread: both tests refuse it, on either side."""
    one, two = np.array(few), np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="at least 2 a side"):
        unpaired_shift(one, two, alpha=ALPHA, seed=0)
    with pytest.raises(ValueError, match="at least 2 a side"):
        unpaired_shift(two, one, alpha=ALPHA, seed=0)
    with pytest.raises(ValueError, match="at least 2 a side"):
        paired_shift(one, alpha=ALPHA, seed=0)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_raise(odd: float) -> None:
    """No p is given on NaN or infinity."""
    with pytest.raises(ValueError, match="no verdict is given on NaN"):
        unpaired_shift(np.array([1.0, 2.0]), np.array([1.0, odd]), alpha=ALPHA, seed=0)
    with pytest.raises(ValueError, match="no verdict is given on NaN"):
        paired_shift(np.array([odd, 1.0, 2.0]), alpha=ALPHA, seed=0)


def test_equal_units_show_no_spread_and_get_no_interval() -> None:
    """Units that are all alike are marked as without spread, and no interval of width 0 is made of them."""
    paired = paired_shift(np.full(8, 0.5), alpha=ALPHA, seed=0)
    assert (paired.spread, paired.interval, paired.p) == (False, None, pytest.approx(2 / 256))
    groups = unpaired_shift(np.full(4, 3.0), np.full(4, 1.0), alpha=ALPHA, seed=0)
    assert (groups.spread, groups.interval) == (False, None)


def test_rounding_is_no_spread_but_a_thousandth_is() -> None:
    """Differences that are equal but for rounding show no spread; differences of a thousandth do."""
    level = np.array([0.3, 0.5, 0.9, 0.7, 0.2, 0.6, 0.41, 0.77])
    differences = level - (level - 0.1)
    assert len(set(differences)) > 1
    shift = paired_shift(differences, alpha=ALPHA, seed=0)
    assert (shift.spread, shift.interval) == (False, None)
    differences[0] += 0.001
    assert paired_shift(differences, alpha=ALPHA, seed=0).spread


def test_one_side_with_spread_is_enough_for_an_interval() -> None:
    """Where one group varies there is something to compare the difference with."""
    shift = unpaired_shift(np.array([5.0, 6, 7, 8]), np.full(4, 1.0), alpha=ALPHA, seed=0)
    assert shift.spread
    assert shift.interval is not None


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_holds_zero_exactly_where_p_is_not_below_alpha(seed: int) -> None:
    """A p that equals alpha is not below it, and the interval holds zero; at a hair more it does not."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1.5, 1, 5), rng.normal(0, 1, 6)
    p = unpaired_shift(a, b, alpha=ALPHA, seed=0).p
    at = p * (1 - 1e-12)  # the mirror rounds otherwise
    for shift in (unpaired_shift(a, b, alpha=at, seed=0), unpaired_shift(b, a, alpha=at, seed=0)):
        assert shift.interval is not None
        assert shift.interval[0] <= 0 <= shift.interval[1]
    higher, lower = (unpaired_shift(*groups, alpha=p + 1e-9, seed=0) for groups in ((a, b), (b, a)))
    assert higher.interval is not None
    assert lower.interval is not None
    assert (higher.interval[0] > 0) == (higher.estimate > 0) == (lower.interval[1] < 0) == (lower.estimate < 0)
    pairs = paired_shift(b, alpha=ALPHA, seed=0).p
    at, above = paired_shift(b, alpha=pairs, seed=0).interval, paired_shift(b, alpha=pairs + 1e-9, seed=0).interval
    assert at is not None
    assert above is not None
    assert at[0] <= 0 <= at[1]
    assert not above[0] <= 0 <= above[1]


def test_units_whose_smallest_p_is_alpha_have_no_interval() -> None:
    """Six pairs reach 2/64 at best, which is not below 2/64; a little more than that they can go below."""
    differences = np.array([1.0, 2, 4, 8, 16, 32])
    assert paired_shift(differences, alpha=2 / 64, seed=0).interval is None
    assert paired_shift(differences, alpha=2 / 63, seed=0).interval == pytest.approx((1.0, 32.0))
    a, b = np.array([90.0, 91, 93, 99]), np.array([1.0, 2, 4, 8])
    assert unpaired_shift(a, b, alpha=2 / 70, seed=0).interval is None
    assert unpaired_shift(a, b, alpha=2 / 69, seed=0).interval is not None


def test_where_no_shift_is_rejected_there_is_no_interval() -> None:
    """A share that stays at alpha however far one goes has no end; one that drops far out has."""
    assert invert(lambda _: 0.05, 1.0, 0.05, step=1.0) is None
    assert invert(lambda shift: 0.05 if shift < 3 else 0.01, 1.0, 0.05, step=1.0) is None
    ends = invert(lambda shift: 0.05 if abs(shift - 1) <= 700 else 0.04, 1.0, 0.05, step=1.0)
    assert ends == pytest.approx((-699, 701), rel=1e-7)
    assert invert(lambda shift: 0.06 if abs(shift) < 1e-5 else 0.04, 0.0, 0.05, step=1.0) == pytest.approx(
        (-1e-5, 1e-5)
    )


def test_an_interval_around_an_estimate_of_zero_is_symmetric() -> None:
    """Differences that mirror about zero have an estimate of 0, p = 1 and an interval with 0 in its middle."""
    shift = paired_shift(np.array([-3.0, -2, -1, 1, 2, 3]), alpha=ALPHA, seed=0)
    assert (shift.estimate, shift.p) == (0.0, 1.0)
    assert shift.interval == pytest.approx((-3.0, 3.0))


def test_effects_are_in_standard_deviations_between_units() -> None:
    """(1, 3) deviates by sqrt(2) about 2; groups of variances 2 and 8 pool to 5; without spread it is infinite."""
    paired = paired_shift(np.array([-1.0, -3.0]), alpha=ALPHA, seed=0)
    assert paired.effect == pytest.approx(2 / 2**0.5)
    assert (paired.paired, paired.alpha, paired.noise) == (True, ALPHA, 0.0)
    groups = unpaired_shift(np.array([1.0, 3.0]), np.array([3.0, 7.0]), alpha=0.1, seed=0)
    assert groups.effect == pytest.approx(3 / 5**0.5)
    assert (groups.paired, groups.alpha, groups.noise) == (False, 0.1, 0.0)
    assert paired_shift(np.full(8, 0.5), alpha=ALPHA, seed=0).effect == inf
    assert unpaired_shift(np.full(4, 0.5), np.full(4, 0.1), alpha=ALPHA, seed=0).effect == inf


def test_units_needed_are_those_of_the_t_test_at_this_effect() -> None:
    """An effect of 1 is seen by 17 units a side (statsmodels), one of 0.5 by 34 pairs; none are named for no effect."""
    one = np.array([-1.0, -1, 1, 1]) * 0.75**0.5
    groups = unpaired_shift(one + 1, one, alpha=ALPHA, seed=0)
    pairs = paired_shift(one - 0.5, alpha=ALPHA, seed=0)
    assert groups.effect == pytest.approx(1.0)
    assert pairs.effect == pytest.approx(0.5)
    assert groups.needed == ceil(TTestIndPower().solve_power(effect_size=1.0, alpha=ALPHA, power=0.8)) == 17
    assert pairs.needed == ceil(TTestPower().solve_power(effect_size=0.5, alpha=ALPHA, power=0.8)) == 34
    assert paired_shift(np.array([-1.0, 1.0]), alpha=ALPHA, seed=0).needed is None
    assert paired_shift(np.array([0.0, 0.0]), alpha=ALPHA, seed=0).needed is None
    assert paired_shift(np.array([-1.0, 1.0001]), alpha=ALPHA, seed=0).needed is None


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 4), (6, 5)])
def test_intervals_cover_the_true_shift_as_often_as_they_say(n_a: int, n_b: int) -> None:
    """Of 300 intervals at 90 % over units from a skewed distribution at least 90 % hold the shift, within chance."""
    rng = np.random.default_rng(n_a)
    held = 0
    for _ in range(300):
        interval = unpaired_shift(rng.exponential(1, n_a) + 3, rng.exponential(1, n_b), alpha=0.1, seed=0).interval
        assert interval is not None
        held += interval[0] <= 3 <= interval[1]
    assert held >= binom.ppf(0.001, 300, 0.9)


def test_rounding_in_one_group_is_no_spread_beside_the_size_of_the_other() -> None:
    """0.1 + 0.2 and 0.3 differ in their last bit, which is nothing beside units of 20."""
    tiny = np.array([0.0, 1e-14, 0.0, 2e-14])
    assert not unpaired_shift(tiny, np.full(4, 20.0), alpha=0.05, seed=0).spread
    assert not unpaired_shift(np.full(4, 20.0), tiny, alpha=0.05, seed=0).spread
    assert unpaired_shift(tiny, np.zeros(4), alpha=0.05, seed=0).spread


def test_rounding_of_large_values_is_no_spread_of_their_differences() -> None:
    """Differences of 1e-14 between values of 20 are what floating point leaves."""
    differences = np.array([1e-14, 2e-14, 3e-14, 1e-14])
    assert not paired_shift(differences, alpha=0.05, seed=0, scale=20.0).spread
    assert paired_shift(differences, alpha=0.05, seed=0).spread


def test_a_range_too_small_for_a_variance_is_no_spread() -> None:
    """The square of 1e-317 is 0, by which nothing can be divided."""
    shift = paired_shift(np.array([0.0, 0.0, 0.0, 1e-317]), alpha=0.05, seed=0)
    assert not shift.spread
    assert shift.effect == float("inf")


@pytest.mark.parametrize(("last", "warned"), [(-2.0, True), (4.0, False), (1.7, False)])
def test_differences_with_a_tail_on_the_other_side_are_warned_of(*, last: float, warned: bool) -> None:
    """Seven differences about 1 and one far on the other side of zero; far beyond them it is no reason to doubt."""
    units = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, last])
    for side in (1, -1):
        found = paired_shift(side * units, alpha=ALPHA, seed=0)
        assert ("longer tail on the other side" in found.warning) == warned
    assert not paired_shift(np.full(8, 1.0), alpha=ALPHA, seed=0).warning


def test_the_skewness_of_units_is_that_of_scipy() -> None:
    """And so is its sign beside that of their mean; units that hardly vary have one too."""
    units = np.array([1.0, 2, 3, 10])
    for scale in (1.0, 1e-140):
        assert skewness(scale * units) == pytest.approx(skew(units))
    assert (skews(units), skews(units - 20), skews(20 - units)) == (False, True, True)
