"""Models through transformers and accelerate: read up to the hook by the memory plan, loaded whole only to speak."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from saeprobe.interventions import add
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.protocol import Share
from saeprobe.subject.running.layers import open_stack
from saeprobe.subject.running.stream import ResidualStream, Run
from saeprobe.subject.running.streamed import open_sweep
from saeprobe.subject.running.watched import bars_where_watched
from saeprobe.subject.specification import Dtype


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
