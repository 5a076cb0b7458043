"""The study runs on sparrow at a tiny size, from the plan and the store to the files."""

from __future__ import annotations

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
    assert set(study.fingerprints) == {"sparrow"}
    assert {"saeprobe", "Python", "numpy", "torch"} <= set(study.versions)


def test_the_prompts_are_read_once(study: Study, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second study takes them from the store, loads no model, and comes out the same."""
    subject = find_subject("sparrow", Path())
    monkeypatch.setattr(type(subject), "open", lambda _: pytest.fail("the model was loaded again"))
    again = run_study([subject], store, claims=1, terms=Terms(), wanted=few())
    assert again == study


def test_the_files_hold_the_counts_of_every_design(study: Study, tmp_path: Path) -> None:
    """The JSON counts the rows, and the page has a line a design."""
    written = write(study, page(study), tmp_path / "docs")
    assert [path.name for path in written] == ["calibration.json", "calibration.md"]
    counts = json.loads(written[0].read_text(encoding="utf-8"))
    for truth in ("false", "true"):
        assert sum(line["claims"] for line in counts[truth]) == counts[f"all {truth}"]["claims"]
        for line in counts[truth]:
            some = [row for row in study.rows if (row.truth, row.kind, row.how) == (truth, line["kind"], line["how"])]
            assert line["claims"] == len(some)
            assert line["confirmed"]["count"] == sum(row.word == "supported" for row in some)
            assert line["naive"] is None or line["naive"]["count"] == sum(bool(row.naive) for row in some)
    assert counts["all true"]["refuted"]["count"] == sum(line["refuted"]["count"] for line in counts["true"])
    assert (counts["alpha"], counts["seed"]) == (0.05, 0)
    text = written[1].read_text(encoding="utf-8")
    assert all(f"| {design.kind} | {design.how} |" in text for design in (*FALSE, *TRUE))
    assert study.command in text


def test_a_choice_of_wordings_is_what_the_full_study_reads() -> None:
    """Each subject reads the styles in its own wording."""
    assert isinstance(captures()["wordings"].prompts, PromptChoice)
