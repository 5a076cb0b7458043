"""Near copies of a wording are one unit, and wordings of two styles that share a frame are pairs."""

from __future__ import annotations

import time
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.prompts import BRIDGES, CONCEPTS, STYLES, Prompt, PromptError, PromptSet
from saeprobe.prompts.wordings import copies, copies_in_words, distance, partners, unit_of, unpaired_in_words, words_of

PLAIN = "Explain {topic} to someone who has never met the idea."


def made(*templates: str, style: str = "novice", topics: tuple[str, ...] = ("tides", "rain"), **more: Any) -> PromptSet:
    """A set of one style."""
    return PromptSet.build(name="n", language="en", topics=topics, styles={style: templates}, **more)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("Explain {topic}.", "explain   {topic} !", 0),
        ("Explain {topic}.", "Explain {guru}.", 0),
        ("Please explain {topic}.", "So just explain {topic}, kindly", 0),
        ("Could you explain {topic}?", "Can you explain {topic}?", 0),
        ("Ｅｘｐｌａｉｎ {topic}", "explain {topic}", 0),
        ("What's {topic}?", "Whats {topic}?", 0),
        ("What\u02bcs {topic}?", "What\u2019s {topic}?", 0),
        ("Ex\u00adplain {topic}\u200b", "explain {topic}", 0),
        ("请解释一下{topic}吧。", "麻烦解释{topic}", 0),
        ("请解释{topic}。", "请介绍{topic}。", 2 / 3),
        ("Explain {topic} to a novice.", "Explain {topic} to an expert.", 1 / 4),
        ("Explain {topic}.", "Describe {topic}.", 1 / 2),
        ("one two three", "three two one", 2 / 3),
        ("one two", "one two three four", 1 / 2),
        ("{topic}", "tides are", 1),
        ("literal {{topic}} here", "literal topic here", 0),
        ("หนึ่ง", "หนึ่ง", 0),
    ],
)
def test_the_distance_of_two_wordings(one: str, other: str, apart: float) -> None:
    """It is the share of the words that have to be changed, once case, marks, blanks and courtesy are gone."""
    assert distance(words_of(one), words_of(other)) == pytest.approx(apart)
    assert distance(words_of(other), words_of(one)) == pytest.approx(apart)


Word = st.sampled_from("abcd")


@given(st.lists(Word, max_size=9), st.lists(Word, max_size=9))
def test_the_edit_distance_is_that_of_a_plain_recursion(a: list[str], b: list[str]) -> None:
    """Every edit path is tried, without a table; a limit only hides what lies beyond it."""

    def edits(i: int, j: int) -> int:
        key = (i, j)
        if key not in known:
            known[key] = (
                i + j
                if not i or not j
                else min(edits(i - 1, j) + 1, edits(i, j - 1) + 1, edits(i - 1, j - 1) + (a[i - 1] != b[j - 1]))
            )
        return known[key]

    known: dict[tuple[int, int], int] = {}
    expected = edits(len(a), len(b)) / max(len(a), len(b), 1)
    assert distance(tuple(a), tuple(b)) == expected
    assert distance(tuple(a), tuple(b), most=0.5) == (expected if expected <= 0.5 else 1.0)


COPIES = [
    "Please explain {topic} to someone who has never met the idea.",
    "Explain {topic} to someone who has never met the idea!",
    "explain {topic} to someone who has never met this idea",
    "Explain   {topic} to someone who has never met the idea .",
    "Can you explain {topic} to someone who has never met the idea?",
    "Would you kindly explain {topic} to someone who has never met the idea?",
    "Now explain {topic} to someone who has never met the idea.",
    "Explain {topic} to a person who has never met the idea.",
    "Explain {topic} to anyone who has never met the idea.",
    "Describe {topic} to someone who has never met the idea.",
    "So, explain {topic} to someone who has never met the idea.",
    "EXPLAIN {topic} TO SOMEONE WHO HAS NEVER MET THE IDEA.",
    "Explain {topic} to someone who never met the idea.",
    "Explain {topic} to someone who has never met the idea before.",
    "Explain {topic} to someone who has not met the idea.",
    "Explain {topic} just to someone who has never met the idea.",
    "Explain the {topic} to someone who has never met an idea.",
    "Could you then explain {topic} to someone who has never met the idea?",
    "Explain {topic} for someone who has never met the idea.",
    "“Explain {topic} to someone who has never met the idea…”",
]


