"""Effective rank of a set of activations, published as EID."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def effective_rank(activations: Float[np.ndarray, "tokens d"]) -> float:
    """Number of directions that the activations of one prompt fill, between 1 and min(tokens - 1, d).

    The exponential of the entropy of the singular values, normalised to sum 1, of the activations minus their mean
    over tokens (Roy & Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007, eq. 4).
    It grows with the number of tokens: compare prompts of equal length, or adjust for it.

    Args:
        activations: one row a token.

    Raises:
        ValueError: there are fewer than two tokens, a value is not finite, or all tokens are equal.

    Two tokens lie on one line, whatever their distance:

    >>> round(effective_rank(np.array([[1.0, 0.0], [0.0, 1.0]])), 6)
    1.0
    """
    if len(activations) < 2:  # noqa: PLR2004 - one point has no spread
        raise ValueError(f"effective rank needs at least two tokens; found {len(activations)}")
    exact = np.asarray(activations, dtype=np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("effective rank needs finite activations; found infinite ones or NaN")
    singular = np.linalg.svd(exact - exact.mean(axis=0), compute_uv=False)
    total = float(singular.sum())
    if total <= 1e-12 * float(np.abs(exact).max(initial=0.0)):
        raise ValueError("effective rank is not defined where all tokens have the same activations")
    share = singular[singular > 0] / total
    return float(np.exp(-np.sum(share * np.log(share))))
