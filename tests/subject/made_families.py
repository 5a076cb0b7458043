"""A small random model of each family that runs layer by layer, in the file format of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LAYERS, WIDTH, VOCABULARY = 4, 16, 64

_ROTARY: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
_GROUPED: dict[str, Any] = {**_ROTARY, "num_key_value_heads": 1, "head_dim": 8}
_GPT: dict[str, Any] = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "n_positions": 64}
_OPT: dict[str, Any] = {**_ROTARY, "ffn_dim": 24, "word_embed_proj_dim": WIDTH}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": _GROUPED,
    "mistral": {**_GROUPED, "sliding_window": 3},
    "qwen2": {**_ROTARY, "num_key_value_heads": 1},
    "qwen3": _GROUPED,
    "phi3": {**_ROTARY, "num_key_value_heads": 1},
    "gemma": _GROUPED,
    "gemma2": {**_GROUPED, "sliding_window": 3, "attn_logit_softcapping": 2.0},
    "gemma3_text": {**_GROUPED, "sliding_window": 3, "sliding_window_pattern": 2},
    "gpt2": _GPT,
    "gptj": {**_GPT, "rotary_dim": 4},
    "gpt_neox": _ROTARY,
    "phi": _ROTARY,
    "opt": _OPT,
    "bloom": {"hidden_size": WIDTH, "n_layer": LAYERS, "n_head": 2, "seq_length": 64},
}
"""By family the settings of its configuration; a window of 3 hides something from prompts of 4 tokens."""

OTHERS: dict[str, dict[str, Any]] = {
    "gpt_neo": {
        "hidden_size": WIDTH,
        "num_layers": LAYERS,
        "num_heads": 2,
        "max_position_embeddings": 64,
        "attention_types": [[["global", "local"], LAYERS // 2]],
    },
    "olmo2": _ROTARY,
    "cohere": _ROTARY,
    "openai-gpt": _GPT,
    "bert": {**_ROTARY, "is_decoder": True},
}
"""Likewise of families that TransformerLens takes; of these it runs the first two as transformers does."""


def write_family(folder: Path, family: str, **settings: Any) -> Any:
    """Write a model of a family, in which every layer moves the stream by about its length; returns the model."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    config = AutoConfig.for_model(
        family, vocab_size=VOCABULARY, **{**ids, **{**FAMILIES, **OTHERS}[family], **settings}
    )
    model: Any = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                parameter.add_(0.3 * drawn)
            else:
                parameter.copy_(drawn * (0.5 if parameter.shape[0] >= VOCABULARY else parameter.shape[1] ** -0.5))
    model.save_pretrained(folder)
    return model
