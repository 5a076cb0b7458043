"""What the article's two `.pt` files have in common: a list of dicts, one a topic, with one tensor a style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float

from saeprobe.article_files.errors import ArticleFileError
from saeprobe.article_files.torch_files import load_data, save_data


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
