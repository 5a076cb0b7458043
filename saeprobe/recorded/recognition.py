"""A recorded file is recognised by what it holds; its name only helps to say what a file that cannot be read was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, cast

from saeprobe.files import FileError, load_json, open_regular, shortened
from saeprobe.recorded.archives import load_data
from saeprobe.recorded.comparison import SINGLE, smallest_count
from saeprobe.recorded.named_features import BY_STYLE, OF_STYLE, firing_by_style_of, topic_activations_of
from saeprobe.recorded.stated import layers_said
from saeprobe.recorded.summaries import DOMINANT, eid_table_of, feature_diff_of
from saeprobe.recorded.tensors import ACTIVATIONS, FEATURES, entries_of
from saeprobe.recorded.tensors import Kind as TensorKind

Kind = Literal[
    "article-features",
    "article-activations",
    "feature-diff",
    "firing-by-style",
    "activations-by-topic",
    "eid-table",
    "list",
    "unknown",
]
"""What a file is, in words for machines."""

Key = tuple[str | int, ...]
"""A number that a file states: its measure and style, and as need be the feature and the topic or the other style."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedFile:
    """A file is summed up.

    Attributes:
        path: where it lies.
        kind: what it is, or seems to be where it has a `problem`.
        description: the same for people.
        styles: the prompt styles that it has numbers of.
        topics: the topics that it names.
        all_topics: whether those are all of its topics.
        n: prompts a style, where it counts them.
        shares: whether it gives shares alone, so that `n` may be any multiple of what stands there.
        width: features of the SAE; None where it does not show them all.
        features: numbers of features that it lists.
        states: the summaries that it states, each with half a unit of its last decimal.
        facts: what else is known of it, in words.
        content: what was read and checked.
        problem: why it cannot be used.
    """

    path: Path
    kind: Kind = "unknown"
    description: str = "unknown"
    styles: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    all_topics: bool = True
    n: int | None = None
    shares: bool = False
    width: int | None = None
    features: tuple[int, ...] = ()
    states: Mapping[Key, tuple[float, float]] = field(default_factory=dict[Key, tuple[float, float]])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    content: object = None
    problem: FileError | None = None

    def completes(self, other: RecordedFile) -> bool:
        """Say whether two files may be of one run: they share a style, and nothing contradicts it."""
        return self._alike(other) and not self.contradiction(other)

    def contradiction(self, other: RecordedFile) -> str:
        """Say what this file and another one state differently, if they may be of one run; empty where nothing is."""
        for key, (value, rounding) in self.states.items() if self._alike(other) else ():
            there, coarser = other.states.get(key, (value, 0.0))
            if abs(value - there) > rounding + coarser + SINGLE * (1 + abs(value)):
                return f"{in_words(key)} is {value:g} in {self.path.name} and {there:g} in {other.path.name}"
        return ""

    def _alike(self, other: RecordedFile) -> bool:
        """Say whether two files share a style and agree in the number of prompts and in topics."""
        if self.n and other.n and not (self.shares and other.shares):
            loose, firm = (self, other) if self.shares else (other, self)
            if (firm.n or 0) % (loose.n or 1) if loose.shares else self.n != other.n:
                return False
        whole = [{*one.topics} for one in (self, other) if one.topics and one.all_topics]
        named = {*self.topics, *other.topics}
        return all(named <= topics for topics in whole) and not {*self.styles}.isdisjoint(other.styles)


def in_words(key: Key) -> str:
    """Name what a file states.

    >>> in_words(("firing rate", "novice", 7)), in_words(("l0", "expert"))
    ('the firing rate of novice (7)', 'the l0 of expert')
    """
    measure, style, *rest = key
    return f"the {measure} of {style}" + (f" ({', '.join(map(str, rest))})" if rest else "")


def recorded_files(paths: Iterable[Path]) -> tuple[RecordedFile, ...]:
    """Sum up files, and all files that lie in folders, each once; folders in folders and hidden files are left out."""
    found: dict[Path, Path] = {}
    for path in paths:
        inside = sorted(one for one in path.iterdir() if not one.is_dir() and not one.name.startswith("."))
        for one in inside if path.is_dir() else [path]:
            found.setdefault(one.resolve(), one)
    return tuple(map(read_recorded, found.values()))


