"""What a pytest run with saeprobe leaves behind: its output, exit code, JSON report, page and JUnit file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from saeprobe.report import read_report

Json = dict[str, Any]

HEAD = """
from saeprobe import capture
from saeprobe import claim
from saeprobe import drifted
from saeprobe import explained
from saeprobe import inconclusive
from saeprobe import published
from saeprobe import refuted
from saeprobe import subjects
from saeprobe import unverifiable
from saeprobe.measures import effective_rank
from saeprobe.measures import l0
from saeprobe.prompts import STYLES

ranks = capture(STYLES, keep="effective_rank")
styles = capture(STYLES, at="last")
"""
"""What probe files of these tests begin with."""

SUPPORTED = """
@claim("A novice prompt has the higher effective rank.", id="rank.up", source="table 1")
def test_up(ranks):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])
"""
"""A probe that the recorded evidence supports."""

REFUTED = """
@claim("An expert prompt has the higher effective rank.", id="rank.down", source="table 1")
def test_down(ranks):
    assert effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])
"""
"""The same claim with novice and expert swapped."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run: `out` is stdout and stderr together, `folder` holds reports/ and junit.xml."""

    code: int
    out: str
    folder: Path
    file: str = "report"

    @property
    def part(self) -> Run:
        """The same, whose report is that of a part of the probes."""
        return replace(self, file="part")

    @property
    def report(self) -> Json:
        """The JSON report, checked against its schema, with each row of evidence and of samples in its place."""
        path = self.folder / "reports" / f"{self.file}.json"
        read_report(path)
        held = json.loads(path.read_text(encoding="utf-8"))
        for piece in held["evidence"]:  # parts stand before the whole
            piece["samples"] = [held["samples"][row] for row in piece["samples"]]
            piece["parts"] = [held["evidence"][row] for row in piece["parts"]]
            for control in piece["controls"]:
                control["evidence"] = None if control["evidence"] is None else held["evidence"][control["evidence"]]
        for probe in (probe for claim in held["claims"] for probe in claim["probes"]):
            probe["evidence"] = [held["evidence"][row] for row in probe["evidence"]]
        return held

    @property
    def page(self) -> str:
        """The HTML page."""
        return (self.folder / "reports" / "report.html").read_text(encoding="utf-8")

    @property
    def probes(self) -> dict[str, Json]:
        """The probes of the report by claim and subject: `rank.up[llama70b-as-published]`."""
        return {
            f"{claim['id']}[{probe['subject']}]": probe for claim in self.report["claims"] for probe in claim["probes"]
        }

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdicts by the claim's id; where a claim was decided on several subjects the last counts."""
        return {claim["id"]: probe["verdict"] for claim in self.report["claims"] for probe in claim["probes"]}

    @property
    def junit(self) -> dict[str, ET.Element]:
        """JUnit's test cases, by the name of the test without its subject."""
        root = ET.parse(self.folder / "junit.xml").getroot()  # noqa: S314 - pytest has just written it
        return {case.attrib["name"].partition("[")[0]: case for case in root.iter("testcase")}

    def junit_outcomes(self) -> dict[str, str]:
        """Failure, error, skipped or passed, by the name of the test."""
        kinds = ("failure", "error", "skipped")
        return {
            name: next((kind for kind in kinds if case.find(kind) is not None), "passed")
            for name, case in self.junit.items()
        }

    @property
    def table(self) -> list[str]:
        """The lines of the table of claims."""
        lines = self.out.splitlines()
        begin = next(i for i, line in enumerate(lines) if " claims ===" in line)
        return lines[begin + 1 :]

    def lines(self, text: str) -> list[str]:
        """The lines of the output that hold `text`."""
        return [line for line in self.out.splitlines() if text in line]


Go = Callable[..., Run]
"""Runs pytest with these arguments in the test's folder, on the recorded evidence."""


def properties(case: ET.Element) -> dict[str, str]:
    """The properties of a JUnit test case."""
    return {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}


def apart(folder: Path, *arguments: str) -> Run:
    """Run pytest in a process of its own in `folder`, whatever configuration lies above it."""
    project = folder / "pyproject.toml"
    ini = project if project.exists() else Path(os.devnull)
    fixed = ("-p", "no:cacheprovider", "--junitxml=junit.xml", f"--rootdir={folder}", f"--config-file={ini}")
    command = [sys.executable, "-m", "pytest", *fixed, *arguments]
    wide = {**os.environ, "COLUMNS": "160"}
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=wide)  # noqa: S603 - made here
    return Run(code=ran.returncode, out=ran.stdout + ran.stderr, folder=folder)


def without_durations(value: Any) -> Any:
    """JSON without what differs from run to run: the seconds that things took."""
    if isinstance(value, dict):
        return {key: without_durations(item) for key, item in value.items() if key != "duration_s"}
    return [without_durations(item) for item in value] if isinstance(value, list) else value
