"""Prompt files are TOML sheets of topics and templates, or rows of prompts in CSV or JSONL."""

from __future__ import annotations

import csv
import io
import json
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar, cast

from saeprobe.claims import did_you_mean
from saeprobe.files import check_values, in_prose, parsed_json, parsed_toml, quoted, read_text
from saeprobe.prompts.prompt import Located, Prompt, PromptError, at, cross, fill

_T = TypeVar("_T")
_FORMATS: Final = (".toml", ".csv", ".jsonl")

IN_TOML: Final = " in a TOML file (rows of CSV or JSONL have no place for it)"
AS_WRITTEN: Final = "as written"  # the template of rows that name none: all of a style are taken for one wording


@dataclass(frozen=True, kw_only=True)
class Content:
    """A content is what a file or a caller gives, before it passes the checks of all prompts.

    `located` are its prompts with where they come from, drawn once; the others are what `PromptSet.build` takes.
    """

    name: str
    language: str
    located: Iterable[Located]
    words: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    neutral: str | None = None
    repeats: Mapping[str, str] = field(default_factory=dict[str, str])
    frames: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    distinct: Sequence[str] = ()


def place_of(path: Path, asked: FrameType | None) -> Path:
    """Look for a file beside the module that calls the function of the frame `asked`, then in the working directory."""
    caller = {} if asked is None or asked.f_back is None else asked.f_back.f_globals
    typed = str(caller.get("__name__")).startswith("saeprobe.")  # by the user of a command; a notebook has no file
    file = None if typed else caller.get("__file__")
    places = [Path(file).parent, Path()] if isinstance(file, str) else [Path()]
    tried = list(dict.fromkeys((place / path).absolute() for place in places))
    found = next((one for one in tried if os.path.exists(one)), None)  # noqa: PTH110 - Path.exists raises for some names
    if found is None:
        tried = [Path(os.path.abspath(one)) for one in tried]  # noqa: PTH100 - resolve raises for some names
        problem = f"it cannot be read: there is no {' and no '.join(map(str, tried))}"
        problem += did_you_mean(path.name, [name for one in tried for name in _names_in(one.parent)])
        whose = "of the Python file that names it" if places[1:] else "you are in"
        raise PromptError(problem, remedy=f"give its path from the folder {whose}, or in full")
    return found.parent.resolve() / found.name


def _names_in(folder: Path) -> list[str]:
    """List the prompt files of a folder, if there is one."""
    with suppress(OSError, ValueError):  # of a name that no file can have
        return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _FORMATS)
    return []


def read_file(path: Path) -> Content:
    """Read a prompt file; what is wrong with a prompt of it is found while the prompts are drawn."""
    suffix = path.suffix.lower()
    if path.is_dir():
        inside = ", ".join(_names_in(path)[:3]) or "there is none in it"
        raise PromptError("it cannot be read: it is a folder", remedy=f"name one of its prompt files: {inside}")
    if suffix not in _FORMATS:
        near = did_you_mean(suffix, _FORMATS)
        found = f"{path.suffix!r} is no suffix of a prompt file{near}" if suffix else "its name has no suffix"
        raise PromptError(found, remedy=f"name the file for its format: {', '.join(_FORMATS)}")
    text = read_text(path)
    READ.add(path)
    if suffix == ".toml":
        document = parsed_toml(text, path)
        check_values(path, document)
        return _sheet(document)
    # "und" is the tag for a language that is not stated (BCP 47).
    rows = _rows_of_csv(text) if suffix == ".csv" else _rows_of_jsonl(text, path)
    return Content(name=path.stem, language="und", located=_prompts_of(rows))


READ: Final[set[Path]] = set()
"""The prompt files that this process has read: a report says which they were."""

_KEYS: Final = ("name", "language", "topics", "styles")
_NAMED: Final = ("words", "repeats", "frames")
_TOPIC_KEYS: Final = ("name", "held_out")
_STYLE_KEYS: Final = ("templates", "held_out", "words", "neutral", "repeats", "frames", "distinct")


