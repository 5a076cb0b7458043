"""Wordings of one style that are near copies are one unit; of two styles those that share a frame are partners.

Both follow from the prompts alone, before any value is read. The distance of two wordings is the edit distance of their
words (Levenshtein, Soviet Physics Doklady 10, 1966) as a share of the longer one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count
from math import comb
from typing import Final

import numpy as np

from saeprobe.claims import did_you_mean
from saeprobe.prompts.prompt import Prompt, PromptError, at

COPY: Final = 0.25
"""Two wordings of a style at most so far apart are near copies: one unit of replication."""

FRAME: Final = 0.5
"""Two wordings of two styles that are each other's nearest, at most so far apart, share a frame."""

FEWEST_PAIRS: Final = 4
FEWEST_RELABELINGS: Final = 128  # fewer would make a paired test that finds less than the unpaired one

SLACK: Final = 1e-9  # an edit more or less is not decided by the rounding of a share

Words = tuple[str, ...]

_NAMED: Final = re.compile(r"(?<!\{)\{\w+\}")
_FIELD: Final = "\N{REPLACEMENT CHARACTER}"
_COURTESY: Final = frozenset({"please", "kindly", "now", "just", "then", "so", "a", "an", "the"})
_ASKING: Final = re.compile(r"\b(?:can|could|would) you\b|请|吧|呢|了|一下|麻烦|帮我|给我")
_ALONE: Final = re.compile("([\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


@lru_cache(maxsize=1 << 14)
def words_of(wording: str) -> Words:
    """Return the words of a wording without what copies differ in: case, marks, blanks and courtesy.

    Every field is one word, the same for all. So is each character of a script that puts no blanks between words.

    >>> words_of("Please explain {topic} to a novice!") == words_of("explain   {topic} TO novice")
    True
    """
    text = unicodedata.normalize("NFKC", _NAMED.sub(_FIELD, wording)).casefold()
    text = re.sub("['\N{RIGHT SINGLE QUOTATION MARK}]", "", text)
    spaced = "".join(
        f" {one} " if one == _FIELD else one if unicodedata.category(one)[0] in "LMN" else " " for one in text
    )
    listed = _ALONE.sub(r" \1 ", _ASKING.sub(" ", " ".join(spaced.split()))).split()
    return tuple(word for word in listed if word not in _COURTESY)


def distance(a: Words, b: Words, *, most: float = 1.0) -> float:
    """Return the edit distance of two wordings as a share of the longer one; 1 where it is above `most`.

    >>> distance(("explain", "it", "to", "them"), ("explain", "it", "to", "her"))
    0.25
    """
    longer = max(len(a), len(b))
    limit = int(most * longer + SLACK)
    if abs(len(a) - len(b)) > limit:
        return 1.0
    row = list(range(len(b) + 1))
    for number, word in enumerate(a, start=1):
        before, row = row, [number]
        for column, other in enumerate(b, start=1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (word != other)))
        if min(row) > limit:
            return 1.0
    return 1.0 if row[-1] > limit else row[-1] / max(longer, 1)


def _numbered(words: Words) -> frozenset[tuple[str, int]]:
    """Return the words, the second of a sort with the number 1; what two share of these no edit need change."""
    seen: dict[str, Iterator[int]] = {}
    return frozenset((word, next(seen.setdefault(word, count()))) for word in words)


def _near(a: Sequence[Words], b: Sequence[Words], most: float) -> Iterator[tuple[Words, list[tuple[float, int]]]]:
    """Yield each wording of `a` with the rows of `b` that may lie within `most`, those that may be nearest first.

    Beside a row stands the least that the two can be apart: every word of the longer one that the other lacks takes an
    edit. So most pairs need no edit distance.
    """
    having: dict[Hashable, list[int]] = {}
    for row, words in enumerate(b):
        for word in _numbered(words):
            having.setdefault(word, []).append(row)
    rows_of, lengths = {word: np.array(rows) for word, rows in having.items()}, np.array([max(len(w), 1) for w in b])
    for words in a:
        shared = np.zeros(len(b))
        for word in _numbered(words):
            if word in rows_of:
                shared[rows_of[word]] += 1
        least = 1 - shared / np.maximum(lengths, len(words))
        yield words, sorted((float(least[row]), int(row)) for row in np.flatnonzero(least <= most))


