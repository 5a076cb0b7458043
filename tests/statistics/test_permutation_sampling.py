"""The one engine: every relabeling where there are few, else draws until they are sure of the verdict."""

from __future__ import annotations

from itertools import combinations, permutations, product
from math import comb
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from saeprobe.statistics import permutation as engine
from saeprobe.statistics.permutation import (
    EXACT_LIMIT,
    Looked,
    Permuted,
    flip_share,
    permute,
    relabelings,
    settle,
)
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

ALPHA = 0.05
COIN = np.arange(20)[None]
"""Twenty units in any order: the first of the labels is uniform on 0 ... 19."""


def places(runs: list[np.ndarray]) -> list[tuple[int, ...]]:
    """All relabelings of some runs."""
    return [tuple(row) for row in engine._every(runs).tolist()]


def below(share: float, *, alpha: float | None, seed: int, sides: int = 1) -> Permuted:
    """Draw orders of twenty units, of which those are large whose uniform key lies below a share."""

    def look(dealt: np.ndarray) -> Looked:
        return (dealt[:, :1] * 20 + dealt[:, 1:2] + dealt[:, 2:3] / 20) / 400.0

    return permute([COIN], look, lambda looked: looked[:, 0] < share, what="flips", alpha=alpha, seed=seed, sides=sides)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 2], set(permutations(range(3)))),
        ([1, 1, 0, 0], {tuple(int(place in chosen) for place in range(4)) for chosen in combinations(range(4), 2)}),
        ([0, 0, 1, 2], set(permutations([0, 0, 1, 2]))),
        ([7, 7], {(7, 7)}),
    ],
)
def test_the_labels_of_a_run_come_in_every_order_that_differs(labels: list[int], expected: set[tuple[int]]) -> None:
    runs = [np.array([labels])]
    assert sorted(places(runs)) == sorted(expected)
    assert relabelings(runs) == len(expected)


