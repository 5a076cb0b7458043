"""Variance explained and effective rank."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import features

from saeprobe.measurement import Measurement
from saeprobe.measures import effective_rank, variance_explained

WORDS = [
    ("novice", "A", "red", (1.5, 0.0)),
    ("novice", "A", "blue", (0.0, 1.5)),
    ("novice", "A", "purple", (0.5, 0.5)),
]
X = np.array([[2.0, -1, -1], [-1, 2, -1], [1, 1, -2]])


def test_variance_explained_is_worked_by_hand() -> None:
    """One tenth, for x = (2, -1, -1), (-1, 2, -1), (1, 1, -2) given back as (1.5, 0, 0), (0, 1.5, 0), (0.5, 0.5, 0).

    Squared errors are 2.25, 2.25 and 4.5, in all 9. The squared norms sum to 18; the mean (2/3, 2/3, -4/3) has the
    squared norm 24/9, so the squares about it sum to 18 - 3 * 24/9 = 10, and 1 - 9/10 = 0.1.
    """
    of = features(WORDS, activations=X, squared_error=np.array([2.25, 2.25, 4.5]))
    found = variance_explained(of)
    assert found.value == pytest.approx(0.1)
    assert (found.unit, found.n) == ("share of variance", 3)


def test_a_perfect_sae_explains_all_and_the_mean_explains_nothing() -> None:
    """Without error the share is 1; an error as large as the variance, 10, leaves 0."""
    perfect = features(WORDS, activations=X, squared_error=np.zeros(3))
    assert variance_explained(perfect).value == 1.0
    mean = features(WORDS, activations=X, squared_error=((X - X.mean(axis=0)) ** 2).sum(axis=1))
    assert variance_explained(mean).value == pytest.approx(0.0)


def test_variance_explained_needs_activations_that_vary() -> None:
    """Without activations the remedy is named; activations that are all alike have no variance to explain."""
    with pytest.raises(ValueError, match=r'capture\(\.\.\., keep="activations"\)'):
        variance_explained(features(WORDS))
    with pytest.raises(ValueError, match="do not vary over 3 tokens"):
        variance_explained(features(WORDS, activations=np.ones((3, 3)), squared_error=np.zeros(3)))


def test_effective_rank_is_what_the_capture_kept() -> None:
    """One value a prompt, in dimensions, with the prompts' lengths beside it."""
    found = effective_rank(features(WORDS, effective_rank=np.array([1.0, 2.5, 3.0])))
    assert isinstance(found, Measurement)
    assert list(found.values) == [1.0, 2.5, 3.0]
    assert found.unit == "dimensions"
    assert found.n_tokens is not None
    assert list(found.n_tokens) == [3, 4, 5]


def test_effective_rank_that_was_not_kept_is_an_error() -> None:
    """The error says what to write."""
    with pytest.raises(ValueError, match=r'capture\(\.\.\., keep="effective_rank"\)'):
        effective_rank(features(WORDS))
