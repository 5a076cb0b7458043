"""The three steps give what a probe on the same prompts gives: the same features to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "subject"))

from made_llama import write_chat_tokenizer, write_llama

from saeprobe.captures import capture
from saeprobe.features import Features
from saeprobe.measures import exclusive_features, l0, mean_activation, separating_features
from saeprobe.prompts import STYLES, PromptSet
from saeprobe.recorded.comparison import read_feature_diff
from saeprobe.recorded.tensors import read_activations, read_features
from saeprobe.store import Store
from saeprobe.store.plan import Work, features, gather
from saeprobe.subject.registry import find_subject

Run = Callable[..., Any]

WIDTH, D_SAE, TOPICS = 64, 4096, 34  # two prompts of a style are left when 32 have gone through the model together


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a random Llama of six layers, a random SAE without biases, and prompts of unequal length."""
    root = tmp_path_factory.mktemp("llama")
    write_llama(root / "model", layers=6, vocabulary=write_chat_tokenizer(root / "model"), width=WIDTH)
    encoder = torch.randn(D_SAE, WIDTH, generator=torch.Generator().manual_seed(5)) / WIDTH**0.5
    weights = {
        "encoder_linear.weight": encoder,
        "encoder_linear.bias": torch.zeros(D_SAE),
        "decoder_linear.weight": encoder.T.contiguous(),
        "decoder_linear.bias": torch.zeros(WIDTH),
    }
    torch.save(weights, root / "sae.pt")
    topics = "\n".join(f'[[topics]]\nname = "topic {"o" * (number % 7)} {number}"' for number in range(TOPICS))
    styles = (
        '[styles]\nnovice = { templates = ["Explain {topic} to me."] }\nexpert = { templates = ["Prove {topic}."] }'
    )
    (root / "prompts.toml").write_text(f'name = "mine"\nlanguage = "en"\n{topics}\n{styles}\n')
    return root


def probed(subject_name: str, prompts: PromptSet, root: Path, store: Path) -> Features:
    """What a probe gets of a capture of these prompts."""
    subject, asked, held = find_subject(subject_name, root), capture(prompts), Store(store)
    gather(Work(subject=subject, captures=(asked,), steerings=()), held)
    return features(subject, asked, held)


def check(run: Run, subject: str, probe: Features, folder: Path, *more: object) -> None:
    """Take the three steps, and hold every feature and what is counted of them against those of the probe."""
    a, f, d = (folder / name for name in ("a.pt", "f.pt", "d.json"))
    for words in (("extract", subject, *more, "-o", a), ("encode", a, "--sae", subject, "-o", f), ("diff", f, "-o", d)):
        done = run(*words)
        assert done.code == 0, done.err
    topics, given = read_activations(a).topics, read_features(f).rows
    for style in ("novice", "expert"):
        by_topic = {prompt.topic: row for row, prompt in enumerate(probe[style].prompts)}
        wanted = probe[style].acts[[by_topic[topic] for topic in topics]].toarray()
        np.testing.assert_array_equal(given[style].toarray(), wanted)
    diff, novice, expert = read_feature_diff(d), probe["novice"], probe["expert"]
    for style, other in ((novice, expert), (expert, novice)):
        assert diff.avg_active[style.label] == pytest.approx(l0(style).mean)  # type: ignore[union-attr]
        assert diff.only_count[style.label] == exclusive_features(style, other).summary.value
        listed = {rates.index for rates in diff.dominant[style.label] if abs(rates.diff) == 1}
        assert listed == set(separating_features(style, other, most=30).features)
        weights = np.diff(style.acts.indptr)
        assert diff.avg_intensity[style.label] == pytest.approx(
            np.average(mean_activation(style).values, weights=weights)  # type: ignore[union-attr]
        )


@pytest.mark.parametrize("subject", ["sparrow", "finch"])
def test_a_specimen_gives_in_three_steps_what_a_probe_gives(run: Run, subject: str, tmp_path: Path) -> None:
    """On the first template of each style of the built-in set, in float32."""
    built_in = STYLES.for_wording("specimen").only("novice", "expert")
    first = {style: built_in.style(style)[0].template for style in built_in.styles}
    chosen = tuple(prompt for prompt in built_in if prompt.template == first[prompt.style])
    probe = probed(subject, PromptSet(name="first", language="en", prompts=chosen), tmp_path, tmp_path / "store")
    check(run, subject, probe, tmp_path, "--styles", "novice", "expert")


@pytest.mark.parametrize(
    ("dtype", "sae_dtype"),
    [("float32", "float32"), ("bfloat16", "float32"), ("float16", "float32"), ("bfloat16", "bfloat16")],
)
def test_a_llama_gives_in_three_steps_what_a_probe_gives(
    run: Run, llama: Path, dtype: str, sae_dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it computes in; the two prompts that are left over are rounded as 32 are."""
    (llama / "pyproject.toml").write_text(
        '[tool.saeprobe.subjects.hair]\nmodel = "./model"\nsae = { path = "./sae.pt" }\ndevice = "cpu"\n'
        f'hook_name = "blocks.4.hook_resid_post"\nprepend_bos = true\ndtype = "{dtype}"\nsae_dtype = "{sae_dtype}"\n'
    )
    monkeypatch.chdir(llama)
    probe = probed("hair", PromptSet.from_file(llama / "prompts.toml"), llama, tmp_path / "store")
    assert probe.near is not None
    check(run, "hair", probe, tmp_path, "--prompts", llama / "prompts.toml")
