"""Shapes: the sizes of a model, as its `config.json` states them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from saeprobe.subject.files.model import read_json
from saeprobe.subject.specification import Family, ModelShape, SubjectError

_LAYERS: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Architectures that transformers and accelerate run, stopped after the hooked layer; the others go through
TransformerLens, which can centre their weights but holds the whole model."""


def family_of(model: Path) -> Family:
    """Which library runs the model in a folder."""
    return "layers" if _config_of(model).get("model_type") in _LAYERS else "bridge"


def shape_of(model: Path) -> ModelShape:
    """The sizes of the model in a folder.

    Raises:
        SubjectError: its configuration does not state them.
    """
    config = _config_of(model)
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    layers = _number(config, "num_hidden_layers", "n_layer", "num_layers")
    positions = _number(config, "max_position_embeddings", "n_positions", "n_ctx")
    if hidden is None or layers is None or positions is None:
        raise SubjectError(
            f"{model / 'config.json'} of architecture {config.get('model_type')!r} states no width, no layers or "
            "no positions; wanted a decoder-only language model of transformers"
        )
    family = family_of(model)
    heads = _number(config, "num_attention_heads", "n_head", "num_heads") or 1
    return ModelShape(
        family=family,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=_number(config, "num_key_value_heads") or heads,
        intermediate=_number(config, "intermediate_size", "n_inner") or 4 * hidden,
        vocabulary=_number(config, "vocab_size") or 0,
        positions=positions,
    )


def _config_of(model: Path) -> Mapping[str, object]:
    whole = read_json(model / "config.json")
    return cast("Mapping[str, object]", whole.get("text_config", whole))  # where a model also sees or hears


def _number(config: Mapping[str, object], *names: str) -> int | None:
    found = (config[name] for name in names if isinstance(config.get(name), int))
    return next((int(str(value)) for value in found), None)
