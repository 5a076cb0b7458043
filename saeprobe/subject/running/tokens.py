"""Tokens of a prompt: BOS, chat template, which characters each token carries, and which of them a capture reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from saeprobe.captures import At, Span
from saeprobe.subject.pairing import DATE, Pairing
from saeprobe.subject.specification import ReadingError

_NO_CHARACTERS = (-1, -1)
_MARK = "\ue000"  # a private character, which no template writes itself


class Encoded(Protocol):
    """What a fast tokenizer of transformers returns."""

    def __getitem__(self, key: str) -> list[list[int]] | list[list[tuple[int, int]]]:
        """`input_ids` or `offset_mapping`."""
        ...


class AddedToken(Protocol):
    """A token beside the vocabulary."""

    special: bool


class FastTokenizer(Protocol):
    """The part of transformers' fast tokenizers that is used; they carry no usable types."""

    bos_token_id: int | None
    eos_token_id: int | None
    all_special_ids: list[int]
    added_tokens_decoder: Mapping[int, AddedToken]

    def __call__(self, text: list[str], *, add_special_tokens: bool, return_offsets_mapping: bool) -> Encoded:
        """Encode."""
        ...

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, date_string: str
    ) -> str:
        """Write a conversation as the model saw them in training."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = ...) -> str:
        """Decode."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tokenized:
    """What the model sees of one text.

    `spans` are the characters of the text that each token carries, (-1, -1) for BOS and for what a chat template
    writes; the first `n_bos` tokens are BOS.
    """

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    n_bos: int

    def read_at(self, at: At) -> list[int]:
        """The positions that `at` names, ascending.

        Raises:
            ReadingError: the text of a span is not in the prompt.
        """
        if at == "last":
            return [len(self.ids) - 1]
        if at == "all":
            return list(range(self.n_bos, len(self.ids)))
        return self._carry(at)

    def _carry(self, span: Span) -> list[int]:
        """The tokens with a character of the first occurrence of the span's text.

        Offsets count characters of the text, also for tokens that are single bytes of one: each of those carries it.
        """
        start = self.text.find(span.text)
        if start < 0:
            raise ReadingError(f"the span {span.text!r} is not in the prompt {shorten(self.text)}")
        end = start + len(span.text)
        positions = [position for position, (begin, stop) in enumerate(self.spans) if begin < end and stop > start]
        if not positions:
            raise ReadingError(
                f"no token carries a character of the span {span.text!r} in the prompt {shorten(self.text)}; "
                "a span of blanks belongs to the token after it: give the word that follows"
            )
        return positions


def tokenize(tokenizer: FastTokenizer, texts: Sequence[str], how: Pairing, *, raw: bool = False) -> list[Tokenized]:
    """Encode texts as the protocol of a subject says; BOS is put in once, or found to be there once.

    Args:
        tokenizer: the model's own.
        texts: the prompts.
        how: whether BOS stands before each, once or twice, whether they go into the chat template, and the context.
        raw: leave the chat template out.

    Raises:
        ReadingError: a text is empty, contains a special token, or has more tokens than the context; the tokenizer has
            no BOS where one is wanted.
    """
    if how.prepend_bos and tokenizer.bos_token_id is None:
        raise ReadingError("the SAE wants BOS before each prompt but the tokenizer has none; set prepend_bos = false")
    in_chat = how.chat_template and not raw
    rendered = [_in_chat(tokenizer, text) if in_chat else text for text in texts]
    ahead = max(0, _in_chat(tokenizer, _MARK).find(_MARK)) if in_chat else 0
    encoded = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
    found: list[Tokenized] = []
    for text, whole, ids, spans in zip(texts, rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        plain = tuple(one for one in ids if isinstance(one, int))
        pairs = tuple((one[0], one[1]) for one in spans if not isinstance(one, int))
        pairs = _of_text(text, whole, pairs, ahead=ahead) if in_chat else pairs
        _check_text(tokenizer, text, plain, pairs)
        one = _with_bos(tokenizer, text, plain, pairs, how)
        if len(one.ids) > how.context_size:
            raise ReadingError(
                f"the prompt {shorten(text)} has {len(one.ids)} tokens, BOS included; "
                f"the context holds {how.context_size}: shorten it"
            )
        found.append(one)
    return found


def _in_chat(tokenizer: FastTokenizer, text: str) -> str:
    """The prompt as a user's turn, up to where the model would answer.

    A template that writes today's date gives another prompt every day; it gets a fixed one.
    """
    turn = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, date_string=DATE)


def _of_text(text: str, rendered: str, spans: Sequence[tuple[int, int]], *, ahead: int) -> tuple[tuple[int, int], ...]:
    """Spans of the rendered chat as spans of the text in it, which begins after what the template writes `ahead`.

    Templates strip the blanks around a text; and they write words of their own, which may be those of the text.
    """
    inner = text.strip()
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
    # Of Llama 3 `all_special_ids` has BOS and the end of a turn alone, and not what begins one.
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
    """Exactly as many BOS as the protocol has; a chat template may have written one."""
    bos = tokenizer.bos_token_id
    written = next((at for at, one in enumerate(ids) if one != bos), len(ids))
    wanted = max(written, int(how.prepend_bos)) + int(how.bos_twice)
    if written > 1 or (bos is None and wanted):
        raise ReadingError(
            f"{written} BOS stand before the prompt {shorten(text)}; wanted one: the chat template writes BOS twice"
        )
    added = (bos,) * (wanted - written) if bos is not None else ()
    return Tokenized(text=text, ids=added + ids, spans=(_NO_CHARACTERS,) * len(added) + spans, n_bos=wanted)


def shorten(text: str, limit: int = 60) -> str:
    """The text in quotes, cut in the middle if long, for error messages."""
    if len(text) <= limit:
        return repr(text)
    return repr(f"{text[: limit // 2]} ... {text[-limit // 2 :]}")
