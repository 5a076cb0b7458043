"""A prompt is made of a template and a topic; it is checked, and searched for the words of its style."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from saeprobe.claims import did_you_mean
from saeprobe.files import FileError, visible

MAX_CHARACTERS: Final = 20_000
"""The longest prompt taken without asking: longer than any context here, so that only a mistake reaches it."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt is a text, and what it was made from.

    `template` is the wording before the topic went in; it is the unit of replication, together with its near copies
    unless its style is `distinct`. `frame` names what it shares with a wording of another style. What a prompt is, and
    where it is stored, depends on neither.
    """

    text: str
    style: str
    topic: str
    template: str
    frame: str = field(default="", compare=False, repr=False)
    distinct: bool = field(default=False, compare=False, repr=False)


class PromptError(ValueError):
    """A template, a prompt or a file of prompts cannot be used.

    `problem` is what is wrong and `remedy` what to write instead. `where` is the entry in the file or set, empty for
    the whole, and `path` the file, None for prompts built in Python.
    """

    def __init__(self, problem: str, *, remedy: str, where: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy, self.where = problem, remedy, where
        self.path: Path | None = None

    def __str__(self) -> str:
        at = ", ".join(part for part in ("" if self.path is None else str(self.path), self.where) if part)
        return visible(f"{at}{': ' if at else ''}{self.problem}; {self.remedy}")


@contextmanager
def at(where: str = "", *, path: Path | None = None) -> Generator[None]:
    """Add the entry, or the file, to a `PromptError` that is raised inside, and make one of a `FileError`."""
    try:
        yield
    except (PromptError, FileError) as raised:
        error = raised
        if isinstance(error, FileError):
            error = PromptError(error.found, remedy=error.remedy or f"wanted {error.wanted}", where=error.where)
        error.where = ", ".join(part for part in (where, error.where) if part)
        error.path = path or error.path
        raise error from raised.__cause__


_PIECE = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|[{}]")


def fields_of(template: str) -> tuple[str, ...]:
    """List the fields that a template names, in order of first appearance."""
    found = (_field(match) for match in _PIECE.finditer(template))
    return tuple(dict.fromkeys(field for field in found if field is not None))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace every field of a template by its value; values are not searched for fields again.

    A PromptError says that a field has no value, or a brace stands alone or holds anything but a plain name.
    """

    def replacement(match: re.Match[str]) -> str:
        field = _field(match)
        if field is None:
            return match[0][0]
        if field not in values:
            raise PromptError(
                f"{{{field}}} is not among the fields here{did_you_mean(field, values)}",
                remedy=f"use one of {', '.join('{' + name + '}' for name in values)}, or give {field!r} a value",
            )
        return values[field]

    return _PIECE.sub(replacement, template)


def _field(match: re.Match[str]) -> str | None:
    if match[0] in ("{{", "}}"):
        return None
    field, found = match["field"], f"{match[0]!r} at character {match.start() + 1}"
    if field is None:
        raise PromptError(f"{found} opens or closes no field", remedy=f"write {match[0] * 2!r} for the brace itself")
    if not field.isidentifier():
        remedy = "write a name alone, such as {topic}; for literal braces write {{ and }}"
        raise PromptError(f"{found} is not a plain field name", remedy=remedy)
    return field


Located = tuple[str, Prompt]  # the place that a prompt comes from, for messages, and the prompt


def cross(
    topics: Sequence[Mapping[str, str]], styles: Mapping[str, Sequence[str]], repeats: Mapping[str, str]
) -> Iterator[Located]:
    """Fill every template of each style with every topic: by style, then template, then topic.

    A topic has a `name`, which is the value of `{topic}`, and any further fields. Of a style that repeats another only
    the declaration is checked: its prompts are those of the other.
    """
    named = _by_name(topics)
    _check_names(styles, repeats)
    for style, templates in styles.items():
        if style in repeats:
            continue
        if not templates:
            raise PromptError("there are no templates", where=f"style {style!r}", remedy="give at least one")
        for number, template in enumerate(templates, start=1):
            where = f"style {style!r}, template {number} {_shortened(template)}"
            filled: list[Located] = []
            for topic, fields in named.items():
                with at(place := f"{where}, topic {topic!r}"):
                    text = fill(template, fields)
                filled.append((place, Prompt(text=text, style=style, topic=topic, template=template)))
            if len(named) > 1 and not fields_of(template):
                problem = f"it names no field, so all {len(named)} topics give the same prompt"
                raise PromptError(problem, where=where, remedy="write {topic} where the topic belongs")
            yield from filled


def _check_names(styles: Mapping[str, Sequence[str]], repeats: Mapping[str, str]) -> None:
    if not styles:
        raise PromptError("there are no styles", remedy="give at least one, with its templates")
    for style in (*styles, *repeats):
        if not style.strip() or style != style.strip():
            raise PromptError(f"{style!r} is no name of a style", remedy="write it without blanks around it")
    for style, of in repeats.items():
        with at(f"style {style!r}, repeats"):
            if of == style:
                raise PromptError("it repeats itself", remedy="name the style that it is another reading of")
            if of in repeats:
                raise PromptError(f"{of!r} is a repeat itself", remedy=f"name the one that it repeats, {repeats[of]!r}")
            if of not in styles:
                others = [name for name in styles if name not in repeats]
                problem = f"there is no style {of!r}{did_you_mean(str(of), others)}"
                raise PromptError(problem, remedy=f"name one of {', '.join(others)}")
            if (own := styles.get(style)) and sorted(own) != sorted(styles[of]):
                problem = f"it has other templates than {of!r}: a repeat is the same prompts, read again"
                raise PromptError(problem, remedy="give it no templates, or leave repeats out")


