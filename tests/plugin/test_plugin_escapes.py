"""What claims, exceptions and files hold reaches the terminal, the page and the JUnit file as text."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from records import INI, write_ranks
from runs import HEAD, SUPPORTED, Go, apart

from saeprobe.evidence.values import PrintedNumber, Summary
from saeprobe.recorded.record import Recorded, RecordedStyle

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

SPEAKING = r"""
import pytest, warnings

NASTY = "\x1b[2J\x9b\u202e\n::error::[red]\n##[error]"

class Nasty(Exception):
    pass

class Odd(UserWarning):
    pass

Nasty.__name__ = Odd.__name__ = f"named {NASTY}"

@pytest.fixture
def value():
    return type("Value", (), {"__repr__": lambda self: f"shown {NASTY}"})()

@claim("It says much.", id="rank.says", source="table 1")
def test_says(ranks, value):
    print(f"printed {NASTY}")
    warnings.warn(f"warned {NASTY}")
    warnings.warn("odd", Odd)
    here = ranks
    raise Nasty

@claim("Several go wrong.", id="rank.group", source="table 1")
def test_group(ranks):
    raise ExceptionGroup(f"group {NASTY}", [ValueError(f"inner {NASTY}")])
"""

FOREIGN = r"""
def test_foreign():
    print("foreign \x1b[2J")
    assert False, "failed \x1b[2J"
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


def test_a_refused_setting_is_escaped(go: Go) -> None:
    """What is refused before a probe runs is written by pytest as the plugin gives it."""
    for option in ("-osaeprobe_alpha=\x1b[2J\x9b\u202e", "-osaeprobe_neutral=\x1b[2J\x9b\u202e = x.toml"):
        run = go(option, probes=SUPPORTED)
        assert run.code == 1
        assert HIDDEN.search(run.out) is None


@pytest.mark.parametrize("style", ["auto", "long", "short", "native", "line"])
def test_what_a_probe_says_is_escaped(go: Go, style: str) -> None:
    """Values, names of classes, captured output and warnings of a probe are escaped in every style of traceback."""
    run = go("-rA", "-l", "-Wdefault", f"--tb={style}", "-ojunit_logging=all", probes=SPEAKING)
    assert run.code == 1
    for written in (run.out, (run.folder / "junit.xml").read_text(encoding="utf-8")):
        assert HIDDEN.search(written) is None
        assert re.search(r"^\s*(::[a-z]|##\[)", written, re.MULTILINE) is None
        assert f"printed {ESCAPED}" in written
    assert f"warned {ESCAPED}" in run.out
    assert f"named {ESCAPED}" in run.out
    assert style == "line" or f"inner {ESCAPED}" in run.out


def test_other_tests_are_left_alone(go: Go) -> None:
    """An ordinary test beside a probe is shown as pytest shows it."""
    run = go("-Wdefault", foreign=FOREIGN, probes=SPEAKING)
    for said in ("foreign", "failed"):
        assert f"{said} \x1b[2J" in run.out


def test_half_a_surrogate_pair_reaches_the_controller(tmp_path: Path) -> None:
    """What has no UTF-8 ends one probe of an xdist run, not the run, and comes to the report whole."""
    (tmp_path / "recorded").mkdir()
    write_ranks(tmp_path / "recorded")
    (tmp_path / "pyproject.toml").write_text(INI, encoding="utf-8")
    (tmp_path / "test_probes.py").write_text(HEAD + PROBES, encoding="utf-8")
    run = apart(tmp_path, "-rA", "--tb=native", "--saeprobe-evidence=recorded", "-n", "2")
    assert run.code == 1
    assert "INTERNALERROR" not in run.out
    assert HIDDEN.search(run.out) is None
    words = {"rank.down": "refuted", "rank.raises": "broken", "rank.unverifiable": "unverifiable"}
    assert run.verdicts == {**words, "rank.skipped": "not run"}
    assert "\ud800" in next(claim["sentence"] for claim in run.report["claims"] if claim["id"] == "rank.down")


def test_what_objects_say_of_themselves_is_escaped() -> None:
    """The repr of a value is shown raw by pytest in some places, so that it is escaped where it is made."""
    nasty = "\x1b[2J\x9b\u202e"
    style = RecordedStyle(style=nasty, quantities={}, origin="file")
    between = Decimal("0.5"), Decimal("1.5")
    number = PrintedNumber(label=nasty, printed="1", unit="u", n=None, source="table", between=between)
    summary = Summary(measure="m", label="l", unit=nasty, value=1.0, n=None, origin="file")
    shown = (style, Recorded(subject="s", by_style={nasty: style}, origin="file"), number, summary)
    assert all(ESCAPED in repr(one) and HIDDEN.search(repr(one)) is None for one in shown)
