"""Which tokens carry a concept, and how a feature is scored on them."""

from __future__ import annotations

import numpy as np
import pytest

from studies.specimens.corpus.document import Document, Span
from studies.specimens.train.concepts import ALL, LAST, auroc, score_concepts, token_labels

# "I saw the red bridge." in GPT-2's manner: a token begins with the space before its word.
_TEXT = "I saw the red bridge."
_OFFSETS = [(0, 1), (1, 5), (5, 9), (9, 13), (13, 20), (20, 21)]


def _document(concept: str) -> Document:
    span = Span(concept=concept, start=6, end=20)
    return Document(kind="landmark", text=_TEXT, spans=(span,), log_prob=-1.0)


def test_a_mention_is_scored_on_its_last_token_alone() -> None:
    """Tokens before the last of a mention are left out: they cannot know yet."""
    assert token_labels(_document("golden_gate"), _OFFSETS, "golden_gate").tolist() == [0, 0, -1, -1, 1, 0]


def test_a_theme_is_scored_on_every_token_of_its_span() -> None:
    """Spans of states, not mentions, count in full."""
    assert token_labels(_document("love"), _OFFSETS, "love").tolist() == [0, 0, 1, 1, 1, 0]


def test_other_concepts_leave_no_label() -> None:
    """A span counts for its own concept only."""
    assert not token_labels(_document("love"), _OFFSETS, "grief").any()


def test_auroc_counts_ties_half() -> None:
    """Positives 2 and 1 against negatives 1 and 0: three pairs won, one tied, of four."""
    scores = np.array([2.0, 1.0, 1.0, 0.0])
    assert auroc(scores, np.array([True, True, False, False])) == pytest.approx(3.5 / 4)


def test_a_planted_feature_is_found_and_scored_on_the_other_half() -> None:
    """Feature 2 fires on the concept's tokens, and once elsewhere on the judging half: precision 2/3, recall 1."""
    documents, offsets, features = [], [], []
    for at in range(4):
        spans = tuple(Span(concept=concept, start=6, end=20) for concept in (*LAST, *ALL))
        documents.append(Document(kind="landmark", text=_TEXT, spans=spans, log_prob=-1.0))
        offsets.append(_OFFSETS)
        values = np.zeros((6, 4), dtype=np.float32)
        values[4, 2] = 1.0
        if at == 1:
            values[0, 2] = 1.0
        features.append(values)
    score = next(s for s in score_concepts(documents, offsets, features) if s.concept == "golden_gate")
    assert (score.feature, score.recall, score.positives) == (2, 1.0, 2)
    assert score.precision == pytest.approx(2 / 3)


def test_a_concept_without_tokens_is_an_error_that_asks_for_more_documents() -> None:
    """A precision over nothing is never invented."""
    documents = [Document(kind="note", text=_TEXT, spans=(), log_prob=-1.0)] * 2
    with pytest.raises(ValueError, match="no token of 'golden_gate' in one half of 2 documents"):
        score_concepts(documents, [_OFFSETS] * 2, [np.ones((6, 4), dtype=np.float32)] * 2)
