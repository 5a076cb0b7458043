"""Effective rank agrees with matrices worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.features.sparse import effective_rank


def random(seed: int) -> np.ndarray:
    """Draw nine tokens of width five."""
    return np.random.default_rng(seed).normal(size=(9, 5))


def test_tokens_on_a_line_have_rank_one() -> None:
    """Multiples of one direction, wherever the line lies."""
    line = np.outer([0.0, 1.0, 5.0, -2.0], [1.0, 2.0, 3.0]) + np.array([7.0, -7.0, 70.0])
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_k_equal_directions_have_rank_k(k: int) -> None:
    """The points e_i and -e_i have mean 0 and k singular values of sqrt(2)."""
    assert effective_rank(np.concatenate([np.eye(k), -np.eye(k)])) == pytest.approx(k, abs=1e-9)


def test_the_corners_of_a_simplex_fill_one_direction_less_than_they_are() -> None:
    """The identity, its mean taken out, has k - 1 singular values of 1 and one of 0."""
    assert effective_rank(np.eye(5)) == pytest.approx(4.0, abs=1e-9)


def test_unequal_directions_are_weighed_by_their_entropy() -> None:
    """Singular values 3 and 1 are shares of 3/4 and 1/4, so exp(3/4 ln 4/3 + 1/4 ln 4) = 4 / 3^(3/4) = 1.7548."""
    points = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert effective_rank(points) == pytest.approx(4 / 3**0.75, abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_rotation_scale_and_shift_change_nothing(seed: int, scale: float, shift: float) -> None:
    """Nothing but the shape of the cloud is counted."""
    x = random(seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(5, 5)))
    assert effective_rank(scale * x @ rotation + shift) == pytest.approx(effective_rank(x), rel=1e-6)


def test_stretching_one_direction_changes_it() -> None:
    """The property above can tell: it holds for no other map."""
    assert effective_rank(random(0) * [10, 1, 1, 1, 1]) < effective_rank(random(0)) - 0.5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((1, 3)), "at least two tokens; found 1"),
        (np.ones((4, 3)), "all tokens have the same"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "finite"),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), "finite"),
    ],
)
def test_no_number_is_made_up(x: np.ndarray, message: str) -> None:
    """One token, equal tokens and values that are not finite have no rank."""
    with pytest.raises(ValueError, match=message):
        effective_rank(x)
