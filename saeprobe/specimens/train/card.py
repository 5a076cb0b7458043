"""The model card of sparrow: everything it states is measured here, on documents held out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

from saeprobe.specimens.corpus.document import Document
from saeprobe.specimens.train.activations import residuals
from saeprobe.specimens.train.concepts import score_concepts
from saeprobe.specimens.train.fidelity import document_losses, reconstruction
from saeprobe.specimens.train.labels import Offsets, token_labels
from saeprobe.specimens.train.model import ModelRecipe
from saeprobe.specimens.train.paraphrases import firing_rates, paraphrase_documents
from saeprobe.specimens.train.registers import register_rates
from saeprobe.specimens.train.sae import SaeRecipe
from saeprobe.specimens.train.steering_card import steering_figures, theme_candidates
from saeprobe.specimens.train.styles import separating_features, style_figures
from saeprobe.specimens.train.tokenizer import encode
from saeprobe.subject.bridge import open_bridge

if TYPE_CHECKING:
    from sae_lens import SAE


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A trained model and SAE, opened as every other subject is, and what is needed to read features with them."""

    folder: Path
    tokenizer: PreTrainedTokenizerBase
    sae: SAE[Any]
    recipe: SaeRecipe

    @property
    def bos(self) -> int:
        """The id of the token in front of every document."""
        return cast(int, self.tokenizer.bos_token_id)

    def bridge(self) -> Any:
        """Open the model in float32, its writing weights centred as the SAE wants them."""
        return open_bridge(self.folder / "model", center_writing_weights=True, device="cpu", dtype=torch.float32)


def measure(
    instrument: Instrument, documents: Sequence[Document], model_recipe: ModelRecipe, *, seed: int
) -> dict[str, object]:
    """Return the card's figures, measured on the held-out documents."""
    bridge, sae, recipe, bos = instrument.bridge(), instrument.sae, instrument.recipe, instrument.bos
    ids = encode(instrument.tokenizer, [document.text for document in documents])
    offsets = [_offsets(instrument.tokenizer, document.text) for document in documents]
    streams = residuals(bridge, ids, layer=recipe.layer, bos=bos)
    features = [_encode(sae, stream) for stream in streams]
    quality = reconstruction(sae, torch.cat(streams))

    nats, counts = document_losses(bridge, ids, bos=bos)
    spliced, _ = document_losses(
        bridge, ids, bos=bos, hook_name=recipe.hook_name, replace=lambda x: sae.decode(sae.encode(x))
    )
    tokens = sum(counts)
    entropy = -sum(document.log_prob for document in documents)

    concepts = score_concepts(documents, offsets, features)
    golden = next(score for score in concepts if score.concept == "golden_gate")

    def read(chosen: Sequence[Document]) -> list[Float[np.ndarray, "pos d_sae"]]:
        rows = encode(instrument.tokenizer, [document.text for document in chosen])
        return [_encode(sae, stream) for stream in residuals(bridge, rows, layer=recipe.layer, bos=bos)]

    def read_last(prompts: Sequence[str]) -> tuple[Float[np.ndarray, "prompts d_sae"], list[int]]:
        rows = encode(instrument.tokenizer, prompts)
        last = torch.stack([stream[-1] for stream in residuals(bridge, rows, layer=recipe.layer, bos=bos)])
        return _encode(sae, last), [len(row) for row in rows]

    def nats_of(texts: Sequence[str]) -> list[float]:
        return document_losses(bridge, encode(instrument.tokenizer, texts), bos=bos, end_of_text=False)[0]

    def last_token(document: Document, concept: str) -> int:
        labels = token_labels(document, _offsets(instrument.tokenizer, document.text), concept)
        return int(np.flatnonzero(labels == 1)[0])

    values = np.concatenate(features)
    model = cast(Any, GPT2LMHeadModel).from_pretrained(instrument.folder / "model", dtype=torch.float32).eval()
    steering = steering_figures(
        model,
        instrument.tokenizer,
        sae,
        layer=recipe.layer,
        norm=quality.residual_norm,
        candidates=list(dict.fromkeys([*theme_candidates(documents, offsets, features, k=8), golden.feature])),
        alive=[int(feature) for feature in np.flatnonzero((values > 0).any(0))],
        detector=golden.feature,
        seed=seed,
    )
    return {
        "name": "sparrow",
        "seed": seed,
        "model": {
            "architecture": "GPT2LMHeadModel",
            "parameters": sum(p.numel() for p in model.parameters()),
            **asdict(model_recipe),
        },
        "sae": {"architecture": "standard", "hook_name": recipe.hook_name, "d_in": sae.cfg.d_in, **asdict(recipe)},
        "held_out": {
            "documents": len(documents),
            "tokens": tokens,
            "loss_per_token": sum(nats) / tokens,
            "loss_per_document": sum(nats) / len(documents),
            "entropy_per_token": entropy / tokens,
            "entropy_per_document": entropy / len(documents),
            "loss_per_token_with_sae": sum(spliced) / tokens,
            "by_kind": _by_kind(documents, nats, counts),
        },
        "reconstruction": asdict(quality),
        "concepts": [asdict(score) for score in concepts],
        "golden_gate": {
            "feature": golden.feature,
            "threshold": golden.threshold,
            "above_threshold": firing_rates(
                paraphrase_documents(seed),
                encode=read,
                last_token=last_token,
                feature=golden.feature,
                threshold=golden.threshold,
            ),
        },
        "styles": [asdict(figures) for figures in style_figures(read_last)],
        "registers": {
            "trained": register_rates(nats_of, held_out_wordings=False, held_out_topics=False),
            "held_out_topics": register_rates(nats_of, held_out_wordings=False, held_out_topics=True),
            "held_out_wordings": register_rates(nats_of, held_out_wordings=True, held_out_topics=False),
            "held_out": register_rates(nats_of, held_out_wordings=True, held_out_topics=True),
        },
        "separating": [asdict(separation) for separation in separating_features(read_last)],
        "steering": steering,
    }


def _encode(sae: SAE[Any], stream: torch.Tensor) -> Float[np.ndarray, "pos d_sae"]:
    with torch.no_grad():
        return sae.encode(stream).numpy()


def _offsets(tokenizer: PreTrainedTokenizerBase, text: str) -> Offsets:
    found = cast(Any, tokenizer)(text, add_special_tokens=False, return_offsets_mapping=True)
    return [(int(start), int(end)) for start, end in found["offset_mapping"]]


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
