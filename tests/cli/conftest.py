"""The tests of the command line share a runner, and small files in the shapes that the commands read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from saeprobe.__main__ import main

STYLES = ("standard", "padding", "spaces", "novice", "expert", "guru")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run_command(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Outcome(code=code, out=printed.out, err=printed.err)

    return run_command


@pytest.fixture
def goodfire(tmp_path: Path) -> Path:
    """A `.pt` in Goodfire's format worked by hand: d_in 2, d_sae 3; feature i is relu(w_i . x + b_i)."""
    path = tmp_path / "goodfire.pt"
    weights = {
        "encoder_linear.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]),
        "encoder_linear.bias": torch.tensor([0.0, -0.5, 1.0]),
        "decoder_linear.weight": torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]),
        "decoder_linear.bias": torch.zeros(2),
    }
    torch.save(weights, path)
    return path


@pytest.fixture
def activations(tmp_path: Path) -> Path:
    """The file has two topics, novice and expert, d_in 2."""
    path = tmp_path / "activations.pt"
    rows = [
        {
            "topic": "tides",
            "guru": "Galileo",
            "novice_activation": torch.tensor([[2.0, 1.0]]),
            "expert_activation": torch.tensor([[-1.0, 1.5]]),
        },
        {
            "topic": "rain",
            "guru": "Dalton",
            "novice_activation": torch.tensor([[0.25, 0.25]]),
            "expert_activation": torch.tensor([[-3.0, -2.0]]),
        },
    ]
    torch.save(rows, path)
    return path
