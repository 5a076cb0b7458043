"""The shards of a checkpoint are the files of which a model needs those up to a depth; torch is not needed here."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import cast

from saeprobe.files import FileError, load_json, parsed_json, quoted
from saeprobe.subject.files import INDEX, WHOLE, inside_embedding, is_computed, layer_of, weights_in
from saeprobe.subject.specification import SubjectError

PICKLES = "pytorch_model*.bin"

_HEADER_LIMIT = 100_000_000  # the format's own: https://github.com/huggingface/safetensors#format


class ShardError(SubjectError):
    """Weight files of a checkpoint are absent, cut short, or do not hold what the model needs."""


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A stored tensor lies on disk; `dtype` is as safetensors writes it: BF16, F16, F32."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    bytes: int


def needed_tensors(weight_map: Mapping[str, str], *, depth: int) -> tuple[str, ...]:
    """List the tensors of the embedding and of layers 0 to depth - 1, in that order and by name.

    `weight_map` gives the shard of each tensor, as the index of a sharded checkpoint does. A ShardError says that the
    embedding or a layer before `depth` is not in the map.
    """
    if depth < 0:
        raise ShardError(f"the depth is {depth}; wanted 0 (the embedding) or the number of layers that run")
    embedding = sorted(name for name in weight_map if inside_embedding(name) is not None)
    if not embedding:
        raise ShardError(
            f"none of the {len(weight_map)} tensors of the checkpoint is a token embedding, such as "
            "model.embed_tokens.weight or transformer.wte.weight; wanted a decoder-only model of transformers"
        )
    by_layer: dict[int, list[str]] = {}
    for name in weight_map:
        layer = layer_of(name)
        if layer is not None and not is_computed(name):
            by_layer.setdefault(layer, []).append(name)
    absent = [layer for layer in range(depth) if layer not in by_layer]
    if absent:
        raise ShardError(
            f"the checkpoint names no tensors of the layers {_spans(absent)}; it has the layers "
            f"{_spans(sorted(by_layer)) or 'of no number'} and 0 to {depth - 1} must run: fetch the index of this "
            "checkpoint again, or read an earlier layer"
        )
    return (*embedding, *(name for layer in range(depth) for name in sorted(by_layer[layer])))


def needed_shards(weight_map: Mapping[str, str], *, depth: int) -> tuple[str, ...]:
    """List the files that hold the embedding and layers 0 to depth - 1, by name; see `needed_tensors`."""
    return tuple(sorted({weight_map[name] for name in needed_tensors(weight_map, depth=depth)}))


def read_weight_map(folder: Path) -> dict[str, str]:
    """Read the file of each tensor from the header of `model.safetensors` where it is there, else from the index.

    A ShardError says that neither is there, or it is no index or no safetensors file.
    """
    named = weights_in(folder)
    if named is None:
        if pickled := pickled_only(folder):
            raise ShardError(pickled)
        raise ShardError(
            f"{folder} has neither {INDEX} nor {WHOLE}; wanted weights in safetensors format there{_fetch(folder)}"
        )
    if named == WHOLE:
        return dict.fromkeys(read_header(folder / WHOLE), WHOLE)
    index = folder / INDEX
    try:
        found = load_json(index)
    except FileError as error:
        raise ShardError(f"{index}: {error.problem}{_fetch(folder, [INDEX])}") from error
    listed = cast("dict[str, object]", found).get("weight_map") if isinstance(found, dict) else None
    if not isinstance(listed, dict):
        raise ShardError(f"{index} has no table weight_map{_fetch(folder, [INDEX])}")
    return {str(name): str(file) for name, file in cast("dict[object, object]", listed).items()}


def pickled_only(folder: Path) -> str | None:
    """Say what to do where the weights are a pickle alone; None where there is none, or safetensors beside it."""
    pickles = sorted(file.name for file in folder.glob(PICKLES))
    if not pickles or weights_in(folder) is not None:
        return None
    return (
        f"the weights in {folder} are a pickle ({pickles[0]}), which can run code and is never loaded: save the model "
        f"there as {WHOLE} (save_pretrained of transformers does), or name a revision that has this file"
    )


def stored_tensors(folder: Path, *, depth: int | None) -> dict[str, StoredTensor]:
    """Read the headers of what lies on disk of the embedding and of layers 0 to depth - 1, by name; of all for None.

    Raises:
        ShardError: a needed file is absent, cut short, or lacks a tensor that the index says it has; two have one.
    """
    weight_map = read_weight_map(folder)
    names = tuple(weight_map) if depth is None else needed_tensors(weight_map, depth=depth)
    files = sorted({weight_map[name] for name in names})
    absent = [file for file in files if not (folder / file).exists()]
    if absent:
        raise ShardError(
            f"{len(absent)} of the {len(files)} files with "
            f"{'the model' if depth is None else f'the embedding and layers {_spans(range(depth))}'} are not in "
            f"{folder}: {', '.join(absent)}{_fetch(folder, absent)}"
        )
    headers = {file: read_header(folder / file) for file in files}
    strange = [name for name in names if name not in headers[weight_map[name]]]
    if strange:
        wrong = sorted({weight_map[name] for name in strange})
        raise ShardError(
            f"the index of {folder} says that {weight_map[strange[0]]} holds {strange[0]}, which it does not "
            f"({len(strange)} such tensors): index and files are of different checkpoints{_fetch(folder, wrong)}"
        )
    # transformers takes the last file that has a tensor, whichever the index names.
    having = {name: [file for file in files if name in headers[file]] for name in names}
    twice = next((name for name in names if len(having[name]) > 1), None)
    if twice is not None:
        raise ShardError(
            f"{twice} lies in {' and in '.join(having[twice])} of {folder}; wanted each tensor in one of the files"
            f"{_fetch(folder, having[twice])}"
        )
    return {name: headers[weight_map[name]][name] for name in names}


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Read the header of one safetensors file.

    The format: eight bytes with the header's length, the header as JSON, then the data to the end of the file
    (https://github.com/huggingface/safetensors#format). A ShardError says that the file is cut short or is no
    safetensors file.
    """
    size, again = file.stat().st_size, _fetch(file.parent, [file.name])
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1  # noqa: PLR2004 - the format's own
        if not 0 <= length <= _HEADER_LIMIT:
            pointer = start.startswith(b"version ")  # of git-lfs: https://git-lfs.com/spec/v1
            what = "a git-lfs pointer" if pointer else f"no safetensors file ({size} bytes)"
            raise ShardError(f"{file} is {what}; wanted the weights themselves{again}")
        text = stream.read(length)
    try:
        header = cast("dict[str, dict[str, object]]", parsed_json(text.decode(), file))
        tensors = {name: _stored(name, file, said) for name, said in header.items() if name != "__metadata__"}
        ends = [cast("list[int]", header[name]["data_offsets"])[1] for name in tensors]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        cut = f"it ends inside its header, at {size} of {8 + length} bytes" if len(text) < length else quoted(error)
        raise ShardError(f"{file} is no whole safetensors file: {cut}{again}") from error
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        raise ShardError(
            f"{file} has {size:,} bytes and its header speaks of {wanted:,}: it was not written or fetched to its "
            f"end; remove it{again}"
        )
    return tensors


def _stored(name: str, file: Path, said: Mapping[str, object]) -> StoredTensor:
    begin, end = cast("list[int]", said["data_offsets"])
    shape = tuple(cast("list[int]", said["shape"]))
    return StoredTensor(name=name, file=file, dtype=str(said["dtype"]), shape=shape, bytes=end - begin)


def _fetch(folder: Path, files: Iterable[str] = ()) -> str:
    """Say `; run: hf download ...` where the folder is a snapshot of the Hub's cache, else what to do in words."""
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--"):
        return "; copy or write it there again"
    name = repository.removeprefix("models--").replace("--", "/")
    return f"; run: hf download {' '.join([name, *files])} --revision {folder.name}"


def _spans(numbers: Iterable[int]) -> str:
    """Write numbers as `0 to 3, 7`."""
    runs = groupby(enumerate(numbers), key=lambda one: one[1] - one[0])
    spans = [[number for _, number in run] for _, run in runs]
    return ", ".join(" to ".join(str(end) for end in dict.fromkeys((span[0], span[-1]))) for span in spans)
