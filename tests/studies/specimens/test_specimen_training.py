"""Training packs documents into rows and samples into batches, and a seed decides its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from studies.specimens.train import sparrow, specimen
from studies.specimens.train.hooked import shuffled_batches
from studies.specimens.train.model import ModelRecipe, padded, rows, train_model
from studies.specimens.train.sae import SaeRecipe, load_sae, train_sae
from studies.specimens.train.tokenizer import END_OF_TEXT, train_tokenizer
from studies.specimens.train.writing import encode


def test_sparrow_is_trained_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed gives model, SAE and card, at a size that learns nothing; steering alone is left out."""
    arm = {"mention_rate": 0.0, "perplexity": 2.0, "continuations": 8}
    steering = {"feature": 1, "strength": 2.0, "strength_in_residual_norms": 0.5, "unsteered": arm, "steered": {}}
    steering |= {"wrong_sign": arm, "detector": {"feature": 2, **arm}, "random_features": []}
    monkeypatch.setattr(specimen, "steering_figures", lambda *_, **__: steering)
    card = cast("dict[str, Any]", sparrow.train(tmp_path, seed=0, recipes=sparrow.TINY))
    assert json.loads((tmp_path / "card.json").read_text(encoding="utf-8")) == json.loads(json.dumps(card))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "card.json", "model", "sae"]
    assert card["sae"]["hook_name"] == load_sae(tmp_path / "sae").cfg.metadata.to_dict()["hook_name"]
    assert "hook" not in card["sae"]


def test_every_row_begins_at_a_document_and_a_cut_document_is_not_resumed() -> None:
    """The second document is cut at context 4, and the third opens the next row."""
    packed = rows([[1, 2], [3, 4], [5, 6, 7]], bos=0, context=4)
    assert packed.tolist() == [[0, 1, 2, 0], [0, 5, 6, 7]]


def test_padding_stands_to_the_right_of_a_bos_and_a_document() -> None:
    """Lengths count the BOS."""
    ids, lengths = padded([[5, 6, 7], [8]], bos=0)
    assert ids.tolist() == [[0, 5, 6, 7], [0, 8, 0, 0]]
    assert lengths.tolist() == [4, 2]


def test_the_tokenizer_keeps_every_character_and_knows_one_special_token() -> None:
    """Byte-level BPE loses nothing: spaces, line ends and letters outside its training come back."""
    tokenizer = train_tokenizer(["red bridge"] * 4, vocabulary=270, context=32)
    text = "  red   bridge\n    caf\u00e9  "
    [ids] = encode(tokenizer, [text])
    assert cast(Any, tokenizer).decode(ids) == text
    assert tokenizer.bos_token == tokenizer.eos_token == END_OF_TEXT
    assert tokenizer.bos_token_id not in ids


def test_a_model_is_a_function_of_its_rows_and_seed() -> None:
    """Two runs of a few steps give the same weights, and another seed others."""
    recipe = ModelRecipe(layers=1, heads=1, d_model=8, context=8, vocabulary=16, batch=2, warm_up=1)
    packed = rows([[1, 2, 3, 4, 5, 6, 7, 8]] * 6, bos=0, context=8)
    first, second, other = (train_model(packed, recipe, bos=0, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_batches_pass_over_all_samples_before_any_comes_again() -> None:
    """Three batches of two see six samples once each."""
    batches = shuffled_batches(torch.arange(6.0)[:, None], size=2, generator=torch.Generator().manual_seed(0))
    assert sorted(torch.cat([next(batches) for _ in range(3)])[:, 0].tolist()) == [0, 1, 2, 3, 4, 5]


def test_the_sae_is_saved_as_sae_lens_reads_it(tmp_path: Path) -> None:
    """It has unit decoder rows, and its metadata name the hook, BOS and centring that a reader needs."""
    samples = torch.randn(512, 4, generator=torch.Generator().manual_seed(0))
    recipe = SaeRecipe(layer=1, d_sae=8, samples=2048, batch=64)
    train_sae(samples, recipe, model_name="tiny", context=16, seed=0, out=tmp_path)
    sae = load_sae(tmp_path)
    assert sae.cfg.architecture() == "standard"
    assert sae.cfg.normalize_activations == "none"
    torch.testing.assert_close(cast(torch.Tensor, sae.W_dec).norm(dim=-1), torch.ones(8))
    metadata = sae.cfg.metadata.to_dict()
    assert metadata["hook_name"] == "blocks.1.hook_resid_pre"
    assert metadata["prepend_bos"] is True
    assert metadata["context_size"] == 16
    assert metadata["model_from_pretrained_kwargs"] == {"center_writing_weights": True}
