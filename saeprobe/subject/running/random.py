"""A control is opened here: a trained subject is read on neutral text and given a random part as sparse as its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from torch import Tensor

from saeprobe.captures import Steering
from saeprobe.prompts import Prompt
from saeprobe.shapes import Float, Int
from saeprobe.subject.files import is_read
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running.batches import ResidualStream, Run
from saeprobe.subject.running.batches import Streams as ByDepth
from saeprobe.subject.running.dictionary import Sae, load_sae, relu_sae, thresholds_of
from saeprobe.subject.running.layers import LayersModel, LayerStack
from saeprobe.subject.running.opening import Opening, bridge_model, open_reader
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.steering import Speaker
from saeprobe.subject.running.streamed import empty_model, open_sweep
from saeprobe.subject.running.tokens import FastTokenizer
from saeprobe.subject.running.weights import Draw, generator_of, random_draw
from saeprobe.subject.specification import Dtype, RandomPart, ReadingError, Request, Share, SubjectError, Want

_BYTES: Final = 2**30  # of streams kept in the machine's own memory; what does not fit is run again
_ENTRIES_AT_ONCE = 2**21  # of pre-activations; sorting them takes about ten times as many numbers
_WANT: Final = Want(at="all", keep=frozenset({"features", "activations"}), raw=True)  # as the instrument check reads


def open_random_model(opening: Opening, *, plan: MemoryPlan, seed: int) -> Model:
    """Open a random model in place of the trained one; only names, shapes and configuration of its files are used."""
    folder, pairing, depth = opening.located.model, opening.located.pairing, opening.located.depth
    if pairing.family == "bridge":
        return bridge_model(folder, pairing, device=plan.device, dtype=opening.dtype, drawn=seed)

    def speak() -> NoReturn:
        raise ReadingError(f"the model of {opening.spec.name} is random here and writes no text")

    def read() -> ResidualStream:
        draw = random_draw(folder, seed=seed, dtype=opening.dtype)
        return open_random_layers(folder, draw, plan=plan, depth=depth, dtype=opening.dtype)

    centred = pairing.center_writing_weights
    return LayersModel(device=plan.device, one_by_one=False, centred=centred, read=read, speak=speak)


def open_random_layers(folder: Path, draw: Draw, *, plan: MemoryPlan, depth: int, dtype: Dtype) -> ResidualStream:
    """Draw the embedding and the layers before `depth`, one at least.

    They are resident where the trained model is. A model that several GPUs share is drawn a layer at a time on the
    first: the drawing is what takes time, and the others would not make it faster.
    """
    depth = max(1, depth)
    if plan.kind != "resident":
        return open_sweep(folder, depth=depth, dtype=dtype, device=plan.device, draw=draw)
    model, to = empty_model(folder, depth=depth, dtype=dtype, device=plan.device), getattr(torch, dtype)
    state = cast("dict[str, Tensor]", model.state_dict()).items()
    drawn = {
        name: draw(name, tuple(one.shape)).to(device=plan.device, dtype=to) for name, one in state if is_read(name)
    }
    model.load_state_dict(drawn, assign=True)
    return LayerStack(model=model.requires_grad_(requires_grad=False), depth=depth)


@dataclass(frozen=True, kw_only=True, eq=False)
class Firing:
    """A feature fires on `counts` tokens of a text; `mean` is of all activations above zero, 0 if there are none."""

    counts: Int[Tensor, " d_sae"]
    mean: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Streams:
    """An SAE reads these of a text. Tokens with the same tokens before them have the same stream, and are one row.

    `repeats` is how many tokens each row stands for.
    """

    x: Float[Tensor, "rows d_in"]
    repeats: Int[Tensor, " rows"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """A matched SAE is one of plain ReLUs whose features fire as often as wanted.

    `missed` is by how many tokens each feature's count differs from the one wanted. It is above 0 only where several
    tokens have the same pre-activation, so that a feature fires on all of them or on none.
    """

    sae: Sae
    missed: Int[Tensor, " d_sae"]


def random_directions(d_sae: int, d_in: int, *, generator: torch.Generator) -> Float[Tensor, "d_sae d_in"]:
    """Draw uniformly on the unit sphere: normal vectors by their length (Muller 1959, doi:10.1145/377939.377946)."""
    drawn = torch.randn(d_sae, d_in, generator=generator)
    return drawn / drawn.square().sum(dim=1, keepdim=True).sqrt()


@torch.no_grad()
def matched(
    trained: Sae, streams: Streams, wanted: Firing, *, directions: Float[Tensor, "d_sae d_in"] | None = None
) -> Matched:
    """Make an SAE that takes in its input as the trained one does and fires as often, feature by feature.

    Feature i is `relu(s (x' @ w_i - t_i))` with x' the trained SAE's own input (less b_dec, normalised, as its
    configuration says), w_i its direction and t_i half way between two pre-activations on the text. The scale s, one
    for all features, makes the mean of all activations above zero that of the trained SAE.

    Args:
        trained: whose pre-processing, decoder bias and memory are taken over: it is not to be used afterwards.
        streams: what the new SAE reads on the text, of two different tokens at least.
        wanted: what the features of the trained SAE do on the text.
        directions: what the features read and write, of length 1; None for what they read and write in the trained SAE.
    """
    if len(streams.x) < 2:  # noqa: PLR2004 - no threshold lies between fewer
        raise SubjectError(f"the neutral text has {len(streams.x)} different tokens; wanted two or more, or many")
    encoder, decoder = _directions(trained, directions)
    x, repeats = trained.process_sae_in(streams.x.to(encoder.device)), streams.repeats.to(encoder.device)
    counts = wanted.counts.to(encoder.device)
    thresholds, reached, total = torch.empty_like(encoder[0]), torch.empty_like(counts), 0.0
    at_once = max(1, _ENTRIES_AT_ONCE // len(x))
    for start in range(0, encoder.shape[1], at_once):
        part = slice(start, start + at_once)
        values = x @ encoder[:, part]
        thresholds[part], reached[part] = between(values, repeats, counts[part])
        total += float(((values - thresholds[part]).clamp(min=0).double() * repeats[:, None]).sum())
    scale = wanted.mean * int(reached.sum()) / total if total > 0 and wanted.mean > 0 else 1.0
    b_dec = cast(Tensor, trained.b_dec).data
    b_dec = b_dec if len(b_dec) == len(encoder) else torch.zeros_like(encoder[:, 0])
    weights = {"W_enc": encoder.mul_(scale), "b_enc": thresholds.mul_(-scale), "W_dec": decoder, "b_dec": b_dec}
    return Matched(sae=relu_sae(trained, weights), missed=(reached - counts).abs().cpu())


def _directions(trained: Sae, drawn: Tensor | None) -> tuple[Float[Tensor, "d_in d_sae"], Float[Tensor, "d_sae d_in"]]:
    """Return what the features read and write, in the memory of the trained SAE.

    Matching pursuit reads what it writes, from one memory: its encoder is a copy. What a transcoder would write
    elsewhere is not asked for: in its place stands what it reads.
    """
    encoder, decoder = cast(Tensor, trained.W_enc).data, cast(Tensor, trained.W_dec).data
    encoder = encoder.clone() if encoder.data_ptr() == decoder.data_ptr() else encoder
    decoder = decoder if decoder.shape[1] == len(encoder) else encoder.T
    return (encoder, decoder) if drawn is None else (encoder.copy_(drawn.T), decoder.copy_(drawn))


def between(
    values: Float[Tensor, "rows features"], repeats: Int[Tensor, " rows"], wanted: Int[Tensor, " features"]
) -> tuple[Float[Tensor, " features"], Int[Tensor, " features"]]:
    """Return thresholds above which lie as many tokens as wanted, and how many do.

    A threshold is half way between two neighbouring values, or as far beyond the outermost one as that is from its
    neighbour. Where equal values or repeated tokens leave no threshold for the number wanted, it is the one for the
    nearest number, of two the smaller.

    There are two rows at least, and `repeats` is how many tokens each stands for.
    """
    ordered, order = values.sort(dim=0, descending=True)
    counts = torch.cat([torch.zeros_like(order[:1]), repeats[order].cumsum(0)])  # at or above each value
    above = torch.cat([ordered[:1] + _gap(ordered[0], ordered[1]), ordered])
    below = torch.cat([ordered, ordered[-1:] - _gap(ordered[-2], ordered[-1])])
    cut = below + (above - below) / 2
    cut = torch.where(cut < above, cut, below)  # of neighbours in floating point the upper one, and it must fire
    missed = (counts - wanted).abs().masked_fill(above <= below, torch.iinfo(counts.dtype).max)
    best = missed.argmin(dim=0, keepdim=True)
    return cut.gather(0, best)[0], counts.gather(0, best)[0]


def _gap(upper: Float[Tensor, " features"], lower: Float[Tensor, " features"]) -> Float[Tensor, " features"]:
    """Subtract two values; where they are equal, return 1 and what 1 is to large ones."""
    gap = upper - lower
    return torch.where(gap > 0, gap, 1 + upper.abs())


@dataclass(frozen=True, kw_only=True, eq=False)
class RememberingModel:
    """It runs each prompt once, as far as memory allows, and answers from what it kept from then on."""

    model: Model
    _kept: dict[Run, ByDepth] = field(default_factory=dict[Run, ByDepth], init=False, repr=False)

    @property
    def device(self) -> str:
        """Name the device on which the model computes, as torch writes it."""
        return self.model.device

    def run(
        self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None
    ) -> Iterator[tuple[int, ByDepth]]:
        """Yield the streams of each run by depth; see `ResidualStream`."""
        whole = {run.batch for run in runs if run.batch and run not in self._kept}  # a batch keeps its shape
        lacking = [index for index, run in enumerate(runs) if run not in self._kept or run.batch in whole]
        if lacking:
            part = [runs[index] for index in lacking]
            for number, streams in self.model.run(part, batch_size=batch_size, progress=progress):
                self._keep(part[number], streams)
                yield lacking[number], streams
        for index in sorted(set(range(len(runs))) - set(lacking)):
            yield index, self._kept[runs[index]]
        if progress is not None and not lacking:
            progress(1.0)

    def _keep(self, run: Run, streams: ByDepth) -> None:
        size = sum(stream.nbytes for stream in streams.values())
        if size + sum(one.nbytes for kept in self._kept.values() for one in kept.values()) <= _BYTES:
            # A copy: what comes out of a batch is a view of all of it.
            self._kept[run] = {depth: stream.detach().to("cpu", copy=True) for depth, stream in streams.items()}

    def speaker(self) -> Speaker:
        """Return the whole model, to write continuations with."""
        return self.model.speaker()


class Randomiser:
    """It opens the draws of one random part of a subject, each at its turn; what they have in common is made once.

    That is the sparsity of the trained features, and under random directions the trained model with what it makes of
    each text. A random model is drawn anew for each, and lies in memory only as long as its reader is used. Trained and
    random model are never in memory together.
    """

    def __init__(self, opening: Opening, part: RandomPart, texts: Sequence[str], *, plan: MemoryPlan) -> None:
        self._opening = opening
        self._part: RandomPart = part
        self._texts = tuple(texts)
        self._plan = plan
        self._trained: _Trained | None = None

    def open(self, *, name: str, seed: int) -> RandomisedReader:
        """Put what is random in its place; `name` is that of the control."""
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
        changed: dict[str, Any] = {
            "sae": match.sae,
            "thresholds": thresholds_of(match.sae, tolerance=opening.tolerance),
        }
        return RandomisedReader(**{**vars(reader), **changed}, matched=match, of=opening.spec.name)

    def _read_trained(self) -> _Trained:
        """Read what the draws need of the trained subject; a model that none of them needs is given up."""
        reader = open_reader(self._opening)
        wanted, streams = _read(reader, self._texts)
        if self._part == "random-sae":
            model = RememberingModel(model=reader.model)
            return _Trained(tokenizer=reader.tokenizer, wanted=wanted, model=model, streams=streams)
        tokenizer = reader.tokenizer
        del reader, streams
        clear_device_cache(garbage_collection=True)
        return _Trained(tokenizer=tokenizer, wanted=wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trained:
    """Draws share this of the trained subject; `model` and `streams`, which it makes of the text, if these are kept."""

    tokenizer: FastTokenizer
    wanted: Firing
    model: Model | None = None
    streams: Streams | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomisedReader(SaeReader):
    """A control in memory reads as any subject and writes nothing.

    `matched` says how well its sparsity is that of the trained subject, whose name is in `of`.
    """

    matched: Matched
    of: str

    def continue_(self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]) -> NoReturn:
        """Refuse, for a control writes nothing."""
        del prompts, steering, experiment
        raise ReadingError(f"{self.name} is a control and cannot be steered; steer {self.of} itself")


def _read(reader: SaeReader, texts: Sequence[str]) -> tuple[Firing, Streams]:
    """Return what the SAE does on all tokens of the texts but BOS, and what it reads there."""
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
