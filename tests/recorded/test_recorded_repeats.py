"""A recorded style repeats another where the prompts declare it, or a probe names both; nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_records import SUBJECT, TOPICS, article_features
from scipy.sparse import csr_array

from saeprobe.captures import capture
from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import effective_rank, l0, n_tokens, same, signature
from saeprobe.prompts import PromptSet
from saeprobe.recorded import Stated
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.recorded.recognition import recorded_files
from saeprobe.recorded.record import Recorded
from saeprobe.recorded.tensors import ArticleFeatures, write_article

STYLES = {"standard": ["Explain {topic}."], "novice": ["Explain {topic} to a novice."]}
PLAIN = PromptSet.build(name="p", language="en", topics=TOPICS, styles=STYLES)
DECLARED = PromptSet.build(
    name="p", language="en", topics=TOPICS, styles=STYLES, repeats={"assistant": "standard", "novice2": "novice"}
)


def ranks(folder: Path, prompts: PromptSet, *, last: float = 0.0) -> Recorded:
    """Three styles of six topics; `assistant` is `standard`, but for so much on the last topic."""
    values = {
        topic: {
            "standard": {"eid": 5.0 + number, "seq_len": 20 + number},
            "novice": {"eid": 7.0 + number, "seq_len": 31 - number},
            "assistant": {"eid": 5.0 + number + last * (number == len(TOPICS) - 1), "seq_len": 20 + number},
        }
        for number, topic in enumerate(TOPICS)
    }
    entries = [{"topic": topic, "eid": of_topic} for topic, of_topic in values.items()]
    (folder / "eid.json").write_text(json.dumps(entries), encoding="utf-8")
    stated = Stated(subject=SUBJECT, prompts=prompts)
    found = recorded_evidence(recorded_files([folder]), capture(prompts, keep="effective_rank"), stated)
    assert isinstance(found, Recorded)
    return found


@pytest.mark.parametrize("prompts", [PLAIN, DECLARED])
def test_two_recorded_styles_are_held_against_each_other_where_a_probe_names_them(
    tmp_path: Path, prompts: PromptSet
) -> None:
    """They agree on each topic, and no rounding excuses what does not: a float32 has seven digits."""
    equal, other = ranks(tmp_path, prompts), ranks(tmp_path, prompts, last=1e-6)
    with recording(Recorder()):
        found = same(equal["standard"], equal["assistant"], by=effective_rank)
        lengths = same(equal["standard"], equal["assistant"], by=n_tokens)
        differs = same(other["standard"], other["assistant"], by=effective_rank)
        assert same(equal["standard"], equal["novice"], by=effective_rank).outcome == "refuted"
    assert (found.outcome, lengths.outcome, differs.outcome) == ("supported", "supported", "refuted")
    assert found.reason.endswith("; all are equal")
    assert f"1 exception, '(standard prompt on {TOPICS[-1]})'; they differ most by 1e-06 dimensions" in differs.reason
    with recording(Recorder()), pytest.raises(TypeError, match="standard and standard are no style and its repeat"):
        same(equal["standard"], equal["standard"], by=effective_rank)


def test_a_declared_repeat_is_in_no_whole(tmp_path: Path) -> None:
    """Equal values alone make no repeat: undeclared, the same table has three styles and eighteen prompts."""
    found, plain = ranks(tmp_path, DECLARED), ranks(tmp_path, PLAIN)
    assert (found.styles, plain.styles) == (("standard", "novice"), ("standard", "novice", "assistant"))
    for of, count in ((found, 12), (plain, 18)):
        assert len(effective_rank(of).values) == len(n_tokens(of).values) == count
    assert effective_rank(found).label == "standard + novice"
    assert list(effective_rank(found["assistant"]).values) == [5, 6, 7, 8, 9, 10]


def test_recorded_features_of_a_declared_repeat_stand_beside_the_others(tmp_path: Path) -> None:
    """Here `expert` is declared to repeat `novice`, which it does not."""
    write_article(tmp_path / "features.pt", article_features())
    read = PromptSet.build(
        name="p", language="en", topics=TOPICS, styles={"novice": ["{topic}"]}, repeats={"expert": "novice"}
    )
    found = recorded_evidence(recorded_files([tmp_path]), capture(read), Stated(subject=SUBJECT, prompts=read))
    assert isinstance(found, Features)
    assert (found.styles, len(found), found.whole is found) == (("novice",), 6, True)
    with recording(Recorder()):
        assert same(found["novice"], found["expert"]).outcome == "refuted"
        assert same(found["novice"], found["expert"], by=l0).outcome == "refuted"
        for side in ("novice", "expert"):  # neither is another style than the other
            assert signature(0, found[side]).samples[1:] == ()


def test_recorded_features_are_compared_where_a_probe_names_two_styles(tmp_path: Path) -> None:
    """Nothing declares them; equal features are equal."""
    acts = csr_array(np.eye(len(TOPICS), 4, dtype=np.float32))
    both = ArticleFeatures(topics=TOPICS, gurus=("",) * len(TOPICS), rows={"standard": acts, "assistant": acts})
    write_article(tmp_path / "features.pt", both)
    found = recorded_evidence(recorded_files([tmp_path]), capture(PLAIN), Stated(subject=SUBJECT, prompts=PLAIN))
    assert isinstance(found, Features)
    with recording(Recorder()):
        assert same(found["standard"], found["assistant"]).reason.endswith("; all are equal")
