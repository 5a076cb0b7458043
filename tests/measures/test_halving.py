"""Halves of the same prompts, and what is told of features that were picked on one."""

from __future__ import annotations

import pytest
from by_hand import crossed, features

from saeprobe.claims import NotRun
from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import clusters, halves, pick, scan
from saeprobe.measures.halving import Selected, halved
from saeprobe.recorded.record import Recorded, RecordedStyle

TOPICS = ("tides", "yeast", "comets", "rust")


def made(novice: str = "ABCD", expert: str = "ABCD", topics: tuple[str, ...] = TOPICS) -> Features:
    """Novice prompts with feature 0 and expert prompts with feature 1."""
    rows = crossed("novice", (1, 0), templates=novice, topics=topics)
    return features(rows + crossed("expert", (0, 1), templates=expert, topics=topics))


def test_halves_share_no_template_and_no_topic() -> None:
    """Two of four templates and two of four topics each: four prompts a style in a half, and nothing in common."""
    of = made()
    first, second = halves(of)
    for what in ("template", "topic", "text"):
        assert not {getattr(p, what) for p in first.prompts} & {getattr(p, what) for p in second.prompts}
    for half in (first, second):
        assert [len(half[style]) for style in ("novice", "expert")] == [4, 4]
        assert half.whole is of


def test_topics_and_templates_are_dealt_in_turn() -> None:
    """Of three topics or templates the half that confirms takes the first and third, each of which its test counts.

    Styles of unlike number are dealt alike, as the smallest one, so that wordings of one frame stay together.
    """
    first, second = halves(made(novice="ABC", expert="AB", topics=TOPICS[:3]))
    both = [prompt.text for prompt in first.prompts], [prompt.text.partition(":")[0] for prompt in second.prompts]
    assert both == (["novice A: yeast", "novice C: yeast", "expert A: yeast"], ["novice B"] * 2 + ["expert B"] * 2)
    first, second = halves(made(novice="ABC", expert="ABC", topics=TOPICS[:3]))
    assert [prompt.text for prompt in first.prompts] == ["novice B: yeast", "expert B: yeast"]
    assert [prompt.text for prompt in second.prompts] == [
        "novice A: tides",
        "novice A: comets",
        "novice C: tides",
        "novice C: comets",
        "expert A: tides",
        "expert A: comets",
        "expert C: tides",
        "expert C: comets",
    ]


@pytest.mark.parametrize("templates", [("A", "A"), ("ABCD", "A"), ("A", "ABCD")])
def test_where_a_style_has_one_wording_only_the_topics_are_halved(templates: tuple[str, str]) -> None:
    """All templates stand in both halves, each with two of the four topics."""
    first, second = halves(made(*templates))
    for half in (first, second):
        assert [len({p.template for p in half[style].prompts}) for style in ("novice", "expert")] == [
            len(each) for each in templates
        ]
    assert {prompt.topic for prompt in first.prompts} == {"tides", "comets"}
    assert {prompt.topic for prompt in second.prompts} == {"yeast", "rust"}


def test_a_claim_over_topics_keeps_its_templates() -> None:
    """They are fixed, so that both halves have all four."""
    with recording(Recorder(over=("topics",))):
        first, second = halves(made())
    assert [len(half["novice"]) for half in (first, second)] == [8, 8]
    assert {p.template for p in first.prompts} == {p.template for p in second.prompts}


def test_two_captures_are_halved_together() -> None:
    """The topics of the second are dealt as those of the first, in whatever order they stand there."""
    of = made()
    novice, expert = of["novice"], of["expert"].select(list(range(len(of["expert"])))[::-1])
    (one, _), (other, _) = halved((novice, expert), ())
    assert {prompt.topic for prompt in one.prompts} == {prompt.topic for prompt in other.prompts}


@pytest.mark.parametrize("templates", ["A", "AB"])
def test_two_topics_are_a_half_each(templates: str) -> None:
    """As few as that are enough; of two templates each half has one, of a single one both."""
    first, second = halves(made(templates, templates, TOPICS[:2]))
    last = templates[-1]
    assert [prompt.text for prompt in first.prompts] == ["novice A: tides", "expert A: tides"]
    assert [prompt.text for prompt in second.prompts] == [f"novice {last}: yeast", f"expert {last}: yeast"]


def test_one_topic_cannot_be_halved() -> None:
    """However many templates there are; the topic is named."""
    with pytest.raises(ValueError, match="all prompts are on 'tides'; halves need at least 2 topics"):
        halves(made(topics=TOPICS[:1]))


def test_a_selection_tells_where_it_was_made() -> None:
    """Beside its own prompts, beside the other half, and beside other topics under the same wording."""
    of = made()
    first, second = halves(of)
    chosen = pick(first["novice"], first["expert"])
    assert (chosen.features, chosen.tried) == ((0,), 2)
    assert chosen.origin(first["novice"], second["expert"]) == "4 + 4 prompts, 4 of which are among these"
    assert chosen.origin(second["novice"]) == "4 + 4 prompts, other wordings and other topics"
    first, second = halves(made("A", "A"))
    chosen = pick(first["novice"], first["expert"])
    assert chosen.origin(second["novice"], second["expert"]) == "2 + 2 prompts, the same wordings and other topics"
    other = made("XY", "XY", TOPICS[:2])
    assert chosen.origin(other["novice"]) == "2 + 2 prompts, other wordings and the same topics"


def test_a_selection_without_its_prompts_tells_what_it_was_given() -> None:
    """And at most three of the features near their threshold."""
    chosen = Selected(features=(1,), tried=3, picked_on="some prompts", near=("one", "two", "three", "four"))
    assert chosen.origin(made()) == "some prompts; there, one; there, two; there, three"


def test_a_record_has_no_prompts_to_halve() -> None:
    """Halves, picks, scans and clusters of recorded summaries are not run, and the file that would tell is named."""
    style = RecordedStyle(
        style="novice", quantities={}, firing_rates={}, exclusive={}, n_at_least=None, origin="table.json"
    )
    recorded = Recorded(subject="llama", by_style={"novice": style}, origin="table.json")
    told = "table.json holds no features of single prompts; put features_layer50.pt of the run next to it"
    with pytest.raises(NotRun, match=told):
        halves(recorded)
    with pytest.raises(NotRun, match=told):
        clusters(recorded)
    with pytest.raises(NotRun, match=told):
        scan(style, made()["expert"])
    with pytest.raises(NotRun, match=told):
        pick(made()["expert"], style)


def test_picked_features_are_neither_true_nor_false() -> None:
    """That some were picked shows nothing; what to write instead is told in full."""
    of = made()
    picked = pick(of["novice"], of["expert"])
    with pytest.raises(TypeError) as refused:
        bool(picked)
    assert str(refused.value) == (
        "features that were picked are no evidence; assert separates(picked, yes, no) on other prompts"
    )
