"""What the article's two `.pt` files have in common: a list of dicts, one a topic, with one tensor a style."""

from __future__ import annotations

import json
import math
import pickle
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array

from saeprobe.files import written_whole


class ArticleFileError(ValueError):
    """A file is not what it should be.

    Attributes:
        path: the file.
        found: what is wrong in it, with the entry and key.
        wanted: what should have been there.
        remedy: what to do about it; may be empty.
    """

    def __init__(self, path: Path, found: str, *, wanted: str, remedy: str = "") -> None:
        self.path = path
        self.found = found
        self.wanted = wanted
        self.remedy = remedy
        super().__init__(f"{path}: {found}; wanted {wanted}" + (f"; {remedy}" if remedy else ""))


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


_ZIP_MAGIC = b"PK\x03\x04"


_DAMAGE = (  # what torch and its restricted unpickler raise on a damaged file, as seen by flipping bytes
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    struct.error,
)


def load_data(path: Path) -> object:
    """The tensors, lists, dicts, strings and numbers in a `.pt` file, tensors mapped from disk rather than read.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: the file is truncated, is no `.pt` file, or refers to code.
    """
    with path.open("rb") as file:
        zipped = file.read(4) == _ZIP_MAGIC
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch comments on pickle protocols; nothing there is for the user
            # mmap is for the zip format of torch >= 1.6 only; the older one is read whole
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except _DAMAGE as error:
        raise ArticleFileError(
            path,
            "it cannot be read (truncated, damaged, or no .pt file)",
            wanted="a file written by torch.save",
            remedy="copy or download it again and compare sizes",
        ) from error


def save_data(path: Path, data: object) -> None:
    """Write `data` as a `.pt` file, whole or not at all."""
    with written_whole(path) as part:
        torch.save(data, part)


