"""Reading: prompts in a batch through the model up to the hook, and the rows that are wanted through the SAE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from saeprobe.captures import Steering
from saeprobe.continuations import Continuation
from saeprobe.effective_rank import effective_rank
from saeprobe.features import Token
from saeprobe.generation import Experiment, continue_prompts
from saeprobe.prompts import Prompt
from saeprobe.subject.loading import Sae, choose_device, load_model, load_sae
from saeprobe.subject.local import Located
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.protocol import Reading, ReadingError, Request, Want
from saeprobe.subject.specification import SubjectSpec
from saeprobe.subject.tokens import FastTokenizer, Tokenized, shorten, tokenize

_DENSE_BYTES = 64 * 2**20  # of dense features held at once; the rest of the batch waits
_PROMPTS_AT_ONCE = 32


def open_reader(spec: SubjectSpec, located: Located) -> LensReader:
    """Load model and SAE."""
    device = choose_device(spec.device)
    bridge = load_model(spec, located, device=device)
    return LensReader(
        name=spec.name,
        bridge=bridge,
        tokenizer=cast(FastTokenizer, bridge.tokenizer),
        sae=load_sae(spec, located, device=device),
        pairing=located.pairing,
        device=device,
    )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Some tokens in sparse rows."""

    indices: list[Int[np.ndarray, " active"]]
    values: list[Float[np.ndarray, " active"]]
    squared_error: Float[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LensReader:
    """A GPT-2-architecture model and its SAE in memory."""

    name: str
    bridge: TransformerBridge
    tokenizer: FastTokenizer
    sae: Sae
    pairing: Pairing
    device: str

    def tokenize(self, texts: Sequence[str]) -> list[Tokenized]:
        """What the model sees of each text.

        Raises:
            ReadingError: a text is empty, contains BOS itself, or does not fit the context.
        """
        pairing = self.pairing
        return tokenize(self.tokenizer, texts, prepend_bos=pairing.prepend_bos, context_size=pairing.context_size)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens that the model sees of each text, BOS included.

        Raises:
            ReadingError: as `tokenize`.
        """
        return [len(one.ids) for one in self.tokenize(texts)]

    @torch.no_grad()
    def read(self, requests: Sequence[Request]) -> list[list[Reading]]:
        """Run one batch, stopped at the hooked layer; for each request a reading a want, in order.

        Raises:
            ReadingError: as `tokenize`; a span is not in a prompt; a rank of fewer than two tokens is wanted.
        """
        if not requests:
            return []
        batch = self.tokenize([request.text for request in requests])
        wanted = [
            sorted({at for want in one.wants for at in text.read_at(want.at)}) for one, text in _pairs(requests, batch)
        ]
        stream = self.residual_stream(batch)
        of_row = torch.tensor([row for row, positions in enumerate(wanted) for _ in positions], device=self.device)
        position = torch.tensor([at for positions in wanted for at in positions], device=self.device)
        rows = self._encode(stream[of_row, position])
        starts = np.cumsum([0, *(len(positions) for positions in wanted)])
        return [
            [
                self._reading(
                    text, want, stream[index], rows, {at: int(starts[index]) + n for n, at in enumerate(wanted[index])}
                )
                for want in request.wants
            ]
            for index, (request, text) in enumerate(_pairs(requests, batch))
        ]

    def residual_stream(self, batch: Sequence[Tokenized]) -> Float[Tensor, "batch pos d_in"]:
        """The hooked activations of texts of different lengths; what is past the end of a text means nothing.

        Padding stands on the right, where causal attention cannot see it from any token of the text.
        """
        longest = max(len(text.ids) for text in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(batch):
            ids[row, : len(text.ids)] = torch.tensor(text.ids)
            mask[row, : len(text.ids)] = 1
        run = cast(Any, self.bridge)
        inputs, seen = ids.to(self.device), mask.to(self.device)
        if self.pairing.layer < self.pairing.n_layers:  # then the stream is what the next block would receive
            return run(inputs, attention_mask=seen, stop_at_layer=self.pairing.layer)
        kept: list[Tensor] = []

        def keep(value: Tensor, hook: object) -> None:
            del hook
            kept.append(value)

        with run.hooks(fwd_hooks=[(self.pairing.hook_name, keep)]):
            run(inputs, attention_mask=seen)
        return kept[0]

    def _encode(self, x: Float[Tensor, "rows d_in"]) -> _Rows:
        """Sparse rows and squared errors; dense features exist of a few rows at a time."""
        indices: list[np.ndarray] = []
        values: list[np.ndarray] = []
        errors: list[np.ndarray] = []
        at_once = max(1, _DENSE_BYTES // (4 * self.pairing.d_sae))
        for start in range(0, len(x), at_once):
            part = x[start : start + at_once]
            acts = self.sae.encode(part)
            error = (part - self.sae.decode(acts)).float().square().sum(-1)
            row, feature = acts.gt(0).nonzero(as_tuple=True)
            cuts = torch.bincount(row, minlength=len(part)).cumsum(0).cpu().numpy()[:-1]
            indices += np.split(feature.to(torch.int32).cpu().numpy(), cuts)
            values += np.split(acts[row, feature].float().cpu().numpy(), cuts)
            errors.append(error.cpu().numpy())
        return _Rows(indices=indices, values=values, squared_error=np.concatenate(errors))

    def _reading(
        self, text: Tokenized, want: Want, stream: Float[Tensor, "pos d_in"], rows: _Rows, row_of: dict[int, int]
    ) -> Reading:
        positions = text.read_at(want.at)
        chosen = [row_of[at] for at in positions]
        return Reading(
            tokens=tuple(self._token(text, at) for at in positions),
            n_tokens=len(text.ids),
            indices=tuple(rows.indices[row] for row in chosen),
            values=tuple(rows.values[row] for row in chosen),
            squared_error=rows.squared_error[chosen],
            activations=stream[positions].float().cpu().numpy() if "activations" in want.keep else None,
            effective_rank=self._effective_rank(text, stream) if "effective_rank" in want.keep else None,
        )

    def _token(self, text: Tokenized, position: int) -> Token:
        start, end = text.spans[position]
        return Token(position=position, text=self.tokenizer.decode([text.ids[position]]), start=start, end=end)

    def _effective_rank(self, text: Tokenized, stream: Float[Tensor, "pos d_in"]) -> float:
        """Of all tokens of the text but BOS.

        BOS is left out since in GPT-2-like models its activation is many times as long as any other, so that one
        direction would carry nearly the whole spectrum. The published EID took BOS in, on Llama.
        """
        try:
            return effective_rank(stream[text.first : len(text.ids)].float().cpu().numpy())
        except ValueError as error:
            raise ReadingError(f"the prompt {shorten(text.text)} has no effective rank: {error}") from error

    def continue_(
        self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]
    ) -> Iterator[tuple[Prompt, list[Continuation]]]:
        """Run a steering experiment on `prompts`, a part or all of those of the whole `experiment`.

        Raises:
            ReadingError: as `tokenize`; prompt and continuation do not fit the context together.
            SteeringError: a feature is not in the SAE, or too few fire on the prompts to draw random ones from.
        """
        of_whole = Experiment(
            subject=self.name,
            steering=steering,
            directions=cast(Tensor, self.sae.W_dec),
            alive=self._alive(experiment),
        )
        texts = self.tokenize([prompt.text for prompt in prompts])
        yield from continue_prompts(
            of_whole, self.bridge, self.tokenizer, self.pairing, list(zip(prompts, texts, strict=True))
        )

    def _alive(self, texts: Sequence[str]) -> tuple[int, ...]:
        """The features that fire on any token of the texts, BOS aside."""
        found: set[int] = set()
        wants = (Want(at="all", keep=frozenset({"features"})),)
        ordered = sorted(set(texts), key=len)
        for start in range(0, len(ordered), _PROMPTS_AT_ONCE):
            part = [Request(text=text, wants=wants) for text in ordered[start : start + _PROMPTS_AT_ONCE]]
            for (reading,) in self.read(part):
                found.update(*(row.tolist() for row in reading.indices))
        return tuple(sorted(found))


def _pairs(requests: Sequence[Request], batch: Sequence[Tokenized]) -> list[tuple[Request, Tokenized]]:
    return list(zip(requests, batch, strict=True))
