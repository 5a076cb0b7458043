"""Sheets: a TOML file of topics and templates."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from saeprobe.claims import did_you_mean
from saeprobe.prompts.prompt import Placed, Prompt, PromptError, TemplateError, check_words, cross, fill

AS_WRITTEN: Final = "as written"
"""The template of rows that name none: all of a style are taken for one wording, as nothing says otherwise."""


_FINISHED: Final = ("text", "style", "topic", "template")


_TO_FILL: Final = ("template", "style", "topic")


Row = tuple[int, Mapping[str, str]]
"""The line it begins on, and its cells by column; a cell that is empty or absent is not there."""


def rows_of_csv(text: str, path: Path) -> Iterator[Row]:
    """The rows below a header.

    Raises:
        PromptError: the syntax is wrong, the header repeats or lacks a name, or a row has more or fewer cells than it.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, line, path)
            elif len(cells) != len(header):
                raise PromptError(
                    f"the row has {len(cells)} cells, the header {len(header)} ({', '.join(header)})",
                    where=f"line {line}",
                    remedy="put a text with a comma in double quotes",
                    path=path,
                )
            else:
                yield (
                    line,
                    {column: cell for column, cell in zip(header, cells, strict=True) if cell or column == "text"},
                )
    except csv.Error as error:
        raise PromptError(
            f"it is not CSV: {error}", where=f"line {begins}", remedy="correct the quotes there", path=path
        ) from error


def rows_of_jsonl(text: str, path: Path) -> Iterator[Row]:
    """The objects, one a line; blank lines are passed over.

    Raises:
        PromptError: a line is not a JSON object, repeats a key, or holds a value that is not text.
    """
    for line, content in enumerate(text.split("\n"), start=1):  # not splitlines: a JSON text may hold U+2028
        if not content.strip():
            continue
        where = f"line {line}"
        try:
            pairs = cast("object", json.loads(content, object_pairs_hook=_Pairs))
        except json.JSONDecodeError as error:
            raise PromptError(
                f"it is not JSON: {error.msg} at character {error.pos + 1}",
                where=where,
                remedy="write one object a line",
                path=path,
            ) from error
        if not isinstance(pairs, _Pairs):
            raise PromptError("the line is not an object", where=where, remedy='write {"text": ...}', path=path)
        row: dict[str, str] = {}
        for key, value in pairs:
            if key in row:
                raise PromptError(f"the key {key!r} stands twice", where=where, remedy="leave one out", path=path)
            if not isinstance(value, str):
                shown = "an object" if isinstance(value, _Pairs) else json.dumps(value)
                raise PromptError(
                    f"{key!r} is {shown}, which is not text", where=where, remedy="put it in quotes", path=path
                )
            row[key] = value
        yield line, {key: value for key, value in row.items() if value or key == "text"}


def filled_rows(rows: Iterable[Row], path: Path) -> Iterator[Placed]:
    """The prompts of the rows: `text` as it stands, or else `template` filled with the other cells.

    Raises:
        PromptError: a cell is missing, unknown, or has blanks around a style or topic; a template cannot be filled.
    """
    for line, row in rows:
        where = f"line {line}"
        finished = "text" in row or "template" not in row
        needed = ("text", "style") if finished else _TO_FILL
        for column in needed:
            if column not in row:
                near = next((f", only {name!r}" for name in row if did_you_mean(name, (column,))), "")
                raise PromptError(
                    f"it has no {column!r}{near}",
                    where=where,
                    remedy=f"give each row {_listed(needed)}; found: {', '.join(row) or 'nothing'}",
                    path=path,
                )
        for column in row if finished else ():
            if column not in _FINISHED:
                raise PromptError(
                    f"the field {column!r} is unknown{did_you_mean(column, _FINISHED)}",
                    where=where,
                    remedy=f"beside a finished text there may be {_listed(_FINISHED[1:])}",
                    path=path,
                )
        for column in ("style", "topic"):
            if row.get(column, "-") != row.get(column, "-").strip():
                raise PromptError(
                    f"the {column} {row[column]!r} has blanks around it", where=where, remedy="remove them", path=path
                )
        yield where, _finished(row) if finished else _filled(row, where, path)


class _Pairs(list[tuple[str, object]]):
    """The keys and values of a JSON object as they stand, repeated ones too."""


def _header(cells: list[str], line: int, path: Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in names:
        if not name or names.count(name) > 1:
            raise PromptError(
                f"the column {name!r} stands {names.count(name)} times" if name else "a column has no name",
                where=f"line {line}",
                remedy="give each column a name of its own",
                path=path,
            )
    return names


def _finished(row: Mapping[str, str]) -> Prompt:
    text = row["text"]
    return Prompt(text=text, style=row["style"], topic=row.get("topic", text), template=row.get("template", AS_WRITTEN))


def _filled(row: Mapping[str, str], where: str, path: Path) -> Prompt:
    fields = {name: value for name, value in row.items() if name not in ("template", "style")}
    try:
        text = fill(row["template"], fields)
    except TemplateError as error:
        raise PromptError(
            error.problem, where=f"{where}, template {row['template']!r}", remedy=error.remedy, path=path
        ) from None
    return Prompt(text=text, style=row["style"], topic=row["topic"], template=row["template"])


def _listed(names: tuple[str, ...]) -> str:
    """Names as prose: `'text' and 'style'`."""
    quoted = [repr(name) for name in names]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds. `placed` are its prompts with their places, not checked yet and drawn once.

    `words` are the own words of each style that says it has some, and `neutral` is the style that has none.
    """

    name: str
    language: str
    placed: Iterable[Placed]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    neutral: str | None = None


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
