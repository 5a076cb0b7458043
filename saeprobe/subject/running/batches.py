"""Batches: sequences of different lengths side by side, and fewer at once when memory is full."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from jaxtyping import Float, Int
from torch import Tensor
from transformers.utils import logging

from saeprobe.subject.specification import ReadingError, Share, SubjectError


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


Side = Literal["left", "right"]


_Item = TypeVar("_Item")


_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Sequences padded to one length. `mask` is 1 on real tokens, `positions` count these alone."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"]
    lengths: tuple[int, ...]
    side: Side

    def without_padding(self, states: Float[Tensor, "batch pos d_in"]) -> list[Float[Tensor, "_ d_in"]]:
        """Each sequence's own states."""
        if self.side == "right":
            return [row[:length] for row, length in zip(states, self.lengths, strict=True)]
        return [row[len(row) - length :] for row, length in zip(states, self.lengths, strict=True)]


def check_runs(runs: Sequence[Run], *, depth: int) -> None:
    """Refuse what cannot be run.

    Raises:
        SubjectError: a run has no tokens, wants no depth, or one outside [0, depth].
    """
    for number, run in enumerate(runs):
        if not run.ids or not run.depths:
            raise SubjectError(
                f"run {number} has {len(run.ids)} tokens and {len(run.depths)} depths; wanted some of each"
            )
        strange = [one for one in run.depths if not 0 <= one <= depth]
        if strange:
            raise SubjectError(
                f"run {number} wants the residual stream at depth {strange[0]}; this model is loaded up to depth "
                f"{depth}: open it with a depth of {strange[0]}"
            )


def pad(sequences: Sequence[Sequence[int]], *, side: Side, device: str, length: int | None = None) -> Batch:
    """One batch on a device, as long as its longest sequence, or `length`.

    What stands on the padding is token 0: no real token can see it, on the right because attention is causal, on the
    left because of the mask.
    """
    lengths = tuple(len(sequence) for sequence in sequences)
    longest = length or max(lengths)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        start = 0 if side == "right" else longest - len(sequence)
        ids[row, start : start + len(sequence)] = torch.tensor(sequence)
        mask[row, start : start + len(sequence)] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return Batch(ids=ids.to(device), mask=mask.to(device), positions=positions.to(device), lengths=lengths, side=side)


def chunks(items: Sequence[_Item], *, batch_size: int) -> list[Sequence[_Item]]:
    """Parts of `batch_size` items, the last one of what is left.

    Raises:
        ReadingError: the batch size is less than 1.
    """
    if batch_size < 1:
        raise ReadingError(f"the batch size is {batch_size}; wanted 1 or more")
    return [items[start : start + batch_size] for start in range(0, len(items), batch_size)]


class _Part(Protocol):
    """What can be cut."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> Self: ...


_P = TypeVar("_P", bound=_Part)


def each_part(parts: Iterable[_P], work: Callable[[_P], _Result], *, where: str) -> Iterator[tuple[_P, _Result]]:
    """The parts in order, each with what `work` makes of it.

    When the memory is full with a part, it is halved, and no later one is longer than its half.

    Args:
        parts: give those that need most memory first, so that the size is found at the start.
        work: must leave nothing behind when it raises.
        where: the device, for the error.

    Raises:
        ReadingError: the memory does not hold a part of length 1.
    """
    waiting, limit = deque(parts), None
    while waiting:
        part = waiting.popleft()
        if limit is not None and len(part) > limit:
            waiting.extendleft((part[limit:], part[:limit]))
            continue
        done, full = attempt(work, part)
        if done:
            yield part, done[0]
        elif len(part) == 1:
            raise ReadingError(
                f"the memory of {where} is full with a single prompt ({full}); shorten the longest prompt, or keep one "
                'layer at a time in memory: memory = "streamed" for this subject'
            )
        else:
            limit = len(part) // 2
            waiting.appendleft(part)
            # After `attempt` returned: while the error lives, so do the tensors in the frames of its traceback.
            clear_device_cache(garbage_collection=True)


def run_in_batches(
    runs: Sequence[Run],
    forward: Callable[[Sequence[Run]], Sequence[Mapping[int, Float[Tensor, "pos d_in"]]]],
    *,
    batch_size: int,
    where: str,
    progress: Share | None,
) -> Iterator[tuple[int, Mapping[int, Float[Tensor, "pos d_in"]]]]:
    """The streams of each run with its index, the longest runs first, by a model that takes a batch at a time.

    Raises:
        ReadingError: the memory does not hold the longest run alone.
    """
    numbers = sorted(range(len(runs)), key=lambda number: len(runs[number].ids), reverse=True)

    def work(part: Sequence[int]) -> Sequence[Mapping[int, Tensor]]:
        return forward([runs[number] for number in part])

    done = 0
    for part, streams in each_part(chunks(numbers, batch_size=batch_size), work, where=where):
        yield from zip(part, streams, strict=True)
        done += len(part)
        if progress is not None:
            progress(done / len(runs))


def attempt(work: Callable[[_Item], _Result], part: _Item) -> tuple[tuple[_Result] | tuple[()], str]:
    """The result; or none, and what was said when the memory was full."""
    try:
        return (work(part),), ""
    except RuntimeError as error:
        # accelerate knows the words of CUDA, MPS, XPU and the CPU's allocator.
        if isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error):
            return (), str(error)
        raise


@contextmanager
def bars_where_watched() -> Generator[None]:
    """No bars of transformers inside the block unless stderr is a terminal."""
    if not logging.is_progress_bar_enabled() or sys.stderr.isatty():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
