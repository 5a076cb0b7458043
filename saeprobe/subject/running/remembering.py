"""Remembering: a model whose streams are kept, for several SAEs that read the same prompts of it in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jaxtyping import Float
from torch import Tensor

from saeprobe.subject.protocol import Share
from saeprobe.subject.running.reader import Model
from saeprobe.subject.running.steering import Speaker
from saeprobe.subject.running.stream import Run

_BYTES: Final = 2**30
"""Kept at most, in the machine's own memory; what does not fit is run again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RememberingModel:
    """A model that runs each prompt once, as far as memory allows, and answers from what it kept from then on."""

    model: Model
    _kept: dict[Run, Mapping[int, Float[Tensor, "pos d_in"]]] = field(
        default_factory=dict[Run, Mapping[int, Float[Tensor, "pos d_in"]]], init=False, repr=False
    )

    @property
    def device(self) -> str:
        """Where the model computes, as torch writes it."""
        return self.model.device

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Mapping[int, Float[Tensor, "pos d_in"]]]]:
        """The streams of each run by depth; see `ResidualStream`."""
        lacking = [index for index, run in enumerate(runs) if run not in self._kept]
        if lacking:
            part = [runs[index] for index in lacking]
            for number, streams in self.model.run(part, batch_size=batch_size, progress=progress):
                self._keep(part[number], streams)
                yield lacking[number], streams
        for index in sorted(set(range(len(runs))) - set(lacking)):
            yield index, self._kept[runs[index]]
        if progress is not None and not lacking:
            progress(1.0)

    def _keep(self, run: Run, streams: Mapping[int, Float[Tensor, "pos d_in"]]) -> None:
        size = sum(stream.nbytes for stream in streams.values())
        if size + sum(one.nbytes for kept in self._kept.values() for one in kept.values()) <= _BYTES:
            # A copy: what comes out of a batch is a view of all of it.
            self._kept[run] = {depth: stream.detach().to("cpu", copy=True) for depth, stream in streams.items()}

    def speaker(self) -> Speaker:
        """The whole model, to write continuations with; see `Model.speaker`."""
        return self.model.speaker()
