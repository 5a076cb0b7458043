"""The published experiment by code of its own and by saeprobe: they agree, and what is wrong is found."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.published import protocol
from studies.published.__main__ import PUBLISHED, Line, compare, decided, declare, main
from studies.published.protocol import NEAR, Protocol, Read, compared, make, read

STATE = 3
STEPS = ("published", "one-bos", "next-layer", "bfloat16", "float32", "rank-without-bos", "other-prompts", "all")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with a model of 5 layers."""
    made = tmp_path_factory.mktemp("published")
    make(made, replace(declare(made, state=STATE)[PUBLISHED], dtype="float32"), layers=5, width=16, seed=0)
    return made


@pytest.fixture(scope="module")
def steps(folder: Path) -> Mapping[str, Protocol]:
    """Return the protocol of each step."""
    return declare(folder, state=STATE)


def apart(lines: Sequence[Line]) -> set[str]:
    """Return what does not agree."""
    return {line.what for line in lines if not line.agrees}


def test_the_steps_are_those_between_the_two_protocols(steps: Mapping[str, Protocol]) -> None:
    """Each but the last differs from the published protocol in one thing, and the last in all of them but float32."""
    assert tuple(steps) == tuple(f"{step}-as-published" for step in STEPS)
    first, *others, last = (vars(protocol) for protocol in steps.values())
    assert [sum(one[key] != first[key] for key in first) for one in others] == [1] * len(others)
    assert all(last[key] != first[key] for key in first)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_agrees(folder: Path, steps: Mapping[str, Protocol], step: str) -> None:
    """In every dtype saeprobe's batches read what one prompt at a time reads, up to rounding."""
    subject = f"{step}-as-published"
    lines = compare(folder, subject, steps[subject], read(folder, steps[subject]))
    assert apart(lines) == set()
    assert len(lines) > 10
    if step == "float32":
        (moved,) = (line.apart for line in lines if line.what == "activations, relative")
        assert moved < 2e-6


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"state": STATE + 1}, {"activations, relative", "EID, relative"}),
        ({"bos_twice": False}, {"tokens", "activations, relative", "EID, relative"}),
        ({"rank_with_bos": False}, {"EID, relative"}),
    ],
    ids=["hook", "BOS", "rank"],
)
def test_a_wrong_protocol_is_found(
    folder: Path, steps: Mapping[str, Protocol], wrong: dict[str, Any], found: set[str]
) -> None:
    """A layer too far, a BOS too few and a rank without BOS are no rounding."""
    other = replace(steps[PUBLISHED], **wrong)
    assert apart(compare(folder, PUBLISHED, other, read(folder, other))) >= found


def test_a_dtype_that_rounds_more_is_found(folder: Path, steps: Mapping[str, Protocol]) -> None:
    """float16 is further from float32 than float32 rounds."""
    other = replace(steps[PUBLISHED], dtype="float32")
    assert "activations, relative" in apart(compare(folder, PUBLISHED, other, read(folder, other)))


def test_other_prompts_are_found_before_anything_is_compared(folder: Path, steps: Mapping[str, Protocol]) -> None:
    """Numbers of different prompts are never held against each other."""
    other = steps["other-prompts-as-published"]
    (line,) = compare(folder, PUBLISHED, other, read(folder, other))
    assert (line.what, line.apart, line.agrees) == ("prompts", 96, False)  # 48 on either side


def test_verdicts_agree_and_a_record_of_other_numbers_is_found(folder: Path, steps: Mapping[str, Protocol]) -> None:
    """The study's files decide as a run does; with the features of two styles exchanged they do not."""
    float32 = "float32-as-published"
    studied = {name: read(folder, steps[name]) for name in (PUBLISHED, float32)}
    right = studied[float32]
    turned = {"novice": "expert", "expert": "novice"}
    prompts = [(turned.get(style, style), topic, text) for style, topic, text in right.prompts]
    lines = decided(folder, steps, studied | {float32: replace(right, prompts=prompts)})
    assert apart(lines[PUBLISHED]) == set()
    assert apart(lines[float32]) == {"verdicts"}


def test_a_share_of_the_features_fires_by_rounding(folder: Path, steps: Mapping[str, Protocol]) -> None:
    """What goes into each 16th feature is 0 on one prompt, as the published protocol reads it in float32."""
    inputs = read(folder, replace(steps[PUBLISHED], dtype="float32")).inputs
    assert (inputs == 0).sum(axis=0).tolist() == [int(at % NEAR == 0) for at in range(128)]
    assert 0.1 < (inputs > 0).mean() < 0.2


def test_the_comparison_of_two_styles_is_the_published_one() -> None:
    """Means, exclusive features and rates of a made reading, worked by hand."""
    inputs = np.array([[2, -1, 0, 3], [4, -1, -1, 0], [-1, 1, -2, 5], [-1, 1, -2, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    made = Read(
        prompts=[(style, topic, "") for style in ("novice", "expert", "standard") for topic in "ab"],
        lengths=[1] * 6,
        states=np.zeros((6, 1)),
        inputs=inputs,
        norms=np.ones(4),
        eid=np.ones(6),
    )
    found = compared(made)
    assert found["summary"] == {
        "novice_avg_active": 1.5, "expert_avg_active": 1.5, "standard_avg_active": 0.5, "novice_avg_intensity": 3.0,
        "expert_avg_intensity": 7 / 3, "novice_only_count": 1, "expert_only_count": 1,
    }  # fmt: skip
    assert found["novice_dominant_features"] == [{"index": 0, "novice_freq": 1.0, "expert_freq": 0.0, "diff": 1.0}]
    assert found["expert_dominant_features"] == [{"index": 1, "novice_freq": 0.0, "expert_freq": 1.0, "diff": -1.0}]
    assert (found["novice_only_features"], found["expert_only_features"]) == ([0], [1])


def test_the_protocol_imports_nothing_of_saeprobe() -> None:
    """Its numbers are no test of saeprobe's if saeprobe computes them."""
    tree = ast.walk(ast.parse(Path(str(protocol.__file__)).read_text(encoding="utf-8")))
    named = [
        name
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    ]
    assert {name.partition(".")[0] for name in named} >= {"torch", "transformers", "numpy"}
    assert not [name for name in named if name.startswith(("saeprobe", "studies"))]


def test_too_few_layers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The last of transformers' hidden states is after the final norm, so that a layer more would not be read."""
    with pytest.raises(SystemExit):
        main(["--layers", "6", "--state", "5"])
    assert "wanted 7 or more" in capsys.readouterr().err
