"""sparrow, from its seed to its card."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from transformers import GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

from saeprobe.subject.running.opening import open_bridge
from studies.specimens.corpus.document import Document
from studies.specimens.train.activations import residuals
from studies.specimens.train.card import measure
from studies.specimens.train.hooked import HookedBridge
from studies.specimens.train.instrument import Instrument, read
from studies.specimens.train.model import ModelRecipe, rows, train_model
from studies.specimens.train.sae import SaeRecipe, load_sae, train_sae
from studies.specimens.train.specimen import documents, save_card, training_facts
from studies.specimens.train.steering import Steered
from studies.specimens.train.steering_card import steering_figures
from studies.specimens.train.tokenizer import train_tokenizer
from studies.specimens.train.writing import PLAIN, fitting


def train(
    out: Path, *, seed: int, model_recipe: ModelRecipe | None = None, sae_recipe: SaeRecipe | None = None
) -> dict[str, object]:
    """Train tokenizer, model and SAE, write them and the card to ``out``, and return the card.

    The run is repeatable on one machine with one number of threads; elsewhere floating-point sums differ in order.
    """
    disable_progress_bar()
    model_recipe, sae_recipe = model_recipe or ModelRecipe(), sae_recipe or SaeRecipe()
    began = time.monotonic()
    trained, held_out = documents(model_recipe.documents, seed=seed)
    ids, tokens = train_language_model(out, trained, model_recipe, seed=seed)
    model_seconds = time.monotonic() - began
    train_sae_on(out, ids, model_recipe, sae_recipe, seed=seed)
    seconds = time.monotonic() - began
    card = measure_card(out, held_out, model_recipe, sae_recipe, seed=seed)
    card["training"] = training_facts(tokens=tokens, documents=len(ids), seconds_model=model_seconds, seconds=seconds)
    save_card(out, card)
    return card


def train_language_model(
    out: Path, trained: list[Document], recipe: ModelRecipe, *, seed: int
) -> tuple[list[list[int]], int]:
    """Train tokenizer and model, save them in fp16, and return the documents' token ids and the tokens trained on."""
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


def train_sae_on(out: Path, ids: list[list[int]], model_recipe: ModelRecipe, recipe: SaeRecipe, *, seed: int) -> None:
    """Train the SAE on the saved model's residuals, as any user of the saved model will see them."""
    bridge = open_bridge(out / "model", center_writing_weights=True, device="cpu", dtype=torch.float32)
    bos = cast(int, bridge.tokenizer.bos_token_id)
    model = HookedBridge(bridge=bridge, layer=recipe.layer)
    samples = torch.cat(residuals(model, ids[: recipe.documents], bos=bos, progress=True))
    train_sae(samples, recipe, model_name="sparrow", context=model_recipe.context, seed=seed, out=out / "sae")


def open_sparrow(out: Path, recipe: SaeRecipe) -> Instrument:
    """Open the weights in ``out`` in float32, the model's writing weights centred as the SAE wants them."""
    bridge = open_bridge(out / "model", center_writing_weights=True, device="cpu", dtype=torch.float32)
    return Instrument(
        model=HookedBridge(bridge=bridge, layer=recipe.layer),
        tokenizer=bridge.tokenizer,
        sae=load_sae(out / "sae"),
        writing=PLAIN,
    )


def measure_card(
    out: Path, held_out: list[Document], model_recipe: ModelRecipe, recipe: SaeRecipe, *, seed: int
) -> dict[str, object]:
    """Measure the weights in ``out`` on the held-out documents that fit the context."""
    instrument = open_sparrow(out, recipe)
    written, _ = fitting(instrument.tokenizer, held_out, PLAIN, context=model_recipe.context)
    readings = read(instrument, written)
    model = cast(Any, GPT2LMHeadModel).from_pretrained(out / "model", dtype=torch.float32).eval()
    parameters = sum(p.numel() for p in model.parameters())
    reading = {name: value for name, value in asdict(recipe).items() if name != "hook"}  # hook_name says it
    figures = cast("dict[str, Any]", measure(instrument, readings, seed=seed))
    return {
        "name": "sparrow",
        "seed": seed,
        "model": {"architecture": "GPT2LMHeadModel", "parameters": parameters, **asdict(model_recipe)},
        "sae": {
            "architecture": "standard",
            "hook_name": recipe.hook_name,
            "d_in": instrument.sae.cfg.d_in,
            **reading,
        },
        **figures,
        "steering": steering_figures(
            Steered(
                model,
                instrument.tokenizer,
                block=model.transformer.h[recipe.layer],
                ends=[instrument.bos],
            ),
            readings,
            directions=cast(torch.Tensor, instrument.sae.W_dec).detach(),
            norm=float(figures["reconstruction"]["residual_norm"]),
            detector=int(figures["golden_gate"]["feature"]),
            seed=seed,
        ),
    }
