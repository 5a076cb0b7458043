"""Layers in memory: the first ones of a decoder-only model to be read, and all of one that writes text."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils.memory import clear_device_cache
from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM, BitsAndBytesConfig

from saeprobe.shapes import Float
from saeprobe.subject.files import LAYOUTS, is_read, layer_of
from saeprobe.subject.files.model import model_files, truncated
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running import Batch, ByRun, ResidualStream, Run, run_in_batches
from saeprobe.subject.running.editing import Edit
from saeprobe.subject.running.weights import load
from saeprobe.subject.specification import Dtype, Share, SubjectError


class ReachedError(Exception):
    """The last depth that a batch needs was reached; what lies after it is not computed."""


def open_stack(
    folder: Path,
    *,
    depth: int,
    dtype: Dtype,
    device: str = "cpu",
    max_memory: Mapping[int | str, int | str] | None = None,
    quantisation: Literal["8bit"] | None = None,
) -> LayerStack:
    """Load the embedding and layers 0 to depth - 1 through transformers and accelerate.

    The folder holds a model in Hugging Face format; files that hold only later layers may be absent. The deepest stream
    is `hidden_states[depth]` of the whole model, which computes in `dtype`, whatever its files store. All of it goes
    to `device`, unless `max_memory` says what each may hold, as accelerate takes it: `{0: "70GiB", 1: "70GiB"}`. The
    quantisation `8bit` is LLM.int8 of bitsandbytes, an optional dependency.
    """
    if quantisation is not None:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise SubjectError(
                f"quantisation = {quantisation!r} needs bitsandbytes, which is not installed; run: pip install "
                "bitsandbytes, or leave quantisation out"
            )
        # bitsandbytes logs a line for every product whose input is not float16, which is what LLM.int8 computes in.
        getLogger("bitsandbytes").setLevel(ERROR)
    with truncated(folder, depth=depth) as view:
        model = load(
            AutoModel,
            folder,
            view=view,
            depth=depth,
            dtype=dtype,
            used=lambda name: is_read(name) and (layer_of(name) or 0) < depth,
            **_placed(device, max_memory, quantisation),
        )
    if max_memory is not None:
        _check_placed(model, allowed={str(place) for place in max_memory})
    return LayerStack(model=without_norm(model), depth=depth)


def _placed(
    device: str, max_memory: Mapping[int | str, int | str] | None, quantisation: Literal["8bit"] | None
) -> dict[str, Any]:
    """Say to `from_pretrained` where weights go, and whether they are quantised on the way."""
    return {
        "device_map": {"": device} if max_memory is None else "auto",
        "max_memory": None if max_memory is None else dict(max_memory),
        "quantization_config": None if quantisation is None else BitsAndBytesConfig(load_in_8bit=True),
    }


def decoder_of(model: Any) -> Any:
    """Return the part of a model, with or without its head, that has the embedding, the blocks and the final norm."""
    layout = LAYOUTS[model.config.model_type]
    return model.base_model if not layout.inside else getattr(model.base_model, layout.inside)


def blocks_of(model: Any) -> Any:
    """Return the blocks of a model."""
    return getattr(decoder_of(model), LAYOUTS[model.config.model_type].blocks)


def without_norm(model: Any) -> Any:
    """Take the final norm out of a model that is read before it."""
    setattr(decoder_of(model), LAYOUTS[model.config.model_type].norm, torch.nn.Identity())
    return model


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerStack:
    """A stack is the first layers of a model in memory. It has no final norm, so that its output is the raw stream."""

    model: Any
    depth: int

    @property
    def device(self) -> str:
        """Return the device of the embedding; with several devices the streams come back here."""
        return str(self.model.get_input_embeddings().weight.device)

    def run(self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None) -> ByRun:
        """Give the streams of each run, longest runs first; a batch stops at its deepest depth."""
        yield from run_in_batches(runs, self._forward, device=self.device, batch_size=batch_size, progress=progress)

    @torch.no_grad()
    def _forward(self, batch: Batch, wanted: Sequence[int]) -> dict[int, Float[Tensor, "batch pos d_in"]]:
        kept: dict[int, Tensor] = {}

        def keep(depth: int, stream: Tensor) -> None:
            kept[depth] = stream.to(self.device)
            if depth == wanted[-1]:
                raise ReachedError

        def before(depth: int, _: object, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            keep(depth, args[0] if args else kwargs["hidden_states"])

        def after(_: object, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
            keep(self.depth, stream_of(output))

        # Before a block rather than after it: what goes in is the stream itself. What comes out is a tuple in some.
        blocks = blocks_of(self.model)
        with ExitStack() as hooks, suppress(ReachedError):
            for depth in (one for one in wanted if one < self.depth):
                hooks.enter_context(blocks[depth].register_forward_pre_hook(partial(before, depth), with_kwargs=True))
            hooks.enter_context(blocks[-1].register_forward_hook(after))
            self.model(input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False)
        return kept


def stream_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the stream in what a block gives: in some it is the first of a tuple."""
    return output[0] if isinstance(output, tuple) else output


