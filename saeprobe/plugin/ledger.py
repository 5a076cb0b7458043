"""The ledger: every planned probe and what became of it, kept by the process that writes the report."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from saeprobe.claims import members
from saeprobe.plugin.instruments import check_of
from saeprobe.plugin.items import claim_of_item, subject_of
from saeprobe.plugin.judging import RECORD, commit_of, versions
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.options import Settings
from saeprobe.report import shape
from saeprobe.report.document import ProbeRecord, build_document, plain, planned_name, write_report
from saeprobe.report.page import write_page
from saeprobe.store.instrument import InstrumentCheck
from saeprobe.store.plan import Gathered


class Ledger:
    """Collects records as reports come in, holds them against the plan, and writes the report files.

    Under xdist the controller collects nothing itself; its workers send the names of what they planned.
    """

    def __init__(self, config: pytest.Config, settings: Settings, laboratory: Laboratory) -> None:
        self._config = config
        self._settings = settings
        self._laboratory = laboratory
        self._began = time.monotonic()
        self._planned: dict[str, str] = {}
        self._records: dict[str, ProbeRecord] = {}
        self._gathered: list[Gathered] = []
        self._checks: dict[str, InstrumentCheck] = {}
        self.ran = False
        self.written: tuple[Path, Path] | None = None

    @property
    def records(self) -> list[ProbeRecord]:
        """The records, in the order planned."""
        known = [self._records[nodeid] for nodeid in self._planned if nodeid in self._records]
        return known + [record for nodeid, record in self._records.items() if nodeid not in self._planned]

    @property
    def lost(self) -> list[str]:
        """Planned probes of which nothing was reported."""
        return [nodeid for nodeid in self._planned if nodeid not in self._records]

    @property
    def checks(self) -> dict[str, InstrumentCheck]:
        """The instrument checks by subject, of this process and of its workers."""
        return {**self._checks, **self._laboratory.checks}

    @property
    def left(self) -> Path | None:
        """The report of an earlier run, where there is one."""
        file = self._settings.report / "report.json"
        return file if file.exists() else None

    def plan(self, items: Sequence[pytest.Item]) -> None:
        """Note which probes are to be decided, in order."""
        for item in items:
            claim = claim_of_item(item)
            if claim is not None:
                self._planned[item.nodeid] = planned_name(claim.id, subject_of(item) or "")

    def as_sent(self) -> dict[str, object]:
        """What a worker sends to the controller."""
        return {
            "planned": self._planned,
            "gathered": [asdict(each) for each in self._laboratory.gathered],
            "checks": {name: plain(asdict(check), name) for name, check in self._laboratory.checks.items()},
        }

    def receive(
        self, planned: dict[str, str], gathered: list[dict[str, Any]], checks: dict[str, dict[str, Any]]
    ) -> None:
        """Take over what a worker planned, what it computed and what it found of the instruments."""
        self._planned.update(planned)
        self._gathered += [Gathered(**each) for each in gathered]
        self._checks.update({name: check_of(each) for name, each in checks.items()})

    def enter(self, report: pytest.TestReport) -> None:
        """Keep the record that a report carries; a probe whose teardown failed is broken."""
        record: ProbeRecord | None = getattr(report, RECORD, None)
        if record is not None:
            self._records[report.nodeid] = record
        elif report.when == "teardown" and report.failed and report.nodeid in self._records:
            known = self._records[report.nodeid]
            self._records[report.nodeid] = {**known, "verdict": "broken", "reason": "the teardown of the probe failed"}

    def write(self, exit_code: int) -> None:
        """Write report.json and, from it alone, report.html; nothing where no claim was planned, or no test begun."""
        if not self.ran or (not self._planned and not self._records):
            return
        subjects = dict.fromkeys(name for record in self.records for name in members(record["subject"]))
        document = build_document(
            probes=self.records,
            run=self._run(exit_code),
            subjects=[self._laboratory.described(name, self.checks.get(name)) for name in subjects],
            planned=list(self._planned.values()),
            generated=_now(),
        )
        folder = self._settings.report
        self.written = folder / "report.json", folder / "report.html"
        write_report(document, self.written[0])
        write_page(document, self.written[1])

    def _run(self, exit_code: int) -> shape.Run:
        gathered = self._laboratory.gathered + self._gathered
        workers = getattr(self._config.option, "numprocesses", None) or 0
        commit, dirty = commit_of(self._settings.rootdir)
        evidence = self._settings.evidence
        return shape.Run(
            command=shlex.join(["pytest", *self._config.invocation_params.args]),
            exit_code=exit_code,
            duration_s=round(time.monotonic() - self._began, 3),
            alpha=self._settings.alpha,
            seed=self._settings.seed,
            workers=int(workers),
            commit=commit,
            dirty=dirty,
            python=platform.python_version(),
            platform=platform.platform(),
            device=next((each.device for each in gathered if each.device), None),
            evidence_dir=None if evidence is None else evidence.name,
            versions=versions(),
            computed_prompts=sum(each.computed for each in gathered),
            stored_prompts=_stored(gathered),
        )


def _stored(gathered: Sequence[Gathered]) -> int:
    """Results that were stored before the run: what one worker computed, another finds stored."""
    needed: dict[str, int] = {}
    for each in gathered:
        needed[each.subject] = max(needed.get(each.subject, 0), each.stored + each.computed)
    return sum(needed.values()) - sum(each.computed for each in gathered)


def _now() -> str:
    """The time of the report; SOURCE_DATE_EPOCH fixes it for builds that must repeat to the byte."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    moment = time.time() if fixed is None else int(fixed)
    return dt.datetime.fromtimestamp(moment, tz=dt.UTC).isoformat(timespec="seconds")
