"""`saeprobe encode` and `saeprobe diff` give what was worked by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig

from saeprobe.cli import article_steps
from saeprobe.recorded.tensors import read_features

# relu of x0, x1 - 0.5 and 1 - x0 - x1, by hand from the activations of the fixture

Run = Callable[..., Any]

NOVICE = [[2.0, 0.5, 0.0], [0.25, 0.0, 0.5]]
EXPERT = [[0.0, 1.0, 0.5], [0.0, 0.0, 6.0]]


def test_goodfires_sae_encodes_as_worked_by_hand(run: Run, goodfire: Path, activations: Path, tmp_path: Path) -> None:
    """Features are those of pencil and paper; topics and gurus go along; the table is the article's."""
    out = tmp_path / "features.pt"
    found = run("encode", activations, "--sae", goodfire, "-o", out)
    assert found.code == 0, found.err
    features = read_features(out)
    assert features.rows["novice"].toarray().tolist() == NOVICE
    assert features.rows["expert"].toarray().tolist() == EXPERT
    assert (features.topics, features.gurus) == (("tides", "rain"), ("Galileo", "Dalton"))
    assert "novice                    2              2.00           2.0\n" in found.out
    assert "expert                    2              1.00           1.5\n" in found.out


def test_a_saelens_folder_encodes_through_sae_lens(run: Run, activations: Path, tmp_path: Path) -> None:
    """What is written is what sae-lens computes, its b_dec subtraction included."""
    torch.manual_seed(1)
    sae = StandardSAE(StandardSAEConfig(d_in=2, d_sae=5, apply_b_dec_to_input=True))
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.normal_()
    sae.save_model(tmp_path / "sae")
    out = tmp_path / "features.pt"
    found = run("encode", activations, "--sae", tmp_path / "sae", "-o", out)
    assert found.code == 0, found.err
    with torch.no_grad():
        wanted = sae.encode(torch.tensor([[2.0, 1.0], [0.25, 0.25]])).numpy()
    np.testing.assert_allclose(read_features(out).rows["novice"].toarray(), wanted, rtol=1e-6)


