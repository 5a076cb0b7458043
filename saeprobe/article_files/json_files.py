"""JSON as the article writes it, read strictly: no NaN, no key twice."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

from saeprobe.article_files.errors import ArticleFileError
from saeprobe.files import written_whole


def load_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is no JSON, holds NaN or an infinity, or a key twice in one object.
    """

    def refuse(constant: str) -> object:
        raise ArticleFileError(path, f"it holds {constant}", wanted="finite numbers", remedy="measure that value again")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise ArticleFileError(path, f"the key {key!r} stands twice in one object", wanted="every key once")
            found[key] = value
        return found

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse, object_pairs_hook=unique)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArticleFileError(path, f"it is not JSON ({error})", wanted="a JSON file in UTF-8") from error


def save_json(path: Path, data: object) -> None:
    """Write `data` as indented JSON, whole or not at all.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    with written_whole(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def object_at(path: Path, where: str, value: object) -> dict[str, Any]:
    """The value as a JSON object, or a refusal."""
    if not isinstance(value, dict):
        raise ArticleFileError(path, f"{where} is {_short(value)}", wanted="an object")
    return cast(dict[str, Any], value)


def list_at(path: Path, where: str, value: object) -> list[Any]:
    """The value as a JSON array, or a refusal."""
    if not isinstance(value, list):
        raise ArticleFileError(path, f"{where} is {_short(value)}", wanted="a list")
    return cast(list[Any], value)


def number_at(path: Path, where: str, value: object) -> float:
    """The value as a finite number, or a refusal (`1e999` reads as infinity)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ArticleFileError(path, f"{where} is {_short(value)}", wanted="a finite number")
    return float(value)


def count_at(path: Path, where: str, value: object) -> int:
    """The value as an integer of at least 0, or a refusal."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ArticleFileError(path, f"{where} is {_short(value)}", wanted="an integer of 0 or more")
    return value


def _short(value: object) -> str:
    """The value for an error text, cut where it is long."""
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - fits a terminal line
