"""What the trainings of all specimens share: the documents, and the card as it is written to disk."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from studies.specimens.corpus.document import Document
from studies.specimens.corpus.grammar import splits
from studies.specimens.train.readme import write_readme

HELD_OUT = 3000


def documents(count: int, *, seed: int) -> tuple[list[Document], list[Document]]:
    """Return the documents trained on and those held out, the same ones for every specimen."""
    return splits(seed, train=count, held_out=HELD_OUT)


def training_facts(*, tokens: int, documents: int, seconds_model: float, seconds: float) -> dict[str, object]:
    """Return what the card says of the training: how much, how long and on what."""
    return {
        "tokens": tokens,
        "documents": documents,
        "seconds_model": round(seconds_model),
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


def save_card(out: Path, card: dict[str, object]) -> None:
    """Write the card for programs and for people."""
    (out / "card.json").write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "README.md").write_text(write_readme(card), encoding="utf-8")
