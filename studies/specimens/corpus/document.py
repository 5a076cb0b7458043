"""A document of the corpus is a text made of random choices, and the characters of it that carry each concept.

The log-probabilities of the choices add up, so that a document's entropy under its grammar is known exactly.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")

_OPEN, _NAMED, _CLOSE = "\x02", "\x1f", "\x03"
_MARK: Final = re.compile(f"{_OPEN}([a-z_]+){_NAMED}|{_CLOSE}")
_ANSWER: Final = "answer"


@cache
def words_in(file: str, package: str = "studies.specimens.corpus") -> dict[str, Any]:
    """Read a TOML file of words, which lies among the corpus unless another package is named."""
    return tomllib.loads(resources.files(package).joinpath(file).read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span is the characters ``start`` to ``end`` (exclusive) of a document, and the concept they carry."""

    concept: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document is one generated text; ``log_prob`` is that of its derivation under the grammar, in nats."""

    kind: str
    text: str
    spans: tuple[Span, ...]
    log_prob: float

    @property
    def answer_at(self) -> int | None:
        """Return where the answer begins, with the space before it; None where nobody asks anything."""
        return next((span.start for span in self.spans if span.concept == _ANSWER), None)


def mark(concept: str, text: str) -> str:
    """Return ``text`` marked as carrying ``concept``; marks may be nested and joined, and ``unmark`` reads them."""
    return f"{_OPEN}{concept}{_NAMED}{text}{_CLOSE}"


ANSWER: Final = mark(_ANSWER, "")
"""It stands where a prompt ends and its answer begins, and marks no character."""


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


def seeded(seed: int) -> Random:
    """Return a generator of its own for a seed."""
    return Random(seed)  # noqa: S311 - it writes texts, not secrets


class Draw:
    """A draw makes the choices of a document; ``log_prob`` is the sum of their log-probabilities, in nats.

    This is the log-probability of the derivation. Two derivations of one text are counted apart, so the mean of
    ``-log_prob`` bounds the text's own entropy from above. Draw only what the text shows, or the bound is loose.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.log_prob = 0.0

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options; one that is listed twice is twice as likely."""
        picked = options[self._rng.randrange(len(options))]
        self.log_prob += math.log(options.count(picked) / len(options))
        return picked

    def some(self, options: Sequence[T], k: int) -> list[T]:
        """Return ``k`` different options in random order."""
        rest = list(options)
        chosen: list[T] = []
        for _ in range(k):
            picked = self.one(rest)
            rest.remove(picked)
            chosen.append(picked)
        return chosen

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """Return the first item of one of the (item, weight) pairs, likely in proportion to its weight."""
        total = sum(weight for _, weight in options)
        at = self._rng.random() * total
        chosen = options[-1]  # stands where rounding leaves a remainder at the upper end
        for option in options:
            at -= option[1]
            if at < 0:
                chosen = option
                break
        self.log_prob += math.log(chosen[1] / total)
        return chosen[0]

    def chance(self, p: float) -> bool:
        """Return True with probability ``p``."""
        return self.weighted(((True, p), (False, 1.0 - p)))


class Words(dict[str, str]):
    """The fields of a template are drawn when a template first uses them and kept from then on.

    ``{simple1}`` and ``{simple2}`` are two different words of the pool ``simple``; ``{name}`` is the one of the pool
    ``name``. Use with ``template.format_map(words)``.
    """

    def __init__(self, draw: Draw, pools: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self._draw = draw
        self._left = {name: list(pool) for name, pool in pools.items()}

    def __missing__(self, field: str) -> str:
        left = self._left[field.rstrip("0123456789")]
        self[field] = picked = self._draw.one(left)
        left.remove(picked)
        return picked
