"""`saeprobe inspect` on every kind of file that it knows, and on some that it does not."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from saeprobe.claims import Claim, Verdict, Word, refuted
from saeprobe.cli.contents import read_contents
from saeprobe.cli.inspect import recognise
from saeprobe.report import build_document, probe_to_json, write_report
from saeprobe.report.shape import Run as RunOfReport
from saeprobe.shapes import StoredTensor
from saeprobe.verdicts.baseline_files import Baseline, Provenance, Value, text_of

Run = Callable[..., Any]

CONFIG = {
    "architecture": "standard",
    "d_in": 2,
    "d_sae": 3,
    "normalize_activations": "none",
    "metadata": {
        "model_name": "toy",
        "hook_name": "blocks.1.hook_resid_pre",
        "prepend_bos": True,
        "context_size": 64,
    },
}


def sae_folder(folder: Path, config: object = CONFIG, **changes: torch.Tensor) -> Path:
    """Write an SAE in SAELens' format, changed."""
    folder.mkdir(exist_ok=True)
    weights = {
        "W_enc": torch.ones(2, 3),
        "W_dec": torch.ones(3, 2),
        "b_enc": torch.zeros(3),
        "b_dec": torch.zeros(2, dtype=torch.bfloat16),
    }
    save_file(weights | changes, folder / "sae_weights.safetensors")
    if config is not None:
        (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def test_goodfires_format_is_recognised(run: Run, goodfire: Path) -> None:
    """The four keys are listed with shape, dtype and bytes, the parameters counted, and named for what they are."""
    found = run("inspect", goodfire)
    assert found.code == 0
    assert "an SAE in Goodfire's format: ReLU, d_in 2, d_sae 3" in found.out
    assert "parameters  17\n" in found.out
    assert "encoder_linear.weight  [3, 2]  float32     24\n" in found.out
    assert "encoder_linear.bias    [3]     float32     12\n" in found.out


def test_a_saelens_folder_is_recognised(run: Run, tmp_path: Path) -> None:
    """Architecture, hook, BOS and context come from cfg.json, the shapes from the weights' header."""
    found = run("inspect", sae_folder(tmp_path / "sae"), "--json")
    data = json.loads(found.out)
    assert (data["kind"], data["parameters"]) == ("saelens-sae", 17)
    assert data["facts"] == {
        "architecture": "standard",
        "d_in": "2",
        "d_sae": "3",
        "model": "toy",
        "hook": "blocks.1.hook_resid_pre",
        "context": "64 tokens",
        "normalised": "none",
        "BOS": "prepended",
        "decoder": "rows of norm 1.4 to 1.4, not folded into activations; values of Neuronpedia are of folded norms",
    }
    assert {"key": "b_dec", "shape": [2], "dtype": "bfloat16", "bytes": 4} in data["keys"]
    assert data["warnings"] == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_norms_of_the_decoder_rows_are_given(tmp_path: Path, dtype: torch.dtype) -> None:
    """Rows (3, 4), (0, 1) and (1, 0) have the norms 5, 1 and 1; scaled to 1, activations are of folded norms."""
    rows = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]])
    folder = sae_folder(tmp_path / "sae", W_dec=rows.to(dtype))
    assert recognise(read_contents(folder)).facts["decoder"].startswith("rows of norm 1 to 5, not folded")
    folder = sae_folder(tmp_path / "sae", W_dec=(rows / rows.norm(dim=1, keepdim=True)).to(dtype))
    assert recognise(read_contents(folder)).facts["decoder"].startswith("rows of norm 1: activations are of folded")


def test_the_norms_of_goodfires_decoder_are_those_of_its_columns(tmp_path: Path, goodfire: Path) -> None:
    """Its matrix is [d_in, d_sae]: the feature (3, 4) has norm 5."""
    tensors = torch.load(goodfire, weights_only=True)
    decoder = torch.tensor([[3.0, 1.0, 0.0], [4.0, 0.0, 1.0]])
    torch.save({**tensors, "decoder_linear.weight": decoder}, tmp_path / "x.pt")
    assert recognise(read_contents(tmp_path / "x.pt")).facts["decoder"].startswith("rows of norm 1 to 5")


