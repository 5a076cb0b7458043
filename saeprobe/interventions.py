"""Interventions: what is added to the residual stream at the hook while a model runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor

Edit = Callable[[Tensor, object], Tensor]
"""A forward hook of TransformerLens: the activations and the hook point in, the edited activations out."""


def sum_of_directions(directions: Float[Tensor, "d_sae d_in"], features: Sequence[int]) -> Float[Tensor, " d_in"]:
    """The summed decoder rows of a set of features."""
    return directions[list(features)].sum(0)


def add(change: Float[Tensor, "batch d_in"]) -> Edit:
    """Add to each row of the batch its own vector, at every position.

    To add s to feature i of an SAE with the error term kept is x + decode(f + s e_i) - decode(f) = x + s W_dec[i]:
    what the SAE cannot reconstruct stays as it was, and no encoding is needed. The hook acts on whatever length it is
    given, since under a KV cache it sees the prompt once and then one token a step.
    """

    def edit(x: Float[Tensor, "batch pos d_in"], hook: object) -> Float[Tensor, "batch pos d_in"]:
        del hook
        if x.shape[0] != change.shape[0] or x.shape[-1] != change.shape[-1]:
            raise ValueError(f"activations are {tuple(x.shape)}; wanted [{change.shape[0]}, pos, {change.shape[1]}]")
        return x + change[:, None, :].to(x.dtype)

    return edit


def equal_norm(vector: Float[Tensor, " d_in"], like: Float[Tensor, " d_in"]) -> Float[Tensor, " d_in"]:
    """`vector` at the length of `like`.

    Raises:
        ValueError: `vector` has no length.
    """
    length = _length(vector)
    if not length > 0:
        raise ValueError("a vector of length 0 cannot be given another length; its decoder rows cancel or are 0")
    return (vector.double() * (_length(like) / length)).to(vector.dtype)


def _length(vector: Float[Tensor, " d_in"]) -> float:
    return math.sqrt(float(vector.double().square().sum()))
