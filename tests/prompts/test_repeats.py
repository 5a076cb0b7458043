"""A style may repeat another: the same prompts under a second name, which are counted nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saeprobe.prompts import PromptChoice, PromptError, PromptSet

HEAD = """
name = "personas"
language = "en"
topics = [{ name = "tides" }, { name = "rain" }]

[styles.standard]
templates = ["Explain {topic}."]
held_out = ["What is {topic}?"]
neutral = true

[styles.novice]
templates = ["Explain {topic} to a novice."]
words = ["novice"]

[styles.assistant]
"""
SAME = 'repeats = "standard"'
TEXTS = ("Explain tides.", "Explain rain.", "What is tides?", "What is rain?")
STYLES = {"standard": ["Explain {topic}.", "What is {topic}?"], "novice": ["Explain {topic} to a novice."]}


def written(folder: Path, assistant: str) -> PromptSet:
    file = folder / "personas.toml"
    file.write_text(HEAD + assistant, encoding="utf-8")
    return PromptSet.from_file(file)


def built(**changes: Any) -> PromptSet:
    given: dict[str, Any] = {"styles": STYLES, "repeats": {"assistant": "standard"}, "neutral": "standard"}
    return PromptSet.build(name="personas", language="en", topics=["tides", "rain"], **(given | changes))


def test_a_repeat_has_the_prompts_of_the_other_and_is_counted_nowhere(tmp_path: Path) -> None:
    """It is in no list of styles, prompts or topics, and only its style differs from what it repeats."""
    of_file = written(tmp_path, SAME)
    for found in (of_file, built()):
        assert (found.styles, len(found), set(found.repeats)) == (("standard", "novice"), 6, {"assistant"})
        again = found.repeats["assistant"]
        assert tuple(prompt.text for prompt in again) == TEXTS
        assert {(prompt.style, prompt.topic, prompt.template) for prompt in again} == {
            ("assistant", prompt.topic, prompt.template) for prompt in found.style("standard")
        }
        assert not again.repeats


@pytest.mark.parametrize(
    "templates",
    [
        'templates = ["Explain {topic}.", "What is {topic}?"]',
        'templates = ["What is {topic}?"]\nheld_out = ["Explain {topic}."]',
        "templates = []",
    ],
)
def test_a_repeat_may_say_the_same_templates_once_more(tmp_path: Path, templates: str) -> None:
    """In any order, as what is read is the same."""
    assert written(tmp_path, f"{SAME}\n{templates}") == written(tmp_path, SAME)


@pytest.mark.parametrize(
    ("assistant", "message"),
    [
        ('templates = ["Explain {topic}."]', r"stands already at .*; leave one .* says so: repeats = \"standard\"$"),
        (f'{SAME}\ntemplates = ["Explain {{topic}}."]', "repeats: it has other templates than 'standard': a repeat is"),
        (f'{SAME}\nheld_out = ["More of {{topic}}."]', "it has other templates than 'standard'"),
        ('repeats = "assistant"', "style 'assistant', repeats: it repeats itself; name the style that"),
        (
            'repeats = "standart"',
            "there is no style 'standart', did you mean 'standard'.; name one of standard, novice$",
        ),
        (
            f'{SAME}\n[styles.third]\nrepeats = "assistant"',
            "'assistant' is a repeat itself; name .* repeats, 'standard'",
        ),
        ("repeats = true", "style 'assistant', repeats: True is not text; put the text in quotes"),
        ('repeats = ""', "style 'assistant', repeats: the text is empty"),
        (
            f'{SAME}\nwords = ["Explain"]',
            "style 'assistant': it repeats 'standard' and has words .* of 'standard' instead",
        ),
        ("repeat = 'standard'", "the key 'repeat' is unknown, did you mean 'repeats'"),
    ],
)
def test_what_is_no_repeat_is_refused_with_its_place(tmp_path: Path, assistant: str, message: str) -> None:
    """Other texts, a repeat of itself, of a repeat or of nothing, words of its own."""
    with pytest.raises(PromptError, match=message):
        written(tmp_path, assistant)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neutral": "assistant"}, "style 'assistant': it repeats 'standard' and .* is the neutral style"),
        ({"words": {"assistant": ["Explain"]}}, "it repeats 'standard' and has words of its own"),
        ({"repeats": {"assistant": "expert"}}, "there is no style 'expert'"),
        ({"repeats": {"novice": "standard"}}, "style 'novice', repeats: it has other templates than 'standard'"),
        ({"repeats": {" ": "standard"}}, "' ' is no name of a style"),
    ],
)
def test_build_refuses_the_same(changes: dict[str, Any], message: str) -> None:
    """A repeat that is neutral would be pasted into twice."""
    with pytest.raises(PromptError, match=message):
        built(**changes)


def test_a_choice_of_styles_takes_a_repeat_only_beside_what_it_repeats() -> None:
    """Alone it would be held against nothing; without it nothing is read again."""
    both = built().only("assistant", "standard")
    assert (both.styles, set(both.repeats)) == (("standard",), {"assistant"})
    assert not built().only("standard", "novice").repeats
    with pytest.raises(ValueError, match=r"^only\(\) names 'assistant' of personas, which repeats 'standard', alone"):
        built().only("assistant", "novice")
    with pytest.raises(
        KeyError, match=r"'asistant', did you mean 'assistant'.; there are: standard, novice, assistant"
    ):
        built().only("asistant")
    choice = PromptChoice(name="personas", sets={"english": built()}).only("standard", "assistant")
    assert choice.for_wording("english") == both


def test_controls_read_no_repeat() -> None:
    """Neither pasted words nor the prompts of a random draw are read a second time."""
    whole = built(words={"novice": ["novice"]})
    assert not whole.injected().repeats
    assert not whole.first_topics(1).repeats
    assert not built(styles={**STYLES, "standard": ["Explain {topic}."]}).first_topics(1).repeats
    assert whole != built(words={"novice": ["novice"]}, repeats=None)


def test_repeats_that_are_no_mapping_are_refused() -> None:
    """A list of styles does not say what each repeats."""
    given: Any = {"name": "x", "language": "en", "topics": ["a"], "styles": STYLES, "repeats": ["assistant"]}
    with pytest.raises(
        PromptError, match=r"repeats: it is not a table but a list, .'assistant'.; write .* in Python a table by name"
    ):
        PromptSet.build(**given)
