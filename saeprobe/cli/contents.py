"""The contents of a file are listed key by key, from headers and mapped files: weights stay on disk."""

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tokenize import TokenError
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError

from saeprobe.cli.terminal import RefusedError
from saeprobe.files import FileError, load_json, open_regular, quoted
from saeprobe.recorded.archives import DAMAGE, SparingReader, load_data
from saeprobe.recorded.summaries import WHOLE, held_at
from saeprobe.shapes import NUMPY, StoredTensor
from saeprobe.subject.files.properties import header_of

_PICKLED = "pytorch_model.bin"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_WEIGHTS = (".pt", ".pth", ".safetensors", ".npz")
_MOST_ITEMS = 100_000
_HEADER = 65_536  # bytes of an array in a .npz; one says of itself how long its header is, up to 4 GB
_DTYPES = {  # torch's names of those of safetensors
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool", "U8": "uint8",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item is one value under its key. `shape` is None for what is no array; `bytes` counts array data only."""

    key: str
    shape: tuple[int, ...] | None
    dtype: str
    bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """Contents are what lies in a file; `data` is what a `.pt` or `.json` file holds, None for the others."""

    path: Path  # as given, a file or a folder
    file: Path  # the file that was read
    items: tuple[Item, ...]  # nested keys are joined by dots
    data: object = None
    config: Mapping[str, Any] | None = None  # the `cfg.json` beside the weights, if there is one

    @property
    def values(self) -> int:
        """Return how many numbers all arrays hold: the parameters, where this is an SAE."""
        return sum(map(math.prod, self.shapes.values()))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the arrays' shapes by key."""
        return {item.key: item.shape for item in self.items if item.shape is not None}


def read_contents(path: Path) -> Contents:
    """List what lies in a file, or in the one file of weights of a folder."""
    file, data = _weights_in(path) if path.is_dir() else path, None
    open_regular(file).close()
    if file.suffix == ".safetensors":
        items = _safetensors(file)
    elif file.suffix == ".npz":
        items = _npz(file)
    elif file.suffix in _WEIGHTS:
        data = load_data(file)
        items = tuple(islice(_walk(data, ""), _MOST_ITEMS + 1))
        if len(items) > _MOST_ITEMS:
            raise FileError(file, "it holds too many values to list", wanted=f"at most {_MOST_ITEMS:,}")
    elif file.suffix == ".json":
        data = load_json(file, halves=True, numbers=False)
        items = tuple(_walk(data, "", depth=1))
    else:
        kinds = ", ".join([*_WEIGHTS, ".json"])
        raise RefusedError(f"{file}: a file ending in {file.suffix!r} cannot be read; wanted one of {kinds}")
    beside = file.parent / "cfg.json"
    config = held_at(beside, WHOLE, load_json(beside, numbers=False)).values if beside.is_file() else None
    return Contents(path=path, file=file, items=items, data=data, config=config)


def _weights_in(folder: Path) -> Path:
    found = sorted(file for file in folder.iterdir() if file.suffix in _WEIGHTS and file.is_file())
    # SAELens may put sparsity.safetensors beside its weights.
    found = [file for file in found if file.name == "sae_weights.safetensors"] or found
    if len(found) == 1:
        return found[0]
    listed = ", ".join(file.name for file in found) or "none"
    if not found and (folder / _PICKLED).is_file():
        raise RefusedError(f"{folder} holds {_PICKLED} alone, whose format can run code; have it saved as safetensors")
    raise RefusedError(f"{folder} holds these files of weights: {listed}; wanted exactly one, or give the file itself")


def _safetensors(file: Path) -> tuple[Item, ...]:
    """Read the header, which safetensors checks against the file's size."""
    try:
        header = header_of(file)
    except SafetensorError as error:
        wanted, remedy = "a whole safetensors file", "download it again"
        raise FileError(file, f"it is damaged ({quoted(error)})", wanted=wanted, remedy=remedy) from error
    items: list[Item] = []
    for key, one in header.items():
        bits = int((re.search(r"\d+", one.kind) or ["8"])[0])  # of BOOL 8
        size = math.prod(one.shape) * bits // 8
        items.append(Item(key=key, shape=one.shape, dtype=_DTYPES.get(one.kind, one.kind), bytes=size))
    return tuple(items)


def mapped_from(file: Path, key: str) -> StoredTensor:
    """Map one tensor of a safetensors file, whose header `read_contents` has checked; numpy knows no bfloat16."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        said = cast("dict[str, Any]", json.loads(opened.read(length))[key])
    dtype = _DTYPES.get(str(said["dtype"]), str(said["dtype"]))
    at, kind = 8 + length + said["data_offsets"][0], np.dtype(f"<{NUMPY.get(dtype, 'u1')}")
    shape = tuple(said["shape"])
    stored = np.memmap(file, kind, "r", offset=at, shape=shape) if all(shape) else np.empty(shape)
    return StoredTensor(dtype=dtype, stored=stored)


def _npz(file: Path) -> tuple[Item, ...]:
    items: list[Item] = []
    try:
        with SparingReader(open_regular(file).detach()) as opened, zipfile.ZipFile(opened) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_ITEMS or any(part.compress_type not in _PACKED for part in parts):
                raise ValueError("too many arrays, or packed in a way that numpy does not write")
            for name in (part.filename for part in parts):
                with archive.open(name) as packed:
                    member = io.BytesIO(packed.read(_HEADER))
                first = np.lib.format.read_magic(member) == (1, 0)
                read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
                if dtype.hasobject:
                    raise ValueError("it holds Python objects, which are code")
                size = math.prod(shape) * dtype.itemsize
                items.append(Item(key=name.removesuffix(".npy"), shape=tuple(shape), dtype=str(dtype), bytes=size))
                if not all(0 <= size < 2**63 for size in shape):
                    raise ValueError("a size is below 0, or beyond 64 bits")
    except (*DAMAGE, SyntaxError, TokenError) as error:  # the header of an array is a Python literal
        wanted, remedy = "a .npz archive of arrays", "copy it again, or save it with numpy.savez"
        raise FileError(file, f"it cannot be read ({quoted(error)})", wanted=wanted, remedy=remedy) from error
    return tuple(items)


def _walk(value: object, key: str, *, depth: int = 6) -> Iterator[Item]:
    """List the values in nested dicts and lists, keys joined by dots, down to `depth`."""
    nested: list[tuple[object, object]] | None = None
    if depth and isinstance(value, Mapping):
        nested = list(cast(Mapping[object, object], value).items())
    elif depth and isinstance(value, list | tuple):
        nested = list(enumerate(cast(list[object], value)))
    if nested is not None:
        for name, inner in nested:
            yield from _walk(inner, f"{key}.{name}" if key else str(name), depth=depth - 1)
        return
    key = key or "(the whole file)"
    if isinstance(value, StoredTensor):
        yield Item(key=key, shape=value.shape, dtype=value.dtype, bytes=value.stored.nbytes)
    else:
        yield Item(key=key, shape=None, dtype=type(cast(object, value)).__name__, bytes=0)