def test_an_old_configuration_is_understood(tmp_path: Path) -> None:
    """Before SAELens 6 all stood at the top level and the hook was a hook_point; what is not said is not made up."""
    folder = sae_folder(tmp_path / "sae", {"d_in": 2, "d_sae": 3, "hook_point": "blocks.6.hook_resid_pre"})
    facts = recognise(read_contents(folder)).facts
    assert facts["hook"] == "blocks.6.hook_resid_pre"
    assert facts["BOS"] == facts["context"] == facts["architecture"] == "not stated"


def test_what_does_not_fit_is_warned_of(tmp_path: Path) -> None:
    """Weights that contradict each other or their configuration, or have none, are said to."""
    wrong = sae_folder(tmp_path / "a", CONFIG | {"d_sae": 4}, b_enc=torch.zeros(5))
    assert recognise(read_contents(wrong)).warnings == (
        "b_enc has shape [5]; wanted [3] beside this encoder",
        "cfg.json says d_sae 4, the weights 3",
    )
    alone = sae_folder(tmp_path / "b", None)
    assert recognise(read_contents(alone)).warnings == ("no cfg.json beside the weights: sae-lens cannot load them",)


def test_the_articles_files_are_recognised(run: Run, activations: Path, tmp_path: Path) -> None:
    """Activations and features are named with topics, styles and width; one entry stands for all."""
    found = run("inspect", activations)
    assert "the article's activations of the last prompt token, [1, d_in] a topic and style" in found.out
    assert "0.novice_activation  [1, 2]  float32      8\n" in found.out
    assert "1.topic" not in found.out
    assert "... and 4 more keys" in found.out
    torch.save([{"topic": "t", "novice_features": torch.ones(4)}], tmp_path / "f.pt")
    assert "the article's features" in run("inspect", tmp_path / "f.pt").out
    torch.save([{"topic": "t", "novice_features": torch.ones(1, 4)}], tmp_path / "g.pt")
    nearly = run("inspect", tmp_path / "g.pt").out
    assert "nearly the article's features" in nearly
    assert "has shape [1, 4]; wanted shape [d_sae]" in nearly


def test_the_articles_json_is_recognised(run: Run, tmp_path: Path) -> None:
    """A comparison and an EID table are named; other JSON is unknown, not an error."""
    table = [{"topic": "t", "eid": {"novice": {"eid": 8.5, "seq_len": 40}}}]
    (tmp_path / "eid.json").write_text(json.dumps(table))
    assert "a table of EID by topic and persona" in run("inspect", tmp_path / "eid.json").out
    diff = {
        "summary": {f"{s}_{m}": 1 for s in "ab" for m in ("avg_active", "avg_intensity", "only_count")},
        **{f"{s}_{m}_features": [] for s in "ab" for m in ("dominant", "only")},
    }
    (tmp_path / "d.json").write_text(json.dumps(diff))
    assert "the article's comparison of a with b prompts" in run("inspect", tmp_path / "d.json").out
    (tmp_path / "topics.json").write_text('["tides", "yeast"]')
    assert "a list of 2 strings" in run("inspect", tmp_path / "topics.json").out
    fires = {"total_activated": 3, "total_not_activated": 1, "activation_rate": 0.75}
    firing = {"7": {**fires, "condition_distribution": {"a": 2, "b": 1}}}
    (tmp_path / "firing.json").write_text(json.dumps(firing))
    assert "how often named features fire, by style" in (said := run("inspect", tmp_path / "firing.json").out)
    assert "prompts     2 a style" in said
    (tmp_path / "firing.json").write_text(json.dumps(firing).replace("0.75", "0.5"))
    assert "nearly how often named features fire" in run("inspect", tmp_path / "firing.json").out
    topic = {"total_samples": 2, "activated_count": 0, "activation_rate": 0, "mean_activation": 0, "max_activation": 0}
    (tmp_path / "topic.json").write_text(json.dumps({"a_features": {"7": {**topic, "activated_topics": []}}}))
    assert "topics      2, of which it names 0" in run("inspect", tmp_path / "topic.json").out
    (tmp_path / "x.json").write_text('{"x": 1}')
    other = run("inspect", tmp_path / "x.json")
    assert (other.code, "unknown; here are its keys" in other.out) == (0, True)


