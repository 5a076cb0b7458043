"""Prompt files: TOML, CSV and JSONL, told apart by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.content import Content
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.rows import filled_rows, rows_of_csv, rows_of_jsonl
from saeprobe.prompts.sheets import read_sheet

UNDETERMINED: Final = "und"
"""The tag for a language that is not stated (BCP 47)."""


def read_file(path: Path) -> Content:
    """What a prompt file holds, but for the checks that all prompts pass.

    Raises:
        PromptError: the suffix is unknown, the file cannot be read or is not UTF-8, or its content is not as it must
            be; for the prompts themselves this is raised while they are drawn.
    """
    if path.suffix.lower() not in _READERS:
        near = did_you_mean(path.suffix.lower(), _READERS)
        raise PromptError(
            f"{path.suffix!r} is no suffix of a prompt file{near}",
            remedy=f"name the file for its format: {', '.join(_READERS)}",
            path=path,
        )
    return _READERS[path.suffix.lower()](_text_of(path), path)


def _text_of(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PromptError(
            f"it cannot be read ({error.strerror})", remedy="give the path of a file that exists", path=path
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PromptError(
            f"byte {error.start} is not UTF-8",
            where=f"line {line}",
            remedy="save the file in the encoding UTF-8",
            path=path,
        ) from error


def _csv(text: str, path: Path) -> Content:
    return Content(name=path.stem, language=UNDETERMINED, placed=filled_rows(rows_of_csv(text, path), path))


def _jsonl(text: str, path: Path) -> Content:
    return Content(name=path.stem, language=UNDETERMINED, placed=filled_rows(rows_of_jsonl(text, path), path))


_READERS: Final[dict[str, Callable[[str, Path], Content]]] = {".toml": read_sheet, ".csv": _csv, ".jsonl": _jsonl}
