"""Pairings: what a model's and an SAE's own configurations say together, read without importing torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from saeprobe.subject.specification import SubjectError, SubjectSpec
from saeprobe.subject.weights import SAE_CONFIG, read_json

_HOOK = re.compile(r"blocks\.(\d+)\.hook_resid_(pre|post)")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """How a model and an SAE are read together.

    Attributes:
        hook_name: where the SAE reads.
        layer: blocks that run before that point.
        n_layers: blocks of the model.
        d_in: width of the residual stream.
        d_sae: features of the SAE.
        architecture: of the SAE, as sae-lens calls it.
        prepend_bos: whether each prompt begins with BOS.
        center_writing_weights: whether the SAE reads the stream minus its mean over `d_model`.
        context_size: tokens a prompt may have, BOS included.
        n_positions: tokens the model can attend to.
    """

    hook_name: str
    layer: int
    n_layers: int
    d_in: int
    d_sae: int
    architecture: str
    prepend_bos: bool
    center_writing_weights: bool
    context_size: int
    n_positions: int

    @property
    def protocol(self) -> str:
        """In words: what a prompt becomes before it is read."""
        bos = "one BOS before each prompt, never read" if self.prepend_bos else "no BOS"
        stream = "residual stream minus its mean" if self.center_writing_weights else "raw residual stream"
        return f"{bos}; no chat template; at most {self.context_size} tokens; {stream}"


def pair(spec: SubjectSpec, *, model: Path, sae: Path, overrides: Mapping[str, object]) -> Pairing:
    """Read both configurations and check that they belong together.

    Args:
        spec: what is declared; it wins over what the SAE says.
        model: folder of the model.
        sae: folder of the SAE.
        overrides: what sae-lens' registry puts over the SAE's configuration.

    Raises:
        SubjectError: the architecture is not GPT-2's, the widths or layers do not fit, or a setting is nowhere stated.
    """
    config = read_json(model / "config.json")
    if config.get("model_type") != "gpt2":
        raise SubjectError(
            f"{model} is of architecture {config.get('model_type')!r}; this version of saeprobe loads 'gpt2' only"
        )
    width, n_layers, n_positions = int(config["n_embd"]), int(config["n_layer"]), int(config["n_positions"])
    stated = read_json(sae / SAE_CONFIG)
    # Before sae-lens 6 the metadata stood at the top level, and hook_name was hook_point.
    said: dict[str, object] = {**stated, **stated.get("metadata", {}), **overrides}
    hook_name = str(_need(spec, spec.hook_name, said.get("hook_name", said.get("hook_point")), "hook_name", sae))
    layer = _layer(hook_name, n_layers=n_layers, name=spec.name)
    if int(stated["d_in"]) != width:
        raise SubjectError(
            f"the SAE {spec.sae} reads {stated['d_in']} dimensions but {spec.model} has {width}; "
            f"they do not belong together: name the model that the SAE was trained on ({said.get('model_name')})"
        )
    # SAELens 3 wrote no prepend_bos; it was always on then, and sae-lens reads such files so.
    old = "metadata" not in stated and "prepend_bos" not in said
    loading = said.get("model_from_pretrained_kwargs")
    options = cast("dict[str, object]", loading) if isinstance(loading, dict) else {}
    centred = bool(options.get("center_writing_weights", False))
    context = spec.context_size or said.get("context_size") or n_positions
    return Pairing(
        hook_name=hook_name,
        layer=layer,
        n_layers=n_layers,
        d_in=width,
        d_sae=int(stated["d_sae"]),
        architecture=str(stated.get("architecture", "standard")),
        prepend_bos=bool(_need(spec, spec.prepend_bos, True if old else said.get("prepend_bos"), "prepend_bos", sae)),
        center_writing_weights=centred if spec.center_writing_weights is None else spec.center_writing_weights,
        context_size=min(int(str(context)), n_positions),
        n_positions=n_positions,
    )


def _need(spec: SubjectSpec, declared: _T | None, stated: _T | None, key: str, sae: Path) -> _T:
    value = stated if declared is None else declared
    if value is None:
        raise SubjectError(
            f"neither {sae / SAE_CONFIG} nor the subject {spec.name!r} says {key}; "
            f"add {key} to [tool.saeprobe.subjects.{spec.name}] in pyproject.toml"
        )
    return value


def _layer(hook_name: str, *, n_layers: int, name: str) -> int:
    """How many blocks run before the hook."""
    found = _HOOK.fullmatch(hook_name)
    if found is None:
        raise SubjectError(
            f"the hook of {name} is {hook_name!r}; this version of saeprobe reads the residual stream between blocks: "
            "blocks.N.hook_resid_pre or blocks.N.hook_resid_post"
        )
    block = int(found[1])
    if block >= n_layers:
        raise SubjectError(f"the hook of {name} is {hook_name!r} but the model has blocks 0 to {n_layers - 1}")
    return block + (found[2] == "post")
