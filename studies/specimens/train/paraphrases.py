"""Whether the Golden Gate feature knows descriptions it was never trained on, and tells near rivals apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from studies.specimens.corpus.choice import Draw, seeded
from studies.specimens.corpus.document import Document, unmark
from studies.specimens.corpus.landmarks import Landmark, descriptions, landmarks, visit

Encode = Callable[[Sequence[Document]], Sequence[Float[np.ndarray, "pos d_sae"]]]


LastTokens = Callable[[Document, str], int]


def paraphrase_documents(seed: int) -> dict[str, list[tuple[Document, str]]]:
    """Return documents with one mention each, and the mark of the mention, by group.

    Groups: the Golden Gate Bridge by name, by a trained description and by one never trained, and each rival by
    descriptions never trained. Every description occurs once, in a drawn frame.
    """
    golden, *rivals = landmarks()
    draw = Draw(seeded(seed))
    groups = {
        "named": _visits(draw, golden, golden.names * 9),
        "described_as_trained": _visits(draw, golden, descriptions(golden, held_out=False)),
        "never_trained": _visits(draw, golden, descriptions(golden, held_out=True)),
    }
    for rival in rivals:
        groups[rival.key] = _visits(draw, rival, descriptions(rival, held_out=True))
    return groups


def firing_rates(
    groups: dict[str, list[tuple[Document, str]]],
    *,
    encode: Encode,
    last_token: LastTokens,
    feature: int,
    threshold: float,
) -> dict[str, dict[str, float]]:
    """Return, by group, the share of mentions whose last token exceeds the threshold, and their number."""
    rates: dict[str, dict[str, float]] = {}
    for group, pairs in groups.items():
        features = encode([document for document, _ in pairs])
        fired = [
            bool(values[last_token(document, concept), feature] > threshold)
            for (document, concept), values in zip(pairs, features, strict=True)
        ]
        rates[group] = {"rate": float(np.mean(fired)), "n": len(fired)}
    return rates


def _visits(draw: Draw, subject: Landmark, mentions: Sequence[str]) -> list[tuple[Document, str]]:
    found: list[tuple[Document, str]] = []
    for mention in mentions:
        text, spans = unmark(visit(draw, subject, mention))
        found.append((Document(kind="landmark", text=text, spans=spans, log_prob=float("nan")), subject.key))
    return found