RUN = RunOfReport(
    command="pytest probes/",
    exit_code=0,
    duration_s=1.0,
    alpha=0.05,
    seed=0,
    workers=0,
    commit="0123abcd",
    dirty=True,
    python="3.11.7",
    platform="Linux",
    device="cpu",
    evidence_dir=None,
    versions={},
    computed_prompts=0,
    stored_prompts=0,
    ended="2026-07-01T12:00:00+00:00",
    files={},
)


def report_file(path: Path, *, run: RunOfReport = RUN, planned: tuple[str, ...] = ()) -> Path:
    """Write a report of two claims on two subjects, one of them a declared non-reproduction."""
    known = {"finch": refuted("known")}
    cases: tuple[tuple[str, str, Word], ...] = (
        ("a.b", "sparrow", "supported"),
        ("a.b", "finch", "refuted"),
        ("a.c", "sparrow", "supported"),
    )
    probes = [
        probe_to_json(
            claim=Claim(id=claim, sentence="It holds.", source="here", not_reproduced=known),
            nodeid=f"t.py::{claim}[{subject}]",
            subject=subject,
            verdict=Verdict(word=word, reason="so it is"),
            evidence=[],
            published=[],
            duration_s=0.1,
        )
        for claim, subject, word in cases
    ]
    write_report(
        build_document(
            probes=probes, run=run, subjects=[], planned=list(planned), generated="2026-11-22T04:00:00+00:00"
        ),
        path,
    )
    return path


def test_a_report_is_summed_up(run: Run, tmp_path: Path) -> None:
    """When and from what it was made, how many claims on which subjects, and how the verdicts are spread."""
    path = report_file(tmp_path / "any-name.json", planned=("a.b[sparrow]", "a.lost[sparrow]"))
    found = run("inspect", path, "--json")
    assert found.code == 0, found.err
    data = json.loads(found.out)
    assert data["kind"] == "report"
    assert data["description"].startswith("a report of saeprobe, schema version 2.5")
    assert data["facts"] == {
        "written": "2026-11-22T04:00:00+00:00",
        "command": "pytest probes/",
        "commit": "0123abcd, with uncommitted changes",
        "claims": "2 on sparrow, finch",
        "verdicts": "2 supported, 1 refuted (1 as declared)",
    }
    assert data["warnings"] == ["planned, but nothing was reported: a.lost[sparrow]"]
    assert "  what it is  a report of saeprobe, schema version 2.5" in run("inspect", path).out
    outside = report_file(path, run=replace(RUN, commit=None, dirty=None))
    assert recognise(read_contents(outside)).facts["commit"] == "not a git checkout"


def test_a_baseline_is_summed_up(run: Run, tmp_path: Path) -> None:
    """Of each subject the approval that counts: the verdict, who, when and why."""
    first = Baseline(
        claim="a.b",
        subject="sparrow",
        sentence="It holds.",
        approved_by="Ada",
        because="the first run",
        on="2026-11-20",
        verdict="supported",
        values=(Value(label="novice", measure="l0", unit="features", mean=18.8),),
        measured_with=Provenance(),
    )
    later = replace(first, approved_by="Li Na", because="the SAE is new", on="2026-11-21", verdict="refuted")
    path = tmp_path / "a.b.json"
    path.write_text(text_of({("a.b", "sparrow"): (first, later), ("a.b", "finch"): (first,)}), encoding="utf-8")
    found = json.loads(run("inspect", path, "--json").out)
    assert found["kind"] == "baseline"
    assert found["description"] == "a baseline of saeprobe: what was approved of the claim a.b"
    assert found["facts"] == {
        "on finch": 'supported, by Ada on 2026-11-20, because "the first run"',
        "on sparrow": 'refuted, by Li Na on 2026-11-21, because "the SAE is new"',
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": "urn:saeprobe:report:1", "schema_version": "1.2"}', "a report of saeprobe that cannot be used"),
        ('{"schema": "urn:saeprobe:report:3", "schema_version": "3.0"}', "has schema version '3.0'"),
        ('{"kind": "saeprobe baseline 1", "claim": "other"}', "a baseline of saeprobe that cannot be used"),
    ],
)
def test_a_damaged_report_or_baseline_is_said_to_be(run: Run, tmp_path: Path, text: str, message: str) -> None:
    """What names itself one and cannot be read is listed all the same, with what is wrong and what to do."""
    path = tmp_path / "a.b.json"
    path.write_text(text, encoding="utf-8")
    found = run("inspect", path)
    assert found.code == 0, found.err
    assert message in found.out
    assert "  warning     " in found.out


