"""Sets of prompts are built, looked into and restricted; choices of wordings are read late and once."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from saeprobe.prompts import Prompt, PromptChoice, PromptError, PromptSet, promptset

TIDES = {"name": "tides", "guru": "Galileo"}
RAIN = {"name": "rain", "guru": "Hooke"}


def small() -> PromptSet:
    return PromptSet.build(
        name="small",
        language="en",
        topics=[TIDES, RAIN],
        styles={"novice": ["Teach me {topic}.", "What is {topic}?"], "guru": ["{topic}, says {guru}."]},
    )


def test_build_goes_by_style_then_template_then_topic():
    """Every template of every style is filled with every topic, and each prompt knows its three."""
    assert [prompt.text for prompt in small()] == [
        "Teach me tides.",
        "Teach me rain.",
        "What is tides?",
        "What is rain?",
        "tides, says Galileo.",
        "rain, says Hooke.",
    ]
    assert small().prompts[5] == Prompt(
        text="rain, says Hooke.", style="guru", topic="rain", template="{topic}, says {guru}."
    )


def test_a_topic_may_be_its_name_alone():
    """Where no template needs more than `{topic}`, topics are plain strings."""
    built = PromptSet.build(name="s", language="en", topics=["tides"], styles={"novice": ["{topic}?"]})
    assert [prompt.text for prompt in built] == ["tides?"]


def test_one_topic_needs_no_field_in_its_templates():
    """With a single topic a template without fields repeats nothing, and is taken."""
    built = PromptSet.build(name="s", language="en", topics=["shops"], styles={"buy": ["I went to buy"]})
    assert [prompt.text for prompt in built] == ["I went to buy"]


def test_styles_topics_and_templates_are_listed_in_order():
    """The set lists each of its styles, topics and templates once, in order of first appearance."""
    assert small().styles == ("novice", "guru")
    assert small().topics == ("tides", "rain")
    assert small().templates == ("Teach me {topic}.", "What is {topic}?", "{topic}, says {guru}.")
    assert len(small()) == 6


def test_style_gives_the_prompts_of_one_style():
    """A style's prompts come in the order they stand."""
    assert [prompt.text for prompt in small().style("guru")] == ["tides, says Galileo.", "rain, says Hooke."]


def test_only_keeps_the_named_styles_in_their_order():
    """A restricted set keeps name, language and order, whatever the order in which the styles were named."""
    assert small().only("guru", "novice") == small()
    assert small().only("novice").styles == ("novice",)
    assert len(small().only("novice")) == 4


def test_an_unknown_style_is_an_error_that_lists_the_styles():
    """Asking for a misspelt style names the nearest one and all there are."""
    for ask in (small().style, small().only):
        with pytest.raises(KeyError, match=r"no style 'novise', did you mean 'novice'\?; there are: novice, guru"):
            ask("novise")


def test_restricting_to_nothing_is_an_error():
    """`only()` without a style would be an empty set, and is refused."""
    with pytest.raises(ValueError, match="names no style of small"):
        small().only()


def test_the_docstring_example_runs():
    """The example in the docstring gives what it says."""
    assert doctest.testmod(promptset).failed == 0
    assert doctest.testmod(promptset).attempted > 0


@pytest.mark.parametrize(
    ("topics", "styles", "found"),
    [
        ([], {"a": ["{topic}"]}, "there are no topics"),
        ([TIDES], {}, "there are no styles"),
        ([TIDES], {"a": []}, "style 'a': there are no templates"),
        ([TIDES], {" a": ["{topic}"]}, "' a' is no name of a style"),
        ([TIDES], {"": ["{topic}"]}, "'' is no name of a style"),
        ([TIDES, {"guru": "Hooke"}], {"a": ["{topic}"]}, "topic 2: it has no name"),
        ([" "], {"a": ["{topic}"]}, "topic 1: it has no name"),
        ([TIDES, TIDES], {"a": ["{topic}"]}, "topic 2: the name 'tides' is that of topic 1 too"),
        ([{"name": "tides", "topic": "x"}], {"a": ["{topic}"]}, "topic 1, 'tides': it has a field 'topic'"),
        (
            [TIDES, RAIN],
            {"a": ["{topic}", "Hello."]},
            "style 'a', template 2 'Hello.': it names no field, so all 2 topics give the same prompt",
        ),
        (
            [TIDES, {"name": "rain"}],
            {"a": ["Ask {guru}"]},
            "style 'a', template 1 'Ask {guru}', topic 'rain': {guru} is not among the fields here; use one of {topic}",
        ),
        ([TIDES], {"a": ["Ask {guru.real}"]}, "'{guru.real}' at character 5 is not a plain field name"),
        ([TIDES], {"a": [""]}, "template 1 '', topic 'tides': the prompt is empty"),
        ([{"name": "tides", "x": " "}], {"a": ["{x}\t"]}, "topic 'tides': the prompt is blank"),
        (
            [TIDES],
            {"a": ["{topic}?"], "b": ["{topic}?"]},
            "topic 'tides': the prompt 'tides?' stands already at style 'a', template 1 '{topic}?', topic 'tides'",
        ),
        ("tides", {"a": ["{topic}"]}, "topics: it is not a list but text, 'tides'"),
        ([TIDES], {"a": "{topic}"}, "style 'a': it is not a list but text, '{topic}'"),
    ],
)
def test_what_cannot_be_built_is_an_error_that_says_where(topics: list[str], styles: dict[str, list[str]], found: str):
    """Each fault is named with its place, and followed by what to do."""
    with pytest.raises(PromptError) as caught:
        PromptSet.build(name="s", language="en", topics=topics, styles=styles)
    assert found in str(caught.value)
    assert str(caught.value).endswith(f"; {caught.value.remedy}")
    assert caught.value.path is None


