"""Distinct features on either side under every relabeling, against a plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from unittest.mock import patch

import numpy as np
import pytest
from by_hand import features, tokens_read
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.measures import exclusive
from saeprobe.measures.exclusive import patterns
from saeprobe.measures.reading import Firings, firings
from saeprobe.statistics.permutation import Permuted


@dataclass(frozen=True, kw_only=True)
class Relabeled:
    """What a relabeling reached, and the difference under each one looked at."""

    reached: Permuted
    sizes: np.ndarray

    @property
    def p(self) -> float:
        """The share that lies as far apart."""
        return self.reached.p


def relabel(a: np.ndarray, b: np.ndarray, *, paired: bool, alpha: float | None, seed: int) -> Relabeled:
    """Relabel, and keep the difference of distinct features under each relabeling that was looked at."""
    sizes: list[np.ndarray] = []

    def kept(*given: np.ndarray) -> np.ndarray:
        sizes.append(differences(*given))
        return differences(*given)

    differences = exclusive._differences
    with patch.object(exclusive, "_differences", kept):
        reached = exclusive.relabel(a, b, paired=paired, alpha=alpha, seed=seed)
    return Relabeled(reached=reached, sizes=np.concatenate(sizes))


def made(seed: int, units: int, d_sae: int, share: float) -> np.ndarray:
    """Which features fire in which unit, at random."""
    return np.random.default_rng(seed).random((units, d_sae)) < share


def sizes_by_a_loop(a: np.ndarray, b: np.ndarray, *, paired: bool) -> list[int]:
    """The size of the difference under each relabeling, counted with sets."""
    of_a, of_b = ([{int(f) for f in np.flatnonzero(row)} for row in side] for side in (a, b))
    sizes: list[int] = []
    if paired:
        for swaps in product((False, True), repeat=len(a)):
            first = [right if swap else left for swap, left, right in zip(swaps, of_a, of_b, strict=True)]
            second = [left if swap else right for swap, left, right in zip(swaps, of_a, of_b, strict=True)]
            sizes.append(len(set().union(*first)) - len(set().union(*second)))
        return sizes
    units = of_a + of_b
    for chosen in combinations(range(len(units)), len(of_a)):
        first = set().union(*(units[unit] for unit in chosen))
        second = set().union(*(units[unit] for unit in range(len(units)) if unit not in chosen))
        sizes.append(len(first) - len(second))
    return sizes


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 5), st.integers(1, 140), st.booleans())
def test_every_relabeling_is_counted_as_by_sets(seed: int, n_a: int, n_b: int, d_sae: int, paired: bool) -> None:  # noqa: FBT001
    """Over more than one word of 64 features and more than one block of 8 units, the sizes are those of sets."""
    n_b = n_a if paired else n_b
    a, b = made(seed, n_a, d_sae, 0.2), made(seed + 1, n_b, d_sae, 0.3)
    expected = sizes_by_a_loop(a, b, paired=paired)
    found = relabel(a, b, paired=paired, alpha=0.05, seed=0)
    assert sorted(found.sizes) == sorted(expected)
    observed = int(a.any(axis=0).sum()) - int(b.any(axis=0).sum())
    as_far = np.mean(np.array(expected) >= observed if observed >= 0 else np.array(expected) <= observed)
    assert found.p == pytest.approx(min(1.0, 2 * float(as_far)))
    assert (len(found.reached.looked), found.reached.seed) == (len(expected), None)


def test_nine_units_fill_two_blocks() -> None:
    """5 + 6 units: every one of 462 relabelings is right though the second block of 8 is not full."""
    a, b = made(3, 5, 70, 0.1), made(4, 6, 70, 0.1)
    assert sorted(relabel(a, b, paired=False, alpha=0.05, seed=0).sizes) == sorted(sizes_by_a_loop(a, b, paired=False))


@pytest.mark.parametrize("paired", [True, False])
def test_what_is_drawn_agrees_with_what_is_counted(paired: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """4,999 draws put p within 0.02 of the exact one; a draw takes as many units to a side as there are."""
    a, b = made(5, 6, 90, 0.2), made(6, 6, 90, 0.22)
    exact = relabel(a, b, paired=paired, alpha=0.05, seed=0)
    monkeypatch.setattr("saeprobe.statistics.permutation.EXACT_LIMIT", 0)
    found = relabel(a, b, paired=paired, alpha=None, seed=1)
    assert (found.reached.seed, len(found.reached.looked)) == (1, 4_999)
    assert found.p == pytest.approx(exact.p, abs=0.03)
    assert set(found.sizes) <= set(exact.sizes)
    assert found.p == relabel(a, b, paired=paired, alpha=None, seed=1).p
    assert np.abs(found.sizes).mean() == pytest.approx(np.abs(exact.sizes).mean(), rel=0.05)


@pytest.mark.parametrize("paired", [True, False])
def test_what_is_drawn_can_be_drawn_again_by_the_rule(paired: bool) -> None:  # noqa: FBT001
    """By the seed and the words of the rule alone: which units stand where, and the sizes of sets that they make."""
    a, b = made(5, 19, 40, 0.05), made(6, 19, 40, 0.06)
    found = relabel(a, b, paired=paired, alpha=None, seed=3)
    keys, sizes, units = np.random.default_rng(3).random((4_999, 38)), [], np.vstack([a, b])
    for row in keys:
        if paired:
            stays = (row[::2] < row[1::2])[:, None]
            first, second = np.where(stays, a, b), np.where(stays, b, a)
        else:
            first, second = units[np.argsort(row) < 19], units[np.argsort(row) >= 19]
        sizes.append(int(first.any(axis=0).sum()) - int(second.any(axis=0).sum()))
    assert list(found.sizes) == sizes
    observed = int(a.any(axis=0).sum()) - int(b.any(axis=0).sum())
    as_far = sum(size >= observed if observed >= 0 else size <= observed for size in sizes)
    assert found.p == min(1.0, 2 * (1 + as_far) / 5_000)
    what = "within 19 topics" if paired else "over 19 + 19 templates"
    assert found.reached.name == f"sampled permutation of labels {what} (4,999 drawn)"


def test_relabelings_worked_on_in_parts_lose_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """126 relabelings of 4 + 5 units, one at a time and ten at a time: the same sizes in the same order."""
    a, b = made(3, 4, 70, 0.1), made(4, 5, 70, 0.1)
    whole = relabel(a, b, paired=False, alpha=0.05, seed=0)
    for at_once in (1, 20):  # of two words each
        monkeypatch.setattr("saeprobe.measures.exclusive.AT_ONCE", at_once)
        parts = relabel(a, b, paired=False, alpha=0.05, seed=0)
        assert (list(parts.sizes), parts.p) == (list(whole.sizes), whole.p)


def test_no_feature_at_all_is_no_difference() -> None:
    """Where nothing fires every relabeling is as far apart as the observed one."""
    silent = np.zeros((3, 20), dtype=bool)
    found = relabel(silent, silent, paired=False, alpha=0.05, seed=0)
    assert (found.p, set(found.sizes)) == (1.0, {0})


def test_firings_are_entries_by_unit() -> None:
    """A prompt read at two tokens fires feature 0 twice; units take the prompts that are named for them."""
    of = tokens_read(["a", "b"], [[(1, 0, 0), (2, 3, 0)], [(0, 4, 0)]])
    found = firings(of, ["B", "A"], ("A", "B"))
    assert list(found.feature) == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.units(), [[False, True, False], [True, True, False]])
    kept = np.array(
        [True, False, False, True]
    )  # feature 0 once, of the first token, and feature 1 of the second prompt
    np.testing.assert_array_equal(found.units(kept), [[False, True, False], [True, False, False]])
    assert (found.names, found.d_sae, found.units().dtype) == (("A", "B"), 3, np.bool_)


def test_no_prompt_fires_nothing() -> None:
    """Of no prompts there are no units, and every feature fires on none of their tokens."""
    found = firings(tokens_read(["a"], [[(1, 0, 0)]]).select([]), [], ())
    assert (found.units().shape, found.distinct()) == ((0, 3), 0)


def test_values_that_are_stored_but_zero_do_not_fire() -> None:
    """An explicit zero is no firing."""
    of = features([("novice", "A", "tides", (1, 2))])
    of.acts.data[0] = 0
    assert list(firings(of, ["A"], ("A",)).feature) == [1]


def firing(times: Sequence[int]) -> Firings:
    """One unit in which each feature fires so many times."""
    feature = np.repeat(np.arange(len(times)), times)
    return Firings(names=("A",), unit=np.zeros_like(feature), feature=feature, d_sae=len(times))


@pytest.mark.parametrize(
    ("times", "kept", "expected"),
    [
        ([0, 0], 0.5, 0),
        ([1, 1, 1], 0.5, 1.5),
        ([3], 0.5, 1 - 0.5**3),
        ([1, 2, 0], 0.25, 0.25 + (1 - 0.75**2)),
        ([5, 1, 0], 1.0, 2),
        ([5, 1, 0], 0.0, 0),
    ],
)
def test_expected_distinct_features_by_hand(times: list[int], kept: float, expected: float) -> None:
    """A feature is still seen unless all its firings are thinned out."""
    assert firing(times).distinct(kept) == pytest.approx(expected)


def test_expected_distinct_features_agree_with_drawing_them() -> None:
    """The mean over 4,000 random thinnings of 40 features, within three of its standard errors."""
    rng = np.random.default_rng(0)
    times = rng.integers(0, 6, 40)
    feature = np.repeat(np.arange(40), times)
    drawn = [len(np.unique(feature[rng.random(len(feature)) < 0.3])) for _ in range(4_000)]
    assert firing(times).distinct(0.3) == pytest.approx(np.mean(drawn), abs=3 * np.std(drawn) / 4_000**0.5)


def test_patterns_are_left_out_where_nothing_fires() -> None:
    """Two units of one side and one of the other: a feature of all three, two of the last, and one of none."""
    a, b = np.array([[True, False, False, False], [True, False, False, False]]), np.array([[True, True, False, True]])
    assert patterns(a, b) == (("001", 2), ("111", 1))
    assert patterns(a[:, 2:3], b[:, 2:3]) == ()


@given(st.integers(0, 2**16), st.integers(1, 4), st.integers(1, 4))
def test_patterns_hold_every_unit_again(seed: int, n_a: int, n_b: int) -> None:
    """Of each unit, the counts of the patterns with a 1 at its place sum to its distinct features."""
    a, b = made(seed, n_a, 30, 0.3), made(seed + 1, n_b, 30, 0.3)
    found = patterns(a, b)
    again = [sum(count for row, count in found if row[unit] == "1") for unit in range(n_a + n_b)]
    assert again == [int(row.sum()) for row in (*a, *b)]
