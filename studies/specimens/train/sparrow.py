"""sparrow is trained here from its seed to its card: GPT-2's architecture with an SAE in sae-lens' format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import torch
from transformers import GPT2LMHeadModel

from saeprobe.subject.running.opening import open_bridge
from studies.specimens.corpus.document import Document
from studies.specimens.train.card import Instrument, read
from studies.specimens.train.hooked import HookedBridge, residuals
from studies.specimens.train.model import ModelRecipe, rows, train_model
from studies.specimens.train.sae import SaeRecipe, load_sae, train_sae
from studies.specimens.train.specimen import SMOKE, Recipes, card_of, train_specimen
from studies.specimens.train.tokenizer import train_tokenizer
from studies.specimens.train.writing import PLAIN, fitting

RECIPES: Final = Recipes(model=ModelRecipe(), sae=SaeRecipe())
TINY: Final = Recipes(
    model=ModelRecipe(layers=2, heads=1, d_model=8, vocabulary=1600, documents=400, batch=8, warm_up=2),
    sae=SaeRecipe(layer=1, d_sae=16, documents=60, samples=2048, batch=64),
    measuring=SMOKE,
)
"""These recipes train in seconds what has learnt nothing."""


def train(out: Path, *, seed: int, recipes: Recipes[ModelRecipe] = RECIPES) -> dict[str, object]:
    """Train tokenizer, model and SAE, write them and the card to ``out``, and return the card.

    The run is repeatable on one machine with one number of threads; elsewhere floating-point sums differ in order.
    """
    return train_specimen(out, recipes, seed=seed, language_model=_train_language_model, sae=_train_sae, card=_measure)


def _train_language_model(
    out: Path, recipe: ModelRecipe, seed: int, trained: Sequence[Document]
) -> tuple[list[list[int]], int]:
    """Train tokenizer and model, and save them in fp16."""
    tokenizer = train_tokenizer(
        (document.text for document in trained[:40_000]), vocabulary=recipe.vocabulary, context=recipe.context
    )
    _, ids = fitting(tokenizer, trained, PLAIN, context=recipe.context)
    bos = cast(int, tokenizer.bos_token_id)
    packed = rows(ids, bos=bos, context=recipe.context)
    model = train_model(packed, recipe, bos=bos, seed=seed)
    cast(Any, model).half().save_pretrained(out / "model")
    cast(Any, tokenizer).save_pretrained(out / "model")
    return ids, int(packed.size)


def _train_sae(out: Path, recipes: Recipes[ModelRecipe], seed: int, ids: list[list[int]]) -> None:
    """Train the SAE on the saved model's residuals, as any user of the saved model will see them."""
    bridge = open_bridge(out / "model", center_writing_weights=True, device="cpu", dtype="float32")
    bos = cast(int, bridge.tokenizer.bos_token_id)
    model = HookedBridge(bridge=bridge, layer=recipes.sae.layer)
    samples = torch.cat(residuals(model, ids[: recipes.sae.documents], bos=bos, progress=True))
    context = recipes.model.context
    train_sae(samples, recipes.sae, model_name="sparrow", context=context, seed=seed, out=out / "sae")


def open_sparrow(out: Path, recipe: SaeRecipe) -> Instrument:
    """Open the weights in ``out`` in float32, the model's writing weights centred as the SAE wants them."""
    bridge = open_bridge(out / "model", center_writing_weights=True, device="cpu", dtype="float32")
    return Instrument(
        model=HookedBridge(bridge=bridge, layer=recipe.layer),
        tokenizer=bridge.tokenizer,
        sae=load_sae(out / "sae"),
        writing=PLAIN,
    )


def _measure(out: Path, recipes: Recipes[ModelRecipe], seed: int, held_out: Sequence[Document]) -> dict[str, object]:
    """Measure the weights in ``out`` on the held-out documents that fit the context."""
    instrument = open_sparrow(out, recipes.sae)
    written, _ = fitting(instrument.tokenizer, held_out, PLAIN, context=recipes.model.context)
    model = cast(Any, GPT2LMHeadModel).from_pretrained(out / "model", dtype=torch.float32).eval()
    return card_of(
        "sparrow",
        instrument,
        read(instrument, written),
        model,
        recipes=recipes,
        block=model.transformer.h[recipes.sae.layer],
        ends=[instrument.bos],
        seed=seed,
        more={},
    )
