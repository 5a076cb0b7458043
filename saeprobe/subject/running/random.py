"""Randomising: a trained subject is opened, read on neutral text, and given a random part as sparse as its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NoReturn, cast

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float
from torch import Tensor

from saeprobe.captures import Steering
from saeprobe.prompts import Prompt
from saeprobe.subject.files.shards import StoredTensor
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running.batches import FastTokenizer, ResidualStream, Run
from saeprobe.subject.running.layers import LayerStack
from saeprobe.subject.running.opening import LayersModel, Opening, bridge_model, open_reader
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.sae import Firing, Matched, Streams, load_sae, matched, random_directions, thresholds_of
from saeprobe.subject.running.steering import Speaker
from saeprobe.subject.running.streamed import empty_model, open_sweep
from saeprobe.subject.specification import Dtype, Randomisation, Reading, ReadingError, Request, Share, Want

_SPREAD: Final = 0.02  # transformers' own, where a configuration does not say `initializer_range`


@dataclass(frozen=True, kw_only=True)
class RandomWeights:
    """The weights of Llama and its kin before a training, as transformers draws them.

    Matrices are normal with mean 0 and standard deviation `spread`, the norms' weights 1 and biases 0
    (`PreTrainedModel._init_weights`). Each tensor has a generator of its own, seeded by `seed` and its name, on the
    CPU and in float32.
    """

    seed: int
    spread: float

    def draw(self, name: str, shape: tuple[int, ...]) -> Float[Tensor, ...]:
        """One tensor, by its name in a checkpoint with or without `model.` before it."""
        if name.endswith(".bias"):
            return torch.zeros(shape)
        if len(shape) == 1:
            return torch.ones(shape)
        generator = generator_of(self.seed, name.removeprefix("model."))
        return torch.empty(shape).normal_(std=self.spread, generator=generator)

    def of_stored(self, one: StoredTensor) -> Float[Tensor, ...]:
        """In place of a tensor on disk."""
        return self.draw(one.name, one.shape)


def generator_of(seed: int, name: str) -> torch.Generator:
    """A generator for what bears a name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)  # below 2**63, which any version takes


def random_weights(folder: Path, *, seed: int) -> RandomWeights:
    """The weights for the model in a folder, whose configuration says how wide they are drawn."""
    config = cast("dict[str, object]", json.loads((folder / "config.json").read_text(encoding="utf-8")))
    return RandomWeights(seed=seed, spread=float(str(config.get("initializer_range") or _SPREAD)))


def open_random_model(opening: Opening, *, plan: MemoryPlan, seed: int) -> Model:
    """A random model in place of the trained one; of the files nothing is used but names, shapes and configuration.

    Raises:
        SubjectError: as `open_reader`.
    """
    found = opening.located
    if found.pairing.family == "bridge":
        return bridge_model(opening, drawn=seed)

    def speak() -> NoReturn:
        raise ReadingError(f"the model of {opening.spec.name} is random here and writes no text")

    def read() -> ResidualStream:
        weights = random_weights(found.model, seed=seed)
        return open_random_layers(found.model, weights, plan=plan, depth=found.depth, dtype=opening.dtype)

    return LayersModel(device=plan.device, one_by_one=False, read=read, speak=speak)


def open_random_layers(
    folder: Path, weights: RandomWeights, *, plan: MemoryPlan, depth: int, dtype: Dtype
) -> ResidualStream:
    """The embedding and the layers before `depth`, one at least.

    Resident where the trained model is. A model that several GPUs share is drawn a layer at a time on the first: the
    drawing is what takes time, and the others would not make it faster.
    """
    depth = max(1, depth)
    if plan.kind == "resident":
        return open_random_stack(folder, weights, depth=depth, dtype=dtype, device=plan.device)
    return open_sweep(folder, depth=depth, dtype=dtype, device=plan.device, draw=weights.of_stored)


