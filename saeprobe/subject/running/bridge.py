"""Load a GPT-2-architecture model as a TransformerLens bridge, by one route for the specimen and for `gpt2`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


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