def read_recorded(path: Path) -> RecordedFile:
    """Read a file as far as it takes to sum it up; tensors stay on disk, and one that is damaged has a `problem`."""
    try:
        with open_regular(path) as opened:
            begin = opened.read(_BEGIN).removeprefix(b"\xef\xbb\xbf").lstrip()
        if begin.startswith(b"PK") or path.suffix == ".pt":
            return recognised(path, load_data(path))
        if begin[:1] in (b"{", b"[") or path.suffix == ".json":
            return recognised(path, load_json(path))
    except FileError as error:
        return RecordedFile(path=path, kind=_by_name(path), description=f"{error.found}", problem=error)
    return RecordedFile(path=path, description="no JSON and no tensors")


def recognised(path: Path, data: object) -> RecordedFile:
    """Say what was loaded from a file; what has the shape of a kind, and errors, is of that kind with a `problem`."""
    for kind, fits, what, sum_up in _SHAPES:
        if fits(data):
            try:
                found = sum_up(path, data)
            except FileError as error:
                return RecordedFile(path=path, kind=kind, description=f"nearly {what}", problem=error)
            said = {"layer by its name": ", ".join(layers_said(path))} if kind != "list" and layers_said(path) else {}
            return RecordedFile(
                **{"path": path, "kind": kind, "description": what, **found, "facts": found["facts"] | said}
            )
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


def _by_name(path: Path) -> Kind:
    return next((kind for kind, words in _NAMED if re.search(words, path.stem.lower())), "unknown")


Facts = dict[str, Any]


def _tensors(kind: TensorKind) -> Callable[[Path, object], Facts]:
    def sum_up(path: Path, data: object) -> Facts:
        held = entries_of(path, data, kind)
        facts = {"topics": str(len(held.topics)), "styles": ", ".join(held.tensors), kind.width: str(held.width)}
        return {
            "description": f"{_OF_TENSORS[kind.suffix]}, {kind.shape} a topic and style",
            "styles": tuple(held.tensors),
            "topics": held.topics,
            "n": len(held.topics),
            "width": held.width,
            "content": held,
            "facts": facts,
        }

    return sum_up


def _comparison(path: Path, data: object) -> Facts:
    diff = feature_diff_of(path, data)
    states: dict[Key, tuple[float, float]] = {("l0", style): (mean, 0.0) for style, mean in diff.avg_active.items()}
    for style, other in ((diff.a, diff.b), (diff.b, diff.a)):
        states["mean activation", style] = diff.avg_intensity[style], 0.0
        states["exclusive features", style, other] = float(diff.only_count[style]), 0.0
    rows = [row for of_style in diff.dominant.values() for row in of_style]
    for row in rows:
        states["firing rate", diff.a, row.index] = row.a, 0.0
        states["firing rate", diff.b, row.index] = row.b, 0.0
    n = smallest_count([rate for row in rows for rate in (row.a, row.b)])
    return {
        "description": f"the article's comparison of {diff.a} with {diff.b} prompts",
        "styles": tuple(diff.avg_active),
        "n": n,
        "shares": True,
        "features": (*(row.index for row in rows), *chain(*diff.only.values())),
        "states": states,
        "content": diff,
        "facts": {f"only {style}": f"{diff.only_count[style]:,} features" for style in (diff.a, diff.b)}
        | ({"prompts": f"a multiple of {n} a style, by its rates"} if n else {}),
    }


def _firing(path: Path, data: object) -> Facts:
    held = firing_by_style_of(path, data)
    shown = {
        ("activation", style, feature, topic): (value, 0.0) for (feature, style, topic), value in held.samples.items()
    }
    rates = {
        ("firing rate", style, feature): (count / held.n, 0.0)
        for feature, counts in held.counts.items()
        for style, count in counts.items()
    }
    return {
        "styles": held.styles,
        "topics": held.topics,
        "all_topics": False,
        "n": held.n,
        "features": tuple(held.counts),
        "states": rates | shown,
        "content": held,
        "facts": {
            "styles": ", ".join(held.styles),
            "prompts": f"{held.n} a style",
            "features": _numbers(held.counts),
        },
    }


