"""A topic is explained in six styles: the prompt asks for the style, and the answer is in its register.

Topics and wordings are read from the prompt set that probes use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from studies.specimens.corpus.document import ANSWER, Draw, Words, mark, words_in

Style = Literal["standard", "padding", "spaces", "novice", "expert", "guru"]
STYLES: Final[tuple[Style, ...]] = ("standard", "padding", "spaces", "novice", "expert", "guru")
REGISTERS: Final = ("plain", "novice", "expert", "guru")
_PROMPTS: Final = "data/specimen.toml", "saeprobe.prompts"


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic has a guru who would teach it, and the words that each register uses for it."""

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
    words = words_in("topics.toml")
    return tuple(
        Topic(
            name=row["name"],
            guru=row["guru"],
            held_out=bool(row.get("held_out", False)),
            plain=words[row["name"]]["plain"],
            analogy=words[row["name"]]["analogy"],
            simple=tuple(words[row["name"]]["simple"]),
            terms=tuple(words[row["name"]]["terms"]),
            mechanism=tuple(words[row["name"]]["mechanism"]),
        )
        for row in words_in(*_PROMPTS)["topics"]
    )


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
    return tuple(words_in(*_PROMPTS)["styles"][style]["held_out" if held_out else "templates"])


def register_of(style: Style) -> str:
    """Return the register in which a style is answered: its own, or the plain one."""
    return style if style in REGISTERS else "plain"


def explanation(draw: Draw) -> str:
    """Return a prompt in a trained wording about a trained topic, and its answer."""
    style = draw.one(STYLES)
    topic = draw.one(trained_topics())
    # Half the time any guru: the voice must follow the name in the prompt, not the topic.
    guru = draw.one(gurus()) if style == "guru" and draw.chance(0.5) else topic.guru
    wording = draw.one(templates(style))
    register = register_of(style)
    prompt = mark(f"ask_{style}", wording.format(topic=topic.name, guru=guru))
    return prompt + ANSWER + mark(f"register_{register}", answer(draw, register=register, topic=topic, guru=guru))


def openings(register: str, *, topic: Topic, guru: str) -> tuple[str, ...]:
    """Return how answers in a register begin: their first sentences up to the first word that is drawn."""
    fields = {"{topic}": topic.name, "{Topic}": topic.name.capitalize(), "{guru}": guru}
    found: list[str] = []
    for sentence in words_in("explanations.toml")[register][0]:
        text: str = sentence
        for field, word in fields.items():
            text = text.replace(field, word)
        found.append(" " + text.split("{", maxsplit=1)[0].rstrip())
    return tuple(found)


def answer(draw: Draw, *, register: str, topic: Topic, guru: str) -> str:
    """Return an answer in a register, with the space that parts it from its prompt."""
    words = Words(draw, {"simple": topic.simple, "term": topic.terms, "mechanism": topic.mechanism})
    words.update(topic=topic.name, Topic=topic.name.capitalize(), plain=topic.plain, analogy=topic.analogy, guru=guru)
    sentences = [draw.one(group).format_map(words) for group in words_in("explanations.toml")[register]]
    return "".join(f" {sentence}" for sentence in sentences if sentence)
