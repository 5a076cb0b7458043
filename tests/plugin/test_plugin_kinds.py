"""What an SAE is decides what a run makes of its claims: a fixed L0, a scaled input, numbers that overflow."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from runs import Run, apart

sys.path.append(str(Path(__file__).parent.parent / "subject"))
from made_saes import D_SAE, WIDTH, make_sae, write_model
from test_finite import louder

SUBJECT = """
[tool.saeprobe.subjects.{name}]
model = "{root}/model"
sae = {{ path = "{root}/sae" }}
device = "cpu"
try_next_layer = false
dtype = "{dtype}"
context_size = 512
default = true
"""
INI = """
[tool.pytest.ini_options]
saeprobe_neutral = ["topk = neutral.toml", "scaled = neutral.toml", "loud = neutral.toml"]
"""
NEUTRAL = """
name = "tides"
language = "en"
[[topics]]
name = "all"
[styles.all]
templates = ["The tides are moved by the moon, and the moon is moved by the earth."]
"""
PROBES = """
from saeprobe import capture, claim, steer, subjects
from saeprobe.measures import l0, mentions
from saeprobe.prompts import Prompt, PromptSet

prompts = tuple(
    Prompt(text=f"{wording} {topic} to a {style}.", style=style, topic=topic, template=wording)
    for style in ("novice", "expert") for wording in ("Explain", "Show") for topic in ("tides", "yeast")
)
few = PromptSet(name="few", language="en", prompts=prompts)
styles = capture(few, at="last")
texts = steer(few.only("novice"), feature=3, strengths=[4.0], random_features=1, n_samples=1, max_new_tokens=2)

@subjects("topk", "loud")
@claim("Novice prompts activate more.", id="more", source="table 2")
def test_more(styles):
    assert l0(styles["novice"]) > l0(styles["expert"])

@subjects("scaled")
@claim("Feature 3 speaks of tides.", id="steered", source="table 3")
def test_steered(texts):
    assert mentions("tides", texts) > 0.5
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the probes above on a TopK SAE, on one that divides its input and on a model that overflows in float16."""
    root = tmp_path_factory.mktemp("kinds")
    declared = ""
    for name, architecture, dtype, more in (
        ("topk", "topk", "float32", {"k": WIDTH}),
        ("scaled", "standard", "float32", {"normalize_activations": "layer_norm"}),
        ("loud", "standard", "float16", {}),
    ):
        write_model(root / name)
        zeros, eye = np.zeros(D_SAE, dtype=np.float32), np.eye(WIDTH, dtype=np.float32)
        rows = np.concatenate([eye, -eye, 0 * eye])  # a number is a feature for its positive part and one for the other
        made = make_sae(root / name, architecture, **more)
        made.save(W_enc=rows.T.copy(), W_dec=rows, b_enc=zeros, b_dec=zeros[:WIDTH])
        declared += SUBJECT.format(name=name, root=root / name, dtype=dtype)
    louder(root / "loud", 1e6)
    (root / "run").mkdir()
    (root / "run" / "pyproject.toml").write_text(INI + declared, encoding="utf-8")
    (root / "run" / "neutral.toml").write_text(NEUTRAL, encoding="utf-8")
    (root / "run" / "test_kinds.py").write_text(PROBES, encoding="utf-8")
    return apart(root / "run")


def test_a_claim_about_a_fixed_number_is_unverifiable(run: Run) -> None:
    """It is skipped with the reason, and neither supported nor refuted by ties."""
    assert run.probes["more[topk]"]["verdict"] == "unverifiable"
    assert "keeps at most 16 features of each token, whatever the text" in run.probes["more[topk]"]["reason"]


def test_an_overflow_breaks_the_claim_and_the_run(run: Run) -> None:
    """A prompt that could not be read ends in an error that names the remedy; the exit code says that it failed."""
    assert run.code == 1
    assert run.probes["more[loud]"]["verdict"] == "broken"
    assert 'set dtype = "float32" or "bfloat16"' in run.probes["more[loud]"]["reason"]


def test_a_claim_that_steers_a_scaled_sae_is_broken_with_the_reason(run: Run) -> None:
    """The other subjects of the same run are decided all the same."""
    assert run.probes["steered[scaled]"]["verdict"] == "broken"
    assert "divides the stream by its standard deviation" in run.probes["steered[scaled]"]["reason"]
