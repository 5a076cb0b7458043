"""The study runs on sparrow at a tiny size, from the plan and the store to the files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from saeprobe import prompts
from saeprobe.captures import Capture
from saeprobe.prompts import PromptChoice, PromptSet
from saeprobe.store import Store
from saeprobe.subject.registry import find_subject
from studies.calibration.claim import Terms
from studies.calibration.false_claims import FALSE
from studies.calibration.page import page
from studies.calibration.populations import captures
from studies.calibration.results import write
from studies.calibration.study import Study, number_of_claims, run_study
from studies.calibration.true_claims import TRUE


def few() -> Mapping[str, Capture]:
    """Take both populations with fewer prompts: twelve topics, and 16 descriptions of three landmarks."""
    wanted = captures()
    wordings = prompts.STYLES.for_wording("specimen")
    of_mentions = wanted["mentions"].prompts
    assert isinstance(of_mentions, PromptSet)
    landmarks = of_mentions.only("golden_gate", "bay_bridge", "colosseum")
    described = {
        style: list(dict.fromkeys(one.template for one in landmarks.style(style))) for style in landmarks.styles
    }
    sets = {
        "wordings": replace(wordings, prompts=tuple(one for one in wordings if one.topic in wordings.topics[:12])),
        "mentions": replace(
            landmarks, prompts=tuple(one for one in landmarks if one.template in described[one.style][:16])
        ),
    }
    return {name: replace(one, prompts=sets[name]) for name, one in wanted.items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def study(store: Store) -> Study:
    return run_study([find_subject("sparrow", Path())], store, claims=1, terms=Terms(), wanted=few())


def test_every_design_is_run_on_a_real_subject(study: Study) -> None:
    """Each design decides one claim or several, and the study names its subject and libraries."""
    assert len(study.rows) == number_of_claims(1) == sum(design.times for design in (*FALSE, *TRUE))
    assert {row.subject for row in study.rows} == {"sparrow"}
    assert {row.population for row in study.rows} == {"wordings", "mentions"}
    assert set(study.fingerprints) == {"sparrow"}
    assert {"saeprobe", "Python", "numpy", "torch"} <= set(study.versions)


def test_the_prompts_are_read_once(study: Study, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second study takes them from the store, loads no model, and comes out the same."""
    subject = find_subject("sparrow", Path())
    monkeypatch.setattr(type(subject), "open", lambda _: pytest.fail("the model was loaded again"))
    again = run_study([subject], store, claims=1, terms=Terms(), wanted=few())
    assert again == study


def test_the_files_hold_every_row_and_its_counts(study: Study, tmp_path: Path) -> None:
    """The CSV has a row a claim, the JSON counts them, and the page has a line a design."""
    written = write(study, page(study), tmp_path / "docs")
    assert [path.name for path in written] == ["calibration.json", "calibration.csv", "calibration.md"]
    with written[1].open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(study.rows)
    assert [row["verdict"] for row in rows] == [row.word for row in study.rows]
    counts = json.loads(written[0].read_text(encoding="utf-8"))
    for line in (*counts["false"], *counts["true"]):
        some = [row for row in rows if row["design"] == str(line["design"])]
        assert line["claims"] == len(some)
        assert line["confirmed"]["count"] == sum(row["verdict"] == "supported" for row in some)
        assert line["naive"] is None or line["naive"]["count"] == sum(row["naive"] == "confirmed" for row in some)
    assert sum(line["claims"] for line in counts["false"]) == counts["all false"]["claims"]
    assert counts["all true"]["refuted"]["count"] == sum(line["refuted"]["count"] for line in counts["true"])
    assert (counts["alpha"], counts["seed"]) == (0.05, 0)
    text = written[2].read_text(encoding="utf-8")
    assert all(f"| {design.kind} | {design.how} |" in text for design in (*FALSE, *TRUE))
    assert study.command in text


def test_a_choice_of_wordings_is_what_the_full_study_reads() -> None:
    """Each subject reads the styles in its own wording."""
    assert isinstance(captures()["wordings"].prompts, PromptChoice)