@pytest.mark.parametrize("copy", COPIES)
def test_a_made_copy_is_found(copy: str) -> None:
    """A wording with courtesy, other marks or one other word is no second observation."""
    prompts = made(PLAIN, copy).prompts
    assert unit_of(prompts) == (PLAIN,) * 4
    assert copies(prompts) == ((PLAIN, copy),)


def test_copies_of_the_built_in_sets() -> None:
    """Five pairs of wordings used in training are copies; the specimen's held out ones repeat six more."""
    assert copies(BRIDGES.for_wording("english").prompts) == (
        ("{title} is located in {place}.", "{title} is in {place}."),
    )
    assert copies(CONCEPTS.for_wording("english").prompts) == ()
    assert [len(group) for group in copies(CONCEPTS.for_wording("specimen").prompts)] == [2, 2]
    for wording in ("english", "chinese"):
        assert copies(STYLES.for_wording(wording).prompts) == ()
    specimen = STYLES.for_wording("specimen")
    assert copies(specimen.only("standard").prompts)[0] == ("Explain {topic}.", "Could you explain {topic}?")
    assert copies_in_words(specimen.only("spaces").prompts) == (
        " (10 of 12 wordings of spaces are near copies: 7 units)"
    )
    assert copies(*(specimen.only(style).prompts for style in ("novice", "expert", "guru", "padding"))) == ()


def test_copies_form_chains() -> None:
    """Of five words one is changed, then another: the ends lie 2/5 apart, and all three are one unit."""
    one, two, three = "go see new {topic} today", "go see old {topic} today", "go see old {topic} tomorrow"
    assert unit_of(made(one, two, three).prompts) == (one,) * 6
    assert unit_of(made(one, three).prompts) == (one, one, three, three)
    assert unit_of(made(three, one, two).prompts) == (three,) * 6


def test_templates_of_two_styles_are_no_copies() -> None:
    """Two styles may ask alike; they are what is compared."""
    a, b = made(PLAIN).prompts, made(PLAIN + " Please", style="expert").prompts
    assert unit_of((*a, *b)) == (PLAIN, PLAIN, PLAIN + " Please", PLAIN + " Please")
    assert copies(a, b) == ()


def test_what_a_set_calls_distinct_stays_apart_and_is_said() -> None:
    """A person may know better; the copies are named all the same."""
    prompts = made(PLAIN, COPIES[0], distinct=["novice"]).prompts
    assert unit_of(prompts) == (PLAIN, PLAIN, COPIES[0], COPIES[0])
    assert copies(prompts) == ((PLAIN, COPIES[0]),)
    assert copies_in_words(prompts) == (
        " (2 of 2 wordings of novice are near copies: kept apart as its prompt set says)"
    )
    assert copies_in_words(made(PLAIN, "{topic}?").prompts) == ""


def test_the_text_counts_where_a_template_is_a_mere_name() -> None:
    """Rows of a table may name their wordings as they like: `w1` and `w2` say nothing of the texts."""
    texts = {"w1": "Explain {}, please.", "w2": "explain {}", "wording 3 of the style": "{}: what do we know of it?"}
    prompts = [
        Prompt(text=text.format(topic), style="novice", topic=topic, template=name)
        for name, text in texts.items()
        for topic in ("tides", "rain")
    ]
    assert unit_of(prompts) == ("w1",) * 4 + ("wording 3 of the style",) * 2
    names = [Prompt(text=f"{x} {x} {x}", style="s", topic="t", template=f"wording number {x} of all") for x in "pq"]
    assert unit_of(names) == ("wording number p of all", "wording number q of all")


def test_two_thousand_templates_take_seconds() -> None:
    """Most pairs are told apart by the words that they share."""
    templates = [f"w{n % 47} x{n % 53} y{n % 59} about {{topic}} for z{n}" for n in range(2_000)]
    start = time.perf_counter()
    assert len(set(unit_of(made(*templates, topics=("tides",)).prompts))) > 1_000
    assert time.perf_counter() - start < 10


def pairs(wording: str, a: str, b: str) -> list[tuple[int, int]]:
    """The pairs of two styles of a built-in set, as numbers of their templates."""
    sides = [STYLES.for_wording(wording).only(style) for style in (a, b)]
    order = [side.templates for side in sides]
    return [(order[0].index(x), order[1].index(y)) for x, y in partners(*(side.prompts for side in sides))]


