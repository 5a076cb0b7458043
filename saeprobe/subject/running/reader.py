"""Reading takes prompts through the model up to the hook, and the tokens that are wanted through the SAE."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saeprobe.captures import At, Steering
from saeprobe.features.continuations import Continuation
from saeprobe.features.sparse import Token, effective_rank
from saeprobe.prompts import Prompt
from saeprobe.subject.files.sae import KEYS
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.running.batches import FastTokenizer, ResidualStream, Run, Streams, Tokenized, shorten, tokenize
from saeprobe.subject.running.steering import Experiment, Speaker, continue_prompts
from saeprobe.subject.specification import Reading, ReadingError, Request, Share, Want

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sae_lens import SAE

_DENSE_BYTES = 64 * 2**20  # of dense features held at once; the rest of the batch waits
_PROMPTS_AT_ONCE = 32
_DEVIATIONS = 4  # of a rounding error that points in no particular direction; beyond them lies 1 in 16,000

Sae = SAE[Any]


class Model(ResidualStream, Protocol):
    """A language model that a reader reads and, where its memory allows, lets speak."""

    def speaker(self) -> Speaker:
        """Return the whole model, to write continuations with."""
        ...


def as_standard(
    tensors: Mapping[str, Tensor], *, device: str, dtype: str, overrides: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and state of sae-lens' StandardSAE: f = relu(x @ W_enc + b_enc), x' = f @ W_dec + b_dec.

    It renames as sae-lens' own `get_goodfire_huggingface_loader`, which cannot be used on a file: that one takes
    its configuration from a table of two repositories, fetches from the Hub, and leaves `weights_only` to torch's
    default. The weights stay mapped from disk where they have the dtype and device already.
    """
    to = cast("torch.dtype", getattr(torch, dtype))
    w_enc, b_enc, w_dec, b_dec = (tensors[key].to(device=device, dtype=to) for key in KEYS)
    d_sae, d_in = w_enc.shape
    config = {"architecture": "standard", "d_in": d_in, "d_sae": d_sae, "apply_b_dec_to_input": False}
    state = {"W_enc": w_enc.T, "b_enc": b_enc, "W_dec": w_dec.T, "b_dec": b_dec}
    return {**config, **(overrides or {}), "dtype": dtype, "device": device}, state


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """Thresholds say from where an SAE's features fire, and how far rounding may move each feature.

    A rounding error of length t * |x| in no particular direction moves the pre-activation x @ W_enc[:, i] by
    t * |x| * |W_enc[:, i]| / sqrt(d_in) (one standard deviation).

    Attributes:
        sae: a standard (ReLU) or JumpReLU SAE; in the others a feature has no threshold of its own.
        tolerance: t, the rounding error as a share of the stream's norm.
        level: the thresholds, 0 for ReLU.
        norms: |W_enc[:, i]| / sqrt(d_in).
    """

    sae: Sae
    tolerance: float
    level: Float[Tensor, " d_sae"] | float
    norms: Float[Tensor, " d_sae"]

    def encode(self, x: Float[Tensor, "rows d_in"]) -> tuple[Float[Tensor, "rows d_sae"], Bool[Tensor, "rows d_sae"]]:
        """Return the features of x, and which of them are near their threshold."""
        kept: list[Tensor] = []

        def keep(module: object, inputs: object, output: Tensor) -> None:
            del module, inputs
            kept.append(output)

        handle = cast(Any, self.sae).hook_sae_acts_pre.register_forward_hook(keep)
        try:
            acts = self.sae.encode(x)
        finally:
            handle.remove()
        length = x.square().sum(-1, keepdim=True).sqrt()
        reach = _DEVIATIONS * self.tolerance * length * self.norms
        return acts, (kept[0] - self.level).abs() <= reach


