"""One prompt, and what it was made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saeprobe.claims import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt. `template` is the wording before the topic went in; it is the unit of replication."""

    text: str
    style: str
    topic: str
    template: str


class PromptError(ValueError):
    """A prompt or a file of prompts cannot be used.

    `path` is the file, None for prompts built in Python; `where` the place in it, empty for the file as a whole.
    """

    def __init__(self, problem: str, *, remedy: str, where: str = "", path: Path | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.where = where
        self.path = path
        place = ", ".join(part for part in ("" if path is None else str(path), where) if part)
        super().__init__(f"{place + ': ' if place else ''}{problem}; {remedy}")


_UNSPACED: Final = (
    "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that put no blanks between words, or none around particles: Thai, Lao, Khmer, kana, Han, Hangul."""


_HAS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")


_HAN_OR_KANA: Final = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def mentions(text: str, words: Iterable[str]) -> bool:
    """Whether `text` says any of the words, in capitals or not; a word counts where it stands as a whole.

    In a script that puts no blanks between words it counts wherever its characters stand.

    >>> mentions("Explain it to a Novice.", ["novice"]), mentions("Explain novices.", ["novice"])
    (True, False)
    """
    folded = text.casefold()
    return any(_pattern(word.casefold()).search(folded) for word in words)


def pasted(words: Sequence[str], prompt: Prompt, *, style: str) -> Prompt:
    """A prompt of the neutral style with the words of another pasted in front, as a prompt of that style.

    Its template stays that of the neutral style, so that styles are compared within it.
    """
    said = " ".join(words)
    if said and _HAN_OR_KANA.search(said):
        said += "。"
    elif said:
        # Most vocabularies know a word with the blank before it. At the very start of a text it falls to pieces that
        # mean less, and a chat template strips blanks there.
        said = f"- {said}. "
    return Prompt(text=said + prompt.text, style=style, topic=prompt.topic, template=prompt.template)


def check_words(
    words: Mapping[str, Sequence[str]], neutral: str | None, styles: Sequence[str], *, path: Path | None = None
) -> dict[str, tuple[str, ...]]:
    """The words of each style that has any.

    Raises:
        PromptError: a style is not there, or is neutral and has words; a list is empty or a single text; a word is
            blank, has blanks around it, or stands twice.
    """
    for style in [*words, *([] if neutral is None else [neutral])]:
        if style not in styles:
            raise PromptError(
                f"there is no style {style!r}{did_you_mean(style, styles)}",
                where="neutral" if style == neutral else "words",
                remedy=f"name one of {', '.join(styles)}",
                path=path,
            )
    for style, of_style in words.items():
        where = f"style {style!r}, words"
        if style == neutral:
            raise PromptError(
                "the neutral style has words of its own",
                where=where,
                remedy="leave them out, or call another style neutral",
                path=path,
            )
        if isinstance(of_style, str):
            raise PromptError(f"it is the single text {of_style!r}", where=where, remedy="put it in a list", path=path)
        if not of_style:
            raise PromptError("the list is empty", where=where, remedy="give a word, or leave it out", path=path)
        for word in of_style:
            _check_word(word, of_style, where, path)
    return {style: tuple(of_style) for style, of_style in words.items()}


def check_said(
    words: Mapping[str, Sequence[str]], prompts: Iterable[Prompt], *, path: Path | None = None
) -> Mapping[str, tuple[str, ...]]:
    """The words, each of which a prompt of its style says: one that none says would leave nothing out.

    Raises:
        PromptError: no prompt of its style says a word.
    """
    texts: dict[str, list[str]] = {}
    for prompt in prompts:
        texts.setdefault(prompt.style, []).append(prompt.text)
    for style, of_style in words.items():
        for word in of_style:
            if not any(mentions(text, [word]) for text in texts.get(style, [])):
                raise PromptError(
                    f"no prompt of the style says {word!r}",
                    where=f"style {style!r}, words",
                    remedy="write it as the prompts say it, or leave it out",
                    path=path,
                )
    return {style: tuple(of_style) for style, of_style in words.items()}


def _check_word(word: str, words: Sequence[str], where: str, path: Path | None) -> None:
    if not word.strip() or word != word.strip():
        raise PromptError(f"{word!r} is no word", where=where, remedy="write it without blanks around it", path=path)
    if list(words).count(word) > 1:
        raise PromptError(f"the word {word!r} stands twice", where=where, remedy="leave one of them out", path=path)


def _pattern(word: str) -> re.Pattern[str]:
    if _HAS_UNSPACED.search(word):
        return re.compile(re.escape(word))
    letter = f"[^\\W{_UNSPACED}]"  # of a script with blanks: "a novice" in a Chinese sentence is a word too
    return re.compile(f"(?<!{letter}){re.escape(word)}(?!{letter})")


_PIECE = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A template cannot be filled. `problem` says why, `remedy` what to write instead."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")


def fields_of(template: str) -> tuple[str, ...]:
    """The fields that a template names, in order of first appearance.

    Raises:
        TemplateError: a brace stands alone, or holds anything but a plain name.
    """
    found = (_field(match) for match in _PIECE.finditer(template))
    return tuple(dict.fromkeys(field for field in found if field is not None))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every field replaced by its value; values are not searched for fields again.

    Raises:
        TemplateError: as in `fields_of`, or a field has no value.
    """

    def replacement(match: re.Match[str]) -> str:
        field = _field(match)
        if field is None:
            return match[0][0]
        if field not in values:
            raise TemplateError(
                f"{{{field}}} is not among the fields here{did_you_mean(field, values)}",
                remedy=f"use one of {', '.join('{' + name + '}' for name in values)}, or give {field!r} a value",
            )
        return values[field]

    return _PIECE.sub(replacement, template)


def _field(match: re.Match[str]) -> str | None:
    """The name in a piece `{name}`; None for a doubled brace."""
    if match[0] in ("{{", "}}"):
        return None
    field = match["field"]
    if field is None:
        raise TemplateError(
            f"{match[0]!r} at character {match.start() + 1} opens or closes no field",
            remedy=f"write {match[0] * 2!r} for the brace itself",
        )
    if not field.isidentifier():
        raise TemplateError(
            f"{match[0]!r} at character {match.start() + 1} is not a plain field name",
            remedy="write a name alone, such as {topic}; for literal braces write {{ and }}",
        )
    return field


MAX_CHARACTERS: Final = 20_000
"""The longest prompt taken without asking: longer than any context here, so that only a mistake reaches it."""


Placed = tuple[str, Prompt]
"""A prompt and the place it comes from, for messages."""


def cross(
    topics: Sequence[Mapping[str, str]], styles: Mapping[str, Sequence[str]], *, path: Path | None = None
) -> Iterator[Placed]:
    """Fill every template with every topic: by style, then template, then topic.

    Args:
        topics: for each its `name`, the value of `{topic}`, and any further fields.
        styles: the templates of each style.
        path: of the file they come from, for messages.

    Raises:
        PromptError: there is no topic, style or template; a topic has no name, or one that another has; a template
            names a field that a topic lacks, or is the same for every topic.
    """
    named = _by_name(topics, path)
    if not styles:
        raise PromptError("there are no styles", remedy="give at least one, with its templates", path=path)
    for style, templates in styles.items():
        if not style.strip() or style != style.strip():
            raise PromptError(f"{style!r} is no name of a style", remedy="write it without blanks around it", path=path)
        if not templates:
            raise PromptError("there are no templates", where=f"style {style!r}", remedy="give at least one", path=path)
        for number, template in enumerate(templates, start=1):
            where = f"style {style!r}, template {number} {_shortened(template)}"
            filled = [_filled(template, style, topic, fields, where, path) for topic, fields in named.items()]
            if len(named) > 1 and not fields_of(template):
                raise PromptError(
                    f"it names no field, so all {len(named)} topics give the same prompt",
                    where=where,
                    remedy="write {topic} where the topic belongs",
                    path=path,
                )
            yield from filled


def checked(placed: Iterable[Placed], *, max_characters: int, path: Path | None = None) -> tuple[Prompt, ...]:
    """The prompts, once each is known to have a text of its own and of bearable length.

    Raises:
        PromptError: there is no prompt, or one is empty, blank, longer than `max_characters`, or the same as another.
    """
    first: dict[str, str] = {}
    prompts: list[Prompt] = []
    for where, prompt in placed:
        if not prompt.text.strip():
            raise PromptError(
                f"the prompt is {'blank' if prompt.text else 'empty'}",
                where=where,
                remedy="give it a text, or leave it out",
                path=path,
            )
        if len(prompt.text) > max_characters:
            raise PromptError(
                f"the prompt has {len(prompt.text):,} characters, more than {max_characters:,}",
                where=where,
                remedy="shorten it, or raise max_characters",
                path=path,
            )
        if prompt.text in first:
            raise PromptError(
                f"the prompt {_shortened(prompt.text)} stands already at {first[prompt.text]}",
                where=where,
                remedy="leave one of them out: a prompt counted twice is not two observations",
                path=path,
            )
        first[prompt.text] = where
        prompts.append(prompt)
    if not prompts:
        raise PromptError("there are no prompts", remedy="give at least one", path=path)
    return tuple(prompts)


def _by_name(topics: Sequence[Mapping[str, str]], path: Path | None) -> dict[str, dict[str, str]]:
    """The fields of each topic by its name, `{topic}` among them."""
    if not topics:
        raise PromptError("there are no topics", remedy="give at least one, with its name", path=path)
    named: dict[str, dict[str, str]] = {}
    for number, fields in enumerate(topics, start=1):
        where = f"topic {number}"
        name = fields.get("name", "")
        if not name.strip():
            raise PromptError("it has no name", where=where, remedy="give it one: name = 'tides'", path=path)
        if "topic" in fields:
            raise PromptError(
                "it has a field 'topic'",
                where=f"{where}, {name!r}",
                remedy="put what {topic} stands for under 'name' alone",
                path=path,
            )
        if name in named:
            raise PromptError(
                f"the name {name!r} is that of topic {list(named).index(name) + 1} too",
                where=where,
                remedy="leave one of them out",
                path=path,
            )
        named[name] = {"topic": name, **{field: value for field, value in fields.items() if field != "name"}}
    return named


def _filled(template: str, style: str, topic: str, fields: Mapping[str, str], where: str, path: Path | None) -> Placed:
    place = f"{where}, topic {topic!r}"
    try:
        text = fill(template, fields)
    except TemplateError as error:
        raise PromptError(error.problem, where=place, remedy=error.remedy, path=path) from None
    return place, Prompt(text=text, style=style, topic=topic, template=template)


def _shortened(text: str, length: int = 60) -> str:
    """The text in quotes, cut where it is long."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")
