"""Tokens are what a model sees of a text: BOS, chat template and all, with the characters that each of them carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from saeprobe.captures import At
from saeprobe.subject.pairing import DATE, Pairing
from saeprobe.subject.specification import ReadingError

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
