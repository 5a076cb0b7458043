"""A subject in memory reads prompts and writes text; this imports torch.

Batches run many sequences of tokens at once, padded to one length, and as few as the memory holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor

from saeprobe.shapes import Float, Int
from saeprobe.subject.specification import ReadingError, Share


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run is one sequence of tokens and the depths at which its residual stream is wanted.

    A depth is the number of blocks that ran before: depth k is `blocks.k.hook_resid_pre` of TransformerLens, and
    `hidden_states[k]` of transformers for every k but the last, which is after the final norm there. Only runs of one
    `batch` share a forward pass.
    """

    ids: tuple[int, ...]
    depths: tuple[int, ...]
    batch: str = ""


Streams = Mapping[int, Float[Tensor, "pos d_in"]]  # the residual streams of one run, by depth
ByRun = Iterator[tuple[int, Streams]]  # the number of each run, with its streams


class ResidualStream(Protocol):
    """A residual stream is what a language model gives up to the hook."""

    @property
    def device(self) -> str:
        """Return where it computes, as torch writes it."""
        ...

    def run(self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None) -> ByRun:
        """Give the streams of each run, without padding, with the run's index; each once, in an order of its choosing.

        `batch_size` is halved when the memory does not hold as many; `progress` is called after each step.
        """
        ...


Side = Literal["left", "right"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """A batch holds sequences padded to one length. `mask` is 1 on real tokens, `positions` count these alone."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"]
    lengths: tuple[int, ...]
    side: Side

    def without_padding(self, states: Float[Tensor, "batch pos d_in"]) -> list[Float[Tensor, "_ d_in"]]:
        """Return each sequence's own states."""
        starts = [0 if self.side == "right" else states.shape[1] - length for length in self.lengths]
        return [row[at : at + own] for row, at, own in zip(states, starts, self.lengths, strict=True)]


def positions_of(mask: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """Return position ids that count real tokens only."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def pad(sequences: Sequence[Sequence[int]], *, side: Side, device: str, length: int | None = None) -> Batch:
    """Make one batch on a device, as long as its longest sequence, or `length`."""
    lengths = tuple(len(sequence) for sequence in sequences)
    longest = length or max(lengths)
    # Token 0 on the padding is seen by no real one: on the right as attention is causal, on the left by the mask.
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        start = 0 if side == "right" else longest - len(sequence)
        own = slice(start, start + len(sequence))
        ids[row, own], mask[row, own] = torch.tensor(sequence), 1
    positions = positions_of(mask).to(device)
    return Batch(ids=ids.to(device), mask=mask.to(device), positions=positions, lengths=lengths, side=side)


def chunks(items: Sequence[_Item], *, batch_size: int) -> list[Sequence[_Item]]:
    """Cut items into parts of `batch_size`, the last one of what is left."""
    if batch_size < 1:
        raise ReadingError(f"the batch size is {batch_size}; wanted 1 or more")
    return [items[start : start + batch_size] for start in range(0, len(items), batch_size)]


def batches_of(runs: Sequence[Run], *, batch_size: int) -> list[Sequence[int]]:
    """Cut the numbers of runs into batches: what goes into one depends on the runs of its own label alone.

    Memory that is full is the one exception: `each_part` then halves a batch, and the shapes are the machine's.
    """
    labelled: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        labelled.setdefault(run.batch, []).append(number)
    found: list[Sequence[int]] = []
    for alike in labelled.values():
        ordered = sorted(alike, key=lambda one: (max(runs[one].depths), len(runs[one].ids)), reverse=True)
        found += chunks(ordered, batch_size=batch_size)
    return found


class _Part(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> Self: ...


_P = TypeVar("_P", bound=_Part)


def each_part(parts: Iterable[_P], work: Callable[[_P], _Result], *, where: str) -> Iterator[tuple[_P, _Result]]:
    """Give the parts in order, each with what `work` makes of it.

    When the memory of the device `where` is full with a part, it is halved, and no later one is longer than its half:
    give those that need most memory first. `work` must leave nothing behind when it raises.
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


def attempt(work: Callable[[_Item], _Result], part: _Item) -> tuple[tuple[_Result] | tuple[()], str]:
    """Return the result; or none, and what was said when the memory was full."""
    try:
        return (work(part),), ""
    except RuntimeError as error:
        # accelerate knows the words of CUDA, MPS, XPU and the CPU's allocator.
        if isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error):
            return (), str(error)
        raise


def run_in_batches(
    runs: Sequence[Run],
    forward: Callable[[Batch, Sequence[int]], Mapping[int, Float[Tensor, "batch pos d_in"]]],
    *,
    device: str,
    batch_size: int,
    progress: Share | None,
) -> ByRun:
    """Give the streams of each run with its index, batch by batch; `forward` takes ascending depths."""

    def work(part: Sequence[int]) -> list[Streams]:
        # On the right causal attention cannot see the padding from any token of a text.
        batch = pad([runs[number].ids for number in part], side="right", device=device)
        streams = forward(batch, sorted({depth for number in part for depth in runs[number].depths}))
        unpadded = {depth: batch.without_padding(states) for depth, states in streams.items()}
        return [{depth: unpadded[depth][row] for depth in runs[number].depths} for row, number in enumerate(part)]

    done = 0
    for part, streams in each_part(batches_of(runs, batch_size=batch_size), work, where=device):
        yield from zip(part, streams, strict=True)
        done += len(part)
        if progress is not None:
            progress(done / len(runs))


def effective_rank(activations: Float[np.ndarray, "tokens d"]) -> float:
    """Count the directions that the activations of one prompt, a row a token, fill: 1 to min(tokens - 1, d).

    It is the exponential of the entropy of the singular values, normalised to sum 1, of the activations minus their
    mean over tokens (Roy & Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007, eq. 4).
    It grows with the number of tokens: compare prompts of equal length, or adjust for it.

    Raises:
        ValueError: there are fewer than two tokens, a value is not finite, or all tokens are equal.

    Two tokens lie on one line, whatever their distance:

    >>> round(effective_rank(np.array([[1.0, 0.0], [0.0, 1.0]])), 6)
    1.0
    """
    if len(activations) < 2:  # noqa: PLR2004 - one point has no spread
        raise ValueError(f"effective rank needs at least two tokens; found {len(activations)}")
    exact = np.asarray(activations, dtype=np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("effective rank needs finite activations; found infinite ones or NaN")
    singular = np.linalg.svd(exact - exact.mean(axis=0), compute_uv=False)
    total = float(singular.sum())
    if total <= 1e-12 * float(np.abs(exact).max(initial=0.0)):
        raise ValueError("effective rank is not defined where all tokens have the same activations")
    share = singular[singular > 0] / total
    return float(np.exp(-np.sum(share * np.log(share))))