def test_labels_stay_inside_their_run() -> None:
    """Two pairs and three others, of which one has the label: 2 x 2 x 3 ways."""
    runs = [np.array([[1, 0], [1, 0]]), np.array([[1, 0, 0]])]
    pairs, others = [(1, 0), (0, 1)], [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert sorted(places(runs)) == sorted(a + b + c for a, b, c in product(pairs, pairs, others))
    assert relabelings(runs) == 12
    drawn = engine._deal((((1, 0), (1, 0)), ((1, 0, 0),)), 0, 0, 3_000)
    counts = {row: int((drawn == row).all(axis=1).sum()) for row in places(runs)}
    assert sum(counts.values()) == 3_000
    assert min(counts.values()) > 180


def test_draws_are_those_that_the_rule_names() -> None:
    """One call of random for all of them, whatever the portions, and an argsort inside each run."""
    runs = [np.array([[1, 0]] * 9), np.array([[2, 1, 0, 0, 5, 6, 7, 8, 9]])]
    found = permute(runs, lambda dealt: dealt * 1.0, lambda looked: looked[:, 0] == 1, what="flips", alpha=0.2, seed=4)
    keys = np.random.default_rng(4).random((19_999, 27))
    pairs = np.where(np.argsort(keys[:, :18].reshape(-1, 9, 2), axis=2) == 0, 1, 0).reshape(-1, 18)
    expected = np.hstack([pairs, runs[1][0][np.argsort(keys[:, 18:], axis=1)]])
    np.testing.assert_array_equal(found.looked, expected)
    rule = found.rule("The first label")
    reached = int((expected[:, 0] == 1).sum())
    assert rule == (
        f"The first label came out at least as large in {reached:,} of 19,999 ways (flips), drawn by "
        "numpy.random.default_rng(4).random((19999, 27)), whose argsort inside each run "
        "says whose label a unit takes; the labels as observed are one way more"
    )
    assert found.p == (1 + reached) / 20_000


def test_few_relabelings_are_all_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 50,000, as the 48,620 of 9 + 9 units, and in parts that lose none; of 10 + 10 a share is drawn."""
    monkeypatch.setattr(engine, "CHUNK", 7)
    labels = np.repeat([1, 0], 4)[None]
    found = permute([labels], lambda dealt: dealt * 1.0, lambda looked: looked[:, 0] > 0, what="w", alpha=ALPHA, seed=0)
    assert (found.p, found.smallest, len(found.looked), found.seed) == (0.5, 1 / 70, 70, None)
    assert found.name == "exact w (all 70)"
    assert comb(18, 9) <= EXACT_LIMIT < comb(20, 10)


def test_a_clear_p_takes_one_round_of_draws() -> None:
    """19,999 and the labels as observed, of which none may be large: p is never 0."""
    found = below(0.1, alpha=ALPHA, seed=2)
    assert (found.name, found.seed, found.smallest) == ("sampled flips (19,999 drawn)", 2, 1 / 20_000)
    assert found.p == pytest.approx(0.1, abs=0.01)
    assert below(-1, alpha=ALPHA, seed=2).p == 1 / 20_000


def test_of_two_sides_p_is_twice_one() -> None:
    """And alpha is held against twice the share: 0.0275 is near half of 0.05 and not near 0.05."""
    found = below(0.1, alpha=ALPHA, seed=2, sides=2)
    assert found.p == 2 * below(0.1, alpha=ALPHA, seed=2).p
    assert found.smallest == 2 / 20_000
    assert found.rule("a").endswith("; p is twice this share")
    assert len(below(0.0275, alpha=ALPHA, seed=0, sides=2).looked) == 199_999
    assert len(below(0.0275, alpha=ALPHA, seed=0).looked) == 19_999


def test_a_p_near_alpha_is_drawn_ten_times_as_often_and_alike_for_every_seed() -> None:
    found = [below(0.0525, alpha=ALPHA, seed=seed) for seed in range(3)]
    assert {(one.p, one.name, one.seed) for one in found} == {(found[0].p, "sampled flips (199,999 drawn)", 0)}
    low, _ = binomtest(found[0].reached, 199_999).proportion_ci(0.999, method="exact")
    assert low > ALPHA


def test_a_p_that_stays_too_close_to_alpha_is_given_by_its_upper_end() -> None:
    """Which is never below alpha, so that nothing is found by the luck of a seed."""
    found = below(ALPHA, alpha=ALPHA, seed=3)
    assert len(found.looked) == 1_999_999
    assert found.p == pytest.approx(binomtest(found.reached, 1_999_999).proportion_ci(0.999, method="exact").high)
    assert found.p >= ALPHA
    close = "p is too close to 0.05 to tell, and the upper end of its 99.9% interval is given"
    assert found.name == f"sampled flips (1,999,999 drawn; {close})"
    assert found.rule("a").endswith(", by the upper end of its 99.9 % interval")
    assert found.share(10**7) == 1.0
    assert found.smallest > 1 / 2_000_000


def test_without_alpha_a_few_draws_are_all() -> None:
    assert len(below(ALPHA, alpha=None, seed=0).looked) == 4_999


@pytest.mark.parametrize("end", [0, 1])
def test_an_interval_that_ends_at_alpha_holds_it(end: int) -> None:
    """What is drawn first is by the seed, and what is drawn then by 0; the last leaves its upper end."""
    asked: list[tuple[int, int]] = []

    def draw(seed: int, count: int) -> int:
        asked.append((count, seed))
        return count

    ends = (0.1, 0.2)
    assert settle(draw, lambda *_: ends, (5, 50, 500), alpha=ends[end], seed=7) == (500, 0, 0.2)
    assert asked == [(5, 7), (50, 0), (500, 0)]
    assert settle(draw, lambda *_: ends, (5, 50), alpha=0.3, seed=7) == (5, 7, None)


@pytest.mark.parametrize("seed", range(3))
def test_drawn_signs_come_to_the_counted_p(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At several shifts, within four standard errors."""
    differences = np.random.default_rng(seed).normal(0.4, 1, 17)
    exact = flip_share(differences)
    monkeypatch.setattr("saeprobe.statistics.shifts.flips_countable", lambda _: False)
    from saeprobe.statistics.shifts import paired_test

    drawn = paired_test(differences, alpha=1e-9, seed=seed)
    for shift in (0.0, 0.3, -0.4, 1.0):
        p = exact(shift) / 2
        assert abs(drawn.share(shift) / 2 - p) < 4 * np.sqrt(p * (1 - p) / 20_000) + 1e-12


def test_many_units_are_drawn_and_the_test_says_how_many() -> None:
    """38 units a side and 100 pairs are too many to count; separated ones leave p at 2/20,000, never at 0."""
    apart = unpaired_shift(np.arange(38) + 100.0, np.arange(38) * 1.0, alpha=ALPHA, seed=3)
    assert apart.p == apart.smallest_p == 2 / 20_000
    assert (apart.test, apart.seed) == ("sampled permutation of 38 + 38 units (19,999 drawn)", 3)
    raised = paired_shift(np.arange(100) + 1.0, alpha=ALPHA, seed=4)
    assert raised.p == raised.smallest_p == 2 / 20_000
    assert (raised.test, raised.seed) == ("sampled sign flips of 100 paired differences (19,999 drawn)", 4)


def test_a_drawn_interval_is_about_that_of_the_t_distribution() -> None:
    """For many normal units the two agree within a few hundredths of its width."""
    differences = np.random.default_rng(1).normal(1, 1, 100)
    interval = paired_shift(differences, alpha=ALPHA, seed=0).interval
    half = 1.984 * differences.std(ddof=1) / 10
    assert interval == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.03)
    a, b = differences[:50], differences[50:]
    interval = unpaired_shift(a, b, alpha=ALPHA, seed=0).interval
    half = 1.984 * np.sqrt(a.var(ddof=1) / 50 + b.var(ddof=1) / 50)
    assert interval == pytest.approx((a.mean() - b.mean() - half, a.mean() - b.mean() + half), abs=0.03)


