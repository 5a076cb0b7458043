"""Opening: a subject from its files into memory, by the library that runs its architecture and by its memory plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from transformers import AutoTokenizer

from saeprobe.subject.files import model as weights
from saeprobe.subject.locating import Located
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running.bridge import open_bridge
from saeprobe.subject.running.bridge_model import BridgeModel
from saeprobe.subject.running.layers_model import LayersModel, LayersSpeaker, open_layers, open_speaker
from saeprobe.subject.running.numerics import tolerance_of
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.sae import load_sae
from saeprobe.subject.running.thresholds import thresholds_of
from saeprobe.subject.running.tokens import FastTokenizer
from saeprobe.subject.running.watched import bars_where_watched
from saeprobe.subject.specification import Dtype, SubjectError, SubjectSpec


@dataclass(frozen=True, kw_only=True)
class Opening:
    """All that is decided before a subject is loaded.

    Attributes:
        spec: as declared.
        located: its files, and how they are read together.
        plan: where the weights lie.
        dtype: what the model computes in.
        plan_to_speak: asked for where the weights would lie with all layers, if it comes to writing text.
    """

    spec: SubjectSpec
    located: Located
    plan: MemoryPlan
    dtype: Dtype
    plan_to_speak: Callable[[], MemoryPlan]

    @property
    def tolerance(self) -> float:
        """By how much rounding may move the residual stream at the hook, as a share of its norm."""
        return tolerance_of(self.dtype, depth=self.located.pairing.depth)


class _Loader(Protocol):
    """The one class method used of transformers' automatic class, which carries no usable types."""

    def from_pretrained(self, name: str, **options: object) -> Any: ...


def open_reader(opening: Opening) -> SaeReader:
    """Load model and SAE.

    Raises:
        SubjectError: they do not belong together, are damaged, or do not fit this machine.
    """
    # The memory plan counts GPUs as nvidia-smi does; CUDA, which reads this when it is first used, by speed otherwise.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    found = opening.located
    model = bridge_model(opening) if found.pairing.family == "bridge" else _layers(opening)
    sae = load_sae(opening.spec, found.sae, found.pairing, device=opening.plan.sae_device)
    return SaeReader(
        name=opening.spec.name,
        model=model,
        tokenizer=_tokenizer(found.model),
        sae=sae,
        thresholds=thresholds_of(sae, tolerance=opening.tolerance),
        pairing=found.pairing,
    )


def _tokenizer(folder: Path) -> FastTokenizer:
    tokenizer = cast(_Loader, AutoTokenizer).from_pretrained(str(folder), local_files_only=True)
    if not tokenizer.is_fast:
        raise SubjectError(
            f"the tokenizer in {folder} does not tell which characters its tokens carry; wanted a tokenizer.json there"
        )
    return cast(FastTokenizer, tokenizer)


def bridge_model(opening: Opening, *, drawn: int | None = None) -> Model:
    """The model through TransformerLens; with a seed in `drawn` its weights are random."""
    found, device = opening.located, opening.plan.device
    with bars_where_watched():
        bridge = open_bridge(
            found.model,
            center_writing_weights=found.pairing.center_writing_weights,
            device=device,
            dtype=cast(torch.dtype, getattr(torch, opening.dtype)),
            drawn=drawn,
        )
    return BridgeModel(bridge=bridge, hook_name=found.pairing.hook_name, n_layers=found.pairing.n_layers, device=device)


def _layers(opening: Opening) -> Model:
    found, plan, name = opening.located, opening.plan, opening.spec.name

    def speak() -> LayersSpeaker:
        if not weights.model_files(found.model, depth=None):
            raise SubjectError(
                f"{name} can be read but not steered: to write text it needs its layers after the hook too; "
                f"run: saeprobe fetch {name} --whole"
            )
        whole = opening.plan_to_speak()
        if whole.kind == "streamed":
            raise SubjectError(
                f"{name} can be read but not steered here: a model that is streamed from disk would be read "
                f"again for every token it writes; found: {whole.reason}"
            )
        return open_speaker(found.model, whole, depth=found.pairing.depth, dtype=opening.dtype)

    return LayersModel(
        device=plan.device,
        one_by_one=plan.quantisation is not None,
        read=lambda: open_layers(found.model, plan, depth=found.depth, dtype=opening.dtype),
        speak=speak,
    )
