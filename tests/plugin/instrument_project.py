"""A project on four subjects: sparrow at its hook and one block early, and two that know four words."""

from __future__ import annotations

from pathlib import Path

import saeprobe
from saeprobe.prompts import PromptSet

SPARROW = Path(saeprobe.__file__).parent / "specimens" / "sparrow"
INI = """
[tool.pytest.ini_options]
addopts = ["--strict-markers"]
filterwarnings = ["error"]
saeprobe_neutral = ["crowded = neutral.toml"]

[tool.saeprobe.subjects.right]
model = '{sparrow}/model'
sae = {{ path = '{sparrow}/sae' }}
wording = "specimen"
l0 = 23.2
variance_explained = 0.919
device = "cpu"

[tool.saeprobe.subjects.low]
model = '{sparrow}/model'
sae = {{ path = '{sparrow}/sae' }}
hook_name = "blocks.2.hook_resid_pre"
wording = "specimen"
device = "cpu"

[tool.saeprobe.subjects.crowded]
model = '{hand.model}'
sae = {{ path = '{hand.sae}' }}
l0 = 2.5
variance_explained = 0.25
device = "cpu"

[tool.saeprobe.subjects.mute]
model = '{hand.model}'
sae = {{ path = '{hand.sae}' }}
device = "cpu"
"""
# The words that `crowded` knows, each once: 0, 1, 1 and 2 active features, errors of 0, 2.25, 2.25 and 4.5 where the
# variance is 12 (the fixture `hand_worked` has the numbers).
NEUTRAL = """
name = "words"
language = "en"
[[topics]]
name = "all"
[styles.all]
templates = ["calm red blue purple"]
"""
PROBES = """
import pytest
from saeprobe import capture
from saeprobe import claim
from saeprobe import subjects
from saeprobe import unverifiable
from saeprobe.measures import l0
from saeprobe.prompts import PromptSet

pytestmark = subjects("right", "low")
topics = ["tides", "sleep", "glass", "bees", "tea", "rain"]
prompts = PromptSet.build(name="p", language="en", topics=topics, styles={"plain": ["Explain {topic}."]})
ends = capture(prompts)

@claim("More than one feature is active.", id="it.active", source="here")
def test_active(ends):
    assert l0(ends) > 1

@claim("It is smarter.", id="it.smarter", source="here")
def test_smarter():
    unverifiable("it names nothing that is measured")

@pytest.mark.skip(reason="not today")
@claim("More than two features are active.", id="it.skipped", source="here")
def test_skipped(ends):
    assert l0(ends) > 2

def test_ordinary(ends):
    assert len(ends) == 6
"""
WORDS = """
from saeprobe import capture
from saeprobe import claim
from saeprobe import subjects
from saeprobe.measures import l0
from saeprobe.prompts import PromptSet

pytestmark = subjects("crowded", "mute")
prompts = PromptSet.build(name="p", language="en", topics=["calm", "red"], styles={"plain": ["{topic} blue"]})
ends = capture(prompts)

@claim("Some feature is active.", id="words.active", source="here")
def test_words(ends):
    assert l0(ends) > 0
"""
SEEN = PromptSet.build(
    name="p",
    language="en",
    topics=["tides", "sleep", "glass", "bees", "tea", "rain"],
    styles={"plain": ["Explain {topic}."]},
)
"""The prompts of PROBES."""
SPY = """
import sys
from pathlib import Path

def pytest_unconfigure(config):
    heavy = {"torch", "transformers", "transformer_lens", "sae_lens"} & set(sys.modules)
    Path("loaded.txt").write_text(" ".join(sorted(heavy)))
"""
