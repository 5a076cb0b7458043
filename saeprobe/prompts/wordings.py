"""Wordings of one style that are near copies are one unit; of two styles those that share a frame are partners.

Both follow from the prompts alone, before any value is read. The distance of two wordings is the edit distance of their
words (Levenshtein, Soviet Physics Doklady 10, 1966) as a share of the longer one. A feature that was picked by looking
at prompts keeps their words, since it proves nothing on them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, count
from typing import Final, Self

import numpy as np

from saeprobe.claims import did_you_mean
from saeprobe.prompts.prompt import Prompt, PromptError, at, folded

COPY: Final = 0.25  # two wordings of a style at most so far apart are near copies: one unit of replication
FRAME: Final = 0.5  # two wordings of two styles that are each other's nearest, at most so far apart, share a frame
FEWEST_PAIRS: Final = 4
MOST_PAIRED: Final = 200
FEWEST_PAIRED: Final = 7  # wordings a style; fewer have less than 128 relabelings, which find less than unpaired ones
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
    text = folded(_NAMED.sub(_FIELD, wording)).replace("'", "")
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


def _near(a: Sequence[Words], b: Sequence[Words], most: float) -> Iterator[tuple[Words, list[int]]]:
    """Yield each wording of `a` with the rows of `b` that may lie within `most`.

    Every word of the longer one that the other lacks takes an edit, so that most pairs need no edit distance.
    """
    having: dict[Hashable, list[int]] = {}
    for row, words in enumerate(b):
        for word in _numbered(words):
            having.setdefault(word, []).append(row)
    rows_of = {word: np.array(rows) for word, rows in having.items()}
    lengths = np.array([max(len(words), 1) for words in b])
    for words in a:
        shared = np.zeros(len(b))
        for word in rows_of.keys() & _numbered(words):
            shared[rows_of[word]] += 1
        yield words, np.flatnonzero(1 - shared / np.maximum(lengths, len(words)) <= most).tolist()


class PickedFeature(int):
    """A feature that was picked by looking at some prompts is its number, and keeps the words of these prompts."""

    picked_on: frozenset[Words]

    def __new__(cls, number: int, picked_on: frozenset[Words] = frozenset()) -> Self:
        """Make it of the number and of the words of each prompt that was looked at."""
        made = super().__new__(cls, number)
        made.picked_on = picked_on
        return made


def looked_at(features: Iterable[int], prompts: Iterable[Prompt], *, published: bool) -> tuple[int, ...]:
    """Return those features that were picked by looking at some of the prompts.

    Of what a probe did not pick itself nobody knows this. It counts as picked on the prompts of the `published` run.
    """
    features = tuple(features)
    words = {words_of(prompt.text) for prompt in prompts if features}
    return tuple(
        int(one)
        for one in features
        if (not words.isdisjoint(one.picked_on) if isinstance(one, PickedFeature) else published)
    )


@lru_cache(maxsize=256)
def _groups(wordings: tuple[Words, ...]) -> tuple[int, ...]:
    """Return for each wording of a style the first one of its group; groups are chains of near copies."""
    first = np.arange(len(wordings))
    for row, (words, others) in enumerate(_near(wordings, wordings, COPY)):
        for other in others:
            apart = other < row and first[row] != first[other]
            if apart and distance(words, wordings[other], most=COPY) <= COPY:
                both = first[[row, other]]
                first[np.isin(first, both)] = both.min()
    return tuple(first.tolist())


def with_frames(
    prompts: tuple[Prompt, ...], frames: Mapping[str, Sequence[str]], distinct: Sequence[str]
) -> tuple[Prompt, ...]:
    """Return the prompts with the frame of each, by style in the order of its templates, and whether copies count.

    Raises:
        PromptError: a style is not there, or names another number of frames than it has templates, or one twice, or
            one that no other style names.
    """
    templates: dict[str, list[str]] = {}
    for style, template in dict.fromkeys((prompt.style, prompt.template) for prompt in prompts):
        templates.setdefault(style, []).append(template)
    for style in (*frames, *distinct):
        if style not in templates:
            problem = f"there is no style {style!r} with templates of its own{did_you_mean(style, templates)}"
            raise PromptError(problem, where="frames, distinct", remedy=f"name one of {', '.join(templates)}")
    for style, named in frames.items():
        with at(f"style {style!r}, frames"):
            if len(named) != len(templates[style]):
                problem = f"there are {len(named)} for {len(templates[style])} templates, those held out among them"
                raise PromptError(problem, remedy='name one for each, "" where a template shares nothing')
            if len(set(filter(None, named))) < len(list(filter(None, named))):
                raise PromptError("one of them stands twice", remedy="give each template a frame of its own")
    if len(templates) > 1:  # one style alone may be compared with one of another set
        _check_shared(frames)
    frame = {
        (style, of): name for style, named in frames.items() for of, name in zip(templates[style], named, strict=True)
    }
    return tuple(
        replace(one, frame=frame.get((one.style, one.template), ""), distinct=one.style in distinct) for one in prompts
    )


def _check_shared(frames: Mapping[str, Sequence[str]]) -> None:
    """See that each frame stands in two styles: one with a typing error would silently pair nothing."""
    held = Counter(chain(*frames.values()))
    for style, name in ((style, name) for style, named in frames.items() for name in named):
        if name and held[name] == 1:
            others = [other for one, named in frames.items() if one != style for other in named if other]
            problem = f"the frame {name!r} stands in no other style{did_you_mean(name, others)}"
            remedy = 'write it as the other style does, or "" where a template shares nothing'
            raise PromptError(problem, where=f"style {style!r}, frames", remedy=remedy)


def wording_of(prompt: Prompt) -> Words:
    """Return the words of a prompt's template; one without a field may be a mere name, and the text says more."""
    if prompt.template == prompt.text or _NAMED.search(prompt.template):
        return words_of(prompt.template)
    return words_of(re.sub(re.escape(prompt.topic), "{topic}", prompt.text, flags=re.IGNORECASE))


