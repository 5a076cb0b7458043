"""Opening brings a subject from its files into memory: by transformers in layers, or whole by TransformerLens."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from saeprobe.subject.files.tokenizer import ends_of
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.pairing import Located
from saeprobe.subject.running.batches import (
    ResidualStream,
)
from saeprobe.subject.running.bridge import bridge_model
from saeprobe.subject.running.dictionary import load_sae, thresholds_of
from saeprobe.subject.running.layers import LayersModel, LayersSpeaker, open_speaker, open_stack
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.streamed import open_sweep
from saeprobe.subject.running.tokens import load_tokenizer
from saeprobe.subject.specification import Dtype, SubjectSpec, tolerance_of


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An opening holds all that is decided before a subject is loaded."""

    spec: SubjectSpec
    located: Located
    plan: MemoryPlan  # where the weights lie
    dtype: Dtype  # what the model computes in
    plan_to_speak: Callable[[], MemoryPlan]  # where the weights would lie with all layers, if it comes to writing text

    @property
    def tolerance(self) -> float:
        """Return by how much rounding may move the stream at the hook, as a share of its norm."""
        return tolerance_of(self.dtype, depth=self.located.pairing.depth)


def open_reader(opening: Opening) -> SaeReader:
    """Load model and SAE."""
    # The memory plan counts GPUs as nvidia-smi does; CUDA, which reads this when it is first used, by speed otherwise.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    found = opening.located
    if found.pairing.family == "bridge":
        model: Model = bridge_model(found.model, found.pairing, device=opening.plan.device, dtype=opening.dtype)
    else:
        model = _layers(opening)
    tokenizer = load_tokenizer(found.model, found.pairing)
    vocabulary = found.shape.vocabulary or len(tokenizer)
    sae = load_sae(opening.spec, found.sae, found.pairing, device=opening.plan.sae_device)
    return SaeReader(
        name=opening.spec.name,
        model=model,
        tokenizer=tokenizer,
        sae=sae,
        thresholds=thresholds_of(sae, tolerance=opening.tolerance),
        pairing=found.pairing,
        ends=partial(ends_of, found.model, vocabulary=vocabulary, eos=tokenizer.eos_token_id),
    )


def _layers(opening: Opening) -> Model:
    found, plan = opening.located, opening.plan

    def read() -> ResidualStream:
        depth = max(1, found.depth)
        if plan.kind == "streamed":
            return open_sweep(found.model, depth=depth, dtype=opening.dtype, device=plan.device)
        return open_stack(
            found.model,
            depth=depth,
            dtype=opening.dtype,
            device=plan.device,
            max_memory=plan.max_memory,
            quantisation=plan.quantisation,
        )

    def speak() -> LayersSpeaker:
        return open_speaker(
            found.model, opening.plan_to_speak, depth=found.pairing.depth, dtype=opening.dtype, name=opening.spec.name
        )

    return LayersModel(
        device=plan.device,
        one_by_one=plan.quantisation is not None,
        centred=found.pairing.center_writing_weights,
        read=read,
        speak=speak,
    )
