"""The statistics to the last digit: what is drawn by a seed, and the edges of the tests."""

from __future__ import annotations

import numpy as np
import pytest

from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import SMALLEST, check, crossed_shift, invert, paired_shift, unpaired_shift, varies

ALPHA = 0.05
DRAWS = 19_999
SEEDS = range(6)
TURNS = np.array([1.0, -1, 2, -2, 3, -3, 4, -4])


def units(count: int, seed: int, above: float = 0.0) -> Units:
    """Made-up means of units, too many to count their relabelings."""
    return np.random.default_rng(seed).normal(above, 1.0, count)


@pytest.mark.parametrize("seed", SEEDS)
def test_topics_nearly_alike_leave_the_test_of_the_templates(seed: int) -> None:
    """They add next to nothing: p and interval are those of the templates alone, but for the draws."""
    a, b = units(25, 1, 0.3), units(25, 2)
    alone = unpaired_shift(a, b, alpha=ALPHA, seed=seed)
    crossed = crossed_shift(a, b, a.mean() - b.mean() + 1e-7 * TURNS, alpha=ALPHA, seed=seed)
    assert crossed.p == pytest.approx(alone.p, abs=0.02)
    assert crossed.interval == pytest.approx(alone.interval, abs=0.05)
    few = units(6, 1, 0.6)
    crossed = crossed_shift(few, np.zeros(6), few.mean() + 1e-7 * TURNS, alpha=ALPHA, seed=seed, paired=True)
    assert crossed.p == paired_shift(few, alpha=ALPHA, seed=seed).p
    assert crossed.test.startswith(
        "exact sign flips of 6 paired differences, added to sign flips of 8 centred paired differences (all 16,384)"
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


def draws(seed: int, a: Units, b: Units, differences: Units) -> np.ndarray:
    """Differences of means of drawn sides, plus means of signs drawn beside them, as the rule says."""
    count, values = len(a) + len(b), np.concatenate([a, b])
    keys = np.random.default_rng(seed).random((DRAWS, count + 2 * len(differences)))
    first = np.repeat([1, 0], [len(a), len(b)])[np.argsort(keys[:, :count], axis=1)]
    signs = np.where(keys[:, count::2] < keys[:, count + 1 :: 2], 1, -1)
    return first @ values / len(a) - (1 - first) @ values / len(b) + signs @ differences / max(len(differences), 1)


@pytest.mark.parametrize("seed", [3, 4])
def test_what_is_drawn_can_be_drawn_again_by_the_rule(seed: int) -> None:
    """Two sides, flipped signs, and both added; the labels as observed are one way more, and p is twice one side."""
    a, b, signs, topics = units(25, 1, 0.3), units(25, 2), units(40, 1, 0.1), 3 * units(9, 3)
    shift = unpaired_shift(a, b, alpha=ALPHA, seed=seed)
    reached = int((draws(seed, a, b, np.zeros(0)) >= a.mean() - b.mean() - 1e-12).sum())
    assert (shift.p, shift.seed) == (2 * (1 + reached) / (1 + DRAWS), seed)
    assert f"in {reached:,} of 19,999 ways (permutation of 25 + 25 units), drawn by " in shift.rule
    assert f"drawn by numpy.random.default_rng({seed}).random((19999, 50)), " in shift.rule
    shift = paired_shift(signs, alpha=ALPHA, seed=seed)
    keys = np.random.default_rng(seed).random((DRAWS, 80))
    found = np.where(keys[:, ::2] < keys[:, 1::2], 1, -1) @ signs / 40
    assert shift.p == 2 * (1 + int((found >= signs.mean() - 1e-12).sum())) / (1 + DRAWS)
    topics = topics - topics.mean() + a.mean() - b.mean()
    shift = crossed_shift(a, b, topics, alpha=1e-9, seed=seed)
    centred = (topics - topics.mean()) * np.sqrt(9 / 8)
    reached = int((draws(seed, a, b, centred) >= a.mean() - b.mean() - 1e-12).sum())
    assert shift.p == 2 * (1 + reached) / (1 + DRAWS)


def test_a_difference_below_zero_has_an_interval_too() -> None:
    a, differences = units(8, 1, -0.6), units(8, 3)
    differences = differences - differences.mean() + a.mean()
    found = crossed_shift(a, np.zeros(8), differences, alpha=ALPHA, seed=0, paired=True)
    assert found.interval is not None
    assert found.interval[0] < found.estimate < found.interval[1]
    mirrored = crossed_shift(-a, np.zeros(8), -differences, alpha=ALPHA, seed=0, paired=True)
    assert mirrored.interval == pytest.approx((-found.interval[1], -found.interval[0]), rel=1e-6)


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
    assert above[0] > 0
    holding = invert(lambda shift: float(-1e-12 <= shift <= 2), 1.0, ALPHA, step=step)
    assert holding is not None
    assert holding[0] <= 0
