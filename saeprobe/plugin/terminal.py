"""The terminal shows verdicts in pytest's own columns, and a table of the claims at the end."""

from __future__ import annotations

import json
import re
import shutil
import sys
import unicodedata
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tqdm import tqdm

from saeprobe.claims import WORDS, Outcome, Word, members
from saeprobe.evidence.units import fixed_wordings
from saeprobe.files import visible, visible_lines
from saeprobe.git import named
from saeprobe.plugin.collecting import claim_of_item
from saeprobe.plugin.names import RECORD, record_of
from saeprobe.plugin.writing import Written
from saeprobe.report import ProbeRecord
from saeprobe.store.instrument import InstrumentCheck

_INDENT: Final = 17
_WORD: Final = re.compile(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]+\s*|\s+")
_LETTER: Final[Mapping[Word, str]] = {
    "supported": ".", "explained": "C", "drifted": "D", "refuted": "R", "inconclusive": "I", "unverifiable": "u",
    "broken": "B", "not run": "n",
}  # fmt: skip
_YELLOW, _RED = {"yellow": True}, {"red": True, "bold": True}
_MARKUP: Final[Mapping[Word, dict[str, bool]]] = {
    "supported": {"green": True}, "explained": {"purple": True}, "drifted": _YELLOW, "refuted": {"red": True},
    "inconclusive": _YELLOW, "unverifiable": {"cyan": True}, "broken": _RED, "not run": {"light": True},
}  # fmt: skip


def status(report: pytest.TestReport) -> tuple[Outcome, str, str] | None:
    """Return pytest's category, letter and word for a report that carries a verdict."""
    record: ProbeRecord | None = record_of(report)
    if record is None or report.outcome not in ("passed", "failed", "skipped"):  # another plugin's, such as `rerun`
        return None
    word, outcome = record["verdict"], record["outcome"]
    if outcome == "xfailed":
        return outcome, "x", f"{word.upper()} AS DECLARED"
    if (word, outcome) == ("supported", "failed"):
        return outcome, "X", f"{word.upper()} AGAINST ITS DECLARATION"
    return outcome, _LETTER[word], word.upper()


def failure(report: pytest.TestReport) -> str | None:
    """Say what failed by a report, in words for the reason of a verdict; a mark of xfail excuses nothing."""
    if not (report.failed or (report.skipped and hasattr(report, "wasxfail"))):
        return None
    if report.when == "teardown":
        return "the teardown of the probe failed"
    kind = "a subtest" if "subtest" in type(report).__name__.lower() else "another check of the probe"
    crash = getattr(report.longrepr, "reprcrash", None)
    said = " ".join((report.longreprtext if crash is None else str(crash.message)).split())
    return visible(f"{kind} failed: {said}" if said else f"{kind} failed")


def broken_by(report: pytest.TestReport, record: ProbeRecord, other: str | None) -> ProbeRecord | None:
    """Return the record as a broken one, where it would not fail its probe and `other` or its own report failed.

    The report that carries it fails with it, xfailed or not.
    """
    own, outcome = hasattr(report, RECORD), record["outcome"]
    expected = outcome == "failed" or (outcome == "xfailed" and report.skipped)  # the report is as the judge left it
    why = failure(report) if other is None and own and not expected else other
    if why is None or outcome in ("failed", "error"):
        return None
    broken = {**record, "verdict": "broken", "reason": why, "outcome": "error"}
    if own:
        setattr(report, RECORD, broken)
        getattr(report, "__dict__", {}).pop("wasxfail", None)  # pytest counts no failure beside it
        if not report.failed:
            report.outcome, report.longrepr = "failed", f"broken: {why}"
    return broken


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """A run leaves planned probes undecided, and tests that decide nothing."""

    lost: Sequence[str] = ()  # probes that were to be run and reported nothing
    unreached: Sequence[str] = ()  # those that come after the end of a run which was cut
    cut: str = ""  # why it was
    notes: Sequence[str] = ()  # lines on what was not selected and tests without a claim
    chance: Sequence[str] = ()  # lines on what it confirms