def _activations(path: Path, data: object) -> Facts:
    held = topic_activations_of(path, data)
    states: dict[Key, tuple[float, float]] = {}
    for style, of_style in held.active.items():
        for feature, values in of_style.items():
            states["firing rate", style, feature] = len(values) / held.n, 0.0
            for topic in held.topics:
                states["activation", style, feature, topic] = values.get(topic, 0.0), held.rounding
    return {
        "styles": tuple(held.active),
        "topics": held.topics,
        "all_topics": len(held.topics) == held.n,
        "n": held.n,
        "features": tuple(chain(*held.active.values())),
        "states": states,
        "content": held,
        "facts": {
            "topics": str(held.n) + ("" if len(held.topics) == held.n else f", of which it names {len(held.topics)}"),
            **{f"{style} features": _numbers(of) for style, of in held.active.items()},
        },
    }


def _ranks(path: Path, data: object) -> Facts:
    table = eid_table_of(path, data)
    return {
        "styles": table.personas,
        "topics": table.topics,
        "n": len(table.topics),
        "content": table,
        "facts": {"topics": str(len(table.topics)), "personas": ", ".join(table.personas)},
    }


def _list(_: Path, data: object) -> Facts:
    held = cast("list[object]", data)
    kinds = {type(one) for one in held}
    of = {str: "strings", dict: "objects", list: "lists", int: "numbers", float: "numbers"}
    word = of.get(kinds.pop(), "values") if len(kinds) == 1 else "values"
    keys = dict.fromkeys(str(key) for one in held if isinstance(one, dict) for key in cast("dict[object, object]", one))
    facts = {"keys": ", ".join(keys)} if keys else {"first": shortened(held[0])} if held else {}
    return {"description": f"a list of {len(held):,} {word}", "facts": facts}


def _numbers(features: Iterable[int]) -> str:
    return ", ".join(map(str, features))


def _keyed(suffix: str, data: object) -> bool:
    """Say whether this is an object with a key that ends so."""
    return isinstance(data, dict) and any(str(key).endswith(suffix) for key in cast("dict[object, object]", data))


def _listed(suffix: str, data: object) -> bool:
    """Say whether this is a list whose first object has a key that ends so."""
    return isinstance(data, list) and bool(data) and _keyed(suffix, cast("list[object]", data)[0])


def _valued(key: str, data: object) -> bool:
    """Say whether this is an object with an object that has a key."""
    held = cast("dict[object, object]", data).values() if isinstance(data, dict) else ()
    return any(isinstance(one, dict) and key in one for one in held)


_OF_TENSORS: Final = {
    of: f"the article's {of.removesuffix('s')}s of the last prompt token"
    for of in (ACTIVATIONS.suffix, FEATURES.suffix)
}
_Look = Callable[[object], bool]
_SHAPES: Final[Sequence[tuple[Kind, _Look, str, Callable[[Path, object], Facts]]]] = (
    ("article-activations", partial(_listed, "_activation"), _OF_TENSORS["activation"], _tensors(ACTIVATIONS)),
    ("article-features", partial(_listed, "_features"), _OF_TENSORS["features"], _tensors(FEATURES)),
    ("feature-diff", partial(_keyed, DOMINANT), "the article's comparison of two styles", _comparison),
    ("firing-by-style", partial(_valued, BY_STYLE), "how often named features fire, by style", _firing),
    ("activations-by-topic", partial(_keyed, OF_STYLE), "the activations of named features, by topic", _activations),
    ("eid-table", partial(_listed, "eid"), "a table of EID by topic and persona", _ranks),
    ("list", lambda data: isinstance(data, list), "a list", _list),
)
"""What each kind looks like, the first that fits, what it is in words, and what sums it up."""
