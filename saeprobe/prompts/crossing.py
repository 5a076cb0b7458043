"""Crossing: every template of every style with every topic, and the checks that all prompts pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from saeprobe.prompts.error import PromptError
from saeprobe.prompts.prompt import Prompt
from saeprobe.prompts.template import TemplateError, fields_of, fill

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
