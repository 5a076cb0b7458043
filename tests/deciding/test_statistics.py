"""Permutation tests and their intervals, beside scipy's and beside what can be counted by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, permutation_test

from saeprobe.statistics import Units, paired_shift, rate_interval, unpaired_shift, within_slope

ALPHA = 0.05
integers = st.integers(-50, 50)
four_or_five = st.lists(integers, min_size=4, max_size=5).map(lambda values: np.array(values, dtype=np.float64))


def scipy_p(a: Units, b: Units) -> float:
    """Exact two-sided p of a difference of means, by scipy."""
    found = permutation_test(
        (a, b),
        lambda x, y, axis: np.abs(x.mean(axis=axis) - y.mean(axis=axis)),
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    return float(found.pvalue)


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


@pytest.mark.parametrize(("units", "relabelings"), [(4, 70), (6, 924), (8, 12_870)])
def test_fully_separated_units_reach_two_relabelings_of_all(units: int, relabelings: int) -> None:
    """Of all relabelings only the observed one and its mirror are as far apart as fully separated units."""
    a, b = np.arange(units) + 100.0, np.arange(units) * 1.5
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(2 / relabelings)
    assert shift.smallest_p == pytest.approx(2 / relabelings)
    assert shift.test == f"exact permutation of {units} + {units} units"
    assert shift.seed is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (6, 5)])
def test_exact_p_agrees_with_scipy(seed: int, sizes: tuple[int, int]) -> None:
    """The exact p of random units is scipy's, for groups of equal and of unequal size."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0.8, 1, sizes[0]), rng.normal(0, 1, sizes[1])
    assert unpaired_shift(a, b, alpha=ALPHA, seed=0).p == pytest.approx(scipy_p(a, b))


def test_sampled_p_agrees_with_the_exact_one_of_scipy() -> None:
    """Where relabelings are drawn, p lies within four standard errors of the exact p."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.6, 1, 9), rng.normal(0, 1, 9)
    exact = scipy_p(a, b)
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=1)
    assert shift.test == "sampled permutation of 9 + 9 units"
    assert shift.seed == 1
    assert abs(shift.p - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)


def test_a_sampled_p_is_never_zero() -> None:
    """The labels as observed count as one of the 20,000, so that no draw as extreme leaves p at 1/20,000."""
    apart = unpaired_shift(np.arange(15) + 100.0, np.arange(15) * 1.0, alpha=ALPHA, seed=0)
    assert apart.p == apart.smallest_p == 1 / 20_000
    raised = paired_shift(np.arange(40) + 1.0, alpha=ALPHA, seed=0)
    assert raised.p == raised.smallest_p == 1 / 20_000


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [5, 8, 11])
def test_exact_sign_flips_agree_with_scipy(seed: int, count: int) -> None:
    """The exact p of paired differences is scipy's."""
    differences = np.random.default_rng(seed).normal(0.5, 1, count)
    assert paired_shift(differences, alpha=ALPHA, seed=0).p == pytest.approx(scipy_sign_p(differences))


