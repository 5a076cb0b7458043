"""The instrument check in a run: a hook beside its layer is named, and every probe of a broken instrument is broken."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from instrument_project import INI, NEUTRAL, PROBES, SEEN, SPARROW, SPY, WORDS
from runs import Run, apart, properties

import saeprobe
from saeprobe.plugin.collecting import Asked
from saeprobe.plugin.judging import described
from saeprobe.plugin.laboratory import Laboratory, Settings
from saeprobe.store import Store
from saeprobe.store.instrument import Instruments, unread
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject

EVERY = ("-m", "right or low or crowded or mute")
READABLE = ("-m", "right or low or crowded")
"""What cannot be read is tried again in every run, with all that must be loaded for it."""
MISPLACED = (
    "the SAE fits the output of layer 2 better than the output of layer 1, where it is read: variance explained 0.919 "
    "against 0.761; hook_name blocks.2.hook_resid_pre is off by one"
)


@pytest.fixture(scope="session")
def folder(hand_worked_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with four subjects: sparrow at its hook and one block early, and two of words."""
    made = tmp_path_factory.mktemp("instrument")
    ini = INI.format(sparrow=SPARROW, hand=hand_worked_once)
    files = {
        "pyproject.toml": ini,
        "neutral.toml": NEUTRAL,
        "test_it.py": PROBES,
        "test_words.py": WORDS,
        "spy.py": SPY,
    }
    for name, text in files.items():
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def cold(folder: Path) -> Run:
    """The run that computes."""
    run = apart(folder, *EVERY, "--saeprobe-report=cold/reports")
    (folder / "junit.xml").rename(folder / "cold" / "junit.xml")
    return Run(code=run.code, out=run.out, folder=folder / "cold")


@pytest.fixture(scope="session")
def warm(cold: Run, folder: Path) -> Run:
    """The same run again, all of which is stored."""
    del cold
    return apart(folder, *READABLE, "-p", "spy")


@pytest.fixture(scope="session", params=["alone", "two workers"])
def run(request: pytest.FixtureRequest, warm: Run, cold: Run, folder: Path) -> Run:
    """The run alone, and the same on two workers."""
    if request.param == "alone":
        return cold
    del warm
    ran = apart(folder, *READABLE, "-n", "2", "--saeprobe-report=two/reports")
    (folder / "junit.xml").rename(folder / "two" / "junit.xml")
    return Run(code=ran.code, out=ran.out, folder=folder / "two")


def subject_of(run: Run, name: str) -> Any:
    """A subject of the report."""
    return next(subject for subject in run.report["subjects"] if subject["name"] == name)


def test_a_hook_beside_its_layer_breaks_every_probe_of_the_subject(run: Run) -> None:
    """Whether or not they read anything, with the layer that fits better and the hook that would be right; exit 1."""
    assert run.code == 1
    for claim in ("it.active[low]", "it.smarter[low]"):
        assert run.probes[claim]["verdict"] == "broken"
        assert run.probes[claim]["reason"].startswith(f"the instrument check failed: {MISPLACED}")
        assert 'declare hook_name = "blocks.2.hook_resid_post"' in run.probes[claim]["reason"]
        assert run.probes[claim]["evidence"] == []
    assert run.probes["it.skipped[low]"]["verdict"] == "not run"  # the skip goes before: nothing was to be decided


def test_the_right_hook_passes(run: Run) -> None:
    """The same model and SAE where they belong, held against the card's figures."""
    assert run.probes["it.active[right]"]["verdict"] == "supported"
    assert run.probes["it.smarter[right]"]["verdict"] == "unverifiable"
    check = subject_of(run, "right")["instrument"]
    assert (check["broken"], check["findings"], check["source"]) == (False, [], "the declaration of the subject")
    assert [fit["layer"] for fit in check["layers"]] == [f"output of layer {number}" for number in (1, 2, 3)]
    assert [round(fit["variance_explained"], 2) for fit in check["layers"]] == [0.76, 0.92, 0.73]
    assert round(check["layers"][1]["l0"], 1) == 23.1


