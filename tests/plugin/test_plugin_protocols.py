"""A protocol of another subject in the report: what it does otherwise, also where nothing but a record is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from runs import HEAD, SUPPORTED, Go

from saeprobe.plugin.records import stated_by
from saeprobe.prompts import STYLES, PromptFile, PromptSet
from saeprobe.subject.registry import find_subject

BOTH = HEAD + 'pytestmark = subjects("llama70b", "llama70b-as-published")\n'


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty cache of the Hub, whatever this machine holds."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.usefixtures("no_weights")
def test_a_recorded_protocol_says_what_it_does_otherwise(go: Go) -> None:
    """The layer, the number of BOS and the weights, without model or SAE; the subject itself is no protocol."""
    run = go("-m", "llama70b", head=BOTH, probes=SUPPORTED)
    subjects = {subject["name"]: subject for subject in run.report["subjects"]}
    assert (subjects["llama70b"]["protocol_of"], subjects["llama70b"]["differs"]) == (None, [])
    published = subjects["llama70b-as-published"]
    assert published["protocol_of"] == "llama70b"
    differs = {row["aspect"]: (row["here"], row["there"]) for row in published["differs"]}
    assert differs.keys() == {"read at", "BOS", "weights", "misfit", "instrument check", "prompts"}
    assert ["hidden_states[50]" in differs["read at"][0], "hidden_states[51]" in differs["read at"][1]] == [True, True]
    assert differs["BOS"][0].startswith("two before each prompt")
    assert differs["BOS"][1].startswith("one before each prompt")
    assert "8-bit" in differs["weights"][0]


@pytest.mark.usefixtures("no_weights")
def test_what_is_not_run_or_recorded_has_no_instrument_check(go: Go) -> None:
    """Neither weights that are absent nor a record have a layer to hold an SAE against."""
    run = go("-m", "llama70b", head=BOTH, probes=SUPPORTED)
    assert [subject["instrument"] for subject in run.report["subjects"]] == [None, None]
    assert not run.lines("  instrument ")
    assert not run.lines("instrument check")


def test_the_page_compares_nothing_that_one_side_did_not_decide(go: Go) -> None:
    """A claim that was not run on the subject itself stands on the record alone."""
    run = go("-m", "llama70b", head=BOTH, probes=SUPPORTED)
    assert '<div class="beside">' not in run.page
    assert "Another protocol of" in run.page


STYLE_FILE = """
name = "theirs"
language = "zh"
[[topics]]
name = "x"
[styles.novice]
templates = ["{topic}?"]
[styles.expert]
templates = ["{topic}!"]
"""


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("arguments", [(), ("--saeprobe-prompts=llama70b-as-published=theirs.toml",)])
def test_the_published_protocol_is_not_run_without_the_published_prompts(go: Go, arguments: tuple[str, ...]) -> None:
    """The reason says where they are and how to give them; once they are given it is the weights alone that lack."""
    Path("theirs.toml").write_text(STYLE_FILE, encoding="utf-8")
    run = go("--saeprobe-evidence=", *arguments, "-m", "llama70b", head=BOTH, probes=SUPPORTED)
    published, own = (run.probes[f"rank.up[{name}]"] for name in ("llama70b-as-published", "llama70b"))
    assert (published["verdict"], own["verdict"]) == ("not run", "not run")
    said = "lmxxf/llama3-70b-sae-inspect, write them as a prompt file" in published["reason"]
    assert said is not bool(arguments)
    assert "run: saeprobe fetch llama70b-as-published" in published["reason"]
    assert "prompt file" not in own["reason"]


def test_a_record_is_held_against_given_prompts_and_against_no_others() -> None:
    """Without a file the published prompts are unknown: the built-in ones never stand in their place."""
    published = find_subject("llama70b-as-published", Path())
    assert stated_by(published, STYLES).prompts is None
    theirs = PromptSet.build(name="theirs", language="zh", topics=["x"], styles={"novice": ["{topic}?"]})
    given = PromptFile(name="theirs.toml", digest="0", prompts=theirs)
    held = stated_by(replace(published, spec=replace(published.spec, prompts=given)), STYLES)
    assert held.prompts is not None
    assert held.prompts.topics == ("x",)
