"""A trained model is read at one hook point: its residual stream, its losses, and how well the SAE stands in for it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from tqdm import tqdm
from transformer_lens.model_bridge import TransformerBridge
from transformers import LlamaForCausalLM

from saeprobe.shapes import Float, Int
from studies.specimens.train.model import padded

if TYPE_CHECKING:
    from sae_lens import SAE

Replace = Callable[[Float[Tensor, "batch pos d_in"]], Float[Tensor, "batch pos d_in"]]


@dataclass(frozen=True, kw_only=True)
class HookedBridge:
    """A model behind a TransformerLens bridge; its hook point is ``blocks.<layer>.hook_resid_pre``."""

    bridge: TransformerBridge
    layer: int

    @torch.no_grad()
    def stream(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_in"]:
        """Return the stream before block ``layer``, which is as far as the model is run."""
        return self.bridge(ids, stop_at_layer=self.layer)

    @torch.no_grad()
    def logits(
        self, ids: Int[Tensor, "batch pos"], *, replace: Replace | None = None
    ) -> Float[Tensor, "batch pos vocabulary"]:
        """Return the logits, the stream at the hook point replaced where asked, at all positions but the first."""

        def splice(stream: Tensor, hook: object) -> Tensor:
            del hook
            return stream if replace is None else _but_the_first(stream, replace)

        hooks = [(f"blocks.{self.layer}.hook_resid_pre", splice)] if replace is not None else []
        return cast(Any, self.bridge).run_with_hooks(ids, fwd_hooks=hooks)


@dataclass(frozen=True, kw_only=True)
class HookedLlama:
    """A Llama of transformers; its hook point is the output of block ``layer``, ``blocks.<layer>.hook_resid_post``."""

    model: LlamaForCausalLM
    layer: int

    @torch.no_grad()
    def stream(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_in"]:
        """Return the stream after block ``layer``."""
        decoder = cast(Any, self.model).model
        if self.layer + 1 == len(decoder.layers):
            # The last of transformers' hidden states is after the final norm.
            raise ValueError(f"block {self.layer} is the last one; read the stream after one before it")
        return decoder(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[self.layer + 1]

    @torch.no_grad()
    def logits(
        self, ids: Int[Tensor, "batch pos"], *, replace: Replace | None = None
    ) -> Float[Tensor, "batch pos vocabulary"]:
        """Return the logits, the stream at the hook point replaced where asked, at all positions but the first."""
        model = cast(Any, self.model)
        if replace is None:
            return model(input_ids=ids, use_cache=False).logits
        with _replaced(model.model.layers[self.layer], replace):
            return model(input_ids=ids, use_cache=False).logits


Hooked = HookedBridge | HookedLlama
"""A causal language model has one hook point in its residual stream."""


@contextmanager
def _replaced(block: torch.nn.Module, replace: Replace) -> Generator[None]:
    """Replace what the block puts out while entered. In transformers 5 a block returns a tensor, not a tuple."""

    def hook(module: object, args: object, output: Tensor) -> Tensor:
        del module, args
        return _but_the_first(output, replace)

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _but_the_first(stream: Float[Tensor, "batch pos d_in"], replace: Replace) -> Float[Tensor, "batch pos d_in"]:
    return torch.cat([stream[:, :1], replace(stream[:, 1:])], dim=1)


@torch.no_grad()
def residuals(
    model: Hooked, documents: Sequence[Sequence[int]], *, bos: int, batch: int = 128, progress: bool = False
) -> list[Float[Tensor, "pos d_in"]]:
    """Return the stream at the hook point of every document, its BOS left out.

    Documents are run in order of length; padding stands to the right, where a causal model does not look.
    """
    order = sorted(range(len(documents)), key=lambda at: len(documents[at]))
    found: dict[int, Tensor] = {}
    for start in tqdm(range(0, len(order), batch), desc="activations", unit="batch", disable=not progress):
        chosen = order[start : start + batch]
        ids, lengths = padded([documents[at] for at in chosen], bos=bos)
        stream = model.stream(ids)
        for row, at in enumerate(chosen):
            found[at] = stream[row, 1 : int(lengths[row])].clone()
    return [found[at] for at in range(len(documents))]


def shuffled_batches(
    samples: Float[Tensor, "samples d_in"], *, size: int, generator: torch.Generator
) -> Iterator[Float[Tensor, "size d_in"]]:
    """Yield batches without end, each pass over the samples in a new order; a last partial batch is left out."""
    while True:
        order = torch.randperm(len(samples), generator=generator)
        for start in range(0, len(order) - size + 1, size):
            yield samples[order[start : start + size]]


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """A reconstruction states an SAE's quality on a set of tokens, BOS excluded.

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
    model: Hooked, documents: Sequence[Sequence[int]], *, bos: int, replace: Replace | None = None, batch: int = 64
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
