"""Remembering: a model answers again what it ran before, and runs the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest


class Counting:
    """A model whose stream at a depth is its tokens times that depth; it keeps count of what it runs."""

    device = "cpu"

    def __init__(self) -> None:
        self.ran: list[Any] = []

    def run(self, runs: Sequence[Any], *, batch_size: int, progress: Any = None) -> Any:
        """Yield the last run first, each a view of one tensor."""
        import torch

        del batch_size
        for index in reversed(range(len(runs))):
            run = runs[index]
            self.ran.append(run)
            batch = torch.tensor([run.ids, run.ids], dtype=torch.float32)[:, :, None]
            yield index, {depth: (batch * depth)[0] for depth in run.depths}
        if progress is not None:
            progress(1.0)

    def speaker(self) -> Any:
        """Return itself."""
        return self


def runs(*ids: tuple[int, ...], depths: tuple[int, ...] = (1, 2)) -> list[Any]:
    """Return runs of these tokens."""
    from saeprobe.subject.running import Run

    return [Run(ids=one, depths=depths) for one in ids]


def answers(model: Any, wanted: list[Any]) -> dict[int, dict[int, list[float]]]:
    """Return the streams as numbers, by index and depth."""
    return {
        index: {depth: one[:, 0].tolist() for depth, one in streams.items()}
        for index, streams in model.run(wanted, batch_size=4)
    }


def test_what_was_run_is_answered_again() -> None:
    """Each run with its own index; only what is new is run, also of the same tokens at other depths."""
    from saeprobe.subject.running.random import RememberingModel

    counting: Any = Counting()
    model = RememberingModel(model=counting)
    first = runs((1, 2), (3,))
    expected = {0: {1: [1, 2], 2: [2, 4]}, 1: {1: [3], 2: [6]}}
    assert answers(model, first) == answers(model, first) == expected
    assert len(counting.ran) == 2
    assert answers(model, runs((5,), (3,), (1, 2))) == {0: {1: [5], 2: [10]}, 1: expected[1], 2: expected[0]}
    assert answers(model, runs((3,), depths=(3,))) == {0: {3: [9]}}
    assert [run.ids for run in counting.ran[2:]] == [(5,), (3,)]
    assert (model.device, model.speaker()) == ("cpu", counting)


def test_what_does_not_fit_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 bytes a run of two tokens at two depths takes all, and a further one finds no place."""
    from saeprobe.subject.running import random as remembering

    monkeypatch.setattr(remembering, "_BYTES", 16)
    counting: Any = Counting()
    model = remembering.RememberingModel(model=counting)
    for _ in range(2):
        assert answers(model, runs((1, 2))) == {0: {1: [1, 2], 2: [2, 4]}}
        assert answers(model, runs((7,))) == {0: {1: [7], 2: [14]}}
    assert [run.ids for run in counting.ran] == [(1, 2), (7,), (7,)]


def test_a_batch_of_which_a_part_was_kept_is_run_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for one of the two runs: the batch keeps its shape, by which its numbers are rounded."""
    from saeprobe.subject.running import random as remembering

    monkeypatch.setattr(remembering, "_BYTES", 16)
    counting: Any = Counting()
    model = remembering.RememberingModel(model=counting)
    batch = [replace(run, batch="a") for run in runs((1, 2), (7, 8))]
    for _ in range(2):
        assert answers(model, batch) == {0: {1: [1, 2], 2: [2, 4]}, 1: {1: [7, 8], 2: [14, 16]}}
    assert [run.ids for run in counting.ran] == [(7, 8), (1, 2)] * 2
    assert answers(model, runs((7, 8))) == {0: {1: [7, 8], 2: [14, 16]}}
    assert len(counting.ran) == 5


def test_progress_reaches_its_end_where_nothing_is_run() -> None:
    """Whoever waits sees the end of it."""
    from saeprobe.subject.running.random import RememberingModel

    counting: Any = Counting()
    model = RememberingModel(model=counting)
    shares: list[float] = []
    for _ in range(2):
        list(model.run(runs((1, 2)), batch_size=4, progress=shares.append))
    assert shares == [1.0, 1.0]
