"""Layers in memory: the first ones of a decoder-only model to be read, and all of one that writes text."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, Literal, cast

import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging

from saeprobe.subject.files.model import bars_where_watched, model_files, truncated
from saeprobe.subject.files.shards import ShardError, needed_tensors, read_weight_map, stored_tensors
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running.batches import Batch, ResidualStream, Run, Side, Streams, check_runs, run_in_batches
from saeprobe.subject.running.steering import add
from saeprobe.subject.specification import Dtype, Share, SubjectError

Attention = Literal["sdpa", "eager"]
Place = int | str

_PARTS = ("embed_tokens", "layers", "rotary_emb", "norm")


class _ReachedError(Exception):
    """The last depth that a batch needs was reached; what lies after it is not computed."""


def open_stack(
    folder: Path,
    *,
    depth: int,
    dtype: Dtype,
    device: str = "cpu",
    device_map: Mapping[str, Place] | Literal["auto"] | None = None,
    max_memory: Mapping[Place, int | str] | None = None,
    quantisation: Literal["8bit"] | None = None,
    attention: Attention = "sdpa",
    padding: Side = "right",
) -> LayerStack:
    """Load the embedding and layers 0 to depth - 1 through transformers and accelerate.

    Args:
        folder: a model in Hugging Face format; files that hold only later layers may be absent.
        depth: layers that run; the deepest stream is `hidden_states[depth]` of the whole model.
        dtype: what the model computes in, whatever its files store.
        device: where all of it goes, unless `device_map` or `max_memory`, which are accelerate's, say otherwise.
        device_map: device by module, or `auto`.
        max_memory: what each device may hold, such as `{0: "70GiB", 1: "70GiB"}`; implies `auto`.
        quantisation: `8bit` is LLM.int8 of bitsandbytes, an optional dependency.
        attention: transformers' implementation.
        padding: side of the padding in batches.
    """
    stored_tensors(folder, depth=depth)  # raises for what is absent or broken, before gigabytes are read
    if quantisation is not None:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise SubjectError(
                f"quantisation = {quantisation!r} needs bitsandbytes, which is not installed; run: pip install "
                "bitsandbytes, or leave quantisation out"
            )
        # bitsandbytes logs a line for every product whose input is not float16, which is what LLM.int8 computes in.
        getLogger("bitsandbytes").setLevel(ERROR)
    spread = device_map is not None or max_memory is not None
    with truncated(folder, depth=depth) as view, bars_where_watched(), _quiet():
        model, info = cast(Any, AutoModel).from_pretrained(
            str(view),
            dtype=getattr(torch, dtype),
            device_map=(device_map or "auto") if spread else {"": device},
            max_memory=None if max_memory is None else dict(max_memory),
            quantization_config=_in_8_bits(quantisation),
            attn_implementation=attention,
            local_files_only=True,
            output_loading_info=True,
        )
    _check_placed(model, allowed={str(place) for place in max_memory or ()} or None)
    _check_loaded(folder, depth=depth, model=model, info=info)
    model.norm = torch.nn.Identity()
    return LayerStack(model=model.eval().requires_grad_(requires_grad=False), depth=depth, padding=padding)


def _in_8_bits(quantisation: Literal["8bit"] | None) -> BitsAndBytesConfig | None:
    return None if quantisation is None else BitsAndBytesConfig(load_in_8bit=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerStack:
    """A stack is the first layers of a model in memory. It has no final norm, so that its output is the raw stream."""

    model: Any
    depth: int
    padding: Side = "right"

    @property
    def device(self) -> str:
        """Return the device of the embedding; with several devices the streams come back here."""
        return str(self.model.get_input_embeddings().weight.device)

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Streams]]:
        """Give the streams of each run, longest runs first; a batch stops at its deepest depth."""
        check_runs(runs, depth=self.depth)
        yield from run_in_batches(
            runs, self._forward, side=self.padding, device=self.device, batch_size=batch_size, progress=progress
        )

    @torch.no_grad()
    def _forward(self, batch: Batch, wanted: Sequence[int]) -> dict[int, Float[Tensor, "batch pos d_in"]]:
        kept: dict[int, Tensor] = {}

        def keep(depth: int) -> Callable[[object, tuple[Tensor, ...], dict[str, Tensor]], None]:
            def before(_: object, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
                kept[depth] = (args[0] if args else kwargs["hidden_states"]).to(self.device)
                if depth == wanted[-1]:
                    raise _ReachedError

            return before

        # Before a layer rather than after one: what goes in is the stream itself in every version of transformers,
        # what comes out was a tuple in version 4.
        handles = [
            self.model.layers[depth].register_forward_pre_hook(keep(depth), with_kwargs=True)
            for depth in wanted
            if depth < self.depth
        ]
        try:
            out = self.model(
                input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
            )
            kept[self.depth] = out.last_hidden_state.to(self.device)
        except _ReachedError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return kept


@contextmanager
def _quiet() -> Generator[None]:
    """Keep transformers from reporting tensors without a place: the files hold later layers too.

    `_check_loaded` looks for those that matter.
    """
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _check_loaded(folder: Path, *, depth: int, model: Any, info: Mapping[str, Any]) -> None:
    """See that all but the final norm came from the files, and that every needed tensor found its place."""
    check_layout(model, folder)
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("norm."))
    needed = needed_tensors(read_weight_map(folder), depth=depth)
    left = sorted(set(needed) & {str(name) for name in info["unexpected_keys"]})
    wrong = [*(f"{name} is not in the files" for name in missing), *(f"{name} has no place" for name in left)]
    wrong += [f"{one} has another shape" for one in info["mismatched_keys"]]
    wrong += [str(one) for one in info["error_msgs"]]
    if wrong:
        raise ShardError(
            f"config.json and the weights of {folder} are not of one model: {'; '.join(wrong[:4])}"
            f"{f' and {len(wrong) - 4} more' if len(wrong) > 4 else ''}; fetch both again from one revision"  # noqa: PLR2004 - as shown
        )


def check_layout(model: Any, folder: Path) -> None:
    """Refuse models that are not an embedding, layers, and a final norm."""
    absent = [part for part in _PARTS if not hasattr(model, part)]
    if absent:
        raise SubjectError(
            f"{type(model).__name__} of {folder} has no {', '.join(absent)}; wanted a decoder with "
            f"{', '.join(_PARTS)}, such as Llama, Qwen2 or Mistral"
        )


def _check_placed(model: Any, *, allowed: set[str] | None) -> None:
    """Refuse what accelerate put on the CPU or the disk, from where every batch would read it again."""
    placed = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    spilled = placed & {"disk", "cpu"} if allowed is None else placed - allowed
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
    with bars_where_watched():
        model = cast(Any, AutoModelForCausalLM).from_pretrained(
            str(folder),
            dtype=getattr(torch, dtype),
            device_map={"": plan.device} if plan.max_memory is None else "auto",
            max_memory=None if plan.max_memory is None else dict(plan.max_memory),
            quantization_config=_in_8_bits(plan.quantisation),
            local_files_only=True,
        )
    return LayersSpeaker(model=model.eval().requires_grad_(requires_grad=False), depth=depth, device=plan.device)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayersSpeaker:
    """A whole causal language model of transformers, steered at `depth` blocks from its embedding, writes text."""

    model: Any
    depth: int
    device: str

    @contextmanager
    def steered(self, change: Float[Tensor, "batch d_in"]) -> Generator[None]:
        """Add `change` to the stream at the hook, at every position, while entered."""
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


@dataclass(kw_only=True, eq=False)
class LayersModel:
    """A model in layers is loaded up to the hook when first read, and given up for the whole model when it speaks."""

    device: str
    one_by_one: bool
    read: Callable[[], ResidualStream]
    speak: Callable[[], LayersSpeaker]
    _stream: ResidualStream | None = field(default=None, init=False, repr=False)
    _speaker: LayersSpeaker | None = field(default=None, init=False, repr=False)

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Streams]]:
        """Give the streams of each run; see `ResidualStream`.

        In 8 bits one prompt at a time, as in the published experiment: LLM.int8 treats the largest columns of a whole
        batch apart, so that what shares a batch with a prompt would be part of its result.
        """
        if self._stream is None:
            if self._speaker is not None:  # the memory would have to hold the first layers twice
                self._speaker = None
                clear_device_cache(garbage_collection=True)
            self._stream = self.read()
        yield from self._stream.run(runs, batch_size=1 if self.one_by_one else batch_size, progress=progress)

    def speaker(self) -> LayersSpeaker:
        """Return the whole model, to write continuations with."""
        if self._speaker is None:
            if self._stream is not None:  # likewise
                self._stream = None
                clear_device_cache(garbage_collection=True)
            self._speaker = self.speak()
        return self._speaker
