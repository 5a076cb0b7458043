"""The shipped weights are those the card describes, measured again on a small sample."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from saeprobe.subject.running.opening import open_bridge
from studies.specimens.corpus.document import Document
from studies.specimens.corpus.grammar import generate
from studies.specimens.train.hooked import HookedBridge, document_losses, reconstruction, residuals
from studies.specimens.train.sae import load_sae
from studies.specimens.train.specimen import write_readme
from studies.specimens.train.writing import encode

FOLDER = Path(str(resources.files("saeprobe") / "specimens")) / "sparrow"


@cache
def card() -> dict[str, Any]:
    """The shipped card."""
    return json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))


@cache
def opened() -> tuple[Any, Any]:
    """The shipped model and SAE."""
    bridge = open_bridge(FOLDER / "model", center_writing_weights=True, device="cpu", dtype="float32")
    return bridge, load_sae(FOLDER / "sae")


@cache
def sample() -> list[Document]:
    """Documents of a seed that neither training nor the card used."""
    source = generate(77)
    return [next(source) for _ in range(300)]


def _ids() -> list[list[int]]:
    rows = encode(opened()[0].tokenizer, [document.text for document in sample()])
    return [row for row in rows if len(row) <= card()["model"]["context"] - 2]


def test_the_sae_explains_and_fires_as_the_card_says() -> None:
    """On 300 fresh documents variance explained lies within 0.01 and L0 within 5 % of the card."""
    bridge, sae = opened()
    figures = card()["reconstruction"]
    streams = residuals(HookedBridge(bridge=bridge, layer=card()["sae"]["layer"]), _ids(), bos=0)
    measured = reconstruction(sae, torch.cat(streams))
    assert measured.variance_explained == pytest.approx(figures["variance_explained"], abs=0.01)
    assert measured.l0 == pytest.approx(figures["l0"], rel=0.05)


def test_the_model_knows_its_corpus_as_the_card_says() -> None:
    """On fresh documents the excess of the loss over the entropy lies near the card's; the SAE costs little more."""
    bridge, sae = opened()
    held_out = card()["held_out"]
    model = HookedBridge(bridge=bridge, layer=card()["sae"]["layer"])
    closed = [[*row, 0] for row in _ids()]  # the next document's BOS ends each
    nats, counts = document_losses(model, closed, bos=0)
    spliced, _ = document_losses(model, closed, bos=0, replace=lambda x: sae.decode(sae.encode(x)))
    assert sum(nats) / sum(counts) == pytest.approx(held_out["loss_per_token"], rel=0.06)
    assert sum(spliced) / sum(counts) == pytest.approx(held_out["loss_per_token_with_sae"], rel=0.08)
    assert held_out["loss_per_token"] > held_out["entropy_per_token"], "no model beats its corpus' entropy"


def test_the_sae_says_where_it_reads() -> None:
    """Hook, BOS, context and centring are in the SAE's own metadata, and agree with model and card."""
    bridge, sae = opened()
    metadata = sae.cfg.metadata.to_dict()
    assert metadata["hook_name"] == card()["sae"]["hook_name"]
    assert metadata["prepend_bos"] is True
    assert metadata["context_size"] == card()["model"]["context"] == bridge.cfg.n_ctx
    assert metadata["model_from_pretrained_kwargs"] == {"center_writing_weights": True}
    assert sae.cfg.d_in == bridge.cfg.d_model
    torch.testing.assert_close(cast(torch.Tensor, sae.W_dec).norm(dim=-1), torch.ones(sae.cfg.d_sae), atol=1e-4, rtol=0)


def test_every_planted_concept_is_in_the_card() -> None:
    """Each concept has a feature within the SAE, and figures that are proportions."""
    width = opened()[1].cfg.d_sae
    for row in card()["concepts"]:
        assert 0 <= row["feature"] < width
        assert all(0.0 <= row[key] <= 1.0 for key in ("precision", "recall", "auroc"))
    assert {"golden_gate", "ask_novice", "refusal", "love", "friendship", "grief", "code_indentation", "shopping"} <= {
        row["concept"] for row in card()["concepts"]
    }


def test_the_card_for_people_is_written_from_the_card_for_programs() -> None:
    """README.md says what card.json says, and nothing was edited by hand."""
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == write_readme(card())


def test_the_weights_are_small() -> None:
    """All files together stay under 10 MB."""
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 10_000_000
