"""Bootstrap intervals, permutations of any statistic, false discoveries and shuffled labels, beside scipy's."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, kendalltau, kstest, spearmanr
from statsmodels.stats.multitest import multipletests

from saeprobe.statistics import q_values
from saeprobe.statistics.intervals import RESAMPLES, bca_interval
from saeprobe.statistics.permutation import EXACT_LIMIT, ROUNDS, permutation_p
from saeprobe.statistics.shifts import _dealt, paired_shift, paired_shuffled_ps, shuffled_ps, unpaired_shift

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


def test_fewer_than_two_units_have_no_bootstrap_interval_and_no_permutation() -> None:
    """One unit has no spread and one order."""
    with pytest.raises(ValueError, match="1 unit of replication; an interval needs at least 2"):
        bca_interval(1, lambda _: 1.0, level=0.95, seed=0)
    with pytest.raises(ValueError, match="1 unit of replication; a permutation needs at least 2"):
        permutation_p(lambda _: 1.0, 1, alpha=0.05, seed=0)


def tau(order: np.ndarray) -> float:
    """Kendall's tau between X and the permuted Y, of as many units as the order has."""
    x, y = X[: len(order)], Y[order]
    return float(np.sign(np.subtract.outer(x, x) * np.subtract.outer(y, y)).sum() / (len(x) * (len(x) - 1)))


def stays_in_front(order: np.ndarray) -> float:
    """1 where the first unit stays or goes to the second place, as in 1 of 4 orders of 8 units, else 0."""
    return float(order[0] in (0, 1))


@pytest.mark.parametrize("units", [3, 5, 7])
def test_few_units_are_put_in_every_order(units: int) -> None:
    """The exact p of Kendall's tau is scipy's, on one side and, by its size, on both."""
    for statistic, alternative in ((tau, "greater"), (lambda order: abs(tau(order)), "two-sided")):
        expected = kendalltau(X[:units], Y[:units], alternative=alternative, method="exact").pvalue
        p, test, seed = permutation_p(statistic, units, alpha=0.05, seed=4)
        assert p == pytest.approx(expected)
        count = len(list(permutations(range(units))))
        assert (test, seed) == (f"exact permutation of {units} units (all {count:,})", None)


def test_more_units_are_put_in_drawn_orders() -> None:
    """8 units have 40,320 orders, more than 20,000: 9,999 are drawn, and p is scipy's within chance."""
    assert EXACT_LIMIT == 20_000

    def rank(order: np.ndarray) -> float:
        return float(X[:8].argsort().argsort() @ Y[:8].argsort().argsort()[order])

    p, test, seed = permutation_p(rank, 8, alpha=1e-6, seed=7)
    expected = spearmanr(X[:8], Y[:8], alternative="greater").pvalue
    assert (test, seed) == (f"sampled permutation of 8 units ({ROUNDS:,} drawn)", 7)
    assert p == pytest.approx(expected, abs=0.02)
    assert p == permutation_p(rank, 8, alpha=1e-6, seed=7)[0] != permutation_p(rank, 8, alpha=1e-6, seed=8)[0]


def in_turn(values: list[float]) -> tuple[list[float], object]:
    """A statistic that gives 1 as observed and then these in turn, again and again."""
    asked: list[float] = []

    def statistic(order: np.ndarray) -> float:
        del order
        asked.append(1.0 if not asked else values[(len(asked) - 1) % len(values)])
        return asked[-1]

    return asked, statistic


def test_drawn_orders_that_reach_the_observed_one_count() -> None:
    """Of 100 draws every second reaches it, ties included: p is (50 + 1) / 101; none leaves 1 / 101, never 0."""
    for values, p in (([1.0, 0.5], 51 / 101), ([0.5], 1 / 101), ([1 - 1e-13, 1 - 1e-9], 51 / 101)):
        asked, statistic = in_turn(values)
        found = permutation_p(statistic, 30, alpha=0.3, seed=1, rounds=100)
        assert found == (p, "sampled permutation of 30 units (100 drawn)", 1)
        assert len(asked) == 101


