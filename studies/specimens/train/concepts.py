"""For each planted concept, the feature that detects it best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from studies.specimens.corpus.document import Document
from studies.specimens.train.labels import ALL, LAST, ConceptScore, Offsets, auroc, token_labels

# Thresholds tried, as shares of the feature's maximum on the choosing half.
_SHARES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)


def score_concepts(
    documents: Sequence[Document], offsets: Sequence[Offsets], features: Sequence[Float[np.ndarray, "pos d_sae"]]
) -> list[ConceptScore]:
    """Return, for every planted concept, the feature and threshold of best F1 on even documents, scored on odd ones."""
    chosen = np.concatenate(list(features[0::2]))
    judged = np.concatenate(list(features[1::2]))
    maxima = chosen.max(0)
    fires = [(share, (chosen > share * maxima).astype(np.float32)) for share in _SHARES]
    scores: list[ConceptScore] = []
    for concept in (*LAST, *ALL):
        labels = [token_labels(document, where, concept) for document, where in zip(documents, offsets, strict=True)]
        on_chosen, on_judged = np.concatenate(labels[0::2]), np.concatenate(labels[1::2])
        if not (on_chosen == 1).any() or not (on_judged == 1).any():
            raise ValueError(
                f"no token of {concept!r} in one half of {len(documents)} documents; hold out more of them"
            )
        feature, threshold = _best(fires, maxima, on_chosen)
        kept = on_judged >= 0
        values, positive = judged[kept, feature], on_judged[kept] == 1
        precision, recall = _precision_recall(values > threshold, positive)
        firing_precision, firing_recall = _precision_recall(values > 0, positive)
        scores.append(
            ConceptScore(
                concept=concept,
                scored_on="last" if concept in LAST else "all",
                feature=feature,
                threshold=threshold,
                precision=precision,
                recall=recall,
                firing_precision=firing_precision,
                firing_recall=firing_recall,
                auroc=auroc(values, positive),
                positives=int(positive.sum()),
                tokens=int(kept.sum()),
            )
        )
    return scores


def _best(
    fires: Sequence[tuple[float, Float[np.ndarray, "tokens d_sae"]]],
    maxima: Float[np.ndarray, " d_sae"],
    labels: np.ndarray,
) -> tuple[int, float]:
    """Return the feature and threshold of the highest F1 = 2 TP / (fired + positives)."""
    positive = (labels == 1).astype(np.float32)
    negative = (labels == 0).astype(np.float32)
    best = (-1.0, 0, 0.0)
    for share, fired in fires:
        hits = positive @ fired
        f1 = 2.0 * hits / (hits + negative @ fired + positive.sum())
        feature = int(f1.argmax())
        if f1[feature] > best[0]:
            best = (float(f1[feature]), feature, float(share * maxima[feature]))
    return best[1], best[2]


def _precision_recall(fired: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    hits = float((fired & positive).sum())
    # A feature that never fires on the judging half has made no correct call: precision 0, not undefined.
    return hits / max(1.0, float(fired.sum())), hits / float(positive.sum())
