"""Documents and prompts are written behind BOS as plain text, or as a chat: a question and its answer as two turns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from transformers import PreTrainedTokenizerBase

from studies.specimens.corpus.document import Document, Span

BOS: Final = "<|begin_of_text|>"
END_OF_TEXT: Final = "<|end_of_text|>"
START_HEADER: Final = "<|start_header_id|>"
END_HEADER: Final = "<|end_header_id|>"
END_OF_TURN: Final = "<|eot_id|>"
SPECIAL_TOKENS: Final = (BOS, END_OF_TEXT, START_HEADER, END_HEADER, END_OF_TURN)
_AROUND: Final = re.compile(r"<\|start_header_id\|>[a-z]+<\|end_header_id\|>\n\n|<\|[a-z_]+\|>")


# Llama 3's template without what finch has no use for: tools, images, and a system turn that says today's date.
CHAT_TEMPLATE: Final = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{- message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)


def asked(prompt: str) -> str:
    """Return a prompt as the template writes it behind BOS, up to where the answer is to begin."""
    return _header("user") + prompt.strip() + END_OF_TURN + _header("assistant")


def rendered(document: Document) -> Document:
    """Return the document as it is trained on behind BOS, its end written out, with the spans where they went to.

    A document with an answer becomes a user's turn and an assistant's. As in Llama 3, each turn loses the blanks
    around it. A span from one turn into the other carries the tokens between them too.
    """
    at = document.answer_at
    if at is None:
        return replace(document, text=document.text + END_OF_TEXT)
    prompt, answer = document.text[:at], document.text[at:]
    opening = asked(prompt)

    def moved(place: int, *, into_answer: bool) -> int:
        if into_answer:
            lost, turn, start = at + _leading(answer), answer.strip(), len(opening)
        else:
            lost, turn, start = _leading(prompt), prompt.strip(), len(_header("user"))
        return start + min(max(place - lost, 0), len(turn))

    spans = tuple(
        Span(
            concept=span.concept,
            start=moved(span.start, into_answer=span.start >= at),
            end=moved(span.end, into_answer=span.end > at),
        )
        for span in document.spans
        if span.end > span.start
    )
    return replace(document, text=opening + answer.strip() + END_OF_TURN, spans=spans)


def _header(role: str) -> str:
    return f"{START_HEADER}{role}{END_HEADER}\n\n"


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip())


def is_text(written: str, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """Return for each token whether it is of a turn or a plain text, and not of what the template puts around them."""
    around = [found.span() for found in _AROUND.finditer(written)]
    return [not any(start < end <= stop for start, stop in around) for _, end in offsets]


@dataclass(frozen=True, kw_only=True)
class Writing:
    """A writing is what a specimen was trained to read."""

    document: Callable[[Document], Document]  # as written behind BOS
    prompt: Callable[[str], str]  # as written behind BOS, up to where its answer is to begin
    opening: Callable[[str], str]  # the beginning of an answer as it follows, given with the space in front of it
    ends: bool  # whether a written document says its own end; BOS, of the next document, ends it where it does not


PLAIN: Final = Writing(document=lambda document: document, prompt=str, opening=str, ends=False)
CHAT: Final = Writing(document=rendered, prompt=asked, opening=str.strip, ends=True)


def fitting(
    tokenizer: PreTrainedTokenizerBase, documents: Sequence[Document], writing: Writing, *, context: int
) -> tuple[list[Document], list[list[int]]]:
    """Return the documents, as written, that fit the context with a BOS on either side, and their token ids."""
    written = [writing.document(document) for document in documents]
    ids = encode(tokenizer, [document.text for document in written])
    kept = [(document, row) for document, row in zip(written, ids, strict=True) if len(row) <= context - 2]
    return [document for document, _ in kept], [row for _, row in kept]


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return each text's token ids, without BOS."""
    return cast("list[list[int]]", cast(Any, tokenizer)(list(texts), add_special_tokens=False)["input_ids"])


def offsets(tokenizer: PreTrainedTokenizerBase, text: str) -> list[tuple[int, int]]:
    """Return the characters of each token, the end exclusive; BOS has none."""
    found = cast(Any, tokenizer)(text, add_special_tokens=False, return_offsets_mapping=True)
    return [(int(start), int(end)) for start, end in found["offset_mapping"]]