def test_two_units_have_two_orders() -> None:
    """One of them leaves the first in front."""
    assert permutation_p(stays_in_front, 2, alpha=0.05, seed=0)[0] == 1.0
    first = permutation_p(lambda order: float(order[0] == 0), 2, alpha=0.05, seed=0)
    assert first == (0.5, "exact permutation of 2 units (all 2)", None)


@pytest.mark.parametrize(("observed", "misses"), [(1e6, 1e-7), (-1e6, 1e-7), (1e-3, 1e-13), (1.0, 5e-13)])
def test_an_order_that_misses_by_rounding_reaches_the_observed_one(observed: float, misses: float) -> None:
    """By less than a billionth of a thousandth of it, or of 1."""

    def statistic(order: np.ndarray) -> float:
        return observed if order[0] == 0 else observed - misses if order[0] == 1 else observed - 20 * misses

    assert permutation_p(statistic, 4, alpha=0.05, seed=0)[0] == 0.5


def test_a_side_that_is_not_asked_for_does_not_count() -> None:
    """An order that reaches minus the observed statistic lies on the other side."""
    _, statistic = in_turn([-1.0, 0.0])
    assert permutation_p(statistic, 30, alpha=0.2, seed=1, rounds=100)[0] == 1 / 101


def test_an_order_on_which_the_statistic_is_undefined_counts_against_the_finding() -> None:
    """NaN is neither above nor below: it is taken as reaching the observed one."""
    _, statistic = in_turn([float("nan"), 0.0])
    assert permutation_p(statistic, 30, alpha=0.2, seed=1, rounds=100)[0] == 51 / 101
    with pytest.raises(
        ValueError, match=r"^the statistic is not a finite number as observed; no verdict is given on NaN$"
    ):
        permutation_p(lambda _: float("nan"), 5, alpha=0.05, seed=0)


def test_a_drawn_p_near_alpha_is_drawn_again_and_then_given_by_its_upper_end() -> None:
    """Half of 100 draws do not tell p from 0.5, nor from 0.45; half of 1,009 tell it from 0.4, but not from 0.5."""
    _, statistic = in_turn([1.0, 0.5])
    found = permutation_p(statistic, 30, alpha=0.4, seed=1, rounds=100)
    assert found[0] == pytest.approx(505 / 1010, abs=0.001)
    assert found[1:] == ("sampled permutation of 30 units (1,009 drawn)", 1)
    _, statistic = in_turn([1.0, 0.5])
    p, test, _ = permutation_p(statistic, 30, alpha=0.5, seed=1, rounds=100)
    assert p == pytest.approx(binomtest(504, 1009).proportion_ci(0.999).high, abs=0.001)
    assert test == (
        "sampled permutation of 30 units (1,009 drawn; p is too close to 0.5 to tell, and the upper end of its 99.9% "
        "interval is given)"
    )


def test_seeds_agree_on_an_order_that_is_close_to_alpha() -> None:
    """What is drawn further is the same for every seed."""
    drawn = [permutation_p(stays_in_front, 8, alpha=0.25, seed=seed, rounds=99) for seed in range(4)]
    close = "p is too close to 0.25 to tell, and the upper end of its 99.9% interval is given"
    assert {test for _, test, _ in drawn} == {f"sampled permutation of 8 units (999 drawn; {close})"}
    assert len({p for p, _, _ in drawn}) == 1
    assert [seed for _, _, seed in drawn] == [0, 1, 2, 3]


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


def test_shuffled_labels_hold_half_of_either_side() -> None:
    """Of 2 + 2 units 0, 0 and 1, 1 every made-up side holds a 0 and a 1: nothing lies between them, and p is 1."""
    assert shuffled_ps(np.zeros(2), np.ones(2), rounds=20, seed=0).tolist() == [1.0] * 20
    assert set(shuffled_ps(np.zeros(3), np.ones(3), rounds=40, seed=0)) == {1.0}


