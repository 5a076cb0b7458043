"""`saeprobe report` unites reports, and says what changed between two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_cli_deciding import RUN, SUBJECT

from saeprobe.claims import Claim, Verdict, Word
from saeprobe.evidence import Evidence, Sample
from saeprobe.prompts import Prompt
from saeprobe.report import build_document, probe_to_json, read_report, write_report

Run = Callable[..., Any]


def made(path: Path, subject: str, mean: float = 18.5, word: Word = "supported", **run: Any) -> Path:
    """Write a report of one probe, whose sample has this mean on one prompt."""
    prompt = Prompt(text="Explain tides.", style="novice", topic="tides", template="Explain {topic}.")
    sample = Sample(label="novice", measure="l0", unit="features", mean=mean, n=1, values=(mean,), prompts=(prompt,))
    piece = Evidence(
        kind="bound", statement="s", outcome="supported", reason="r", scope="", unit="features", samples=(sample,)
    )
    record = probe_to_json(
        claim=Claim(id="a.b", sentence="It holds.", source="table 1"),
        nodeid=f"test_it.py::test_it[{subject}]",
        subject=subject,
        verdict=Verdict(word=word, reason=f"it is {word}"),
        evidence=[piece],
        published=[],
        duration_s=0.1,
    )
    document = build_document(
        probes=[record],
        run=replace(RUN, **run),
        subjects=[replace(SUBJECT, name=subject)],
        planned=[f"a.b[{subject}]"],
        generated="2026-11-22T04:00:00+00:00",
    )
    write_report(document, path)
    return path


def test_two_reports_are_united_with_their_page(run: Run, tmp_path: Path) -> None:
    """Each subject's probes stand in the new one, which is written beside its page."""
    reports = made(tmp_path / "one.json", "sparrow"), made(tmp_path / "two.json", "finch")
    found = run("report", "merge", *reports, "-o", tmp_path / "both.json")
    assert (found.code, found.err) == (0, "")
    assert "2 supported on sparrow, finch" in found.out
    both = read_report(tmp_path / "both.json")
    assert [probe.subject for claim in both.claims for probe in claim.probes] == ["sparrow", "finch"]
    assert "It holds." in (tmp_path / "both.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("output", "run_of_second", "said"),
    [
        ([], {}, "name the file to write with -o, such as -o reports/report.json"),
        (["-o", "one.json"], {}, "one.json exists; choose another name with -o"),
        (["-o", "both.json"], {"commit": "4567"}, "cannot be united: they are of different runs: commit 0123 and 4567"),
    ],
)
def test_what_cannot_be_united_is_refused(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: list[str],
    run_of_second: dict[str, Any],
    said: str,
) -> None:
    """The remedy is named and nothing is written."""
    monkeypatch.chdir(tmp_path)
    reports = made(Path("one.json"), "sparrow"), made(Path("two.json"), "finch", **run_of_second)
    found = run("report", "merge", *reports, *output)
    assert found.code == 2
    assert said in found.err
    assert not (tmp_path / "both.json").exists()


def test_what_changed_is_said_with_its_causes(run: Run, tmp_path: Path) -> None:
    """A verdict with both reasons, a value beyond its noise, and what is recorded of both runs and differs."""
    old = made(tmp_path / "old.json", "sparrow", files={"test_it.py": "1"})
    new = made(
        tmp_path / "new.json", "sparrow", 21.25, "refuted", versions={"torch": "2.14.0"}, files={"test_it.py": "2"}
    )
    found = run("report", "diff", old, new)
    assert (found.code, found.out.splitlines()) == (
        1,
        [
            "a.b on sparrow: supported -> refuted",
            "  was: it is supported",
            "  is: it is refuted",
            "  l0 of novice: 18.50 -> 21.25 features, beyond ± 1.85e-05 (rounding)",
            "  changed in between: torch 2.13.0 -> 2.14.0; files: test_it.py",
        ],
    )


def test_reports_that_say_the_same_have_no_difference(run: Run, tmp_path: Path) -> None:
    """The time that a run took, and when it was, are none."""
    old, new = made(tmp_path / "old.json", "sparrow"), made(tmp_path / "new.json", "sparrow", duration_s=9.0)
    found = run("report", "diff", old, new)
    assert (found.code, found.out) == (0, "nothing changed: every verdict and every value is what it was\n")


def test_probes_of_one_report_alone_are_named(run: Run, tmp_path: Path) -> None:
    """They are neither the same nor changed."""
    old, new = made(tmp_path / "old.json", "sparrow"), made(tmp_path / "new.json", "finch")
    found = run("report", "diff", old, new)
    assert found.code == 1
    assert f"only in {old}: a.b on sparrow" in found.out
    assert f"only in {new}: a.b on finch" in found.out
