"""Chat templates: the date is pinned, the prompt's words stay what they are, and what cannot be used is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from made_llama import CHAT_TEMPLATE, write_chat_tokenizer
from test_tokens import HOW, plain

from saeprobe.captures import Span
from saeprobe.subject.files.tokenizer import has_chat_template
from saeprobe.subject.running.chat import _on_the_day, in_chat
from saeprobe.subject.running.tokens import check_protocol, tokenize
from saeprobe.subject.specification import ReadingError, SubjectError

TURN = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}{% endfor %}"
)
CHAT = plain(chat_template=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make a folder with a chat tokenizer that has a token for each byte."""
    made = tmp_path_factory.mktemp("tokenizer")
    write_chat_tokenizer(made)
    return made


def with_template(folder: Any, template: Any) -> Any:
    """Load the tokenizer, with another template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    return tokenizer


def another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock of transformers' templates to a day that is not the pinned one."""

    class Day(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2031, 2, 3, 4, 5, 6, tzinfo=tz)

    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Day)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("{{ strftime_now('%Y-%m-%d') }}", "2024-07-26"),
        ("{{ strftime_now('%B %d, %Y %H:%M') }}", "July 26, 2024 00:00"),
        ("{% if strftime_now is defined %}{% set d = strftime_now('%d/%m/%y') %}{{ d }}{% endif %}", "26/07/24"),
        ("{{ date_string }}", "26 Jul 2024"),
        ("{{ strftime_now(format='%A') }}", "Friday"),
    ],
)
def test_every_date_is_the_pinned_one(folder: Any, monkeypatch: pytest.MonkeyPatch, written: str, wanted: str) -> None:
    """However a template asks for it, and whatever day it is."""
    another_day(monkeypatch)
    tokenizer = with_template(folder, written + "|" + TURN)
    assert in_chat(tokenizer, "hi").whole.partition("|")[0] == wanted


def test_the_date_is_in_english_whatever_the_language_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each form is that of Python in the C locale; `strftime` of this process is made to write Chinese, as a check."""
    forms = "%d %e %m %y %Y %j %H %I %M %S %f %a %A %b %h %B %p %w %u %U %W %V %G %C %F %D %T %R %r %c %x %X|%Z|%z|%%b"
    code = f"import datetime as d; print(d.datetime(2024, 7, 26).strftime({forms!r}))"
    env = {**os.environ, "LC_ALL": "C"}
    in_c = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)  # noqa: S603
    real = time.strftime
    monkeypatch.setattr(time, "strftime", lambda form, at: real(form, at).replace("Jul", "7\u6708"))
    assert datetime(2024, 7, 26, tzinfo=UTC).strftime("%d %b %Y") == "26 7\u6708 2024"
    assert _on_the_day(forms) == in_c.stdout.removesuffix("\n")
    assert _on_the_day("%-d.%-m.%Y, %-I %p, %-H") == "26.7.2024, 12 AM, 0"


def test_the_clock_that_is_stopped_is_the_one_of_transformers(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own call writes the other day, so that the check above can tell."""
    another_day(monkeypatch)
    tokenizer = with_template(folder, "{{ strftime_now('%Y') }}" + TURN)
    turn = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(turn, tokenize=False).startswith("2031")


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, TURN, "{{ bos_token }}[INST] {{ messages[0]['content'] }} [/INST]"]
)
def test_a_prompt_is_written_as_transformers_writes_it(folder: Any, template: str) -> None:
    """Beside the date, which is given to both here."""
    tokenizer = with_template(folder, template)
    turn = [{"role": "user", "content": " How do tides work? "}]
    whole = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024")
    assert in_chat(tokenizer, turn[0]["content"]).whole == whole


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (TURN + "{{ ['a', 'b'] | random }}", "it uses the filter random, so that a prompt is another one each time"),
        (TURN + "{{ lipsum() }}", "it uses lipsum"),
        (TURN + "{{ messages | map('upper') }}", "it writes an address in memory"),
        (TURN + TURN, "it writes what the user says 2 times; wanted once"),
        ("{{ bos_token }}hi", "it writes what the user says 0 times"),
        ("{{ raise_exception('a system turn comes first') }}", "a system turn comes first"),
        (TURN + "{{ now() }}", "'now' is undefined"),
        (TURN + "{{ datetime.now() }}", "'datetime' is undefined"),
        (TURN + "{{ strftime_now('%s') }}", "depends on the time zone"),
        (TURN + "{{ strftime_now('%Od') }}", "uses %O"),
        (TURN + "{{ strftime_now('%-B') }}", "uses %-B"),
        (TURN + "{{ strftime_now('100%') }}", "uses %;"),
        (TURN + "{% for", "does not write a single turn"),
        ({"tool_use": TURN}, "no chat template that is the default one"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_when_it_is_opened(folder: Any, template: Any, reason: str) -> None:
    """With what it does, and that it can be left out."""
    with pytest.raises(SubjectError, match=r"chat_template = false") as refused:
        check_protocol(with_template(folder, template), CHAT)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("m.content | lower", "Tides"),
        ("m.content[:4]", "tides"),
        ("m.content | replace('\\n', ' ')", "a\nb"),
        ("m.content | tojson", 'say "hi"'),
        ("'!' if 'x' in m.content else m.content", "x-rays"),
        ("raise_exception('no') if 'x' in m.content else m.content", "x-rays"),
    ],
)
def test_a_template_that_changes_the_prompt_is_refused(folder: Any, change: str, text: str) -> None:
    """Such a prompt has no spans, and is not the one that the report names; another is read."""
    tokenizer = with_template(folder, TURN.replace("m.content", change))
    with pytest.raises(ReadingError, match=r"the chat template (changes|cannot write) the prompt"):
        tokenize(tokenizer, text, CHAT)


