"""Opening brings a subject from its files into memory: by transformers in layers, or whole by TransformerLens."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer

from saeprobe.shapes import Float, Int
from saeprobe.subject.files import LAYOUTS, is_read
from saeprobe.subject.files.tokenizer import ends_of
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.pairing import Located
from saeprobe.subject.running import Batch, ByRun, ResidualStream, Run, pad, run_in_batches
from saeprobe.subject.running.dictionary import load_sae, thresholds_of
from saeprobe.subject.running.editing import Edit
from saeprobe.subject.running.layers import LayersModel, LayerStack, centred, open_speaker, open_stack, stream_of
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.streamed import empty_model, open_sweep
from saeprobe.subject.running.tokens import load_tokenizer
from saeprobe.subject.running.weights import Draw, drawn_whole, foreign, from_files, load, random_draw
from saeprobe.subject.specification import Dtype, Share, SubjectError, tolerance_of

# How far the bridge's stream may be from transformers' own, as a share of its length. `tolerance_of` is for the same
# operations in another order; the bridge also rounds in other places, such as inside its attention. A family that it
# computes otherwise (Cohere, BitNet, the first GPT) is 0.3 and more away after one block.
_ALIKE: Final[dict[Dtype, float]] = {"float32": 1e-3, "float16": 0.0125, "bfloat16": 0.1}


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An opening holds all that is decided before a subject is loaded."""

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
    found, pairing = opening.located, opening.located.pairing
    tokenizer = load_tokenizer(found.model, pairing)
    vocabulary = pairing.shape.vocabulary or len(tokenizer)
    sae = load_sae(found, device=opening.plan.sae_device)
    return SaeReader(
        name=pairing.spec.name,
        model=open_model(opening, opening.plan),
        tokenizer=tokenizer,
        sae=sae,
        thresholds=thresholds_of(sae, tolerance=opening.tolerance),
        pairing=pairing,
        ends=partial(ends_of, found.model, vocabulary=vocabulary, eos=tokenizer.eos_token_id),
    )


def open_model(opening: Opening, plan: MemoryPlan, *, drawn: int | None = None) -> Model:
    """Open the model where a plan puts it; with a seed in `drawn` its weights are random, and none is read."""
    found, pairing, depth = opening.located, opening.located.pairing, max(1, opening.located.depth)
    if pairing.shape.family == "bridge":
        bridge = open_bridge(
            found.model, center_writing_weights=False, device=plan.device, dtype=opening.dtype, drawn=drawn
        )
        return BridgeModel(
            bridge=bridge, hook_name=pairing.hook_name, n_layers=pairing.shape.layers, device=plan.device
        )

    def read() -> ResidualStream:
        if drawn is not None:
            draw = random_draw(found.model, seed=drawn, dtype=opening.dtype)
            return open_random_layers(found.model, draw, plan=plan, depth=depth, dtype=opening.dtype)
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

    return LayersModel(
        device=plan.device,
        one_by_one=plan.quantisation is not None,
        centred=pairing.center_writing_weights,
        read=read,
        speak=lambda: open_speaker(
            found.model, opening.plan_to_speak, depth=pairing.depth, dtype=opening.dtype, name=pairing.spec.name
        ),
    )


def open_random_layers(folder: Path, draw: Draw, *, plan: MemoryPlan, depth: int, dtype: Dtype) -> ResidualStream:
    """Draw the embedding and the layers before `depth`.

    They are resident where the trained model is. A model that several GPUs share is drawn a layer at a time on the
    first: the drawing is what takes time, and the others would not make it faster.
    """
    if plan.kind != "resident":
        return open_sweep(folder, depth=depth, dtype=dtype, device=plan.device, draw=draw)
    model, to = empty_model(folder, depth=depth, dtype=dtype, device=plan.device), getattr(torch, dtype)
    state = cast("dict[str, Tensor]", model.state_dict()).items()
    drawn = {
        name: draw(name, tuple(one.shape)).to(device=plan.device, dtype=to) for name, one in state if is_read(name)
    }
    model.load_state_dict(drawn, assign=True)
    return LayerStack(model=model.requires_grad_(requires_grad=False), depth=depth)


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

    def run(self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None) -> ByRun:
        """Give the streams of each run, the longest runs first; see `ResidualStream`."""
        yield from run_in_batches(runs, self.streams, device=self.device, batch_size=batch_size, progress=progress)

    @torch.no_grad()
    def streams(self, batch: Batch, depths: Sequence[int]) -> dict[int, Float[Tensor, "batch pos d_in"]]:
        """Give the streams of a batch at ascending depths."""
        # A run stopped at a layer returns what that layer would receive: that is the stream at the deepest depth.
        last = depths[-1] if depths[-1] < self.n_layers else None
        kept: dict[int, Tensor] = {}

        def keep(depth: int, value: Tensor, hook: object) -> None:
            del hook
            kept[depth] = value

        names = {depth: f"blocks.{depth}.hook_resid_pre" for depth in depths if depth != last}
        if self.n_layers in names:
            names[self.n_layers] = f"blocks.{self.n_layers - 1}.hook_resid_post"
        bridge = cast(Any, self.bridge)
        with bridge.hooks(fwd_hooks=[(name, partial(keep, depth)) for depth, name in names.items()]):
            stopped = bridge(batch.ids, attention_mask=batch.mask, **({} if last is None else {"stop_at_layer": last}))
        if last is not None:
            kept[last] = stopped
        return kept

    def speaker(self) -> BridgeModel:
        """Return itself, to write continuations with."""
        return self

    @property
    def centred(self) -> bool:
        """Return that the stream is as its SAE reads it."""
        return False

    def steered(self, edit: Edit) -> AbstractContextManager[object]:
        """Give the stream at the hook to `edit` and go on with what that returns, while entered."""
        return cast(Any, self.bridge).hooks(fwd_hooks=[(self.hook_name, edit)])