def test_an_alpha_that_no_draw_can_tell_leaves_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """At alpha = 1e-7 the last draws are not enough: p is above alpha, and no shift is rejected."""
    monkeypatch.setattr(engine, "DRAWS", (99, 999))
    shift = paired_shift(np.arange(40) + 1.0, alpha=1e-7, seed=0)
    assert shift.p >= 1e-7
    assert shift.smallest_p >= 1e-7
    assert shift.interval is None


@settings(max_examples=15, deadline=None)
@given(of=st.integers(0, 10_000), apart=st.floats(0, 1.2), sizes=st.sampled_from([(5, 26), (20, 22), (7, 19)]))
def test_seeds_agree_on_the_verdict(of: int, apart: float, sizes: tuple[int, int]) -> None:
    """Groups whose relabelings are drawn lie on the same side of alpha by every seed, and the interval with them."""
    rng = np.random.default_rng(of)
    a, b = rng.normal(apart, 1, sizes[0]), rng.normal(0, 2, sizes[1])
    with patch.object(engine, "DRAWS", (1_999, 19_999)):
        shifts = [unpaired_shift(a, b, alpha=ALPHA, seed=seed) for seed in range(3)]
    assert len({shift.p < ALPHA for shift in shifts}) == 1
    for shift in shifts:
        assert shift.interval is not None
        assert (shift.interval[0] <= 0 <= shift.interval[1]) == (shift.p >= ALPHA)


def test_the_same_seed_draws_the_same() -> None:
    """Ten seeds give several p, all on the same side of alpha; each again the same."""
    differences = np.random.default_rng(0).normal(0.3, 1, 60)
    shifts = [paired_shift(differences, alpha=ALPHA, seed=seed) for seed in range(10)]
    assert len({shift.p for shift in shifts}) > 3
    assert len({shift.p < ALPHA for shift in shifts}) == 1
    assert [shift.seed for shift in shifts] == list(range(10))
    assert paired_shift(differences, alpha=ALPHA, seed=3) == shifts[3]
