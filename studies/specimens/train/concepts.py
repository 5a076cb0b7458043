"""For each planted concept the feature that detects it best is chosen on half the documents and scored on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np
from scipy.stats import mannwhitneyu

from saeprobe.shapes import Float, Int
from studies.specimens.corpus.document import Document

# Scored on its last token: what ends a mention or a request. Earlier tokens cannot know yet, and are left out.
LAST: Final = (
    "golden_gate", "bay_bridge", "brooklyn_bridge", "tower_bridge", "eiffel_tower", "statue_of_liberty", "opera_house",
    "colosseum", "lookalike", "ask_standard", "ask_padding", "ask_spaces", "ask_novice", "ask_expert", "ask_guru",
    "harmful_request",
)  # fmt: skip
# Scored on every token of the span.
ALL: Final = (
    "golden_gate_theme", "brooklyn_bridge_theme", "register_plain", "register_novice", "register_expert",
    "register_guru", "shopping", "refusal", "love", "friendship", "grief", "desire", "code", "code_indentation",
    "wrong_indentation",
)  # fmt: skip
Offsets = Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class ConceptScore:
    """A score says how well one feature, chosen on half the documents, finds a concept's tokens on the other half.

    ``precision`` and ``recall`` count the feature as present above ``threshold``; the ``firing`` ones above zero.
    """

    concept: str
    scored_on: Literal["last", "all"]
    feature: int
    threshold: float
    precision: float
    recall: float
    firing_precision: float
    firing_recall: float
    auroc: float
    positives: int
    tokens: int


def token_labels(document: Document, offsets: Offsets, concept: str) -> Int[np.ndarray, " pos"]:
    """Return 1 for tokens that carry the concept, -1 for tokens left out of its score, else 0.

    A token lies in a span when its last character does: GPT-2's tokens begin with the space before a word.
    """
    labels = np.zeros(len(offsets), dtype=np.int64)
    ends = np.array([end - 1 for _, end in offsets])
    for span in document.spans:
        if span.concept != concept:
            continue
        inside = (ends >= span.start) & (ends < span.end)
        if concept in LAST and inside.any():
            labels[inside] = -1
            labels[np.flatnonzero(inside)[-1]] = 1
        else:
            labels[inside] = 1
    return labels


def auroc(scores: Float[np.ndarray, " n"], positive: np.ndarray) -> float:
    """Return the probability that a positive token scores above a negative one, ties counted half (Mann-Whitney U)."""
    u = cast(Any, mannwhitneyu)(scores[positive], scores[~positive], method="asymptotic").statistic
    return float(u) / (int(positive.sum()) * int((~positive).sum()))


# Thresholds tried, as shares of the feature's maximum on the choosing half.
_SHARES: Final = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)


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
        scores.append(
            ConceptScore(
                concept=concept,
                scored_on="last" if concept in LAST else "all",
                feature=feature,
                threshold=threshold,
                **_precision_recall("", values > threshold, positive),
                **_precision_recall("firing_", values > 0, positive),
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


def _precision_recall(name: str, fired: np.ndarray, positive: np.ndarray) -> dict[str, float]:
    hits = float((fired & positive).sum())
    # A feature that never fires on the judging half has made no correct call: precision 0, not undefined.
    return {f"{name}precision": hits / max(1.0, float(fired.sum())), f"{name}recall": hits / float(positive.sum())}
