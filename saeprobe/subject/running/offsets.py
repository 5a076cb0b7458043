"""Offsets say which characters a token carries; what the library gives is cut to the characters that are its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from saeprobe.subject.running.chat import shorten
from saeprobe.subject.specification import ReadingError

NO_CHARACTERS: Final = (-1, -1)
FastTokenizer = Any  # of transformers, which carries no usable types
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")


def mark_ahead(tokenizer: FastTokenizer) -> str:
    """Return what the tokenizer puts before the first word of a text, such as the mark of a blank; mostly nothing."""
    backend = tokenizer.backend_tokenizer
    text = "a" if backend.normalizer is None else backend.normalizer.normalize_str("a")
    if backend.pre_tokenizer is not None:
        text = "".join(piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text))
    return text.removesuffix("a")


def without_marks(
    tokenizer: FastTokenizer,
    ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    *,
    special: frozenset[int],
    mark: str,
) -> list[tuple[int, int]]:
    """Return the characters that are a token's own; empty ones, and a mark that stands for none, become none.

    A sentencepiece tokenizer without the piece `_word` gives `_` and `word`, and both have the offsets of the word.
    Such a mark stands before the first word of a text, or of what follows a special token.
    """
    own = [(begin, end) if begin < end else NO_CHARACTERS for begin, end in offsets]
    pieces: list[str] = tokenizer.convert_ids_to_tokens(list(ids)) if mark else []
    left = mark
    for at, piece in enumerate(pieces[:-1]):
        left = mark if at == 0 or ids[at - 1] in special else left
        if left and ids[at] not in special and left.startswith(piece) and offsets[at + 1][0] == offsets[at][0]:
            own[at], left = NO_CHARACTERS, left[len(piece) :]
        else:
            left = ""
    return own


def bytes_cut(
    tokenizer: FastTokenizer, text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Give each byte token the one character that it is of; Unigram gives all of an unknown run the whole run.

    Raises:
        ReadingError: the bytes are not those of the characters, which a normaliser may change.
    """
    found: list[tuple[int, int]] = []
    for (begin, end), group in groupby(enumerate(offsets), key=lambda one: one[1]):
        run = [at for at, _ in group]
        pieces: list[str] = (
            tokenizer.convert_ids_to_tokens([ids[at] for at in run]) if end - begin > 1 < len(run) else []
        )
        marks = next((at for at, piece in enumerate(pieces) if _BYTE.fullmatch(piece)), len(pieces))
        if not pieces[marks:]:
            found += [(begin, end)] * len(run)
            continue
        written = bytes(int(piece[3:5], 16) for piece in pieces[marks:] if _BYTE.fullmatch(piece))
        if written != text[begin:end].encode() or len(written) != len(pieces) - marks:
            raise ReadingError(
                f"the tokenizer cuts {shorten(text[begin:end])} into bytes ({' '.join(pieces)}) that are not its own, "
                "so that nobody knows which token carries which character; reword the prompt"
            )
        found += [(begin, end)] * marks
        found += [(at, at + 1) for at in range(begin, end) for _ in text[at].encode()]
    return found
