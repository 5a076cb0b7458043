"""The residual stream: what a language model gives a reader, whichever library runs it, wherever its weights lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from saeprobe.subject.protocol import Share


@dataclass(frozen=True, kw_only=True)
class Run:
    """One sequence of tokens and the depths at which its residual stream is wanted.

    A depth is the number of blocks that ran before: depth k is `blocks.k.hook_resid_pre` of TransformerLens, and
    `hidden_states[k]` of transformers for every k but the last, which is after the final norm there.
    """

    ids: tuple[int, ...]
    depths: tuple[int, ...]


class ResidualStream(Protocol):
    """A language model up to the hook."""

    @property
    def device(self) -> str:
        """Where it computes, as torch writes it."""
        ...

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Mapping[int, Float[Tensor, "pos d_in"]]]]:
        """The streams of each run by depth, with the run's index; every run once, in an order of its own choosing.

        Args:
            runs: token sequences of any lengths; padding is the model's affair and is not in what it yields.
            batch_size: sequences a forward pass at most; halved when the memory does not hold them.
            progress: told after each step.
        """
        ...