GIVEN: dict[str, Any] = {"name": "s", "language": "en", "topics": ["tides"], "styles": {"novice": ["{topic}"]}}


@pytest.mark.parametrize("value", [5, True, "x", ["x"], {"novice": 5}, {"novice": [5]}, {5: ["x"]}])
@pytest.mark.parametrize("key", [*GIVEN, "words", "frames", "repeats", "distinct", "neutral", "max_characters"])
def test_what_is_of_another_kind_is_an_error_of_the_set(key: str, value: Any) -> None:
    """Python's own errors say neither what is wanted nor where; what can be taken for the wanted is taken."""
    takes = {"name": ["x"], "language": ["x"], "topics": [["x"]], "max_characters": [5]}
    if value in takes.get(key, []) and value is not True:
        PromptSet.build(**GIVEN | {key: value})
        return
    with pytest.raises(ValueError, match=rf"^(style '|{key}|frames, distinct)"):
        PromptSet.build(**GIVEN | {key: value})


def test_a_prompt_may_have_as_many_characters_as_allowed_and_no_more():
    """A prompt at the limit is taken; one character more is an error with both numbers."""
    styles = {"a": ["{topic}"]}
    PromptSet.build(name="s", language="en", topics=["x" * 20_000], styles=styles)
    with pytest.raises(PromptError, match="has 20,001 characters, more than 20,000"):
        PromptSet.build(name="s", language="en", topics=["x" * 20_001], styles=styles)
    with pytest.raises(PromptError, match="has 4 characters, more than 3"):
        PromptSet.build(name="s", language="en", topics=["four"], styles=styles, max_characters=3)


def test_a_set_constructed_directly_is_taken_as_it_is():
    """The constructor checks nothing: a notebook may ask for the same text twice."""
    twice = Prompt(text="tides", style="a", topic="tides", template="{topic}")
    assert len(PromptSet(name="s", language="en", prompts=(twice, twice))) == 2


def test_the_first_topics_are_those_of_each_style_under_all_of_its_templates() -> None:
    """Two of three topics; what is said of the styles and the neutral prompts stay."""
    styles = {"standard": ["{topic}", "{topic}?"], "novice": ["{topic} for a novice", "{topic}, I am a novice"]}
    whole = PromptSet.build(
        name="mine",
        language="en",
        topics=["tides", "yeast", "rust"],
        styles=styles,
        words={"novice": ["novice"]},
        neutral="standard",
    )
    first = whole.first_topics(2)
    assert [prompt.text for prompt in first] == [
        *("tides", "yeast", "tides?", "yeast?"),
        *("tides for a novice", "yeast for a novice", "tides, I am a novice", "yeast, I am a novice"),
    ]
    assert (first.words, first.neutral_prompts) == (whole.words, whole.neutral_prompts)
    assert whole.first_topics(3).prompts == whole.prompts
    assert whole.first_topics(9).prompts == whole.prompts


def test_styles_on_other_topics_keep_as_many_of_their_own() -> None:
    """Code on loops and files and letters on thanks and requests keep the first topic of each style, not of the set."""
    prompts = tuple(
        Prompt(text=f"{template} {topic}", style=style, topic=topic, template=template)
        for style, topics in {"code": ("loops", "files"), "letters": ("thanks", "requests")}.items()
        for template in ("write", "read")
        for topic in topics
    )
    first = PromptSet(name="kinds", language="en", prompts=prompts).first_topics(1)
    assert [prompt.text for prompt in first] == ["write loops", "read loops", "write thanks", "read thanks"]