Groups = dict[str, list[Prompt]]  # near copies by the template of the first of them, of each template one prompt


def _grouped(prompts: Iterable[Prompt]) -> dict[str, Groups]:
    """Return by style the groups of near copies, whether or not they count as one."""
    said: dict[str, dict[str, Prompt]] = {}
    for prompt in prompts:
        said.setdefault(prompt.style, {}).setdefault(prompt.template, prompt)
    styles: dict[str, Groups] = {style: {} for style in said}
    for style, of in said.items():
        held = list(of.values())
        for prompt, first in zip(held, _groups(tuple(map(wording_of, held))), strict=True):
            styles[style].setdefault(held[first].template, []).append(prompt)
    return styles


def unit_of(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """Name for each prompt the wording that it counts for: its template, or the first that this is a near copy of.

    The templates of a style that its prompt set calls distinct each count.
    """
    styles = _grouped(prompts).items()
    first = {(style, one.template): name for style, groups in styles for name, of in groups.items() for one in of}
    return tuple(one.template if one.distinct else first[one.style, one.template] for one in prompts)


def copies(*sides: Sequence[Prompt]) -> tuple[tuple[str, ...], ...]:
    """List the groups of templates that are near copies of each other, whether or not they count as one."""
    held = _grouped(chain(*sides)).values()
    return tuple(tuple(one.template for one in of) for groups in held for of in groups.values() if len(of) > 1)


def copies_in_words(*sides: Sequence[Prompt]) -> str:
    """Say, to go on after a scope, how many wordings are near copies; nothing where none is."""
    lines: list[str] = []
    for style, groups in _grouped(chain(*sides)).items():
        sizes = [len(of) for of in groups.values()]
        apart = any(one.distinct for of in groups.values() for one in of)
        outcome = "kept apart as its prompt set says" if apart else f"{len(sizes)} units"
        near = f"{sum(size for size in sizes if size > 1)} of {sum(sizes)} wordings of {style} are near copies"
        lines += [f"{near}: {outcome}"] if max(sizes) > 1 else []
    return f" ({', '.join(lines)})" if lines else ""


def partners(a: Sequence[Prompt], b: Sequence[Prompt]) -> tuple[tuple[str, str], ...]:
    """Pair the wordings of two styles that share a frame, where a test that keeps them together finds more.

    Frames are those that the prompt set names, if it names some of both styles. Else two wordings share one if each is
    the other's nearest, the first of equally near ones. All are pairs, or none: at least 4, half of the wordings of
    either side, with as many left over on both, and at least 7 wordings. Only styles of at most 200 wordings are
    paired: more of them find what there is without.
    """
    (names_a, of_a), (names_b, of_b) = map(_units, (a, b))
    n = len(names_a)
    if n != len(names_b) or not FEWEST_PAIRED <= n <= MOST_PAIRED or len({one.style for one in (*a, *b)}) > 2:  # noqa: PLR2004
        return ()
    pairs = _sharing(of_a, of_b)
    enough = len(pairs) >= max(FEWEST_PAIRS, n / 2)
    return tuple((names_a[row], names_b[other]) for row, other in pairs) if enough else ()


def unpaired_in_words(a: Sequence[Prompt], b: Sequence[Prompt]) -> str:
    """Say, to go on after a scope, why frames that the prompt set names of both styles make no pairs."""
    named = all(any(one.frame for one in side) for side in (a, b))
    if not named or {one.template for one in a} & {one.template for one in b} or partners(a, b):
        return ""  # on the same prompts each is its own partner
    (names, of_a), (others, of_b) = map(_units, (a, b))
    n, k = len(names), len(_sharing(of_a, of_b))
    needed = f"{max(FEWEST_PAIRS, (n + 1) // 2)} of {max(n, FEWEST_PAIRED)} are needed"
    why = f"{k} pairs of {n} wordings are too few to be compared as pairs: {needed}"
    if n != len(others):
        why = f"{n} and {len(others)} wordings are compared as pairs only where they are as many"
    elif n > MOST_PAIRED:
        why = f"{n} wordings need no pairs"
    return f" (frames are named, but {why})" if k else ""


Units = list[list[Prompt]]  # of each unit its prompts


def _units(side: Sequence[Prompt]) -> tuple[list[str], Units]:
    """Return the units of a side with their names."""
    units: dict[str, list[Prompt]] = {}
    for name, prompt in dict.fromkeys(zip(unit_of(side), side, strict=True)):
        units.setdefault(name, []).append(prompt)
    return list(units), list(units.values())


def _sharing(of_a: Units, of_b: Units) -> list[tuple[int, int]]:
    """Return the rows of the units of two sides that share a frame."""
    frames = [[{one.frame for one in of} - {""} for of in side] for side in (of_a, of_b)]
    if all(any(side) for side in frames):
        apart = np.array([[float(not one & other) for other in frames[1]] for one in frames[0]])
    else:
        apart = _apart(*(tuple(wording_of(of[0]) for of in side) for side in (of_a, of_b)))
    nearest: list[int] = apart.argmin(axis=1).tolist()
    back: list[int] = apart.argmin(axis=0).tolist()
    return [(row, other) for row, other in enumerate(nearest) if back[other] == row and apart[row, other] <= FRAME]


@lru_cache(maxsize=256)
def _apart(a: tuple[Words, ...], b: tuple[Words, ...]) -> np.ndarray:
    """Return how far the wordings of two styles lie apart, `[a, b]`; 1 where it is too far to share a frame."""
    apart = np.ones((len(a), len(b)))
    for row, (words, others) in enumerate(_near(a, b, FRAME)):
        apart[row, others] = [distance(words, b[other], most=FRAME) for other in others]
    return apart
