"""`-m gpt2` and `-m llama70b` once something lies in the cache under their names: found, checked, told apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from made_subjects import write_byte_tokenizer, write_gpt2
from runs import Run, apart

sys.path.append(str(Path(__file__).parent.parent / "subject"))
from hub_caches import put, put_folder
from made_llama import remove_shards_after, write_chat_tokenizer, write_llama

PROBES = """
from saeprobe import capture
from saeprobe import claim
from saeprobe import subjects
from saeprobe.measures import l0
from saeprobe.prompts import STYLES

styles = capture(STYLES.only("novice", "expert"), at="last")

@subjects("gpt2", "llama70b", "llama70b-as-published")
@claim("Novice prompts activate more.", id="more", source="table 2")
def test_more(styles):
    assert l0(styles["novice"]) > l0(styles["expert"])
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache for the processes that this test starts, and the probe file above."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "assets"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "test_more.py").write_text(PROBES, encoding="utf-8")
    return tmp_path / "hub"


def put_gpt2(hub: Path) -> None:
    """A random model of seven narrow layers, and a random SAE in the published one's format."""
    import json

    import numpy as np
    from safetensors.numpy import save

    made = hub.parent / "gpt2"
    size = write_byte_tokenizer(made)
    write_gpt2(made, vocabulary=size, width=16, layers=7, heads=2, positions=256)
    put_folder(hub, "openai-community/gpt2", made)
    generator = np.random.default_rng(4)
    weights = {
        "W_enc": generator.normal(size=(16, 20)).astype(np.float32),
        "b_enc": np.full(20, -0.3, dtype=np.float32),
        "W_dec": generator.normal(size=(20, 16)).astype(np.float32),
        "b_dec": generator.normal(size=16).astype(np.float32),
    }
    hook = "blocks.6.hook_resid_pre"
    config = {"model_name": "gpt2-small", "hook_point": hook, "d_in": 16, "d_sae": 20, "context_size": 256}
    put(
        hub,
        "jbloom/GPT2-Small-SAEs-Reformatted",
        {f"{hook}/cfg.json": json.dumps(config).encode(), f"{hook}/sae_weights.safetensors": save(weights)},
    )


def put_llama(hub: Path) -> None:
    """A random model of 80 narrow layers, those after the hook left out, and a random SAE in Goodfire's format."""
    import torch

    made = hub.parent / "llama"
    write_llama(made / "model", layers=80, vocabulary=write_chat_tokenizer(made / "model"), positions=2048)
    remove_shards_after(made / "model", 51)
    put_folder(hub, "meta-llama/Llama-3.3-70B-Instruct", made / "model")
    (made / "sae").mkdir()
    tensors = {
        "encoder_linear.weight": torch.randn(48, 32),
        "encoder_linear.bias": torch.zeros(48),
        "decoder_linear.weight": torch.randn(32, 48),
        "decoder_linear.bias": torch.zeros(32),
    }
    torch.save(tensors, made / "sae" / "Llama-3.3-70B-Instruct-SAE-l50.pt")
    put_folder(hub, "Goodfire/Llama-3.3-70B-Instruct-SAE-l50", made / "sae")


def subjects_of(run: Run) -> dict[str, Any]:
    """The report's subjects by name."""
    return {subject["name"]: subject for subject in run.report["subjects"]}


def test_without_weights_the_command_that_brings_them_is_told(hub: Path) -> None:
    """Nothing is decided, and the exit code says that nothing failed."""
    run = apart(hub.parent / "run", "-m", "gpt2")
    assert run.code == 0
    assert run.verdicts == {"more": "not run"}
    assert "run: saeprobe fetch gpt2" in run.probes["more[gpt2]"]["reason"]


def test_weights_that_are_not_those_of_gpt2_break_every_claim(hub: Path) -> None:
    """Random weights run through to the end; the instrument check sees that no SAE was trained on them."""
    put_gpt2(hub)
    run = apart(hub.parent / "run", "-m", "gpt2")
    assert run.code == 1
    assert run.verdicts == {"more": "broken"}
    assert run.probes["more[gpt2]"]["reason"].startswith("the instrument check failed")
    found = subjects_of(run)["gpt2"]
    assert found["model"] == "openai-community/gpt2"
    assert found["hook_name"] == "blocks.6.hook_resid_pre"
    assert found["instrument"]["broken"]
    assert run.lines("resident in RAM, on the CPU")
    assert not run.lines("Loading weights")  # no bar of transformers where nobody watches


def test_both_protocols_of_llama70b_are_read_and_told_apart(hub: Path) -> None:
    """The marker selects both; the report says in words what the published one does otherwise."""
    put_llama(hub)
    run = apart(hub.parent / "run", "-m", "llama70b")
    assert set(run.probes) == {"more[llama70b]", "more[llama70b-as-published]"}
    found = subjects_of(run)
    assert found["llama70b"]["hook_name"] == "blocks.50.hook_resid_post"
    assert found["llama70b-as-published"]["hook_name"] == "blocks.49.hook_resid_post"
    assert found["llama70b-as-published"]["protocol_of"] == "llama70b"
    differing = {row["aspect"]: (row["here"], row["there"]) for row in found["llama70b-as-published"]["differs"]}
    assert set(differing) == {"read at", "misfit", "BOS", "weights", "prompts", "instrument check"}
    assert differing["BOS"][0].startswith("two before each prompt")
    assert "hidden_states[50]" in differing["read at"][0]
    assert "hidden_states[51]" in differing["read at"][1]
    assert found["llama70b"]["fingerprint"] != found["llama70b-as-published"]["fingerprint"]
