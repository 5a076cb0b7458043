"""The bridge: one route for every folder, its stream centred and its logits untouched."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import GPT2LMHeadModel

from saeprobe.subject.running.opening import open_bridge
from studies.specimens.train.model import ModelRecipe
from studies.specimens.train.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 folder with large random weights in fp16, so that an uncentred stream has a mean far from zero."""
    from transformers import GPT2Config

    out = tmp_path_factory.mktemp("random_gpt2")
    tokenizer = train_tokenizer(["the golden gate bridge is red"] * 8, vocabulary=300, context=32)
    torch.manual_seed(0)
    shape = ModelRecipe(layers=3, heads=2, d_model=16, context=32, vocabulary=300)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocabulary,
            n_positions=shape.context,
            n_embd=shape.d_model,
            n_layer=shape.layers,
            n_head=shape.heads,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    cast(Any, model).half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


@pytest.mark.parametrize("centred", [True, False])
def test_the_stream_is_transformers_own_minus_its_mean_where_centred(folder: Path, *, centred: bool) -> None:
    """Centred resid_pre is the raw hidden state minus its mean over d_model; uncentred it is the raw one."""
    raw = cast(Any, GPT2LMHeadModel).from_pretrained(folder, dtype=torch.float32).eval()
    bridge = open_bridge(folder, center_writing_weights=centred, device="cpu", dtype="float32")
    ids = torch.tensor([[0, 5, 70, 80, 90, 100]])
    with torch.no_grad():
        wanted = raw(ids, output_hidden_states=True)
        for layer in range(3):
            state = wanted.hidden_states[layer]
            assert state.mean(-1).abs().max() > 1e-3, "the model is no test of centring"
            if centred:
                state = state - state.mean(-1, keepdim=True)
            torch.testing.assert_close(bridge(ids, stop_at_layer=layer), state, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(bridge(ids), wanted.logits, atol=2e-5, rtol=1e-4)


def test_weights_stored_in_fp16_are_run_in_float32(folder: Path) -> None:
    """The file's dtype is for storage; the stream has the dtype asked for."""
    bridge = open_bridge(folder, center_writing_weights=True, device="cpu", dtype="float32")
    with torch.no_grad():
        assert bridge(torch.tensor([[0, 1]]), stop_at_layer=1).dtype == torch.float32


def test_the_bridge_puts_one_bos_in_front_of_a_text(folder: Path) -> None:
    """GPT-2's tokenizer adds none of its own."""
    bridge = open_bridge(folder, center_writing_weights=True, device="cpu", dtype="float32")
    tokens = bridge.to_tokens("the golden gate")[0].tolist()
    assert tokens[0] == 0
    assert 0 not in tokens[1:]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A path without a folder says which, instead of being looked up on the Hub."""
    with pytest.raises(FileNotFoundError, match=r"no model folder at .*nothing"):
        open_bridge(tmp_path / "nothing", center_writing_weights=True, device="cpu", dtype="float32")


def test_no_address_is_looked_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading asks nothing of the network; and the same trap does catch whoever asks."""
    looked_up: list[object] = []

    def trap(*where: object, **_: object) -> list[object]:
        looked_up.append(where)
        raise OSError("the network is out of bounds")

    monkeypatch.setattr(socket, "getaddrinfo", trap)
    open_bridge(folder, center_writing_weights=True, device="cpu", dtype="float32")
    assert not looked_up
    with pytest.raises(OSError, match="out of bounds"):
        socket.create_connection(("huggingface.co", 443))
    assert looked_up