def _refusal(path: Path, message: str) -> ArticleFileError:
    """Torch's refusal in one line; its own text tells people to switch the protection off."""
    code = re.search(r"GLOBAL (\S+)", message)
    if code is None:
        found = "it is no .pt file, is damaged, or holds more than plain data"
    else:
        found = f"it refers to the code {code.group(1)!r}; it was refused and not run"
    return ArticleFileError(
        path,
        found,
        wanted="tensors, lists, dicts, strings and numbers only",
        remedy="copy or download it again, or have it saved as plain data by whoever made it",
    )


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One of the two shapes: `<style>_<suffix>` tensors of shape `lead + [width]`."""

    suffix: str
    lead: tuple[int, ...]
    width: str
    made_by: str

    @property
    def shape(self) -> str:
        """The shape as it is written in the documentation: `[1, d_in]`."""
        return "[" + ", ".join([*map(str, self.lead), self.width]) + "]"


ACTIVATIONS = Kind(suffix="activation", lead=(1,), width="d_in", made_by="saeprobe extract")


FEATURES = Kind(suffix="features", lead=(), width="d_sae", made_by="saeprobe encode")


@dataclass(frozen=True, kw_only=True, eq=False)
class Entries:
    """The checked entries of one file; the tensors are still on disk.

    Attributes:
        path: the file.
        kind: which shape it has.
        topics: one an entry.
        gurus: the name that the guru prompt uses, one an entry; empty where the file gives none.
        tensors: by style in the file's order, one tensor an entry.
        width: d_in or d_sae.
    """

    path: Path
    kind: Kind
    topics: tuple[str, ...]
    gurus: tuple[str, ...]
    tensors: Mapping[str, tuple[torch.Tensor, ...]]
    width: int

    def matrix(self, style: str) -> Float[np.ndarray, "topics width"]:
        """The tensors of one style as float32 rows.

        Raises:
            ArticleFileError: a value is NaN or infinite; names entry, key and place.
        """
        rows = np.stack([tensor.detach().reshape(-1).float().numpy() for tensor in self.tensors[style]])
        bad = np.argwhere(~np.isfinite(rows))
        if len(bad):
            entry, index = (int(place) for place in bad[0])
            raise ArticleFileError(
                self.path,
                f"{_where(entry, self.topics[entry])}, key '{style}_{self.kind.suffix}': value {rows[entry, index]} at "
                f"index {index} ({len(bad)} such values in all)",
                wanted="finite numbers (float16 overflows above 65,504)",
                remedy=f"make the file again in float32 or bfloat16 with '{self.kind.made_by}'",
            )
        return rows


def read_entries(path: Path, kind: Kind) -> Entries:
    """Read and check the keys, shapes and types of a file; values are checked by `Entries.matrix`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: the file is not of this kind; names the entry, the key, what was found and wanted.
    """
    return entries_of(path, load_data(path), kind)


def entries_of(path: Path, data: object, kind: Kind) -> Entries:
    """Check what was read from `path`."""
    if not isinstance(data, list) or not data:
        found = "an empty list" if isinstance(data, list) else f"a {type(data).__name__}"
        raise ArticleFileError(path, f"it holds {found}", wanted=f"a list of dicts, one a topic ({kind.made_by!r})")
    entries = [_entry(path, index, entry) for index, entry in enumerate(cast(list[object], data))]
    styles = _styles(path, entries, kind)
    checked = {
        style: [_tensor(path, index, entry, style, kind) for index, entry in enumerate(entries)] for style in styles
    }
    width = int(checked[styles[0]][0].shape[-1])
    _same_width(path, checked, kind, entries)
    return Entries(
        path=path,
        kind=kind,
        topics=tuple(str(entry["topic"]) for entry in entries),
        gurus=tuple(str(entry.get("guru", "")) for entry in entries),
        tensors={style: tuple(tensors) for style, tensors in checked.items()},
        width=width,
    )


def write_entries(
    path: Path,
    kind: Kind,
    *,
    topics: Sequence[str],
    gurus: Sequence[str],
    rows: Mapping[str, Sequence[Float[np.ndarray, " width"]]],
) -> None:
    """Write a file of this kind, whole or not at all; `rows` has one vector a topic by style."""
    data = [
        {"topic": topic, "guru": guru}
        | {
            # a copy: torch.save writes the whole storage that a slice points into
            f"{style}_{kind.suffix}": torch.tensor(vectors[index], dtype=torch.float32).reshape(*kind.lead, -1)
            for style, vectors in rows.items()
        }
        for index, (topic, guru) in enumerate(zip(topics, gurus, strict=True))
    ]
    save_data(path, data)


def _where(index: int, topic: object) -> str:
    return f"entry {index} (topic {topic!r})"


def _entry(path: Path, index: int, entry: object) -> dict[str, Any]:
    """The entry as a dict with string keys, a topic and perhaps a guru."""
    if not isinstance(entry, dict):
        raise ArticleFileError(path, f"entry {index} is a {type(entry).__name__}", wanted="a dict with the key 'topic'")
    fields = cast(dict[Any, Any], entry)
    odd = [key for key in fields if not isinstance(key, str)]
    if odd:
        raise ArticleFileError(path, f"entry {index} has the key {odd[0]!r}", wanted="keys that are strings")
    if not isinstance(fields.get("topic"), str) or not fields["topic"]:
        found = f"key 'topic' is {fields['topic']!r:.60}" if "topic" in fields else "key 'topic' is absent"
        raise ArticleFileError(path, f"entry {index}: {found}", wanted="the topic, a string that is not empty")
    if not isinstance(fields.get("guru", ""), str):
        found = f"key 'guru' is a {type(fields['guru']).__name__}"
        raise ArticleFileError(path, f"{_where(index, fields['topic'])}: {found}", wanted="a name (string), or no key")
    return fields


def _styles(path: Path, entries: Sequence[dict[str, Any]], kind: Kind) -> tuple[str, ...]:
    """The styles of the first entry, in order, which every other entry must have too, and no others."""
    suffix = f"_{kind.suffix}"
    wanted = f"'topic', 'guru' and '<style>{suffix}' {kind.shape}"
    for index, entry in enumerate(entries):
        for key in entry:
            if key not in {"topic", "guru"} and not (key.endswith(suffix) and key != suffix):
                remedy = f"make such a file with '{kind.made_by}'"
                raise ArticleFileError(
                    path, f"{_where(index, entry['topic'])} has the key {key!r}", wanted=wanted, remedy=remedy
                )
    keys = [key for key in entries[0] if key.endswith(suffix)]
    if not keys:
        raise ArticleFileError(path, f"{_where(0, entries[0]['topic'])} has no tensor", wanted=wanted)
    for index, entry in enumerate(entries):
        for key in sorted({*keys} ^ {key for key in entry if key.endswith(suffix)}):
            lacks = f"lacks {key!r}, which entry 0 has" if key in keys else f"has {key!r}, which entry 0 lacks"
            raise ArticleFileError(
                path, f"{_where(index, entry['topic'])} {lacks}", wanted="the same styles in every entry"
            )
    return tuple(key.removesuffix(suffix) for key in keys)


def _tensor(path: Path, index: int, entry: dict[str, Any], style: str, kind: Kind) -> torch.Tensor:
    """The tensor of one style, of the kind's shape."""
    key = f"{style}_{kind.suffix}"
    value: object = entry[key]
    where = f"{_where(index, entry['topic'])}, key {key!r}"
    if not isinstance(value, torch.Tensor):
        raise ArticleFileError(path, f"{where} is a {type(value).__name__}", wanted=f"a tensor {kind.shape}")
    if not value.dtype.is_floating_point or value.layout != torch.strided or value.device.type != "cpu":
        found = f"{value.dtype}, {value.layout}, {value.device}".replace("torch.", "")
        raise ArticleFileError(path, f"{where} is a tensor of {found}", wanted="a dense tensor of floating point")
    shape = list(value.shape)
    if not shape or shape[:-1] != list(kind.lead) or shape[-1] == 0:
        raise ArticleFileError(path, f"{where} has shape {shape}", wanted=f"shape {kind.shape}")
    return value


