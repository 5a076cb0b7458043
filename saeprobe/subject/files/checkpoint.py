"""A checkpoint is held against its configuration before any of its weights is read; torch is not needed here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, cast

from saeprobe.subject.files.layout import is_after, is_computed, is_read, layer_of, layout_of
from saeprobe.subject.files.model import DEPTH, number_of, read_config, read_json
from saeprobe.subject.files.shards import ShardError, StoredTensor, read_weight_map, stored_tensors
from saeprobe.subject.specification import SubjectError

_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
# What GPTQ, AWQ, bitsandbytes, fp8 and compressed-tensors write beside a weight, or in its place.
_QUANTISED: Final = re.compile(
    r".*(?:^|[._])(?:qweight|qzeros|scales|g_idx|SCB|absmax|quant_map|quant_state\..*|weight_(?:scale|scale_inv|packed|"
    r"shape|zero_point|format|global_scale)|(?:input|output|k|v)_scale)"
)


def check_checkpoint(folder: Path, *, depth: int | None) -> dict[str, StoredTensor]:
    """Return what lies on disk of a model, up to a depth where it runs layer by layer, or refuse it.

    Refused are files that are absent or broken, tensors that no such model has, and quantised weights: transformers
    reads some of these without their scales and without a word.

    Raises:
        ShardError: as `stored_tensors`; the checkpoint is of another model than `config.json`.
        SubjectError: its weights are quantised.
    """
    config = read_json(folder / "config.json") if depth is None else read_config(folder, depth=depth)
    weight_map = read_weight_map(folder)
    stored = stored_tensors(folder, depth=depth)
    _refuse_quantised(folder, config, weight_map, stored)
    if layout_of(config) is not None:
        n_layers = number_of(read_json(folder / "config.json"), *DEPTH) or 0
        strange = sorted(name for name in weight_map if not _has_place(name, n_layers))
        if strange:
            raise ShardError(
                f"config.json and the weights of {folder} are not of one model: {strange[0]} has no place in a model "
                f"of {n_layers} layers ({len(strange)} such tensors); fetch both again from one revision"
            )
    return stored


def _has_place(name: str, n_layers: int) -> bool:
    layer = layer_of(name)
    return (is_read(name) and (layer is None or layer < n_layers)) or is_computed(name) or is_after(name)


def _refuse_quantised(
    folder: Path, config: Mapping[str, object], names: Iterable[str], stored: Mapping[str, StoredTensor]
) -> None:
    inner = config.get("text_config")
    text = cast("Mapping[str, object]", inner if isinstance(inner, dict) else {})
    said = [one[key] for one in (config, text) for key in ("quantization_config", "compression_config") if one.get(key)]
    marked = next((name for name in names if _QUANTISED.fullmatch(name)), None)
    packed = next((one for one in stored.values() if one.dtype not in _FLOATS and _is_weight(one)), None)
    if said:
        method = cast("dict[str, object]", said[0]).get("quant_method") if isinstance(said[0], dict) else said[0]
        found = f"config.json says quantization_config ({method or 'no method named'})"
    elif marked is not None:
        found = f"beside the weights lies {marked}"
    elif packed is not None:
        found = f"{packed.name} is stored as {packed.dtype}"
    else:
        return
    raise SubjectError(
        f"the weights in {folder} are quantised already: {found}; name the model's own checkpoint in float32, bfloat16 "
        'or float16 (with quantisation = "8bit" its weights are quantised as they are loaded)'
    )


def _is_weight(one: StoredTensor) -> bool:
    """Say whether a tensor that is not stored in floating point, or in eight bits of it, is no mask or counter."""
    read = is_read(one.name) and not is_computed(one.name)
    return read or one.dtype.startswith("F") or "weight" in one.name.rpartition(".")[2]
