"""Silhouettes worked by hand and by a plain loop, and the permutations of their styles."""

from __future__ import annotations

from importlib import import_module
from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform

from saeprobe.measures.clusters import _runs, cosine_distances, mean_distances, relabel, silhouettes
from saeprobe.statistics.permutation import relabelings

MODULE = import_module("saeprobe.measures.clusters")  # the package gives the function of that name


def by_a_loop(distances: np.ndarray, labels: list[int]) -> list[float]:
    """Rousseeuw's definition, one unit after the other."""
    found: list[float] = []
    for unit, style in enumerate(labels):
        mean = {
            other: np.mean([distances[unit, k] for k in range(len(labels)) if labels[k] == other and k != unit])
            for other in set(labels)
        }
        a = mean.pop(style)
        b = min(mean.values())
        found.append(0.0 if max(a, b) == 0 else float((b - a) / max(a, b)))
    return found


def made(seed: int, units: int, features: int = 6) -> np.ndarray:
    """Distances between random vectors."""
    return cosine_distances(csr_array(np.random.default_rng(seed).random((units, features)) + 0.01))


def test_cosine_distances_are_those_of_scipy() -> None:
    """On random vectors, and 0 on the diagonal; never below 0 for parallel ones."""
    vectors = np.random.default_rng(0).random((7, 5))
    vectors[3] = 3 * vectors[2]
    found = cosine_distances(csr_array(vectors))
    np.testing.assert_allclose(found, squareform(pdist(vectors, "cosine")), atol=1e-12)
    assert (np.diagonal(found) == 0).all()
    assert (found >= 0).all()


def test_no_rounding_makes_a_distance_negative() -> None:
    """The cosine of parallel vectors may come out above 1; their distance is 0 then."""
    vectors = np.random.default_rng(0).random((40, 5))
    vectors = np.concatenate([vectors, 3 * vectors])
    products = vectors @ vectors.T
    norms = np.sqrt(np.diagonal(products))
    above = products / np.outer(norms, norms) > 1
    np.fill_diagonal(above, False)
    assert above.any()
    assert (cosine_distances(csr_array(vectors))[above] == 0).all()


def test_silhouettes_are_worked_by_hand() -> None:
    """On a line at 0, 1 | 3, 7: (2.5 + ...): a = 1, b = (3 + 7) / 2 = 5 for the first, so 4/5.

    The second has a = 1, b = (2 + 6) / 2 = 4: 3/4. The third a = 4, b = (3 + 2) / 2 = 2.5: -1.5/4. The fourth a = 4,
    b = 6.5: 2.5/6.5.
    """
    at = np.array([0.0, 1, 3, 7])
    distances = np.abs(at[:, None] - at[None])
    np.testing.assert_allclose(silhouettes(distances, np.array([[0, 0, 1, 1]]))[0], [0.8, 0.75, -1.5 / 4, 2.5 / 6.5])
    np.testing.assert_allclose(mean_distances(distances, np.array([[0, 0, 1, 1]]))[0, 0], [1, 5])
    np.testing.assert_allclose(mean_distances(distances, np.array([[0, 0, 1, 1]]))[0, 2], [2.5, 4])


def test_the_first_style_has_its_mean_beside_that_of_all() -> None:
    """Of units at 0, 1, 3 and 7 the silhouettes are worked above; a style of two is met in six relabelings."""
    at, labels = np.array([0.0, 1, 3, 7]), np.array([0, 0, 1, 1])
    distances = np.abs(at[:, None] - at[None])
    looked = relabel(distances, labels, within=None, alpha=0.05, seed=0).looked
    observed = [(0.8 + 0.75 - 1.5 / 4 + 2.5 / 6.5) / 4, (0.8 + 0.75) / 2]
    assert len(looked) == 6
    assert np.isclose(looked, observed).all(axis=1).sum() == 1
    turned = [observed[0], (-1.5 / 4 + 2.5 / 6.5) / 2]
    assert np.isclose(looked, turned).all(axis=1).sum() == 1


def test_units_in_one_place_have_a_silhouette_of_zero() -> None:
    """Where neither style is nearer, none is: no division by zero."""
    dirty = [np.full((1, 4), 7.0) for _ in range(100)]  # what lies in memory before is no silhouette either
    del dirty
    np.testing.assert_array_equal(silhouettes(np.zeros((4, 4)), np.array([[0, 1, 0, 1]])), [[0, 0, 0, 0]])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(2, 4), min_size=2, max_size=4))