def open_random_stack(
    folder: Path, weights: RandomWeights, *, depth: int, dtype: Dtype, device: str = "cpu"
) -> LayerStack:
    """All of the layers in memory.

    Raises:
        SubjectError: as `empty_model`.
    """
    model = empty_model(folder, depth=depth, dtype=dtype, device=device)
    to = getattr(torch, dtype)
    shapes = {name: tuple(tensor.shape) for name, tensor in cast("dict[str, Tensor]", model.state_dict()).items()}
    drawn = {name: weights.draw(name, shape).to(device=device, dtype=to) for name, shape in shapes.items()}
    model.load_state_dict(drawn, assign=True)
    return LayerStack(model=model.requires_grad_(requires_grad=False), depth=depth)


_BYTES: Final = 2**30
"""Kept at most, in the machine's own memory; what does not fit is run again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RememberingModel:
    """A model that runs each prompt once, as far as memory allows, and answers from what it kept from then on."""

    model: Model
    _kept: dict[Run, Mapping[int, Float[Tensor, "pos d_in"]]] = field(
        default_factory=dict[Run, Mapping[int, Float[Tensor, "pos d_in"]]], init=False, repr=False
    )

    @property
    def device(self) -> str:
        """Where the model computes, as torch writes it."""
        return self.model.device

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, Mapping[int, Float[Tensor, "pos d_in"]]]]:
        """The streams of each run by depth; see `ResidualStream`."""
        lacking = [index for index, run in enumerate(runs) if run not in self._kept]
        if lacking:
            part = [runs[index] for index in lacking]
            for number, streams in self.model.run(part, batch_size=batch_size, progress=progress):
                self._keep(part[number], streams)
                yield lacking[number], streams
        for index in sorted(set(range(len(runs))) - set(lacking)):
            yield index, self._kept[runs[index]]
        if progress is not None and not lacking:
            progress(1.0)

    def _keep(self, run: Run, streams: Mapping[int, Float[Tensor, "pos d_in"]]) -> None:
        size = sum(stream.nbytes for stream in streams.values())
        if size + sum(one.nbytes for kept in self._kept.values() for one in kept.values()) <= _BYTES:
            # A copy: what comes out of a batch is a view of all of it.
            self._kept[run] = {depth: stream.detach().to("cpu", copy=True) for depth, stream in streams.items()}

    def speaker(self) -> Speaker:
        """The whole model, to write continuations with; see `Model.speaker`."""
        return self.model.speaker()


_WANT = Want(at="all", keep=frozenset({"features", "activations"}), raw=True)  # as the instrument check reads


class Randomiser:
    """Opens the draws of one random part of a subject, each at its turn; what they have in common is made once.

    That is the sparsity of the trained features, and under random directions the trained model with what it makes of
    each text. A random model is drawn anew for each, and lies in memory only as long as its reader is used. Trained and
    random model are never in memory together.

    Args:
        opening: of the trained subject.
        what: is to be random.
        texts: the neutral text.
        plan: where the weights lie of the subject with it.
    """

    def __init__(self, opening: Opening, what: Randomisation, texts: Sequence[str], *, plan: MemoryPlan) -> None:
        self._opening = opening
        self._what: Randomisation = what
        self._texts = tuple(texts)
        self._plan = plan
        self._trained: _Trained | None = None

    def open(self, *, name: str, seed: int) -> RandomisedReader:
        """Put what is random in its place.

        Args:
            name: of the subject with it.
            seed: of the draw.

        Raises:
            SubjectError: as `open_reader`; the SAE has no encoder directions.
            ReadingError: the neutral text cannot be read.
        """
        if self._trained is None:
            self._trained = self._read_trained()
        trained, opening = self._trained, self._opening
        found, pairing = opening.located, opening.located.pairing
        if trained.model is None or trained.streams is None:
            model, directions = open_random_model(opening, plan=self._plan, seed=seed), None
        else:
            model, generator = trained.model, generator_of(seed, "directions")
            directions = random_directions(pairing.d_sae, pairing.d_in, generator=generator)
        # Of every draw its own, for its weights are overwritten.
        sae = load_sae(opening.spec, found.sae, pairing, device=opening.plan.sae_device)
        reader = SaeReader(
            name=name, model=model, tokenizer=trained.tokenizer, sae=sae, thresholds=None, pairing=pairing
        )
        streams = _read(reader, self._texts)[1] if trained.streams is None else trained.streams
        match = matched(sae, streams, trained.wanted, directions=directions)
        near = thresholds_of(match.sae, tolerance=opening.tolerance)
        return RandomisedReader(
            reader=replace(reader, sae=match.sae, thresholds=near), matched=match, of=opening.spec.name
        )

    def _read_trained(self) -> _Trained:
        """What the draws need of the trained subject; a model that none of them needs is given up."""
        reader = open_reader(self._opening)
        wanted, streams = _read(reader, self._texts)
        if self._what == "random-sae":
            model = RememberingModel(model=reader.model)
            return _Trained(tokenizer=reader.tokenizer, wanted=wanted, model=model, streams=streams)
        tokenizer = reader.tokenizer
        del reader, streams
        clear_device_cache(garbage_collection=True)
        return _Trained(tokenizer=tokenizer, wanted=wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trained:
    """What draws share of the trained subject: `model` and the `streams` it makes of the text if these are kept."""

    tokenizer: FastTokenizer
    wanted: Firing
    model: Model | None = None
    streams: Streams | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomisedReader:
    """A subject with a random part, in memory; it reads as `reader` does and writes nothing.

    `matched` says how well its sparsity is that of the trained subject, whose name is in `of`.
    """

    reader: SaeReader
    matched: Matched
    of: str

    @property
    def device(self) -> str:
        """Where the model computes, as torch writes it."""
        return self.reader.device

    def read(
        self, requests: Sequence[Request], *, batch_size: int = 32, progress: Share | None = None
    ) -> Iterator[tuple[int, list[Reading]]]:
        """Run the model up to the hook; see `SaeReader.read`."""
        return self.reader.read(requests, batch_size=batch_size, progress=progress)

    def continue_(self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]) -> NoReturn:
        """It writes nothing.

        Raises:
            ReadingError: always.
        """
        del prompts, steering, experiment
        raise ReadingError(f"{self.reader.name} is a control and cannot be steered; steer {self.of} itself")


def _read(reader: SaeReader, texts: Sequence[str]) -> tuple[Firing, Streams]:
    """What the SAE does on all tokens of the texts but BOS, and what it reads there."""
    readings = dict(reader.read([Request(text=text, wants=(_WANT,)) for text in texts]))
    indices: list[np.ndarray] = []
    values: list[np.ndarray] = []
    row_of: dict[tuple[int, ...], int] = {}
    rows: list[np.ndarray] = []
    repeats: list[int] = []
    for number, text in enumerate(reader.tokenize(texts, raw=True)):
        (reading,) = readings[number]
        indices += reading.indices
        values += reading.values
        for row, token in enumerate(reading.tokens):
            upto = text.ids[: token.position + 1]
            if upto not in row_of:
                row_of[upto] = len(rows)
                rows.append(cast(np.ndarray, reading.activations)[row])
                repeats.append(0)
            repeats[row_of[upto]] += 1
    counts = np.bincount(np.concatenate([*indices, np.empty(0, dtype=np.int64)]), minlength=reader.pairing.d_sae)
    fired = np.concatenate([*values, np.empty(0, dtype=np.float32)])
    streams = Streams(
        x=_tensor(np.stack(rows) if rows else np.empty((0, reader.pairing.d_in), dtype=np.float32)),
        repeats=_tensor(np.array(repeats, dtype=np.int64)),
    )
    return Firing(counts=_tensor(counts), mean=float(fired.mean(dtype=np.float64)) if len(fired) else 0.0), streams


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)  # pyright: ignore[reportUnknownMemberType] - torch says no type for the array
