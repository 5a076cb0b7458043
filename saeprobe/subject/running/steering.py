"""Steering adds decoder directions to the stream, under the arms of an experiment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from saeprobe.captures import Arm, Steering
from saeprobe.shapes import Float

Edit = Callable[[Tensor, object], Tensor]
"""A forward hook of TransformerLens: the activations and the hook point in, the edited activations out."""


class SteeringError(ValueError):
    """A steering experiment names features that do not exist, or leaves none to draw controls from."""


def sum_of_directions(directions: Float[Tensor, "d_sae d_in"], features: Sequence[int]) -> Float[Tensor, " d_in"]:
    """Sum the decoder rows of a set of features."""
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
    """Return `vector` at the length of `like`."""
    length, wanted = (math.sqrt(float(one.double().square().sum())) for one in (vector, like))
    if not length > 0:
        raise ValueError("a vector of length 0 cannot be given another length; its decoder rows cancel or are 0")
    return (vector.double() * (wanted / length)).to(vector.dtype)


@dataclass(frozen=True, kw_only=True, eq=False)
class Treatment:
    """A treatment is what one arm adds at the hook."""

    arm: Arm
    features: tuple[int, ...]
    strength: float
    change: Float[Tensor, " d_in"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """An experiment steers a subject in memory along rows of `W_dec`, its `directions`.

    Random features are drawn from those `alive`, which fire on the experiment's prompts.
    """

    subject: str
    steering: Steering
    directions: Float[Tensor, "d_sae d_in"]
    alive: tuple[int, ...]

    @cached_property
    def treatments(self) -> tuple[Treatment, ...]:
        """Return all arms: unsteered, then the chosen features and each random set at each strength."""
        outside = [feature for feature in self.steering.features if feature >= len(self.directions)]
        if outside:
            of = f"[0, {len(self.directions)}) of {self.subject}"
            raise SteeringError(f"feature {outside[0]} is outside {of}; steer one that its SAE has")
        chosen = sum_of_directions(self.directions, self.steering.features)
        arms: list[tuple[Arm, tuple[int, ...], Tensor]] = [("steered", self.steering.features, chosen)]
        arms.extend(
            ("random", features, equal_norm(sum_of_directions(self.directions, features), chosen))
            for features in self.random_sets
        )
        unsteered = Treatment(arm="unsteered", features=(), strength=0.0, change=torch.zeros_like(chosen))
        return (
            unsteered,
            *(
                Treatment(arm=arm, features=features, strength=strength, change=strength * direction)
                for strength in self.steering.strengths
                for arm, features, direction in arms
            ),
        )

    @cached_property
    def random_sets(self) -> tuple[tuple[int, ...], ...]:
        """Draw different sets of as many features as were chosen from the seed, alive and none of those."""
        size, wanted = len(self.steering.features), self.steering.random_features
        pool = [feature for feature in self.alive if feature not in self.steering.features]
        if math.comb(len(pool), size) < wanted:
            raise SteeringError(
                f"{len(pool)} features of {self.subject} beside the chosen ones fire on the prompts; "
                f"{wanted} different random sets of {size} need more: lower random_features or give more prompts"
            )
        generator = np.random.default_rng([self.steering.seed, size])
        found: dict[tuple[int, ...], None] = {}
        while len(found) < wanted:
            drawn = generator.choice(pool, size=size, replace=False)
            found[tuple(sorted(int(feature) for feature in drawn))] = None
        return tuple(found)
