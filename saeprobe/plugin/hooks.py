"""The hooks hand each stage of a pytest run on to the part that does it, and keep a ledger of every planned probe."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import msgspec
import pytest

from saeprobe.claims import claim_of, members
from saeprobe.files import visible
from saeprobe.plugin import checking, left_out, terminal, writing
from saeprobe.plugin.collecting import asked_by, claim_of_item, register_captures, subject_of
from saeprobe.plugin.judging import described
from saeprobe.plugin.laboratory import Laboratory, Settings, Shown
from saeprobe.plugin.names import BROKEN, RECORD, REFUSED, record_of
from saeprobe.report import ProbeRecord, build_document, now, plain, planned_name
from saeprobe.report.shape import LeftOut
from saeprobe.report.uniting import subject_in
from saeprobe.store.instrument import InstrumentCheck
from saeprobe.store.plan import Gathered

_PLAN = f"{RECORD}_plan"
"""This attribute of the first report of an xdist worker that carries a record carries its plan too."""


class Hooks:
    """The hooks of one run are the same on the controller and on each worker.

    They collect records as reports come in, hold them against the plan, and write the report files. Under xdist the
    controller collects no item itself; its workers send the names of what they planned.
    """

    def __init__(self, config: pytest.Config, settings: Settings, laboratory: Laboratory, began: float) -> None:
        self._config = config
        self._watch = left_out.Watch(config, settings.rootdir)
        config.pluginmanager.register(self._watch, "saeprobe-watch")
        self._settings = settings
        self._laboratory = laboratory
        self._began = began
        self._modules: set[pytest.Collector] = set()
        self._runs_on: dict[str, dict[str, None]] = {}
        self._unknown: dict[str, str] = {}
        self._planned: dict[str, str] = {}
        self._records: dict[str, ProbeRecord] = {}
        self._shown: dict[str, Shown] = {}
        self._collected: dict[str, dict[str, None]] = {}
        self._unselected: list[str] = []
        self._unclaimed: list[str] = []
        self._notes: dict[str, None] = {}
        self._problems: dict[str, None] = {}
        self._failed: dict[str, str] = {}
        self._mended: dict[str, dict[tuple[str, str], str]] = {}
        self._ran = False
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._cut = ""
        self._sent = False
        self._left_out: list[LeftOut] = []
        self._files: dict[str, str] = {}
        self._written: writing.Written | None = None
        self._chance: list[str] = []
        self._unwritable = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> None:  # noqa: ARG002 - the door hands all on
        """Turn the captures of a file into fixtures before its first probe is made."""
        if isinstance(collector, pytest.Module) and collector not in self._modules:
            self._modules.add(collector)
            register_captures(collector, self._laboratory.provide)

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one variant of a probe for each of its subjects, whose name comes before other parameters."""
        names, claim = checking.parametrize(metafunc, self._laboratory, self._unknown), claim_of(metafunc.function)
        if claim is not None:
            self._runs_on.setdefault(claim.id, {}).update(dict.fromkeys(names))
            self._watch.variants[metafunc.definition.nodeid] = claim.id, names

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave the real subjects out unless they are asked for."""
        for item in items:
            claim, name = claim_of_item(item), subject_of(item)
            if name in self._unknown:
                where = item.nodeid.partition("[")[0]
                item.stash[REFUSED] = claim.id if claim else "", visible(f"{where}: {self._unknown[name]}")
            elif claim is not None and name is not None:
                self._collected.setdefault(claim.id, {})[name] = None
        checking.refuse_shared(items)
        before = list(items)
        if checking.deselect_by_default(config, items, self._laboratory, self._unknown):
            self._unselected += checking.unselected(items, self._collected, self._laboratory)
        self._watch.by_default = {*before} - {*items}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Make the plan: which probes are to be decided, in order, and all that they need, by subject."""
        if not (session.items or self._unselected):
            self._unselected += checking.unselected((), self._collected, self._laboratory, session.config)
        defaults, unmarked = (self._laboratory.default_names(unmarked=of) for of in (False, True))
        self._left_out = self._watch.found(session.items, defaults, unmarked)
        self._unclaimed += [*left_out.in_words(self._left_out), *checking.unclaimed(session.items)]
        checking.check(session.items, self._runs_on, self._laboratory)
        for item in session.items:
            refused, claim = item.stash.get(REFUSED, ("", "")), claim_of_item(item)
            self._problems[item.stash.get(BROKEN, refused[1])] = None
            if name := refused[0] if claim is None else claim.id:
                self._planned[item.nodeid] = planned_name(name, subject_of(item) or "")
        self._files = writing.read_by(self._config, self._settings, {item.path for item in session.items})
        sound = [item for item in session.items if BROKEN not in item.stash and REFUSED not in item.stash]
        self._laboratory.plan(asked_by(sound))

    def pytest_report_collectionfinish(self) -> list[str]:
        """Print the plan; with --collect-only that is all that happens."""
        broken = [f"plan: broken: {problem}" for problem in self._problems if problem]
        lines = [*self._laboratory.plan_in_words(), *broken, *self._unselected, *self._unclaimed]
        return [visible(line) for line in lines]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the plan in one pass a subject, then the probes."""
        if not (self._only("collectonly", "setupplan") or session.testsfailed):
            worker: Mapping[str, Any] = getattr(self._config, "workerinput", {"workerid": "gw0"})
            if worker["workerid"] == "gw0" and not self._only("setuponly"):
                with suppress(OSError):  # the report cannot be written either, and the run says so at its end
                    writing.supersede(self._settings.report, self._whole)
            with terminal.progress_line(session.config) as show:
                self._laboratory.gather(show)
            self._ran = not self._only("setuponly")
        return (yield)

    @property
    def _whole(self) -> set[str]:
        """Return the subjects of which the run leaves nothing out."""
        return left_out.whole({on for name in self._planned.values() if (on := subject_in(name))}, self._left_out)

    def _only(self, *options: str) -> bool:
        """Say whether one of these options is given; a plugin that is switched off leaves its own away."""
        return any(getattr(self._config.option, name, False) for name in options)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Take note that the run came so far as to decide something."""
        self._ran = not self._only("setuponly")
        self._begun.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record that a report carries; a probe of which anything else failed is broken."""
        if sent := getattr(report, "__dict__", {}).pop(_PLAN, None):
            self.take_over(json.loads(sent))
        if report.when != "setup":
            self._ended.add(report.nodeid)
        record: ProbeRecord | None = record_of(report)
        if record is not None:
            self.pytest_runtest_logstart(report.nodeid)  # a controller is set up by the first record, after it began
            if (earlier := self._records.get(report.nodeid)) is not None:  # a plugin ran the probe again
                record["before"] = [*earlier["before"], {of: earlier[of] for of in ("verdict", "reason")}]
            self._records[report.nodeid] = record
        elif (failure := terminal.failure(report)) is not None:
            self._failed.setdefault(report.nodeid, failure)
        self._mend(report)

    def _mend(self, report: pytest.TestReport) -> None:
        """Break the record of a probe whose verdict would pass, where pytest or another plugin lets the probe fail.

        The properties for the JUnit file, which has those of the teardown, say so too.
        """
        record = self._records.get(report.nodeid)
        if record and (broken := terminal.broken_by(report, record, self._failed.get(report.nodeid))) is not None:
            self._records[report.nodeid] = broken
            now_said = {(key, visible(record[key])): visible(broken[key]) for key in ("verdict", "reason")}
            self._mended[report.nodeid] = now_said
        if said := self._mended.get(report.nodeid):
            report.user_properties = [(key, said.get((key, str(of)), of)) for key, of in report.user_properties]

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Send the plan with the first record: a controller that stops early never hears a worker's last word."""
        data = yield
        if data is not None and RECORD in data and hasattr(self._config, "workerinput") and not self._sent:
            self._sent = True
            data[_PLAN] = json.dumps(self._plan)
        return data

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Take note that the run was stopped; a probe that stopped it by `pytest.exit` is lost by its own doing."""
        self._cut = str(excinfo.value) or excinfo.typename
        if not isinstance(excinfo.value, pytest.exit.Exception):
            self._begun.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(self, report: object) -> Generator[None, object, object]:
        """Give the verdict's letter and word after others, who may fail a report here; collect reports carry none."""
        given = yield
        if not isinstance(report, pytest.TestReport):
            return given
        self._mend(report)
        return terminal.status(report) or given

    @property
    def _plan(self) -> dict[str, object]:
        read, left = writing.read_by(self._config, self._settings), [asdict(one) for one in self._left_out]
        return {"planned": self._planned, "left_out": left, "files": read | self._files}

    def take_over(self, sent: Mapping[str, Any]) -> None:
        """Take over what an xdist worker planned, left out and read, and at its end what it computed and checked."""
        self._planned.update(sent["planned"])
        self._files.update(sent["files"])
        self._left_out = list(dict.fromkeys([*self._left_out, *(LeftOut(**one) for one in sent["left_out"])]))
        if "ran" not in sent:
            return
        self._ran = self._ran or sent["ran"]  # a controller is set up by the first record, or here where none came
        self._notes.update(dict.fromkeys(sent["notes"]))
        self._laboratory.gathered += [Gathered(**each) for each in sent["gathered"]]
        self._laboratory.computed_with.update(sent["computed_with"])
        self._laboratory.checks.update(msgspec.convert(sent["checks"], dict[str, InstrumentCheck]))
        self._shown.update(msgspec.convert(sent["shown"], dict[str, Shown]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Hold the records against the plan and write the reports; a worker sends what it planned instead."""
        self._cut = str(session.shouldfail or session.shouldstop or self._cut or "")
        if session.config.option.collectonly:
            return
        to_controller: dict[str, object] | None = getattr(session.config, "workeroutput", None)  # an xdist worker's
        if to_controller is not None:
            sent = {
                **self._plan,
                "ran": self._ran,
                "notes": self._unselected + self._unclaimed,
                "gathered": [asdict(each) for each in self._laboratory.gathered],
                "checks": {name: plain(asdict(check), name) for name, check in self._laboratory.checks.items()},
                "computed_with": self._laboratory.computed_with,
                "shown": plain({name: self._laboratory.shown(name) for name in self._laboratory.checks}, "shown"),
            }
            to_controller[RECORD] = json.dumps(sent)  # its escapes carry half of a surrogate pair
            return
        if self._ran and (self._lost or self._mended) and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._ran and (self._planned or self._records):
            try:
                self._write(int(exitstatus))
            except OSError as error:  # read-only, full, or open in another program
                self._written, self._unwritable = None, True
                self._notes[f"no report was written: {error}"] = None
                session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the table of verdicts."""
        if terminalreporter.config.option.collectonly:
            return
        notes = [*self._notes, *self._unclaimed]
        if self._ran or self._notes:
            unreached, cut = [nodeid for nodeid in self._left if nodeid not in self._lost], self._cut
            left = terminal.Undecided(lost=self._lost, unreached=unreached, cut=cut, notes=notes, chance=self._chance)
            terminal.summarize(terminalreporter, self._in_order, left, self._laboratory.checks, self._written)
        if self._written is None and not self._unwritable:
            terminal.say_earlier(terminalreporter, self._settings.report)

    @property
    def _in_order(self) -> list[ProbeRecord]:
        """Return the records, in the order planned."""
        return [self._records[nodeid] for nodeid in {**self._planned, **self._records} if nodeid in self._records]

    @property
    def _left(self) -> list[str]:
        """Return the planned probes of which nothing was reported."""
        return [nodeid for nodeid in self._planned if nodeid not in self._records]

    @property
    def _lost(self) -> list[str]:
        """Return those of them that a run which was stopped early had come to; all, where it was not stopped."""
        return [nodeid for nodeid in self._left if not self._cut or nodeid in self._begun | self._ended]

    def _write(self, exit_code: int) -> None:
        """Write report.json and, from it alone, report.html."""
        records, checks = self._in_order, self._laboratory.checks
        ended: dict[str, Any] = {"exit_code": exit_code, "files": self._files}
        subjects = dict.fromkeys(name for record in records for name in members(record["subject"]))
        shown = {name: self._shown.get(name) or self._laboratory.shown(name) for name in subjects}
        document = build_document(
            probes=writing.dated(records, self._settings.rootdir),
            run=writing.run_of(self._config, self._settings, self._laboratory, began=self._began, **ended),
            subjects=[described(self._laboratory, name, checks.get(name), read) for name, read in shown.items()],
            planned=list(self._planned.values()),
            generated=now(),
            left_out=self._left_out,
        )
        self._chance = [one.line for one in document.chance]
        self._written = writing.write(document, self._whole, self._settings.report)
        self._notes.update(dict.fromkeys(self._written.notes))
