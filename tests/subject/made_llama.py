"""Decoder-only models with random weights and a chat tokenizer, in the file formats of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

Family = Literal["llama", "qwen2", "mistral", "gemma"]

BOS = "<|begin_of_text|>"
SPECIAL = (BOS, "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")

# Cut down from the template of Llama 3: like it, this one writes BOS and, unless told a date, today's.
CHAT_TEMPLATE = """{{- bos_token }}
{%- if not date_string is defined %}
  {%- if strftime_now is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
  {%- else %}
    {%- set date_string = "26 Jul 2024" %}
  {%- endif %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: " + date_string + "\\n\\n<|eot_id|>" }}
{%- for message in messages %}
  {{- "<|start_header_id|>" + message["role"] + "<|end_header_id|>\\n\\n" + message["content"] | trim + "<|eot_id|>" }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- "<|start_header_id|>assistant<|end_header_id|>\\n\\n" }}
{%- endif %}
"""


def write_chat_tokenizer(folder: Path, *, chat: bool = True) -> int:
    """A tokenizer of single bytes that puts BOS before a text, as that of Llama 3 does; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(bytes_)}, []))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    bos = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), bos])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=SPECIAL[-1], chat_template=CHAT_TEMPLATE if chat else None
    )
    fast.save_pretrained(folder)
    return len(fast)


def write_llama(
    folder: Path,
    *,
    layers: int,
    vocabulary: int,
    width: int = 32,
    heads: int = 4,
    kv_heads: int = 2,
    inner: int = 64,
    family: Family = "llama",
    positions: int = 512,
    shard: str = "300KB",
    dtype: str = "float32",
    seed: int = 1,
    **settings: Any,
) -> Any:
    """Write a model with random weights in shards of the size `shard`, with their index; returns the model.

    A layer moves the residual stream by about as much as the embedding is long, so that one layer more or fewer is
    plainly another stream.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        family,
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        bos_token_id=vocabulary - len(SPECIAL),
        eos_token_id=vocabulary - 1,
        pad_token_id=None,
        **settings,
    )
    model: Any = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # the norms' weights, and biases where there are any
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        else:
            parameter.data = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
            parameter.data *= 1.0 if parameter.shape[0] == vocabulary else parameter.shape[1] ** -0.5
    model.save_pretrained(folder, max_shard_size=shard)
    return model


def remove_shards_after(folder: Path, depth: int) -> int:
    """Delete the files that hold nothing of the embedding and of layers before `depth`; returns how many those were."""
    index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
    needed = {
        file
        for name, file in index["weight_map"].items()
        if "embed_tokens" in name or (".layers." in name and int(name.split(".")[2]) < depth)
    }
    others = set(index["weight_map"].values()) - needed
    for file in others:
        (folder / file).unlink()
    return len(others)
