"""Models through TransformerLens: GPT-2 and what else is read with centred writing weights, whole in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from saeprobe.interventions import add
from saeprobe.subject.protocol import Share
from saeprobe.subject.running.batches import check_runs, pad, run_in_batches
from saeprobe.subject.running.stream import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class BridgeModel:
    """A model behind a TransformerLens bridge. `hook_name` is where it is steered, `n_layers` its number of blocks."""

    bridge: TransformerBridge
    hook_name: str
    n_layers: int
    device: str

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Mapping[int, Float[Tensor, "pos d_in"]]]]:
        """The streams of each run by depth, the longest runs first; see `ResidualStream`."""
        check_runs(runs, depth=self.n_layers)
        yield from run_in_batches(runs, self._forward, batch_size=batch_size, where=self.device, progress=progress)

    @torch.no_grad()
    def _forward(self, runs: Sequence[Run]) -> list[dict[int, Float[Tensor, "pos d_in"]]]:
        """One batch, padded on the right, where causal attention cannot see it from any token of a text."""
        batch = pad([run.ids for run in runs], side="right", device=self.device)
        streams = self._streams(batch.ids, batch.mask, sorted({depth for run in runs for depth in run.depths}))
        unpadded = {depth: batch.without_padding(states) for depth, states in streams.items()}
        return [{depth: unpadded[depth][row] for depth in run.depths} for row, run in enumerate(runs)]

    def _streams(self, ids: Tensor, mask: Tensor, depths: Sequence[int]) -> dict[int, Float[Tensor, "batch pos d_in"]]:
        """By depth, stopped at the deepest: that one is what the next block would receive."""
        kept: dict[int, Tensor] = {}

        def keeper(depth: int) -> Any:
            def keep(value: Tensor, hook: object) -> None:
                del hook
                kept[depth] = value

            return keep

        run = cast(Any, self.bridge)
        last = depths[-1] if depths[-1] < self.n_layers else None
        hooks = [(self._hook(depth), keeper(depth)) for depth in depths if depth != last]
        with run.hooks(fwd_hooks=hooks):
            stopped = run(ids, attention_mask=mask, **({} if last is None else {"stop_at_layer": last}))
        if last is not None:
            kept[last] = stopped
        return kept

    def _hook(self, depth: int) -> str:
        last = self.n_layers
        return f"blocks.{depth}.hook_resid_pre" if depth < last else f"blocks.{last - 1}.hook_resid_post"

    def speaker(self) -> BridgeSpeaker:
        """The whole model, to write continuations with."""
        return BridgeSpeaker(bridge=self.bridge, hook_name=self.hook_name, device=self.device)


@dataclass(frozen=True, kw_only=True, eq=False)
class BridgeSpeaker:
    """The bridge's own model as a writer of text.

    It is run, hooks and all, since it is the one whose stream is centred like the SAE's; on raw weights the same edit
    gives the same logits, as the mean that it would leave in the stream is removed by LayerNorm.
    """

    bridge: TransformerBridge
    hook_name: str
    device: str

    @property
    def model(self) -> Any:
        """The causal language model of transformers."""
        return cast(Any, self.bridge.original_model)

    def steered(self, change: Float[Tensor, "batch d_in"]) -> AbstractContextManager[object]:
        """While entered, `change` is added to the stream at the hook, at every position."""
        return cast(Any, self.bridge).hooks(fwd_hooks=[(self.hook_name, add(change))])
