"""Edits change the stream at the hook, by directions or by its features; an experiment says what each arm does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from saeprobe.captures import Action, Arm
from saeprobe.captures.steering import Steering
from saeprobe.shapes import Bool, Float, Int

_DENSE_BYTES: Final = 64 * 2**20  # of dense features held at once

Edit = Callable[[Tensor, object], Tensor]
"""A forward hook as TransformerLens takes it: of a stream [batch, pos, d_in] it makes another."""


def add(change: Float[Tensor, "batch d_in"]) -> Edit:
    """Return an edit that adds to each row of the batch its own vector.

    To add s to feature i of an SAE with the error term kept is x + decode(f + s e_i) - decode(f) = x + s W_dec[i]:
    what the SAE cannot reconstruct stays as it was, and no encoding is needed. The hook acts on whatever length it is
    given, since under a KV cache it sees the prompt once and then one token a step.
    """

    def edit(x: Float[Tensor, "batch pos d_in"], hook: object) -> Float[Tensor, "batch pos d_in"]:
        del hook
        if x.shape[0] != change.shape[0] or x.shape[-1] != change.shape[-1]:
            raise ValueError(f"activations are {tuple(x.shape)}; wanted [{change.shape[0]}, pos, {change.shape[1]}]")
        return x + change[:, None, :].to(x)

    return edit


class Coder(Protocol):
    """An SAE in memory, as sae-lens makes it."""

    W_dec: Float[Tensor, "d_sae d_in"]

    def encode(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        """Return the features of a stream."""
        ...

    def decode(self, feature_acts: Float[Tensor, "... d_sae"]) -> Float[Tensor, "... d_in"]:
        """Return the stream that features give back."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """These features of the rows of a batch are changed, a line a row; `before` counts the tokens that are left alone.

    Those are the padding of each row and the tokens that the SAE was not trained on, of the first pass. Rows that are
    not `on` are left alone altogether.
    """

    features: Int[Tensor, "batch chosen"]
    amounts: Float[Tensor, "batch chosen"]
    on: Bool[Tensor, " batch"]
    before: Int[Tensor, " batch"]


def edit_features(sae: Coder, action: Action, wanted: Features, *, centred: bool = False) -> Edit:
    """Return an edit that reads the features of the stream, and ablates, clamps or replaces by them.

    Model, hook and SAE may lie on several devices.

    With f = encode(x) and f' as the action wants it, `ablate` and `clamp` give x + decode(f') - decode(f), which is
    x + (f'_i - f_i) W_dec[i] for an SAE that decodes without a scale, and `replace` gives decode(f'). A stream that
    the SAE reads `centred` has the mean of each token taken out before it is encoded; it is put back by `replace`.
    """
    passes = 0

    def edit(x: Float[Tensor, "batch pos d_in"], hook: object) -> Float[Tensor, "batch pos d_in"]:
        nonlocal passes
        del hook
        position = torch.arange(x.shape[1], device=x.device)[None, :]
        first = passes == 0
        passes += 1
        on, before = wanted.on.to(x.device), wanted.before.to(x.device)
        row, at = (on[:, None] & ((position >= before[:, None]) | (not first))).nonzero(as_tuple=True)
        edited = x.clone()
        at_once = max(1, _DENSE_BYTES // (4 * len(sae.W_dec)))
        for start in range(0, len(row), at_once):
            rows, places = row[start : start + at_once], at[start : start + at_once]
            edited[rows, places] = changed(x[rows, places], rows).to(x)
        return edited

    def changed(x: Float[Tensor, "rows d_in"], rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows d_in"]:
        mean = x.float().mean(-1, keepdim=True) if centred else torch.zeros_like(x[:, :1], dtype=torch.float32)
        f = sae.encode((x.float() - mean).to(sae.W_dec))
        features = wanted.features[rows.to(wanted.features.device)].to(f.device)
        amounts = wanted.amounts[rows.to(wanted.amounts.device)].to(sae.W_dec)
        more = amounts if action == "replace" else amounts - f.gather(-1, features)
        moved = torch.einsum("rc,rcd->rd", more, sae.W_dec[features]).float()
        without = sae.decode(f).float() if action == "replace" else torch.zeros_like(moved)
        return (moved + without).to(x.device) + (mean if action == "replace" else x.float())

    return edit


def equal_norm(vector: Float[Tensor, " d_in"], like: Float[Tensor, " d_in"]) -> Float[Tensor, " d_in"]:
    """Return `vector` at the length of `like`."""
    own, wanted = length(vector), length(like)
    if not own > 0:
        raise ValueError("a vector of length 0 cannot be given another length; its decoder rows cancel or are 0")
    return (vector.double() * (wanted / own)).to(vector.dtype)


def length(vector: Float[Tensor, " d_in"]) -> float:
    """Return the length of a vector."""
    return math.sqrt(float(vector.double().square().sum()))


class SteeringError(ValueError):
    """A steering experiment names features that do not exist, or leaves none to draw controls from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Treatment:
    """A treatment is what one arm does at the hook: `amounts` are of its features, `change` is their sum of rows."""

    arm: Arm
    features: tuple[int, ...]
    strength: float
    amounts: tuple[float, ...]
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
        weights = self.steering.weights or (1.0,) * len(self.steering.features)
        if self.steering.action == "ablate":
            weights = (0.0,) * len(weights)
        direction = self._sum(self.steering.features, weights)
        arms: list[tuple[Arm, tuple[int, ...], tuple[float, ...], Tensor]]
        arms = [("steered", self.steering.features, weights, direction)]
        for one in self.random_sets:
            theirs, own = self._sum(one, weights), weights
            if self.steering.action in ("steer", "replace"):
                theirs = equal_norm(theirs, direction)
                own = tuple(weight * length(theirs) / length(self._sum(one, weights)) for weight in weights)
            arms.append(("random", one, own, theirs))
        changed = [
            Treatment(
                arm=arm,
                features=features,
                strength=strength,
                amounts=tuple(strength * weight for weight in own),
                change=strength * along,
            )
            for strength in self.steering.strengths
            for arm, features, own, along in arms
        ]
        still: list[Arm] = ["unsteered", "rebuilt"] if self.steering.action == "replace" else ["unsteered"]
        nothing = torch.zeros_like(direction)
        without = (Treatment(arm=arm, features=(), strength=0.0, amounts=(), change=nothing) for arm in still)
        return *without, *changed

    def _sum(self, features: Sequence[int], weights: Sequence[float]) -> Float[Tensor, " d_in"]:
        rows = self.directions[list(features)]
        return rows.sum(0) if {*weights} == {1.0} else (rows * torch.tensor(weights).to(rows)[:, None]).sum(0)

    @cached_property
    def random_sets(self) -> tuple[tuple[int, ...], ...]:
        """Draw different sets of as many features as were chosen from the seed, alive and none of those."""
        size, wanted = len(self.steering.features), self.steering.random_features
        pool = [feature for feature in self.alive if feature not in self.steering.features]
        if math.comb(len(pool), size) < wanted:
            raise SteeringError(
                f"{len(pool)} features of {self.subject} beside the chosen ones fire on the prompts; "
                f"{wanted} different random sets of {size} need more: give more prompts, or lower random_features"
            )
        generator = np.random.default_rng([self.steering.seed, size])
        found: dict[tuple[int, ...], None] = {}
        while len(found) < wanted:
            found[tuple(sorted(generator.choice(pool, size=size, replace=False).tolist()))] = None
        return tuple(found)
