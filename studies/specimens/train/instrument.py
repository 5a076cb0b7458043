"""A trained model and SAE as an instrument: what it reads of documents, prompts and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedTokenizerBase

from studies.specimens.corpus.document import Document
from studies.specimens.train.activations import residuals
from studies.specimens.train.fidelity import document_losses
from studies.specimens.train.hooked import Hooked, Replace
from studies.specimens.train.labels import Offsets
from studies.specimens.train.tokenizer import encode
from studies.specimens.train.writing import Writing, offsets

if TYPE_CHECKING:
    from sae_lens import SAE


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A trained model and SAE, opened as every other subject is, and what is needed to read features with them."""

    model: Hooked
    tokenizer: PreTrainedTokenizerBase
    sae: SAE[Any]
    writing: Writing

    @property
    def bos(self) -> int:
        """The id of the token in front of every document."""
        return cast(int, self.tokenizer.bos_token_id)

    def ids(self, documents: Sequence[Document]) -> list[list[int]]:
        """Return the token ids of written documents, without BOS."""
        return encode(self.tokenizer, [document.text for document in documents])

    def streams(self, ids: Sequence[Sequence[int]]) -> list[Float[torch.Tensor, "pos d_in"]]:
        """Return the residual stream at the hook point of every row of ids, behind a BOS that is left out."""
        return residuals(self.model, ids, bos=self.bos)

    def features(self, stream: Float[torch.Tensor, "pos d_in"]) -> Float[np.ndarray, "pos d_sae"]:
        """Return the features of a residual stream."""
        with torch.no_grad():
            return self.sae.encode(stream).numpy()

    def losses(self, ids: Sequence[Sequence[int]], *, replace: Replace | None = None) -> tuple[list[float], list[int]]:
        """Return the nats of each written document, its end included, and the tokens they are for."""
        end = [] if self.writing.ends else [self.bos]
        return document_losses(self.model, [[*row, *end] for row in ids], bos=self.bos, replace=replace)

    def spliced(self, stream: Float[torch.Tensor, "batch pos d_in"]) -> Float[torch.Tensor, "batch pos d_in"]:
        """Return what the SAE makes of the stream."""
        return self.sae.decode(self.sae.encode(stream))

    def read_documents(self, documents: Sequence[Document]) -> list[Float[np.ndarray, "pos d_sae"]]:
        """Return the features of every token of documents as the corpus has them."""
        written = [self.writing.document(document) for document in documents]
        return [self.features(stream) for stream in self.streams(self.ids(written))]

    def read_last(self, prompts: Sequence[str]) -> tuple[Float[np.ndarray, "prompts d_sae"], list[int]]:
        """Return the features at the token after which each prompt's answer begins, and the tokens without BOS."""
        rows = encode(self.tokenizer, [self.writing.prompt(prompt) for prompt in prompts])
        last = torch.stack([stream[-1] for stream in self.streams(rows)])
        return self.features(last), [len(row) for row in rows]

    def nats_of(self, begun: Sequence[tuple[str, str]]) -> list[float]:
        """Return the nats of prompts, each with the beginning of an answer."""
        texts = [self.writing.prompt(prompt) + self.writing.opening(opening) for prompt, opening in begun]
        return document_losses(self.model, encode(self.tokenizer, texts), bos=self.bos)[0]


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Documents as written, the characters of each of their tokens, their residual streams and their features."""

    documents: Sequence[Document]
    ids: Sequence[Sequence[int]]
    offsets: Sequence[Offsets]
    streams: Sequence[Float[torch.Tensor, "pos d_in"]]
    features: Sequence[Float[np.ndarray, "pos d_sae"]]


def read(instrument: Instrument, written: Sequence[Document]) -> Readings:
    """Read documents that are written already."""
    ids = instrument.ids(written)
    streams = instrument.streams(ids)
    return Readings(
        documents=written,
        ids=ids,
        offsets=[offsets(instrument.tokenizer, document.text) for document in written],
        streams=streams,
        features=[instrument.features(stream) for stream in streams],
    )
