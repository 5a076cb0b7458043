"""A control is opened here: a trained subject is read on neutral text and given a random part as sparse as its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, cast

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from torch import Tensor

from saeprobe.shapes import Float, Int
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running import ByRun, Run
from saeprobe.subject.running import Streams as ByDepth
from saeprobe.subject.running.dictionary import Sae, load_sae, relu_sae, thresholds_of
from saeprobe.subject.running.opening import Opening, open_model, open_reader
from saeprobe.subject.running.reader import Known, Model, SaeReader
from saeprobe.subject.running.steering import Speaker
from saeprobe.subject.running.tokens import FastTokenizer, Tokenized
from saeprobe.subject.running.weights import generator_of
from saeprobe.subject.specification import RandomPart, Request, Share, SubjectError, Want

_BYTES: Final = 2**30  # of streams kept in the machine's own memory; what does not fit is run again
_ENTRIES_AT_ONCE = 2**21  # of pre-activations; sorting them takes about ten times as many numbers
_STREAM: Final = Want(at="all", keep=frozenset({"activations"}), raw=True)
_WANT: Final = Want(at="all", keep=frozenset({"features", "activations"}), raw=True)  # as the instrument check reads


@dataclass(frozen=True, kw_only=True, eq=False)
class Firing:
    """A feature fires on `counts` tokens of a text; `mean` is of all activations above zero, 0 if there are none."""

    counts: Int[Tensor, " d_sae"]
    mean: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Streams:
    """An SAE reads these of a text. Tokens with the same tokens before them have the same stream, and are one row."""

    x: Float[Tensor, "rows d_in"]
    repeats: Int[Tensor, " rows"]  # how many tokens each row stands for


def random_directions(d_sae: int, d_in: int, *, generator: torch.Generator) -> Float[Tensor, "d_sae d_in"]:
    """Draw uniformly on the unit sphere: normal vectors by their length (Muller 1959, doi:10.1145/377939.377946)."""
    drawn = torch.randn(d_sae, d_in, generator=generator)
    return drawn / drawn.square().sum(dim=1, keepdim=True).sqrt()


@torch.no_grad()
def matched(
    trained: Sae, streams: Streams, wanted: Firing, *, directions: Float[Tensor, "d_sae d_in"] | None = None
) -> Sae:
    """Make an SAE that takes in its input as the trained one does and fires as often, feature by feature.

    Feature i is `relu(s (x' @ w_i - t_i))` with x' the trained SAE's own input (less b_dec, normalised, as its
    configuration says), w_i its direction and t_i half way between two pre-activations on the text. The scale s, one
    for all features, makes the mean of all activations above zero that of the trained SAE.

    The trained SAE's pre-processing, decoder bias and memory are taken over: it is not to be used afterwards. The new
    one reads `streams` on the text, of two different tokens at least, where the features of the trained one do what is
    `wanted`. The `directions`, of length 1, are what the features read and write; None for those of the trained SAE.
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
    return relu_sae(trained, weights)


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
    most = min(len(values), 2 * int(wanted.max()) + 2)  # rows; one token above all is nearer than what lies beyond
    ordered, order = values.topk(most, dim=0)
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

    def run(self, runs: Sequence[Run], *, batch_size: int, progress: Share | None = None) -> ByRun:
        """Yield the streams of each run by depth; see `ResidualStream`."""
        whole = {run.batch for run in runs if run.batch and run not in self._kept}  # a batch keeps its shape
        lacking = [index for index, run in enumerate(runs) if run not in self._kept or run.batch in whole]
        if lacking:
            part = [runs[index] for index in lacking]
            for number, streams in self.model.run(part, batch_size=batch_size, progress=progress):
                size = sum(one.nbytes for kept in (streams, *self._kept.values()) for one in kept.values())
                if size <= _BYTES:  # a copy is kept: what comes out of a batch is a view of all of it
                    copied = {depth: stream.detach().to("cpu", copy=True) for depth, stream in streams.items()}
                    self._kept[part[number]] = copied
                yield lacking[number], streams
        for index in sorted(set(range(len(runs))) - set(lacking)):
            yield index, self._kept[runs[index]]
        if progress is not None and not lacking:
            progress(1.0)

    def speaker(self) -> Speaker:
        """Return the whole model, to write continuations with."""
        return self.model.speaker()


