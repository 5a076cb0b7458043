"""Reading takes prompts through the model up to the hook, and the tokens whose features are wanted through the SAE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from saeprobe.captures import At, Continuation
from saeprobe.captures.steering import Steering
from saeprobe.features import Token
from saeprobe.prompts import Prompt
from saeprobe.shapes import Bool, Float, Int
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.running import ResidualStream, Run, Streams, effective_rank
from saeprobe.subject.running.chat import shorten
from saeprobe.subject.running.dictionary import ROWS, Sae, Thresholds, divided, filled
from saeprobe.subject.running.editing import Coder, Experiment
from saeprobe.subject.running.steering import Speaker, continue_prompts
from saeprobe.subject.running.tokens import FastTokenizer, Tokenized, pieces_of, tokenize
from saeprobe.subject.specification import Reading, ReadingError, Request, Share, Want

_DENSE_BYTES = 64 * 2**20  # of dense features held at once; the rest of the batch waits
_PROMPTS_AT_ONCE = 32

# What a model sees of a text, with or without its chat template, is found once, also for all draws of a control.
Known = dict[tuple[str, bool], Tokenized]


class Model(ResidualStream, Protocol):
    """A language model that a reader reads and, where its memory allows, lets speak."""

    def speaker(self) -> Speaker:
        """Return the whole model, to write continuations with."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows hold what the SAE makes of some tokens."""

    indices: list[Int[np.ndarray, " active"]]
    values: list[Float[np.ndarray, " active"]]
    near: list[Int[np.ndarray, " near"]]  # empty where its features have no threshold
    squared_error: Float[np.ndarray, " rows"] | None  # None where it gives back something else than it read
    finite: Bool[np.ndarray, " rows"]  # whether all of a row is a number


