"""Recorded files are held against what their subject states, and against the prompts that a capture reads."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_records import SUBJECT, TOPICS, article_diff, article_features, write_eid
from scipy.sparse import csr_array

from saeprobe import capture
from saeprobe.claims import NotRun
from saeprobe.features import Features
from saeprobe.files import FileError
from saeprobe.prompts import PromptSet
from saeprobe.recorded import RecordedFile, Stated
from saeprobe.recorded.comparison import FeatureRates, write_feature_diff
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.recorded.recognition import recorded_files
from saeprobe.recorded.tensors import ArticleFeatures, read_features, write_article

READ = PromptSet.build(
    name="read", language="en", topics=TOPICS, styles={"novice": ["{topic}?"], "expert": ["prove {topic}"]}
)
STATED = Stated(subject=SUBJECT, d_sae=4, d_in=8192, hook_name="blocks.49.hook_resid_post", prompts=READ)


def held(folder: Path, stated: Stated, *, rank: bool = False) -> object:
    """Read a folder in place of a capture of the prompts that `stated` names."""
    asked = capture(READ, keep="effective_rank" if rank else "features")
    return recorded_evidence(recorded_files([folder]), asked, stated)


def features(folder: Path, topics: tuple[str, ...] = TOPICS, name: str = "features_layer50.pt", **styles: Any) -> None:
    """Write features of these topics, four to a prompt, with the styles of the article under these names."""
    of = article_features()
    kept = {new: csr_array(of.rows[old][: len(topics)]) for new, old in styles.items()} or of.rows
    write_article(folder / name, ArticleFeatures(topics=topics, gurus=("",) * len(topics), rows=kept))


def test_what_agrees_is_taken(tmp_path: Path) -> None:
    """The width, the layer in the file's name, topics and styles are those of the subject."""
    features(tmp_path)
    found = held(tmp_path, STATED)
    assert isinstance(found, Features)
    assert (len(found), found.d_sae, STATED.unsaid) == (12, 4, "")


@pytest.mark.parametrize(
    "name",
    [
        *("features_layer50.pt", "features_layer_49.pt", "features.pt", "features_mine.pt", "features-l.0050.pt"),
        *("features_blocks.49.hook_resid_post.pt", "features_blocks.50.hook_resid_pre.pt", "features_Block49.pt"),
        *("features_hidden_states[50].pt", "features_layer49_hidden_state50.pt", "features_personal2_player13.pt"),
        *("features_layer_49_average_l0_71.pt", "features_l2norm.pt"),
    ],
)
def test_a_layer_is_a_block_or_a_hidden_state_or_is_not_said(tmp_path: Path, name: str) -> None:
    """The output of block 49 is hidden_states[50]; a name without a layer says nothing against it."""
    features(tmp_path, name=name)
    assert isinstance(held(tmp_path, STATED), Features)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((f"features{said}13.pt", "layer 13") for said in ("_Layer", "_l", "-layer-", "_LAYERS.", "Layer", "_l_")),
        *((f"features_blocks.{said}.pt", "layer 13 ('blocks.13") for said in ("13", "13.hook_resid_post")),
        *((f"features_{said}13.pt", f"layer 13 ('{said}13')") for said in ("hidden_states", "hidden-state_", "block")),
        ("features_layer50_layer00013.pt", "layer 13; wanted layer 50"),
        ("features_hidden_states49.pt", "layer 49 ('hidden_states49'); wanted hidden_states 50"),
        (
            "features_blocks.50.hook_resid_post.pt",
            "layer 50 ('blocks.50.hook_resid_post'); wanted blocks.49.hook",
        ),
    ],
)
def test_another_layer_is_found_however_a_name_spells_it(tmp_path: Path, name: str, said: str) -> None:
    """Each number behind a word for a layer is held against the subject, not only the first one."""
    with pytest.raises(FileError) as refused:
        STATED.check(RecordedFile(path=tmp_path / name))
    assert f"its name says {said}" in str(refused.value)


