"""The article's three steps give one file after another, on a tiny random model and on the shipped specimen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig
from sae_lens.saes.sae import SAEMetadata
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from saeprobe.prompts import STYLES
from saeprobe.recorded.comparison import read_feature_diff
from saeprobe.recorded.tensors import read_activations, read_features
from saeprobe.subject.registry import find_subject

Run = Callable[..., Any]

PROMPTS = """
name = "mine"
language = "en"
topics = [{ name = "tides", guru = "Galileo" }, { name = "rain", guru = "Dalton" }]

[styles]
standard = { templates = ["Explain {topic}."] }
novice = { templates = ["Explain {topic} to a novice, please."] }
expert = { templates = ["Derive {topic} from first principles."] }
guru = { templates = ["You are {guru}. Explain {topic}."] }
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project has a random two-layer GPT-2 over bytes, a random SAE on its middle, prompts, and a declaration."""
    root = tmp_path_factory.mktemp("project")
    letters = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bpe = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    cast(Any, bpe).pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=letters[0], eos_token=letters[0])
    tokenizer.save_pretrained(root / "model")
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=len(letters), n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    cast(Any, GPT2LMHeadModel(shape)).save_pretrained(root / "model")
    about = SAEMetadata(hook_name="blocks.1.hook_resid_pre", prepend_bos=True, context_size=64, model_name="toy")
    sae = StandardSAE(StandardSAEConfig(d_in=16, d_sae=40, apply_b_dec_to_input=False, metadata=about))
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.normal_()
    sae.save_model(root / "sae")
    (root / "prompts.toml").write_text(PROMPTS)
    (root / "pyproject.toml").write_text(
        '[tool.saeprobe.subjects.toy]\nmodel = "./model"\nsae = { path = "./sae" }\ndevice = "cpu"\n'
        "center_writing_weights = false\n"
    )
    return root


def hidden_state(model: Path, text: str) -> torch.Tensor:
    """What transformers computes after the first block at the last token of BOS + text, one text alone."""
    network = cast(Any, GPT2LMHeadModel).from_pretrained(model).eval()
    tokenizer = cast(Any, PreTrainedTokenizerFast).from_pretrained(model)
    ids = torch.tensor([[0, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        return network(ids, output_hidden_states=True).hidden_states[1][0, -1]


def test_three_steps_on_a_tiny_model(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """extract, encode and diff give what transformers and the SAE's own weights give for one prompt at a time."""
    monkeypatch.chdir(project)
    for words in (
        ("extract", "toy", "--prompts", "prompts.toml", "-o", "a.pt"),
        ("encode", "a.pt", "--sae", "toy", "-o", "f.pt"),
        ("diff", "f.pt", "-o", "d.json"),
    ):
        found = run(*words)
        assert found.code == 0, found.err
        assert found.err == ""  # no bar where nobody watches

    activations = read_activations(project / "a.pt")
    assert activations.gurus == ("Galileo", "Dalton")
    stream = hidden_state(project / "model", "Explain rain to a novice, please.")
    np.testing.assert_allclose(activations.rows["novice"][1], stream.numpy(), atol=1e-5)

    sae = StandardSAE.load_from_disk(project / "sae")
    wanted = torch.relu(stream @ sae.W_enc + sae.b_enc).detach().numpy()
    features = read_features(project / "f.pt")
    np.testing.assert_allclose(features.rows["novice"].toarray()[1], wanted, atol=1e-4)

    diff = read_feature_diff(project / "d.json")
    dense = {style: rows.toarray() for style, rows in features.rows.items()}
    assert diff.avg_active["novice"] == (dense["novice"] > 0).sum(axis=1).mean()
    assert diff.avg_intensity["expert"] == pytest.approx(dense["expert"][dense["expert"] > 0].mean(), rel=1e-6)
    only = (dense["novice"] > 0).any(axis=0) & ~(dense["expert"] > 0).any(axis=0)
    assert diff.only_count["novice"] == only.sum()
    assert list(json.loads((project / "d.json").read_text())["summary"])[2] == "standard_avg_active"


def test_three_steps_on_the_specimen(run: Run, tmp_path: Path) -> None:
    """The commands of the help run as they stand there, on all six styles of the article."""
    absent = find_subject("sparrow", tmp_path).missing()
    if absent is not None:
        pytest.skip(absent)
    a, f, d = (tmp_path / name for name in ("a.pt", "f.pt", "d.json"))
    for words in (
        ("extract", "sparrow", "-o", a),
        ("encode", a, "--sae", "sparrow", "-o", f),
        ("diff", f, "-o", d),
        ("inspect", f),
    ):
        found = run(*words)
        assert found.code == 0, found.err
    features = read_features(f)
    prompts = STYLES.for_wording("specimen")
    assert (features.styles, features.topics) == (prompts.styles, prompts.topics)
    assert set(read_feature_diff(d).avg_active) == {"novice", "expert", "standard"}
