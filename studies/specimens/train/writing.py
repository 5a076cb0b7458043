"""How documents and prompts are written behind BOS: as plain text, or as a chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from studies.specimens.corpus.document import Document
from studies.specimens.train.chat import asked, rendered
from studies.specimens.train.tokenizer import encode


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What a specimen was trained to read.

    Attributes:
        document: the document as written behind BOS.
        prompt: a prompt as written behind BOS, up to where its answer is to begin.
        opening: the beginning of an answer as it follows such a prompt, given with the space in front of it.
        ends: whether a written document says its own end; BOS, of the next document, ends it where it does not.
    """

    document: Callable[[Document], Document]
    prompt: Callable[[str], str]
    opening: Callable[[str], str]
    ends: bool


PLAIN = Writing(document=lambda document: document, prompt=str, opening=str, ends=False)


CHAT = Writing(document=rendered, prompt=asked, opening=str.strip, ends=True)


def fitting(
    tokenizer: PreTrainedTokenizerBase, documents: Sequence[Document], writing: Writing, *, context: int
) -> tuple[list[Document], list[list[int]]]:
    """Return the documents, as written, that fit the context with a BOS on either side, and their token ids."""
    written = [writing.document(document) for document in documents]
    ids = encode(tokenizer, [document.text for document in written])
    kept = [(document, row) for document, row in zip(written, ids, strict=True) if len(row) <= context - 2]
    return [document for document, _ in kept], [row for _, row in kept]


def offsets(tokenizer: PreTrainedTokenizerBase, text: str) -> list[tuple[int, int]]:
    """Return the characters of each token, the end exclusive; BOS has none."""
    found = cast(Any, tokenizer)(text, add_special_tokens=False, return_offsets_mapping=True)
    return [(int(start), int(end)) for start, end in found["offset_mapping"]]
