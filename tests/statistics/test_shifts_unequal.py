"""Two groups of unequal number and spread, and groups with pairs, beside scipy's t under every relabeling."""

from __future__ import annotations

import warnings
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

ALPHA = 0.05
whole = st.lists(st.integers(-9, 9), min_size=4, max_size=7).map(lambda values: np.array(values, dtype=np.float64))


def by_hand_p(a: Units, b: Units) -> float:
    """The larger p of Welch's test and of Welch's t under every relabeling in the direction found, twice.

    Of fewer than 80 relabelings only the share of two counts.
    """
    together, chosen = np.concatenate([a, b]), np.array(list(combinations(range(len(a) + len(b)), len(a))))
    others = np.array([np.setdiff1d(np.arange(len(together)), members) for members in chosen])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units that are all alike
        welch = ttest_ind(a, b, equal_var=False)
        found = ttest_ind(together[chosen], together[others], equal_var=False, axis=1).statistic
    found = np.nan_to_num(found, nan=np.inf, posinf=np.inf, neginf=-np.inf) * (1 if welch.statistic >= 0 else -1)
    reached = int((found >= abs(welch.statistic) * (1 - 1e-9)).sum())
    return max(float(np.nan_to_num(welch.pvalue)), min(1.0, 2 * (reached if len(chosen) >= 80 else 1) / len(chosen)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [(4, 4), (4, 5), (6, 5), (4, 9)])
def test_exact_p_is_that_of_scipys_t_under_every_relabeling(seed: int, sizes: tuple[int, int]) -> None:
    """Of groups of equal and of unequal size and spread, and of whole numbers that tie."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0.8, 1, sizes[0]), rng.normal(0, 1 + seed % 3, sizes[1])
    if seed > 3:
        a, b = a.round(), b.round()
    assert unpaired_shift(a, b, alpha=ALPHA, seed=0).p == pytest.approx(by_hand_p(a, b))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [(4, 4), (4, 6)])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_interval_holds_the_shifts_that_are_not_rejected_by_hand(
    seed: int, sizes: tuple[int, int], alpha: float
) -> None:
    """Taking out a shift inside the interval leaves no difference by hand; one just outside leaves one."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(2, 1, sizes[0]), rng.normal(0, 1, sizes[1])
    interval = unpaired_shift(a, b, alpha=alpha, seed=0).interval
    assert interval is not None
    low, high = interval
    width = high - low
    for inside in (low + 1e-6 * width, low + 0.3 * width, high - 0.3 * width, high - 1e-6 * width):
        assert by_hand_p(a - inside, b) >= alpha
    for outside in (low - 0.3 * width, low - 1e-6 * width, high + 1e-6 * width, high + 0.3 * width):
        assert by_hand_p(a - outside, b) < alpha


@settings(max_examples=60, deadline=None)
@given(a=whole, b=whole, offset=st.floats(-1000, 1000))
def test_interval_and_p_never_contradict_each_other(a: Units, b: Units, offset: float) -> None:
    """Whatever the numbers and spreads: zero is held if, and only if, p is not below alpha; the sides may be exchanged.

    Values that are all raised alike leave p.
    """
    shift, mirror = unpaired_shift(a, b, alpha=0.1, seed=0), unpaired_shift(b, a, alpha=0.1, seed=0)
    assert mirror.p == pytest.approx(shift.p)
    assert unpaired_shift(a + offset, b + offset, alpha=0.1, seed=0).p == pytest.approx(shift.p)
    assert not shift.spread or shift.p == pytest.approx(by_hand_p(a, b))
    for one in (shift, mirror):
        if one.interval is not None:
            assert (one.interval[0] <= 0 <= one.interval[1]) == (one.p >= 0.1)
    if shift.interval is not None:
        assert mirror.interval == pytest.approx((-shift.interval[1], -shift.interval[0]), abs=1e-6)


@pytest.mark.parametrize("sizes", [(2, 12), (12, 3), (3, 3)])
def test_fewer_than_four_units_on_a_side_give_no_verdict(sizes: tuple[int, int]) -> None:
    """They say too little of their spread, however far the sides lie apart; 4 + 12 may be enough."""
    a, b = np.arange(sizes[0]) + 1000.0, np.arange(sizes[1]) * 1.0
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=0)
    assert (shift.p, shift.smallest_p, shift.interval) == (1.0, 1.0, None)
    assert shift.rule.startswith("Fewer than 4 units on a side: p = 1. Welch's t test gives p = ")
    assert unpaired_shift(np.arange(4) + 1000.0, np.arange(12) * 1.0, alpha=ALPHA, seed=0).p < ALPHA


def test_the_rule_says_what_was_compared_and_shuffled() -> None:
    """So that p can be had by hand: 4 + 5 units, of which one relabeling of 126 has a t as large."""
    a, b = np.array([90.0, 91, 93, 99]), np.array([1.0, 2, 4, 8, 9])
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=0)
    assert shift.rule == (
        "Welch's t, in the direction found, came out at least as large in 1 of 126 ways (permutation of 4 + 5 units); "
        f"p is twice this share. Welch's t test gives p = "
        f"{ttest_ind(a, b, equal_var=False).pvalue:.3g}, and the larger p counts"
    )
    assert paired_shift(a, alpha=ALPHA, seed=0).rule == (
        "The mean of the differences came out at least as large in 2 of 16 ways (sign flips of 4 paired differences)"
    )