@lru_cache(maxsize=256)
def _groups(wordings: tuple[Words, ...]) -> tuple[int, ...]:
    """Return for each wording of a style the first one of its group; groups are chains of near copies."""
    first = list(range(len(wordings)))

    def root(of: int) -> int:
        while first[of] != of:
            of = first[of]
        return of

    for row, (words, others) in enumerate(_near(wordings, wordings, COPY)):
        for _, other in others:
            a, b = root(row), root(other)
            if other < row and a != b and distance(words, wordings[other], most=COPY) <= COPY:
                first[max(a, b)] = min(a, b)
    return tuple(map(root, range(len(wordings))))


def with_frames(
    prompts: tuple[Prompt, ...], frames: Mapping[str, Sequence[str]], distinct: Sequence[str]
) -> tuple[Prompt, ...]:
    """Return the prompts with the frame of each, by style in the order of its templates, and whether copies count.

    Raises:
        PromptError: a style is not there, or does not name as many frames as it has templates, or names one twice.
    """
    said = _said(prompts)
    if isinstance(distinct, str):
        raise PromptError(f"distinct is the single text {distinct!r}", remedy="put it in a list")
    for style in (*frames, *distinct):
        if style not in said:
            problem = f"there is no style {style!r} with templates of its own{did_you_mean(style, said)}"
            raise PromptError(
                problem, where="frames" if style in frames else "distinct", remedy=f"wanted: {', '.join(said)}"
            )
    for style, named in frames.items():
        with at(f"style {style!r}, frames"):
            if isinstance(named, str):
                raise PromptError(f"it is the single text {named!r}", remedy="put it in a list")
            if len(named) != len(said[style]):
                problem = f"there are {len(named)} for {len(said[style])} templates, those held out among them"
                raise PromptError(problem, remedy='name one for each, "" where a template shares nothing')
            twice = next((name for name in named if name and list(named).count(name) > 1), None)
            if twice is not None:
                raise PromptError(f"{twice!r} stands twice", remedy="give each template a frame of its own")
    frame_of = {style: dict(zip(said[style], named, strict=True)) for style, named in frames.items()}
    return tuple(
        replace(one, frame=frame_of.get(one.style, {}).get(one.template, ""), distinct=one.style in distinct)
        if one.style in frames or one.style in distinct
        else one
        for one in prompts
    )


def _text_of(prompt: Prompt) -> str:
    """Return the wording of a prompt; a template without a field may be a mere name, and the text says more."""
    if prompt.template in ("", prompt.text) or _NAMED.search(prompt.template):
        return prompt.template or prompt.text
    return re.sub(re.escape(prompt.topic), "{topic}", prompt.text, flags=re.IGNORECASE) if prompt.topic else prompt.text


def _said(prompts: Iterable[Prompt]) -> dict[str, dict[str, Prompt]]:
    """Return the first prompt of each template of each style."""
    styles: dict[str, dict[str, Prompt]] = {}
    for prompt in prompts:
        styles.setdefault(prompt.style, {}).setdefault(prompt.template, prompt)
    return styles


def _first_of(said: dict[str, Prompt]) -> dict[str, str]:
    """Return by template of one style the first template of which it is a near copy, or itself."""
    templates = tuple(said)
    groups = _groups(tuple(words_of(_text_of(prompt)) for prompt in said.values()))
    return {template: templates[group] for template, group in zip(templates, groups, strict=True)}


