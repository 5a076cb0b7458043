"""SAEs of formats that only sae-lens knows, and models of other families: Qwen2 with a converted JumpReLU SAE."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hub_caches import put_folder
from made_llama import write_chat_tokenizer, write_llama

from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Request, SubjectError, Want

MODEL, SAE = "Qwen/Qwen2.5-7B-Instruct", "andyrdt/saes-qwen2.5-7b-instruct"
TRAINER = "resid_post_layer_15/trainer_1"
WIDTH, D_SAE, THRESHOLD = 32, 48, 0.4


def write_batch_topk(folder: Path) -> dict[str, Any]:
    """An SAE as dictionary_learning saves a BatchTopK one, which at inference is a JumpReLU with one threshold."""
    import torch

    generator = torch.Generator().manual_seed(3)
    tensors = {
        "encoder.weight": torch.randn(D_SAE, WIDTH, generator=generator) / 4,
        "encoder.bias": torch.randn(D_SAE, generator=generator) / 4,
        "decoder.weight": torch.randn(WIDTH, D_SAE, generator=generator),
        "b_dec": torch.randn(WIDTH, generator=generator),
        "threshold": torch.tensor(THRESHOLD),
        "k": torch.tensor(8),
    }
    config = {
        "trainer": {
            "dict_class": "BatchTopKSAE",
            "layer": 15,
            "activation_dim": WIDTH,
            "dict_size": D_SAE,
            "lm_name": MODEL,
            "k": 8,
        },
        "buffer": {"ctx_len": 256},
    }
    (folder / TRAINER).mkdir(parents=True)
    torch.save(tensors, folder / TRAINER / "ae.pt")
    (folder / TRAINER / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return tensors


@pytest.fixture
def qwen(hub: Path, tmp_path: Path) -> tuple[Any, dict[str, Any]]:
    """The whole model by transformers and the SAE's tensors; both lie in the cache."""
    vocabulary = write_chat_tokenizer(tmp_path / "model")
    model = write_llama(tmp_path / "model", layers=17, vocabulary=vocabulary, width=WIDTH, family="qwen2")
    tensors = write_batch_topk(tmp_path / "sae")
    put_folder(hub, MODEL, tmp_path / "model")
    put_folder(hub, SAE, tmp_path / "sae")
    return model, tensors


def test_qwen7b_goes_through_the_loader_of_sae_lens(qwen: tuple[Any, dict[str, Any]], tmp_path: Path) -> None:
    """Hook, width and architecture come from sae-lens' own conversion; features equal its equations by hand."""
    import torch

    model, sae = qwen
    subject = find_subject("qwen7b", tmp_path)
    identity = subject.identity()
    assert (identity.hook_name, identity.d_in, identity.d_sae) == ("blocks.15.hook_resid_post", WIDTH, D_SAE)
    assert identity.fixed_l0 is None  # BatchTopK fixes a mean in training; the claim of day 4 on L0 can be decided
    exact = Subject(spec=replace(cast(Any, subject).spec, dtype="float32"))
    reader: Any = exact.open()
    text = "Why is the sky blue?"
    ((_, (reading,)),) = reader.read([Request(text=text, wants=(Want(at="last", keep=frozenset({"features"})),))])
    ids = torch.tensor([reader.tokenize([text])[0].ids])
    with torch.no_grad():
        x = model(ids, output_hidden_states=True).hidden_states[16][0, -1]
    pre = (x - sae["b_dec"]) @ sae["encoder.weight"].T + sae["encoder.bias"]
    expected = torch.where(pre > THRESHOLD, pre, 0).numpy()
    found = np.zeros(D_SAE)
    found[reading.indices[0]] = reading.values[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert 3 < (expected > 0).sum() < D_SAE


def test_what_sae_lens_said_is_kept_so_that_a_later_run_needs_no_torch(
    qwen: tuple[Any, dict[str, Any]], hub: Path, tmp_path: Path
) -> None:
    """The second process reads the identity without importing torch; another SAE file is asked about anew."""
    del qwen
    first = find_subject("qwen7b", tmp_path).identity()
    (kept,) = (hub.parent / "assets").rglob("*.json")
    assert json.loads(kept.read_text(encoding="utf-8"))["d_sae"] == D_SAE
    script = f"""
import sys
from pathlib import Path
from huggingface_hub import constants
constants.HF_HUB_CACHE, constants.HF_ASSETS_CACHE = {str(hub)!r}, {str(hub.parent / "assets")!r}
from saeprobe.subject.registry import find_subject
print(find_subject("qwen7b", Path({str(tmp_path)!r})).identity().fingerprint, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    assert done.stdout.split() == [first.fingerprint, "False"]


def test_unsafe_loading_is_refused(
    qwen: tuple[Any, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torch's protection switched off in the environment, sae-lens' own loaders would run a pickle's code."""
    del qwen
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(SubjectError, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set"):
        find_subject("qwen7b", tmp_path).open()
