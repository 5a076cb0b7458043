"""Models through TransformerLens: GPT-2 and what else is read with centred writing weights, whole in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from saeprobe.subject.running.batches import Run, check_runs, pad, run_in_batches
from saeprobe.subject.running.steering import add
from saeprobe.subject.specification import Share


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


class _Loader(Protocol):
    """The one class method used of transformers' automatic classes, which carry no usable types."""

    def from_pretrained(self, name: str, **options: object) -> Any: ...


class _Boot(Protocol):
    """`TransformerBridge.boot_transformers`, whose own types are partly unknown."""

    def __call__(
        self, model_name: str, *, hf_model: object, tokenizer: object, device: str, dtype: torch.dtype
    ) -> TransformerBridge: ...


def open_bridge(
    model: Path, *, center_writing_weights: bool, device: str, dtype: torch.dtype, drawn: int | None = None
) -> TransformerBridge:
    """Return the model with its hook points, its logits those of the raw weights.

    Only the writing weights may be centred: LayerNorm is not folded in and the unembedding is not centred, so the
    residual stream at `blocks.N.hook_resid_pre` is transformers' `hidden_states[N]`, minus its mean over `d_model`
    when `center_writing_weights` is set. SAEs such as `gpt2-small-res-jb` were trained on the centred stream and are
    silently wrong on the other.

    A folder, never a name: with a name, huggingface_hub 1 fetches a list from its site to describe the caller, also
    under `local_files_only`. Names are looked up in the Hub's cache by `saeprobe.subject.weights.model_folder`.

    Args:
        model: A folder in Hugging Face format: weights, config and tokenizer.
        center_writing_weights: As in the SAE's `model_from_pretrained_kwargs`.
        device: Where the weights go, as torch writes it: `"cpu"`, `"cuda:0"`.
        dtype: What the model computes in, whatever its file stores.
        drawn: The seed with which the weights are drawn as before a training; None reads them.

    Raises:
        FileNotFoundError: no folder is there.
    """
    if not model.is_dir():
        raise FileNotFoundError(f"no model folder at {model}; wanted one with config.json and model.safetensors")
    name = str(model)
    # Loaded here, not by boot_transformers: its own loading has no local_files_only and asks the Hub for a token.
    hf_model = _read(name, dtype) if drawn is None else _drawn(name, dtype, seed=drawn)
    tokenizer = cast(_Loader, AutoTokenizer).from_pretrained(name, local_files_only=True)
    hf_model.to(device).eval()
    boot = cast(_Boot, cast(Any, TransformerBridge).boot_transformers)
    bridge = boot(name, hf_model=hf_model, tokenizer=tokenizer, device=device, dtype=dtype)
    bridge.enable_compatibility_mode(
        disable_warnings=True,
        fold_ln=False,
        center_writing_weights=center_writing_weights,
        center_unembed=False,
        fold_value_biases=False,
    )
    return bridge


def _read(name: str, dtype: torch.dtype) -> Any:
    return cast(_Loader, AutoModelForCausalLM).from_pretrained(
        name, dtype=dtype, attn_implementation="eager", local_files_only=True
    )


def _drawn(name: str, dtype: torch.dtype, *, seed: int) -> Any:
    """The architecture with the weights that transformers gives it before a training; always drawn on the CPU.

    They are drawn by torch's own generator, the only one that transformers uses; its state is put back.
    """
    config = cast(_Loader, AutoConfig).from_pretrained(name, local_files_only=True)
    with cast(Any, torch.random).fork_rng(devices=[]):
        cast(Any, torch).default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return cast(Any, AutoModelForCausalLM).from_config(config, dtype=dtype, attn_implementation="eager")
