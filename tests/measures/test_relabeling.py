"""Relabelings that are counted, and those that are drawn until they settle the verdict."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from saeprobe.statistics import permutation as relabeling
from saeprobe.statistics.intervals import rate_interval
from saeprobe.statistics.permutation import Reached, counted, drawn, every_choice


def coins(rng: np.random.Generator, count: int) -> np.ndarray:
    """So many uniform numbers."""
    return rng.random(count)


def test_every_choice_of_bits_comes_once() -> None:
    """Four items in sixteen ways; those that set two of them are the six pairs."""
    assert sorted(tuple(row) for some in every_choice(4) for row in some) == sorted(
        {tuple(bool(number >> place & 1) for place in range(4)) for number in range(16)}
    )
    pairs = [tuple(int(place) for place in np.flatnonzero(row)) for some in every_choice(4, ones=2) for row in some]
    assert sorted(pairs) == list(combinations(range(4), 2))


def test_choices_come_in_chunks_that_lose_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 masks in chunks of 7: still all of them, in order of their number, and no chunk after the last."""
    monkeypatch.setattr(relabeling, "CHUNK", 7)
    chunks = list(every_choice(5))
    assert [int(sum(1 << place for place in np.flatnonzero(row))) for some in chunks for row in some] == list(range(32))
    assert [(len(some), some.dtype) for some in chunks] == [(7, np.bool_)] * 4 + [(4, np.bool_)]


def test_counted_is_the_share_of_all() -> None:
    """Three of eight, in two chunks."""
    chunks = [np.array([[True], [False], [True]]), np.array([[False]] * 4 + [[True]])]
    assert counted(iter(chunks), lambda dealt: int(dealt.sum())) == Reached(p=3 / 8, relabelings=8, seed=None)


def test_the_observed_labels_count_as_one_of_those_drawn() -> None:
    """Where none of 4,999 reaches as far, p is 1/5,000 and never 0."""
    found = drawn(coins, lambda _: 0, alpha=0.05, seed=3)
    assert found == Reached(p=1 / 5_000, relabelings=4_999, seed=3)


def test_more_are_drawn_while_alpha_is_not_settled() -> None:
    """A true p of 0.054: the 99.9 % interval after 4,999 draws holds 0.05 and after 49,999 it does not."""
    found = drawn(coins, lambda dealt: int((dealt < 0.054).sum()), alpha=0.05, seed=0)
    assert (found.relabelings, found.settled) == (49_999, True)
    assert found.p == pytest.approx(0.054, abs=0.004)
    low, high = binomtest(round(0.054 * 4_999), 4_999).proportion_ci(0.999, method="exact")
    assert low < 0.05 < high


def test_the_draws_continue_and_do_not_begin_anew() -> None:
    """49,999 draws of one generator in chunks of at most 20,000."""
    asked: list[int] = []

    def reaching(dealt: np.ndarray) -> int:
        asked.append(len(dealt))
        return int((dealt < 0.054).sum())

    found = drawn(coins, reaching, alpha=0.05, seed=0)
    assert asked == [4_999, 20_000, 20_000, 5_000]
    rng = np.random.default_rng(0)
    reached = sum(int((rng.random(count) < 0.054).sum()) for count in asked)
    assert found.p == (reached + 1) / 50_000


def test_a_chunk_without_relabelings_is_not_dealt(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,998 draws in chunks of 2,499 are two chunks, and 8 more one of that size."""
    monkeypatch.setattr(relabeling, "CHUNK", 2_499)
    monkeypatch.setattr(relabeling, "DRAWS", (4_998, 8))
    asked: list[int] = []

    def reaching(dealt: np.ndarray) -> int:
        asked.append(len(dealt))
        return len(dealt) // 10

    # 249 of 2,499 twice, and none of 8: 498 of 5,006 and the labels as they are
    assert drawn(coins, reaching, alpha=0.1, seed=0).relabelings == 5_006
    assert asked == [2_499, 2_499, 8]
    assert drawn(coins, reaching, alpha=0.5, seed=0) == Reached(p=499 / 4_999, relabelings=4_998, seed=0)


@pytest.mark.parametrize("end", [0, 1])
def test_an_interval_that_ends_at_alpha_holds_it(end: int) -> None:
    """250 of 4,999 reach as far, and alpha is an end of their 99.9 % interval: more are drawn, of which none does."""
    alpha = rate_interval(250, 4_999, level=0.999)[end]
    found = drawn(coins, lambda dealt: 250 if len(dealt) == 4_999 else 0, alpha=alpha, seed=0)
    assert found == Reached(p=251 / 50_000, relabelings=49_999, seed=0)


def test_a_p_at_alpha_is_never_below_it() -> None:
    """A true p of alpha itself stays open after 499,999 draws; the upper end of its interval is given, and told."""
    found = drawn(coins, lambda dealt: int((dealt < 0.05).sum()), alpha=0.05, seed=0)
    rng = np.random.default_rng(0)
    reached = int((rng.random(499_999) < 0.05).sum())  # the chunks draw on one after the other
    high = binomtest(reached, 499_999).proportion_ci(0.999, method="exact").high
    assert found == Reached(p=pytest.approx(high), relabelings=499_999, seed=0, settled=False)  # pyright: ignore[reportArgumentType] - but for rounding
    assert 0.05 < found.p < 0.052
    assert found.in_words("permutation", "9 units") == (
        "sampled permutation over 9 units, 499,999 relabelings drawn; "
        "p is too close to alpha to tell, and the upper end of its interval is given"
    )


def test_without_alpha_the_first_draw_is_all() -> None:
    """As where p is averaged over thinnings."""
    assert drawn(coins, lambda dealt: int((dealt < 0.05).sum()), alpha=None, seed=0).relabelings == 4_999


def test_a_test_is_told_in_words() -> None:
    """Exact without a seed, sampled with one."""
    assert Reached(p=0.5, relabelings=12_870, seed=None).in_words("flips", "8 pairs") == (
        "exact flips over 8 pairs, 12,870 relabelings"
    )
    assert Reached(p=0.5, relabelings=4_999, seed=0).in_words("flips", "8 pairs") == (
        "sampled flips over 8 pairs, 4,999 relabelings drawn"
    )