def test_unknown_contents_are_listed(run: Run, tmp_path: Path) -> None:
    """Nested dicts, lists and scalars are listed by their keys; so are the arrays of an archive."""
    torch.save({"state": {"W": torch.ones(2, 3)}, "steps": [1, torch.ones(1)]}, tmp_path / "x.pth")
    found = run("inspect", tmp_path / "x.pth")
    assert "unknown; here are its keys" in found.out
    assert "state.W  [2, 3]  float32     24\n" in found.out
    assert "steps.0          int          0\n" in found.out
    np.savez(tmp_path / "x.npz", W=np.ones((2, 3), dtype=np.float16))
    assert "W    [2, 3]  float16     12\n" in run("inspect", tmp_path / "x.npz").out


def test_weights_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A safetensors file is known by its header alone; a zip-format `.pt` is mapped, never read."""
    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.load_file", lambda *_: pytest.fail("read the weights"))
        assert len(read_contents(sae_folder(tmp_path / "sae")).items) == 4
    torch.save({"W": torch.ones(2)}, tmp_path / "x.pt")
    held = cast("dict[str, StoredTensor]", read_contents(tmp_path / "x.pt").data)["W"].stored.base
    assert isinstance(held.obj if isinstance(held, memoryview) else held, mmap.mmap)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.safetensors", b"", "header too small); wanted a whole safetensors file; download it again"),
        (
            "x.safetensors",
            struct.pack("<Q", 10**12) + b"{}",
            "it is damaged (Error while deserializing header: header too large)",
        ),
        ("x.safetensors", struct.pack("<Q", 2) + b"[]", "invalid JSON in header"),
        ("x.safetensors", struct.pack("<Q", 2) + b"{}" + b"more", "file not fully covered"),
        ("x.npz", b"PK nothing", "wanted a .npz archive of arrays"),
        ("x.pt", b"nothing", "it cannot be read (truncated, damaged, or no .pt file)"),
        ("x.json", b"nothing", "it is not JSON"),
        ("x.txt", b"nothing", "a file ending in '.txt' cannot be read"),
    ],
)
def test_damaged_and_foreign_files_are_explained(
    run: Run, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """What cannot be read is one line and exit code 2."""
    (tmp_path / name).write_bytes(content)
    found = run("inspect", tmp_path / name)
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert found.err.count("\n") == 1


def test_a_truncated_safetensors_file_is_noticed(run: Run, tmp_path: Path) -> None:
    """A download that broke off is seen from the header and the size."""
    file = sae_folder(tmp_path / "sae") / "sae_weights.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    assert "wanted a whole safetensors file; download it again" in run("inspect", file).err


def test_a_folder_must_hold_one_file_of_weights(run: Run, tmp_path: Path) -> None:
    """None or several are listed, and the choice left to the user."""
    assert "holds these files of weights: none" in run("inspect", tmp_path).err
    torch.save({}, tmp_path / "a.pt")
    torch.save({}, tmp_path / "b.pt")
    assert "a.pt, b.pt; wanted exactly one" in run("inspect", tmp_path).err
