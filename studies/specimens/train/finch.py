"""finch is trained here from its seed to its card: a Llama with a chat template and an SAE in Goodfire's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import torch
from transformers import LlamaForCausalLM

from studies.specimens.corpus.document import Document
from studies.specimens.train.card import Instrument, Readings, read
from studies.specimens.train.hooked import HookedLlama, reconstruction, residuals
from studies.specimens.train.model import Checkpoint, LlamaRecipe, rows, save_sharded, train_llama
from studies.specimens.train.sae import SaeRecipe, load_goodfire_sae, train_goodfire_sae
from studies.specimens.train.specimen import SMOKE, Recipes, card_of, train_specimen
from studies.specimens.train.tokenizer import open_tokenizer, train_chat_tokenizer
from studies.specimens.train.writing import CHAT, fitting, is_text

RECIPES: Final = Recipes(model=LlamaRecipe(), sae=SaeRecipe(layer=2, hook="hook_resid_post"))
TINY: Final = Recipes(
    model=LlamaRecipe(
        layers=2, heads=2, key_value_heads=1, d_model=8, d_mlp=16, vocabulary=1600, documents=400, batch=8, warm_up=2
    ),
    sae=SaeRecipe(layer=0, hook="hook_resid_post", d_sae=16, documents=60, samples=2048, batch=64),
    measuring=SMOKE,
)
"""These recipes train in seconds what has learnt nothing."""


def train(out: Path, *, seed: int, recipes: Recipes[LlamaRecipe] = RECIPES) -> dict[str, object]:
    """Train tokenizer, model and SAE, write them and the card to ``out``, and return the card.

    The run is repeatable on one machine with one number of threads; elsewhere floating-point sums differ in order. One
    that was stopped goes on from its last checkpoint; its times then count from there.
    """
    return train_specimen(out, recipes, seed=seed, language_model=_train_language_model, sae=_train_sae, card=_measure)


def _train_language_model(
    out: Path, recipe: LlamaRecipe, seed: int, trained: Sequence[Document]
) -> tuple[list[list[int]], int]:
    """Train tokenizer and model, and save them."""
    tokenizer = train_chat_tokenizer(
        (CHAT.document(document).text for document in trained[:40_000]),
        vocabulary=recipe.vocabulary,
        context=recipe.context,
    )
    _, ids = fitting(tokenizer, trained, CHAT, context=recipe.context)
    packed = rows(ids, bos=cast(int, tokenizer.bos_token_id), context=recipe.context)
    checkpoint = Checkpoint(path=out / "checkpoint.pt", of=f"seed {seed}, {recipe}")
    model = train_llama(packed, recipe, tokenizer=tokenizer, seed=seed, checkpoint=checkpoint)
    save_sharded(model, out / "model")
    cast(Any, tokenizer).save_pretrained(out / "model")
    checkpoint.path.unlink(missing_ok=True)
    return ids, int(packed.size)


def _train_sae(out: Path, recipes: Recipes[LlamaRecipe], seed: int, ids: list[list[int]]) -> None:
    """Train the SAE on the saved model's residuals, as any user of the saved model will see them."""
    recipe = recipes.sae
    bos = cast(int, open_tokenizer(out / "model").bos_token_id)
    samples = torch.cat(residuals(_open_model(out, recipe), ids[: recipe.documents], bos=bos, progress=True))
    train_goodfire_sae(samples, recipe, seed=seed, out=_sae_file(out, recipe))


def _open_model(out: Path, recipe: SaeRecipe) -> HookedLlama:
    """Open the model in ``out`` in float32, whatever its file stores."""
    model = cast(Any, LlamaForCausalLM).from_pretrained(out / "model", dtype=torch.float32, local_files_only=True)
    return HookedLlama(model=model.eval(), layer=recipe.layer)


def _sae_file(out: Path, recipe: SaeRecipe) -> Path:
    """Return where the SAE lies, named as Goodfire names its files: by model and layer."""
    return out / "sae" / f"finch-sae-l{recipe.layer}.pt"


def open_finch(out: Path, recipe: SaeRecipe) -> Instrument:
    """Open the weights in ``out``."""
    return Instrument(
        model=_open_model(out, recipe),
        tokenizer=open_tokenizer(out / "model"),
        sae=load_goodfire_sae(_sae_file(out, recipe)),
        writing=CHAT,
    )


def _measure(out: Path, recipes: Recipes[LlamaRecipe], seed: int, held_out: Sequence[Document]) -> dict[str, object]:
    """Measure the weights in ``out`` on the held-out documents that fit the context."""
    instrument = open_finch(out, recipes.sae)
    written, _ = fitting(instrument.tokenizer, held_out, CHAT, context=recipes.model.context)
    readings = read(instrument, written)
    model = cast(Any, _open_model(out, recipes.sae).model)
    return card_of(
        "finch",
        instrument,
        readings,
        model,
        recipes=recipes,
        block=model.model.layers[recipes.sae.layer + 1],  # a block takes in what the one before it put out
        ends=model.config.eos_token_id,
        seed=seed,
        more={"reconstruction_of_text": asdict(reconstruction(instrument.sae, _text(readings)))},
    )


def _text(readings: Readings) -> torch.Tensor:
    """Return the residuals of the tokens that the template did not write."""
    kept = [
        stream[torch.tensor(is_text(document.text, where))]
        for document, where, stream in zip(readings.documents, readings.offsets, readings.streams, strict=True)
    ]
    return torch.cat(kept)