def test_four_units_a_side_are_tested_by_welchs_t_alone() -> None:
    """One of 70 relabelings is all that may be as large at alpha = 5 %: units that overlap could never be told apart.

    However far they lie apart, p stays what 70 relabelings can show; no spread at all gives no certainty either.
    """
    a, b = np.array([5.0, 6, 7, 3.2]), np.array([1.0, 2, 4, 3])
    shift, welch = unpaired_shift(a, b, alpha=ALPHA, seed=0), ttest_ind(a, b, equal_var=False)
    assert (shift.test, shift.seed, shift.smallest_p) == ("Welch's t test of 4 + 4 units", None, 2 / 70)
    assert shift.p == pytest.approx(welch.pvalue)
    assert 2 / 70 < shift.p < ALPHA
    assert shift.interval == pytest.approx(welch.confidence_interval(0.95), rel=1e-6)
    assert shift.rule == (
        f"2 of 70 relabelings are always as large: p = 0.0286. Welch's t test gives p = {welch.pvalue:.3g}, and the "
        "larger p counts"
    )
    assert unpaired_shift(a + 90, b, alpha=ALPHA, seed=0).p == 2 / 70
    assert unpaired_shift(np.ones(4), np.zeros(4), alpha=ALPHA, seed=0).p == 2 / 70


def test_the_test_is_named_by_whose_p_is_larger() -> None:
    """5 + 5 units of unlike spread that just do not overlap: Welch's p is larger than 2/252."""
    a, b = np.array([8.0, 8.1, 8.2, 8.3, 20.0]), np.array([1.0, 2, 3, 4, 7.9])
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=0)
    assert shift.test == "Welch's t test, beside exact permutation of 5 + 5 units (all 252)"
    assert shift.p == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert shift.interval == pytest.approx(ttest_ind(a, b, equal_var=False).confidence_interval(0.95), rel=1e-6)


def test_unequal_spread_is_warned_of() -> None:
    """From more than twice the standard deviation on, on either side, and also where one side has none."""
    one = np.array([0.0, 1, 2, 3])
    for factor, warned in ((1.0, False), (2.0, False), (2.1, True), (0.49, True), (0.0, True)):
        assert bool(unpaired_shift(one + 9, factor * one, alpha=ALPHA, seed=0).warning) == warned
    assert not unpaired_shift(0 * one + 9, 0 * one, alpha=ALPHA, seed=0).warning


def within_pairs_p(a: Units, b: Units, pairs: list[tuple[int, int]]) -> float:
    """Twice the share of relabelings within pairs and among the rest with as large a difference in that direction."""
    rest_a = [place for place in range(len(a)) if place not in [first for first, _ in pairs]]
    rest = [*a[rest_a], *(b[place] for place in range(len(b)) if place not in [second for _, second in pairs])]
    found = []
    for swaps in product((False, True), repeat=len(pairs)):
        of_a = [b[second] if swap else a[first] for swap, (first, second) in zip(swaps, pairs, strict=True)]
        of_b = [a[first] if swap else b[second] for swap, (first, second) in zip(swaps, pairs, strict=True)]
        for chosen in combinations(range(len(rest)), len(rest_a)):
            first = [*of_a, *(rest[place] for place in chosen)]
            second = [*of_b, *(one for place, one in enumerate(rest) if place not in chosen)]
            found.append(np.mean(first) - np.mean(second))
    observed = a.mean() - b.mean()
    return min(1.0, 2 * float(np.mean(np.array(found) * np.sign(observed) >= abs(observed) - 1e-9)))


@pytest.mark.parametrize("seed", range(5))
def test_pairs_change_places_and_the_others_are_dealt_apart(seed: int) -> None:
    """Three pairs, three units without partner a side, and one more of b: 8 x 35 relabelings, gone through by hand."""
    rng = np.random.default_rng(seed)
    a, b, pairs = rng.normal(1.2, 1, 6), rng.normal(0, 1, 7), [(0, 2), (4, 1), (5, 6)]
    shift = unpaired_shift(a, b, alpha=0.2, seed=0, pairs=pairs)
    assert shift.p == pytest.approx(within_pairs_p(a, b, pairs))
    assert shift.test == "exact permutation of 6 + 7 units, within 3 pairs and among the rest (all 280)"
    assert shift.smallest_p == pytest.approx(2 / 280)
    assert shift.interval is not None
    low, high = shift.interval
    for inside in (low + 1e-6, high - 1e-6):
        assert within_pairs_p(a - inside, b, pairs) >= 0.2
    for outside in (low - 1e-6, high + 1e-6):
        assert within_pairs_p(a - outside, b, pairs) < 0.2


def test_units_that_are_all_in_pairs_have_their_signs_flipped() -> None:
    """In whatever order the pairs are named; the estimate stays the difference of the means."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 7), rng.normal(0, 1, 7)
    order = rng.permutation(7)
    shift = unpaired_shift(a, b[order], alpha=ALPHA, seed=0, pairs=[(int(one), at) for at, one in enumerate(order)])
    expected = paired_shift(a - b, alpha=ALPHA, seed=0)
    assert (shift.p, shift.paired, shift.test) == (pytest.approx(expected.p), True, expected.test)
    assert shift.estimate == pytest.approx(a.mean() - b.mean())
    assert shift.interval == pytest.approx(expected.interval)


def test_a_unit_in_two_pairs_is_refused() -> None:
    for pairs in ([(0, 1), (0, 2)], [(1, 0), (2, 0)]):
        with pytest.raises(ValueError, match="a unit is in two of the 2 pairs"):
            unpaired_shift(np.arange(4.0), np.arange(4.0), alpha=ALPHA, seed=0, pairs=pairs)