def test_batching_changes_nothing(
    run: Run, goodfire: Path, activations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row at a time gives the same file as all at once."""
    monkeypatch.setattr(article_steps, "_DENSE_BYTES", 1)
    assert run("encode", activations, "--sae", goodfire, "-o", tmp_path / "f.pt").code == 0
    assert read_features(tmp_path / "f.pt").rows["novice"].toarray().tolist() == NOVICE


def test_a_width_that_does_not_fit_names_both(run: Run, goodfire: Path, tmp_path: Path) -> None:
    """Activations of another model are refused with both widths and both files."""
    torch.save([{"topic": "t", "novice_activation": torch.ones(1, 7)}], tmp_path / "wide.pt")
    found = run("encode", tmp_path / "wide.pt", "--sae", goodfire, "-o", tmp_path / "f.pt")
    assert found.code == 2
    assert f"wide.pt holds activations of d_in 7, the SAE {goodfire} reads d_in 2" in found.err
    assert not (tmp_path / "f.pt").exists()


def test_what_is_no_sae_is_refused(run: Run, activations: Path, goodfire: Path, tmp_path: Path) -> None:
    """Another kind of file, inconsistent weights, an unknown name and an unusable device are each explained."""

    def refusal(sae: object, *more: str) -> str:
        found = run("encode", activations, "--sae", sae, "-o", tmp_path / "f.pt", *more)
        assert found.code == 2
        return found.err

    assert "wanted a SAELens folder or a .pt in Goodfire's format" in refusal(activations)
    assert "there is no such file or folder, and there is no subject 'sparow'" in refusal("sparow")
    weights = torch.load(goodfire, weights_only=True) | {"decoder_linear.bias": torch.zeros(9)}
    torch.save(weights, tmp_path / "bad.pt")
    assert "decoder_linear.bias has shape [9]; wanted [2]" in refusal(tmp_path / "bad.pt")
    assert "--device warp: torch cannot use it here" in refusal(goodfire, "--device", "warp")


def test_a_saelens_folder_that_sae_lens_refuses_is_explained(run: Run, activations: Path, tmp_path: Path) -> None:
    """An architecture that sae-lens does not know, and a scaling whose factor is not in the files."""
    sae = StandardSAE(StandardSAEConfig(d_in=2, d_sae=3, normalize_activations="expected_average_only_in"))
    sae.save_model(tmp_path / "sae")
    found = run("encode", activations, "--sae", tmp_path / "sae", "-o", tmp_path / "f.pt")
    assert (found.code, "scales its inputs by a factor that its files do not hold" in found.err) == (2, True)
    config = json.loads((tmp_path / "sae" / "cfg.json").read_text())
    (tmp_path / "sae" / "cfg.json").write_text(json.dumps(config | {"architecture": "cubist"}))
    found = run("encode", activations, "--sae", tmp_path / "sae", "-o", tmp_path / "f.pt")
    assert (found.code, "sae-lens cannot load it" in found.err) == (2, True)


def test_diff_prints_the_articles_table(run: Run, tmp_path: Path) -> None:
    """The rows of the article with the difference in percent, both means of strength, and what separates the styles."""
    rows = [
        {"novice_features": torch.tensor([1.0, 2.0, 0.0]), "expert_features": torch.tensor([0.0, 1.0, 0.0])},
        {"novice_features": torch.tensor([6.0, 0.0, 0.0]), "expert_features": torch.tensor([0.0, 3.0, 0.0])},
    ]
    torch.save([{"topic": str(place)} | row for place, row in enumerate(rows)], tmp_path / "f.pt")
    found = run("diff", tmp_path / "f.pt", "-o", tmp_path / "d.json")
    assert found.code == 0, found.err
    assert found.out.splitlines()[:8] == [
        "                                            novice  expert  difference",
        "active features a prompt (mean)                1.5     1.0        +50%",
        "exclusive features                               1       0           -",
        "strength, mean of all active values pooled   3.000   2.000        +50%",
        "strength, mean of the prompts' means         3.750   2.000        +88%",
        "on every novice and no expert prompt, 1 in all: 0",
        "on every expert and no novice prompt, 0 in all: none",
        "Counts of prompts are compared exactly; features with equal ones stand in order of their numbers.",
    ]
    assert json.loads((tmp_path / "d.json").read_text())["summary"]["novice_only_count"] == 1


def test_diff_lists_every_separating_feature_within_a_hundred_columns(run: Run, tmp_path: Path) -> None:
    """Eighty features separate the styles, more than the thirty that lean most; a silent prompt has no mean."""
    ones, rest = torch.cat([torch.ones(80), torch.zeros(1)]), torch.cat([torch.zeros(80), torch.ones(1)])
    rows = [{"novice_features": ones, "expert_features": of} for of in (rest, 0 * rest)]
    torch.save([{"topic": str(place)} | row for place, row in enumerate(rows)], tmp_path / "f.pt")
    found = run("diff", tmp_path / "f.pt", "-o", tmp_path / "d.json")
    assert f"80 in all: {', '.join(map(str, range(80)))} on every expert" in " ".join(found.out.split())
    assert "strength, mean of the prompts' means" not in found.out
    assert "A prompt has no active feature, and so no mean of its own." in found.out
    printed = [*found.out.splitlines(), *run("diff", "--help").out.splitlines()]
    assert [line for line in printed if len(line) > 100 and str(tmp_path) not in line] == []


def test_outputs_are_not_overwritten_unasked(run: Run, tmp_path: Path, goodfire: Path, activations: Path) -> None:
    """An existing file is kept and named, unless --force is given; a folder is never replaced."""
    torch.save([{"topic": "t", "a_features": torch.ones(2), "b_features": torch.ones(2)}], tmp_path / "f.pt")
    out = tmp_path / "kept"
    out.write_text("kept")
    for words in (("diff", tmp_path / "f.pt", "--a", "a", "--b", "b"), ("encode", activations, "--sae", goodfire)):
        found = run(*words, "-o", out)
        assert (found.code, out.read_text()) == (2, "kept")
        assert f"{out} exists; choose another name with -o, or replace it with --force" in found.err
    assert run("diff", tmp_path / "f.pt", "--a", "a", "--b", "b", "-o", out, "--force").code == 0
    assert json.loads(out.read_text())["summary"]["a_only_count"] == 0
    assert "is a folder" in run("diff", tmp_path / "f.pt", "-o", tmp_path, "--force").err
    assert "is absent; make it first" in run("diff", tmp_path / "f.pt", "-o", tmp_path / "no" / "d.json").err


def test_diff_explains_what_it_cannot_compare(run: Run, tmp_path: Path) -> None:
    """An unknown style is named beside those that the file has."""
    torch.save([{"topic": "t", "a_features": torch.ones(2)}], tmp_path / "f.pt")
    found = run("diff", tmp_path / "f.pt", "-o", tmp_path / "d.json")
    assert (found.code, "f.pt: no style 'novice'; there are: a" in found.err) == (2, True)