class Escaping:
    """The hooks here escape what strangers wrote into the reports and warnings of probes, and into those alone."""

    def __init__(self) -> None:
        self._probes: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Escape what a report shows: exceptions, values, captured output and properties."""
        report = yield
        if claim_of_item(item) is not None:
            self._probes.add(item.nodeid)
            for name in {"longrepr", "sections", "user_properties", "wasxfail"} & vars(report).keys():
                setattr(report, name, _escaped(getattr(report, name)))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        """Escape a warning that a probe raised; one that needs it loses its class."""
        if nodeid in self._probes:
            said, name = str(warning_message.message), warning_message.category.__name__
            if visible(name) != name:
                warning_message.category = UserWarning
                warning_message.message = UserWarning(f"{visible(name)}: {visible_lines(said)}")
            elif visible_lines(said) != said:
                warning_message.message = UserWarning(visible_lines(said))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Write the record as JSON, whose escapes carry half of a surrogate pair to the xdist controller."""
        data = yield
        if data is not None and RECORD in data:
            data[RECORD] = json.dumps(data[RECORD])
        return data


def _escaped(shown: Any) -> Any:
    """Escape every text in what pytest shows: its objects in place, whatever the style of the traceback."""
    if isinstance(shown, str):
        return visible_lines(shown)
    if isinstance(shown, list | tuple):
        inner = map(_escaped, cast("Sequence[object]", shown))
        return tuple(inner) if isinstance(shown, tuple) else list(inner)
    if hasattr(shown, "toterminal"):
        for name, value in cast("dict[str, object]", vars(shown)).items():
            setattr(shown, name, _escaped(value))
    return shown


def summarize(
    terminal: pytest.TerminalReporter,
    records: Sequence[ProbeRecord],
    undecided: Undecided,
    checks: Mapping[str, InstrumentCheck],
    written: Written | None,
) -> None:
    """Write the table of verdicts by subject, what is not established and why, and where JSON report and page lie."""
    if not (records or undecided.lost or undecided.unreached or undecided.notes):
        return
    terminal.section("claims", sep="=")
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for subject in dict.fromkeys(record["subject"] for record in records):
        terminal.write_line(visible(f"on {subject}"), bold=True)
        for name in members(subject):
            _write_instrument(terminal, checks.get(name), width, of="" if name == subject else f"{name}: ")
        for note, group in groupby((record for record in records if record["subject"] == subject), key=_note):
            rows = list(group)
            for record in rows:
                word, said = record["verdict"], f"{record['claim']['sentence']}  [{record['claim']['id']}]"
                mark, sign = ("*", _YELLOW) if record["outcome"] == "xfailed" else ("", _MARKUP[word])
                _write_beside(terminal, word + mark, said, width, sign)
            _write_note(terminal, note if len(rows) == 1 else f"each of these {len(rows)}: {note}", width)
    _write_undecided(terminal, undecided, width)
    if records or undecided.unreached:
        counted = {str(word): sum(record["verdict"] == word for record in records) for word in WORDS}
        counted["not reached"] = len(undecided.unreached)
        declared = sum(record["outcome"] == "xfailed" for record in records)
        counts = ", ".join(f"{count} {word}" for word, count in counted.items() if count)
        counts += f" ({declared} as declared)" if declared else ""
        for line in ("", counts, *undecided.chance):
            terminal.write_line("\n".join(_wrapped(line, width)))
    if written is not None:
        where = f"{written.page} (made from {written.file.name})"
        whole = f"; the report of all, {written.page.with_name('report.html')}, is not replaced by a part of the probes"
        terminal.write_line(visible(f"part: {where}{whole}" if written.part else f"report: {where}"))


def say_earlier(terminal: pytest.TerminalReporter, folder: Path) -> None:
    """Say that the report which lies there is none of this run, which wrote none."""
    if (path := folder / "report.json").exists():
        terminal.write_line(visible(f"no report was written: {path} is that of an earlier run"), yellow=True)


