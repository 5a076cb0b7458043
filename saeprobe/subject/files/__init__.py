"""Files: models and SAEs on disk, what they say of themselves and hash to; nothing here imports torch at the top.

A layout says how a family of models names its parts and its files of weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A decoder of transformers is an embedding, a list of blocks, and what makes logits of the last block's output.

    All names are attributes of the decoder, which is what `AutoModel` loads, or its part `inside`.
    """

    embedding: tuple[str, ...] = ("embed_tokens",)  # the token embedding first; some models lack some of the others
    blocks: str = "layers"
    norm: str = "norm"  # of the last block's output; reading stops before it
    inside: str = ""  # the part of the decoder that has all these
    # Whether every block and the head read the stream through a LayerNorm, which takes its mean out: TransformerLens
    # centres the writing weights of such a model, and of an RMSNorm none.
    layer_norm: bool = False
    gated: bool = True  # whether an MLP has three matrices; where it has two, there may be a table of positions too
    # Whether each tensor of a random model has a generator of its own. Otherwise transformers draws the model whole.
    drawn_alone: bool = False


_LLAMA: Final = Layout(drawn_alone=True)
_GEMMA: Final = Layout()  # its norms' weights count from 0, not from 1

LAYOUTS: Final[Mapping[str, Layout]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "phi3": Layout(),
    "gemma": _GEMMA,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gpt2": Layout(embedding=("wte", "wpe"), blocks="h", norm="ln_f", layer_norm=True, gated=False),
    "gptj": Layout(embedding=("wte",), blocks="h", norm="ln_f", layer_norm=True, gated=False),
    "gpt_neox": Layout(embedding=("embed_in",), norm="final_layer_norm", layer_norm=True, gated=False),
    "phi": Layout(norm="final_layernorm", layer_norm=True, gated=False),
    "opt": Layout(
        embedding=("embed_tokens", "embed_positions", "project_in"),
        norm="final_layer_norm",
        inside="decoder",
        layer_norm=True,
        gated=False,
    ),
    # The norm of its embedding writes a mean of its own into the stream, which TransformerLens leaves there.
    "bloom": Layout(embedding=("word_embeddings", "word_embeddings_layernorm"), blocks="h", norm="ln_f", gated=False),
}
"""By `model_type` the families that transformers and accelerate run, stopped after the hooked layer. Models of others
go through TransformerLens, which holds them whole."""


def layout_of(config: Mapping[str, object]) -> Layout | None:
    """Return the layout of a model by its configuration; None for one that does not run layer by layer."""
    return LAYOUTS.get(str(config.get("model_type")))


def centring_refused(config: Mapping[str, object]) -> str | None:
    """Say why the stream minus its mean is not what TransformerLens gives for centred weights; None where it is."""
    layout, name = layout_of(config), config.get("model_type")
    if name == "bloom":
        return "whose embedding ends in a LayerNorm that TransformerLens does not centre"
    if layout is None:
        return f"of a family ({name}) whose centred stream saeprobe does not know"
    if not layout.layer_norm:
        return "which RMSNorm models are not"
    if name == "opt" and not (config.get("do_layer_norm_before", True) and not config.get("_remove_final_layer_norm")):
        return "which a model with its norms after the blocks is not"
    if name == "opt" and config.get("word_embed_proj_dim", config.get("hidden_size")) != config.get("hidden_size"):
        return "which a model with a projected embedding is not"
    return None


_PREFIX: Final = r"(?:(?:model|transformer|gpt_neox|decoder)\.){0,2}"
_LAYER: Final = re.compile(rf"{_PREFIX}(?:{'|'.join(sorted({one.blocks for one in LAYOUTS.values()}))})\.(\d+)\.(.+)")
_EMBEDDING: Final = re.compile(
    rf"{_PREFIX}((?:{'|'.join(sorted({part for one in LAYOUTS.values() for part in one.embedding}))})\..+)"
)
_AFTER: Final = re.compile(
    rf"{_PREFIX}(?:{'|'.join(sorted({one.norm for one in LAYOUTS.values()}))}|project_out|lm_head|embed_out)\..+"
)
# Old checkpoints store masks and angles; transformers computes them from the configuration and never reads them
# (`_keys_to_ignore_on_load_unexpected`).
_COMPUTED: Final = re.compile(r".*(?:rotary_emb\.inv_freq|\b(?:attn|attention)\.(?:masked_)?bias)")


def layer_of(name: str) -> int | None:
    """Return the block that a tensor belongs to; None for the embedding, the final norm and the head."""
    found = _LAYER.fullmatch(name)
    return None if found is None else int(found[1])


def inside_layer(name: str) -> str:
    """Return the name of a block's tensor inside its block: `self_attn.q_proj.weight`."""
    found = _LAYER.fullmatch(name)
    return name if found is None else found[2]


def inside_embedding(name: str) -> str | None:
    """Return the name of an embedding's tensor in its decoder: `embed_tokens.weight`; None for any other tensor."""
    found = _EMBEDDING.fullmatch(name)
    return None if found is None else found[1]


def is_read(name: str) -> bool:
    """Say whether a tensor is of the embedding or of a block: whether it decides a residual stream."""
    return inside_embedding(name) is not None or layer_of(name) is not None


def is_computed(name: str) -> bool:
    """Say whether a tensor is a mask or a table of angles, which transformers makes itself."""
    return _COMPUTED.fullmatch(name) is not None


def is_after(name: str) -> bool:
    """Say whether a tensor is of the final norm or of the head, which no residual stream depends on."""
    return _AFTER.fullmatch(name) is not None


INDEX: Final = "model.safetensors.index.json"
WHOLE: Final = "model.safetensors"


def weights_in(folder: Path) -> str | None:
    """Return which file says where the weights are: the whole file before an index, as for transformers; None for none.

    All that reads, hashes or loads weights asks here, so that a folder that holds both has one meaning.
    """
    return next((name for name in (WHOLE, INDEX) if (folder / name).is_file()), None)
