"""The page shows a study to a reader, and the command refuses what cannot be run."""

from __future__ import annotations

from pathlib import Path

import pytest
from known import row

from studies.calibration.__main__ import main
from studies.calibration.claim import Terms
from studies.calibration.page import page, percent
from studies.calibration.results import Share, as_json, beyond
from studies.calibration.study import Study


def study(*rows: object) -> Study:
    """Make a study of these rows."""
    return Study(
        rows=tuple(rows),  # type: ignore[arg-type]
        terms=Terms(),
        command="python -m studies.calibration made",
        fingerprints={"made": "f" * 64},
        versions={"saeprobe": "0"},
    )


FALSE = [row("supported", naive=True)] * 2 + [row("inconclusive", naive=True)] * 10 + [row("inconclusive")] * 88
TRUE = [row("supported", truth="true", naive=True, how="known difference", contrary=0.5)] * 5


def test_a_share_is_written_with_its_interval() -> None:
    """It is in per cent, to a decimal; a dash stands where there is nothing to share."""
    assert percent(Share(count=2, of=100)) == "2.0 % [0.2, 7.0]"
    assert percent(None) == "–"
    assert percent(Share(count=0, of=0)) == "–"


def test_the_page_begins_with_what_came_out() -> None:
    """It counts false claims, both arms on the same ones, and true claims."""
    text = page(study(*FALSE, *TRUE))
    assert "Of 100 false claims 2 were confirmed: 2.0 % [0.2, 7.0], at a stated alpha of 5 %." in text
    assert "On the 12 of them for which there is a naive t test, it confirmed 100.0 % [73.5, 100.0]" in text
    assert "Of 5 true claims" in text
    assert "No kind is beyond what is allowed." in text


def test_a_kind_that_errs_too_often_is_named() -> None:
    """Its line, the text below the table, and the JSON all name it."""
    bad = study(*[row("supported")] * 30, *[row("inconclusive")] * 70, *TRUE)
    assert "**beyond**" in page(bad)
    assert "Beyond what is allowed: **greater, labels shuffled**" in page(bad)
    assert as_json(bad)["beyond"] == ["greater: labels shuffled"]
    assert [line.kind for line in beyond(bad)] == ["greater"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--claims", "0"], "--claims is 0; wanted at least 1 of each design"),
        (["--made", "-1"], "--made is -1; wanted a number from 0 up"),
        (["--alpha", "1"], "--alpha is 1; wanted a number between 0 and 1, such as 0.05"),
        (["--seed", "-1"], "--seed is -1; wanted a number from 0 up"),
        (["sparow"], "sparow"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused before anything is read or written."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "docs")])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()