def test_the_figures_are_those_worked_by_hand(run: Run) -> None:
    """Four words with four active features and 9 of a variance of 12 lost; 2.5 were declared, so one is too few."""
    check = subject_of(run, "crowded")["instrument"]
    assert {(fit["l0"], round(fit["variance_explained"], 4), fit["tokens"]) for fit in check["layers"]} == {
        (1.0, 0.25, 4)
    }
    reason = run.probes["words.active[crowded]"]["reason"]
    assert run.probes["words.active[crowded]"]["verdict"] == "broken"
    assert "L0 is 1.0 features a token on neutral text, and the declaration of the subject states 2.5" in reason


def test_an_instrument_that_cannot_read_the_neutral_text_is_broken(cold: Run) -> None:
    """It knows four words, none of them in plain English; where to give it a text of its own is said."""
    probe = cold.probes["words.active[mute]"]
    assert probe["verdict"] == "broken"
    assert "nothing could be read: the " in probe["reason"]
    assert "name a prompt file in saeprobe_neutral" in probe["reason"]
    assert subject_of(cold, "mute")["instrument"]["layers"] == []


def test_it_is_loud(run: Run) -> None:
    """In the terminal with the figures, on the page, and as errors in the JUnit file."""
    assert run.lines("broken: the instrument check failed: the SAE fits the output of layer 2 better")
    assert run.lines("instrument     output of layer 1: variance explained 0.761")
    assert run.lines("instrument     output of layer 2: variance explained 0.919 (published 0.919); L0 23.1 (published")
    assert "The instrument check of low failed" in run.page
    assert MISPLACED in run.page
    assert "The instrument check of right failed" not in run.page


def test_the_junit_file_has_an_error_for_each(run: Run) -> None:
    """The verdict and its reason are among the properties."""
    cases = [case for case in _cases(run) if case.attrib["name"] in ("test_active[low]", "test_smarter[low]")]
    assert len(cases) == 2
    for case in cases:
        assert case.find("error") is not None
        assert properties(case)["verdict"] == "broken"
        assert MISPLACED in properties(case)["reason"]


def test_an_ordinary_test_gets_no_evidence_of_a_broken_instrument(run: Run) -> None:
    """It is an error there, and passes where the instrument is sound."""
    ordinary = {case.attrib["name"]: case for case in _cases(run) if "ordinary" in case.attrib["name"]}
    assert ordinary["test_ordinary[right]"].find("error") is None
    error = ordinary["test_ordinary[low]"].find("error")
    assert error is not None
    assert "BrokenInstrumentError" in str(error.text)


def test_a_warm_run_says_the_same_without_a_model_library(cold: Run, warm: Run, folder: Path) -> None:
    """Figures and verdicts are those of the run that computed, and neither torch nor what needs it is imported."""
    for name in ("right", "low", "crowded"):
        assert subject_of(warm, name)["instrument"] == subject_of(cold, name)["instrument"]
    reasons = {name: probe["reason"] for name, probe in warm.probes.items()}
    assert reasons == {name: probe["reason"] for name, probe in cold.probes.items() if "mute" not in name}
    assert warm.report["run"]["computed_prompts"] == 0
    assert (folder / "loaded.txt").read_text(encoding="utf-8") == ""


def test_the_figures_are_kept_and_not_trusted_blindly(cold: Run, folder: Path) -> None:
    """What is no file of figures, or is gone, is made again from the stored readings; what is changed is not hidden."""
    del cold
    store = folder / ".saeprobe" / "store"
    subject = find_subject("right", folder)
    made = Instruments(Store(store), store, {}).check(subject)
    (file,) = [one for one in (store / "instruments").iterdir() if json.loads(one.read_text())["subject"] == "right"]
    written = file.read_text(encoding="utf-8")
    digit = written.index('"l0": ') + len('"l0": ')
    flipped = f"{written[:digit]}{9 - int(written[digit])}{written[digit + 1 :]}"
    for content in ("", "[]", "{}", flipped, "[" * 100_000, '{"kind": "another"}', None):
        if content is None:
            file.unlink()
            os.mkfifo(file)
        else:
            file.write_text(content, encoding="utf-8")
        assert Instruments(Store(store), store, {}).check(subject) == made
        assert json.loads(file.read_text())["subject"] == "right"


