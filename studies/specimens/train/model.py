"""Training of the language model, and its loss on documents it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel

from studies.specimens.train.checkpoint import Checkpoint

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
    return fit(
        model,
        packed,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        warm_up=recipe.warm_up,
        weight_decay=recipe.weight_decay,
    )


def fit(
    model: LanguageModel,
    packed: Int[np.ndarray, "rows context"],
    *,
    batch: int,
    learning_rate: float,
    warm_up: int,
    weight_decay: float,
    checkpoint: Checkpoint | None = None,
) -> LanguageModel:
    """Train the model once over the rows, in their order, and return it.

    With ``checkpoint`` the state is written now and then, and where one is found training goes on from there.
    """
    # Weights decay; biases and the gains of norms, which are vectors, do not.
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=(0.9, 0.98),
    )
    steps = len(packed) // batch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _cosine(step, steps, warm_up))
    model.train()
    first = 0 if checkpoint is None else checkpoint.resume(model, optimizer, schedule)
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
            checkpoint.save(step + 1, model, optimizer, schedule)
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
