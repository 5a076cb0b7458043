"""The language models of both specimens are trained here, in steps that can be stopped and taken up again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from saeprobe.files import written_whole
from saeprobe.shapes import Int
from studies.specimens.train.writing import END_OF_TEXT

LanguageModel = TypeVar("LanguageModel", bound=torch.nn.Module)


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """Shape of the model and how it is trained."""

    layers: int = 5
    heads: int = 5
    d_model: int = 160
    context: int = 128
    vocabulary: int = 2560
    documents: int = 162_500
    batch: int = 32
    learning_rate: float = 2.5e-3
    warm_up: int = 60
    weight_decay: float = 0.02


def rows(documents: Sequence[Sequence[int]], *, bos: int, context: int) -> Int[np.ndarray, "rows context"]:
    """Pack documents into full rows, each beginning at a document; a row's last document is cut, and not resumed."""
    packed: list[list[int]] = []
    row: list[int] = []
    for document in documents:
        row += [bos, *document]
        if len(row) >= context:
            packed.append(row[:context])
            row = []
    return np.array(packed, dtype=np.int64)


def train_model(
    packed: Int[np.ndarray, "rows context"], recipe: ModelRecipe, *, bos: int, seed: int
) -> GPT2LMHeadModel:
    """Return a model trained once over the rows, in their order, with AdamW and a cosine schedule."""
    cast(Any, torch).manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=recipe.vocabulary,
            n_positions=recipe.context,
            n_embd=recipe.d_model,
            n_layer=recipe.layers,
            n_head=recipe.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=bos,
            eos_token_id=bos,
            pad_token_id=bos,
        )
    )
    return fit(model, packed, recipe)


def fit(
    model: LanguageModel,
    packed: Int[np.ndarray, "rows context"],
    recipe: ModelRecipe,
    *,
    checkpoint: Checkpoint | None = None,
) -> LanguageModel:
    """Train the model once over the rows, in their order, and return it.

    With ``checkpoint`` the state is written now and then, and where one is found training goes on from there.
    """
    # Weights decay; biases and the gains of norms, which are vectors, do not.
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )
    batch = recipe.batch
    steps = len(packed) // batch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _cosine(step, steps, recipe.warm_up))
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    model.train()
    first = 0 if checkpoint is None else checkpoint.resume(parts)
    tokens = batch * packed.shape[1]
    bar = tqdm(total=steps * tokens, initial=first * tokens, unit="tok", unit_scale=True, desc="model")
    for step in range(first, steps):
        chosen = torch.as_tensor(packed[step * batch : (step + 1) * batch])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = cast(Any, model)(input_ids=chosen, labels=chosen).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        cast(Any, optimizer).step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        bar.update(chosen.numel())
        if step % 20 == 0:
            cast(Any, bar).set_postfix(loss=f"{loss.item():.3f}")
        if checkpoint is not None:
            checkpoint.save(step + 1, parts)
    bar.close()
    return model.eval()


def padded(documents: Sequence[Sequence[int]], *, bos: int) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, " batch"]]:
    """Return the documents, each behind a BOS and padded on the right, and their lengths with BOS."""
    lengths = torch.tensor([len(document) + 1 for document in documents])
    ids = torch.full((len(documents), int(lengths.max())), bos)
    for at, document in enumerate(documents):
        ids[at, 1 : len(document) + 1] = torch.tensor(document)
    return ids, lengths


def _cosine(step: int, steps: int, warm_up: int) -> float:
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


@dataclass(frozen=True, kw_only=True)
class LlamaRecipe(ModelRecipe):
    """A Llama has ``key_value_heads`` too, which ``heads`` share in equal groups."""

    heads: int = 4
    key_value_heads: int = 2
    d_mlp: int = 432


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
    return fit(model, packed, recipe, checkpoint=checkpoint)


def save_sharded(model: LlamaForCausalLM, out: Path) -> None:
    """Save the model in bfloat16, as Llamas are published, in shards of one layer each.

    The embedding, which is larger, has a shard of its own, and the last layer's holds the final norm: a reader who
    stops after some layer need not open the shards of those after it.
    """
    model = cast(Any, model).bfloat16()
    layers = cast(Any, model).model
    largest = sum(weight.nbytes for weight in layers.layers[-1].parameters()) + layers.norm.weight.nbytes
    cast(Any, model).save_pretrained(out, max_shard_size=largest)


# Steps between two writings: about two minutes on one core.
_EVERY: Final = 200


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint is a file with the state of one training, which ``of`` names: another's is never taken up."""

    path: Path
    of: str
    every: int = _EVERY

    def resume(self, parts: Mapping[str, Any]) -> int:
        """Take up the state on disk, if there is one, and return the number of steps already made.

        Args:
            parts: model, optimizer and schedule by name.
        """
        if not self.path.is_file():
            return 0
        found = cast("dict[str, Any]", torch.load(self.path, weights_only=True))
        if found["of"] != self.of:
            raise ValueError(f"{self.path} is of another training, {found['of']}; wanted {self.of}: delete or move it")
        for name, part in parts.items():
            part.load_state_dict(found[name])
        return int(found["steps"])

    def save(self, steps: int, parts: Mapping[str, Any]) -> None:
        """Write the state after so many steps, when it is time; a writing cut short leaves the one before it."""
        if steps % self.every:
            return
        state = {name: part.state_dict() for name, part in parts.items()}
        with written_whole(self.path) as part:
            torch.save({"of": self.of, "steps": steps, **state}, part)
