"""A subject that is declared wrongly, or whose files are odd, breaks its own probes and stops no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from records import INI
from runs import HEAD, SUPPORTED, Go, apart

import saeprobe

SOUND = "llama70b-as-published"
SPECIMEN = Path(saeprobe.__file__).parent / "specimens" / "sparrow"
WHOLE = 'model = "./model"\nsae = { path = "./sae" }\n'
NO_CAPTURE = '@claim("It is smarter.", id="smarter", source="none")\ndef test_it():\n    unverifiable("no")\n'


def files(folder: Path, name: str = "", changed: str | dict[str, object] | None = None) -> None:
    """Lay a specimen into a project, with other text or other entries in one of its files; None takes one away."""
    for part in ("model", "sae"):
        shutil.copytree(SPECIMEN / part, folder / part)
    if isinstance(changed, dict):
        said = {**json.loads((folder / name).read_text(encoding="utf-8")), **changed}
        changed = json.dumps({key: value for key, value in said.items() if value is not None})
    if changed is not None:
        (folder / name).write_text(changed, encoding="utf-8")


ODD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a misspelt key": ('modle = "here"\n', lambda _: None, "has the unknown key 'modle'; did you mean 'model'?"),
    "no table": ("[tool.saeprobe]\nsubjects.mine = 3\n", lambda _: None, "is 3, no table"),
    "a number for a path": ("model = 3\n", lambda _: None, "model is 3; wanted a text in quotes"),
    "no d_sae": (WHOLE, lambda at: files(at, "sae/cfg.json", {"d_sae": None}), "d_sae"),
    "no JSON": (WHOLE, lambda at: files(at, "model/config.json", "{"), "config.json"),
    "a list for a kind": (WHOLE, lambda at: files(at, "model/config.json", {"model_type": ["gpt2"]}), "model_type"),
    "no model": (WHOLE, lambda _: None, "/model (the model of mine in"),
    "no SAE": (WHOLE, lambda at: (files(at), shutil.rmtree(at / "sae")), "/sae (the SAE of mine in"),
    "no such block": (WHOLE + 'hook_name = "blocks.9.hook_resid_pre"\n', files, "the model has blocks 0 to 4"),
}
"""What is declared, what lies there, and what is said of it."""


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("order", ["first", "last"])
def test_the_odd_one_is_broken_and_the_sound_one_decided(
    go: Go, pytester: pytest.Pytester, odd: str, order: str
) -> None:
    """Its plan says why, each of its probes is broken with that reason, those without a capture too; the run ends."""
    body, lay, reason = ODD[odd]
    table = body if body.startswith("[") else f"[tool.saeprobe.subjects.mine]\n{body}"
    pytester.makepyprojecttoml(INI + table)
    lay(pytester.path)
    both = ("mine", SOUND) if order == "first" else (SOUND, "mine")
    run = go("-m", "mine or llama70b", head=f"{HEAD}pytestmark = subjects{both}\n", probes=SUPPORTED + NO_CAPTURE)
    assert run.code == 1
    assert {name: probe["verdict"] for name, probe in run.probes.items()} == {
        f"rank.up[{SOUND}]": "supported",
        f"smarter[{SOUND}]": "unverifiable",
        "rank.up[mine]": "broken",
        "smarter[mine]": "broken",
    }
    for claim in ("rank.up", "smarter"):
        assert reason in run.probes[f"{claim}[mine]"]["reason"]
    assert run.lines("plan: mine: cannot run: ")
    described = {subject["name"]: subject for subject in run.report["subjects"]}
    assert reason in described["mine"]["missing"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_odd_default_subject_stops_no_other(pytester: pytest.Pytester, evidence: Path, workers: str) -> None:
    """A wrong declaration that says default = true runs where nothing selects, and is broken there, under xdist too."""
    ini = INI.replace(f'saeprobe_default_subjects = ["{SOUND}"]\n', "")
    pytester.makepyprojecttoml(ini + "[tool.saeprobe.subjects.mine]\ndefault = true\n")
    pytester.makepyfile(
        test_by_default=HEAD + SUPPORTED, test_sound=f"{HEAD}pytestmark = subjects('{SOUND}')\n{NO_CAPTURE}"
    )
    run = apart(pytester.path, f"-n{workers}", f"--saeprobe-evidence={evidence}", "-m", "mine or llama70b")
    assert {name: probe["verdict"] for name, probe in run.probes.items()} == {
        "rank.up[mine]": "broken",
        f"smarter[{SOUND}]": "unverifiable",
    }
    assert "INTERNALERROR" not in run.out


@pytest.mark.parametrize("name", ["a/b", "a b", "\\u202eb", "a\\nb", "skip", "not", "-x", "sparrow"])
def test_a_name_that_nothing_selects_breaks_that_subject_alone(go: Go, pytester: pytest.Pytester, name: str) -> None:
    """It gets no marker, since a marker of pytest's own would skip its probes; named as a default, it is broken."""
    ini = INI.replace(f'["{SOUND}"]', f'["{SOUND}", "{name}"]')
    pytester.makepyprojecttoml(f'{ini}[tool.saeprobe.subjects."{name}"]\n{WHOLE}')
    run = go(probes=SUPPORTED)
    assert run.probes[f"rank.up[{SOUND}]"]["verdict"] == "supported", run.out
    assert run.probes["rank.up[{}]".format(json.loads(f'"{name}"'))]["verdict"] == "broken"
