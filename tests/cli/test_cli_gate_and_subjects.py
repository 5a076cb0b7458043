"""`saeprobe gate` hands on the gate's decision; `saeprobe subjects` lists what there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saeprobe.cli import deciding

Run = Callable[..., Any]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_gates_decision_is_the_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Released, held and undecided are 0, 1 and 2; only the last is an error and goes to stderr."""
    seen: list[tuple[Path, Path]] = []

    def decide(article: Path, report: Path) -> tuple[int, str]:
        seen.append((article, report))
        return code, "the decision"

    monkeypatch.setattr(deciding, "decide", decide)
    found = run("gate", "day1.md")
    assert (found.code, found.err if code == 2 else found.out) == (code, "the decision\n")
    run("gate", "day1.md", "--report", "other.json")
    assert seen == [(Path("day1.md"), Path("reports/report.json")), (Path("day1.md"), Path("other.json"))]


def test_an_absent_article_cannot_be_told(run: Run, tmp_path: Path) -> None:
    """The real gate on a file that is not there: exit code 2, and no traceback."""
    found = run("gate", tmp_path / "none.md")
    assert (found.code, found.out) == (2, "")
    assert str(tmp_path / "none.md") in found.err


def test_subjects_are_listed_with_what_brings_them(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in and declared subjects stand in one table, and what an absent one lacks below it, from any subfolder."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.saeprobe.subjects.mine]\nmodel = "./model"\nsae = { path = "./sae" }\nsummary = "my own"\n'
    )
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    found = run("subjects")
    assert found.code == 0, found.err
    table = found.out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in table[:3]] == ["subject", "sparrow", "finch"]
    assert [line.split(maxsplit=2) for line in table if line.startswith("mine")] == [["mine", "absent", "my own"]]
    assert f"\nmine: no whole model at {tmp_path / 'model'}" in found.out


def test_a_wrong_declaration_is_explained(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subject declared without an SAE is named with what is wanted."""
    (tmp_path / "pyproject.toml").write_text('[tool.saeprobe.subjects.mine]\nmodel = "./model"\n')
    monkeypatch.chdir(tmp_path)
    found = run("subjects")
    assert (found.code, "[tool.saeprobe.subjects.mine]" in found.err) == (2, True)