def _write_undecided(terminal: pytest.TerminalReporter, undecided: Undecided, width: int) -> None:
    for nodeid in undecided.lost:
        terminal.write_line(visible(f"LOST  {nodeid}: planned, but nothing was reported"), red=True, bold=True)
    if undecided.unreached:
        said = f"{named(undecided.unreached)}: the run was stopped before ({undecided.cut})"
        _write_beside(terminal, "not reached", said, width, _YELLOW)
    for note in undecided.notes:
        terminal.write_line(visible(note), yellow=True)


def _write_instrument(terminal: pytest.TerminalReporter, check: InstrumentCheck | None, width: int, *, of: str) -> None:
    """Write the figures of the instrument check; what is wrong stands with the probes that it breaks."""
    if check is None:
        return
    sign = _RED if check.broken else _YELLOW if check.findings else {"light": True}
    _write_beside(terminal, "instrument", of + check.line, width, sign, light=True)
    if check.findings and not check.broken:
        _write_note(terminal, "; ".join(check.findings), width)


def _write_beside(
    terminal: pytest.TerminalReporter, label: str, text: str, width: int, sign: dict[str, bool], *, light: bool = False
) -> None:
    terminal.write(f"  {label}".ljust(_INDENT), **sign)
    terminal.write_line(f"\n{' ' * _INDENT}".join(_wrapped(text, width - _INDENT)), light=light)


def _note(record: ProbeRecord) -> str:
    """Say under a row why, after the declaration that the verdict confirms, if any; and if only of these wordings."""
    reason, fixed = record["reason"], fixed_wordings(record["scope"])
    reason = f"of {fixed}: {reason}" if fixed else reason
    as_declared = record["outcome"] == "xfailed"
    return f"* as declared: {record['declaration']['reason']}; found here: {reason}" if as_declared else reason


def _write_note(terminal: pytest.TerminalReporter, text: str, width: int) -> None:
    for line in _wrapped(text, width - _INDENT):
        terminal.write_line(" " * _INDENT + line, light=True)


def _wrapped(text: str, columns: int) -> list[str]:
    """Break `text` into lines of at most `columns`; between Chinese characters, which take two, a line may end.

    A character that stdout cannot encode is escaped here: pytest would escape all of the text, its line breaks too.
    """
    lines, encoding = [""], getattr(sys.__stdout__, "encoding", None) or "utf-8"
    shown = visible(" ".join(text.split())).encode(encoding, "backslashreplace").decode(encoding)
    for word in _WORD.findall(shown):
        if lines[-1] and terminal_columns(lines[-1] + word.rstrip()) > columns:
            lines.append("")
        lines[-1] += word if lines[-1] else word.lstrip()
    return [line.rstrip() for line in lines]


def terminal_columns(text: str) -> int:
    """Count the columns of a terminal that a text fills; a Chinese character fills two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


@contextmanager
def progress_line(config: pytest.Config) -> Generator[Callable[[str, int, int], None]]:
    """Give what shows that so many prompts of a subject, of so many, are through, where somebody watches.

    It is a tqdm bar a subject, written past pytest's capture of stderr. Meanwhile libraries are imported that warn of
    each other's deprecated parts, which is nothing for the user.
    """
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    watched = sys.__stderr__ is not None and sys.__stderr__.isatty() and not hasattr(config, "workerinput")
    bars: dict[str, tqdm[Any]] = {}

    def show(name: str, done: int, total: int) -> None:
        if watched and name not in bars:
            close()
            bars[name] = tqdm(total=total, desc=visible(name), unit="prompt", file=sys.stderr)
        if watched:
            bars[name].update(done - bars[name].n)

    def close() -> None:
        while bars:
            bars.popitem()[1].close()

    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        if watched and capture is not None:
            capture.suspend_global_capture(in_=False)
        try:
            yield show
        finally:
            close()
            if watched and capture is not None:
                capture.resume_global_capture()
