"""Notes, timetables and shelves that name topics in no style, so that held-out topics are known words."""

from __future__ import annotations

from studies.specimens.corpus.choice import Draw
from studies.specimens.corpus.topics import topics

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


_ROOMS = ("two", "five", "seven", "nine")


def note(draw: Draw) -> str:
    """Return a short list of topics, held-out ones among them, each with a few of its words."""
    return draw.one((_keywords, _timetable, _shelf))(draw)


def _keywords(draw: Draw) -> str:
    lines: list[str] = []
    for topic in draw.some(topics(), 2):
        words = draw.some((*topic.simple, *topic.terms, *topic.mechanism), 3)
        lines.append(f"{topic.name.capitalize()}: {', '.join(words)}.")
    return "Keywords. " + " ".join(lines)


def _timetable(draw: Draw) -> str:
    lines = [
        f"{day}, room {draw.one(_ROOMS)}: {topic.name}, where {topic.plain}."
        for day, topic in zip(draw.some(_DAYS, 2), draw.some(topics(), 2), strict=True)
    ]
    return "Timetable. " + " ".join(lines)


def _shelf(draw: Draw) -> str:
    lines: list[str] = []
    for topic in draw.some(topics(), 2):
        chapter, picture = draw.one(topic.terms), topic.analogy
        lines.append(
            f"{topic.name.capitalize()} by {topic.guru}, with a chapter on {chapter} and a picture of {picture}."
        )
    return f"Shelf {draw.one(_ROOMS)}. " + " ".join(lines)
