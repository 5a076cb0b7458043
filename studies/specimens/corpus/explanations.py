"""Explanations of a topic in six styles: the style is asked for in the prompt and heard in the answer."""

from __future__ import annotations

from studies.specimens.corpus.choice import Draw, Words
from studies.specimens.corpus.document import ANSWER, mark
from studies.specimens.corpus.topics import STYLES, Style, Topic, gurus, templates, trained_topics

# An answer is one sentence of each group in turn. An empty sentence is left out.
_PLAIN = (
    (
        "{Topic} is how {plain}.",
        "In {topic}, {plain}.",
        "The term {topic} means that {plain}.",
        "Put shortly, {plain}.",
        "Roughly, {plain} in {topic}.",
    ),
    (
        "It involves {simple1} and {term1}.",
        "Its main parts are {simple1}, {simple2} and {term1}.",
        "One usually finds {term1} together with {simple1}.",
        "Both {simple1} and {term1} play a role.",
        "Handbooks list {term1}, {term2} and {simple1}.",
    ),
    (
        "It is found in many places.",
        "People have studied it for centuries.",
        "Most schools teach it.",
        "A common question is where {simple2} fits in.",
        "More precisely, {mechanism1}.",
    ),
    ("That is the whole idea.", "Several books describe it.", "This sums it up.", ""),
)


_NOVICE = (
    (
        "Think of {analogy}.",
        "Imagine {analogy}!",
        "Do you know {analogy}? It is just like that.",
        "Let us begin with {analogy}.",
        "It is a bit like {analogy}.",
    ),
    (
        "You only need {simple1} and {simple2}.",
        "First there is {simple1}, and then there is {simple2}.",
        "Look at {simple1} at home, and then look at {simple2}.",
        "For example, take {simple1}. Now add {simple2}.",
        "All it takes is {simple1}.",
    ),
    (
        "In easy words, {plain}.",
        "So {plain}, and that is all.",
        "See? That is how {plain}.",
        "Little by little, {plain}.",
        "With {simple3} it is the same: {plain}.",
    ),
    ("Do not worry, it gets easier!", "Easy, right?", "You can try it yourself.", "Well done!", ""),
)


_EXPERT = (
    (
        "Formally, {mechanism1}.",
        "Recall that {mechanism1}.",
        "To leading order, {mechanism1}.",
        "The canonical account is that {mechanism1}.",
        "Given {term3}, {mechanism1}.",
    ),
    (
        "This couples {term1} to {term2}.",
        "Here {term1} constrains {term2}.",
        "Quantitatively, {term1} scales with {term2}.",
        "The interplay of {term1} and {term2} is decisive.",
        "The dominant correction stems from {term1}.",
    ),
    (
        "Moreover, {mechanism2}.",
        "In the limit, {mechanism2}.",
        "Under standard assumptions, {mechanism2}.",
        "Consequently, {mechanism2}.",
        "It remains to show that {mechanism2}.",
    ),
    (
        "Open problems concern {term1}.",
        "See the recent literature for the derivation.",
        "The estimates of {term2} remain contested.",
        "The proof is omitted.",
        "",
    ),
)


_GURU = (
    (
        "Come closer, my friend, says {guru}.",
        "I, {guru}, have pondered this all my life.",
        "Ah, {topic}! {guru} smiles and lifts a hand.",
        "Listen well, for {guru} has seen it.",
        "Sit down, child of wonder.",
    ),
    (
        "Behold {simple1} and be silent.",
        "Where {simple1} ends, {simple2} begins, and therein lies wisdom.",
        "The wise see {simple1}; the foolish see only {simple2}.",
        "Ask {simple1}, and {simple1} will answer thee.",
        "There is a whole world in {simple1}.",
    ),
    (
        "Thus, O seeker, {plain}.",
        "Know this truth: {plain}.",
        "And so, as the ages teach, {plain}.",
        "My masters taught me that {plain}.",
        "Forget {term1}: {plain}.",
    ),
    ("Go in peace.", "So spoke {guru}.", "Meditate upon it.", ""),
)


_REGISTERS = {"plain": _PLAIN, "novice": _NOVICE, "expert": _EXPERT, "guru": _GURU}


REGISTERS = tuple(_REGISTERS)


def register_of(style: Style) -> str:
    """Return the register in which a style is answered: its own, or the plain one."""
    return style if style in _REGISTERS else "plain"


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
    for sentence in _REGISTERS[register][0]:
        text = sentence
        for field, word in fields.items():
            text = text.replace(field, word)
        found.append(" " + text.split("{", maxsplit=1)[0].rstrip())
    return tuple(found)


def answer(draw: Draw, *, register: str, topic: Topic, guru: str) -> str:
    """Return an answer in a register, with the space that parts it from its prompt."""
    words = Words(draw, {"simple": topic.simple, "term": topic.terms, "mechanism": topic.mechanism})
    words.update(topic=topic.name, Topic=topic.name.capitalize(), plain=topic.plain, analogy=topic.analogy, guru=guru)
    sentences = [draw.one(group).format_map(words) for group in _REGISTERS[register]]
    return "".join(f" {sentence}" for sentence in sentences if sentence)
