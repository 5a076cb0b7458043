"""Prompt files are read from TOML, CSV and JSONL, or refused with what is wrong in them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.prompts import Prompt, PromptError, PromptSet

SHEET = """\
name = "mine"
language = "en"

[[topics]]
name = "tides"
guru = "Galileo"

[[topics]]
name = "rain"
guru = "Hooke"
held_out = true

[styles.novice]
templates = ["Teach me {topic}."]
held_out = ["What is {topic}?"]

[styles.guru]
templates = ["{topic}, says {guru}."]
"""

CSV_TO_FILL = 'template,style,topic,guru\nTeach me {topic}.,novice,tides,\n"{topic}, says {guru}.",guru,tides,Galileo\n'

NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")
TEXTS = st.text(CHARACTERS, max_size=20).filter(str.strip)
PROMPTS = st.lists(
    st.builds(Prompt, text=TEXTS, style=NAMES, topic=NAMES, template=TEXTS), min_size=1, unique_by=lambda p: p.text
)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(folder: Path, name: str, content: str | bytes) -> PromptError:
    path = written(folder, name, content)
    with pytest.raises(PromptError) as caught:
        PromptSet.from_file(path)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}")
    assert str(caught.value).endswith(f"; {caught.value.remedy}")
    return caught.value


def test_a_sheet_is_crossed_with_held_out_parts_like_the_others(tmp_path: Path):
    """Every template of a TOML file meets every topic; what is held out from training is read all the same."""
    prompts = PromptSet.from_file(written(tmp_path, "sheet.toml", SHEET))
    assert (prompts.name, prompts.language) == ("mine", "en")
    assert [prompt.text for prompt in prompts] == [
        "Teach me tides.",
        "Teach me rain.",
        "What is tides?",
        "What is rain?",
        "tides, says Galileo.",
        "rain, says Hooke.",
    ]
    assert prompts.templates == ("Teach me {topic}.", "What is {topic}?", "{topic}, says {guru}.")


def test_finished_rows_are_taken_as_they_stand(tmp_path: Path):
    """A CSV row with a text is that prompt, blanks and braces untouched, named for its file."""
    path = written(tmp_path, "mine.csv", 'text,style,topic,template\n"  {a}, b ",novice,tides,  {a}\n')
    assert PromptSet.from_file(str(path)) == PromptSet(
        name="mine",
        language="und",
        prompts=(Prompt(text="  {a}, b ", style="novice", topic="tides", template="  {a}"),),
    )


def test_rows_without_a_template_are_one_wording_and_topics_of_their_own(tmp_path: Path):
    """Where no template is given nothing says which rows repeat a wording, so a style has one."""
    path = written(tmp_path, "mine.jsonl", '{"text": "A", "style": "x"}\n\n{"text": "B", "style": "x", "topic": ""}\n')
    prompts = PromptSet.from_file(path)
    assert prompts.templates == ("as written",)
    assert prompts.topics == ("A", "B")


def test_rows_with_a_template_are_filled_with_their_own_fields(tmp_path: Path):
    """A row without a text is its template, filled with its topic and further columns."""
    prompts = PromptSet.from_file(written(tmp_path, "mine.csv", CSV_TO_FILL))
    assert [prompt.text for prompt in prompts] == ["Teach me tides.", "tides, says Galileo."]
    assert prompts.templates == ("Teach me {topic}.", "{topic}, says {guru}.")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.toml", SHEET),
        ("s.csv", CSV_TO_FILL),
        ("s.csv", 'text,style\n"a\nb",x\n'),
        ("s.jsonl", '{"text":"A","style":"x"}\n'),
    ],
)
def test_byte_order_mark_line_ends_and_capital_suffix_change_nothing(tmp_path: Path, name: str, content: str):
    """A file as Windows writes it holds the same prompts."""
    plain = PromptSet.from_file(written(tmp_path, name, content))
    windows = b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()
    assert PromptSet.from_file(written(tmp_path, name.upper().replace("S.", "s."), windows)) == plain


@given(PROMPTS)
def test_csv_keeps_every_prompt(prompts: list[Prompt]):
    """What Python's csv module writes comes back, line breaks and quotes included."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(["text", "style", "topic", "template"])
    writer.writerows([prompt.text, prompt.style, prompt.topic, prompt.template] for prompt in prompts)
    assert read_back("round.csv", sheet.getvalue()) == tuple(prompts)