def test_sampled_sign_flips_agree_with_the_exact_ones_of_scipy() -> None:
    """Where signs are drawn, p lies within four standard errors of the exact p."""
    differences = np.random.default_rng(8).normal(0.35, 1, 16)
    exact = scipy_sign_p(differences)
    shift = paired_shift(differences, alpha=ALPHA, seed=1)
    assert shift.test == "sampled sign flips of 16 paired differences"
    assert abs(shift.p - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [(4, 4), (4, 6)])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_interval_holds_the_shifts_that_scipy_does_not_reject(seed: int, sizes: tuple[int, int], alpha: float) -> None:
    """Taking out a shift inside the interval leaves no difference by scipy's p; one just outside leaves one."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(2, 1, sizes[0]), rng.normal(0, 1, sizes[1])
    interval = unpaired_shift(a, b, alpha=alpha, seed=0).interval
    assert interval is not None
    low, high = interval
    width = high - low
    for inside in (low + 1e-6 * width, low + 0.3 * width, high - 0.3 * width, high - 1e-6 * width):
        assert scipy_p(a - inside, b) > alpha
    for outside in (low - 0.3 * width, low - 1e-6 * width, high + 1e-6 * width, high + 0.3 * width):
        assert scipy_p(a - outside, b) <= alpha


@pytest.mark.parametrize("seed", range(4))
def test_interval_of_paired_differences_holds_what_scipy_does_not_reject(seed: int) -> None:
    """The same for sign flips."""
    differences = np.random.default_rng(seed).normal(1, 1, 8)
    interval = paired_shift(differences, alpha=ALPHA, seed=0).interval
    assert interval is not None
    low, high = interval
    width = high - low
    for inside in (low + 1e-6 * width, (low + high) / 2, high - 1e-6 * width):
        assert scipy_sign_p(differences - inside) > ALPHA
    for outside in (low - 1e-6 * width, high + 1e-6 * width):
        assert scipy_sign_p(differences - outside) <= ALPHA


def test_interval_of_six_differences_is_known_by_hand() -> None:
    """With six differences only all-equal signs are rejected at 5 %, so the interval spans smallest to largest."""
    shift = paired_shift(np.array([1.0, 2, 4, 8, 16, 32]), alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(2 / 64)
    assert shift.interval == pytest.approx((1.0, 32.0))


def test_too_few_units_have_no_interval() -> None:
    """3 + 3 units reach p = 0.1 at best and 5 pairs 0.0625, so that no interval exists at 5 %; 6 pairs have one."""
    three = unpaired_shift(np.array([90.0, 91, 93]), np.array([1.0, 2, 4]), alpha=ALPHA, seed=0)
    assert (three.p, three.smallest_p, three.interval) == (pytest.approx(0.1), pytest.approx(0.1), None)
    five = paired_shift(np.array([1.0, 2, 3, 4, 6]), alpha=ALPHA, seed=0)
    assert (five.p, five.smallest_p, five.interval) == (pytest.approx(0.0625), pytest.approx(0.0625), None)
    assert paired_shift(np.array([1.0, 2, 3, 4, 6, 7]), alpha=ALPHA, seed=0).interval is not None


def test_smallest_p_of_unequal_groups_is_one_relabeling() -> None:
    """In unequal groups the mirror of the observed labels is no relabeling: 1 of 126 for 4 + 5 units."""
    shift = unpaired_shift(np.array([90.0, 91, 93, 99]), np.array([1.0, 2, 4, 8, 9]), alpha=ALPHA, seed=0)
    assert shift.p == pytest.approx(1 / 126)
    assert shift.smallest_p == pytest.approx(1 / 126)


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


@pytest.mark.parametrize(("distance", "rejected"), [(3.0, True), (0.1, False)])
def test_the_seed_does_not_change_the_verdict(distance: float, rejected: bool) -> None:  # noqa: FBT001 - a parameter
    """Ten seeds agree on a clear difference and on a clear absence of one, though their p differ."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(distance, 1, 10), rng.normal(0, 1, 10)
    shifts = [unpaired_shift(a, b, alpha=ALPHA, seed=seed) for seed in range(10)]
    assert {shift.p < ALPHA for shift in shifts} == {rejected}
    assert [shift.seed for shift in shifts] == list(range(10))
    assert unpaired_shift(a, b, alpha=ALPHA, seed=3) == shifts[3]


def test_units_needed_are_the_normal_approximation() -> None:
    """(1.960 + 0.842)^2 = 7.849; times 2 / 2^2 is 3.9, times (2 + 2) / 3^2 is 3.5: four units; none for no effect."""
    assert paired_shift(np.array([1.0, 3.0]), alpha=ALPHA, seed=0).needed == 4
    assert unpaired_shift(np.array([4.0, 6.0]), np.array([1.0, 3.0]), alpha=ALPHA, seed=0).needed == 4
    assert paired_shift(np.array([-1.0, 1.0]), alpha=ALPHA, seed=0).needed is None


def test_rate_intervals_are_those_of_the_closed_form() -> None:
    """50 of 50 supports at least 0.025^(1/50) = 92.9 %, 0 of 50 at most 7.1 %; 7 of 10 gives the beta quantiles."""
    assert rate_interval(50, 50, level=0.95) == (pytest.approx(0.025 ** (1 / 50)), 1.0)
    assert round(0.025 ** (1 / 50), 3) == 0.929
    assert rate_interval(0, 50, level=0.95) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50)))
    expected = (beta.ppf(0.025, 7, 4), beta.ppf(0.975, 8, 3))
    assert rate_interval(7, 10, level=0.95) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), groups=st.integers(1, 4), slope=st.floats(-2, 2))
def test_within_slope_is_least_squares_with_a_level_for_each_group(seed: int, groups: int, slope: float) -> None:
    """The pooled slope is that of numpy's least squares on the length and one dummy a group."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(groups), 5)
    lengths = rng.integers(5, 60, len(of)).astype(np.float64) + 100 * of
    lengths[:2] = 5.0, 6.0
    values = slope * lengths + 30 * rng.normal(size=groups)[of] + rng.normal(size=len(of))
    design = np.column_stack([lengths, *(of == group for group in range(groups))])
    expected = np.linalg.lstsq(design, values, rcond=None)[0][0]
    found = within_slope(values, lengths, tuple(f"style {group}" for group in of))
    assert found == pytest.approx(expected, abs=1e-7)


def test_within_slope_needs_lengths_that_vary_within_a_group() -> None:
    """Lengths that differ between groups only give no slope; one group in which they vary gives one."""
    values, lengths = np.array([1.0, 2, 5, 9]), np.array([10.0, 10, 20, 20])
    groups = ("novice", "novice", "expert", "expert")
    assert within_slope(values, lengths, groups) is None
    assert within_slope(values, np.array([10.0, 10, 20, 22]), groups) == pytest.approx(2.0)
