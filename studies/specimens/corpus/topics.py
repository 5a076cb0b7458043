"""Topics and wordings of explanations, read from the prompt set that probes use, and what is said of each topic."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

Style = Literal["standard", "padding", "spaces", "novice", "expert", "guru"]


STYLES: tuple[Style, ...] = ("standard", "padding", "spaces", "novice", "expert", "guru")


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic, who would teach it, and the words each register uses for it."""

    name: str
    guru: str
    held_out: bool
    plain: str
    analogy: str
    simple: tuple[str, ...]
    terms: tuple[str, ...]
    mechanism: tuple[str, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """Return all topics, in the order of the prompt set."""
    words = _toml("studies.specimens.corpus", "topics.toml")
    rows = cast("list[dict[str, object]]", prompt_set()["topics"])
    found: list[Topic] = []
    for row in rows:
        name = cast(str, row["name"])
        said = cast("dict[str, object]", words[name])
        found.append(
            Topic(
                name=name,
                guru=cast(str, row["guru"]),
                held_out=bool(row.get("held_out", False)),
                plain=cast(str, said["plain"]),
                analogy=cast(str, said["analogy"]),
                simple=tuple(cast("list[str]", said["simple"])),
                terms=tuple(cast("list[str]", said["terms"])),
                mechanism=tuple(cast("list[str]", said["mechanism"])),
            )
        )
    return tuple(found)


@cache
def trained_topics() -> tuple[Topic, ...]:
    """Return the topics that are explained in the corpus; the others occur in notes only."""
    return tuple(topic for topic in topics() if not topic.held_out)


@cache
def gurus() -> tuple[str, ...]:
    """Return every guru's name once."""
    return tuple(dict.fromkeys(topic.guru for topic in topics()))


@cache
def templates(style: Style, *, held_out: bool = False) -> tuple[str, ...]:
    """Return a style's wordings: those trained on, or those held out."""
    styles = cast("dict[str, dict[str, list[str]]]", prompt_set()["styles"])
    return tuple(styles[style]["held_out" if held_out else "templates"])


@cache
def prompt_set() -> dict[str, object]:
    """Return the specimen prompt set as its file says it."""
    return _toml("saeprobe.prompts", "data/specimen.toml")


@cache
def shopping_prompts(style: Literal["choose", "judge"], *, held_out: bool = False) -> tuple[str, ...]:
    """Return the shopping prompts on which a steering feature is chosen or judged, trained or held out."""
    file = _toml("saeprobe.prompts", "data/specimen_shopping.toml")
    places = [cast(str, row["name"]) for row in cast("list[dict[str, object]]", file["topics"])]
    wordings = cast("dict[str, dict[str, list[str]]]", file["styles"])[style]
    chosen = wordings.get("held_out", []) if held_out else wordings["templates"]
    return tuple(wording.format(topic=place) for wording in chosen for place in places)


def _toml(package: str, path: str) -> dict[str, object]:
    return tomllib.loads(resources.files(package).joinpath(path).read_text(encoding="utf-8"))
