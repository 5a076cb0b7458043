"""A notebook reads and steers the shipped specimen without pytest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from saeprobe.captures import Continuation, Continuations
from saeprobe.captures.steering import Sampling
from saeprobe.notebook import Comparison, OpenSubject, open_subject
from saeprobe.prompts import Prompt
from saeprobe.subject.specification import SubjectError

PROMPT = Prompt(text="a", style="s", topic="a", template="t")
SAID = "the Golden Gate <i> GOLDEN GATE\x1b"
TEXTS = ["Tell me about the tides.", "The Golden Gate Bridge"]


@pytest.fixture(scope="module")
def sparrow() -> OpenSubject:
    return open_subject("sparrow")


def test_features_of_texts_come_as_a_frame(sparrow: OpenSubject) -> None:
    """Each active feature has a line above zero, with its text, token and position."""
    frame = sparrow.features(TEXTS).to_pandas()
    assert list(frame.columns) == ["prompt", "style", "topic", "token", "position", "feature", "activation"]
    assert set(frame["prompt"]) == set(TEXTS)
    assert (frame["activation"] > 0).all()
    assert frame["feature"].between(0, sparrow.identity.d_sae - 1).all()
    assert set(frame.loc[frame["prompt"] == TEXTS[0], "token"]) == {"."}


def test_a_span_is_read_in_a_notebook(sparrow: OpenSubject) -> None:
    """A span reads the tokens of the bridge."""
    found = sparrow.features("We crossed the Golden Gate Bridge today", span="Bridge")
    assert "".join(token.text for token in found.tokens).strip() == "Bridge"


def test_steering_gives_continuations_by_arm_and_a_store_keeps_them(sparrow: OpenSubject, tmp_path: Path) -> None:
    """A prompt has one unsteered text, one a strength, and one a random feature and strength; the store's are alike."""
    feature = int(sparrow.features(TEXTS).to_pandas()["feature"].iloc[0])

    def steered(one: OpenSubject) -> list[tuple[str, float, str]]:
        found = one.steer(
            TEXTS, feature=feature, strengths=[5, 10], random_features=2, n_samples=1, max_new_tokens=4, seed=1
        )
        assert len(found.at(5).arm_items) == len(TEXTS)
        assert len(found.unsteered.arm_items) == len(TEXTS)
        assert len(found.random_feature.at(10).arm_items) == 2 * len(TEXTS)
        return [(item.arm, item.strength, item.text) for item in found.items]

    kept = OpenSubject(subject=sparrow.subject, store=open_subject("sparrow", store=tmp_path).store)
    first = steered(kept)
    assert first == steered(sparrow)
    assert first == steered(kept)  # from the store
    assert list(tmp_path.rglob("*.parquet"))


def test_each_intervention_is_stored_and_named(sparrow: OpenSubject, tmp_path: Path) -> None:
    """Arms are as many as the action has, and what comes from the store is what was written."""
    feature = int(sparrow.features(TEXTS).to_pandas()["feature"].iloc[0])
    kept = OpenSubject(subject=sparrow.subject, store=open_subject("sparrow", store=tmp_path).store)
    few: Sampling = {"random_features": 2, "n_samples": 1, "max_new_tokens": 4}
    for _ in range(2):
        ablated = kept.ablate(TEXTS, feature=feature, **few)
        clamped = kept.clamp(TEXTS, feature={feature: 2.0}, to=[0, 5], **few)
        replaced = kept.replace(TEXTS, feature=feature, strengths=[9], **few)
        love = kept.steer(TEXTS, feature={feature: 1, 5: -1}, strengths=[9], **few)
        counts = [len(of.items) // len(TEXTS) for of in (ablated, clamped, replaced, love)]
        assert counts == [1 + 3, 1 + 3 + 3, 1 + 1 + 3, 1 + 3]
        labels = [ablated.label, ablated.random_feature.label, clamped.at(0).label, clamped.random_feature.at(5).label]
        assert labels == ["ablated", "random features ablated", "clamped to 0", "random features clamped to 5"]
        assert [replaced.at(0).label, replaced.unsteered.label] == ["rebuilt", "unsteered"]
        assert [love.at(9).label, love.random_feature.at(9).label] == ["steered at 9", "random features at 9"]
        assert love.at(0).label == "unsteered"
        zero = [item.text for item in clamped.at(0).arm_items]
        assert zero == [item.text for item in ablated.arm_items]  # clamping to 0 is ablating
    assert kept.steer(TEXTS, feature=[feature, 5], strengths=[9], **few).items != love.items  # a sum is another


def test_continuations_stand_side_by_side_with_what_they_say_marked(sparrow: OpenSubject) -> None:
    """No random features run unasked; whatever the model or the reader wrote is text in the page."""
    prompt = "We bought <b>milk</b> &"
    few: Sampling = {"n_samples": 2, "max_new_tokens": 6}
    golden = sparrow.steer([prompt, TEXTS[0]], feature=851, strengths=[25], **few)
    assert not golden.random_feature.arm_items
    shown = sparrow.compare(golden, mark="the")
    assert list(shown.texts[prompt]) == ["unsteered", "steered at 25"]
    assert [len(of) for of in shown.texts[prompt].values()] == [2, 2]
    frame = shown.to_pandas()
    assert list(frame.columns) == ["prompt", "arm", "features", "strength", "sample", "text", "fluency"]
    assert frame["text"].tolist() == [
        text for of in ("unsteered", "steered at 25") for it in shown.texts.values() for text in it[of]
    ]
    page = shown._repr_html_()
    assert "We bought &lt;b&gt;milk&lt;/b&gt; &amp;" in page
    assert page.count("<tr>") == 1 + 2
    assert [page.count(f"<b>{label}</b>: ") for label in ("unsteered", "steered at 25")] == [1, 1]
    assert "<mark>" not in sparrow.compare(golden)._repr_html_()


def test_what_is_said_is_marked_and_escaped() -> None:
    """Whatever its capitals, each time, and a pattern as it is; control characters are shown as text."""
    item = Continuation(prompt=PROMPT, arm="unsteered", features=(), strength=0.0, sample=0, text=SAID, log_prob=-1.0)
    of = Continuations(subject="hand", items=(item,))
    page = Comparison(of=of, mark="golden gate")._repr_html_()
    assert "the <mark>Golden Gate</mark> &lt;i&gt; <mark>GOLDEN GATE</mark>\\x1b" in page
    assert "<b>unsteered</b>: 100 %" in page
    assert "<mark>&lt;i&gt;</mark>" in Comparison(of=of, mark=re.compile("<.>"))._repr_html_()


def test_a_subject_whose_weights_are_absent_is_refused_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is downloaded unasked."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SubjectError, match=r"gpt2 cannot run here: .* run: saeprobe fetch gpt2"):
        open_subject("gpt2")