@dataclass(frozen=True, kw_only=True, eq=False)
class SaeReader:
    """A reader is a language model and its SAE in memory; `thresholds` is None where features have none."""

    name: str
    model: Model
    tokenizer: FastTokenizer
    sae: Sae
    thresholds: Thresholds | None
    pairing: Pairing
    ends: Callable[[], frozenset[int]] = frozenset  # ids of the tokens that end a text, asked where one is written
    known: Known = field(default_factory=dict[tuple[str, bool], Tokenized], repr=False)

    @property
    def device(self) -> str:
        """Return where the model computes, as torch writes it."""
        return self.model.device

    def tokenize(self, texts: Sequence[str], *, raw: bool = False) -> list[Tokenized]:
        """Return what the model sees of each text, each found once; without the chat template if `raw`."""
        for text in texts:
            if (text, raw) not in self.known:
                self.known[text, raw] = tokenize(self.tokenizer, text, self.pairing, raw=raw)
        return [self.known[text, raw] for text in texts]

    @torch.no_grad()
    def read(
        self, requests: Sequence[Request], *, batch_size: int = _PROMPTS_AT_ONCE, progress: Share | None = None
    ) -> Iterator[tuple[int, list[Reading]]]:
        """Run the model up to the hook; for each request its index and a reading a want, each request once.

        Requests are answered in an order of the model's own choosing, at most `batch_size` prompts a forward pass;
        `progress` is called with the share of the passes that is done. A ReadingError says that a prompt cannot be read
        as asked.
        """
        texts = [self.tokenize([request.text], raw=request.raw)[0] for request in requests]
        for text, request in zip(texts, requests, strict=True):
            for want in request.wants:
                text.read_at(want.at)  # before the model runs: a span that is not there must not cost an hour
        runs = [
            Run(ids=text.ids, depths=tuple(sorted({self._depth(want) for want in request.wants})), batch=request.batch)
            for text, request in zip(texts, requests, strict=True)
        ]
        left, waiting = Counter(request.batch for request in requests), dict[str, dict[int, Streams]]()
        for index, streams in self.model.run(runs, batch_size=batch_size, progress=progress):
            label = requests[index].batch
            waiting.setdefault(label, {})[index] = streams
            left[label] -= 1
            if len(waiting[label]) == batch_size or not left[label]:
                yield from self._answer(waiting.pop(label), requests, texts)

    def _depth(self, want: Want) -> int:
        return self.pairing.depth + want.shift

    def _places(self, request: Request) -> set[tuple[int, At]]:
        return {(self._depth(want), want.at) for want in request.wants if "features" in want.keep}

    def _answer(
        self, ready: Mapping[int, Streams], requests: Sequence[Request], texts: Sequence[Tokenized]
    ) -> Iterator[tuple[int, list[Reading]]]:
        """Encode the features wanted of the requests that are `ready`, with their streams.

        The tokens of each depth and place are one matrix of their own. So its shape, which decides how products are
        rounded, does not depend on what else is wanted.
        """
        encoded: dict[tuple[int, At], tuple[_Rows, dict[tuple[int, int], int]]] = {}
        for place in set[tuple[int, At]]().union(*(self._places(requests[one]) for one in ready)):
            depth, at = place
            there = [one for one in ready if place in self._places(requests[one])]
            chosen = [(one, position) for one in there for position in texts[one].read_at(at)]
            x = torch.stack([ready[one][depth][position] for one, position in chosen])
            rows = self._encode(x)
            for (one, position), sound, stream in zip(chosen, rows.finite, x, strict=True):
                if not sound:
                    raise self._not_finite(texts[one], depth, position, stream)
            encoded[place] = rows, {token: row for row, token in enumerate(chosen)}
        for one, streams in ready.items():
            readings: list[Reading] = []
            for want in requests[one].wants:
                reading = self._reading(texts[one], streams, want)
                if "features" in want.keep:
                    rows, row_of = encoded[self._depth(want), want.at]
                    chosen = [row_of[one, token.position] for token in reading.tokens]
                    reading = replace(
                        reading,
                        indices=tuple(rows.indices[row] for row in chosen),
                        values=tuple(rows.values[row] for row in chosen),
                        near=tuple(rows.near[row] for row in chosen) if rows.near else (),
                        squared_error=None if rows.squared_error is None else rows.squared_error[chosen],
                    )
                readings.append(reading)
            yield one, readings

    def _encode(self, x: Float[Tensor, "rows d_in"]) -> _Rows:
        """Return sparse rows and squared errors; dense features exist for a few rows at a time."""
        indices, values, near, errors, finite = (list[np.ndarray]() for _ in range(5))
        weights = cast(Tensor, self.sae.W_dec)
        at_once = max(1, _DENSE_BYTES // (4 * self.pairing.properties.d_sae))
        for start in range(0, len(x), at_once):
            count = len(x[start : start + at_once])
            given = filled(x[start : start + at_once], min(ROWS, at_once)).to(weights.device)
            part = given.to(weights.dtype)
            acts, close = (self.sae.encode(part), None) if self.thresholds is None else self.thresholds.encode(part)
            # NaN is not above zero: a sum takes note of what the sparse rows would leave out.
            sound = part.isfinite().all(-1) & acts.sum(-1, dtype=torch.float32).isfinite() & divided(self.sae, part)
            if self.pairing.properties.writes_to is None:  # at once: sae-lens keeps the scale of what it encoded last
                error = (given.float() - self.sae.decode(acts).float()).square().sum(-1)
                sound &= error.isfinite()
                errors.append(error[:count].cpu().numpy())
            row, feature = acts[:count].gt(0).nonzero(as_tuple=True)
            indices += _by_row(row, feature, count)
            values += _by_row(row, acts[row, feature].float(), count)
            if close is not None:
                row, feature = close[:count].nonzero(as_tuple=True)
                near += _by_row(row, feature, count)
            finite.append(sound[:count].cpu().numpy())
        error_of = np.concatenate(errors) if errors else None
        return _Rows(indices=indices, values=values, near=near, squared_error=error_of, finite=np.concatenate(finite))

    def _not_finite(self, text: Tokenized, depth: int, at: int, stream: Float[Tensor, " d_in"]) -> ReadingError:
        """Say which numbers of a prompt are none, and what helps."""
        shift = depth - self.pairing.depth
        where = self.pairing.hook_name + (f" {shift:+d} block{'s' if abs(shift) > 1 else ''}" if shift else "")
        of_model = not bool(stream.isfinite().all())
        what, kept = ("model", stream.dtype) if of_model else ("SAE", cast(Tensor, self.sae.W_dec).dtype)
        key, dtype = ("dtype" if of_model else "sae_dtype"), str(kept).removeprefix("torch.")
        remedy = f'set {key} = "float32" or "bfloat16", as float16 ends at 65,504'
        if dtype != "float16":
            remedy = f"a weight is damaged, or the numbers grow beyond all bounds: copy or download the {what} again"
        return ReadingError(
            f"the {what} of {self.name} gives infinities or NaN in {dtype} at {where} on token {at} of the prompt "
            f"{shorten(text.text)}; {remedy}"
        )

    def _reading(self, text: Tokenized, streams: Streams, want: Want) -> Reading:
        """Return what is read of the model alone, once all that is kept of it is known to be numbers."""
        depth, positions = self._depth(want), text.read_at(want.at)
        stream = streams[depth]
        whole = "effective_rank" in want.keep
        sound: list[bool] = cast(Any, stream.isfinite().all(-1)).tolist()
        for at in range(len(stream)) if whole else positions:
            if not sound[at]:
                raise self._not_finite(text, depth, at, stream[at])
        pieces = pieces_of(self.tokenizer, text.ids)
        tokens = tuple(
            Token(position=at, text=pieces[at], start=text.spans[at][0], end=text.spans[at][1]) for at in positions
        )
        return Reading(
            tokens=tokens,
            n_tokens=len(text.ids),
            ids=text.ids,
            rendered=text.rendered,
            pieces=pieces,
            activations=stream[positions].float().cpu().numpy() if "activations" in want.keep else None,
            effective_rank=self._rank(text, stream) if whole else None,
        )

    def _rank(self, text: Tokenized, stream: Float[Tensor, "pos d_in"]) -> float:
        """Return the rank over all tokens of the prompt but BOS, those of the chat template among them.

        BOS is left out since its activation is many times as long as any other, so that one direction would carry
        nearly the whole spectrum. The published EID took BOS in; the protocol that repeats it does so too.
        """
        first = 0 if self.pairing.spec.rank_with_bos else text.n_bos
        try:
            return effective_rank(stream[first:].float().cpu().numpy())
        except ValueError as error:
            raise ReadingError(f"the prompt {shorten(text.text)} has no effective rank: {error}") from error

    def continue_(
        self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]
    ) -> Iterator[tuple[Prompt, list[Continuation]]]:
        """Run a steering experiment on `prompts`, a part or all of those of the whole `experiment`, prompt by prompt.

        Whole batches of the experiment are run, so that a part of the prompts is continued as all of them are; the
        random features are drawn from those that fire on the texts of all.
        """
        if (why := self.pairing.properties.unsteerable) is not None:
            raise ReadingError(f"{self.name} cannot be steered: {why}")
        of_whole = Experiment(
            subject=self.name, steering=steering, directions=cast(Tensor, self.sae.W_dec), alive=self._alive(experiment)
        )
        asked = {prompt.text: prompt for prompt in prompts}
        batches = [batch for batch in steering.batches(experiment) if not asked.keys().isdisjoint(batch)]
        every = {
            text: Prompt(text=text, style="", topic="", template="") for batch in batches for text in batch
        } | asked
        whole = [[(every[one.text], one) for one in self.tokenize(batch)] for batch in batches]
        found = continue_prompts(
            of_whole,
            cast(Coder, self.sae),
            self.model.speaker(),
            self.tokenizer,
            whole,
            n_positions=self.pairing.shape.positions,
            ends=self.ends(),
        )
        yield from ((prompt, items) for prompt, items in found if prompt.text in asked)

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
