"""The model card of a specimen: everything it states is measured here, on documents held out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from studies.specimens.corpus.document import Document
from studies.specimens.train.concepts import score_concepts
from studies.specimens.train.fidelity import reconstruction
from studies.specimens.train.instrument import Instrument, Readings
from studies.specimens.train.labels import ConceptScore, token_labels
from studies.specimens.train.paraphrases import firing_rates, paraphrase_documents
from studies.specimens.train.registers import register_rates
from studies.specimens.train.styles import separating_features, style_figures
from studies.specimens.train.writing import offsets


def measure(instrument: Instrument, readings: Readings, *, seed: int) -> dict[str, object]:
    """Return the figures that every specimen's card has, measured on what was read of the held-out documents."""
    concepts = score_concepts(readings.documents, readings.offsets, readings.features)
    golden = next(score for score in concepts if score.concept == "golden_gate")
    return {
        "held_out": _losses(instrument, readings),
        "reconstruction": asdict(reconstruction(instrument.sae, torch.cat(list(readings.streams)))),
        "concepts": [asdict(score) for score in concepts],
        "golden_gate": _golden_gate(instrument, golden, seed=seed),
        "styles": [asdict(figures) for figures in style_figures(instrument.read_last)],
        "registers": {
            "trained": register_rates(instrument.nats_of, held_out_wordings=False, held_out_topics=False),
            "held_out_topics": register_rates(instrument.nats_of, held_out_wordings=False, held_out_topics=True),
            "held_out_wordings": register_rates(instrument.nats_of, held_out_wordings=True, held_out_topics=False),
            "held_out": register_rates(instrument.nats_of, held_out_wordings=True, held_out_topics=True),
        },
        "separating": [asdict(separation) for separation in separating_features(instrument.read_last)],
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
    def last_token(document: Document, concept: str) -> int:
        written = instrument.writing.document(document)
        labels = token_labels(written, offsets(instrument.tokenizer, written.text), concept)
        return int(np.flatnonzero(labels == 1)[0])

    return {
        "feature": golden.feature,
        "threshold": golden.threshold,
        "above_threshold": firing_rates(
            paraphrase_documents(seed),
            encode=instrument.read_documents,
            last_token=last_token,
            feature=golden.feature,
            threshold=golden.threshold,
        ),
    }


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
