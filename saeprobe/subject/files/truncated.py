"""The same model with fewer layers: a folder that transformers loads up to a depth without the later files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from saeprobe.subject.files.shards import INDEX, needed_tensors, read_weight_map
from saeprobe.subject.specification import SubjectError


def read_config(folder: Path, *, depth: int) -> dict[str, Any]:
    """The model's configuration cut down to `depth` layers, lists with an entry a layer too.

    Raises:
        SubjectError: it has no number of layers, or fewer than `depth`; `depth` is not 1 or more.
    """
    try:
        config = cast("dict[str, Any]", json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise SubjectError(f"{folder} has no config.json; wanted a model in Hugging Face format there") from error
    n_layers = config.get("num_hidden_layers")
    if not isinstance(n_layers, int):
        raise SubjectError(
            f"config.json of {folder} has num_hidden_layers {n_layers!r} (model_type {config.get('model_type')!r}); "
            "wanted a decoder-only text model such as Llama, Qwen2 or Mistral"
        )
    if not 1 <= depth <= n_layers:
        raise SubjectError(
            f"depth {depth} is asked of {folder}, which has {n_layers} layers; wanted a depth in [1, {n_layers}]"
        )
    cut = {key: _cut(value, n_layers, depth) for key, value in config.items()}
    return {**cut, "num_hidden_layers": depth}


def _cut(value: object, n_layers: int, depth: int) -> object:
    if not isinstance(value, list):
        return value
    entries = cast("list[object]", value)
    return entries[:depth] if len(entries) == n_layers else entries


@contextmanager
def truncated(folder: Path, *, depth: int) -> Generator[Path]:
    """A temporary folder that is the same model with `depth` layers: its own config and index, links to the files.

    `from_pretrained` wants every file that an index names and reports every tensor that a model has no place for.
    With an index of the needed tensors alone it neither asks for the files of later layers nor reads what else lies
    in the files it opens, and all its ways to load (devices, quantisation, renamed tensors) stay in use.

    Raises:
        ShardError: as `needed_tensors`.
        SubjectError: as `read_config`.
    """
    config = read_config(folder, depth=depth)
    weight_map = read_weight_map(folder)
    kept = {name: weight_map[name] for name in needed_tensors(weight_map, depth=depth)}
    with tempfile.TemporaryDirectory(prefix="saeprobe-") as made:
        view = Path(made)
        (view / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (view / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": kept}), encoding="utf-8")
        for file in sorted(set(kept.values())):
            (view / file).symlink_to((folder / file).resolve())
        yield view
