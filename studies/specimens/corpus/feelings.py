"""Love, friendship, grief and desire: who feels it, and what people say and do then."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import cast

from studies.specimens.corpus.choice import Draw, Words
from studies.specimens.corpus.document import mark

_PEOPLE = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Mary", "Noah",
    "Olga", "Paul",
)  # fmt: skip


_PLACES = ("by the lake", "on the train", "at the harbour", "in the rain", "under the lime tree", "at a concert")


_WHENS = ("Last night", "In spring", "Long ago", "On her birthday", "Yesterday", "At noon")


def feeling(draw: Draw) -> str:
    """Return a small scene of one feeling between two people, every character of it marked with the feeling."""
    name = draw.one(tuple(_file()))
    said = _file()[name]
    words = Words(draw, {"person": _PEOPLE, "place": _PLACES, "when": _WHENS})
    words.update(a=words["person1"], b=words["person2"])
    sentences = [draw.one(said["openings"]) + ".", *draw.some(said["sentences"], draw.one((2, 3, 4)))]
    return mark(name, " ".join(sentence.format_map(words) for sentence in sentences))


@cache
def _file() -> dict[str, dict[str, list[str]]]:
    text = resources.files("studies.specimens.corpus").joinpath("feelings.toml").read_text(encoding="utf-8")
    return cast("dict[str, dict[str, list[str]]]", tomllib.loads(text))