def test_made_up_sides_of_unequal_groups_are_halves_of_each() -> None:
    """Of 2 zeros and 4 others a made-up side holds 1 and 2: 0, 1, 2 against 0, 3, 4, say."""
    a, b = np.zeros(2), np.array([1.0, 2, 4, 8])
    deals = {
        round(unpaired_shift(np.array([0, *pair]), np.array([0, *(b[~np.isin(b, pair)])]), alpha=0.05, seed=0).p, 9)
        for pair in ((1.0, 2.0), (1.0, 4.0), (1.0, 8.0))
    }
    assert set(shuffled_ps(a, b, rounds=60, seed=0).round(9)) == deals
    assert set(shuffled_ps(b, a, rounds=60, seed=0).round(9)) == deals


def test_a_made_up_side_takes_one_more_of_either_side_where_both_are_odd() -> None:
    """Of 3 zeros and 1, 2, 4 one side takes 0, 0 and one of the others, and the other side what is left."""
    a, b = np.zeros(3), np.array([1.0, 2, 4])
    deals = {
        round(unpaired_shift(np.array([0, 0, one]), np.array([0, *(b[b != one])]), alpha=0.05, seed=0).p, 9)
        for one in b
    }
    assert set(shuffled_ps(a, b, rounds=60, seed=0).round(9)) == deals
    assert set(shuffled_ps(b, a, rounds=60, seed=0).round(9)) == deals


def test_made_up_sides_of_unequal_size_reach_a_single_relabeling() -> None:
    """Of 0, 5 and 10, 1, 1 the side 5 + 10 alone lies farthest from the rest: 1 of 10; where only b is odd, too."""
    a, b = np.array([0.0, 5]), np.array([10.0, 1, 1])
    ps = set(shuffled_ps(a, b, rounds=60, seed=0).round(9))
    assert min(ps) == 0.1
    assert ps == {
        round(unpaired_shift(np.array([one, two]), np.array([5 - one, *rest]), alpha=0.05, seed=0).p, 9)
        for one in a
        for two, rest in ((10.0, (1.0, 1.0)), (1.0, (10.0, 1.0)))
    }


def test_drawn_deals_have_the_size_asked_for() -> None:
    """Every row chooses 9 of 18 units, and every unit about as often."""
    dealt = _dealt(18, 9, np.random.default_rng(0))
    assert dealt.shape == (19_999, 18)
    assert set(dealt.sum(axis=1)) == {9.0}
    assert dealt.mean(axis=0) == pytest.approx(np.full(18, 0.5), abs=0.02)


def test_ties_between_shuffles_are_told_in_spite_of_rounding() -> None:
    """0.1 + 0.2 ties with 0.3 + 0 however it is rounded, also about a large level."""
    for level in (0.0, 1e6):
        a, b = np.array([0.1, 0.3]) + level, np.array([0.2, 0.0]) + level
        assert set(shuffled_ps(a, b, rounds=30, seed=0).round(9)) == {round(2 / 6, 9), 1.0}
    assert set(paired_shuffled_ps(np.array([0.1, 0.2, 0.3, 0.4]), rounds=60, seed=0).round(9)) == {
        round(each, 9)
        for each in (
            paired_shift(np.array([0.1, 0.2, -0.3, -0.4]), alpha=0.05, seed=0).p,
            paired_shift(np.array([0.1, -0.2, 0.3, -0.4]), alpha=0.05, seed=0).p,
            paired_shift(np.array([0.1, -0.2, -0.3, 0.4]), alpha=0.05, seed=0).p,
        )
    }


