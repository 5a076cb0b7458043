"""The statistics to the last digit: what is drawn by a seed, jackknifed slopes, and the edges of the tests."""

from __future__ import annotations

import numpy as np
import pytest

from saeprobe.evidence.controls.adjusting import slope_error
from saeprobe.statistics.intervals import rate_interval
from saeprobe.statistics.permutation import CHUNK, Statistics, Units, drawing_rule, permutation_p, sampled
from saeprobe.statistics.shifts import SMALLEST, check, crossed_shift, invert, paired_shift, unpaired_shift, varies

ALPHA = 0.05
DRAWS = 19_999
SEEDS = range(6)
TURNS = np.array([1.0, -1, 2, -2, 3, -3, 4, -4])
GROUPS = ("g", "g", "g", "g", "h", "h", "h", "i", "i", "i")
CLUSTERS = ("a", "a", "b", "c", "a", "b", "b", "b", "c", "d")
"""Without `b`, one prompt of `h` is left, and without `a` two."""
LENGTHS = np.array([3.0, 7, 4, 12, 5, 9, 6, 2, 8, 11])
VALUES = np.array([10.0, 14, 9, 25, 100, 109, 104, -4, 1, 9])


def units(count: int, seed: int, above: float = 0.0) -> Units:
    """Made-up means of units, too many to count their relabelings."""
    return np.random.default_rng(seed).normal(above, 1.0, count)


def slope_by_hand(keep: np.ndarray) -> float:
    """The slope of a least-squares fit that gives each group a level of its own."""
    groups = np.array(GROUPS)[keep]
    levels = [(groups == group).astype(float) for group in np.unique(groups)]
    return float(np.linalg.lstsq(np.column_stack([LENGTHS[keep], *levels]), VALUES[keep], rcond=None)[0][0])


def error_by_hand() -> float:
    """The jackknife: root of (n - 1) / n times the squares of the slopes about their mean."""
    clusters = np.array(CLUSTERS)
    slopes = np.array([slope_by_hand(clusters != cluster) for cluster in np.unique(clusters)])
    return float(np.sqrt((len(slopes) - 1) / len(slopes) * ((slopes - slopes.mean()) ** 2).sum()))


def test_the_error_of_a_slope_is_that_of_fits_without_one_cluster_each() -> None:
    assert slope_error(VALUES, LENGTHS, GROUPS, CLUSTERS) == pytest.approx(error_by_hand(), rel=1e-9)


@pytest.mark.parametrize(("values", "lengths"), [(0.0, 2.0**22), (2.0**50, 0.0)], ids=["lengths", "values"])
def test_a_high_level_of_all_prompts_leaves_the_error_of_a_slope(values: float, lengths: float) -> None:
    """Lengths a million tokens up vary as much as before, and so do values."""
    found = slope_error(VALUES + values, LENGTHS / 4 + lengths, GROUPS, CLUSTERS)
    assert found == pytest.approx(4 * error_by_hand(), rel=1e-6)


def test_the_unit_of_lengths_does_not_make_a_slope_hang_on_a_cluster() -> None:
    assert slope_error(VALUES, LENGTHS * 1e-6, GROUPS, CLUSTERS) == pytest.approx(1e6 * error_by_hand(), rel=1e-6)


def test_lengths_that_are_all_alike_have_no_slope_to_err() -> None:
    assert slope_error(VALUES, np.full(10, 7.0), GROUPS, CLUSTERS) is None


def drawn_sides(rng: np.random.Generator, a: Units, b: Units) -> Statistics:
    """Differences of means of drawn sides, as the rule of a report says that they are drawn."""
    values = np.concatenate([a, b])
    first = np.argsort(rng.random((DRAWS, len(values)))) < len(a)
    return first @ values / len(a) - ~first @ values / len(b)