def _check_placed(model: Any, *, allowed: set[str]) -> None:
    """Refuse what accelerate put on the CPU or the disk, from where every batch would read it again."""
    placed = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    spilled = placed - allowed
    if spilled and placed - spilled:
        raise SubjectError(
            f"the model does not fit the memory of {', '.join(sorted(placed - spilled))}; a part would lie on "
            f'{" and ".join(sorted(spilled))} and be read again for every batch: use memory = "streamed", which reads '
            "each layer once"
        )


def open_speaker(
    folder: Path, plan_to_speak: Callable[[], MemoryPlan], *, depth: int, dtype: Dtype, name: str
) -> LayersSpeaker:
    """Load all of a subject's model where the memory plan puts it; `depth` is where it is steered."""
    if not model_files(folder, depth=None):
        raise SubjectError(
            f"{name} can be read but not steered: to write text it needs its layers after the hook too; "
            f"run: saeprobe fetch {name} --whole"
        )
    plan = plan_to_speak()
    if plan.kind == "streamed":
        raise SubjectError(
            f"{name} can be read but not steered here: a model that is streamed from disk would be read "
            f"again for every token it writes; found: {plan.reason}"
        )
    placed = _placed(plan.device, plan.max_memory, plan.quantisation)
    model = load(AutoModelForCausalLM, folder, dtype=dtype, **placed)
    return LayersSpeaker(model=model, depth=depth, device=plan.device)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayersSpeaker:
    """A whole causal language model of transformers, steered at `depth` blocks from its embedding, writes text."""

    model: Any
    depth: int
    device: str
    centred: bool = False

    @contextmanager
    def steered(self, edit: Edit) -> Generator[None]:
        """Give the stream at the hook to `edit` and go on with what that returns, while entered."""
        blocks = blocks_of(self.model)

        def before(
            module: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            if args:
                return (edit(args[0], module), *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": edit(kwargs["hidden_states"], module)}

        def after(module: object, inputs: object, output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
            del inputs
            edited = edit(stream_of(output), module)
            return (edited, *output[1:]) if isinstance(output, tuple) else edited

        # In front of the first block, since not every embedding is all of what that receives.
        if self.depth:
            handle = blocks[self.depth - 1].register_forward_hook(after)
        else:
            handle = blocks[0].register_forward_pre_hook(before, with_kwargs=True)
        with handle:
            yield


@dataclass(kw_only=True, eq=False)
class LayersModel:
    """A model in layers is loaded up to the hook when first read, and given up for the whole model when it speaks."""

    device: str
    one_by_one: bool
    centred: bool  # whether the stream is given without its mean over `d_in`
    read: Callable[[], ResidualStream]
    speak: Callable[[], LayersSpeaker]
    _stream: ResidualStream | None = field(default=None, init=False, repr=False)
    _speaker: LayersSpeaker | None = field(default=None, init=False, repr=False)

    def run(self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None) -> ByRun:
        """Give the streams of each run; see `ResidualStream`.

        In 8 bits one prompt at a time, as in the published experiment: LLM.int8 treats the largest columns of a whole
        batch apart, so that what shares a batch with a prompt would be part of its result.
        """
        if self._stream is None:
            if self._speaker is not None:  # the memory would have to hold the first layers twice
                self._speaker = None
                clear_device_cache(garbage_collection=True)
            self._stream = self.read()
        for number, streams in self._stream.run(
            runs, batch_size=1 if self.one_by_one else batch_size, progress=progress
        ):
            yield number, {depth: centred(x) for depth, x in streams.items()} if self.centred else streams

    def speaker(self) -> LayersSpeaker:
        """Return the whole model, to write continuations with."""
        if self._speaker is None:
            if self._stream is not None:  # likewise
                self._stream = None
                clear_device_cache(garbage_collection=True)
            self._speaker = replace(self.speak(), centred=self.centred)
        return self._speaker


def centred(x: Float[Tensor, "pos d_in"]) -> Float[Tensor, "pos d_in"]:
    """Take out the mean of each token: the stream of a model with LayerNorms whose writing weights are centred.

    Every block and the head read the stream through a LayerNorm, which takes that mean out itself. It is computed in
    float32, in which also a centred stream is given that is longer than its mean.
    """
    wide = x.float()
    return wide - wide.mean(-1, keepdim=True)