def test_shuffled_p_values_are_those_of_the_test_between_the_made_up_sides() -> None:
    """Every p of 200 shuffles of 4 + 4 units is that of one of the 36 balanced deals, and nearly all of those occur."""
    a, b = X[:4] + 3, Y[:4]
    deals = {
        round(
            unpaired_shift(
                np.concatenate([a[list(one)], b[list(two)]]),
                np.concatenate([np.delete(a, one), np.delete(b, two)]),
                alpha=0.05,
                seed=0,
            ).p,
            9,
        )
        for one in ((0, 1), (0, 2), (0, 3))
        for two in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    }
    assert set(shuffled_ps(a, b, rounds=200, seed=0).round(9)) == deals


def test_shuffled_differences_have_half_of_their_signs_turned() -> None:
    """Of 4 equal differences two are turned, and p is 1; of 3 one or two are, and p is 1 too."""
    assert set(paired_shuffled_ps(np.ones(4), rounds=20, seed=0)) == {1.0}
    assert set(paired_shuffled_ps(np.ones(3), rounds=20, seed=0)) == {1.0}
    differences = np.array([1.0, 2, 4, 8])
    expected = {
        paired_shift(differences * signs, alpha=0.05, seed=0).p
        for signs in ((1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1))
    }
    assert set(paired_shuffled_ps(differences, rounds=60, seed=0)) == expected


def test_shuffled_labels_of_many_units_are_ranked_among_drawn_ones() -> None:
    """Where the relabelings are too many to list their p values still spread evenly, and none is 0."""
    many = shuffled_ps(rng.normal(size=15), rng.normal(size=15), rounds=400, seed=1)
    assert kstest(many, "uniform").pvalue > 0.001
    signs = paired_shuffled_ps(rng.normal(size=30), rounds=400, seed=1)
    assert kstest(signs, "uniform").pvalue > 0.001
    assert min(many.min(), signs.min()) > 0


@pytest.mark.parametrize(("count", "of"), [(14, 2**14), (15, 19_999)])
def test_signs_are_listed_up_to_fourteen(count: int, of: int) -> None:
    """2^14 = 16,384 are gone through; of 2^15 = 32,768 as many are drawn as in any test."""
    ps = paired_shuffled_ps(np.arange(count) ** 1.5 + 1, rounds=50, seed=0)
    assert ps * of == pytest.approx((ps * of).round(), abs=1e-6)
    assert len(set(ps)) > 10


@pytest.mark.parametrize(("count", "of"), [(8, 12_870), (9, 19_999)])
def test_relabelings_are_listed_up_to_eight_a_side(count: int, of: int) -> None:
    """C(16, 8) = 12,870 are gone through; of C(18, 9) = 48,620 as many are drawn as in any test."""
    values = np.arange(2 * count) ** 1.5
    ps = shuffled_ps(values[::2], values[1::2], rounds=50, seed=0)
    assert ps * of == pytest.approx((ps * of).round(), abs=1e-6)
    assert len(set(ps)) > 10


def test_shuffles_follow_the_seed() -> None:
    """The same seed shuffles alike."""
    for one, again, other in (
        [shuffled_ps(X[:6], Y[:6], rounds=30, seed=seed).tolist() for seed in (1, 1, 2)],
        [paired_shuffled_ps(X[:9], rounds=30, seed=seed).tolist() for seed in (1, 1, 2)],
    ):
        assert one == again != other
        assert len(one) == 30


def test_too_few_units_are_not_shuffled() -> None:
    """One unit cannot be halved."""
    with pytest.raises(ValueError, match="at least 2 a side"):
        shuffled_ps(np.ones(1), np.ones(2), rounds=5, seed=0)
    with pytest.raises(ValueError, match="at least 2 a side"):
        shuffled_ps(np.ones(2), np.ones(1), rounds=5, seed=0)
    with pytest.raises(ValueError, match="at least 2 a side"):
        paired_shuffled_ps(np.ones(1), rounds=5, seed=0)