@pytest.mark.parametrize(
    ("wording", "a", "b", "count"),
    [
        ("english", "novice", "expert", 8),
        ("english", "standard", "padding", 8),
        ("english", "spaces", "padding", 8),
        ("english", "standard", "guru", 7),
        ("english", "standard", "novice", 0),
        ("chinese", "novice", "expert", 8),
        ("chinese", "standard", "padding", 8),
        ("specimen", "novice", "expert", 12),
        ("specimen", "standard", "padding", 0),
    ],
)
def test_frames_of_the_built_in_styles(wording: str, a: str, b: str, count: int) -> None:
    """Wordings that ask alike are pairs, where they are as many as a paired test needs."""
    assert len(pairs(wording, a, b)) == count
    assert sorted((y, x) for x, y in pairs(wording, b, a)) == pairs(wording, a, b)


def two(n_a: int, n_b: int, shared: int, *, frames: bool = False) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """Two styles of so many wordings, of which the first ones share a frame."""
    frame = [f"f{k}" for k in range(shared)]
    named = {"a": frame + [""] * (n_a - shared), "b": frame + [""] * (n_b - shared)}
    alike = [f"{'p' * (k + 1)} {{topic}} {'q' * (k + 1)} {'r' * (k + 1)}" for k in range(shared)]
    styles = {
        style: [f"{one} {style}" for one in alike]
        + [" ".join(f"{style}{n}{part}" for part in range(5)) + " {topic}" for n in range(number - shared)]
        for style, number in (("a", n_a), ("b", n_b))
    }
    both = PromptSet.build(name="n", language="en", topics=["tides"], styles=styles, frames=named if frames else None)
    return both.style("a"), both.style("b")


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize(
    ("n_a", "n_b", "shared", "found"),
    [
        pytest.param(6, 6, 6, 0, id="2^6 = 64 relabelings"),
        pytest.param(7, 7, 7, 7, id="2^7 = 128"),
        pytest.param(8, 8, 4, 4, id="2^4 x 70"),
        pytest.param(8, 8, 3, 0, id="three pairs"),
        pytest.param(9, 9, 4, 0, id="less than half"),
        pytest.param(8, 8, 6, 6, id="2^6 x 6"),
        pytest.param(7, 7, 6, 6, id="2^6 x 2 = 128"),
        pytest.param(8, 7, 7, 0, id="unequal numbers left over"),
    ],
)
def test_pairs_only_where_they_find_more(n_a: int, n_b: int, shared: int, found: int, *, frames: bool) -> None:
    """The condition of the prompt set alone: pairs, half of each side, as many left over, 128 relabelings."""
    assert len(partners(*two(n_a, n_b, shared, frames=frames))) == found


@pytest.mark.parametrize(
    ("n_a", "n_b", "shared", "says"),
    [
        (6, 6, 6, "6 pairs of 6 wordings are too few to be compared as pairs: 4 of 7 are needed"),
        (4, 4, 4, "4 pairs of 4 wordings are too few to be compared as pairs: 4 of 7 are needed"),
        (8, 8, 3, "3 pairs of 8 wordings are too few to be compared as pairs: 4 of 8 are needed"),
        (9, 9, 4, "4 pairs of 9 wordings are too few to be compared as pairs: 5 of 9 are needed"),
        (8, 7, 7, "8 and 7 wordings are compared as pairs only where they are as many"),
        (201, 201, 201, "201 wordings need no pairs"),
        (7, 7, 7, ""),
        (8, 8, 0, ""),
    ],
)
def test_named_frames_that_make_no_pairs_are_not_passed_over(n_a: int, n_b: int, shared: int, says: str) -> None:
    """The scope says why, where two styles share a frame; found from the texts, nobody has asked for pairs."""
    named, found = two(n_a, n_b, shared, frames=True), two(n_a, n_b, shared)
    assert unpaired_in_words(*named) == (f" (frames are named, but {says})" if says else "")
    assert unpaired_in_words(*found) == unpaired_in_words(named[0], named[0]) == ""


@pytest.mark.parametrize("n", range(1, 13))
def test_seven_wordings_are_those_with_128_ways_to_deal_labels(n: int) -> None:
    """Of at least 4 pairs, half of the wordings: 2 ways a pair, and those of the wordings left over."""
    counts = [k for k in range(n + 1) if k >= 4 and 2 * k >= n and 2**k * comb(2 * (n - k), n - k) >= 128]
    found = [k for k in range(n + 1) if partners(*two(n, n, k, frames=True))]
    assert found == counts