def settings_for(folder: Path, store: Path) -> Settings:
    """The terms of a run in `folder` without a word of its own."""
    return Settings(
        rootdir=folder,
        store=store,
        report=store / "reports",
        baselines=store / "baselines",
        evidence=None,
        default_subjects=(),
        neutral={},
        prompts={},
        alpha=0.05,
        seed=0,
        batch_size=4,
    )


def test_a_subject_that_this_machine_cannot_hold_stops_no_other(folder: Path, tmp_path: Path) -> None:
    """Its plan says what is lacking, and its probes are broken for that reason."""
    ini = (folder / "pyproject.toml").read_text(encoding="utf-8").replace('device = "cpu"', 'memory = "sharded"')
    (tmp_path / "pyproject.toml").write_text(ini, encoding="utf-8")
    laboratory = Laboratory(settings_for(tmp_path, tmp_path / "store"))
    laboratory.plan([Asked(subject="low", declared=saeprobe.capture(saeprobe.prompts.SHOPPING))])
    (line,) = laboratory.plan_in_words()
    assert line.startswith("plan: low: 136 prompts, 4 captures; cannot run: sharding needs two GPUs or more")
    assert 'set memory = "auto"' in line
    laboratory.gather(_unseen)
    assert 'set memory = "auto"' in (laboratory.broken("low") or "")


def test_a_subject_that_cannot_be_what_it_says_stops_no_other(folder: Path, tmp_path: Path) -> None:
    """Its plan says so, its description has the reason in place of an identity, and nothing is raised."""
    ini = (folder / "pyproject.toml").read_text(encoding="utf-8").replace("blocks.2.", "blocks.9.")
    (tmp_path / "pyproject.toml").write_text(ini, encoding="utf-8")
    laboratory = Laboratory(settings_for(tmp_path, tmp_path / "store"))
    laboratory.plan([Asked(subject="low", declared=saeprobe.capture(saeprobe.prompts.SHOPPING))])
    (line,) = laboratory.plan_in_words()
    assert line.startswith("plan: low: cannot run: the hook of low is 'blocks.9.hook_resid_pre'")
    laboratory.gather(_unseen)
    assert "blocks.9.hook_resid_pre" in (laboratory.broken("low") or "")
    found = described(laboratory, "low", None)
    assert found.model is None
    assert "blocks.9.hook_resid_pre" in (found.missing or "")


def test_a_misfit_on_purpose_is_told_and_breaks_nothing(
    cold: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same hook beside its layer, read there on purpose: the figures stand alone, without a word that it is off."""
    del cold
    spec = replace(find_subject("low", folder).spec, misfit="as published")  # pyright: ignore[reportAttributeAccessIssue] - a local subject
    monkeypatch.setattr("saeprobe.plugin.collecting.find_subject", lambda _name, _root: Subject(spec=spec))
    laboratory = Laboratory(settings_for(folder, folder / ".saeprobe" / "store"))
    ends = saeprobe.capture(SEEN)
    laboratory.plan([Asked(subject="low", declared=ends)])
    laboratory.gather(_unseen)
    check = laboratory.checks["low"]
    assert check.findings[0] == f"the misfit costs this: {MISPLACED.partition(';')[0]}"
    assert (laboratory.broken("low"), check.misfit) == (None, "as published")
    assert len(laboratory.provide("low", ends)) == 6  # pyright: ignore[reportArgumentType] - these are features
    found = described(laboratory, "low", check).instrument
    assert found is not None
    assert (found.broken, found.misfit) == (False, "as published")


def test_probes_on_several_subjects_need_all_of_their_instruments(folder: Path) -> None:
    """One that is broken breaks them; the reason says on which subject."""
    laboratory = Laboratory(settings_for(folder, folder / "elsewhere"))
    laboratory.checks["low"] = unread(ValueError("torn"))
    laboratory.checks["right"] = replace(laboratory.checks["low"], broken=False, findings=())
    assert laboratory.broken("right") is None
    assert (laboratory.broken("low+right") or "").startswith(
        "on low, the instrument check failed: nothing could be read"
    )


def _unseen(_name: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def _cases(run: Run) -> list[Any]:
    """JUnit's test cases, in order."""
    from xml.etree import ElementTree as ET

    return list(ET.parse(run.folder / "junit.xml").getroot().iter("testcase"))  # noqa: S314 - pytest has just written it
