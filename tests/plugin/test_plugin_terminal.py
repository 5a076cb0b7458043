"""The terminal: a letter a verdict, and the table of claims."""

from __future__ import annotations

import warnings

import pytest
from records import WORDS
from runs import REFUTED, SUPPORTED, Go

from saeprobe.plugin.terminal import progress_line, terminal_columns

RANKS = WORDS.partition('@claim("Novice activates more."')[0]
"""The probes that need the table of ranks alone."""


def test_each_verdict_has_its_letter(go: Go) -> None:
    """Supported . refuted R drifted D inconclusive I unverifiable u broken B not run n, as declared x, against it X."""
    run = go("-m", "llama70b", probes=SUPPORTED + REFUTED + RANKS)
    (line,) = run.lines("[100%]")
    assert line.split()[1] == ".RDIuBBnxXn"
    assert run.code == 1


def test_the_last_line_counts_in_the_words_of_pytest(go: Go) -> None:
    """Refuted claims are failures, broken ones errors, so that every tool reads the run aright."""
    run = go("-m", "llama70b", probes=SUPPORTED + REFUTED + RANKS)
    assert run.lines("4 failed, 1 passed, 3 skipped, 1 xfailed, 2 errors")


def test_a_refuted_claim_shows_the_sentence_the_assert_and_the_evidence(go: Go) -> None:
    """In place of a diff, and of pytest's own traceback."""
    run = go(probes=REFUTED)
    assert run.lines("refuted: the contrary holds: 11.8 against 12 dimensions, a difference of -0.225, p = 0.0078")
    assert run.lines("An expert prompt has the higher effective rank.  (table 1)")
    assert run.lines('assert effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])')
    assert run.lines("exact sign flips of 8 paired differences")
    assert run.lines("(topics, paired); scope: this wording only, over 8 topics")
    assert not run.lines("judging.py")


def test_chinese_characters_fill_two_columns() -> None:
    """A terminal shows a Chinese character twice as wide as a Latin one."""
    assert terminal_columns("sparrow 麻雀") == 12


@pytest.mark.parametrize("columns", ["60", "100", "200"])
def test_the_table_fits_the_terminal(go: Go, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """No line of the table is wider, but for paths and for ids, which are not cut."""
    monkeypatch.setenv("COLUMNS", columns)
    sentence = "A sentence that is long enough to be cut wherever a terminal has less than two hundred columns. " * 2
    run = go(probes=(SUPPORTED + REFUTED).replace("An expert prompt has the higher effective rank.", sentence))
    rows = [line for line in run.table if not line.startswith("report:") and not line.startswith("=")]
    assert rows
    assert max(len(line) for line in rows if "test_probes.py" not in line) <= int(columns)


def test_a_chinese_sentence_is_measured_in_columns(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """A character takes two columns, so that fewer of them fit."""
    monkeypatch.setenv("COLUMNS", "80")
    run = go(probes=REFUTED.replace("An expert prompt has the higher effective rank.", "新手提示词激活的特征更多" * 8))
    wide = [sum(2 if character > "\u2e80" else 1 for character in line) for line in run.table if "新手" in line]
    assert wide
    assert max(wide) <= 80


def test_the_run_says_where_the_report_lies(go: Go) -> None:
    """The last line of the table is the page's path."""
    run = go(probes=SUPPORTED)
    assert run.lines(f"report: {run.folder / 'reports' / 'report.html'}")


def test_the_plan_is_printed_before_the_probes_run(go: Go) -> None:
    """A line a subject says where its evidence comes from."""
    run = go(probes=SUPPORTED)
    (line,) = run.lines("plan: ")
    assert line.startswith("plan: llama70b-as-published: recorded evidence in ")


def test_what_libraries_say_of_each_other_is_not_shown(pytestconfig: pytest.Config) -> None:
    """While models are loaded deprecations are silent; what warns a user is not, and afterwards all is as before."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with progress_line(pytestconfig):
            warnings.warn("a part of torch will go", DeprecationWarning, stacklevel=1)
            warnings.warn("a stored file was set aside", UserWarning, stacklevel=1)
        warnings.warn("a part of the project will go", DeprecationWarning, stacklevel=1)
    assert [str(one.message) for one in seen] == ["a stored file was set aside", "a part of the project will go"]