def test_a_frame_with_a_typing_error_is_refused() -> None:
    """It would silently leave one wording without partner; a third style may name none."""
    styles = {style: [f"{style} {n} {{topic}} {style * n}" for n in range(1, 4)] for style in "abc"}

    def named(of_a: list[str], of_b: list[str]) -> PromptSet:
        frames = {"a": of_a, "b": of_b}
        return PromptSet.build(name="n", language="en", topics=["tides"], styles=styles, frames=frames)

    assert [one.frame for one in named(["what", "how", ""], ["", "how", "what"])][:3] == ["what", "how", ""]
    says = "style 'a', frames: the frame 'what' stands in no other style, did you mean 'waht'"
    with pytest.raises(PromptError, match=says):
        named(["what", "how", ""], ["", "how", "waht"])


def test_frames_that_are_named_count_alone() -> None:
    """Texts that are alike make no pair beside the names; names of one style alone leave the texts to decide."""
    a, b = two(8, 8, 8, frames=True)
    swapped = PromptSet.build(
        name="n",
        language="en",
        topics=["tides"],
        styles={"a": [one.template for one in a], "b": [one.template for one in b]},
        frames={"a": [f"f{k}" for k in range(8)], "b": [f"f{7 - k}" for k in range(8)]},
    )
    named = partners(swapped.style("a"), swapped.style("b"))
    assert named == tuple((one.template, other.template) for one, other in zip(a, reversed(b), strict=True))
    bare = two(8, 8, 8)[1]
    assert partners(a, bare) == tuple((one.template, other.template) for one, other in zip(a, b, strict=True))


def test_frames_and_distinct_leave_a_prompt_what_it_is() -> None:
    """A prompt is found in a store by what it says; its frame is no part of that."""
    plain, framed = made(PLAIN).prompts, made(PLAIN, frames={"novice": ["k"]}, distinct=["novice"]).prompts
    assert plain == framed
    assert set(plain) == set(framed)
    assert (framed[0].frame, framed[0].distinct) == ("k", True)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"frames": {"expert": ["k"]}}, "no style 'expert' with templates of its own"),
        ({"distinct": ["novise"]}, "no style 'novise' with templates of its own, only 'novice'|did you mean 'novice'"),
        ({"distinct": "novice"}, "distinct: it is not a list but text, 'novice'"),
        ({"frames": {"novice": "k"}}, "style 'novice', frames: it is not a list but text, 'k'"),
        ({"frames": {"novice": ["k", "l"]}}, "there are 2 for 1 templates"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, Any], problem: str) -> None:
    """A frame too many, or a style that is not there, would silently pair nothing."""
    with pytest.raises(PromptError, match=problem):
        made(PLAIN, **more)


def test_a_frame_stands_once_in_a_style() -> None:
    """Two partners for one wording are no pair."""
    with pytest.raises(PromptError, match="one of them stands twice"):
        made(PLAIN, "{topic}?", frames={"novice": ["k", "k"]})


SHEET = """
name = "mine"
language = "en"
topics = [{{name = "tides"}}]

[styles.novice]
templates = ["Explain {{topic}}.", "Please explain {{topic}}!"]
held_out = ["What are {{topic}}?"]
{more}
"""


def test_a_file_names_frames_and_distinct_styles(tmp_path: Path) -> None:
    """The frames of held out templates stand last; an empty one is none."""
    path = tmp_path / "mine.toml"
    path.write_text(SHEET.format(more='frames = ["explain", "", "what"]\ndistinct = true'), encoding="utf-8")
    prompts = PromptSet.from_file(path).prompts
    assert [(one.frame, one.distinct) for one in prompts] == [("explain", True), ("", True), ("what", True)]
    assert len(set(unit_of(prompts))) == 3
    path.write_text(SHEET.format(more=""), encoding="utf-8")
    assert len(set(unit_of(PromptSet.from_file(path).prompts))) == 2
    for more, problem in {
        'distinct = "yes"': "distinct is not true or false",
        "frames = [1, 2, 3]": "1 is not text",
    }.items():
        path.write_text(SHEET.format(more=more), encoding="utf-8")
        with pytest.raises(PromptError, match=problem):
            PromptSet.from_file(path)
