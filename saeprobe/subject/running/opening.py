"""Opening: a subject from its files into memory, by the library that runs its architecture and by its memory plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from saeprobe.subject.files.model import model_files
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.pairing import Located
from saeprobe.subject.running.batches import ResidualStream, Run, bars_where_watched
from saeprobe.subject.running.bridge import BridgeModel, open_bridge
from saeprobe.subject.running.layers import open_stack
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.sae import load_sae, thresholds_of
from saeprobe.subject.running.steering import add
from saeprobe.subject.running.streamed import open_sweep
from saeprobe.subject.running.tokens import FastTokenizer
from saeprobe.subject.specification import Dtype, Share, SubjectError, SubjectSpec, tolerance_of


class LayersModel:
    """The layers up to the hook, loaded when first read; given up for the whole model when it is to speak."""

    def __init__(
        self,
        *,
        device: str,
        one_by_one: bool,
        read: Callable[[], ResidualStream],
        speak: Callable[[], LayersSpeaker],
    ) -> None:
        self.device = device
        self._one_by_one = one_by_one
        self._read = read
        self._speak = speak
        self._stream: ResidualStream | None = None
        self._speaker: LayersSpeaker | None = None

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Mapping[int, Float[Tensor, "pos d_in"]]]]:
        """The streams of each run by depth; see `ResidualStream`.

        In 8 bits one prompt at a time, as in the published experiment: LLM.int8 treats the largest columns of a whole
        batch apart, so that what shares a batch with a prompt would be part of its result.
        """
        if self._stream is None:
            if self._speaker is not None:  # the memory would have to hold the first layers twice
                self._speaker = None
                clear_device_cache(garbage_collection=True)
            self._stream = self._read()
        yield from self._stream.run(runs, batch_size=1 if self._one_by_one else batch_size, progress=progress)

    def speaker(self) -> LayersSpeaker:
        """The whole model, to write continuations with.

        Raises:
            SubjectError: its later layers are not here, or the memory does not hold it as a whole.
        """
        if self._speaker is None:
            if self._stream is not None:  # likewise
                self._stream = None
                clear_device_cache(garbage_collection=True)
            self._speaker = self._speak()
        return self._speaker


def open_layers(folder: Path, plan: MemoryPlan, *, depth: int, dtype: Dtype) -> ResidualStream:
    """The embedding and the layers before `depth`, one at least, where the memory plan puts them."""
    depth = max(1, depth)
    if plan.kind == "streamed":
        return open_sweep(folder, depth=depth, dtype=dtype, device=plan.device)
    return open_stack(
        folder,
        depth=depth,
        dtype=dtype,
        device=plan.device,
        max_memory=plan.max_memory,
        quantisation=plan.quantisation,
    )


class _Loader(Protocol):
    """The one class method used of transformers' automatic class, which carries no usable types."""

    def from_pretrained(self, name: str, **options: object) -> Any: ...


def open_speaker(folder: Path, plan: MemoryPlan, *, depth: int, dtype: Dtype) -> LayersSpeaker:
    """All of a model; `depth` is where it is steered."""
    with bars_where_watched():
        model = cast(_Loader, AutoModelForCausalLM).from_pretrained(
            str(folder),
            dtype=getattr(torch, dtype),
            device_map={"": plan.device} if plan.max_memory is None else "auto",
            max_memory=None if plan.max_memory is None else dict(plan.max_memory),
            quantization_config=BitsAndBytesConfig(load_in_8bit=True) if plan.quantisation == "8bit" else None,
            local_files_only=True,
        )
    return LayersSpeaker(model=model.eval().requires_grad_(requires_grad=False), depth=depth, device=plan.device)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayersSpeaker:
    """A whole causal language model of transformers, steered at `depth` blocks from its embedding."""

    model: Any
    depth: int
    device: str

    @contextmanager
    def steered(self, change: Float[Tensor, "batch d_in"]) -> Generator[None]:
        """While entered, `change` is added to the stream at the hook, at every position."""
        edit = add(change)
        inner = self.model.model
        place = inner.layers[self.depth - 1] if self.depth else inner.embed_tokens

        def after(module: object, inputs: object, output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
            del inputs
            # A layer returned a tuple before transformers 5.
            if isinstance(output, tuple):
                return (edit(output[0], module), *output[1:])
            return edit(output, module)

        handle = place.register_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()


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
        if not model_files(found.model, depth=None):
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
