"""The article's two `.pt` files are lists of dicts, one a topic, with one tensor a style; torch only writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
from scipy.sparse import csr_array

from saeprobe.files import FileError, shortened, written_whole
from saeprobe.recorded.archives import load_data
from saeprobe.shapes import FLOATS, Float, StoredTensor, widened

_Rows = TypeVar("_Rows", np.ndarray, csr_array)


@dataclass(frozen=True, kw_only=True, eq=False)
class Article(Generic[_Rows]):
    """One file of the article holds the stream, or the SAE's features, at the last token of each prompt."""

    topics: tuple[str, ...]  # the file has one entry a topic
    gurus: tuple[str, ...]  # the names that the guru prompts use, empty where the file gives none
    # by style, in the file's order, float32 `[topics, width]`; of features sparse rows, only values above zero stored
    rows: Mapping[str, _Rows]

    def __post_init__(self) -> None:
        shapes, n = {style: tuple(rows.shape) for style, rows in self.rows.items()}, len(self.topics)
        if len(set(shapes.values())) != 1 or {shape[0] for shape in shapes.values()} != {n} or len(self.gurus) != n:
            raise ValueError(
                f"rows of shapes {shapes} and {len(self.gurus)} gurus for {n} topics; wanted [topics, width] each and "
                "a guru a topic"
            )
        values = (rows.data if isinstance(rows, csr_array) else rows for rows in self.rows.values())
        if not all(np.isfinite(each).all() for each in values):
            raise ValueError("rows hold NaN or infinity; wanted finite numbers")

    @property
    def styles(self) -> tuple[str, ...]:
        """List the styles in the file's order."""
        return tuple(self.rows)

    @property
    def width(self) -> int:
        """Return the width of the residual stream, or the number of features of the SAE."""
        return int(next(iter(self.rows.values())).shape[1])


ArticleActivations = Article[np.ndarray]
ArticleFeatures = Article[csr_array]


def read_activations(path: Path) -> ArticleActivations:
    """Read a list of dicts with `topic`, `guru` (may be absent) and `<style>_activation` tensors `[1, d_in]`.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is damaged, refers to code, or is not of this shape.
    """
    entries = entries_of(path, load_data(path), ACTIVATIONS)
    rows = {style: entries.matrix(style) for style in entries.tensors}
    return ArticleActivations(topics=entries.topics, gurus=entries.gurus, rows=rows)


def read_features(path: Path) -> ArticleFeatures:
    """Read a list of dicts with `topic`, `guru` (may be absent) and `<style>_features` tensors `[d_sae]`.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is damaged, refers to code, is not of this shape, or holds a value below zero.
    """
    return features_of(entries_of(path, load_data(path), FEATURES))


def features_of(entries: Entries) -> ArticleFeatures:
    """Read the values of entries that are checked; raises as `read_features`."""
    features: dict[str, csr_array] = {}
    for style in entries.tensors:
        rows = entries.matrix(style)
        if rows.min() < 0:
            entry, index = np.unravel_index(int(rows.argmin()), rows.shape)
            where = f"{_where(int(entry), entries.topics[entry])}, key '{style}_features'"
            found = f"{where}: value {rows[entry, index]} at index {index}"
            wanted = "feature activations, which are 0 or above"
            remedy = "activations before the SAE are encoded with 'saeprobe encode'"
            raise FileError(entries.path, found, wanted=wanted, remedy=remedy)
        features[style] = csr_array(rows)
    return ArticleFeatures(topics=entries.topics, gurus=entries.gurus, rows=features)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file has `<style>_<suffix>` tensors of shape `lead + [width]`."""

    suffix: str
    lead: tuple[int, ...]
    width: str
    made_by: str

    @property
    def shape(self) -> str:
        """Write the shape as in the documentation: `[1, d_in]`."""
        return f"[{', '.join([*map(str, self.lead), self.width])}]"


ACTIVATIONS = Kind(suffix="activation", lead=(1,), width="d_in", made_by="saeprobe extract")
FEATURES = Kind(suffix="features", lead=(), width="d_sae", made_by="saeprobe encode")


@dataclass(frozen=True, kw_only=True, eq=False)
class Entries:
    """The entries of one file are checked, and their tensors are still on disk."""

    path: Path
    kind: Kind
    topics: tuple[str, ...]  # one an entry
    gurus: tuple[str, ...]  # likewise
    tensors: Mapping[str, Sequence[StoredTensor]]  # by style in the file's order, one an entry
    width: int  # d_in or d_sae

    def matrix(self, style: str) -> Float[np.ndarray, "topics width"]:
        """Read the tensors of one style as float32 rows, and refuse NaN and infinity."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            read = [widened(one.stored, one.dtype).reshape(-1).astype(np.float32) for one in self.tensors[style]]
        rows = np.stack(read)
        bad = np.argwhere(~np.isfinite(rows))
        if len(bad):
            entry, index = (int(axis) for axis in bad[0])
            where = f"{_where(entry, self.topics[entry])}, key '{style}_{self.kind.suffix}'"
            found = f"{where}: value {rows[entry, index]} at index {index} ({len(bad)} such values in all)"
            wanted = "finite numbers (float16 overflows above 65,504)"
            remedy = f"make the file again in float32 or bfloat16 with '{self.kind.made_by}'"
            raise FileError(self.path, found, wanted=wanted, remedy=remedy)
        return rows