def _sheet(document: dict[str, object]) -> Content:
    _only_known(document, _KEYS)
    for key in (key for key in _KEYS if key not in document):
        raise PromptError(f"the key {key!r} is missing", remedy=f"add it; wanted: {', '.join(_KEYS)}")
    topics = listed(document["topics"], "topics", _topic)
    styles = table(document["styles"], "styles", partial(table, of=_any))
    templates = {name: _templates(style, f"style {name!r}") for name, style in styles.items()}
    named = {key: {name: one[key] for name, one in styles.items() if key in one} for key in _NAMED}
    repeats = table(named["repeats"], "repeats", _said)
    return Content(
        name=_said(document["name"], "name"),
        language=_said(document["language"], "language"),
        located=cross(topics, templates, repeats),
        words=table(named["words"], "words", _texts),
        neutral=_neutral(styles),
        repeats=repeats,
        frames=table(
            named["frames"], "frames", partial(listed, of=lambda one, at: "" if one == "" else _said(one, at))
        ),
        distinct=_true_of("distinct", styles),
    )


def _topic(value: object, where: str) -> dict[str, str]:
    """Return the name and further fields of a topic; `held_out` is for the reader and left out."""
    given = table(value, where, _any)
    if "name" not in given:
        near = next((f", only {key!r}" for key in given if did_you_mean(key, ("name",))), "")
        raise PromptError(f"it has no name{near}", where=where, remedy="give it one: name = 'tides'")
    _boolean(given.pop("held_out", False), "held_out", where)
    for key, content in given.items():
        if isinstance(content, bool):
            problem = f"the field {key!r} is {str(content).lower()}{did_you_mean(key, _TOPIC_KEYS)}"
            remedy = "only held_out is true or false; put the text that goes into templates in quotes"
            raise PromptError(problem, where=where, remedy=remedy)
    return table(given, where, _said)


def _templates(style: dict[str, object], where: str) -> list[str]:
    """Return the templates of a style, those held out after the others."""
    with at(where):
        _only_known(style, _STYLE_KEYS)
    if "repeats" not in style and style.get("templates") in (None, []):
        found = "the list templates is empty" if "templates" in style else "it has no templates"
        raise PromptError(found, where=where, remedy='give at least one: templates = ["..."]')
    return [text for key in ("templates", "held_out") for text in _texts(style.get(key, []), f"{where}, {key}")]


def _neutral(styles: dict[str, dict[str, object]]) -> str | None:
    found = _true_of("neutral", styles)
    if len(found) > 1:
        problem = f"{' and '.join(repr(name) for name in found)} are both neutral"
        remedy = "call that one neutral into whose prompts the words of the others are pasted"
        raise PromptError(problem, where="styles", remedy=remedy)
    return found[0] if found else None


def _true_of(key: str, styles: dict[str, dict[str, object]]) -> list[str]:
    return [name for name, style in styles.items() if _boolean(style.get(key, False), key, f"style {name!r}")]


