"""Thresholds: which features lie so close to firing, or to not firing, that rounding decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saeprobe.subject.running.sae import Sae

_DEVIATIONS = 4  # of a rounding error that points in no particular direction; beyond them lies 1 in 16,000


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """The thresholds of an SAE's features and how far rounding may move each feature before its own.

    A rounding error of length t * |x| in no particular direction moves the pre-activation x @ W_enc[:, i] by
    t * |x| * |W_enc[:, i]| / sqrt(d_in) (one standard deviation).

    Attributes:
        sae: a standard (ReLU) or JumpReLU SAE; in the others a feature has no threshold of its own.
        tolerance: t, the rounding error as a share of the stream's norm.
        level: the thresholds, 0 for ReLU.
        norms: |W_enc[:, i]| / sqrt(d_in).
    """

    sae: Sae
    tolerance: float
    level: Float[Tensor, " d_sae"] | float
    norms: Float[Tensor, " d_sae"]

    def encode(self, x: Float[Tensor, "rows d_in"]) -> tuple[Float[Tensor, "rows d_sae"], Bool[Tensor, "rows d_sae"]]:
        """The features of x, and which of them are near their threshold."""
        kept: list[Tensor] = []

        def keep(module: object, inputs: object, output: Tensor) -> None:
            del module, inputs
            kept.append(output)

        handle = cast(Any, self.sae).hook_sae_acts_pre.register_forward_hook(keep)
        try:
            acts = self.sae.encode(x)
        finally:
            handle.remove()
        length = x.square().sum(-1, keepdim=True).sqrt()
        reach = _DEVIATIONS * self.tolerance * length * self.norms
        return acts, (kept[0] - self.level).abs() <= reach


def thresholds_of(sae: Sae, *, tolerance: float) -> Thresholds | None:
    """The thresholds of an SAE; None for an architecture whose features have none of their own (such as TopK)."""
    architecture = sae.cfg.architecture()
    if architecture not in ("standard", "jumprelu"):
        return None
    with torch.no_grad():
        encoder = cast(Tensor, sae.W_enc)
        return Thresholds(
            sae=sae,
            tolerance=tolerance,
            level=cast(Any, sae).threshold if architecture == "jumprelu" else 0.0,
            norms=(encoder.square().mean(0)).sqrt(),
        )
