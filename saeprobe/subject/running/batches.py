"""Tokens and batches: what a model sees of a text, what a capture reads of it, and many such sequences at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from jaxtyping import Float, Int
from torch import Tensor

from saeprobe.captures import At
from saeprobe.subject.pairing import DATE, Pairing
from saeprobe.subject.specification import ReadingError, Share, SubjectError

_NO_CHARACTERS = (-1, -1)
_MARK = "\ue000"  # a private character, which no template writes itself
FastTokenizer = Any  # of transformers, which carries no usable types


@dataclass(frozen=True, kw_only=True)
class Tokenized:
    """A tokenized text is what the model sees of it."""

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]  # characters that each token carries, (-1, -1) for BOS and a template's words
    n_bos: int  # how many of the first tokens are BOS

    def read_at(self, at: At) -> list[int]:
        """Return the positions that `at` names, ascending; of a span, the tokens that carry its first place."""
        if at == "last":
            return [len(self.ids) - 1]
        if at == "all":
            return list(range(self.n_bos, len(self.ids)))
        start = self.text.find(at.text)
        if start < 0:
            raise ReadingError(f"the span {at.text!r} is not in the prompt {shorten(self.text)}")
        end = start + len(at.text)
        # Offsets count characters, also for tokens that are single bytes of one: each of those carries it.
        positions = [position for position, (begin, stop) in enumerate(self.spans) if begin < end and stop > start]
        if not positions:
            raise ReadingError(
                f"no token carries a character of the span {at.text!r} in the prompt {shorten(self.text)}; "
                "a span of blanks belongs to the token after it: give the word that follows"
            )
        return positions


def tokenize(tokenizer: FastTokenizer, texts: Sequence[str], how: Pairing, *, raw: bool = False) -> list[Tokenized]:
    """Encode texts as a subject's protocol says, without its chat template if `raw`."""
    if how.prepend_bos and tokenizer.bos_token_id is None:
        raise ReadingError("the SAE wants BOS before each prompt but the tokenizer has none; set prepend_bos = false")
    in_chat = how.chat_template and not raw
    rendered = [_in_chat(tokenizer, text) if in_chat else text for text in texts]
    ahead = max(0, _in_chat(tokenizer, _MARK).find(_MARK)) if in_chat else 0
    encoded = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
    found: list[Tokenized] = []
    for text, whole, ids, offsets in zip(texts, rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        spans: tuple[tuple[int, int], ...] = tuple((begin, end) for begin, end in offsets)
        spans = _spans_in_text(text, whole, spans, ahead=ahead) if in_chat else spans
        _check_text(tokenizer, text, ids, spans)
        one = _with_bos(tokenizer, text, tuple(ids), spans, how)
        if len(one.ids) > how.context_size:
            raise ReadingError(
                f"the prompt {shorten(text)} has {len(one.ids)} tokens, BOS included; "
                f"the context holds {how.context_size}: shorten it"
            )
        found.append(one)
    return found


def _in_chat(tokenizer: FastTokenizer, text: str) -> str:
    """Write the prompt as a user's turn, up to the answer, with a fixed date for templates that write today's."""
    turn = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, date_string=DATE)


def _spans_in_text(
    text: str, rendered: str, spans: Sequence[tuple[int, int]], *, ahead: int
) -> tuple[tuple[int, int], ...]:
    """Turn spans of the rendered chat into spans of the text in it, `ahead` of which other words stand."""
    inner = text.strip()  # as templates do; the words that they write ahead of it may be those of the text
    start = rendered.find(inner, ahead) if inner else -1
    if start < 0:
        return (_NO_CHARACTERS,) * len(spans)
    end, offset = start + len(inner), text.find(inner) - start
    return tuple(
        (max(begin, start) + offset, min(stop, end) + offset) if begin < end and stop > start else _NO_CHARACTERS
        for begin, stop in spans
    )


def _check_text(tokenizer: FastTokenizer, text: str, ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> None:
    """See that the text is not empty, and that it does not itself speak in special tokens: it could end its turn."""
    if all(span == _NO_CHARACTERS for span in spans):
        raise ReadingError(f"the prompt {text!r} has no tokens; leave it out")
    # In Llama 3, `all_special_ids` has BOS and the end of a turn alone, and not what begins one.
    added = (one for one, token in tokenizer.added_tokens_decoder.items() if token.special)
    special = {*tokenizer.all_special_ids, *added}
    for one, (begin, end) in zip(ids, spans, strict=True):
        if one in special and begin < end:
            name = "BOS" if one == tokenizer.bos_token_id else "a special token"
            raise ReadingError(
                f"the prompt {shorten(text)} contains {name} ({text[begin:end]}); leave it out: "
                "BOS and the chat template are written around each prompt"
            )


def _with_bos(
    tokenizer: FastTokenizer, text: str, ids: tuple[int, ...], spans: tuple[tuple[int, int], ...], how: Pairing
) -> Tokenized:
    """Put in as many BOS as the protocol has; a chat template may have written one."""
    bos = tokenizer.bos_token_id
    written = next((at for at, one in enumerate(ids) if one != bos), len(ids))
    wanted = max(written, int(how.prepend_bos)) + int(how.bos_twice)
    if written > 1 or (bos is None and wanted):
        raise ReadingError(
            f"{written} BOS stand before the prompt {shorten(text)}; wanted one: the chat template writes BOS twice"
        )
    added = () if bos is None else (bos,) * (wanted - written)
    return Tokenized(text=text, ids=added + ids, spans=(_NO_CHARACTERS,) * len(added) + spans, n_bos=wanted)


def shorten(text: str, limit: int = 60) -> str:
    """Write a text in quotes, cut in the middle if long, for error messages."""
    return repr(text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}")


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


class ResidualStream(Protocol):
    """A residual stream is what a language model gives up to the hook."""

    @property
    def device(self) -> str:
        """Return where it computes, as torch writes it."""
        ...

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Streams]]:
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


def check_runs(runs: Sequence[Run], *, depth: int) -> None:
    """Refuse what cannot be run."""
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
    side: Side,
    device: str,
    batch_size: int,
    progress: Share | None,
) -> Iterator[tuple[int, Streams]]:
    """Give the streams of each run with its index, batch by batch; `forward` takes ascending depths."""

    def work(part: Sequence[int]) -> list[Streams]:
        batch = pad([runs[number].ids for number in part], side=side, device=device)
        streams = forward(batch, sorted({depth for number in part for depth in runs[number].depths}))
        unpadded = {depth: batch.without_padding(states) for depth, states in streams.items()}
        return [{depth: unpadded[depth][row] for depth in runs[number].depths} for row, number in enumerate(part)]

    done = 0
    for part, streams in each_part(batches_of(runs, batch_size=batch_size), work, where=device):
        yield from zip(part, streams, strict=True)
        done += len(part)
        if progress is not None:
            progress(done / len(runs))
