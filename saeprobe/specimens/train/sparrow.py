"""sparrow, from its seed to its card."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from saeprobe.specimens.corpus.document import Document
from saeprobe.specimens.corpus.grammar import splits
from saeprobe.specimens.train.activations import residuals
from saeprobe.specimens.train.card import Instrument, measure
from saeprobe.specimens.train.model import ModelRecipe, rows, train_model
from saeprobe.specimens.train.readme import write_readme
from saeprobe.specimens.train.sae import SaeRecipe, load_sae, train_sae
from saeprobe.specimens.train.tokenizer import encode, open_tokenizer, train_tokenizer
from saeprobe.subject.bridge import open_bridge

HELD_OUT = 3000


def train(
    out: Path, *, seed: int, model_recipe: ModelRecipe | None = None, sae_recipe: SaeRecipe | None = None
) -> dict[str, object]:
    """Train tokenizer, model and SAE, write them and the card to ``out``, and return the card.

    The run is repeatable on one machine with one number of threads; elsewhere floating-point sums differ in order.
    """
    disable_progress_bar()
    model_recipe, sae_recipe = model_recipe or ModelRecipe(), sae_recipe or SaeRecipe()
    began = time.monotonic()
    trained, held_out = documents(model_recipe, seed=seed)
    ids, tokens = train_language_model(out, trained, model_recipe, seed=seed)
    model_seconds = time.monotonic() - began
    train_sae_on(out, ids, model_recipe, sae_recipe, seed=seed)
    seconds = time.monotonic() - began
    card = write_card(out, held_out, model_recipe, sae_recipe, seed=seed)
    card["training"] = {
        "tokens": tokens,
        "documents": len(ids),
        "seconds_model": round(model_seconds),
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }
    save_card(out, card)
    return card


def documents(recipe: ModelRecipe, *, seed: int) -> tuple[list[Document], list[Document]]:
    """Return the documents trained on and those held out."""
    return splits(seed, train=recipe.documents, held_out=HELD_OUT)


def train_language_model(
    out: Path, trained: list[Document], recipe: ModelRecipe, *, seed: int
) -> tuple[list[list[int]], int]:
    """Train tokenizer and model, save them in fp16, and return the documents' token ids and the tokens trained on."""
    tokenizer = train_tokenizer(
        (document.text for document in trained[:40_000]), vocabulary=recipe.vocabulary, context=recipe.context
    )
    ids = _fitting(tokenizer, trained, recipe.context)
    bos = cast(int, tokenizer.bos_token_id)
    packed = rows(ids, bos=bos, context=recipe.context)
    model = train_model(packed, recipe, bos=bos, seed=seed)
    cast(Any, model).half().save_pretrained(out / "model")
    cast(Any, tokenizer).save_pretrained(out / "model")
    return ids, int(packed.size)


def train_sae_on(out: Path, ids: list[list[int]], model_recipe: ModelRecipe, recipe: SaeRecipe, *, seed: int) -> None:
    """Train the SAE on the saved model's residuals, as any user of the saved model will see them."""
    bridge = open_bridge(out / "model", center_writing_weights=True, device="cpu", dtype=torch.float32)
    bos = cast(int, bridge.tokenizer.bos_token_id)
    samples = torch.cat(residuals(bridge, ids[: recipe.documents], layer=recipe.layer, bos=bos, progress=True))
    train_sae(samples, recipe, model_name="sparrow", context=model_recipe.context, seed=seed, out=out / "sae")


def write_card(
    out: Path, held_out: list[Document], model_recipe: ModelRecipe, recipe: SaeRecipe, *, seed: int
) -> dict[str, object]:
    """Measure the weights in ``out`` on the held-out documents that fit the context."""
    tokenizer = open_tokenizer(out / "model")
    lengths = [len(row) for row in encode(tokenizer, [document.text for document in held_out])]
    fitting = [d for d, length in zip(held_out, lengths, strict=True) if length <= model_recipe.context - 2]
    instrument = Instrument(folder=out, tokenizer=tokenizer, sae=load_sae(out / "sae"), recipe=recipe)
    return measure(instrument, fitting, model_recipe, seed=seed)


def save_card(out: Path, card: dict[str, object]) -> None:
    """Write the card for programs and for people."""
    (out / "card.json").write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "README.md").write_text(write_readme(card), encoding="utf-8")


def _fitting(tokenizer: PreTrainedTokenizerBase, documents: list[Document], context: int) -> list[list[int]]:
    """Return the token ids of the documents that fit the context with a BOS on either side."""
    return [row for row in encode(tokenizer, [document.text for document in documents]) if len(row) <= context - 2]
