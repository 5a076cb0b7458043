"""What the model saw stands in the report and on its page, for one prompt of each capture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import changed, document_of, record

from saeprobe.report import ReportError, read_report, write_report
from saeprobe.report.page import MOST_TOKENS, escaped, render, say
from saeprobe.report.shape import Document
from saeprobe.store.tables import Seen

SEEN = Seen(
    place="last token",
    prompt="Explain <b>tides</b>",
    rendered="<|user|>\nExplain <b>tides</b>\x1b[31m\u202e",
    ids=(9001, 9002),
    pieces=("<|user|>", "\n"),
)


def of(*seen: Seen) -> Document:
    """Make a report with a subject that read as much."""
    document = document_of([record("a.claim")])
    first = replace(document.subjects[0], captures=seen)
    return replace(document, subjects=(first, *document.subjects[1:]))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_text_and_tokens_with_control_characters_visible(language: str) -> None:
    """Escaped, so that neither markup nor a terminal's own codes nor a reversed text get through."""
    page = render(of(SEEN), language=language)  # pyright: ignore[reportArgumentType] - one of the two
    assert "&lt;|user|&gt;\\nExplain &lt;b&gt;tides&lt;/b&gt;\\x1b[31m\\u202e" in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert "<code>&lt;|user|&gt;</code>&nbsp;<span" in page
    assert "<code>\\n</code>&nbsp;<span" in page
    assert "9001" in page
    assert "9002" in page


def test_a_subject_of_which_nothing_was_seen_says_so() -> None:
    """Recorded evidence does not hold it, and an absent model saw nothing."""
    without, one = (render(document).count(say("seen.none", "en")) for document in (of(), of(SEEN)))
    assert without == one + 1


def test_a_long_prompt_is_cut_and_says_by_how_much() -> None:
    """The report holds all of it."""
    many = MOST_TOKENS + 7
    page = render(of(replace(SEEN, ids=tuple(range(many)), pieces=("x",) * many)))
    assert say("seen.more", "en", n=7) in page
    assert page.count("<code>x</code>") == MOST_TOKENS


def test_it_is_written_and_read(tmp_path: Path) -> None:
    """It is the same after both, and a report whose columns differ in length is refused."""
    document = of(SEEN)
    write_report(document, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == document
    held = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    held["subjects"][0]["captures"][0]["ids"].pop()
    (tmp_path / "report.json").write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(ReportError, match="1 token ids and 2 tokens; wanted one each"):
        read_report(tmp_path / "report.json")
    assert changed(document, lambda it: it["run"].update(seed=3)).subjects == document.subjects


@pytest.mark.parametrize(
    ("text", "shown"), [("a\tb", "a\\tb"), ("\u200b", "\\u200b"), ("\ud800", "\\ud800"), ("月 é", "月 é")]
)
def test_what_is_not_seen_is_written_as_python_writes_it(text: str, shown: str) -> None:
    """Half a character too; letters of any script stay."""
    assert escaped(text) == shown