def unit_of(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """Name for each prompt the wording that it counts for: its template, or the first that this is a near copy of.

    The templates of a style that its prompt set calls distinct each count.
    """
    said = _said(prompts)
    first = {
        style: {} if any(prompt.distinct for prompt in of.values()) else _first_of(of) for style, of in said.items()
    }
    return tuple(first[prompt.style].get(prompt.template, prompt.template) for prompt in prompts)


def copies(*sides: Sequence[Prompt]) -> tuple[tuple[str, ...], ...]:
    """List the groups of templates that are near copies of each other, whether or not they count as one."""
    found: dict[tuple[str, str], list[str]] = {}
    for style, said in _said(prompt for side in sides for prompt in side).items():
        for template, first in _first_of(said).items():
            found.setdefault((style, first), []).append(template)
    return tuple(dict.fromkeys(tuple(group) for group in found.values() if len(group) > 1))


def copies_in_words(*sides: Sequence[Prompt]) -> str:
    """Say, to go on after a scope, how many wordings are near copies; nothing where none is."""
    lines: list[str] = []
    for style, said in _said(prompt for side in sides for prompt in side).items():
        held = list(_first_of(said).values())
        near = sum(held.count(first) > 1 for first in held)
        apart = any(prompt.distinct for prompt in said.values())
        outcome = "kept apart as its prompt set says" if apart else f"{len(set(held))} units"
        lines += [f"{near} of {len(held)} wordings of {style} are near copies: {outcome}"] if near else []
    return f" ({'; '.join(dict.fromkeys(lines))})" if lines else ""


def partners(a: Sequence[Prompt], b: Sequence[Prompt]) -> tuple[tuple[str, str], ...]:
    """Pair the wordings of two styles that share a frame, where a test that keeps them together finds more.

    Frames are those that the prompt set names, if it names some of both styles; else they are found from the texts. All
    are pairs, or none: at least 4, half of the wordings of either side, with as many left over on both, and at least
    128 ways to deal out the labels.
    """
    sides = [_said(side) for side in (a, b)]
    if any(len(styles) != 1 for styles in sides):
        return ()
    members: list[dict[str, list[Prompt]]] = []
    for side, styles in zip((a, b), sides, strict=True):
        held: dict[str, list[Prompt]] = {}
        first = dict(zip((prompt.template for prompt in side), unit_of(side), strict=True))
        for template, prompt in next(iter(styles.values())).items():
            held.setdefault(first[template], []).append(prompt)
        members.append(held)
    named = [any(prompt.frame for of in held.values() for prompt in of) for held in members]
    pairs = _declared(*members) if all(named) else _found(*members)
    (n_a, n_b), k = map(len, members), len(pairs)
    relabelings = 2**k * comb(n_a + n_b - 2 * k, n_a - k)
    worth = k >= FEWEST_PAIRS and 2 * k >= n_a == n_b and relabelings >= FEWEST_RELABELINGS
    return tuple(pairs) if worth else ()


def _declared(a: dict[str, list[Prompt]], b: dict[str, list[Prompt]]) -> list[tuple[str, str]]:
    left = {frame: unit for unit, of in reversed(b.items()) for prompt in of if (frame := prompt.frame)}
    pairs: dict[str, str] = {}
    for unit, of in a.items():
        shared = next((left[prompt.frame] for prompt in of if prompt.frame in left), None)
        if shared is not None and shared not in pairs.values():
            pairs[unit] = shared
    return list(pairs.items())


def _found(a: dict[str, list[Prompt]], b: dict[str, list[Prompt]]) -> list[tuple[str, str]]:
    """Pair wordings each of which is the other's nearest; of equally near ones the first counts."""
    texts = [{unit: words_of(_text_of(of[0])) for unit, of in side.items()} for side in (a, b)]
    there, back = (
        _nearest(*(tuple(side.values()) for side in texts)),
        _nearest(*(tuple(s.values()) for s in texts[::-1])),
    )
    names = [list(side) for side in texts]
    return [(names[0][row], names[1][at]) for row, at in there.items() if back.get(at) == row]


@lru_cache(maxsize=256)
def _nearest(a: tuple[Words, ...], b: tuple[Words, ...]) -> dict[int, int]:
    """Return for each wording the nearest of the others, where it shares a frame with one."""
    found: dict[int, int] = {}
    for row, (words, others) in enumerate(_near(a, b, FRAME)):
        nearest = 1.0
        for least, other in others:
            if least >= nearest:
                break
            apart = distance(words, b[other], most=FRAME)
            if apart < nearest and apart <= FRAME:
                nearest, found[row] = apart, other
    return found
