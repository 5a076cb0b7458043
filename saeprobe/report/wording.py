"""The interface's own words in English and Chinese, and the marks by which the page's script exchanges them."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources
from typing import Final, Literal, cast

from markupsafe import Markup

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")

Words = dict[str, dict[Language, str]]


@cache
def words() -> Words:
    """Every word of the interface by key and language, from `words.toml`."""
    text = resources.files("saeprobe.report").joinpath("words.toml").read_text(encoding="utf-8")
    return cast("Words", tomllib.loads(text))


def say(key: str, language: Language, **values: object) -> str:
    """The word under `key` with `values` in its places, as plain text.

    Raises:
        KeyError: there is no such word.
    """
    if key not in words():
        raise KeyError(f"words.toml has no entry {key!r}; add it in {' and '.join(LANGUAGES)}")
    text = words()[key][language]
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def mark(key: str, language: Language, **values: object) -> Markup:
    """The word under `key`, marked so that the page's script can say it in the other language."""
    text = say(key, language, **values)
    if not values:
        return Markup('<span data-w="{}">{}</span>').format(key, text)
    held = json.dumps({name: str(value) for name, value in values.items()}, ensure_ascii=False)
    return Markup('<span data-w="{}" data-v="{}">{}</span>').format(key, held, text)


def attribute(name: str, key: str, language: Language) -> Markup:
    """The word under `key` as the attribute `name`, marked likewise."""
    return Markup('{}="{}" data-a="{}:{}"').format(name, say(key, language), name, key)


def has_chinese(text: str) -> bool:
    """Whether `text` holds a Han character: a screen reader and the choice of font want to know."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)
