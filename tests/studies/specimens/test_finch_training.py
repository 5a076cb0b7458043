"""finch is trained, whole and in parts, at a size of seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from studies.specimens import __main__ as command
from studies.specimens.train import finch, specimen
from studies.specimens.train.hooked import HookedLlama
from studies.specimens.train.model import Checkpoint, ModelRecipe, fit, rows, train_model
from studies.specimens.train.sae import SaeRecipe, as_goodfire, load_goodfire_sae, train_goodfire_sae


def _random_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=16,
        )
    ).eval()


def test_the_command_trains_finch_into_the_folder_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command hands folder and seed on, and says where the figures are."""
    called: list[tuple[Path, int, object]] = []
    monkeypatch.setattr(finch, "train", lambda out, *, seed, recipes: called.append((out, seed, recipes)))
    command.main(["finch", "--out", str(tmp_path / "made"), "--seed", "3"])
    assert called == [(tmp_path / "made", 3, finch.RECIPES)]
    assert str(tmp_path / "made" / "README.md") in capsys.readouterr().out


def test_finch_is_trained_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed gives model, SAE and card, at a size that learns nothing; the checkpoint is gone at the end."""
    monkeypatch.setattr(specimen, "steering_figures", lambda *_, **__: STEERING)
    card = cast("dict[str, Any]", finch.train(tmp_path, seed=0, recipes=finch.TINY))
    assert json.loads((tmp_path / "card.json").read_text(encoding="utf-8")) == json.loads(json.dumps(card))
    assert "# finch" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "card.json", "model", "sae"]
    assert (tmp_path / "sae" / "finch-sae-l0.pt").is_file()
    assert len(list((tmp_path / "model").glob("*.safetensors"))) == 3
    assert card["sae"]["hook_name"] == "blocks.0.hook_resid_post"
    assert card["model"]["key_value_heads"] == 1
    assert card["reconstruction_of_text"]["tokens"] < card["reconstruction"]["tokens"]


STEERING = {
    "feature": 1,
    "strength": 2.0,
    "strength_in_residual_norms": 0.5,
    "unsteered": {"mention_rate": 0.0, "perplexity": 2.0, "continuations": 8},
    "steered": {},
    "wrong_sign": {"mention_rate": 0.0, "perplexity": 2.0, "continuations": 8},
    "detector": {"feature": 2, "mention_rate": 0.0, "perplexity": 2.0, "continuations": 8},
    "random_features": [],
}


def test_the_four_tensors_are_the_trained_sae(tmp_path: Path) -> None:
    """Goodfire's encoder, which subtracts no decoder bias, gives the features and reconstruction of sae-lens' SAE."""
    generator = torch.Generator().manual_seed(0)
    samples = 3.0 + torch.randn(512, 4, generator=generator)
    train_goodfire_sae(samples, SaeRecipe(layer=1, d_sae=8, samples=4096, batch=64), seed=0, out=tmp_path / "l1.pt")
    tensors = torch.load(tmp_path / "l1.pt", weights_only=True)
    loaded = load_goodfire_sae(tmp_path / "l1.pt")
    assert loaded.cfg.apply_b_dec_to_input is False
    features = torch.relu(samples @ tensors["encoder_linear.weight"].T + tensors["encoder_linear.bias"])
    assert (features > 0).any()
    torch.testing.assert_close(loaded.encode(samples), features)
    rebuilt = features @ tensors["decoder_linear.weight"].T + tensors["decoder_linear.bias"]
    torch.testing.assert_close(loaded.decode(loaded.encode(samples)), rebuilt)


def test_a_decoder_bias_subtracted_from_the_input_is_put_into_the_encoders_bias() -> None:
    """Worked by hand: relu((x - 3) * 2 + 1) is relu(2 x - 5)."""

    class Config:
        apply_b_dec_to_input = True

    class Sae:
        cfg = Config()

        @staticmethod
        def state_dict() -> dict[str, torch.Tensor]:
            return {
                "W_enc": torch.tensor([[2.0]]),
                "b_enc": torch.tensor([1.0]),
                "W_dec": torch.tensor([[1.0]]),
                "b_dec": torch.tensor([3.0]),
            }

    tensors = as_goodfire(cast(Any, Sae()))
    assert tensors["encoder_linear.bias"].tolist() == [-5.0]
    assert tensors["encoder_linear.weight"].tolist() == [[2.0]]
    assert tensors["decoder_linear.bias"].tolist() == [3.0]


def test_a_llamas_stream_is_replaced_after_its_block_at_all_positions_but_the_first() -> None:
    """The stream put back as it is changes no logit; put to zero, it changes all but the first position's."""
    model, ids = _random_llama(), torch.tensor([[1, 5, 6, 7]])
    hooked = HookedLlama(model=model, layer=1)
    with torch.no_grad():
        wanted = model(ids, output_hidden_states=True)
    torch.testing.assert_close(hooked.stream(ids), wanted.hidden_states[2])
    torch.testing.assert_close(hooked.logits(ids), wanted.logits)
    torch.testing.assert_close(hooked.logits(ids, replace=lambda x: x), wanted.logits)
    changed = hooked.logits(ids, replace=torch.zeros_like) - wanted.logits
    assert changed[0, 0].abs().max() < 1e-6
    assert (changed[0, 1:].abs().amax(-1) > 1e-3).all()
    torch.testing.assert_close(hooked.logits(ids), wanted.logits)


def test_the_stream_after_the_last_block_is_refused() -> None:
    """The last hidden state of transformers is after the final norm, and would pass for the stream."""
    with pytest.raises(ValueError, match="block 2 is the last one"):
        HookedLlama(model=_random_llama(), layer=2).stream(torch.tensor([[1]]))


RECIPE = ModelRecipe(layers=1, heads=1, d_model=8, context=8, vocabulary=16, batch=2, warm_up=1)
PACKED = rows([[1, 2, 3, 4, 5, 6, 7, 8]] * 6, bos=0, context=8)


def _fit(checkpoint: Checkpoint | None, *, steps: int = 3) -> torch.nn.Module:
    fresh = train_model(PACKED[:2], RECIPE, bos=0, seed=1)  # where training begins does not matter here
    recipe = replace(RECIPE, learning_rate=1e-2, weight_decay=0.0)
    return fit(fresh, PACKED[: 2 * steps], recipe, checkpoint=checkpoint)


def test_a_training_that_was_stopped_ends_where_it_would_have(tmp_path: Path) -> None:
    """The state after two steps of three, taken up again for the third, gives the weights of three in a row."""
    whole = _fit(Checkpoint(path=tmp_path / "a.pt", of="this", every=2)).state_dict()
    resumed = _fit(Checkpoint(path=tmp_path / "a.pt", of="this", every=2)).state_dict()
    alone = _fit(None).state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert all(torch.equal(whole[name], alone[name]) for name in whole)


def test_a_smoke_run_must_name_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """It would replace the weights that ship with the package."""
    with pytest.raises(SystemExit):
        command.main(["sparrow", "--smoke"])
    assert "name a folder: --out DIR" in capsys.readouterr().err


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    """It is named, with what was wanted."""
    _fit(Checkpoint(path=tmp_path / "a.pt", of="seed 1", every=2))
    with pytest.raises(ValueError, match="is of another training, seed 1; wanted seed 2"):
        _fit(Checkpoint(path=tmp_path / "a.pt", of="seed 2", every=2))