def test_silhouettes_are_those_of_a_loop(seed: int, sizes: list[int]) -> None:
    """For two to four styles of unlike sizes, in any order, several relabelings at once."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    dealt = np.array([rng.permutation(labels) for _ in range(3)])
    distances = made(seed, len(labels))
    np.testing.assert_allclose(
        silhouettes(distances, dealt), [by_a_loop(distances, list(row)) for row in dealt], atol=1e-12
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(2, 2), (2, 3), (3, 3), (2, 2, 2)]))
def test_every_relabeling_is_counted_once(seed: int, sizes: tuple[int, ...]) -> None:
    """The means over all distinct ways to deal the styles, found by permuting the list of labels."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    distances = made(seed, len(labels))
    ways = sorted(set(permutations(labels.tolist())))
    expected = [np.mean(by_a_loop(distances, list(way))) for way in ways]
    reached = relabel(distances, labels, within=None, alpha=0.05, seed=0)
    assert (len(reached.looked), reached.seed) == (len(ways), None)
    assert relabelings([_runs(labels, None)]) == len(ways)
    np.testing.assert_allclose(sorted(reached.looked[:, 0]), sorted(expected), atol=1e-12)
    observed = np.mean(by_a_loop(distances, list(labels)))
    assert reached.p == pytest.approx(np.mean(np.array(expected) >= observed - 1e-9))


@pytest.mark.parametrize(("styles", "topics"), [(2, 4), (3, 3)])
def test_within_topics_only_the_styles_of_a_topic_change_places(styles: int, topics: int) -> None:
    """2^4 and 6^3 ways, each run of labels a permutation."""
    labels = np.tile(np.arange(styles), topics)
    distances = made(1, len(labels))
    ways = [sum(way, ()) for way in product(permutations(range(styles)), repeat=topics)]
    expected = [np.mean(by_a_loop(distances, list(way))) for way in ways]
    reached = relabel(distances, labels, within=styles, alpha=0.05, seed=0)
    assert len(reached.looked) == len(ways) == relabelings([_runs(labels, styles)])
    np.testing.assert_allclose(sorted(reached.looked[:, 0]), sorted(expected), atol=1e-12)


@pytest.mark.parametrize("within", [None, 2])
def test_what_is_drawn_agrees_with_what_is_counted(within: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """19,999 draws give only means that occur, as often as they do, and p within 0.02."""
    labels = np.tile(np.arange(2), 4)
    distances = made(2, 8)
    exact = relabel(distances, labels, within=within, alpha=0.05, seed=0)
    monkeypatch.setattr("saeprobe.statistics.permutation.EXACT_LIMIT", 1)
    found = relabel(distances, labels, within=within, alpha=0.05, seed=5)
    assert (found.seed, len(found.looked)) == (5, 19_999)
    assert found.p == pytest.approx(exact.p, abs=0.02)
    np.testing.assert_array_equal(np.unique(np.round(found.looked, 9)), np.unique(np.round(exact.looked, 9)))
    assert found.looked.mean() == pytest.approx(exact.looked.mean(), abs=0.01)


def test_work_in_small_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relabeling at a time gives the same means in the same order."""
    labels = np.repeat([0, 1], 4)
    distances = made(3, 8)
    together = relabel(distances, labels, within=None, alpha=0.05, seed=0)
    monkeypatch.setattr(MODULE, "AT_ONCE", 1)
    apart = relabel(distances, labels, within=None, alpha=0.05, seed=0)
    assert together.p == apart.p
    np.testing.assert_allclose(together.looked, apart.looked, atol=1e-12)


def test_how_many_ways_there_are_is_a_whole_number_however_many() -> None:
    """1,100 topics of two styles have 2^1100 ways, and 600 + 600 wordings 1200 over 600: more than a float holds."""
    assert relabelings([_runs(np.tile([0, 1], 1_100), 2)]) == 2**1_100
    assert relabelings([_runs(np.repeat([0, 1], 600), None)]) == comb(1_200, 600)


def test_within_topics_those_ways_decide_whether_all_are_counted() -> None:
    """Ten topics have 2^10 ways, which are counted, though 20 wordings would have 184,756, of which some are drawn."""
    labels = np.tile([0, 1], 10)
    reached = relabel(made(4, 20), labels, within=2, alpha=0.05, seed=0)
    assert (len(reached.looked), reached.seed) == (2**10, None)
