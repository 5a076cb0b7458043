"""A recorded file is recognised by what it holds; its name only helps to say what a file that cannot be read was."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from saeprobe.files import FileError, load_json, open_regular, shortened
from saeprobe.recorded import EidTable, Key, Kind, RecordedFile, check_number_of_topics, layers_said
from saeprobe.recorded.archives import load_data
from saeprobe.recorded.comparison import DOMINANT, feature_diff_of, smallest_count
from saeprobe.recorded.record import BY_PROMPT, POOLED
from saeprobe.recorded.summaries import BY_STYLE, OF_STYLE, WHOLE, firing_by_style_of, held_at, topic_activations_of
from saeprobe.recorded.tensors import ACTIVATIONS, FEATURES, entries_of
from saeprobe.recorded.tensors import Kind as TensorKind


def eid_table_of(path: Path, data: object) -> EidTable:
    """Check a list of `{"topic": ..., "eid": {persona: {"eid": ..., "seq_len": ...}}}` that was loaded from `path`.

    Raises:
        FileError: it is not of this shape, a topic lacks a persona, or a rank is above that of `seq_len` vectors.
    """
    if not isinstance(data, list):
        raise FileError(path, f"{WHOLE} is {shortened(data)}", wanted="a list")
    if not data:
        raise FileError(path, "it holds an empty list", wanted="one entry a topic")
    check_number_of_topics(path, len(cast("list[object]", data)))  # before a million of them are taken apart
    cells: dict[str, list[tuple[float, int]]] = {}
    topics: list[str] = []
    for index, raw in enumerate(cast("list[object]", data)):
        entry = held_at(path, f"entry {index}", raw)
        topics.append(entry.text("topic"))
        of_topic = entry.object("eid", f"entry {index} (topic {topics[-1]!r})")
        if not of_topic.values:
            raise FileError(path, f"{of_topic.where} has no persona", wanted="at least one")
        differing = ", ".join(sorted(of_topic.values.keys() ^ cells.keys())) if index else ""
        if differing:
            found = f"{of_topic.where} and entry 0 differ in the personas {differing}"
            raise FileError(path, found, wanted="the same personas for every topic")
        for persona, value in of_topic.values.items():
            cell = held_at(path, of_topic.within(f"persona {persona!r}"), value)
            cells.setdefault(persona, []).append((cell.number("eid"), cell.count("seq_len")))
    eid, seq_len = (np.array([[cell[part] for cell in of] for of in cells.values()]).T for part in (0, 1))
    table = EidTable(topics=tuple(topics), personas=tuple(cells), eid=eid, seq_len=seq_len)
    table.check(path)
    return table


def recorded_files(paths: Iterable[Path]) -> tuple[RecordedFile, ...]:
    """Sum up files, and all files that lie in folders; folders in folders and hidden files are left out.

    A file that is there several times, linked or copied, counts once. What cannot be read has a `problem`.
    """
    found: list[Path] = []
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if _is_folder(path) else [path]
        except OSError:  # reading it meets that again
            inside = [path]
        found += [one for one in inside if one == path or not (_is_folder(one) or one.name.startswith("."))]
    sizes = Counter(map(_size, dict.fromkeys(map(os.path.realpath, found))))
    once: dict[object, Path] = {}
    for one in found:
        once.setdefault(_identity(one, sizes), one)
    read = list(map(read_recorded, once.values()))
    names = Counter(one.path.name for one in read)
    return tuple(replace(one, folder=_folder(one, read)) if names[one.path.name] > 1 else one for one in read)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # reading it says why
        return False


def _size(path: str | Path) -> int:
    """Return the bytes of a file; -1 where nothing can be read."""
    try:
        return Path(path).stat().st_size if Path(path).is_file() else -1
    except OSError:
        return -1


def _identity(path: Path, sizes: Mapping[int, int]) -> object:
    """Return what is equal of two files with the same bytes, whose names say the same of their layer."""
    real = os.path.realpath(path)  # a loop of links has none: it is returned as it is
    if sizes[_size(real)] < 2:  # noqa: PLR2004 - no other file has this size
        return real
    try:
        with open_regular(path) as opened:
            return file_digest(cast("Any", opened), "sha256").digest(), layers_said(path)
    except (FileError, OSError):
        return real


def _folder(file: RecordedFile, among: Iterable[RecordedFile]) -> str:
    """Return as much of the end of the path of a file's folder as sets it apart from others of its name."""
    others = [one.path.parent.parts for one in among if one is not file and one.path.name == file.path.name]
    parts = file.path.parent.parts
    count = next((n for n in range(1, len(parts)) if all(parts[-n:] != of[-n:] for of in others)), len(parts))
    return "/".join(parts[-count:])