def thresholds_of(sae: Sae, *, tolerance: float) -> Thresholds | None:
    """Return the thresholds of an SAE; None for an architecture whose features have none, such as TopK."""
    architecture = sae.cfg.architecture()
    if architecture not in ("standard", "jumprelu"):
        return None
    with torch.no_grad():
        encoder = cast(Tensor, sae.W_enc)
        return Thresholds(
            sae=sae,
            tolerance=tolerance,
            level=cast(Any, sae).threshold if architecture == "jumprelu" else 0.0,
            norms=(encoder.square().mean(0)).sqrt(),
        )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows hold what the SAE makes of some tokens; `near` is empty where its features have no threshold."""

    indices: list[Int[np.ndarray, " active"]]
    values: list[Float[np.ndarray, " active"]]
    near: list[Int[np.ndarray, " near"]]
    squared_error: Float[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answerable:
    """A request can be answered once its residual streams are there."""

    index: int
    request: Request
    text: Tokenized
    streams: Streams


@dataclass(frozen=True, kw_only=True, eq=False)
class SaeReader:
    """A reader is a language model and its SAE in memory.

    `thresholds` is None for an SAE whose features have none of their own.
    """

    name: str
    model: Model
    tokenizer: FastTokenizer
    sae: Sae
    thresholds: Thresholds | None
    pairing: Pairing

    @property
    def device(self) -> str:
        """Return where the model computes, as torch writes it."""
        return self.model.device

    def tokenize(self, texts: Sequence[str], *, raw: bool = False) -> list[Tokenized]:
        """Return what the model sees of each text; without the chat template if `raw`."""
        return tokenize(self.tokenizer, texts, self.pairing, raw=raw)

    @torch.no_grad()
    def read(
        self, requests: Sequence[Request], *, batch_size: int = _PROMPTS_AT_ONCE, progress: Share | None = None
    ) -> Iterator[tuple[int, list[Reading]]]:
        """Run the model up to the hook; for each request its index and a reading a want, each request once.

        Args:
            requests: in any order; they are answered in an order of the model's own choosing.
            batch_size: prompts a forward pass.
            progress: called with the share of the forward passes that is done.
        """
        texts = [self.tokenize([request.text], raw=request.raw)[0] for request in requests]
        for text, request in zip(texts, requests, strict=True):
            for want in request.wants:
                text.read_at(want.at)  # before the model runs: a span that is not there must not cost an hour
        runs = [
            Run(ids=text.ids, depths=tuple(sorted({self._depth(want) for want in request.wants})), batch=request.batch)
            for text, request in zip(texts, requests, strict=True)
        ]
        left, waiting = Counter(request.batch for request in requests), dict[str, list[_Answerable]]()
        for index, streams in self.model.run(runs, batch_size=batch_size, progress=progress):
            label = requests[index].batch
            alike = waiting.setdefault(label, [])
            alike.append(_Answerable(index=index, request=requests[index], text=texts[index], streams=streams))
            left[label] -= 1
            if len(alike) == batch_size or not left[label]:
                yield from self._answer(waiting.pop(label))

    def _depth(self, want: Want) -> int:
        return self.pairing.depth + want.shift

    def _places(self, request: Request) -> set[tuple[int, At]]:
        return {(self._depth(want), want.at) for want in request.wants}

    def _answer(self, ready: Sequence[_Answerable]) -> Iterator[tuple[int, list[Reading]]]:
        """Encode what is wanted of some requests, the tokens of each depth and place as one matrix of their own.

        So its shape, which decides how products are rounded, does not depend on what else is wanted.
        """
        encoded: dict[tuple[int, At], tuple[_Rows, dict[tuple[int, int], int]]] = {}
        for place in set[tuple[int, At]]().union(*(self._places(one.request) for one in ready)):
            depth, at = place
            there = [one for one in ready if place in self._places(one.request)]
            chosen = [(one, position) for one in there for position in one.text.read_at(at)]
            rows = self._encode(torch.stack([one.streams[depth][position] for one, position in chosen]))
            encoded[place] = rows, {(one.index, position): row for row, (one, position) in enumerate(chosen)}
        for one in ready:
            readings: list[Reading] = []
            for want in one.request.wants:
                rows, row_of = encoded[self._depth(want), want.at]
                chosen = [row_of[one.index, position] for position in one.text.read_at(want.at)]
                readings.append(self._reading(one, want, rows, chosen))
            yield one.index, readings

    def _encode(self, x: Float[Tensor, "rows d_in"]) -> _Rows:
        """Return sparse rows and squared errors; dense features exist for a few rows at a time."""
        indices: list[np.ndarray] = []
        values: list[np.ndarray] = []
        near: list[np.ndarray] = []
        errors: list[np.ndarray] = []
        weights = cast(Tensor, self.sae.W_dec)
        at_once = max(1, _DENSE_BYTES // (4 * self.pairing.d_sae))
        for start in range(0, len(x), at_once):
            part = x[start : start + at_once].to(device=weights.device, dtype=weights.dtype)
            acts, close = (self.sae.encode(part), None) if self.thresholds is None else self.thresholds.encode(part)
            error = (part - self.sae.decode(acts)).float().square().sum(-1)
            row, feature = acts.gt(0).nonzero(as_tuple=True)
            indices += _by_row(row, feature, len(part))
            values += _by_row(row, acts[row, feature].float(), len(part))
            if close is not None:
                row, feature = close.nonzero(as_tuple=True)
                near += _by_row(row, feature, len(part))
            errors.append(error.cpu().numpy())
        return _Rows(indices=indices, values=values, near=near, squared_error=np.concatenate(errors))

    def _reading(self, one: _Answerable, want: Want, rows: _Rows, chosen: list[int]) -> Reading:
        stream, text = one.streams[self._depth(want)], one.text
        positions = text.read_at(want.at)
        tokens = tuple(
            Token(
                position=at,
                text=self.tokenizer.decode([text.ids[at]]),
                start=text.spans[at][0],
                end=text.spans[at][1],
            )
            for at in positions
        )
        return Reading(
            tokens=tokens,
            n_tokens=len(text.ids),
            indices=tuple(rows.indices[row] for row in chosen),
            values=tuple(rows.values[row] for row in chosen),
            near=tuple(rows.near[row] for row in chosen) if rows.near else (),
            squared_error=rows.squared_error[chosen],
            activations=stream[positions].float().cpu().numpy() if "activations" in want.keep else None,
            effective_rank=self._effective_rank(text, stream) if "effective_rank" in want.keep else None,
        )

    def _effective_rank(self, text: Tokenized, stream: Float[Tensor, "pos d_in"]) -> float:
        """Return the rank over all tokens of the prompt but BOS, those of the chat template among them.

        BOS is left out since its activation is many times as long as any other, so that one direction would carry
        nearly the whole spectrum. The published EID took BOS in; the protocol that repeats it does so too.
        """
        first = 0 if self.pairing.rank_with_bos else text.n_bos
        try:
            return effective_rank(stream[first:].float().cpu().numpy())
        except ValueError as error:
            raise ReadingError(f"the prompt {shorten(text.text)} has no effective rank: {error}") from error

    def continue_(
        self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]
    ) -> Iterator[tuple[Prompt, list[Continuation]]]:
        """Run a steering experiment on `prompts`, a part or all of those of the whole `experiment`.

        Whole batches of the experiment are run, so that a part of the prompts is continued as all of them are.
        """
        of_whole = Experiment(
            subject=self.name,
            steering=steering,
            directions=cast(Tensor, self.sae.W_dec),
            alive=self._alive(experiment),
        )
        asked = {prompt.text: prompt for prompt in prompts}
        batches = [batch for batch in steering.batches(experiment) if not asked.keys().isdisjoint(batch)]
        every = {
            text: Prompt(text=text, style="", topic="", template="") for batch in batches for text in batch
        } | asked
        whole = [[(every[one.text], one) for one in self.tokenize(batch)] for batch in batches]
        for prompt, items in continue_prompts(
            of_whole, self.model.speaker(), self.tokenizer, whole, n_positions=self.pairing.n_positions
        ):
            if prompt.text in asked:
                yield prompt, items

    def _alive(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Return the features that fire on any token of the texts, BOS aside."""
        wants = (Want(at="all", keep=frozenset({"features"})),)
        requests = [Request(text=text, wants=wants) for text in sorted(set(texts))]
        found: set[int] = set()
        for _, (reading,) in self.read(requests):
            found.update(*(row.tolist() for row in reading.indices))
        return tuple(sorted(found))


def _by_row(row: Int[Tensor, " entries"], entry: Tensor, n_rows: int) -> list[np.ndarray]:
    """Cut entries that are sorted by row into rows."""
    cuts = torch.bincount(row, minlength=n_rows).cumsum(0).cpu().numpy()[:-1]
    plain = entry.to(torch.int32) if entry.dtype == torch.int64 else entry
    return np.split(plain.cpu().numpy(), cuts)
