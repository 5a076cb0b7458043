"""Templates are filled strictly: names and doubled braces, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.prompts.prompt import PromptError, fields_of, fill

NAMES = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)
TEXTS = st.text(max_size=30)


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def test_fields_are_replaced_and_doubled_braces_halved():
    """A field becomes its value, `{{` and `}}` become braces, the rest stays as it is."""
    filled = fill("Explain {topic} as {guru} in {{set}} {{{topic}}}", {"topic": "tides", "guru": "Galileo"})
    assert filled == "Explain tides as Galileo in {set} {tides}"


def test_fields_are_listed_once_in_order():
    """Every field is named once, in order of first appearance, and doubled braces name none."""
    assert fields_of("{guru} on {topic}, {{topic}}, {guru}") == ("guru", "topic")


def test_a_field_may_have_a_chinese_name():
    """Any identifier is a field name, so a Chinese file may name its fields in Chinese."""
    assert fill("请解释{题目}。", {"题目": "潮汐"}) == "请解释潮汐。"


@given(TEXTS)
def test_escaped_text_stands_for_itself(text: str):
    """Whatever a text holds, it survives once its braces are doubled."""
    assert fill(escaped(text), {}) == text


@given(st.lists(st.tuples(TEXTS, NAMES), max_size=4), st.data())
def test_filling_agrees_with_str_format_on_plain_fields(pieces: list[tuple[str, str]], data: st.DataObject):
    """On templates of plain names, Python's own formatting gives the same text."""
    template = "".join(f"{escaped(text)}{{{name}}}" for text, name in pieces)
    values = {name: data.draw(TEXTS) for _, name in pieces}
    assert fill(template, values) == template.format(**values)


@given(TEXTS)
def test_values_are_not_filled_again(value: str):
    """A value that looks like a template goes in as it stands."""
    assert fill("<{topic}>", {"topic": value, "x": "never"}) == f"<{value}>"


@pytest.mark.parametrize(
    "template",
    ["{topic.__class__}", "{topic[0]}", "{topic!r}", "{topic:>9}", "{}", "{0}", "{ topic }", "{two words}"],
)
def test_anything_but_a_name_is_refused(template: str):
    """Attributes, indices, conversions, formats, positions and blanks are errors that show the piece and its place."""
    with pytest.raises(PromptError, match="at character 4 is not a plain field name") as caught:
        fill(f"abc{template}", {"topic": "tides", "0": "zero"})
    assert repr(template) in caught.value.problem
    assert "{{" in caught.value.remedy


@pytest.mark.parametrize(("template", "brace"), [("a{b", "{"), ("a}b", "}"), ("{{}", "}"), ("{a{b}}", "{")])
def test_a_brace_alone_is_refused(template: str, brace: str):
    """A brace that opens or closes no field is an error that says how to write one."""
    with pytest.raises(PromptError, match="opens or closes no field") as caught:
        fields_of(template)
    assert repr(brace * 2) in caught.value.remedy


def test_a_missing_field_is_named_with_the_nearest_one():
    """A field without a value is an error that names it, what it was probably meant to be, and what there is."""
    with pytest.raises(PromptError) as caught:
        fill("As {gurru} says", {"topic": "tides", "guru": "Galileo"})
    assert caught.value.problem == "{gurru} is not among the fields here, did you mean 'guru'?"
    assert caught.value.remedy == "use one of {topic}, {guru}, or give 'gurru' a value"
