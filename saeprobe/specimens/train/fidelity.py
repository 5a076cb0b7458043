"""How well a model knows its corpus, and how well the SAE stands in for the residual stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from saeprobe.specimens.train.model import padded

if TYPE_CHECKING:
    from sae_lens import SAE

Replace = Callable[[Float[Tensor, "batch pos d_in"]], Float[Tensor, "batch pos d_in"]]


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
    bridge: TransformerBridge,
    documents: Sequence[Sequence[int]],
    *,
    bos: int,
    hook_name: str | None = None,
    replace: Replace | None = None,
    end_of_text: bool = True,
    batch: int = 64,
) -> tuple[list[float], list[int]]:
    """Return the nats of each document and the tokens they are for: all its tokens and the end of text after them.

    Without ``end_of_text`` the documents are taken as beginnings, and only their own tokens count.

    Where ``replace`` is given, the residual stream at ``hook_name`` is replaced by what it returns, at all positions
    but BOS.
    """
    nats: list[float] = []
    counts: list[int] = []

    def splice(stream: Tensor, hook: object) -> Tensor:
        del hook
        if replace is None:
            return stream
        return torch.cat([stream[:, :1], replace(stream[:, 1:])], dim=1)

    hooks = [(hook_name, splice)] if replace is not None else []
    for start in range(0, len(documents), batch):
        chosen = [[*document, bos] if end_of_text else document for document in documents[start : start + batch]]
        ids, lengths = padded(chosen, bos=bos)
        logits = cast(Any, bridge).run_with_hooks(ids, fwd_hooks=hooks)
        log_probs = logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
        for row, length in enumerate(int(length) for length in lengths):
            nats.append(-float(log_probs[row, : length - 1].sum()))
            counts.append(length - 1)
    return nats, counts
