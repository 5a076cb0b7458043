"""Baseline files: read as they were written, and refused with file, place and remedy where they are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from baselines_made import baseline, sample, summary

from saeprobe.verdicts.baseline_files import Baseline, BaselineError, Provenance, read_baselines, read_file, text_of

IDENTITY = ("model", "model_hash", "sae", "sae_hash", "hook_name", "dtype", "protocol", "fingerprint")
MADE = Provenance(
    subjects={"sparrow": dict.fromkeys(IDENTITY) | {"dtype": "float32"}},
    versions={"torch": "2.13.0"},
    python="3.11.7",
    platform="Linux",
    device="cpu",
    evidence="day1",
    commit="0123",
    dirty=False,
    generated="2026-11-22T04:00:00+00:00",
    alpha=0.01,
    seed=7,
)
FIRST = baseline(
    sample("novice", [[1.0, 2.0], [3.0, 4.0]], interval=(1.5, 3.5), near_moves=0.5),
    summary("expert", 2.0),
    measured_with=MADE,
)
SECOND = replace(FIRST, approved_by="Grace", because="libraries were updated", on="2026-11-22", verdict="drifted")
FINCH = replace(FIRST, subject="finch", because="新的模型权重")
Change = Callable[[dict[str, Any]], object]


def write(folder: Path, *approvals: Baseline, name: str = "a.b") -> Path:
    """A file of these approvals."""
    by_subject: dict[tuple[str, str], tuple[Baseline, ...]] = {}
    for one in approvals:
        by_subject[one.claim, one.subject] = (*by_subject.get((one.claim, one.subject), ()), one)
    path = folder / f"{name}.json"
    path.write_text(text_of(by_subject), encoding="utf-8")
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Every field of every approval, by claim and subject, the newest last."""
    write(tmp_path, FIRST, SECOND, FINCH)
    write(tmp_path, replace(FIRST, claim="a.c"), name="a.c")
    assert read_baselines(tmp_path) == {
        ("a.b", "sparrow"): (FIRST, SECOND),
        ("a.b", "finch"): (FINCH,),
        ("a.c", "sparrow"): (replace(FIRST, claim="a.c"),),
    }