def entries_of(path: Path, data: object, kind: Kind) -> Entries:
    """Check the keys, shapes and types of what was loaded from `path`; values are checked by `Entries.matrix`.

    A FileError says that the file is not of this kind, and names the entry, the key, what was found and wanted.
    """
    if not isinstance(data, list) or not data:
        found = "an empty list" if isinstance(data, list) else f"a {type(data).__name__}"
        raise FileError(path, f"it holds {found}", wanted=f"a list of dicts, one a topic ({kind.made_by!r})")
    entries = [_entry(path, index, entry, kind) for index, entry in enumerate(cast("list[object]", data))]
    tensors: dict[str, list[StoredTensor]] = {key: [] for key in entries[0] if key not in _NAMES}
    if not tensors:
        found = f"{_where(0, entries[0]['topic'])} has no tensor"
        raise FileError(path, found, wanted=f"'<style>_{kind.suffix}' {kind.shape}")
    width, first = 0, shortened(next(iter(tensors)))
    for index, entry in enumerate(entries):
        where = _where(index, entry["topic"])
        for key in sorted(tensors.keys() ^ (entry.keys() - _NAMES)):
            named = shortened(key)
            lacks = f"lacks {named}, which entry 0 has" if key in tensors else f"has {named}, which entry 0 lacks"
            raise FileError(path, f"{where} {lacks}", wanted="the same styles in every entry")
        for key, of_style in tensors.items():
            of_style.append(_tensor(path, f"{where}, key {shortened(key)}", entry[key], kind))
            shape = list(of_style[-1].shape)
            width = width or shape[-1]
            if shape[-1] != width:
                found = f"{where}, {shortened(key)}: shape {shape}"
                raise FileError(path, found, wanted=f"{kind.width} = {width}, as {first} of entry 0 has")
    held = sum(tensor.stored.nbytes for of_style in tensors.values() for tensor in of_style)
    if held > path.stat().st_size:  # tensors that repeat a few stored values would be written out when they are read
        found = f"its tensors claim {held:,} bytes, and the file has {path.stat().st_size:,}"
        raise FileError(path, found, wanted="tensors that are stored whole", remedy=f"make it with {kind.made_by!r}")
    return Entries(
        path=path,
        kind=kind,
        topics=tuple(str(entry["topic"]) for entry in entries),
        gurus=tuple(str(entry.get("guru", "")) for entry in entries),
        tensors={key.removesuffix(f"_{kind.suffix}"): of_style for key, of_style in tensors.items()},
        width=width,
    )


_NAMES = frozenset({"topic", "guru"})  # the keys of an entry that are no tensors


def _where(index: int, topic: object) -> str:
    return f"entry {index} (topic {shortened(topic)})"


def _entry(path: Path, index: int, entry: object, kind: Kind) -> dict[str, Any]:
    """Return the entry as a dict with string keys: a topic, perhaps a guru, and tensors of this kind."""
    if not isinstance(entry, dict):
        raise FileError(path, f"entry {index} is a {type(entry).__name__}", wanted="a dict with the key 'topic'")
    fields = cast("dict[Any, Any]", entry)
    odd = [key for key in fields if not isinstance(key, str)]
    if odd:
        raise FileError(path, f"entry {index} has the key {shortened(odd[0])}", wanted="keys that are strings")
    if not isinstance(fields.get("topic"), str) or not fields["topic"]:
        found = f"key 'topic' is {shortened(fields.get('topic'))}"
        raise FileError(path, f"entry {index}: {found}", wanted="the topic, a string that is not empty")
    where, suffix = _where(index, fields["topic"]), f"_{kind.suffix}"
    if not isinstance(fields.get("guru", ""), str):
        found = f"key 'guru' is a {type(fields['guru']).__name__}"
        raise FileError(path, f"{where}: {found}", wanted="a name (string), or no key")
    for key in fields:
        if key not in _NAMES and (not key.endswith(suffix) or key == suffix):
            wanted = f"'topic', 'guru' and '<style>{suffix}' {kind.shape}"
            remedy = f"make such a file with '{kind.made_by}'"
            raise FileError(path, f"{where} has the key {shortened(key)}", wanted=wanted, remedy=remedy)
    return fields


def _tensor(path: Path, where: str, value: object, kind: Kind) -> StoredTensor:
    if not isinstance(value, StoredTensor):
        raise FileError(path, f"{where} is a {type(value).__name__}", wanted=f"a tensor {kind.shape}")
    if value.dtype not in FLOATS:
        raise FileError(path, f"{where} is a tensor of {value.dtype}", wanted="a dense tensor of floating point")
    shape = list(value.shape)
    if not shape or shape[:-1] != list(kind.lead) or shape[-1] == 0:
        raise FileError(path, f"{where} has shape {shape}", wanted=f"shape {kind.shape}")
    return value


def write_article(path: Path, of: ArticleActivations | ArticleFeatures) -> None:
    """Write the file in the article's shape (dense: 4 bytes a value, topic and style), whole or not at all."""
    import torch

    dense = {style: rows.toarray() if isinstance(rows, csr_array) else rows for style, rows in of.rows.items()}
    kind = FEATURES if isinstance(next(iter(of.rows.values())), csr_array) else ACTIVATIONS
    data: list[dict[str, object]] = []
    for index, (topic, guru) in enumerate(zip(of.topics, of.gurus, strict=True)):
        data.append({"topic": topic, "guru": guru})
        for style, of_style in dense.items():
            # a copy: torch.save writes the whole storage that a slice points into
            tensor = torch.tensor(of_style[index], dtype=torch.float32)
            data[-1][f"{style}_{kind.suffix}"] = tensor.reshape(*kind.lead, -1)
    with written_whole(path) as part:
        torch.save(data, part)