def _same_width(
    path: Path, tensors: Mapping[str, Sequence[torch.Tensor]], kind: Kind, entries: Sequence[dict[str, Any]]
) -> None:
    """Refuse tensors of different widths."""
    first = next(iter(tensors))
    width = int(tensors[first][0].shape[-1])
    for style, of_style in tensors.items():
        for index, tensor in enumerate(of_style):
            if tensor.shape[-1] != width:
                raise ArticleFileError(
                    path,
                    f"{_where(index, entries[index]['topic'])}, '{style}_{kind.suffix}': shape {list(tensor.shape)}",
                    wanted=f"{kind.width} = {width}, as '{first}_{kind.suffix}' of entry 0 has",
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class ArticleActivations:
    """Activations of the last prompt token.

    Attributes:
        topics: one an entry of the file.
        gurus: the name that the guru prompt uses, one a topic; empty where the file gives none.
        styles: in the file's order.
        activations: float32, `[topics, styles, d_in]`.
    """

    topics: tuple[str, ...]
    gurus: tuple[str, ...]
    styles: tuple[str, ...]
    activations: Float[np.ndarray, "topics styles d_in"]

    def __post_init__(self) -> None:
        wanted = (len(self.topics), len(self.styles))
        if self.activations.ndim != 3 or self.activations.shape[:2] != wanted or len(self.gurus) != wanted[0]:  # noqa: PLR2004 - three axes
            raise ValueError(
                f"activations of shape {list(self.activations.shape)} and {len(self.gurus)} gurus; "
                f"wanted [{wanted[0]} topics, {wanted[1]} styles, d_in] and a guru a topic"
            )
        if not np.isfinite(self.activations).all():
            raise ValueError("activations hold NaN or infinity; wanted finite numbers")

    @property
    def d_in(self) -> int:
        """Width of the residual stream."""
        return int(self.activations.shape[2])

    def style(self, style: str) -> Float[np.ndarray, "topics d_in"]:
        """The activations of one style.

        Raises:
            KeyError: the file has no such style.
        """
        if style not in self.styles:
            raise KeyError(f"no style {style!r}; there are: {', '.join(self.styles)}")
        return self.activations[:, self.styles.index(style)]


def read_activations(path: Path) -> ArticleActivations:
    """Read a list of dicts with `topic`, `guru` (may be absent) and `<style>_activation` tensors `[1, d_in]`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is damaged, refers to code, or is not of this shape.
    """
    entries = read_entries(path, ACTIVATIONS)
    return ArticleActivations(
        topics=entries.topics,
        gurus=entries.gurus,
        styles=tuple(entries.tensors),
        activations=np.stack([entries.matrix(style) for style in entries.tensors], axis=1),
    )


def write_activations(path: Path, activations: ArticleActivations) -> None:
    """Write the file in the article's shape, whole or not at all."""
    write_entries(
        path,
        ACTIVATIONS,
        topics=activations.topics,
        gurus=activations.gurus,
        rows={style: list(activations.style(style)) for style in activations.styles},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ArticleFeatures:
    """Feature activations of the last prompt token.

    Attributes:
        topics: one an entry of the file.
        gurus: the name that the guru prompt uses, one a topic; empty where the file gives none.
        features: by style in the file's order, float32 sparse rows `[topics, d_sae]`, only values above zero stored.
    """

    topics: tuple[str, ...]
    gurus: tuple[str, ...]
    features: Mapping[str, csr_array]

    def __post_init__(self) -> None:
        shapes = {style: tuple(rows.shape) for style, rows in self.features.items()}
        if len(set(shapes.values())) != 1 or {shape[0] for shape in shapes.values()} != {len(self.topics)}:
            raise ValueError(f"features of shapes {shapes} for {len(self.topics)} topics; wanted [topics, d_sae] each")
        if len(self.gurus) != len(self.topics):
            raise ValueError(f"{len(self.gurus)} gurus for {len(self.topics)} topics; wanted one a topic")

    @property
    def styles(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(self.features)

    @property
    def d_sae(self) -> int:
        """Features of the SAE."""
        return int(next(iter(self.features.values())).shape[1])


def read_features(path: Path) -> ArticleFeatures:
    """Read a list of dicts with `topic`, `guru` (may be absent) and `<style>_features` tensors `[d_sae]`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is damaged, refers to code, is not of this shape, or holds a value below zero.
    """
    entries = read_entries(path, FEATURES)
    features: dict[str, csr_array] = {}
    for style in entries.tensors:
        rows = entries.matrix(style)
        if rows.min() < 0:
            entry, index = np.unravel_index(int(rows.argmin()), rows.shape)
            raise ArticleFileError(
                path,
                f"entry {entry} (topic {entries.topics[entry]!r}), key '{style}_features': value {rows[entry, index]} "
                f"at index {index}",
                wanted="feature activations, which are 0 or above",
                remedy="activations before the SAE are encoded with 'saeprobe encode'",
            )
        features[style] = csr_array(rows)
    return ArticleFeatures(topics=entries.topics, gurus=entries.gurus, features=features)


def write_features(path: Path, features: ArticleFeatures) -> None:
    """Write the file in the article's shape (dense: 4 bytes a feature, topic and style), whole or not at all."""
    write_entries(
        path,
        FEATURES,
        topics=features.topics,
        gurus=features.gurus,
        rows={style: list(rows.toarray()) for style, rows in features.features.items()},
    )
