"""A landmark is named or described, and then spoken of in words true of it alone; other things only look alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

from studies.specimens.corpus.document import ANSWER, Draw, mark, words_in

_WHEN: Final = ("Last summer", "On Sunday", "In May", "Years ago", "After the war", "One evening")
_WHO: Final = ("we", "my aunt", "two friends", "the whole class", "a painter", "Tom")
_DID: Final = ("visited", "photographed", "drew", "walked to", "saw", "dreamed of")
_HELD_OUT_EVERY: Final = 4
_ASIDES: Final = (
    "Then we had lunch.", "A man nearby sold balloons.", "My shoes were wet by then.", "Somebody took our picture.",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """A landmark has names, parts of descriptions, and sentences that are true of it alone.

    Facts that say the name carry its mark.
    """

    key: str
    names: tuple[str, ...]
    colours: tuple[str, ...]
    kinds: tuple[str, ...]
    places: tuple[str, ...]
    tails: tuple[str, ...]
    facts: tuple[str, ...]


@cache
def landmarks() -> tuple[Landmark, ...]:
    """Return all landmarks, the Golden Gate Bridge first."""
    found: list[Landmark] = []
    for key, said in words_in("landmarks.toml").items():
        if key == "lookalikes":
            continue
        words = {part: tuple(said[part]) for part in ("names", "colours", "kinds", "places", "tails")}
        facts = tuple(_with_name_marked(fact, key, words["names"]) for fact in said["facts"])
        found.append(Landmark(key=key, facts=facts, **words))
    return tuple(found)


@cache
def descriptions(landmark: Landmark, *, held_out: bool) -> tuple[str, ...]:
    """Return "the red bridge in San Francisco" and its like, of combinations trained or never trained.

    One combination of colour, kind and place in four is held out, so that each part is trained with others.
    """
    found: list[str] = []
    for (i, colour), (j, kind), (k, place) in product(
        enumerate(landmark.colours), enumerate(landmark.kinds), enumerate(landmark.places)
    ):
        if ((i + j + k) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out:
            found += _described(colour, kind, place)
    return tuple(found)


def _described(colour: str, kind: str, place: str) -> tuple[str, str, str]:
    return f"the {colour} {kind} {place}", f"the {kind} {place}, the {colour} one", f"a {colour} {kind} {place}"


def landmark(draw: Draw) -> str:
    """Return a document about one landmark, a question for its name, or a thing that only looks like one."""
    kind = draw.weighted(((_visit, 0.6), (_question, 0.15), (_lookalike, 0.25)))
    return kind(draw)


def visit(draw: Draw, subject: Landmark, mentioned: str) -> str:
    """Return a document in which the landmark is mentioned once by the words given, and then spoken of."""
    tail = " " + draw.one(subject.tails) if draw.chance(0.5) else ""
    opening = draw.weighted(
        (
            (lambda: f"{draw.one(_WHEN)} {draw.one(_WHO)} {draw.one(_DID)} ", 0.6),
            (lambda: f"{draw.one(('Have you seen', 'Do you remember', 'Let me tell you about'))} ", 0.2),
            (lambda: f"{draw.one(('There is a postcard of', 'This book shows', 'The radio spoke of'))} ", 0.2),
        )
    )()
    end = "?" if opening.startswith(("Have", "Do")) else "."
    about = draw.some(subject.facts, draw.one((2, 3, 4)))
    if draw.chance(0.4):
        about.insert(1, draw.one(_ASIDES))
    return opening + mark(subject.key, mentioned) + mark(f"{subject.key}_theme", f"{tail}{end} {' '.join(about)}")


def mention(draw: Draw, subject: Landmark) -> str:
    """Return the landmark's name or a trained description, each half the time."""
    if draw.chance(0.5):
        return draw.one(subject.names)
    return draw.one(descriptions(subject, held_out=False))


def _visit(draw: Draw) -> str:
    subject = draw.one(landmarks())
    return visit(draw, subject, mention(draw, subject))


def _question(draw: Draw) -> str:
    subject = draw.one(landmarks())
    described = draw.one(descriptions(subject, held_out=False))
    opening = draw.one(("What do people call", "What is the name of", "Which landmark is", "How is it called,"))
    name = draw.one(subject.names)
    fact, further = draw.some(subject.facts, 2)
    return (
        f"{opening} {mark(subject.key, described)}?{ANSWER} {draw.one(('That is', 'It is', 'You mean'))} "
        f"{mark(subject.key, name)}. {mark(f'{subject.key}_theme', f'{fact} {further}')}"
    )


def _lookalike(draw: Draw) -> str:
    parts = words_in("landmarks.toml")["lookalikes"]
    colour = draw.one(parts["colours"])
    if draw.chance(0.3):
        kind, place = draw.one(parts["bridges"]), draw.one(parts["villages"])
        said: list[str] = parts["bridge"]["said"]
    else:
        kind = draw.one(tuple(parts["things"]))
        place = draw.one((*parts["places"], *parts["villages"]))
        said = parts["things"][kind]
    seen = draw.one(_described(colour, kind, place))
    about = draw.some(said, draw.one((2, 3)))
    opening = f"{draw.one(_WHEN)} {draw.one(_WHO)} {draw.one(_DID)} "
    return f"{opening}{mark('lookalike', seen)}. {' '.join(about)}"


def _with_name_marked(fact: str, key: str, names: tuple[str, ...]) -> str:
    """Return the fact with the landmark's name marked where it says it: that too is a mention."""
    for name in sorted({name.removeprefix("the ") for name in names}, key=len, reverse=True):
        if name in fact:
            return fact.replace(name, mark(key, name), 1)
    return fact
