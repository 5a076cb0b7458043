"""Sheets: a TOML file of topics and templates."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, cast

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.content import Content
from saeprobe.prompts.crossing import cross
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.words import check_words

_KEYS: Final = ("name", "language", "topics", "styles")


_STYLE_KEYS: Final = ("templates", "held_out", "words", "neutral")


_TEMPLATE_KEYS: Final = ("templates", "held_out")


_TOPIC_KEYS: Final = ("name", "held_out")


def read_sheet(text: str, path: Path) -> Content:
    """What a sheet holds; `path` is for messages.

    Raises:
        PromptError: the text is not TOML, or a key is missing, unknown or of the wrong type. What `cross` raises, it
            raises while the prompts are drawn.
    """
    try:
        document = cast("dict[str, object]", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PromptError(f"it is not TOML: {error}", remedy="correct the syntax there", path=path) from error
    _only_known(document, _KEYS, "", path)
    for key in _KEYS:
        if key not in document:
            raise PromptError(f"the key {key!r} is missing", remedy=f"add it; wanted: {', '.join(_KEYS)}", path=path)
    topics = [
        _topic(topic, f"topic {number}", path)
        for number, topic in enumerate(_list(document["topics"], "topics", path), start=1)
    ]
    styles = {
        name: _table(style, f"style {name!r}", path)
        for name, style in _table(document["styles"], "styles", path).items()
    }
    templates = {name: _templates(style, f"style {name!r}", path) for name, style in styles.items()}
    neutral = _neutral(styles, path)
    words = {name: _words(style["words"], name, path) for name, style in styles.items() if "words" in style}
    return Content(
        name=_text(document["name"], "name", path),
        language=_text(document["language"], "language", path),
        placed=cross(topics, templates, path=path),
        words=check_words(words, neutral, tuple(styles), path=path),
        neutral=neutral,
    )


def _topic(value: object, where: str, path: Path) -> dict[str, str]:
    """The name and further fields of a topic; `held_out` is for the reader and left out."""
    table = _table(value, where, path)
    if "name" not in table:
        near = next((f", only {key!r}" for key in table if did_you_mean(key, ("name",))), "")
        raise PromptError(f"it has no name{near}", where=where, remedy="give it one: name = 'tides'", path=path)
    fields: dict[str, str] = {}
    for key, content in table.items():
        if isinstance(content, bool):
            if key == "held_out":
                continue
            near = did_you_mean(key, _TOPIC_KEYS)
            raise PromptError(
                f"the field {key!r} is {str(content).lower()}{near}",
                where=where,
                remedy="only held_out is true or false; put the text that goes into templates in quotes",
                path=path,
            )
        if key == "held_out":
            raise PromptError("held_out is not true or false", where=where, remedy="write one of them", path=path)
        fields[key] = _text(content, f"{where}, field {key!r}", path)
    return fields


def _templates(table: dict[str, object], where: str, path: Path) -> list[str]:
    """The templates of a style, those held out after the others."""
    _only_known(table, _STYLE_KEYS, where, path)
    if "templates" not in table:
        raise PromptError("it has no templates", where=where, remedy='add templates = ["..."]', path=path)
    texts: list[str] = []
    for key in _TEMPLATE_KEYS:
        entries = _list(table.get(key, []), f"{where}, {key}", path)
        if key == "templates" and not entries:
            raise PromptError("the list templates is empty", where=where, remedy="give at least one", path=path)
        texts += [
            _text(entry, f"{where}, {key}, entry {number}", path) for number, entry in enumerate(entries, start=1)
        ]
    return texts


def _words(value: object, style: str, path: Path) -> list[str]:
    """The words of a style as they stand."""
    where = f"style {style!r}, words"
    return [
        _text(entry, f"{where}, entry {number}", path)
        for number, entry in enumerate(_list(value, where, path), start=1)
    ]


def _neutral(styles: dict[str, dict[str, object]], path: Path) -> str | None:
    """The style that says it is neutral."""
    for name, style in styles.items():
        if not isinstance(style.get("neutral", False), bool):
            raise PromptError(
                "neutral is not true or false", where=f"style {name!r}", remedy="write one of them", path=path
            )
    found = [name for name, style in styles.items() if style.get("neutral", False)]
    if len(found) > 1:
        raise PromptError(
            f"{' and '.join(repr(name) for name in found)} are both neutral",
            where="styles",
            remedy="call that one neutral into whose prompts the words of the others are pasted",
            path=path,
        )
    return found[0] if found else None


def _only_known(table: dict[str, object], known: tuple[str, ...], where: str, path: Path) -> None:
    for key in table:
        if key not in known:
            raise PromptError(
                f"the key {key!r} is unknown{did_you_mean(key, known)}",
                where=where,
                remedy=f"wanted: {', '.join(known)}",
                path=path,
            )


def _text(value: object, where: str, path: Path) -> str:
    if not isinstance(value, str):
        raise PromptError(f"{value!r} is not text", where=where, remedy="put the text in quotes", path=path)
    if not value.strip():
        raise PromptError("the text is empty", where=where, remedy="write one, or leave the entry out", path=path)
    return value


def _list(value: object, where: str, path: Path) -> list[object]:
    if not isinstance(value, list):
        remedy = "write [[topics]] above each topic" if where == "topics" else 'write a list: ["...", "..."]'
        raise PromptError(f"it is not a list but {_kind(value)}", where=where, remedy=remedy, path=path)
    return cast("list[object]", value)


def _table(value: object, where: str, path: Path) -> dict[str, object]:
    if not isinstance(value, dict):
        remedy = (
            'give a name a topic: name = "tides"' if where.startswith("topic") else "write [styles.novice] above it"
        )
        raise PromptError(f"it is not a table but {_kind(value)}", where=where, remedy=remedy, path=path)
    return cast("dict[str, object]", value)


def _kind(value: object) -> str:
    """What a TOML value is, in words."""
    kinds: dict[type[object], str] = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")
