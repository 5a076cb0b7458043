"""A document of the corpus: its text, and which characters of it say what."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPEN, _NAMED, _CLOSE = "\x02", "\x1f", "\x03"


_MARK = re.compile(f"{_OPEN}([a-z_]+){_NAMED}|{_CLOSE}")


_ANSWER = "answer"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of a document, and the concept they carry."""

    concept: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Document:
    """One generated text. ``log_prob`` is that of its derivation under the grammar, in nats."""

    kind: str
    text: str
    spans: tuple[Span, ...]
    log_prob: float

    @property
    def answer_at(self) -> int | None:
        """Where the answer begins, with the space that parts it from its prompt; None where nobody asks anything."""
        return next((span.start for span in self.spans if span.concept == _ANSWER), None)


def mark(concept: str, text: str) -> str:
    """Return ``text`` marked as carrying ``concept``; marks may be nested and joined, and ``unmark`` reads them."""
    return f"{_OPEN}{concept}{_NAMED}{text}{_CLOSE}"


ANSWER = mark(_ANSWER, "")
"""Stands where a prompt ends and its answer begins; it marks no character."""


def unmark(marked: str) -> tuple[str, tuple[Span, ...]]:
    """Return the text without its marks, and the spans the marks stood for, by their end."""
    pieces: list[str] = []
    spans: list[Span] = []
    open_marks: list[tuple[str, int]] = []
    length = at = 0
    for found in _MARK.finditer(marked):
        piece = marked[at : found.start()]
        pieces.append(piece)
        length += len(piece)
        at = found.end()
        if found.group(1) is not None:
            open_marks.append((found.group(1), length))
        else:
            concept, start = open_marks.pop()
            spans.append(Span(concept=concept, start=start, end=length))
    if open_marks:
        raise ValueError(f"mark {open_marks[-1][0]!r} is never closed in {marked!r}")
    pieces.append(marked[at:])
    return "".join(pieces), tuple(spans)