def read_recorded(path: Path) -> RecordedFile:
    """Read a file as far as it takes to sum it up; tensors stay on disk, and one that is damaged has a `problem`."""
    try:
        with open_regular(path) as opened:
            begin = opened.read(_BEGIN).removeprefix(b"\xef\xbb\xbf").lstrip()
        if begin.startswith(b"PK") or path.suffix == ".pt":
            return recognised(path, load_data(path))
        if begin[:1] in (b"{", b"[") or path.suffix == ".json":
            return recognised(path, load_json(path))
    except (FileError, OSError) as error:
        problem = error
        if not isinstance(problem, FileError):  # a link to nothing, or a disk that fails
            found, remedy = f"it cannot be read ({problem.strerror or problem})", "check the path and its permissions"
            problem = FileError(path, found, wanted="a file", remedy=remedy)
        kinds: list[Kind] = [kind for kind, words in _NAMED if re.search(words, path.stem.lower())]
        kind = kinds[0] if kinds else "unknown"
        return RecordedFile(path=path, kind=kind, description=problem.found, problem=problem)
    return RecordedFile(path=path, description="no JSON and no tensors")


def recognised(path: Path, data: object) -> RecordedFile:
    """Say what was loaded from a file; what has the shape of a kind, and errors, is of that kind with a `problem`."""
    keys = _keys(data)
    for place, end, kind, what, sum_up in _SHAPES:
        if any(key.endswith(end) for key in keys[place]):
            seems = RecordedFile(path=path, kind=kind, description=what)
            try:
                found = sum_up(seems, data)
            except FileError as error:
                return replace(seems, description=f"nearly {what}", problem=error)
            said = {"layer by its name": ", ".join(layers_said(path))} if found.styles and layers_said(path) else {}
            return replace(found, facts={**found.facts, **said})
    if isinstance(data, list):
        return _list(path, cast("list[object]", data))
    return RecordedFile(path=path, description="neither an object nor a list of a kind that is known")


_BEGIN: Final = 64  # bytes
_NAMED: Final[tuple[tuple[Kind, str], ...]] = (
    ("eid-table", "eid|rank|persona"),
    ("feature-diff", "diff"),
    ("firing-by-style", "interp"),
    ("activations-by-topic", "context"),
    ("article-activations", "activation"),
    ("article-features", "feature"),
)


def _tensors(kind: TensorKind, seems: RecordedFile, data: object) -> RecordedFile:
    held = entries_of(seems.path, data, kind)
    return replace(
        seems,
        description=f"{seems.description} of the last prompt token, {kind.shape} a topic and style",
        styles=tuple(held.tensors),
        topics=held.topics,
        n=len(held.topics),
        width=held.width,
        content=held,
        facts={"topics": str(len(held.topics)), "styles": ", ".join(held.tensors), kind.width: str(held.width)},
    )