@given(PROMPTS, st.booleans())
def test_jsonl_keeps_every_prompt(prompts: list[Prompt], ascii_only: bool):  # noqa: FBT001 - Hypothesis draws it
    """What Python's json module writes comes back, escaped or not."""
    lines = (
        json.dumps(
            {name: vars(prompt)[name] for name in ("text", "style", "topic", "template")}, ensure_ascii=ascii_only
        )
        for prompt in prompts
    )
    assert read_back("round.jsonl", "\n".join(lines)) == tuple(prompts)


def read_back(name: str, content: str) -> tuple[Prompt, ...]:
    with TemporaryDirectory() as folder:
        return PromptSet.from_file(written(Path(folder), name, content)).prompts


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('name = "mine"', 'nmae = "mine"', "the key 'nmae' is unknown, did you mean 'name'?"),
        ('language = "en"\n', "", "the key 'language' is missing"),
        ('language = "en"', "language = 3", "language: 3 is not text"),
        ('name = "mine"', 'name = " "', "name: the text is empty"),
        ('name = "tides"', 'nam = "tides"', "topic 1: it has no name, only 'nam'"),
        ('guru = "Hooke"', "guru = 1635", "topic 2, field 'guru': 1635 is not text"),
        ('guru = "Hooke"\n', "", "style 'guru', template 1 '{topic}, says {guru}.', topic 'rain': {guru} is not among"),
        ("held_out = true", "heldout = true", "topic 2: the field 'heldout' is true, did you mean 'held_out'?"),
        ("held_out = true", 'held_out = "yes"', "topic 2: held_out is not true or false"),
        ('templates = ["Teach', 'template = ["Teach', "style 'novice': the key 'template' is unknown, did you mean"),
        ('templates = ["Teach me {topic}."]\n', "", "style 'novice': it has no templates"),
        ('["Teach me {topic}."]', "[]", "style 'novice': the list templates is empty"),
        ('["Teach me {topic}."]', '"Teach me {topic}."', "style 'novice', templates: it is not a list but text"),
        ('["Teach me {topic}."]', '[""]', "style 'novice', templates, entry 1: the text is empty"),
        ("Teach me {topic}.", "Teach me {topics}.", "{topics} is not among the fields here, did you mean 'topic'?"),
        ("What is {topic}?", "Teach me {topic}.", "the prompt 'Teach me tides.' stands already at style 'novice'"),
        ("[[topics]]\n", "[topics]\n", "line 8"),
        ("[styles.guru]", "[styles.novice]", "twice"),
        ('name = "mine"', "name = mine", "it is not TOML: Invalid value (at line 1, column 8)"),
    ],
)
def test_a_faulty_sheet_is_refused_with_its_place(tmp_path: Path, old: str, new: str, found: str):
    """One fault in a good file is named, with where it stands."""
    assert old in SHEET
    assert found in str(refusal(tmp_path, "sheet.toml", SHEET.replace(old, new)))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('topics = []\nname="a"\nlanguage="en"\n[styles.a]\ntemplates=["{topic}"]', "there are no topics"),
        ('topics = [{name="t"}]\nname="a"\nlanguage="en"\n[styles]', "there are no styles"),
        ('topics = ["t"]\nname="a"\nlanguage="en"\n[styles]', "topic 1: it is not a table but text"),
        ('topics = "t"\nname="a"\nlanguage="en"\n[styles]', "topics: it is not a list but text"),
        ('topics = [{name="t"}]\nname="a"\nlanguage="en"\nstyles = 2024-01-01', "it is not a table but a date"),
    ],
)
def test_a_sheet_of_the_wrong_shape_is_refused(tmp_path: Path, content: str, found: str):
    """Empty lists and values of another kind are named as such."""
    assert found in str(refusal(tmp_path, "sheet.toml", content))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "there are no prompts"),
        ("text,style\n", "there are no prompts"),
        ("text,styl\nA,x\n", "line 2: it has no 'style', only 'styl'"),
        ("style\nx\n", "line 2: it has no 'text'"),
        ("text,style,topik\nA,x,t\n", "line 2: the field 'topik' is unknown, did you mean 'topic'?"),
        ("text,style,text\nA,x,B\n", "line 1: the column 'text' stands 2 times"),
        ("text,,style\nA,,x\n", "line 1: a column has no name"),
        ("text,style\nA, B,x\n", "line 2: the row has 3 cells, the header 2 (text, style)"),
        ('text,style\n\n"A\nB",x\nC\n', "line 5: the row has 1 cells"),
        ('text,style\n"A,x\n', "line 2: it is not CSV"),
        ("text,style\n   ,x\n", "line 2: the prompt is blank"),
        ("text,style\n,x\n", "line 2: the prompt is empty"),
        ("text,style\nA, x\n", "line 2: the style ' x' has blanks around it"),
        ("text,style\nA,x\nB,x\nA,y\n", "line 4: the prompt 'A' stands already at line 2"),
        ("template,style\n{topic}?,x\n", "line 2: it has no 'topic'"),
        ("template,style,topic,gurru\nAsk {guru},x,t,G\n", "line 2, template 'Ask {guru}': {guru} is not among"),
    ],
)
def test_faulty_rows_of_csv_are_refused_with_their_line(tmp_path: Path, content: str, found: str):
    """A fault in a CSV file is named with the line on which its row begins."""
    assert found in str(refusal(tmp_path, "rows.csv", content))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("\n\n", "there are no prompts"),
        ('{"text": "A", "style": "x"}\n{"text": "B", "style"}\n', "line 2: it is not JSON: Expecting ':' delimiter"),
        ('["A", "x"]', "line 1: the line is not an object"),
        ('[["text", "A"], ["style", "x"]]', "line 1: the line is not an object"),
        ('{"text": "A", "text": "B", "style": "x"}', "line 1: the key 'text' stands twice"),
        ('{"text": 3, "style": "x"}', "line 1: 'text' is 3, which is not text"),
        ('{"text": null, "style": "x"}', "line 1: 'text' is null, which is not text"),
        ('{"text": {"a": 1}, "style": "x"}', "line 1: 'text' is an object, which is not text"),
        ('{"text": "A", "stile": "x"}', "line 1: it has no 'style', only 'stile'"),
    ],
)
def test_faulty_lines_of_jsonl_are_refused(tmp_path: Path, content: str, found: str):
    """A fault in a JSONL file is named with its line."""
    assert found in str(refusal(tmp_path, "rows.jsonl", content))