def open_bridge(
    model: Path, *, center_writing_weights: bool, device: str, dtype: Dtype, drawn: int | None = None
) -> TransformerBridge:
    """Return the model with its hook points, its logits those of the raw weights.

    Only the writing weights may be centred: LayerNorm is not folded in and the unembedding is not centred, so the
    residual stream at `blocks.N.hook_resid_pre` is transformers' `hidden_states[N]`, minus its mean over `d_model`
    when `center_writing_weights` is set. SAEs such as `gpt2-small-res-jb` were trained on the centred stream and are
    silently wrong on the other. A few tokens are run through transformers itself and through the bridge, and a model
    is refused whose streams are not the same: there are families that TransformerLens takes and computes otherwise.

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
    hf_model.to(device)
    ids = torch.arange(1, 9, device=device)[None] % hf_model.config.get_text_config().vocab_size
    with foreign(model, "the model"):
        wanted = _states_of(hf_model, ids)  # before it is wrapped, and its weights are centred
    with foreign(model, "the model, for TransformerLens,"):
        tokenizer = from_files(AutoTokenizer, model, "the tokenizer")
        bridge = boot(str(model), hf_model=hf_model, tokenizer=tokenizer, device=device, dtype=getattr(torch, dtype))
        bridge.enable_compatibility_mode(
            disable_warnings=True,
            fold_ln=False,
            center_writing_weights=center_writing_weights,
            center_unembed=False,
            fold_value_biases=False,
        )
        found = _bridged(bridge, ids, n_layers=len(wanted) - 1)
    wanted = [centred(one) for one in wanted] if center_writing_weights else wanted
    _check_bridge(model, found, wanted, tolerance=_ALIKE[dtype])
    return bridge


@torch.no_grad()
def _states_of(hf_model: Any, ids: Int[Tensor, "1 pos"]) -> list[Float[Tensor, "1 pos d_in"]]:
    """Return the stream at every depth by transformers' own forward; what is before the final norm, at the last too."""
    last: list[Tensor] = []
    n_layers = hf_model.config.get_text_config().num_hidden_layers
    lists = [one for one in hf_model.modules() if isinstance(one, torch.nn.ModuleList) and len(one) == n_layers]
    if not lists:
        raise SubjectError(
            f"{type(hf_model).__name__} has no list of {n_layers} blocks; name a model of another family"
        )
    with lists[0][-1].register_forward_hook(lambda _, __, output: last.append(stream_of(output))):
        states = hf_model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
    return [*states[:n_layers], last[0]]


def _bridged(bridge: Any, ids: Int[Tensor, "1 pos"], *, n_layers: int) -> list[tuple[int, Tensor | None]]:
    """Return the stream by the bridge with its depth: by hooks at every depth, and where a run is stopped early."""
    model = BridgeModel(bridge=bridge, hook_name="", n_layers=n_layers, device=str(ids.device))
    batch = pad([[int(one) for one in ids[0]]], side="right", device=model.device)
    found: list[tuple[int, Tensor | None]] = []
    for depths in (range(n_layers + 1), [0], [n_layers - 1]):
        kept = model.streams(batch, depths)
        found += [(depth, kept.get(depth)) for depth in depths]
    return found


def _check_bridge(
    folder: Path, found: Sequence[tuple[int, Tensor | None]], wanted: Sequence[Tensor], *, tolerance: float
) -> None:
    """Refuse a model whose streams through TransformerLens are not transformers' own."""
    for depth, one in found:
        own = wanted[depth].float()
        if one is None or one.shape != own.shape:
            given = "no stream" if one is None else f"the shape {list(one.shape)}"
            said = f"{given} where transformers has {list(own.shape)}"
        else:
            apart, length = (x.square().sum(-1).sqrt() for x in (one.float() - own, own))
            if bool((apart <= tolerance * length).all()):
                continue
            share = float((apart / length).max())
            said = f"a stream that is {share:.2g} of its length away from transformers' own (at most {tolerance:.1g})"
        raise SubjectError(
            f"TransformerLens does not run the model in {folder} as transformers does: after {depth} blocks it gives "
            f"{said}; name a model of another family, or one that saeprobe runs layer by layer ({', '.join(LAYOUTS)})"
        )
