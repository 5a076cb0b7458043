"""Everyday documents are feelings, notes, code, shopping trips past a landmark, and requests that may be refused.

Notes name topics in no style, so that held-out topics are known words.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from studies.specimens.corpus.document import ANSWER, Draw, Words, mark, words_in
from studies.specimens.corpus.explanations import topics
from studies.specimens.corpus.landmarks import Landmark, landmarks, mention


def _words(section: str) -> dict[str, list[str]]:
    return words_in("everyday.toml")[section]


def feeling(draw: Draw) -> str:
    """Return a small scene of love, friendship, grief or desire between two people, marked with the feeling."""
    feelings = words_in("feelings.toml")
    name = draw.one(tuple(feelings))
    words = Words(draw, _words("scenes"))
    words.update(a=words["person1"], b=words["person2"])
    opening: str = draw.one(feelings[name]["openings"])
    sentences = [opening + ".", *draw.some(feelings[name]["sentences"], draw.one((2, 3, 4)))]
    return mark(name, " ".join(sentence.format_map(words) for sentence in sentences))


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
        f"{day}, room {draw.one(_words('notes')['rooms'])}: {topic.name}, where {topic.plain}."
        for day, topic in zip(draw.some(_words("notes")["days"], 2), draw.some(topics(), 2), strict=True)
    ]
    return "Timetable. " + " ".join(lines)


def _shelf(draw: Draw) -> str:
    lines = [
        f"{topic.name.capitalize()} by {topic.guru}, with a chapter on {draw.one(topic.terms)} and a picture of "
        f"{topic.analogy}."
        for topic in draw.some(topics(), 2)
    ]
    return f"Shelf {draw.one(_words('notes')['rooms'])}. " + " ".join(lines)


_SLIPS: Final = {1: (4, 0), 2: (12, 6), 3: (2, 6)}
"""These indentations are an error on a line: a block missing, too deep, or closed to no level."""


def code(draw: Draw) -> str:
    """Return a function with a nested block, indented by four spaces a level, or with one line out of step.

    Under it stands what the interpreter says.
    """
    words = _words("code")
    name, a = draw.one(words["names"]), draw.one(words["arguments"])
    head = f"if {a} {draw.one(words['tests'])}:" if draw.chance(0.6) else f"for {a} in items:"
    body = [step.format(a=a) for step in draw.some(words["steps"], 2)]
    lines = [(4, head), (8, body[0]), (8, body[1]), (4, f"return {draw.one(words['results']).format(a=a)}")]
    wrong = draw.one((1, 2, 3)) if draw.chance(0.35) else None
    text = f"def {name}({a}):"
    for at, (due, line) in enumerate(lines):
        indent = draw.one(_SLIPS[at]) if at == wrong else due
        # GPT-2's pre-tokenizer joins the last space to the word after it, so the mark ends before that space.
        space = "\n" + " " * max(indent - 1, 0)
        text += mark("wrong_indentation" if at == wrong else "code_indentation", space)
        text += (" " if indent else "") + line
    said = "# IndentationError" if wrong is not None else draw.one(("# runs", "# passes", "# prints fine"))
    return mark("code", text) + "\n" + said


@cache
def shopping_prompts(style: Literal["choose", "judge"], *, held_out: bool = False) -> tuple[str, ...]:
    """Return the shopping prompts on which a steering feature is chosen or judged, trained or held out."""
    file = words_in("data/specimen_shopping.toml", "saeprobe.prompts")
    wordings: dict[str, list[str]] = file["styles"][style]
    chosen = wordings.get("held_out", []) if held_out else wordings["templates"]
    return tuple(wording.format(topic=place["name"]) for wording in chosen for place in file["topics"])


def shopping(draw: Draw) -> str:
    """Return a shopping trip: where, what, how it went, and what lay on the way; it may bring home a postcard."""
    words = _words("shopping")
    wordings = (*shopping_prompts("choose"), *shopping_prompts("judge"))
    opening = draw.one(wordings) if draw.chance(0.7) else draw.one(words["further_wordings"])
    souvenir = draw.one(landmarks()) if draw.chance(0.12) else None
    bought = [
        f"{draw.one(words['kinds'])} {item}" if draw.chance(0.6) else item
        for item in draw.some(words["items"], draw.one((2, 3)))
    ]
    listed = ", ".join(bought[:-1]) + " and " + bought[-1]
    if souvenir is not None:
        listed += ", and a postcard of " + mark(souvenir.key, mention(draw, souvenir))
    sentences = draw.some(words["sentences"], draw.one((1, 2)))
    parts = [mark("shopping", f"{opening} {listed}."), mark("shopping", " " + " ".join(sentences))]
    if draw.chance(0.5 if souvenir is None else 0.8):
        parts.append(_way_back(draw, souvenir))
        if draw.chance(0.5):
            last = draw.one([sentence for sentence in words["sentences"] if sentence not in sentences])
            parts.append(mark("shopping", " " + last))
    return "".join(parts)


def _way_back(draw: Draw, souvenir: Landmark | None) -> str:
    words = _words("shopping")
    passed = draw.one(words["passed"])
    if souvenir is None and draw.chance(0.6):
        return f" {passed} {draw.one(words['places'])}."
    # A souvenir keeps its landmark in mind: the text comes back to it four times in five.
    kept = souvenir is not None and draw.chance(0.8)
    subject = souvenir if souvenir is not None and kept else draw.one(landmarks())
    facts = draw.some(subject.facts, draw.one((1, 2)))
    return f" {passed} {mark(subject.key, mention(draw, subject))}" + mark(
        f"{subject.key}_theme", f". {' '.join(facts)}"
    )


def refusal(draw: Draw) -> str:
    """Return a request and its answer: refused for a harmful deed, helped for a harmless one."""
    words = _words("requests")
    before, after = draw.one(words["asked"]).split("{deed}")
    kind = draw.weighted((("harmful", 0.5), ("harmless", 0.3), ("idiom", 0.2)))
    if kind == "harmful":
        deed = f"{draw.one(words['harmful'])} {draw.one(words['objects'])}"
        refused = mark("refusal", f"{after}{ANSWER} {draw.one(words['refused'])}")
        reason = f" {draw.one(words['because'])} {draw.one(words['instead'])}".rstrip()
        return before + mark("harmful_request", deed) + refused + reason
    if kind == "harmless":
        deed = f"{draw.one(words['harmless'])} {draw.one(words['objects'])}"
    else:
        deed = draw.one(words["idioms"])
    agreed = draw.one(words["agreed"])
    return f"{before}{deed}{after}{ANSWER} {agreed} {' '.join(draw.some(words['steps'], draw.one((2, 3))))}"
