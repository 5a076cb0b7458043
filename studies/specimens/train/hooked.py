"""A trained model as the card's figures need it, whichever library runs it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import LlamaForCausalLM

Replace = Callable[[Float[Tensor, "batch pos d_in"]], Float[Tensor, "batch pos d_in"]]


class Hooked(Protocol):
    """A causal language model with one hook point in its residual stream."""

    def stream(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_in"]:
        """Return the residual stream at the hook point."""
        ...

    def logits(
        self, ids: Int[Tensor, "batch pos"], *, replace: Replace | None = None
    ) -> Float[Tensor, "batch pos vocabulary"]:
        """Return the logits, the stream at the hook point replaced where asked, at all positions but the first."""
        ...


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
        """Return the logits; see ``Hooked``."""

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
        """Return the logits; see ``Hooked``."""
        model = cast(Any, self.model)
        if replace is None:
            return model(input_ids=ids, use_cache=False).logits
        with _replaced(model.model.layers[self.layer], replace):
            return model(input_ids=ids, use_cache=False).logits


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
