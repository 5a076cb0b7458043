"""A sweep takes all prompts through one layer after another, so that each layer's weights are read from disk once.

Accelerate's hooks can be made to read each weight once too, around a module that takes all prompts through one layer,
but not to read the next layer meanwhile: `benchmarks/streamed.py` measures what that costs (1.26 times the seconds of
this sweep where reading takes half as long as computing; accelerate's disk offload as it is, 1.8 to 3.6 times).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModel

from saeprobe.files import bytes_in_words
from saeprobe.shapes import Float
from saeprobe.subject.files import inside_embedding, inside_layer, layer_of
from saeprobe.subject.files.model import truncated
from saeprobe.subject.files.shards import ShardError, StoredTensor
from saeprobe.subject.running import Batch, ByRun, Run, attempt, batches_of, each_part, pad
from saeprobe.subject.running.layers import ReachedError, blocks_of, decoder_of, stream_of, without_norm
from saeprobe.subject.running.weights import Draw, check_checkpoint, check_finite, foreign, from_files
from saeprobe.subject.specification import Dtype, Share, SubjectError

Weights = dict[str, Tensor]  # by their name inside the layer: `self_attn.q_proj.weight`
_OTHER_PLAN = 'use memory = "resident" or "sharded" or quantisation = "8bit", which load the model as transformers does'


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFiles:
    """Layer files are the weights of a checkpoint up to a depth in `dtype` and, if `pinned`, ready for a GPU."""

    stored: Mapping[str, StoredTensor]
    dtype: Dtype
    pinned: bool
    draw: Draw | None = None  # with it none is read from disk: the files give the names and the shapes alone

    def of_embedding(self) -> dict[str, StoredTensor]:
        """Return what lies on disk of the embedding, by the names in its decoder: `embed_tokens.weight`."""
        inside = {inside_embedding(name): one for name, one in self.stored.items()}
        return {name: one for name, one in inside.items() if name is not None}

    def of_layer(self, layer: int) -> dict[str, StoredTensor]:
        """Return what lies on disk of a layer, by the names inside it."""
        return {inside_layer(name): one for name, one in self.stored.items() if layer_of(name) == layer}

    def layers(self, count: int) -> Iterator[Weights]:
        """Give the weights of layers 0 to count - 1, in order.

        A thread reads the next layer while the caller holds one, so that two are in memory. Both the reading and the
        kernels of torch release Python's lock.
        """
        if count == 0:
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="layer files") as pool:
            coming: Future[Weights] = pool.submit(self.read, self.of_layer(0))
            for layer in range(count):
                weights = coming.result()
                if layer + 1 < count:
                    coming = pool.submit(self.read, self.of_layer(layer + 1))
                yield weights

    def read(self, wanted: Mapping[str, StoredTensor]) -> Weights:
        """Read tensors file by file, in the order in which they lie there."""
        if self.draw is not None:
            return {inside: self._held(one, self.draw(one.name, one.shape)) for inside, one in wanted.items()}
        found: Weights = {}
        for file in sorted({one.file for one in wanted.values()}):
            here = {one.name: (inside, one) for inside, one in wanted.items() if one.file == file}
            with cast(Any, safe_open)(file, framework="pt") as stream:
                for name in (name for name in stream.offset_keys() if name in here):
                    # The tensor is a view of the mapped file: it is the copy that reads the disk.
                    inside, one = here[name]
                    found[inside] = self._held(one, stream.get_tensor(name))
        return found

    def _held(self, one: StoredTensor, tensor: Tensor) -> Tensor:
        to = getattr(torch, self.dtype)
        held = torch.empty(tensor.shape, dtype=to, pin_memory=self.pinned).copy_(tensor)
        check_finite([(one.name, held)], one.file, dtype=self.dtype, stored=[one])
        return held


def empty_model(folder: Path, *, depth: int, dtype: Dtype, device: str) -> Any:
    """Make the embedding and `depth` layers without values in their weights, and nothing in place of the final norm.

    What is computed from the configuration, such as the angles, is there and lies on the device.
    """
    config = _config(folder, depth=depth)
    with foreign(folder, "the model"), cast(Any, init_empty_weights)(include_buffers=False):
        model = cast(Any, AutoModel).from_config(config, dtype=getattr(torch, dtype))
    without_norm(model)
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    return model.eval().requires_grad_(requires_grad=False)


def _config(folder: Path, *, depth: int) -> Any:
    with truncated(folder, depth=depth) as view:
        return from_files(AutoConfig, folder, "the configuration", view=view)


def open_sweep(folder: Path, *, depth: int, dtype: Dtype, device: str = "cpu", draw: Draw | None = None) -> LayerSweep:
    """Make a model of one layer without weights; what is read from the files is put into it layer after layer.

    The arguments are those of `open_stack`; `draw` makes the weights in place of reading them.
    """
    files = LayerFiles(
        stored=check_checkpoint(folder, depth=depth), dtype=dtype, pinned=torch.device(device).type == "cuda", draw=draw
    )
    config = _config(folder, depth=depth)
    kinds: list[str] = list(getattr(config, "layer_types", None) or ())
    if depth > 1 and getattr(config, "scale_attn_by_inverse_layer_idx", False):
        kinds = ["scale_attn_by_inverse_layer_idx", "each divided by its number"]
    if len(set(kinds)) > 1:
        raise _of_kinds(folder, ", ".join(dict.fromkeys(kinds)))
    model = empty_model(folder, depth=depth, dtype=dtype, device=device)
    state = {name: one for name, one in decoder_of(model).state_dict().items() if inside_embedding(name) is not None}
    _check_shapes(f"the embedding in {folder}", files.of_embedding(), state)
    blocks = blocks_of(model)
    _check_layers(folder, files, blocks)
    del blocks[1:]
    return LayerSweep(model=model, files=files, depth=depth, device=device)


def _of_kinds(folder: Path, which: str) -> SubjectError:
    return SubjectError(
        f"the layers of {folder} are of different kinds ({which}), and a sweep runs the code of one layer for all; "
        f"{_OTHER_PLAN}"
    )


def _check_shapes(where: str, stored: Mapping[str, StoredTensor], state: Mapping[str, Tensor]) -> None:
    """See that the tensors of a part of the model are those that it has, in name and shape."""
    found, wanted = ({name: tuple(one.shape) for name, one in of.items()} for of in (stored, state))
    if found != wanted:
        strange = min(set(found.items()) ^ set(wanted.items()))[0]
        raise ShardError(
            f"{where} has {strange} with shape {found.get(strange, 'none')} where config.json speaks of "
            f"{wanted.get(strange, 'none')}; fetch both again from one revision"
        )


def _check_layers(folder: Path, files: LayerFiles, blocks: Any) -> None:
    """See that each layer's tensors are those that it should have, and that the first one can be run for all."""
    first = blocks[0]
    computed = {name for name, _ in first.named_buffers()} - set(first.state_dict())
    if computed:
        raise SubjectError(
            f"a layer of {folder} has buffers that are in no file ({', '.join(sorted(computed))}); {_OTHER_PLAN}"
        )
    for number, block in enumerate(blocks):
        _check_shapes(f"layer {number} of {folder}", files.of_layer(number), block.state_dict())
        other = dict(_settings(first) ^ _settings(block))
        if other:
            raise _of_kinds(folder, f"layer {number} has another {min(other)} than layer 0")