def _by_name(topics: Sequence[Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the fields of each topic by its name, `{topic}` among them."""
    if not topics:
        raise PromptError("there are no topics", remedy="give at least one, with its name")
    named: dict[str, dict[str, str]] = {}
    for number, fields in enumerate(topics, start=1):
        name = fields.get("name", "")
        with at(f"topic {number}"):
            if not name.strip():
                raise PromptError("it has no name", remedy="give it one: name = 'tides'")
            if "topic" in fields:
                remedy = "put what {topic} stands for under 'name' alone"
                raise PromptError("it has a field 'topic'", where=repr(name), remedy=remedy)
            if name in named:
                first = list(named).index(name) + 1
                raise PromptError(f"the name {name!r} is that of topic {first} too", remedy="leave one of them out")
        named[name] = {"topic": name, **{field: value for field, value in fields.items() if field != "name"}}
    return named


def checked(located: Iterable[Located], *, max_characters: int) -> tuple[Prompt, ...]:
    """Return the prompts, once each is known to have a text of its own and of bearable length."""
    first: dict[str, str] = {}
    prompts: list[Prompt] = []
    for where, prompt in located:
        with at(where):
            if not prompt.text.strip():
                kind = "blank" if prompt.text else "empty"
                raise PromptError(f"the prompt is {kind}", remedy="give it a text, or leave it out")
            if len(prompt.text) > max_characters:
                problem = f"the prompt has {len(prompt.text):,} characters, more than {max_characters:,}"
                raise PromptError(problem, remedy="shorten it, or raise max_characters")
            if prompt.text in first:
                problem = f"the prompt {_shortened(prompt.text)} stands already at {first[prompt.text]}"
                remedy = "leave one of them out, as a prompt counted twice is not two observations; a style that is to "
                remedy += 'be read again to see whether both readings agree says so: repeats = "standard"'
                raise PromptError(problem, remedy=remedy)
        first[prompt.text] = where
        prompts.append(prompt)
    if not prompts:
        raise PromptError("there are no prompts", remedy="give at least one")
    return tuple(prompts)


def _shortened(text: str, length: int = 60) -> str:
    """Quote the text, cut where it is long."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")


_UNSPACED: Final = (
    "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that put no blanks between words, or none around particles: Thai, Lao, Khmer, kana, Han, Hangul."""

_ALIKE: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032\u00b4", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u058a\u05be\ufe58", "-")
)
"""Signs for an apostrophe and for a hyphen that people and models write alike."""


def folded(text: str) -> str:
    """Return a text without what does not change its words: case, width, kinds of apostrophe and hyphen, unseen signs.

    >>> folded("Fisherman\u2019s e\u2011mail") == folded("FISHERMAN'S e-mail")
    True
    """
    if text.isascii():
        return text.casefold()
    seen = "".join(one for one in text.translate(_ALIKE) if unicodedata.category(one) != "Cf")  # as soft hyphens are
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())


def mentions(text: str, words: Iterable[str], *, inflected: bool = False) -> bool:
    """Say whether `text` has any of the words, both `folded`, as a whole or, `inflected`, as its beginning.

    >>> mentions("Explain it to a Novice.", ["novice"]), mentions("Explain novices.", ["novice"])
    (True, False)
    """
    written, *them = map(folded, (text, *words))
    return any(_pattern(word, inflected=inflected).search(written) for word in them)


@cache
def _pattern(word: str, *, inflected: bool) -> re.Pattern[str]:
    """Return what finds words; an end that is no letter, as that of "C++", or of an unspaced script stands anywhere."""
    letter = f"[^\\W{_UNSPACED}]"  # of a script with blanks: "a novice" in a Chinese sentence is a word too
    before = f"(?<!{letter})" if re.match(letter, word) else ""
    after = f"(?!{letter})" if re.match(letter, word[-1:]) and not inflected else ""
    return re.compile(before + r"\s+".join(map(re.escape, word.split())) + after)


def checked_words(
    words: Mapping[str, Sequence[str]], neutral: str | None, prompts: Iterable[Prompt]
) -> dict[str, tuple[str, ...]]:
    """Return the words by which styles call themselves, once each is known to stand in a prompt of its style.

    A word that no prompt says would leave nothing out under the control `wording`.
    """
    texts: dict[str, list[str]] = {}
    for prompt in prompts:
        texts.setdefault(prompt.style, []).append(prompt.text)
    for style in [*words, *([] if neutral is None else [neutral])]:
        if style not in texts:
            raise PromptError(
                f"there is no style {style!r}{did_you_mean(style, texts)}",
                where="neutral" if style == neutral else "words",
                remedy=f"name one of {', '.join(texts)}",
            )
    for style, of_style in words.items():
        with at(f"style {style!r}, words"):
            if style == neutral:
                remedy = "leave them out, or call another style neutral"
                raise PromptError("the neutral style has words of its own", remedy=remedy)
            if not of_style:
                raise PromptError("the list is empty", remedy="give a word, or leave it out")
            for word in of_style:
                _check_word(word, list(of_style), texts[style])
    return {style: tuple(of_style) for style, of_style in words.items()}


def _check_word(word: str, words: list[str], texts: Iterable[str]) -> None:
    if not word.strip() or word != word.strip():
        raise PromptError(f"{word!r} is no word", remedy="write it without blanks around it")
    if words.count(word) > 1:
        raise PromptError(f"the word {word!r} stands twice", remedy="leave one of them out")
    if not any(mentions(text, [word]) for text in texts):
        remedy = "write it as the prompts say it, or leave it out"
        raise PromptError(f"no prompt of the style says {word!r}", remedy=remedy)
