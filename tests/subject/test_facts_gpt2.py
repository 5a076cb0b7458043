"""Ways to be wrong about GPT-2 without an error, each beside what the code does instead."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_caches import put, put_folder, write_empty_sae
from made_subjects import Made

from saeprobe.subject.registry import find_subject
from saeprobe.subject.running import Run
from saeprobe.subject.specification import Request, SaeFolder, SubjectError, Want

HOOK = "blocks.6.hook_resid_pre"
IDS = (0, 70, 80, 90, 100)


@pytest.fixture(scope="module")
def reader(tiny: Made) -> Any:
    """Load the tiny GPT-2."""
    return tiny.subject.open()


def test_gpt2_is_held_against_what_the_registry_publishes(hub: Path, tmp_path: Path) -> None:
    """51 active features and 0.9 of the variance; 24,576 features, not the manual's 32,768; BOS though no file says."""
    config = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_positions": 1024}
    sae = {"model_name": "gpt2-small", "hook_point": HOOK, "d_in": 768, "d_sae": 24_576, "context_size": 128}
    model = {"config.json": json.dumps(config).encode(), "model.safetensors": b"w", "tokenizer.json": b"{}"}
    put(hub, "openai-community/gpt2", model)
    write_empty_sae(tmp_path / "sae" / HOOK / "sae_weights.safetensors", d_in=768, d_sae=24_576)
    (tmp_path / "sae" / HOOK / "cfg.json").write_text(json.dumps(sae), encoding="utf-8")
    put_folder(hub, "jbloom/GPT2-Small-SAEs-Reformatted", tmp_path / "sae")
    subject: Any = find_subject("gpt2", tmp_path)
    yardstick = subject.yardstick()
    assert (yardstick.l0, yardstick.variance_explained) == (51, 0.9)
    assert (yardstick.source, yardstick.shifts) == ("the registry of sae-lens", (-1, 0, 1))
    assert (subject.spec.d_sae, subject.identity().d_sae) == (24_576, 24_576)
    told = subject.identity().protocol
    for words in ("BOS: one before each prompt", "residual stream minus its mean", "at most 128 tokens"):
        assert words in told


def test_streams_at_every_depth_are_those_before_the_final_norm(reader: Any, tiny: Made) -> None:
    """All depths at one go, the last of them too, where transformers' own hidden state is after the norm."""
    import torch
    from transformers import GPT2LMHeadModel

    model: Any = GPT2LMHeadModel.from_pretrained(tiny.model).eval()
    entering: list[Any] = []
    model.transformer.ln_f.register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0]))
    with torch.no_grad():
        states = model(torch.tensor([IDS]), output_hidden_states=True).hidden_states
    ((_, found),) = reader.model.run([Run(ids=IDS, depths=(0, 1, 2, 3))], batch_size=1)
    for depth, raw in enumerate((*states[:3], entering[0])):
        torch.testing.assert_close(found[depth], (raw - raw.mean(-1, keepdim=True))[0], atol=1e-4, rtol=1e-4)
    normed = states[3][0] - states[3][0].mean(-1, keepdim=True)
    assert (found[3] - normed).abs().max() > 0.1


def test_stopping_at_the_hook_leaves_its_cache_empty(reader: Any, tiny: Made) -> None:
    """Whoever asks a cache for the hook and stops there gets nothing; what the stopped run returns is the stream."""
    import torch

    from saeprobe.subject.running.opening import open_bridge

    bridge: Any = open_bridge(tiny.model, center_writing_weights=True, device="cpu", dtype="float32")
    with torch.no_grad():
        _, cache = bridge.run_with_cache(torch.tensor([IDS]), names_filter="blocks.2.hook_resid_pre", stop_at_layer=2)
        _, whole = bridge.run_with_cache(torch.tensor([IDS]), names_filter="blocks.2.hook_resid_pre")
    assert len(cache) == 0
    ((_, found),) = reader.model.run([Run(ids=IDS, depths=(2,))], batch_size=1)
    torch.testing.assert_close(found[2], whole["blocks.2.hook_resid_pre"][0], atol=1e-5, rtol=1e-5)


def test_nothing_that_is_deprecated_is_run(tiny: Made) -> None:
    """It is opened and read without a warning, by transformers; a HookedTransformer warns when it is made."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader: Any = tiny.subject.open()
        list(reader.read([Request(text="red", wants=(Want(at="last", keep=frozenset({"features"})),))]))
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    assert reader.model._stream.model.config._attn_implementation == "sdpa"
    config = HookedTransformerConfig(
        n_layers=1, d_model=4, n_ctx=4, d_head=4, n_heads=1, d_vocab=5, act_fn="gelu_new", device="cpu"
    )
    with pytest.warns(DeprecationWarning, match="HookedTransformer"):
        HookedTransformer(config)


def test_an_sae_comes_alone(reader: Any) -> None:
    """Taking it apart into three, as the manual does, still works and warns: an error in this suite."""
    with pytest.warns(DeprecationWarning, match="Unpacking SAE objects is deprecated"):
        sae, *_ = reader.sae
    assert sae is reader.sae


@pytest.mark.parametrize("key", ["hook_name", "prepend_bos"])
def test_a_misspelt_key_is_missed_though_sae_lens_answers_none(tiny: Made, tmp_path: Path, key: str) -> None:
    """None would pass for "no BOS" and for no hook; the subject is refused with the key to add."""
    from saeprobe.subject.running.dictionary import SAE

    folder = Path(shutil.copytree(tiny.sae, tmp_path / "sae"))
    config = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    config["metadata"][f"{key}s"] = config["metadata"].pop(key)
    (folder / "cfg.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.warns(UserWarning, match="non-empty model_from_pretrained_kwargs"):
        metadata: Any = SAE.load_from_disk(folder).cfg.metadata
    assert getattr(metadata, key) is None
    subject = replace(tiny.subject, spec=replace(tiny.subject.spec, sae=SaeFolder(path=folder)))
    with pytest.raises(SubjectError, match=rf"says {key}; add to \[tool.saeprobe.subjects.tiny\] .*such as: {key} = "):
        subject.open()


def test_a_reading_needs_bos(reader: Any) -> None:
    """The same tokens without BOS give another stream at each of them."""
    text = "the bridge is red"
    ids = reader.tokenize([text])[0].ids
    assert (ids[0], ids[1:].count(0)) == (0, 0)
    ((_, (reading,)),) = reader.read([Request(text=text, wants=(Want(at="all", keep=frozenset({"activations"})),))])
    ((_, bare),) = reader.model.run([Run(ids=ids[1:], depths=(2,))], batch_size=1)
    assert np.abs(reading.activations - bare[2].numpy()).max(axis=1).min() > 1e-2
