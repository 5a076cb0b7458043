"""finch's language model: Llama's architecture, small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from studies.specimens.train.chat import END_OF_TEXT
from studies.specimens.train.checkpoint import Checkpoint
from studies.specimens.train.model import fit


@dataclass(frozen=True, kw_only=True)
class LlamaRecipe:
    """Shape of the model and how it is trained. ``key_value_heads`` are shared by ``heads`` in equal groups."""

    layers: int = 5
    heads: int = 4
    key_value_heads: int = 2
    d_model: int = 160
    d_mlp: int = 432
    context: int = 128
    vocabulary: int = 2560
    documents: int = 162_500
    batch: int = 32
    learning_rate: float = 2.5e-3
    warm_up: int = 60
    weight_decay: float = 0.02


def train_llama(
    packed: Int[np.ndarray, "rows context"],
    recipe: LlamaRecipe,
    *,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> LlamaForCausalLM:
    """Return a model trained once over the rows; it stops at the end of a turn and at the end of a text."""
    cast(Any, torch).manual_seed(seed)
    model = LlamaForCausalLM(
        cast(Any, LlamaConfig)(
            vocab_size=recipe.vocabulary,
            hidden_size=recipe.d_model,
            intermediate_size=recipe.d_mlp,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.key_value_heads,
            max_position_embeddings=recipe.context,
            tie_word_embeddings=True,
            bos_token_id=cast(int, tokenizer.bos_token_id),
            eos_token_id=[
                cast(int, tokenizer.eos_token_id),
                cast(int, cast(Any, tokenizer).convert_tokens_to_ids(END_OF_TEXT)),
            ],
            # Faster than sdpa on a CPU at this size, by a sixth.
            attn_implementation="eager",
        )
    )
    return fit(
        model,
        packed,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        warm_up=recipe.warm_up,
        weight_decay=recipe.weight_decay,
        checkpoint=checkpoint,
    )


def save_sharded(model: LlamaForCausalLM, out: Path) -> None:
    """Save the model in bfloat16, as Llamas are published, in shards of one layer each.

    The embedding, which is larger, has a shard of its own, and the last layer's holds the final norm: a reader who
    stops after some layer need not open the shards of those after it.
    """
    model = cast(Any, model).bfloat16()
    layers = cast(Any, model).model
    largest = sum(weight.nbytes for weight in layers.layers[-1].parameters()) + layers.norm.weight.nbytes
    cast(Any, model).save_pretrained(out, max_shard_size=largest)