@dataclass(frozen=True, kw_only=True, eq=False)
class Randomiser:
    """It opens the draws of one random part of a subject, each at its turn; what they have in common is made once.

    That is the sparsity of the trained features on the neutral `texts`, and under random directions the trained model
    with what it makes of each text. A random model is drawn anew for each, and lies in memory only as long as its
    reader is used. Trained and random model are never in memory together.
    """

    opening: Opening
    part: RandomPart
    texts: tuple[str, ...]
    plan: MemoryPlan
    _known: Known = field(default_factory=dict[tuple[str, bool], Tokenized], init=False, repr=False)

    def open(self, *, name: str, seed: int) -> SaeReader:
        """Put what is random in its place; `name` is that of the control, which writes nothing."""
        tokenizer, wanted, kept = self._trained
        found, pairing = self.opening.located, self.opening.located.pairing
        # Of every draw its own, for its weights are overwritten.
        sae = load_sae(found, device=self.opening.plan.sae_device)
        model = open_model(self.opening, self.plan, drawn=seed) if kept is None else kept[0]
        why = f"it is a control; steer {pairing.spec.name} itself"
        refused = replace(pairing, properties=replace(pairing.properties, unsteerable=why))
        reader = SaeReader(
            name=name, model=model, tokenizer=tokenizer, sae=sae, thresholds=None, pairing=refused, known=self._known
        )
        if kept is None:
            match = matched(sae, _read(reader, self.texts, _STREAM)[1], wanted)
        else:
            of, generator = pairing.properties, generator_of(seed, "directions")
            match = matched(sae, kept[1], wanted, directions=random_directions(of.d_sae, of.d_in, generator=generator))
        return replace(reader, sae=match, thresholds=thresholds_of(match, tolerance=self.opening.tolerance))

    @cached_property
    def _trained(self) -> tuple[FastTokenizer, Firing, tuple[Model, Streams] | None]:
        """Read what the draws need of the trained subject; a model that none of them needs is given up."""
        reader = open_reader(self.opening)
        wanted, streams = _read(reader, self.texts, _WANT)
        if self.part == "random-sae":
            return reader.tokenizer, wanted, (RememberingModel(model=reader.model), streams)
        tokenizer = reader.tokenizer
        del reader, streams
        clear_device_cache(garbage_collection=True)
        return tokenizer, wanted, None


def _read(reader: SaeReader, texts: Sequence[str], want: Want) -> tuple[Firing, Streams]:
    """Return what the SAE does on all tokens of the texts but BOS, if it is wanted, and what it reads there."""
    readings = dict(reader.read([Request(text=text, wants=(want,)) for text in texts]))
    indices: list[np.ndarray] = []
    values: list[np.ndarray] = []
    rows: dict[tuple[int, ...], np.ndarray] = {}
    repeats = Counter[tuple[int, ...]]()
    for number, text in enumerate(reader.tokenize(texts, raw=True)):
        (reading,) = readings[number]
        indices += reading.indices
        values += reading.values
        for row, token in enumerate(reading.tokens):
            upto = text.ids[: token.position + 1]
            rows.setdefault(upto, cast(np.ndarray, reading.activations)[row])
            repeats[upto] += 1
    of = reader.pairing.properties
    counts = np.bincount(np.concatenate([*indices, np.empty(0, dtype=np.int64)]), minlength=of.d_sae)
    fired = np.concatenate([*values, np.empty(0, dtype=np.float32)])
    streams = Streams(
        x=_tensor(np.stack([*rows.values()]) if rows else np.empty((0, of.d_in), dtype=np.float32)),
        repeats=_tensor(np.array([*repeats.values()], dtype=np.int64)),
    )
    return Firing(counts=_tensor(counts), mean=float(fired.mean(dtype=np.float64)) if len(fired) else 0.0), streams


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)  # pyright: ignore[reportUnknownMemberType] - torch says no type for the array
