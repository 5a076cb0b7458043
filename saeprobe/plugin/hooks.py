"""Hooks: what happens at each stage of a pytest run, handed on to the part that does it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from saeprobe.claims import claim_of
from saeprobe.plugin import terminal
from saeprobe.plugin.collecting import (
    asked_by,
    check_claims,
    check_controls,
    check_fixtures,
    check_prompts,
    check_subjects,
    deselect_by_default,
    parametrize,
    register_captures,
)
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.ledger import Ledger
from saeprobe.plugin.terminal import ProgressLine

_SENT = "saeprobe"


class Hooks:
    """The hooks of one run, on the controller and on each worker alike."""

    def __init__(self, laboratory: Laboratory, ledger: Ledger) -> None:
        self._laboratory = laboratory
        self._ledger = ledger
        self._modules: set[str] = set()
        self._runs_on: dict[str, dict[str, None]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector) -> None:
        """Turn the captures of a file into fixtures before its first probe is made."""
        if isinstance(collector, pytest.Module) and collector.nodeid not in self._modules:
            self._modules.add(collector.nodeid)
            register_captures(collector, self._laboratory)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One variant of a probe for each of its subjects."""
        names, claim = parametrize(metafunc, self._laboratory), claim_of(metafunc.function)
        if claim is not None:
            self._runs_on.setdefault(claim.id, {}).update(dict.fromkeys(names))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave the real subjects out unless they are asked for."""
        with _told(config):
            check_claims(items)
            check_subjects(items, self._runs_on)
        deselect_by_default(config, items, self._laboratory)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Make the plan: everything that the collected probes need, by subject."""
        asked = list(asked_by(session.items))
        with _told(session.config):
            check_fixtures(session.items)
            check_prompts(asked, self._laboratory)
            check_controls(asked, self._laboratory)
        self._ledger.plan(session.items)
        self._laboratory.plan(asked)

    def pytest_report_collectionfinish(self) -> list[str]:
        """Print the plan; with --collect-only that is all that happens."""
        return self._laboratory.plan_in_words()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the plan in one pass a subject, then the probes."""
        if not session.config.option.collectonly and not session.testsfailed:
            with ProgressLine(session.config) as line:
                self._laboratory.gather(line.show)
        return (yield)

    def pytest_runtest_logstart(self) -> None:
        """Take note that the run came so far as to decide something."""
        self._ledger.ran = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Enter the verdict that a report carries."""
        self._ledger.enter(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: object) -> tuple[str, str, str] | None:
        """The verdict's letter and word; also called for collect reports, which carry none."""
        return terminal.status(report) if isinstance(report, pytest.TestReport) else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what an xdist worker planned; one that crashed has sent nothing."""
        sent = getattr(node, "workeroutput", {}).get(_SENT)
        if sent is not None:
            self._ledger.receive(**sent)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Hold the records against the plan and write the reports; a worker sends what it planned instead."""
        if session.config.option.collectonly:
            return
        to_controller: dict[str, object] | None = getattr(session.config, "workeroutput", None)  # an xdist worker's
        if to_controller is not None:
            to_controller[_SENT] = self._ledger.as_sent()
            return
        if self._ledger.lost and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
        self._ledger.write(int(exitstatus))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table of verdicts."""
        if terminalreporter.config.option.collectonly:
            return
        if self._ledger.ran:
            terminal.summarize(terminalreporter, self._ledger)
        elif (left := self._ledger.left) is not None:
            terminalreporter.write_line(f"nothing was run, and no report was written: {left} is that of an earlier run")


@contextmanager
def _told(config: pytest.Config) -> Generator[None]:
    """Let a worker's usage error be seen: xdist shows any other error of a worker, and of this one nothing."""
    try:
        yield
    except pytest.UsageError as error:
        if hasattr(config, "workerinput"):
            raise RuntimeError(str(error)) from None
        raise
