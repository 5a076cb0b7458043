"""Tokens of a prompt: one BOS at most, which characters each token carries, and which of them a capture reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from saeprobe.captures import At, Span
from saeprobe.subject.protocol import ReadingError

_NO_CHARACTERS = (-1, -1)


class Encoded(Protocol):
    """What a fast tokenizer of transformers returns."""

    def __getitem__(self, key: str) -> list[list[int]] | list[list[tuple[int, int]]]:
        """`input_ids` or `offset_mapping`."""
        ...


class FastTokenizer(Protocol):
    """The part of transformers' fast tokenizers that is used; they carry no usable types."""

    bos_token_id: int | None
    eos_token_id: int | None

    def __call__(self, text: list[str], *, add_special_tokens: bool, return_offsets_mapping: bool) -> Encoded:
        """Encode."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = ...) -> str:
        """Decode."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tokenized:
    """What the model sees of one text. `spans` are the characters of each token, (-1, -1) for BOS."""

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def first(self) -> int:
        """Position of the first token that stands for characters of the text: 1 after BOS, else 0."""
        return int(self.spans[0] == _NO_CHARACTERS)

    def read_at(self, at: At) -> list[int]:
        """The positions that `at` names, ascending.

        Raises:
            ReadingError: the text of a span is not in the prompt.
        """
        if at == "last":
            return [len(self.ids) - 1]
        if at == "all":
            return list(range(self.first, len(self.ids)))
        return self._carry(at)

    def _carry(self, span: Span) -> list[int]:
        """The tokens with a character of the first occurrence of the span's text.

        Offsets count characters of the text, also for tokens that are single bytes of one: each of those carries it.
        """
        start = self.text.find(span.text)
        if start < 0:
            raise ReadingError(f"the span {span.text!r} is not in the prompt {shorten(self.text)}")
        end = start + len(span.text)
        positions = [
            position
            for position, (begin, stop) in enumerate(self.spans)
            if position >= self.first and begin < end and stop > start
        ]
        if not positions:
            raise ReadingError(
                f"no token carries a character of the span {span.text!r} in the prompt {shorten(self.text)}; "
                "a span of blanks belongs to the token after it: give the word that follows"
            )
        return positions


def tokenize(
    tokenizer: FastTokenizer, texts: Sequence[str], *, prepend_bos: bool, context_size: int
) -> list[Tokenized]:
    """Encode texts, with BOS before each if asked, and never twice.

    Raises:
        ReadingError: a text is empty, contains BOS itself, or has more tokens than the context.
    """
    bos = tokenizer.bos_token_id
    if prepend_bos and bos is None:
        raise ReadingError("the SAE wants BOS before each prompt but the tokenizer has none; set prepend_bos = false")
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    found: list[Tokenized] = []
    for text, ids, spans in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        one = _checked(text, ids, spans, bos=bos if prepend_bos else None)
        if len(one.ids) > context_size:
            raise ReadingError(
                f"the prompt {shorten(text)} has {len(one.ids)} tokens, BOS included; "
                f"the context holds {context_size}: shorten it"
            )
        found.append(one)
    return found


def _checked(
    text: str, ids: Sequence[int | tuple[int, int]], spans: Sequence[int | tuple[int, int]], *, bos: int | None
) -> Tokenized:
    if not ids:
        raise ReadingError(f"the prompt {text!r} has no tokens; leave it out")
    if bos is not None and bos in ids:
        raise ReadingError(f"the prompt {shorten(text)} contains BOS; leave it out: it is put before each prompt once")
    plain = tuple(one for one in ids if isinstance(one, int))
    pairs = tuple((one[0], one[1]) for one in spans if not isinstance(one, int))
    if bos is None:
        return Tokenized(text=text, ids=plain, spans=pairs)
    return Tokenized(text=text, ids=(bos, *plain), spans=(_NO_CHARACTERS, *pairs))


def shorten(text: str, limit: int = 60) -> str:
    """The text in quotes, cut in the middle if long, for error messages."""
    if len(text) <= limit:
        return repr(text)
    return repr(f"{text[: limit // 2]} ... {text[-limit // 2 :]}")
