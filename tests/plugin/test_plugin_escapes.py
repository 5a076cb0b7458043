"""What claims, exceptions and files hold reaches the terminal, the page and the JUnit file as text."""

from __future__ import annotations

import re

from runs import Go

HIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ESCAPED = r"\x1b[2J\x9b\u202e"

PROBES = r"""
import pytest

NASTY = "\x1b[2J\x9b\u202e\ud800 [red] <b>"

@claim(f"A novice prompt {NASTY} has the higher rank.", id="rank.down", source=f"table {NASTY}")
def test_down(ranks):
    assert effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])

@claim("An exception is raised.", id="rank.raises", source="table 1")
def test_raises(ranks):
    raise RuntimeError(f"first {NASTY}\nsecond")

@claim("It cannot be tested.", id="rank.unverifiable", source="table 1")
def test_unverifiable(ranks):
    unverifiable(f"nothing {NASTY} is named")

@claim("It is skipped.", id="rank.skipped", source="table 1")
def test_skipped(ranks):
    pytest.skip(f"for {NASTY}")
"""


def test_nothing_is_obeyed(go: Go) -> None:
    """Sentences, sources, reasons, messages and tracebacks are escaped wherever the plugin writes them."""
    run = go("-rA", "-v", probes=PROBES)
    assert run.code == 1
    assert HIDDEN.search(run.out) is None
    for said in ("A novice prompt", "first", "nothing", "for"):
        assert f"{said} {ESCAPED}" in run.out
    page = (run.folder / "reports" / "report.html").read_text(encoding="utf-8")
    assert HIDDEN.search(page) is None
    assert f"A novice prompt {ESCAPED}\\ud800 [red] &lt;b&gt; has" in page
    assert HIDDEN.search((run.folder / "junit.xml").read_text(encoding="utf-8")) is None


def test_a_usage_error_is_escaped(go: Go) -> None:
    """What is refused before a probe runs is written by pytest as the plugin gives it."""
    for option in ("-osaeprobe_alpha=\x1b[2J\x9b\u202e", "-osaeprobe_neutral=\x1b[2J\x9b\u202e = x.toml"):
        run = go(option, probes="")
        assert run.code == 4
        assert HIDDEN.search(run.out) is None