def test_under_a_single_template_all_topics_are_kept() -> None:
    """There they are what a style is known by; one such style leaves the set whole."""
    styles = {"standard": ["{topic}"], "novice": ["{topic} for a novice", "{topic}, I am a novice"]}
    whole = PromptSet.build(name="mine", language="en", topics=["tides", "yeast", "rust"], styles=styles)
    assert whole.first_topics(2) == whole
    assert len(whole.only("novice").first_topics(2)) == 4


SHEET = 'name = "s"\nlanguage = "en"\n[[topics]]\nname = "tides"\n[styles.judge]\ntemplates = ["{topic}!"]\n'


def given() -> PromptSet:
    return PromptSet.build(
        name="given", language="en", topics=["tides"], styles={"choose": ["{topic}?"], "judge": ["{topic}!"]}
    )


def test_a_wording_gives_its_set():
    """A subject reads the set under its own wording, as it was given."""
    assert PromptChoice(name="shopping", sets={"english": given()}).for_wording("english") == given()


def test_an_unknown_wording_is_an_error_that_lists_the_wordings():
    """A wording that is not there names the nearest one and all there are."""
    with pytest.raises(KeyError, match=r"'inglish', did you mean 'english'\?; there are: english"):
        PromptChoice(name="shopping", sets={"english": given()}).for_wording("inglish")


def test_a_path_is_read_when_asked_for_and_once(tmp_path: Path):
    """No file is touched before its wording is asked for, and none twice."""
    path = tmp_path / "later.toml"
    choice = PromptChoice(name="shopping", sets={"english": path})
    path.write_text(SHEET, encoding="utf-8")
    first = choice.for_wording("english")
    path.unlink()
    assert choice.for_wording("english") is first


def test_a_path_that_cannot_be_read_is_an_error_when_asked_for(tmp_path: Path):
    """A missing file is refused when its wording is asked for, and again the next time."""
    choice = PromptChoice(name="shopping", sets={"english": tmp_path / "absent.toml"})
    for _ in range(2):
        with pytest.raises(PromptError, match="cannot be read"):
            choice.for_wording("english")


def test_only_restricts_every_wording():
    """A restricted choice gives sets of those styles alone, from sets and from files."""
    choice = PromptChoice(name="shopping", sets={"english": given()})
    assert choice.only("judge").for_wording("english") == given().only("judge")
    assert choice.for_wording("english").styles == ("choose", "judge")


def test_only_may_narrow_further_but_not_widen():
    """A second restriction must lie within the first."""
    narrowed = PromptChoice(name="shopping", sets={"english": given()}).only("judge", "choose").only("judge")
    assert narrowed.styles == ("judge",)
    with pytest.raises(ValueError, match="already restricted to judge, without 'choose'"):
        narrowed.only("choose")


def test_only_without_a_style_is_an_error():
    """`only()` would leave nothing to read."""
    with pytest.raises(ValueError, match="names no style"):
        PromptChoice(name="shopping", sets={"english": given()}).only()


def test_a_misspelt_style_is_an_error_when_a_set_is_asked_for():
    """Restricting reads no file, so a misspelt style comes out with the first set."""
    choice = PromptChoice(name="shopping", sets={"english": given()}).only("juge")
    with pytest.raises(KeyError, match="did you mean 'judge'"):
        choice.for_wording("english")


def test_choices_can_be_compared_and_hashed():
    """Equal choices are one key of a plan; a restriction makes another."""
    one, other = (PromptChoice(name="shopping", sets={"english": given()}) for _ in range(2))
    assert len({one, other}) == 1
    assert len({one, other.only("judge")}) == 2


def test_the_first_topics_are_taken_in_every_wording_and_of_injected_prompts():
    """After `only` and `injected`, in whichever order; a choice of fewer topics is another key of a plan."""
    prompts = PromptSet.build(
        name="mine",
        language="en",
        topics=["tides", "yeast", "rust"],
        styles={"standard": ["{topic}", "{topic}?"], "novice": ["{topic} for a novice", "{topic}, I am a novice"]},
        words={"novice": ["novice"]},
        neutral="standard",
    )
    choice = PromptChoice(name="mine", sets={"english": prompts})
    first = choice.first_topics(2)
    assert first.for_wording("english") == prompts.first_topics(2)
    assert first.only("novice").for_wording("english").topics == ("tides", "yeast")
    assert len(choice.injected().first_topics(1).for_wording("english")) == 2 * 2
    assert len({choice, first, choice.first_topics(1)}) == 3
