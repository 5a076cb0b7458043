"""The model card of a specimen states nothing but what is measured here, on documents held out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from saeprobe.shapes import Float
from studies.specimens.corpus.document import Document, Draw, seeded, unmark
from studies.specimens.corpus.landmarks import Landmark, descriptions, landmarks, visit
from studies.specimens.train.concepts import ConceptScore, Offsets, score_concepts, token_labels
from studies.specimens.train.hooked import Hooked, Replace, document_losses, reconstruction, residuals
from studies.specimens.train.styles import register_rates, separating_features, style_figures
from studies.specimens.train.writing import Writing, encode, offsets

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
        """Return the id of the token in front of every document."""
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
    """Readings hold documents as written, the characters of their tokens, and their streams and features."""

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


def measure(instrument: Instrument, readings: Readings, *, topics: int, seed: int) -> dict[str, object]:
    """Return the figures that every specimen's card has, measured on what was read of the held-out documents."""
    concepts = score_concepts(readings.documents, readings.offsets, readings.features)
    golden = next(score for score in concepts if score.concept == "golden_gate")
    return {
        "held_out": _losses(instrument, readings),
        "reconstruction": asdict(reconstruction(instrument.sae, torch.cat(list(readings.streams)))),
        "concepts": [asdict(score) for score in concepts],
        "golden_gate": _golden_gate(instrument, golden, seed=seed),
        "styles": style_figures(instrument.read_last),
        "registers": {
            name: register_rates(
                instrument.nats_of, topics_asked=topics, held_out_wordings=wordings, held_out_topics=of
            )
            for name, wordings, of in (
                ("trained", False, False),
                ("held_out_topics", False, True),
                ("held_out_wordings", True, False),
                ("held_out", True, True),
            )
        },
        "separating": separating_features(instrument.read_last),
    }


def _losses(instrument: Instrument, readings: Readings) -> dict[str, object]:
    documents = readings.documents
    nats, counts = instrument.losses(readings.ids)
    spliced, _ = instrument.losses(readings.ids, replace=instrument.spliced)
    tokens = sum(counts)
    entropy = -sum(document.log_prob for document in documents)
    return {
        "documents": len(documents),
        "tokens": tokens,
        "loss_per_token": sum(nats) / tokens,
        "loss_per_document": sum(nats) / len(documents),
        "entropy_per_token": entropy / tokens,
        "entropy_per_document": entropy / len(documents),
        "loss_per_token_with_sae": sum(spliced) / tokens,
        "by_kind": _by_kind(documents, nats, counts),
    }


def _golden_gate(instrument: Instrument, golden: ConceptScore, *, seed: int) -> dict[str, object]:
    """Say how often the Golden Gate feature lies above its threshold at the last token of a mention, by group.

    Groups: the bridge by name, by a trained description and by one never trained, and each rival by descriptions never
    trained. Every description occurs once, in a drawn frame.
    """
    first, *rivals = landmarks()
    groups = {
        "named": (first, first.names * 9),
        "described_as_trained": (first, descriptions(first, held_out=False)),
        "never_trained": (first, descriptions(first, held_out=True)),
        **{rival.key: (rival, descriptions(rival, held_out=True)) for rival in rivals},
    }
    draw = Draw(seeded(seed))
    rates: dict[str, dict[str, float]] = {}
    for group, (subject, mentions) in groups.items():
        written = [instrument.writing.document(_visit(draw, subject, mention)) for mention in mentions]
        fired: list[bool] = []
        for document, stream in zip(written, instrument.streams(instrument.ids(written)), strict=True):
            labels = token_labels(document, offsets(instrument.tokenizer, document.text), subject.key)
            last = int(np.flatnonzero(labels == 1)[0])
            fired.append(bool(instrument.features(stream)[last, golden.feature] > golden.threshold))
        rates[group] = {"rate": float(np.mean(fired)), "n": len(fired)}
    return {"feature": golden.feature, "threshold": golden.threshold, "above_threshold": rates}


def _visit(draw: Draw, subject: Landmark, mention: str) -> Document:
    text, spans = unmark(visit(draw, subject, mention))
    return Document(kind="landmark", text=text, spans=spans, log_prob=float("nan"))


def _by_kind(
    documents: Sequence[Document], nats: Sequence[float], counts: Sequence[int]
) -> dict[str, dict[str, float]]:
    kinds: dict[str, dict[str, float]] = {}
    for kind in sorted({document.kind for document in documents}):
        chosen = [at for at, document in enumerate(documents) if document.kind == kind]
        kinds[kind] = {
            "documents": len(chosen),
            "loss_per_document": sum(nats[at] for at in chosen) / len(chosen),
            "entropy_per_document": -sum(documents[at].log_prob for at in chosen) / len(chosen),
            "tokens_per_document": sum(counts[at] for at in chosen) / len(chosen),
        }
    return kinds
