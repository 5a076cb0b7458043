"""Randomising: a trained subject is opened, read on neutral text, and given a random part as sparse as its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, cast

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from torch import Tensor

from saeprobe.captures import Steering
from saeprobe.prompts import Prompt
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.protocol import Randomisation, Reading, ReadingError, Request, Share, Want
from saeprobe.subject.running.matched import Firing, Matched, Streams, matched, random_directions
from saeprobe.subject.running.opening import Opening, open_reader
from saeprobe.subject.running.random_weights import generator_of, open_random_model
from saeprobe.subject.running.reader import Model, SaeReader
from saeprobe.subject.running.remembering import RememberingModel
from saeprobe.subject.running.sae import load_sae
from saeprobe.subject.running.thresholds import thresholds_of
from saeprobe.subject.running.tokens import FastTokenizer

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
