"""finch, from its seed to its card."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from transformers import LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from studies.specimens.corpus.document import Document
from studies.specimens.train.activations import residuals
from studies.specimens.train.card import measure
from studies.specimens.train.chat import is_text
from studies.specimens.train.chat_tokenizer import train_chat_tokenizer
from studies.specimens.train.checkpoint import Checkpoint
from studies.specimens.train.fidelity import reconstruction
from studies.specimens.train.goodfire import load_goodfire_sae, train_goodfire_sae
from studies.specimens.train.hooked import HookedLlama
from studies.specimens.train.instrument import Instrument, Readings, read
from studies.specimens.train.llama import LlamaRecipe, save_sharded, train_llama
from studies.specimens.train.model import rows
from studies.specimens.train.sae import SaeRecipe
from studies.specimens.train.specimen import documents, save_card, training_facts
from studies.specimens.train.steering import Steered
from studies.specimens.train.steering_card import steering_figures
from studies.specimens.train.tokenizer import open_tokenizer
from studies.specimens.train.writing import CHAT, fitting

SAE_RECIPE = SaeRecipe(layer=2, hook="hook_resid_post")


def train(
    out: Path, *, seed: int, model_recipe: LlamaRecipe | None = None, sae_recipe: SaeRecipe = SAE_RECIPE
) -> dict[str, object]:
    """Train tokenizer, model and SAE, write them and the card to ``out``, and return the card.

    The run is repeatable on one machine with one number of threads; elsewhere floating-point sums differ in order. One
    that was stopped goes on from its last checkpoint; its times then count from there.
    """
    disable_progress_bar()
    model_recipe = model_recipe or LlamaRecipe()
    began = time.monotonic()
    trained, held_out = documents(model_recipe.documents, seed=seed)
    ids, tokens = train_language_model(out, trained, model_recipe, seed=seed)
    model_seconds = time.monotonic() - began
    train_sae_on(out, ids, sae_recipe, seed=seed)
    seconds = time.monotonic() - began
    card = measure_card(out, held_out, model_recipe, sae_recipe, seed=seed)
    card["training"] = training_facts(tokens=tokens, documents=len(ids), seconds_model=model_seconds, seconds=seconds)
    save_card(out, card)
    return card


def train_language_model(
    out: Path, trained: Sequence[Document], recipe: LlamaRecipe, *, seed: int
) -> tuple[list[list[int]], int]:
    """Train tokenizer and model, save them, and return the documents' token ids and the tokens trained on."""
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


def train_sae_on(out: Path, ids: list[list[int]], recipe: SaeRecipe, *, seed: int) -> None:
    """Train the SAE on the saved model's residuals, as any user of the saved model will see them."""
    bos = cast(int, open_tokenizer(out / "model").bos_token_id)
    samples = torch.cat(residuals(open_model(out, recipe), ids[: recipe.documents], bos=bos, progress=True))
    train_goodfire_sae(samples, recipe, seed=seed, out=sae_file(out, recipe))


def open_model(out: Path, recipe: SaeRecipe) -> HookedLlama:
    """Open the model in ``out`` in float32, whatever its file stores."""
    model = cast(Any, LlamaForCausalLM).from_pretrained(out / "model", dtype=torch.float32, local_files_only=True)
    return HookedLlama(model=model.eval(), layer=recipe.layer)


def sae_file(out: Path, recipe: SaeRecipe) -> Path:
    """Return where the SAE lies, named as Goodfire names its files: by model and layer."""
    return out / "sae" / f"finch-sae-l{recipe.layer}.pt"


def open_finch(out: Path, recipe: SaeRecipe) -> Instrument:
    """Open the weights in ``out``."""
    return Instrument(
        model=open_model(out, recipe),
        tokenizer=open_tokenizer(out / "model"),
        sae=load_goodfire_sae(sae_file(out, recipe)),
        writing=CHAT,
    )


def measure_card(
    out: Path, held_out: Sequence[Document], model_recipe: LlamaRecipe, recipe: SaeRecipe, *, seed: int
) -> dict[str, object]:
    """Measure the weights in ``out`` on the held-out documents that fit the context."""
    instrument = open_finch(out, recipe)
    written, _ = fitting(instrument.tokenizer, held_out, CHAT, context=model_recipe.context)
    readings = read(instrument, written)
    # Opened again: this one is steered.
    model = open_model(out, recipe).model
    figures = cast("dict[str, Any]", measure(instrument, readings, seed=seed))
    reading = {name: value for name, value in asdict(recipe).items() if name != "hook"}  # hook_name says it
    return {
        "name": "finch",
        "seed": seed,
        "model": {
            "architecture": "LlamaForCausalLM",
            "parameters": sum(p.numel() for p in model.parameters()),
            **asdict(model_recipe),
        },
        "sae": {
            "architecture": "standard",
            "hook_name": recipe.hook_name,
            "d_in": instrument.sae.cfg.d_in,
            **reading,
        },
        **figures,
        "reconstruction_of_text": asdict(reconstruction(instrument.sae, _text(readings))),
        "steering": steering_figures(
            Steered(
                model,
                instrument.tokenizer,
                # A stream is shifted where a block takes it in: after one block is before the next.
                block=model.model.layers[recipe.layer + 1],
                ends=cast("Any", model.config).eos_token_id,
            ),
            readings,
            directions=cast(torch.Tensor, instrument.sae.W_dec).detach(),
            norm=float(figures["reconstruction"]["residual_norm"]),
            detector=int(figures["golden_gate"]["feature"]),
            seed=seed,
        ),
    }


def _text(readings: Readings) -> torch.Tensor:
    """Return the residuals of the tokens that the template did not write."""
    kept = [
        stream[torch.tensor(is_text(document.text, where))]
        for document, where, stream in zip(readings.documents, readings.offsets, readings.streams, strict=True)
    ]
    return torch.cat(kept)
