"""The words by which styles call themselves are found in prompts, checked, and pasted into neutral prompts."""

from __future__ import annotations

import doctest
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.prompts import Prompt, PromptChoice, PromptError, PromptSet
from saeprobe.prompts import prompt as words
from saeprobe.prompts.prompt import mentions
from saeprobe.prompts.promptset import pasted

STYLES = {
    "standard": ["Explain {topic}.", "What is {topic}?"],
    "novice": ["{topic} for a novice."],
    "plain": ["{topic}, plainly."],
}
WORDS = {"novice": ["novice"]}
SHEET = """\
name = "mine"
language = "en"
topics = [{ name = "tides" }]

[styles.standard]
templates = ["Explain {topic}."]
neutral = true

[styles.novice]
templates = ["{topic} for a novice or beginner."]
words = ["novice", "beginner"]

[styles.plain]
templates = ["{topic}."]
neutral = false
"""


def built(
    words: Mapping[str, Sequence[str]] | None = None, neutral: str | None = "standard", language: str = "en"
) -> PromptSet:
    return PromptSet.build(
        name="mine",
        language=language,
        topics=["tides", "rain"],
        styles=STYLES,
        words=WORDS if words is None else words,
        neutral=neutral,
    )


def listed(prompts: PromptSet) -> list[tuple[str, str]]:
    return [(prompt.style, prompt.text) for prompt in prompts]


@pytest.mark.parametrize(
    ("text", "word", "says"),
    [
        ("Explain it to a novice.", "novice", True),
        ("NOVICE: tides", "Novice", True),
        ("A STRASSE", "straße", True),
        ("Explain it to novices.", "novice", False),
        ("the anovice", "novice", False),
        ("novice_1", "novice", False),
        ("novice2", "novice", False),
        ("non-novice reader", "novice", True),
        ("a (novice)", "novice", True),
        ("novice", "novice", True),
        ("first-time reader", "first-time", True),
        ("step by step", "step by", True),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("C++ for me", "C++", True),
        ("请向新手解释", "新手", True),
        ("请向 novice 解释", "novice", True),
        ("请向novice解释", "novice", True),
        ("请向novices解释", "novice", False),
        ("초보자에게", "초보자", True),
        ("ノービスに", "ノービス", True),
        ("résumé", "resume", False),
        ("", "novice", False),
    ],
)
def test_a_word_is_said_where_it_stands_as_a_whole(text: str, word: str, says: bool):  # noqa: FBT001 - what is expected
    """Case is folded, letters and digits beside it count; scripts without blanks are searched through."""
    assert mentions(text, [word]) == says


@pytest.mark.parametrize(
    ("text", "word", "says"),
    [
        ("Explain it to novices.", "novice", True),
        ("a novice", "novice", True),
        ("a nov", "novice", False),
        ("the anovice", "novice", False),
        ("steps by step", "step by", False),
        ("step bypass", "step by", True),
        ("请向新手们解释", "新手", True),
    ],
)
def test_an_inflected_word_is_said_where_another_begins_with_it(text: str, word: str, says: bool):  # noqa: FBT001 - as above
    """Its end may be that of a longer word, its beginning may not."""
    assert mentions(text, [word], inflected=True) == says


def test_any_of_several_words_counts():
    """One is enough, and of none there is nothing to say."""
    assert mentions("a beginner", ["novice", "beginner"])
    assert not mentions("a reader", ["novice", "beginner"])
    assert not mentions("a novice", [])


@given(st.text(), st.text())
def test_a_word_between_blanks_is_always_said(before: str, after: str):
    """Whatever stands further away."""
    assert mentions(f"{before} novice {after}", ["novice"])


