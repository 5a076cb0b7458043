"""Which tokens of a document carry a planted concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from studies.specimens.corpus.document import Document

# Scored on its last token: what ends a mention or a request. Earlier tokens cannot know yet, and are left out.
LAST = (
    "golden_gate", "bay_bridge", "brooklyn_bridge", "tower_bridge", "eiffel_tower", "statue_of_liberty", "opera_house",
    "colosseum", "lookalike", "ask_standard", "ask_padding", "ask_spaces", "ask_novice", "ask_expert", "ask_guru",
    "harmful_request",
)  # fmt: skip


# Scored on every token of the span.
ALL = (
    "golden_gate_theme", "brooklyn_bridge_theme", "register_plain", "register_novice", "register_expert",
    "register_guru", "shopping", "refusal", "love", "friendship", "grief", "desire", "code", "code_indentation",
    "wrong_indentation",
)  # fmt: skip


Offsets = Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class ConceptScore:
    """How well one feature tells a concept's tokens from others: chosen on half the documents, scored on the other.

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
    values, inverse = np.unique(scores, return_inverse=True)
    counts = np.bincount(inverse, minlength=len(values))
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    n_pos = int(positive.sum())
    n_neg = len(scores) - n_pos
    return float((ranks[positive].sum() - n_pos * (n_pos + 1) / 2.0) / (n_pos * n_neg))