@pytest.mark.parametrize("trim", ["m.content | trim", "m.content.rstrip()", "m.content.lstrip()", "m.content"])
def test_blanks_around_a_prompt_may_be_cut_and_spans_stay_right(folder: Any, trim: str) -> None:
    """The characters are those of the prompt, blanks counted."""
    tokenizer = with_template(folder, TURN.replace("m.content", trim))
    found = tokenize(tokenizer, "  tides \n", CHAT)
    positions = found.read_at(Span(text="tides"))
    assert [found.spans[at] for at in positions] == [(at, at + 1) for at in range(2, 7)]
    assert tokenizer.decode([found.ids[at] for at in positions]) == "tides"


def test_a_special_token_of_the_template_may_swallow_the_blanks_of_a_prompt(folder: Any) -> None:
    """They are nobody's, and the prompt is not taken for one that speaks in special tokens."""
    from tokenizers import AddedToken

    tokenizer = with_template(folder, "<|user|>{{ messages[0].content }}<|end|>")
    tokenizer.add_tokens(
        [AddedToken("<|user|>", rstrip=True, special=True), AddedToken("<|end|>", lstrip=True, special=True)]
    )
    found = tokenize(tokenizer, " hi ", CHAT)
    assert found.spans == ((-1, -1), (1, 2), (2, 3), (-1, -1))


@pytest.mark.parametrize("how", [HOW, plain()])
def test_what_the_model_sees_is_kept(folder: Any, how: Any) -> None:
    """In a chat the whole of it, else the text itself."""
    found = tokenize(with_template(folder, TURN), "hi", how)
    frame = "<|begin_of_text|><|start_header_id|>user<|end_header_id|>hi"
    assert found.rendered == (frame if how.spec.chat_template else "hi")


@pytest.mark.parametrize("form", ["file", "text", "named", "further", "further alone"])
def test_a_template_is_found_wherever_a_tokenizer_may_keep_it(folder: Any, tmp_path: Any, form: str) -> None:
    """In a file, in the configuration, as one of several there, or in the folder of further templates."""
    from transformers import AutoTokenizer

    made, other = shutil.copytree(folder, tmp_path / "m"), "{{ messages[0].content }} with tools"
    (made / "chat_template.jinja").unlink()
    config, further = made / "tokenizer_config.json", made / "additional_chat_templates"
    said = json.loads(config.read_text(encoding="utf-8"))
    if form in ("text", "named"):
        several = [{"name": "tool_use", "template": other}, {"name": "default", "template": TURN}]
        config.write_text(json.dumps({**said, "chat_template": TURN if form == "text" else several}), encoding="utf-8")
    elif form == "file":
        (made / "chat_template.jinja").write_text(TURN, encoding="utf-8")
    else:
        further.mkdir()
        (further / "tool_use.jinja").write_text(other, encoding="utf-8")
        default = further / "default.jinja" if form == "further alone" else made / "chat_template.jinja"
        default.write_text(TURN, encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(made)
    assert in_chat(tokenizer, "hi").whole.endswith("<|end_header_id|>hi")
    assert has_chat_template(made)


def test_a_tokenizer_that_cuts_the_tokens_of_its_template_is_refused(folder: Any) -> None:
    """No turn would begin or end; without a template it is as good as any."""
    tokenizer = with_template(folder, TURN)
    tokenizer.split_special_tokens = True
    with pytest.raises(SubjectError, match=r"cuts special tokens into letters \(split_special_tokens\)"):
        check_protocol(tokenizer, CHAT)
    check_protocol(tokenizer, plain())