PROMPT = Prompt(text="Explain tides.", style="standard", topic="tides", template="Explain {topic}.")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (["novice"], "- novice. Explain tides."),
        (["novice", "beginner"], "- novice beginner. Explain tides."),
        (["新手"], "新手。Explain tides."),
        (["novice", "新手"], "novice 新手。Explain tides."),
        (["초보자"], "- 초보자. Explain tides."),
        ([], "Explain tides."),
    ],
)
def test_words_are_pasted_in_front_of_a_neutral_prompt(said: list[str], text: str):
    """Style changes, topic and template stay: the template is what both styles are compared within."""
    assert pasted(said, PROMPT, style="x") == Prompt(text=text, style="x", topic="tides", template="Explain {topic}.")


def test_injected_has_each_style_as_its_words_in_the_neutral_prompts():
    """A style without words, and the neutral one itself, are the neutral prompts as they stand."""
    prompts = built().injected()
    neutral = ["Explain tides.", "Explain rain.", "What is tides?", "What is rain?"]
    assert listed(prompts) == [
        *(("standard", text) for text in neutral),
        *(("novice", f"- novice. {text}") for text in neutral),
        *(("plain", text) for text in neutral),
    ]
    assert prompts.templates == ("Explain {topic}.", "What is {topic}?")
    assert (prompts.name, prompts.language) == ("mine", "en")
    assert prompts.words == {"novice": ("novice",)}


def test_restricting_comes_before_or_after_to_the_same():
    """The neutral prompts are not lost with their style."""
    prompts = built()
    only = prompts.only("novice", "plain")
    assert only.neutral == "standard"
    assert only.injected() == prompts.injected().only("novice", "plain")
    assert listed(only.injected())[0] == ("novice", "- novice. Explain tides.")


def test_what_is_injected_is_injected_once():
    """Words are pasted into the neutral prompts, never into those that have them."""
    assert built().injected().injected() == built().injected()


def test_a_set_without_a_neutral_style_cannot_be_injected():
    """The error says what to write."""
    with pytest.raises(ValueError, match="mine says of no style that it is neutral; write neutral = true under one"):
        built(neutral=None).injected()
    assert built(neutral=None).neutral is None


def test_a_set_without_words_cannot_be_injected():
    """A set whose styles have no words is refused, also where it was restricted to them."""
    with pytest.raises(ValueError, match=r"mine names no words of its styles \(standard, novice, plain\); write words"):
        built(words={}).injected()
    with pytest.raises(ValueError, match=r"no words of its styles \(plain\)"):
        built().only("plain").injected()


def test_words_do_not_make_sets_unhashable():
    """A set is the key of a plan; other words make another set."""
    assert len({built(), built()}) == 1
    assert hash(built()) == hash(built(words={}))
    assert built() != built(words={})
    assert built() != built(neutral="plain")


@pytest.mark.parametrize(
    ("said", "neutral", "found"),
    [
        ({"novise": ["x"]}, None, "words: there is no style 'novise', did you mean 'novice'?; name one of standard,"),
        ({}, "standart", "neutral: there is no style 'standart', did you mean 'standard'?; name one of standard,"),
        ({"novice": ["x"]}, "novice", "style 'novice', words: the neutral style has words of its own; leave them out"),
        ({"novice": "x"}, None, "style 'novice', words: it is not a list but text, 'x'; write a list"),
        ({"novice": []}, None, "style 'novice', words: the list is empty; give a word, or leave it out"),
        ({"novice": ["a", " "]}, None, "style 'novice', words: ' ' is no word; write it without blanks around it"),
        ({"novice": ["a "]}, None, "style 'novice', words: 'a ' is no word; write it without blanks around it"),
        ({"novice": ["a", "b", "a"]}, None, "style 'novice', words: the word 'a' stands twice; leave one of them out"),
    ],
)
def test_words_that_cannot_be_are_refused(said: Mapping[str, Sequence[str]], neutral: str | None, found: str):
    """Each fault is named with its place and remedy."""
    with pytest.raises(PromptError) as caught:
        built(words=said, neutral=neutral)
    assert str(caught.value).startswith(found)


def sheet(folder: Path, content: str) -> PromptSet:
    path = folder / "sheet.toml"
    path.write_text(content, encoding="utf-8")
    return PromptSet.from_file(path)