def _settings(block: Any) -> set[tuple[str, str]]:
    """Collect what decides how a block computes besides its weights' values: its modules and their plain attributes."""
    plain = (bool, int, float, str, tuple, list, type(None))
    return {
        (f"{name}.{key}".lstrip("."), repr(cast("object", value)))
        for name, module in block.named_modules()
        for key, value in cast("dict[str, object]", {"class": type(module).__name__, **vars(module)}).items()
        if key != "layer_idx" and isinstance(value, plain)
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Group:
    """A group runs together: `state` `[batch pos d_in]` lies on the CPU between layers, padding included."""

    numbers: Sequence[int]
    ids: Sequence[tuple[int, ...]]
    deepest: int
    state: Float[Tensor, "batch pos d_in"]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> _Group:
        return replace(self, numbers=self.numbers[part], ids=self.ids[part], state=self.state[part])


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerSweep:
    """A sweep is the first layers of a model, one of them in memory at a time.

    A call of `run` reads the embedding and each layer once, whatever the number of prompts and batches, and no layer
    past the deepest that is asked for.
    """

    model: Any
    files: LayerFiles
    depth: int
    device: str

    def run(self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None) -> ByRun:
        """Give the streams of each run, on the CPU, as soon as its deepest layer is done."""
        if not runs:
            return
        kept: dict[int, dict[int, Tensor]] = {number: {} for number in range(len(runs))}
        deepest = max(max(run.depths) for run in runs)
        steps, done = (deepest + 1) * len(runs), 0
        groups = self._groups(runs, batch_size=batch_size)
        for depth, step in enumerate(self._steps(deepest)):
            passed: list[_Group] = []
            for group, _ in each_part([one for one in groups if one.deepest >= depth], step, where=self.device):
                passed.append(group)
                yield from self._finished(group, runs, depth, kept)
                done += len(group)
                if progress is not None:
                    progress(done / steps)
            groups = passed  # halves stay halves
        if progress is not None:
            progress(1.0)

    def _groups(self, runs: Sequence[Run], *, batch_size: int) -> list[_Group]:
        """Put runs of about equal depth and length together, those first that need most memory."""
        groups: list[_Group] = []
        for part in batches_of(runs, batch_size=batch_size):
            ids = [runs[number].ids for number in part]
            shape = (len(part), max(len(one) for one in ids), self.model.config.hidden_size)
            state = torch.empty(shape, dtype=getattr(torch, self.files.dtype), pin_memory=self.files.pinned)
            deepest = max(max(runs[number].depths) for number in part)
            groups.append(_Group(numbers=part, ids=ids, deepest=deepest, state=state))
        return sorted(groups, key=lambda group: group.state.shape[1], reverse=True)

    def _steps(self, deepest: int) -> Iterator[Callable[[_Group], None]]:
        """Give what is done to each group in turn: the embedding, then each layer; its weights are there meanwhile."""
        block = blocks_of(self.model)[0]
        self._fill_embedding(self.files.read(self.files.of_embedding()))
        yield self._embed
        _empty(self.model.get_input_embeddings())  # what else an embedding may have is small, and runs with each block
        for number, weights in enumerate(self.files.layers(deepest)):
            self._fill(block, weights, f"layer {number}")
            del weights  # on a GPU its copy there is enough
            yield self._layer
        _empty(block)

    def _fill_embedding(self, weights: Weights) -> None:
        decoder = decoder_of(self.model)
        for part in sorted({name.partition(".")[0] for name in weights}):
            inside = {name.partition(".")[2]: one for name, one in weights.items() if name.startswith(f"{part}.")}
            self._fill(getattr(decoder, part), inside, "the embedding")

    def _fill(self, module: Any, weights: Weights, name: str) -> None:
        _empty(module)  # frees those first

        def placed(one: Weights) -> Weights:
            return {inside: tensor.to(self.device, non_blocking=True) for inside, tensor in one.items()}

        on_device, full = attempt(placed, weights)
        if not on_device:
            size = bytes_in_words(sum(tensor.nbytes for tensor in weights.values()))
            raise SubjectError(
                f"the memory of {self.device} does not hold {name}, {size} ({full}); free some of it, or compute "
                'elsewhere: device = "cpu"'
            )
        module.load_state_dict(on_device[0], assign=True)

    def _embed(self, group: _Group) -> None:
        """Keep what the first layer receives: depth 0. In some models that is more than the embedding alone."""

        def receive(_: object, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            group.state.copy_(args[0] if args else kwargs["hidden_states"], non_blocking=True)
            raise ReachedError

        batch = self._batch(group)
        with blocks_of(self.model)[0].register_forward_pre_hook(receive, with_kwargs=True), suppress(ReachedError):
            self._forward(batch, input_ids=batch.ids)

    def _layer(self, group: _Group) -> None:
        """Run one layer more by the model's own forward, which makes the mask and the angles that it wants.

        That forward may also scale what it takes for embeddings or add to it, so it is given a nought in their place
        and the layer the state itself.
        """
        state = group.state.to(self.device, non_blocking=True)

        def give(
            _: object, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]
        ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
            return ((state, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": state})

        def receive(_: object, __: object, out: Tensor | tuple[Tensor, ...]) -> None:
            group.state.copy_(stream_of(out), non_blocking=True)
            raise ReachedError

        width = self.model.get_input_embeddings().embedding_dim
        nought = state.new_zeros(1, 1, 1).expand(*state.shape[:2], width)
        block = blocks_of(self.model)[0]
        given, received = block.register_forward_pre_hook(give, with_kwargs=True), block.register_forward_hook(receive)
        with given, received, suppress(ReachedError):
            self._forward(self._batch(group), inputs_embeds=nought)

    def _batch(self, group: _Group) -> Batch:
        return pad(group.ids, side="right", device=self.device, length=group.state.shape[1])

    @torch.no_grad()
    def _forward(self, batch: Batch, **inputs: Tensor) -> None:
        self.model(**inputs, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False)

    def _finished(self, group: _Group, runs: Sequence[Run], depth: int, kept: dict[int, dict[int, Tensor]]) -> ByRun:
        """Keep the streams that are wanted at this depth, and give those of runs that now have all of theirs."""
        wanting = [row for row, number in enumerate(group.numbers) if depth in runs[number].depths]
        if not wanting:
            return
        if self.files.pinned:
            torch.cuda.current_stream(self.device).synchronize()  # the copy to the CPU was only asked for
        rows = self._batch(group).without_padding(group.state)
        for row in wanting:
            number = group.numbers[row]
            kept[number][depth] = rows[row].clone()  # the next layer writes over it
            if depth == max(runs[number].depths):
                yield number, kept.pop(number)


def _empty(module: Any) -> None:
    """Free a module's weights; what it computed itself stays."""
    state = cast("dict[str, Tensor]", module.state_dict())
    module.load_state_dict({name: tensor.to("meta") for name, tensor in state.items()}, assign=True)