def _boolean(value: object, key: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise PromptError(f"{key} is not true or false", where=where, remedy="write one of them")
    return value


def _only_known(table: dict[str, object], known: tuple[str, ...]) -> None:
    for key in (key for key in table if key not in known):
        problem = f"the key {key!r} is unknown{did_you_mean(key, known)}"
        raise PromptError(problem, remedy=f"wanted: {', '.join(known)}")


def text_of(value: object, where: str) -> str:
    """See that a value is a text."""
    if not isinstance(value, str):
        raise PromptError(f"{reprlib.repr(value)} is not text", where=where, remedy="put the text in quotes")
    return value


def _said(value: object, where: str) -> str:
    if not text_of(value, where).strip():
        raise PromptError("the text is empty", where=where, remedy="write one, or leave the entry out")
    return text_of(value, where)


def listed(value: object, where: str, of: Callable[[object, str], _T]) -> list[_T]:
    """See that a value is a list, each entry of which passes `of`."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        remedy = 'write a list: ["...", "..."]' + ", or in TOML [[topics]] above each topic" * (where == "topics")
        raise PromptError(f"it is not a list but {_kind(cast('object', value))}", where=where, remedy=remedy)
    entry = "topic" if where == "topics" else f"{where}, entry"
    return [of(one, f"{entry} {number}") for number, one in enumerate(cast("Iterable[object]", value), start=1)]


def table(value: object, where: str, of: Callable[[object, str], _T]) -> dict[str, _T]:
    """See that a value is a table, by style or of a topic, each entry of which passes `of`; None is an empty one."""
    topic = where.startswith("topic")
    if not isinstance(value := {} if value is None else value, Mapping):
        remedy = 'give a name a topic: name = "tides"' if topic else "write [styles.novice] above it"
        remedy += "" if topic else ', or in Python a table by name, such as {"novice": ...}'
        raise PromptError(f"it is not a table but {_kind(value)}", where=where, remedy=remedy)
    place = f"{where}, field {{!r}}" if topic else "style {!r}" + f", {where}" * (where != "styles")
    entries = cast("Mapping[object, object]", value).items()
    return {text_of(name, where): of(one, place.format(name)) for name, one in entries}


def _any(value: object, _: str) -> object:
    return value


_texts = partial(listed, of=_said)


def _kind(value: object) -> str:
    """Say in words what a value is."""
    kinds: dict[type[object], str] = {str: "text", bool: "true or false", list: "a list", dict: "a table"}
    kind = (kinds | {int: "a number", float: "a number"}).get(type(value), f"a {type(value).__name__}")
    return f"{kind}, {reprlib.repr(value)}"


Row = tuple[str, Mapping[str, str]]  # the line it begins on, in words, and by column the cells that are not empty
_FINISHED: Final = ("text", "style", "topic", "template")


def _rows_of_csv(text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            where, begins = f"line {begins}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, where)
                continue
            if len(cells) != len(header):
                problem = f"the row has {len(cells)} cells, the header {len(header)} ({', '.join(header)})"
                raise PromptError(problem, where=where, remedy="put a text with a comma in double quotes")
            yield where, {column: cell for column, cell in zip(header, cells, strict=True) if cell or column == "text"}
    except csv.Error as error:
        where = f"line {begins}"
        raise PromptError(f"it is not CSV: {quoted(error)}", where=where, remedy="correct the quotes there") from error


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in names:
        if not name or names.count(name) > 1:
            problem = f"the column {name!r} stands {names.count(name)} times" if name else "a column has no name"
            raise PromptError(problem, where=where, remedy="give each column a name of its own")
    return names


def _rows_of_jsonl(text: str, path: Path) -> Iterator[Row]:
    for line, content in enumerate(text.split("\n"), start=1):  # not splitlines: a JSON text may hold U+2028
        if not content.strip():
            continue
        with at(f"line {line}"):
            held = parsed_json(content, path)
            if not isinstance(held, dict):
                raise PromptError("the line is not an object", remedy='write {"text": ...}')
            row = cast("dict[str, str]", held)  # once its values are looked at
            for key, value in cast("dict[str, object]", held).items():
                if not isinstance(value, str):
                    shown = "an object" if isinstance(value, dict) else json.dumps(value)
                    raise PromptError(f"{key!r} is {shown}, which is not text", remedy="put it in quotes")
        yield f"line {line}", {key: value for key, value in row.items() if value or key == "text"}


def _prompts_of(rows: Iterable[Row]) -> Iterator[Located]:
    """Make a prompt of each row: `text` as it stands, or else `template` filled with the other cells."""
    for where, row in rows:
        finished = "text" in row or "template" not in row
        with at(where):
            _check_row(row, ("text", "style") if finished else ("template", "style", "topic"), finished=finished)
            template, text = row.get("template", AS_WRITTEN), row.get("text", "")
            with at("" if finished else f"template {template!r}"):
                values = {name: value for name, value in row.items() if name not in ("template", "style")}
                text = text if finished else fill(template, values)
        yield where, Prompt(text=text, style=row["style"], topic=row.get("topic", text), template=template)


def _check_row(row: Mapping[str, str], needed: tuple[str, ...], *, finished: bool) -> None:
    for column in needed:
        if column not in row:
            near = next((f", only {name!r}" for name in row if did_you_mean(name, (column,))), "")
            remedy = f"give each row {in_prose(map(repr, needed))}; found: {', '.join(row) or 'nothing'}"
            raise PromptError(f"it has no {column!r}{near}", remedy=remedy)
    for column in row if finished else ():
        if column not in _FINISHED:
            near = did_you_mean(column, _FINISHED)
            remedy = f"beside a finished text there may be {in_prose(map(repr, _FINISHED[1:]))}"
            raise PromptError(f"the field {column!r} is unknown{near}", remedy=remedy)
    for column in ("style", "topic"):
        if row.get(column, "-") != row.get(column, "-").strip():
            raise PromptError(f"the {column} {row[column]!r} has blanks around it", remedy="remove them")