def test_a_sheet_names_words_and_the_neutral_style(tmp_path: Path):
    """They are read beside the templates, and `neutral = false` says nothing."""
    prompts = sheet(tmp_path, SHEET)
    assert prompts.words == {"novice": ("novice", "beginner")}
    assert prompts.neutral == "standard"
    assert [prompt.text for prompt in prompts] == ["Explain tides.", "tides for a novice or beginner.", "tides."]
    assert listed(prompts.only("novice").injected()) == [("novice", "- novice beginner. Explain tides.")]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("words =", "word =", "style 'novice': the key 'word' is unknown, did you mean 'words'?"),
        ("neutral = true", "neutrl = true", "style 'standard': the key 'neutrl' is unknown, did you mean 'neutral'?"),
        ("neutral = true", 'neutral = "yes"', "style 'standard': neutral is not true or false; write one of them"),
        ("neutral = false", "neutral = 0", "style 'plain': neutral is not true or false"),
        ("neutral = false", "neutral = true", "styles: 'standard' and 'plain' are both neutral; call that one neutral"),
        ("neutral = true", 'neutral = true\nwords = ["x"]', "style 'standard', words: the neutral style has words of"),
        ('["novice", "beginner"]', '"novice"', "style 'novice', words: it is not a list but text"),
        ('["novice", "beginner"]', "[]", "style 'novice', words: the list is empty"),
        ('["novice", "beginner"]', '["novice", ""]', "style 'novice', words, entry 2: the text is empty"),
        ('["novice", "beginner"]', "[3]", "style 'novice', words, entry 1: 3 is not text"),
        ('["novice", "beginner"]', '["a", "a"]', "style 'novice', words: the word 'a' stands twice"),
        (
            '["novice", "beginner"]',
            '["novise"]',
            "style 'novice', words: no prompt of the style says 'novise'; write it as the prompts say it, or leave it",
        ),
    ],
)
def test_a_faulty_sheet_is_refused_with_its_place(tmp_path: Path, old: str, new: str, found: str):
    """One fault in a good file is named, with file and place."""
    assert old in SHEET
    with pytest.raises(PromptError) as caught:
        sheet(tmp_path, SHEET.replace(old, new))
    assert str(caught.value).startswith(f"{tmp_path / 'sheet.toml'}, {found}")


def test_rows_have_no_words(tmp_path: Path):
    """CSV and JSONL files tell of no style's words and of no neutral one."""
    path = tmp_path / "rows.csv"
    path.write_text("text,style\nA,novice\n", encoding="utf-8")
    prompts = PromptSet.from_file(path)
    assert prompts.words == {}
    assert prompts.neutral is None


def test_a_choice_is_injected_in_every_wording(tmp_path: Path):
    """A choice is injected in sets and in files, before or after a restriction."""
    (tmp_path / "sheet.toml").write_text(SHEET, encoding="utf-8")
    choice = PromptChoice(name="styles", sets={"english": built(), "specimen": tmp_path / "sheet.toml"})
    assert choice.injected().for_wording("english") == built().injected()
    assert choice.only("novice").injected() == choice.injected().only("novice")
    for one in (choice.only("novice").injected(), choice.injected().only("novice")):
        assert listed(one.for_wording("specimen")) == [("novice", "- novice beginner. Explain tides.")]
    assert choice.injected() != choice
    assert choice.for_wording("english") == built()


def test_a_choice_that_cannot_be_injected_says_so_when_a_set_is_asked_for():
    """No file is read before."""
    choice = PromptChoice(name="styles", sets={"english": built(neutral=None)}).injected()
    with pytest.raises(ValueError, match="says of no style that it is neutral"):
        choice.for_wording("english")


def test_the_docstring_example_runs():
    """The example in the docstring gives what it says."""
    assert doctest.testmod(words).failed == 0
    assert doctest.testmod(words).attempted > 0
