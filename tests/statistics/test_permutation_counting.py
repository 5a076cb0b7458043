"""Counting relabelings by meeting in the middle, beside going through them one by one."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.statistics.intervals import HALF_LIMIT, flips_countable, permutations_countable
from saeprobe.statistics.permutation import Units, flip_share, permutation_share, tolerance
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

few = st.integers(-6, 6) | st.sampled_from([0.1, 0.3, -0.7])


def units(least: int, most: int) -> st.SearchStrategy[Units]:
    """Units whose values often tie."""
    return st.lists(few, min_size=least, max_size=most).map(lambda values: np.array(values, dtype=np.float64))


def one_by_one(a: Units, b: Units) -> float:
    """Share of relabelings whose difference of means is at least as far from zero, found by trying each."""
    together = np.concatenate([a, b])
    observed = abs(a.mean() - b.mean())
    reached = [
        abs(together[list(chosen)].mean() - np.delete(together, list(chosen)).mean()) >= observed - 1e-9
        for chosen in combinations(range(len(together)), len(a))
    ]
    return sum(reached) / len(reached)


def signs_one_by_one(differences: Units) -> float:
    """The same of the ways to set the signs of differences."""
    observed = abs(differences.mean())
    reached = [
        abs((differences * signs).mean()) >= observed - 1e-9 for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(reached) / len(reached)


@settings(max_examples=150, deadline=None)
@given(together=units(2, 10), shift=few)
def test_counted_permutations_are_those_gone_through_one_by_one(together: Units, shift: float) -> None:
    """Groups of equal size, with and without ties, once any shift is taken out of the first."""
    a, b = np.split(together[: len(together) // 2 * 2], 2)
    assert permutation_share(a, b)(shift) == pytest.approx(one_by_one(a - shift, b), abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(differences=units(1, 9), shift=few)
def test_counted_sign_flips_are_those_gone_through_one_by_one(differences: Units, shift: float) -> None:
    """Even and odd numbers of differences, with and without ties, once any shift is taken out."""
    assert flip_share(differences)(shift) == pytest.approx(signs_one_by_one(differences - shift), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(together=units(4, 10), start=st.floats(0, 5), further=st.floats(0, 5), side=st.sampled_from([-1, 1]))
def test_p_never_rises_with_the_distance_from_the_observed_difference(
    together: Units, start: float, further: float, side: int
) -> None:
    """So that the shifts that are not rejected form an interval."""
    a, b = np.split(together[: len(together) // 2 * 2], 2)
    difference = float(a.mean() - b.mean())
    for share, observed in ((permutation_share(a, b), difference), (flip_share(a), float(a.mean()))):
        near, far = share(observed + side * start), share(observed + side * (start + further))
        assert far <= near


def test_tied_units_count_as_reaching_the_observed_difference() -> None:
    """Of the 70 ways to deal six 0 and two 1 four by four, the 15 + 15 with both ones on one side reach 1/2."""
    assert permutation_share(np.array([0.0, 0, 1, 1]), np.array([0.0, 0, 0, 0]))(0.0) == 30 / 70


def test_ties_are_told_in_spite_of_rounding() -> None:
    """0.1 + 0.2 is not 0.3 in floating point, yet (0.1, 0.2) against (0.3, 0) ties in every sum that it should."""
    assert 0.1 + 0.2 != 0.3
    a, b = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.0, 0.7])
    assert permutation_share(a, b)(0.0) == 1.0
    assert flip_share(np.array([0.1, 0.2, -0.3]))(0.0) == 1.0
    assert permutation_share(a * 1e9, b * 1e9)(0.0) == 1.0
    assert flip_share(np.array([0.1, 0.2, -0.3]) * 1e9)(0.0) == 1.0


def test_what_is_within_rounding_grows_with_the_values_but_not_below_one() -> None:
    """A billionth of a thousandth of the largest value on any side, of 1 at least."""
    assert tolerance(np.array([0.1, -0.5])) == 1e-12
    assert tolerance(np.array([0.1]), np.array([-2000.0, 3.0])) == pytest.approx(2e-9, rel=1e-12)


def test_differences_as_large_as_rounding_are_none() -> None:
    """Units that differ in the thirteenth decimal are not told apart; in the ninth they are."""
    level = np.array([0.5, 0.5, 0.5, 0.5])
    assert unpaired_shift(level + 1e-13, level, alpha=0.05, seed=0).p == 1.0
    assert unpaired_shift(level + 1e-9, level, alpha=0.05, seed=0).p == 2 / 70


def test_twelve_and_sixteen_units_a_side_are_counted_exactly() -> None:
    """Fully separated, only the labels as observed and their mirror reach: 2 of 2,704,156 and of 601,080,390."""
    for count, relabelings in ((12, 2_704_156), (16, 601_080_390)):
        shift = unpaired_shift(np.arange(count) + 100.0, np.arange(count) * 1.5, alpha=0.05, seed=5)
        assert shift.p == shift.smallest_p == 2 / relabelings
        assert shift.test == f"exact permutation of {count} + {count} units (all {relabelings:,})"
        assert shift.seed is None


def test_thirty_pairs_are_counted_exactly() -> None:
    """Of all signs of 1 ... 30, whose sum is 465, two reach 465, four reach 463 and six reach 461."""
    differences = np.arange(30) + 1.0
    for turned, reached in ((None, 2), (0, 4), (1, 6)):
        signs = np.ones(30)
        if turned is not None:
            signs[turned] = -1
        shift = paired_shift(differences * signs, alpha=0.05, seed=0)
        assert shift.p == reached / 2**30
    assert shift.test == "exact sign flips of 30 paired differences (all 1,073,741,824)"


@pytest.mark.parametrize(
    ("n_a", "n_b", "countable"), [(18, 18, True), (19, 19, False), (18, 19, False), (3, 100, True), (4, 100, False)]
)
def test_permutations_are_counted_up_to_so_many_subsets_of_a_side(n_a: int, n_b: int, *, countable: bool) -> None:
    """18 units have 2^18 subsets; 100 have 166,751 of up to 3 units and 4 million of 4; the sides may be exchanged."""
    assert HALF_LIMIT == 2**18
    assert permutations_countable(n_a, n_b) == permutations_countable(n_b, n_a) == countable


@pytest.mark.parametrize(("count", "countable"), [(35, True), (36, True), (37, False)])
def test_signs_are_counted_up_to_36(count: int, *, countable: bool) -> None:
    """Each half of 36 has 2^18 subsets; the larger half of 37 has twice as many."""
    assert flips_countable(count) == countable
