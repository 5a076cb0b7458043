"""All specimens share the course of their training and the measuring of their cards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

import torch
from jinja2 import StrictUndefined, Template
from transformers.utils.logging import disable_progress_bar

from studies.specimens.corpus.document import Document
from studies.specimens.corpus.grammar import splits
from studies.specimens.train.card import Instrument, Readings, measure
from studies.specimens.train.model import ModelRecipe
from studies.specimens.train.sae import SaeRecipe
from studies.specimens.train.steering import Steered, steering_figures

R_co = TypeVar("R_co", bound=ModelRecipe, covariant=True)
R = TypeVar("R", bound=ModelRecipe)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """A card is measured on so much; the defaults are those of the specimens that ship with the package."""

    held_out: int = 3000  # documents that are held out of training
    topics: int = 8  # asked a condition, enough for a rate and few enough for seconds
    candidates: int = 8  # features that steering is tried with
    tokens: int = 60  # of a steered continuation


SMOKE: Final = Measuring(held_out=700, topics=1, candidates=1, tokens=2)
"""It measures next to nothing, on as few documents as have every concept, so that a run takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Recipes(Generic[R_co]):
    """A specimen is trained by two recipes, one of its model and one of its SAE, and measured."""

    model: R_co
    sae: SaeRecipe
    measuring: Measuring = field(default_factory=Measuring)


def train_specimen(
    out: Path,
    recipes: Recipes[R],
    *,
    seed: int,
    language_model: Callable[[Path, R, int, Sequence[Document]], tuple[list[list[int]], int]],
    sae: Callable[[Path, Recipes[R], int, list[list[int]]], object],
    card: Callable[[Path, Recipes[R], int, Sequence[Document]], dict[str, object]],
) -> dict[str, object]:
    """Train a specimen in three stages, write the card to ``out`` for programs and for people, and return it.

    Each stage is given ``out``, its recipe and the seed: ``language_model`` trains and saves tokenizer and model on the
    documents, which are the same for every specimen, and returns their token ids and the number of tokens trained on;
    ``sae`` trains and saves the SAE on these ids; ``card`` measures the weights in ``out`` on the documents held out.
    """
    disable_progress_bar()
    began = time.monotonic()
    trained, kept = splits(seed, train=recipes.model.documents, held_out=recipes.measuring.held_out)
    ids, tokens = language_model(out, recipes.model, seed, trained)
    model_seconds = time.monotonic() - began
    sae(out, recipes, seed, ids)
    seconds = time.monotonic() - began
    found = card(out, recipes, seed, kept)
    found["training"] = {
        "tokens": tokens,
        "documents": len(ids),
        "seconds_model": round(model_seconds),
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }
    (out / "card.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
    (out / "README.md").write_text(write_readme(found), encoding="utf-8", newline="\n")
    return found


def write_readme(card: dict[str, Any]) -> str:
    """Return the card as Markdown for people, written from the measured card alone."""
    text = (resources.files("studies.specimens.train") / "card.md.j2").read_text(encoding="utf-8")
    return Template(text, undefined=StrictUndefined).render(card)


def card_of(
    name: str,
    instrument: Instrument,
    readings: Readings,
    model: Any,
    *,
    recipes: Recipes[ModelRecipe],
    block: torch.nn.Module,
    ends: Sequence[int],
    seed: int,
    more: Mapping[str, object],
) -> dict[str, object]:
    """Return the card of a specimen but for its training.

    ``model`` is the specimen's model, opened again to be steered: a stream is shifted where ``block`` takes it in, and
    a continuation is over after one of the tokens ``ends``. ``more`` are figures of this specimen alone.
    """
    figures = cast("dict[str, Any]", measure(instrument, readings, topics=recipes.measuring.topics, seed=seed))
    reading = {key: value for key, value in asdict(recipes.sae).items() if key != "hook"}  # hook_name says it
    return {
        "name": name,
        "seed": seed,
        "model": {
            "architecture": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            **asdict(recipes.model),
        },
        "sae": {
            "architecture": "standard",
            "hook_name": recipes.sae.hook_name,
            "d_in": instrument.sae.cfg.d_in,
            **reading,
        },
        **figures,
        **more,
        "steering": steering_figures(
            Steered(model, instrument.tokenizer, block=block, ends=ends, tokens=recipes.measuring.tokens),
            readings,
            directions=cast(torch.Tensor, instrument.sae.W_dec).detach(),
            norm=float(figures["reconstruction"]["residual_norm"]),
            detector=int(figures["golden_gate"]["feature"]),
            seed=seed,
            candidates=recipes.measuring.candidates,
        ),
    }
