"""A protocol of another subject in the report: what it does otherwise, also where nothing but a record is there."""

from __future__ import annotations

import pytest
from runs import HEAD, SUPPORTED, Go

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
    assert differs.keys() == {"read at", "BOS", "weights", "prompts"}
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