def _comparison(seems: RecordedFile, data: object) -> RecordedFile:
    diff = feature_diff_of(seems.path, data)
    rows = [row for of_style in diff.dominant.values() for row in of_style]
    states = {Key("l0", style): mean for style, mean in diff.avg_active.items()}
    for style, other in ((diff.a, diff.b), (diff.b, diff.a)):
        states[Key(POOLED, style)] = diff.avg_intensity[style]
        if style in diff.avg_prompt_intensity:
            states[Key(BY_PROMPT, style)] = diff.avg_prompt_intensity[style]
        states[Key("exclusive features", style, other)] = float(diff.only_count[style])
        states |= {Key("firing rate", style, row.index): row.a if style == diff.a else row.b for row in rows}
        for own, listed in diff.separating.items():
            states |= {Key("firing rate", style, index): float(style == own) for index in listed}
    n = smallest_count([rate for row in rows for rate in (row.a, row.b)])
    facts = {f"only {style}": f"{diff.only_count[style]:,} features" for style in (diff.a, diff.b)}
    return replace(
        seems,
        description=f"the article's comparison of {diff.a} with {diff.b} prompts",
        styles=tuple(diff.avg_active),
        n=n,
        shares=True,
        features=(*(row.index for row in rows), *chain(*diff.only.values(), *diff.separating.values())),
        states={key: (value, 0.0) for key, value in states.items()},
        facts=facts | ({"prompts": f"a multiple of {n} a style, by its rates"} if n else {}),
    )


def _ranks(seems: RecordedFile, data: object) -> RecordedFile:
    table = eid_table_of(seems.path, data)
    n = len(table.topics)
    facts = {"topics": str(n), "personas": ", ".join(table.personas)}
    ranks = zip(table.topics, table.eid.tolist(), strict=True)
    states = {
        Key("effective rank", persona, topic=topic): (rank, 0.0)
        for topic, of_topic in ranks
        for persona, rank in zip(table.personas, of_topic, strict=True)
    }
    return replace(seems, styles=table.personas, topics=table.topics, n=n, states=states, content=table, facts=facts)


def _list(path: Path, held: list[object]) -> RecordedFile:
    kinds = {type(one).__name__ for one in held}
    word = {"str": "strings", "dict": "objects", "list": "lists"}.get("/".join(kinds), "values")
    keys = dict.fromkeys(str(key) for one in held if isinstance(one, dict) for key in cast("dict[object, object]", one))
    facts = {"keys": ", ".join(keys)} if keys else {"first": shortened(held[0])} if held else {}
    found = RecordedFile(path=path, kind="list", description=f"a list of {len(held):,} {word}", facts=facts)
    return replace(found, content=tuple(held)) if word == "strings" else found


def _keys(data: object) -> tuple[set[str], set[str], set[str]]:
    """Return the keys of the first object of a list, of an object, and of the objects in it."""

    def of(value: object) -> set[str]:
        return {str(key) for key in cast("dict[object, object]", value)} if isinstance(value, dict) else set()

    own = of(data)
    listed = cast("list[object]", data) if isinstance(data, list) else []
    inner = cast("dict[object, object]", data).values() if isinstance(data, dict) else ()
    return of(next(iter(listed), None)), own, set(chain.from_iterable(map(of, inner)))


_LISTED, _OWN, _INNER = range(3)
_SumUp = Callable[[RecordedFile, object], RecordedFile]
_SHAPES: Final[Sequence[tuple[int, str, Kind, str, _SumUp]]] = (
    (_LISTED, "_activation", "article-activations", "the article's activations", partial(_tensors, ACTIVATIONS)),
    (_LISTED, "_features", "article-features", "the article's features", partial(_tensors, FEATURES)),
    (_OWN, DOMINANT, "feature-diff", "the article's comparison of two styles", _comparison),
    (_INNER, BY_STYLE, "firing-by-style", "how often named features fire, by style", firing_by_style_of),
    (_OWN, OF_STYLE, "activations-by-topic", "the activations of named features, by topic", topic_activations_of),
    (_LISTED, "eid", "eid-table", "a table of EID by topic and persona", _ranks),
)
"""Where a key that ends so makes a file of which kind, the first that fits; what it is in words; what sums it up."""
