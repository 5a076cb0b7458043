"""What lies in a file: keys, shapes and dtypes, read from headers and mapped files, not from the weights."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from saeprobe.cli.terminal import RefusedError
from saeprobe.files import FileError

_WEIGHTS = (".pt", ".pth", ".safetensors", ".npz")
_LOOSE = ".json"
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header, as 8 bytes
_LARGEST_HEADER = 100_000_000  # bytes; the format's own bound
_SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Item:
    """One value under its key. `shape` is None for what is no array; `bytes` counts array data only."""

    key: str
    shape: tuple[int, ...] | None
    dtype: str
    bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """What lies in a file.

    Attributes:
        path: as given, a file or a folder.
        file: the file that was read.
        file_bytes: its size on disk.
        items: its values, nested keys joined by dots.
        data: what a `.pt` or `.json` file holds, for recognition; None for the others.
        config: the `cfg.json` beside the weights, if there is one.
    """

    path: Path
    file: Path
    file_bytes: int
    items: tuple[Item, ...]
    data: object = None
    config: Mapping[str, Any] | None = None

    @property
    def values(self) -> int:
        """Numbers in all arrays: the parameters, where this is an SAE."""
        return sum(math.prod(item.shape) for item in self.items if item.shape is not None)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays' shapes by key."""
        return {item.key: item.shape for item in self.items if item.shape is not None}


def weights_in(path: Path) -> Path:
    """The file itself, or the one file of weights in a folder.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        RefusedError: the folder holds no weights, or several files of them.
    """
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in _WEIGHTS and file.is_file())
    sae_lens = [
        file for file in found if file.name == "sae_weights.safetensors"
    ]  # beside it may lie sparsity.safetensors
    if len(sae_lens or found) == 1:
        return (sae_lens or found)[0]
    listed = ", ".join(file.name for file in found) or "none"
    raise RefusedError(f"{path} holds these files of weights: {listed}; wanted exactly one, or give the file itself")


def read_contents(path: Path) -> Contents:
    """List what lies in a file, or in the file of weights of a folder.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        FileError: the file is damaged or refers to code.
        RefusedError: the file or folder is of no kind that can be read.
    """
    file = weights_in(path)
    data: object = None
    if file.suffix == ".safetensors":
        items = _safetensors(file)
    elif file.suffix == ".npz":
        items = _npz(file)
    elif file.suffix in _WEIGHTS:
        from saeprobe.recorded.tensors import load_data

        data = load_data(file)
        items = tuple(_walk(data, ""))
    elif file.suffix == _LOOSE:
        from saeprobe.files import load_json

        data = load_json(file)
        items = tuple(_walk(data, "", depth=1))
    else:
        kinds = ", ".join([*_WEIGHTS, _LOOSE])
        raise RefusedError(f"{file}: a file ending in {file.suffix!r} cannot be read; wanted one of {kinds}")
    return Contents(
        path=path, file=file, file_bytes=file.stat().st_size, items=items, data=data, config=_config(file.parent)
    )


def _config(folder: Path) -> Mapping[str, Any] | None:
    """The SAELens configuration in a folder, if there is one."""
    file = folder / "cfg.json"
    if not file.is_file():
        return None
    from saeprobe.files import load_json, object_at

    return object_at(file, "the file", load_json(file))


def _safetensors(file: Path) -> tuple[Item, ...]:
    """The header of a safetensors file (huggingface.co/docs/safetensors, "Format"), checked against the file's size."""
    wanted = "a safetensors file"
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
        if not 0 < length <= min(_LARGEST_HEADER, file.stat().st_size):
            raise FileError(file, f"its header claims {length:,} bytes", wanted=wanted, remedy="download it again")
        raw = opened.read(length)
    try:
        header = cast(dict[str, dict[str, Any]], json.loads(raw))
        items = tuple(
            Item(
                key=key,
                shape=tuple(int(axis) for axis in entry["shape"]),
                dtype=_SAFETENSORS_DTYPES.get(entry["dtype"], str(entry["dtype"])),
                bytes=int(entry["data_offsets"][1]) - int(entry["data_offsets"][0]),
            )
            for key, entry in header.items()
            if key != "__metadata__"
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise FileError(file, "its header cannot be read", wanted=wanted, remedy="download it again") from error
    end = _LENGTH_BYTES + length + sum(item.bytes for item in items)
    if file.stat().st_size != end:
        found = f"it has {file.stat().st_size:,} bytes where its header promises {end:,}"
        raise FileError(file, found, wanted="the whole file", remedy="download it again")
    return items


def _npz(file: Path) -> tuple[Item, ...]:
    """The headers of the arrays in a `.npz` archive."""
    items: list[Item] = []
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    version = np.lib.format.read_magic(member)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(member)
                items.append(
                    Item(
                        key=name.removesuffix(".npy"),
                        shape=tuple(shape),
                        dtype=str(dtype),
                        bytes=math.prod(shape) * dtype.itemsize,
                    )
                )
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise FileError(file, f"it cannot be read ({error})", wanted="a .npz archive of arrays") from error
    return tuple(items)


def _walk(value: object, key: str, *, depth: int = 6) -> Iterator[Item]:
    """The values in nested dicts and lists, keys joined by dots, down to `depth`."""
    nested: list[tuple[str, object]] | None = None
    if depth and isinstance(value, Mapping):
        nested = [(str(name), inner) for name, inner in cast(Mapping[object, object], value).items()]
    elif depth and isinstance(value, list | tuple):
        nested = [(str(place), inner) for place, inner in enumerate(cast(list[object], value))]
    if nested is not None:
        for name, inner in nested:
            yield from _walk(inner, f"{key}.{name}" if key else name, depth=depth - 1)
        return
    tensor = cast(Any, value)
    shape = getattr(tensor, "shape", None)
    if shape is None:
        yield Item(key=key or "(the whole file)", shape=None, dtype=type(tensor).__name__, bytes=0)
        return
    yield Item(
        key=key or "(the whole file)",
        shape=tuple(int(axis) for axis in shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        bytes=int(tensor.numel() * tensor.element_size()),
    )
