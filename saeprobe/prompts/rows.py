"""Rows: CSV and JSONL files with one prompt a row, finished or to be filled."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.crossing import Placed
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.prompt import Prompt
from saeprobe.prompts.template import TemplateError, fill

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
