"""How well a model knows its corpus, and how well the SAE stands in for the residual stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from studies.specimens.train.hooked import Hooked, Replace
from studies.specimens.train.model import padded

if TYPE_CHECKING:
    from sae_lens import SAE


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """An SAE's quality on a set of tokens, BOS excluded.

    ``variance_explained`` is 1 - sum |x - x'|^2 / sum |x - mean(x)|^2 over all tokens and dimensions; ``l0`` the mean
    number of features above zero a token; ``dead`` the share of features above zero on none of the tokens.
    """

    variance_explained: float
    l0: float
    dead: float
    residual_norm: float
    tokens: int


@torch.no_grad()
def reconstruction(sae: SAE[Any], samples: Float[Tensor, "tokens d_in"], *, batch: int = 8192) -> Reconstruction:
    """Measure the SAE on residuals of tokens other than BOS."""
    mean = samples.mean(0)
    error = variance = active = 0.0
    fired = torch.zeros(sae.cfg.d_sae, dtype=torch.bool)
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        features = sae.encode(part)
        error += float((part - sae.decode(features)).pow(2).sum())
        variance += float((part - mean).pow(2).sum())
        active += float((features > 0).sum())
        fired |= (features > 0).any(0)
    return Reconstruction(
        variance_explained=1.0 - error / variance,
        l0=active / len(samples),
        dead=1.0 - float(fired.float().mean()),
        residual_norm=float(samples.square().sum(-1).sqrt().mean()),
        tokens=len(samples),
    )


@torch.no_grad()
def document_losses(
    model: Hooked,
    documents: Sequence[Sequence[int]],
    *,
    bos: int,
    replace: Replace | None = None,
    batch: int = 64,
) -> tuple[list[float], list[int]]:
    """Return the nats of each document's tokens behind a BOS, and the number of these tokens.

    Where ``replace`` is given, the residual stream at the hook point is replaced by what it returns, at all positions
    but BOS.
    """
    nats: list[float] = []
    counts: list[int] = []
    for start in range(0, len(documents), batch):
        ids, lengths = padded(documents[start : start + batch], bos=bos)
        logits = model.logits(ids, replace=replace)
        log_probs = logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
        for row, length in enumerate(int(length) for length in lengths):
            nats.append(-float(log_probs[row, : length - 1].sum()))
            counts.append(length - 1)
    return nats, counts
