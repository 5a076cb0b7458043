"""gpt2, from a Hub cache on disk: looked up without a network, and loaded by the code that loads the specimen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_caches import put
from made_subjects import write_byte_tokenizer, write_gpt2

from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Request, Want

SAE = "jbloom/GPT2-Small-SAEs-Reformatted"
HOOK = "blocks.6.hook_resid_pre"
COMMAND = "saeprobe fetch gpt2 (where huggingface.co is out of reach, put HF_ENDPOINT=https://hf-mirror.com before it)"


MODEL_FILES = {"config.json": b"{}", "model.safetensors": b"w", "tokenizer.json": b"{}"}
SAE_FILES = {f"{HOOK}/cfg.json": b"{}", f"{HOOK}/sae_weights.safetensors": b"w"}


def missing() -> str | None:
    """Say why gpt2 cannot run."""
    return find_subject("gpt2", Path("/nowhere")).missing()


def test_what_is_absent_is_named_with_the_commands_that_bring_it(hub: Path) -> None:
    """Model and SAE at first, the SAE alone once the model is there, and nothing once both are."""
    assert missing() == f"the weights of openai-community/gpt2 and {SAE} are not here; run: {COMMAND}"
    put(hub, "openai-community/gpt2", MODEL_FILES)
    assert missing() == f"the weights of {SAE} are not here; run: {COMMAND}"
    put(hub, SAE, SAE_FILES)
    assert missing() is None


@pytest.mark.parametrize("lacking", MODEL_FILES)
def test_a_model_that_came_in_part_is_absent(hub: Path, lacking: str) -> None:
    """Config, weights and tokenizer must all be in the snapshot."""
    put(hub, "openai-community/gpt2", {name: MODEL_FILES[name] for name in MODEL_FILES if name != lacking})
    put(hub, SAE, SAE_FILES)
    assert (missing() or "").startswith("the weights of openai-community/gpt2 are not here")


def test_a_model_in_shards_needs_all_of_them(hub: Path) -> None:
    """A shard that the index names and that is not there makes the model absent."""
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors.index.json": index}
    snapshot = put(hub, "openai-community/gpt2", {**files, "model-1.safetensors": b"1"})
    put(hub, SAE, SAE_FILES)
    assert "openai-community/gpt2" in (missing() or "")
    (snapshot / "model-2.safetensors").write_bytes(b"2")
    assert missing() is None


def test_a_model_under_its_old_name_is_found(hub: Path) -> None:
    """Who loaded `gpt2` before it was renamed has it under that name."""
    put(hub, "gpt2", MODEL_FILES)
    put(hub, SAE, SAE_FILES)
    assert missing() is None


def test_another_layer_of_the_sae_is_not_this_one(hub: Path) -> None:
    """The folder of the id counts, not the repository."""
    put(hub, "openai-community/gpt2", MODEL_FILES)
    put(hub, SAE, {name.replace(".6.", ".5."): content for name, content in SAE_FILES.items()})
    assert (missing() or "").startswith(f"the weights of {SAE} are not here")


def write_old_sae() -> tuple[dict[str, bytes], dict[str, np.ndarray[Any, Any]]]:
    """An SAE of 20 features with the keys of the published file, which SAELens wrote before its version 6."""
    from safetensors.numpy import save

    generator = np.random.default_rng(4)
    weights = {
        "W_enc": generator.normal(size=(16, 20)).astype(np.float32),
        "b_enc": np.full(20, -0.3, dtype=np.float32),
        "W_dec": generator.normal(size=(20, 16)).astype(np.float32),
        "b_dec": generator.normal(size=16).astype(np.float32),
    }
    config = {
        "model_name": "gpt2-small",
        "hook_point": HOOK,
        "hook_point_layer": 6,
        "hook_point_head_index": None,
        "dataset_path": "Skylion007/openwebtext",
        "context_size": 128,
        "d_in": 16,
        "d_sae": 20,
        "device": "mps",
        "dtype": "torch.float32",
    }
    files = {
        f"{HOOK}/cfg.json": json.dumps(config).encode(),
        f"{HOOK}/sae_weights.safetensors": save({**weights, "scaling_factor": np.ones(20, dtype=np.float32)}),
    }
    return files, weights


def test_gpt2_is_read_from_the_cache_by_the_loader_of_the_specimen(hub: Path, tmp_path: Path) -> None:
    """A random model under gpt2's name gives the centred stream of transformers through the SAE's own equations."""
    import torch
    from transformers import GPT2LMHeadModel

    size = write_byte_tokenizer(tmp_path / "made")
    write_gpt2(tmp_path / "made", vocabulary=size, width=16, layers=7, heads=2)
    snapshot = put(
        hub, "openai-community/gpt2", {file.name: file.read_bytes() for file in (tmp_path / "made").iterdir()}
    )
    files, weights = write_old_sae()
    put(hub, SAE, files)

    subject = find_subject("gpt2", tmp_path)
    identity = subject.identity()
    assert (identity.model, identity.sae) == ("openai-community/gpt2", f"gpt2-small-res-jb/{HOOK}")
    assert (identity.hook_name, identity.d_in, identity.d_sae) == (HOOK, 16, 20)
    assert "BOS: one before each prompt" in identity.protocol
    assert "minus its mean" in identity.protocol

    want = Want(at="all", keep=frozenset({"features"}))
    ((_, (found,)),) = subject.open().read([Request(text="the golden bridge", wants=(want,))])
    model = GPT2LMHeadModel.from_pretrained(snapshot).eval()
    ids = [0, *_tokens(snapshot, "the golden bridge")]
    with torch.no_grad():
        raw = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[6][0, 1:].numpy()
    x = raw - raw.mean(-1, keepdims=True)
    expected = np.maximum((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"], 0)
    dense = np.zeros_like(expected)
    for row, (index, value) in enumerate(zip(found.indices, found.values, strict=True)):
        dense[row, index] = value
    np.testing.assert_allclose(dense, expected, atol=1e-3, rtol=1e-4)
    assert found.n_tokens == len(ids)


def test_the_registry_of_sae_lens_says_that_the_stream_is_centred(hub: Path, tmp_path: Path) -> None:
    """The SAE's own file does not; a user's subject with the same release has it from there, and may overrule it."""
    config = {"model_type": "gpt2", "n_embd": 16, "n_layer": 7, "n_positions": 64}
    put(hub, "openai-community/gpt2", {**MODEL_FILES, "config.json": json.dumps(config).encode()})
    put(hub, SAE, write_old_sae()[0])
    table = f'model = "openai-community/gpt2"\nsae = {{ release = "gpt2-small-res-jb", id = "{HOOK}" }}\n'
    for overruled, stream in (
        ("", "residual stream minus its mean"),
        ("center_writing_weights = false", "raw residual"),
    ):
        text = f"[tool.saeprobe.subjects.mine]\n{table}{overruled}\n"
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        assert stream in find_subject("mine", tmp_path).identity().protocol


def _tokens(folder: Path, text: str) -> list[int]:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