def test_a_file_is_made_for_a_diff(tmp_path: Path) -> None:
    """Keys sorted, one a line, text as it is, a line break at the end; the claim is named once."""
    text = write(tmp_path, FINCH).read_text(encoding="utf-8")
    held = json.loads(text)
    assert text == json.dumps(held, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    assert list(held) == ["claim", "kind", "subjects"]
    assert held["kind"] == "saeprobe baseline 1"
    assert '   "because": "新的模型权重",\n' in text
    assert text.count('"a.b"') == 1


@pytest.mark.parametrize("folder", ["none", "."])
def test_without_files_there_are_no_baselines(tmp_path: Path, folder: str) -> None:
    """A folder that is absent or holds other files is no error."""
    (tmp_path / "README.md").write_text("x")
    assert read_baselines(tmp_path / folder) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.update(kind="saeprobe baseline 2"), "its kind is 'saeprobe baseline 2'; wanted 'saeprobe base"),
        (lambda it: it.pop("kind"), "its kind is absent"),
        (lambda it: it.update(claim="a.c"), "it holds the claim 'a.c', and its name says 'a.b'"),
        (lambda it: it.pop("subjects"), "subjects is absent; wanted a table"),
        (lambda it: it.update(subjects=[]), "subjects is []; wanted a table"),
        (lambda it: it["subjects"].update(sparrow=[]), "subjects.sparrow lists no approval"),
        (lambda it: it["subjects"].update(sparrow={}), "subjects.sparrow is {}; wanted a list"),
        (lambda it: it["subjects"].update(sparrow=["x"]), "sparrow[0] is 'x'; wanted a table"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, change: Change, told: str) -> None:
    """The message names the file, the place and what brings it back."""
    refuse(tmp_path, change, told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.pop("approved_by"), "sparrow[1].approved_by is absent"),
        (lambda it: it.update(because=3), "sparrow[1].because: expected `str`, got `int`"),
        (lambda it: it.update(sentence=None), "sparrow[1].sentence is absent"),
        (lambda it: it.update(on="yesterday"), "sparrow[1].on is 'yesterday'; wanted a day such as 2026-11-22"),
        (lambda it: it.update(on="2026-11-22T00"), "sparrow[1].on is '2026-11-22T00'; wanted a day"),
        (lambda it: it.update(verdict="passed"), "sparrow[1].verdict: invalid enum value 'passed'"),
        (lambda it: it.update(values=[]), "sparrow[1].values lists no value"),
        (lambda it: it.pop("values"), "sparrow[1].values is absent"),
        (lambda it: it["values"].append(1), "sparrow[1].values[2] is 1; wanted a table"),
        (lambda it: it["values"][0].update(mean="4"), "sparrow[1].values[0].mean: expected `float`, got `str`"),
        (lambda it: it["values"][0].update(mean=True), "sparrow[1].values[0].mean: expected `float`, got `bool`"),
        (lambda it: it["values"][0].pop("mean"), "sparrow[1].values[0].mean is absent"),
        (lambda it: it["values"][0].update(n=1.5), "sparrow[1].values[0].n: expected `int | null`, got `float`"),
        (lambda it: it["values"][0].update(n=True), "sparrow[1].values[0].n: expected `int | null`, got `bool`"),
        (
            lambda it: it["values"][0].update(interval=[1]),
            "sparrow[1].values[0].interval: expected `array` of length 2, got 1",
        ),
        (
            lambda it: it["values"][0].update(interval=[1, "2"]),
            "sparrow[1].values[0].interval[1]: expected `float`, got `str`",
        ),
        (
            lambda it: it["values"][0].update(near_moves="x"),
            "sparrow[1].values[0].near_moves: expected `float | null`, got `str`",
        ),
        (
            lambda it: it["values"][0].update(unit_means=[1]),
            "sparrow[1].values[0].unit_means: expected `object`, got `array`",
        ),
        (
            lambda it: it["values"][0].update(unit_means={"t": None}),
            "sparrow[1].values[0].unit_means[...]: expected `float`, got `null`",
        ),
        (lambda it: it["values"][0].pop("label"), "sparrow[1].values[0].label is absent"),
        (lambda it: it["values"][0].pop("measure"), "sparrow[1].values[0].measure is absent"),
        (lambda it: it["values"][0].pop("unit"), "sparrow[1].values[0].unit is absent"),
        (lambda it: it["values"][0].pop("units"), "sparrow[1].values[0].units is absent"),
        (lambda it: it["values"][0].pop("prompts"), "sparrow[1].values[0].prompts is absent"),
        (lambda it: it.pop("measured_with"), "sparrow[1].measured_with is absent"),
        (
            lambda it: it["measured_with"].update(dirty="no"),
            "sparrow[1].measured_with.dirty: expected `bool | null`, got `str`",
        ),
        (lambda it: it["measured_with"].update(seed=0.5), "sparrow[1].measured_with.seed: expected `int`, got `float`"),
        (lambda it: it["measured_with"].update(seed=True), "sparrow[1].measured_with.seed: expected `int`, got `bool`"),
        (lambda it: it["measured_with"].pop("alpha"), "sparrow[1].measured_with.alpha is absent"),
        (
            lambda it: it["measured_with"].update(python=3),
            "sparrow[1].measured_with.python: expected `str | null`, got `int`",
        ),
        (
            lambda it: it["measured_with"].update(versions={"torch": 2}),
            "measured_with.versions[...]: expected `str`, got `int`",
        ),
        (lambda it: it["measured_with"].pop("versions"), "measured_with.versions is absent"),
        (
            lambda it: it["measured_with"].update(subjects={"s": 1}),
            "measured_with.subjects[...]: expected `object`, got `int`",
        ),
        (
            lambda it: it["measured_with"]["subjects"]["sparrow"].update(model=1),
            "subjects[...][...]: expected `str | null`, got `int`",
        ),
    ],
)
def test_an_approval_of_another_shape_is_refused(tmp_path: Path, change: Change, told: str) -> None:
    """Each departure, with the place of the approval and the field."""
    refuse(tmp_path, lambda it: change(it["subjects"]["sparrow"][1]), told)


def refuse(folder: Path, change: Change, told: str) -> None:
    """See that a file so changed is refused."""
    path = write(folder, FIRST, SECOND)
    held = json.loads(path.read_text(encoding="utf-8"))
    change(held)
    path.write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(BaselineError) as caught:
        read_baselines(folder)
    assert (caught.value.path, str(caught.value).startswith(f"{path}: ")) == (path, True)
    assert told in caught.value.problem
    assert caught.value.remedy == 'restore it with "git checkout", or delete it and approve the claim again'
    assert str(caught.value).endswith(caught.value.remedy)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is not JSON"),
        (b"[]", "it is []; wanted a table"),
        (b'{"kind": NaN}', "kind is nan"),
        (b"\xff", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"<<<<<<< HEAD\n{}\n", "is not JSON"),
    ],
)
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """A conflict left by git among it."""
    (tmp_path / "a.b.json").write_bytes(content)
    with pytest.raises(BaselineError) as caught:
        read_file(tmp_path / "a.b.json")
    assert told in caught.value.problem


def test_a_number_beyond_all_numbers_is_refused(tmp_path: Path) -> None:
    """1e999 is infinite as a float."""
    path = write(tmp_path, FIRST)
    path.write_text(path.read_text(encoding="utf-8").replace('"mean": 2.5', '"mean": 1e999'), encoding="utf-8")
    with pytest.raises(BaselineError, match=r"mean is inf"):
        read_baselines(tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """It cannot be read, and the remedy is another."""
    (tmp_path / "a.b.json").mkdir()
    with pytest.raises(BaselineError, match=r"a\.b\.json: it cannot be read \(a folder\); restore it"):
        read_baselines(tmp_path)