def drawn_signs(rng: np.random.Generator, differences: Units) -> Statistics:
    """Means of differences with drawn signs, as the rule says."""
    turned = rng.integers(0, 2, (DRAWS, len(differences)), dtype=bool)
    return np.where(turned, -differences, differences).mean(axis=1)


def p_of(drawn: Statistics, estimate: float) -> float:
    """The p by the rule: the labels as observed are one more."""
    return (1 + int(np.count_nonzero(np.abs(drawn) >= abs(estimate) - 1e-12))) / (1 + len(drawn))


def test_sides_are_drawn_by_the_seed_as_the_rule_tells() -> None:
    a, b = units(25, 1, 0.3), units(25, 2)
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=3)
    assert (shift.p, shift.seed) == (p_of(drawn_sides(np.random.default_rng(3), a, b), a.mean() - b.mean()), 3)


def test_signs_are_drawn_by_the_seed_as_the_rule_tells() -> None:
    differences = units(40, 1, 0.1)
    shift = paired_shift(differences, alpha=ALPHA, seed=3)
    assert (shift.p, shift.seed) == (p_of(drawn_signs(np.random.default_rng(3), differences), differences.mean()), 3)


def test_sides_are_drawn_before_the_signs_that_are_added() -> None:
    a, b, differences = units(5, 1, 0.5), units(6, 2), units(7, 3)
    differences = 0.5 * (differences - differences.mean()) + a.mean() - b.mean()
    shift = crossed_shift(a, b, differences, alpha=1e-9, seed=3)
    rng = np.random.default_rng(3)
    centred = (differences - differences.mean()) * np.sqrt(7 / 6)
    both = drawn_sides(rng, a, b) + drawn_signs(rng, centred)
    assert shift.p == p_of(both, a.mean() - b.mean())
    assert shift.test == (
        "sampled permutation of 5 + 6 units, added to sign flips of 7 centred paired differences (19,999 drawn)"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_topics_nearly_alike_leave_the_test_of_the_templates(seed: int) -> None:
    """They add next to nothing, so that the draws of one seed are those of the templates alone."""
    a, b = units(25, 1, 0.3), units(25, 2)
    alone = unpaired_shift(a, b, alpha=ALPHA, seed=seed)
    topics = a.mean() - b.mean() + 1e-7 * TURNS
    crossed = crossed_shift(a, b, topics, alpha=ALPHA, seed=seed)
    assert (crossed.p, crossed.interval) == (alone.p, pytest.approx(alone.interval, abs=1e-6))
    assert "larger one" not in crossed.test
    pairs = units(40, 1, 0.1)
    alone = paired_shift(pairs, alpha=ALPHA, seed=seed)
    crossed = crossed_shift(pairs, np.zeros(40), pairs.mean() + 1e-7 * TURNS, alpha=ALPHA, seed=seed, paired=True)
    assert (crossed.p, crossed.interval) == (alone.p, pytest.approx(alone.interval, abs=1e-6))
    assert crossed.test == (
        "sampled sign flips of 40 paired differences, added to sign flips of 8 centred paired differences "
        f"({DRAWS:,} drawn)"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_topics_whose_own_p_is_larger_give_it(seed: int) -> None:
    """Of many templates that are all alike, and topics that differ: p is that of the topics, drawn by the seed."""
    a = 0.4 + 1e-3 * units(160, 1)
    differences = units(40, 4, 0.0)
    differences = differences - differences.mean() + a.mean()
    crossed = crossed_shift(a, np.zeros(160), differences, alpha=ALPHA, seed=seed, paired=True)
    topics = paired_shift(differences, alpha=ALPHA, seed=seed)
    assert (crossed.p, crossed.smallest_p) == (topics.p, topics.smallest_p)
    assert crossed.test.endswith(f"; p is the larger one of {topics.test}")


def test_a_difference_below_zero_has_an_interval_too() -> None:
    a, differences = units(8, 1, -0.6), units(8, 3)
    differences = differences - differences.mean() + a.mean()
    found = crossed_shift(a, np.zeros(8), differences, alpha=ALPHA, seed=0, paired=True)
    assert found.interval is not None
    assert found.interval[0] < found.estimate < found.interval[1]
    mirrored = crossed_shift(-a, np.zeros(8), -differences, alpha=ALPHA, seed=0, paired=True)
    assert mirrored.interval == pytest.approx((-found.interval[1], -found.interval[0]), rel=1e-6)


def test_a_rule_tells_of_draws_only_where_there_were_some() -> None:
    assert not drawing_rule(None)
    assert drawing_rule(0).startswith(". What is drawn comes from numpy.random.default_rng(seed), 20,000 at a time")


def uniform(rng: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
    """Draws between 0 and 1, which take up no shift."""
    return rng.random(count), np.zeros(count)


def test_what_is_drawn_anew_is_drawn_by_seed_zero() -> None:
    """At a level that the first draws do not tell from p, whatever their seed."""
    first = p_of(np.random.default_rng(5).random(DRAWS), 0.9)
    again = np.random.default_rng(0)
    drawn = np.concatenate([again.random(min(CHUNK, 199_999 - start)) for start in range(0, 199_999, CHUNK)])
    wanted = p_of(drawn, 0.9)
    low, high = rate_interval(round(first * 20_000) - 1, DRAWS, level=0.999)
    alpha = low + 1e-5 if abs(low - wanted) > abs(high - wanted) else high - 1e-5  # the end that p then leaves
    found = sampled(uniform, 0.9, (np.ones(2),), alpha=alpha, seed=5)
    assert (found.share(0.0), found.note) == (wanted, "199,999 drawn")


def test_a_p_too_close_is_the_upper_end_of_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saeprobe.statistics.permutation.MOST_DRAWN", DRAWS)
    p = p_of(np.random.default_rng(5).random(DRAWS), 0.3)
    high = rate_interval(round(p * 20_000) - 1, DRAWS, level=0.999)[1]
    found = sampled(uniform, 0.3, (np.ones(2),), alpha=0.7, seed=5)
    assert found.share(0.0) == pytest.approx(high, abs=1e-9)
    assert found.smallest == pytest.approx(1 / 20_000 + high - p, abs=1e-10)


def test_an_order_drawn_anew_is_drawn_by_seed_zero() -> None:
    """199 orders do not tell their p, about 0.91, from 0.87; 1,999 do."""

    def extent(order: np.ndarray) -> float:
        return float(order[0] or 0.5 * (order[1] == 1))

    found = permutation_p(extent, 10, alpha=0.87, seed=5, rounds=199)
    rng = np.random.default_rng(0)
    reached = sum(extent(rng.permutation(10)) >= 0.5 for _ in range(1_999))
    assert found == ((1 + reached) / 2_000, "sampled permutation of 10 units (1,999 drawn)", 5)


def test_a_mean_that_is_no_number_is_refused_in_these_words() -> None:
    with pytest.raises(ValueError, match=r"^a unit's mean is not a finite number; no verdict is given on NaN$"):
        check(np.array([1.0, np.nan]))


def test_small_numbers_vary_and_the_least_range_does_not() -> None:
    assert varies(np.array([1e-12, 3e-12]))
    assert not varies(np.array([0.0, SMALLEST]))


@pytest.mark.parametrize("step", [0.3, 0.7, 0.9, 1.1])
def test_an_interval_holds_zero_only_where_zero_is_not_rejected(step: float) -> None:
    """However near zero the first shift lies that is not rejected."""
    above = invert(lambda shift: float(1e-12 <= shift <= 2), 1.0, ALPHA, step=step)
    assert above is not None
    assert above[0] >= 0
    holding = invert(lambda shift: float(-1e-12 <= shift <= 2), 1.0, ALPHA, step=step)
    assert holding is not None
    assert holding[0] < 0