def test_an_unknown_suffix_is_refused(tmp_path: Path):
    """A file of another format is refused by its suffix, with the nearest one and all there are."""
    error = refusal(tmp_path, "prompts.json", "{}")
    assert "'.json' is no suffix of a prompt file, did you mean '.jsonl'?" in error.problem
    assert ".toml, .csv, .jsonl" in error.remedy


@pytest.mark.parametrize("name", ["absent.toml", "folder.csv"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str):
    """A missing file and a folder are errors of prompts, not of the operating system."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PromptError, match="cannot be read") as caught:
        PromptSet.from_file(tmp_path / name)
    assert caught.value.path == tmp_path / name


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030"])
def test_another_encoding_is_refused_with_its_line(tmp_path: Path, encoding: str):
    """A file that is not UTF-8 is refused with the line of its first wrong byte and what to do."""
    error = refusal(tmp_path, "rows.csv", "text,style\n请解释潮汐。,x\n".encode(encoding))
    assert "is not UTF-8" in error.problem
    assert error.where == ("line 1" if encoding == "utf-16" else "line 2")
    assert error.remedy == 'save the file in the encoding UTF-8, which Notepad offers under "Save as"'


def test_the_longest_prompt_is_a_matter_of_choice(tmp_path: Path):
    """`max_characters` is the longest prompt taken from a file."""
    path = written(tmp_path, "rows.csv", "text,style\nfour,x\n")
    assert len(PromptSet.from_file(path, max_characters=4)) == 1
    with pytest.raises(PromptError, match="line 2: the prompt has 4 characters, more than 3"):
        PromptSet.from_file(path, max_characters=3)
