"""Opening brings a subject from its files into memory: by transformers in layers, or whole by TransformerLens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer

from saeprobe.subject.files.tokenizer import ends_of
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.pairing import Located, Pairing
from saeprobe.subject.running.batches import Batch, ResidualStream, Run, Streams, check_runs, run_in_batches
from saeprobe.subject.running.dictionary import load_sae, thresholds_of
from saeprobe.subject.running.guard import foreign, from_files, load
from saeprobe.subject.running.layers import LayersModel, LayersSpeaker, open_speaker, open_stack
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.steering import add
from saeprobe.subject.running.streamed import open_sweep
from saeprobe.subject.running.tokens import load_tokenizer
from saeprobe.subject.running.untrained import drawn_whole
from saeprobe.subject.specification import Dtype, Share, SubjectSpec, tolerance_of


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An opening holds all that is decided before a subject is loaded."""

    spec: SubjectSpec
    located: Located
    plan: MemoryPlan  # where the weights lie
    dtype: Dtype  # what the model computes in
    plan_to_speak: Callable[[], MemoryPlan]  # where the weights would lie with all layers, if it comes to writing text

    @property
    def tolerance(self) -> float:
        """Return by how much rounding may move the stream at the hook, as a share of its norm."""
        return tolerance_of(self.dtype, depth=self.located.pairing.depth)


def open_reader(opening: Opening) -> SaeReader:
    """Load model and SAE."""
    # The memory plan counts GPUs as nvidia-smi does; CUDA, which reads this when it is first used, by speed otherwise.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    found = opening.located
    if found.pairing.family == "bridge":
        model: Model = bridge_model(found.model, found.pairing, device=opening.plan.device, dtype=opening.dtype)
    else:
        model = _layers(opening)
    tokenizer = load_tokenizer(found.model, found.pairing)
    vocabulary = found.shape.vocabulary or len(tokenizer)
    sae = load_sae(opening.spec, found.sae, found.pairing, device=opening.plan.sae_device)
    return SaeReader(
        name=opening.spec.name,
        model=model,
        tokenizer=tokenizer,
        sae=sae,
        thresholds=thresholds_of(sae, tolerance=opening.tolerance),
        pairing=found.pairing,
        ends=partial(ends_of, found.model, vocabulary=vocabulary, eos=tokenizer.eos_token_id),
    )


def _layers(opening: Opening) -> Model:
    found, plan = opening.located, opening.plan

    def read() -> ResidualStream:
        depth = max(1, found.depth)
        if plan.kind == "streamed":
            return open_sweep(found.model, depth=depth, dtype=opening.dtype, device=plan.device)
        return open_stack(
            found.model,
            depth=depth,
            dtype=opening.dtype,
            device=plan.device,
            max_memory=plan.max_memory,
            quantisation=plan.quantisation,
        )

    def speak() -> LayersSpeaker:
        return open_speaker(
            found.model, opening.plan_to_speak, depth=found.pairing.depth, dtype=opening.dtype, name=opening.spec.name
        )

    return LayersModel(
        device=plan.device,
        one_by_one=plan.quantisation is not None,
        centred=found.pairing.center_writing_weights,
        read=read,
        speak=speak,
    )


def bridge_model(folder: Path, pairing: Pairing, *, device: str, dtype: Dtype, drawn: int | None = None) -> BridgeModel:
    """Return the model in a folder through TransformerLens; with a seed in `drawn` its weights are random."""
    bridge = open_bridge(folder, center_writing_weights=False, device=device, dtype=dtype, drawn=drawn)
    return BridgeModel(bridge=bridge, hook_name=pairing.hook_name, n_layers=pairing.n_layers, device=device)


@dataclass(frozen=True, kw_only=True, eq=False)
class BridgeModel:
    """A model behind a TransformerLens bridge is read and speaks whole; `hook_name` is where it is steered."""

    bridge: TransformerBridge
    hook_name: str
    n_layers: int
    device: str

    @property
    def model(self) -> Any:
        """Return the causal language model of transformers."""
        return cast(Any, self.bridge.original_model)

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Streams]]:
        """Give the streams of each run, the longest runs first; see `ResidualStream`."""
        check_runs(runs, depth=self.n_layers)
        # On the right causal attention cannot see the padding from any token of a text.
        yield from run_in_batches(
            runs, self._forward, side="right", device=self.device, batch_size=batch_size, progress=progress
        )

    @torch.no_grad()
    def _forward(self, batch: Batch, depths: Sequence[int]) -> dict[int, Float[Tensor, "batch pos d_in"]]:
        # A run stopped at a layer returns what that layer would receive: that is the stream at the deepest depth.
        last = depths[-1] if depths[-1] < self.n_layers else None
        kept: dict[int, Tensor] = {}

        def keeper(depth: int) -> tuple[str, Callable[[Tensor, object], None]]:
            name = f"blocks.{depth}.hook_resid_pre"
            if depth == self.n_layers:
                name = f"blocks.{depth - 1}.hook_resid_post"

            def keep(value: Tensor, hook: object) -> None:
                del hook
                kept[depth] = value

            return name, keep

        bridge = cast(Any, self.bridge)
        with bridge.hooks(fwd_hooks=[keeper(depth) for depth in depths if depth != last]):
            stopped = bridge(batch.ids, attention_mask=batch.mask, **({} if last is None else {"stop_at_layer": last}))
        if last is not None:
            kept[last] = stopped
        return kept

    def speaker(self) -> BridgeModel:
        """Return itself, to write continuations with."""
        return self

    def steered(self, change: Float[Tensor, "batch d_in"]) -> AbstractContextManager[object]:
        """Add `change` to the stream at the hook, at every position, while entered."""
        return cast(Any, self.bridge).hooks(fwd_hooks=[(self.hook_name, add(change))])


def open_bridge(
    model: Path, *, center_writing_weights: bool, device: str, dtype: Dtype, drawn: int | None = None
) -> TransformerBridge:
    """Return the model with its hook points, its logits those of the raw weights.

    Only the writing weights may be centred: LayerNorm is not folded in and the unembedding is not centred, so the
    residual stream at `blocks.N.hook_resid_pre` is transformers' `hidden_states[N]`, minus its mean over `d_model`
    when `center_writing_weights` is set. SAEs such as `gpt2-small-res-jb` were trained on the centred stream and are
    silently wrong on the other.

    `model` is a folder in Hugging Face format, never a name: with a name, huggingface_hub 1 fetches a list from its
    site to describe the caller, also under `local_files_only`. With a seed in `drawn` the weights are drawn as before a
    training; None reads them.
    """
    if not model.is_dir():
        raise FileNotFoundError(f"no model folder at {model}; wanted one with config.json and model.safetensors")
    # Loaded here, not by boot_transformers: its own loading has no local_files_only and asks the Hub for a token.
    if drawn is None:
        hf_model = load(AutoModelForCausalLM, model, dtype=dtype, attn_implementation="eager")
    else:
        hf_model = drawn_whole(model, dtype, seed=drawn, attention="eager").eval()
    boot = cast(Any, TransformerBridge).boot_transformers
    with foreign(model, "the model, for TransformerLens,"):
        tokenizer = from_files(AutoTokenizer, model, "the tokenizer")
        hf_model.to(device)
        bridge = boot(str(model), hf_model=hf_model, tokenizer=tokenizer, device=device, dtype=getattr(torch, dtype))
        bridge.enable_compatibility_mode(
            disable_warnings=True,
            fold_ln=False,
            center_writing_weights=center_writing_weights,
            center_unembed=False,
            fold_value_biases=False,
        )
    return bridge