@pytest.mark.parametrize(
    ("written", "stated", "message"),
    [
        (
            {},
            replace(STATED, d_sae=65_536),
            "its features are 4 wide; wanted 65,536; give the file of this SAE, or decl",
        ),
        (
            {"name": "features_layer31.pt"},
            STATED,
            "says layer 31; wanted layer 50, since llama70b-as-published is read",
        ),
        ({}, replace(STATED, hook_name="blocks.50.hook_resid_pre"), None),
        ({}, replace(STATED, hook_name="blocks.2.hook_resid_pre"), "its name says layer 50; wanted layer 2, since"),
        ({"topics": (*TOPICS[:5], "tides")}, STATED, "it holds the topic 'tides' twice; wanted every topic once"),
        ({"topics": tuple(f" {topic}\n" for topic in TOPICS)}, STATED, None),
        ({"topics": (*TOPICS[:5], "tides ")}, STATED, "it holds the topic 'tides' twice; wanted every topic once"),
    ],
)
def test_features_that_differ_are_refused(
    tmp_path: Path, written: dict[str, Any], stated: Stated, message: str | None
) -> None:
    """The error names the file, what it holds, what was wanted and the remedy."""
    features(tmp_path, **written)
    if message is None:
        assert isinstance(held(tmp_path, stated), Features)
        return
    with pytest.raises(FileError) as refused:
        held(tmp_path, stated)
    assert message in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, None),
        ({"only": {"novice": (11, 99), "expert": (15,)}}, "it holds the feature 99; wanted at most 32 features"),
        ({"dominant": {"novice": (FeatureRates(index=32, a=1.0, b=0.0),), "expert": ()}}, "it holds the feature 32"),
        ({"avg_active": {"novice": 20.5, "expert": 33.0}}, "it holds the l0 of expert = 33; wanted at most 32"),
        (
            {"only_count": {"novice": 70, "expert": 4}},
            "it holds the exclusive features of novice (expert) = 70; wanted at most 32 features",
        ),
    ],
)
def test_a_comparison_is_of_as_many_features(tmp_path: Path, changed: dict[str, Any], message: str | None) -> None:
    """A feature is a number below d_sae, and no count is above it."""
    write_feature_diff(tmp_path / "feature_diff.json", replace(article_diff(), **changed))
    stated = replace(STATED, d_sae=32)
    if message is None:
        held(tmp_path, stated)
        return
    with pytest.raises(FileError) as refused:
        held(tmp_path, stated)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "d_in", "message"),
    [
        ({"eid": 9.0, "seq_len": 40}, 8192, None),
        ({"eid": 40.5, "seq_len": 40}, 8192, "eid 40.5 over 40 tokens; wanted at most 40"),
        ({"eid": 9.0, "seq_len": 40}, 8, "eid 9.0 over 40 tokens; wanted at most 8"),
    ],
)
def test_a_rank_is_one_that_the_stream_can_have(
    tmp_path: Path, cell: dict[str, float], d_in: int, message: str | None
) -> None:
    """The vectors of n tokens in d_in dimensions have a rank of at most the smaller number."""
    write_eid(tmp_path / "eid.json")
    entries = json.loads((tmp_path / "eid.json").read_text())
    for entry in entries:
        entry["eid"] = dict.fromkeys(entry["eid"], cell)
    (tmp_path / "eid.json").write_text(json.dumps(entries))
    if message is None:
        held(tmp_path, replace(STATED, d_in=d_in), rank=True)
        return
    with pytest.raises(FileError) as refused:
        held(tmp_path, replace(STATED, d_in=d_in), rank=True)
    assert message in str(refused.value)


def test_what_is_not_stated_is_said(tmp_path: Path) -> None:
    """A subject without d_sae takes a file of any width, and its plan and report say that it could not be held."""
    features(tmp_path)
    stated = replace(STATED, d_sae=None)
    assert isinstance(held(tmp_path, stated), Features)
    assert stated.unsaid == "; they cannot be held against its d_sae, which it does not declare"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, ""),
        ({"topics": TOPICS[::-1]}, ""),
        (
            {"topics": tuple("abcdef")},
            "on other topics than llama70b-as-published reads: 6 of the 6 that it names are none of its 6",
        ),
        ({"topics": (*TOPICS[:5], "x")}, "on other topics than llama70b-as-published reads: 1 of the 6 that it names"),
        ({"topics": TOPICS[:4], "novice": "novice"}, "on 4 of the 6 topics that llama70b-as-published reads"),
    ],
)
def test_a_run_on_other_prompts_is_said_to_be_another(tmp_path: Path, written: dict[str, Any], said: str) -> None:
    """Other topics, some others and fewer of them are another run; another order of the same ones is not."""
    features(tmp_path, **written)
    found = held(tmp_path, STATED)
    assert isinstance(found, Features)
    assert found.run is not None
    assert found.run.another.startswith(said) if said else not found.run.another
    if not said:
        assert found.first_topic.prompts[0].topic == TOPICS[0]


def test_a_run_of_other_styles_is_not_run(tmp_path: Path) -> None:
    """What it holds and what was wanted are named."""
    features(tmp_path, poet="novice", drunk="expert")
    with pytest.raises(NotRun, match=r"features_layer50.pt holds drunk, poet prompts; wanted some of expert, novice"):
        held(tmp_path, STATED)


def test_tensors_that_claim_more_than_the_file_holds_take_no_memory(tmp_path: Path) -> None:
    """One stored value, repeated 10 billion times by its strides, is refused before it is written out."""
    import torch

    wide = torch.ones(1).expand(10**10)
    torch.save([{"topic": "tides", "novice_features": wide}], tmp_path / "features.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileError, match="claim"):
        read_features(tmp_path / "features.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What has the name of a file and is none is refused."""
    import os

    os.mkfifo(tmp_path / "features.pt")
    with pytest.raises(FileError, match="a FIFO or a device"):
        held(tmp_path, STATED)


def test_half_precision_is_read_as_the_numbers_it_holds(tmp_path: Path) -> None:
    """A features file in bfloat16 has the same shape and layer; its values are exact in float32."""
    import torch

    entries = [{"topic": topic, "novice_features": torch.tensor([0, 1.5, 0, 2.0]).bfloat16()} for topic in TOPICS]
    torch.save(entries, tmp_path / "features.pt")
    found = held(tmp_path, STATED)
    assert isinstance(found, Features)
    np.testing.assert_array_equal(found.acts.toarray()[0], [0, 1.5, 0, 2.0])


def test_topics_without_number_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    """A permutation of a million topics would take all memory."""
    with pytest.raises(FileError, match=r"it holds 1,000,000 topics; wanted at most 10,000"):
        STATED.check(RecordedFile(path=tmp_path / "eid.json", topics=("same",) * 10**6))
