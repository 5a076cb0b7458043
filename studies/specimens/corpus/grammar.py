"""The corpus mixes kinds of documents in fixed shares, and splits are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from studies.specimens.corpus.document import Document, Draw, seeded, unmark
from studies.specimens.corpus.everyday import code, feeling, note, refusal, shopping
from studies.specimens.corpus.explanations import explanation
from studies.specimens.corpus.landmarks import landmark

_KINDS: tuple[tuple[str, Callable[[Draw], str], float], ...] = (
    ("explanation", explanation, 0.38),
    ("landmark", landmark, 0.20),
    ("shopping", shopping, 0.12),
    ("refusal", refusal, 0.08),
    ("feeling", feeling, 0.11),
    ("code", code, 0.06),
    ("note", note, 0.05),
)


def generate(seed: int) -> Iterator[Document]:
    """Yield documents without end, the same ones for the same seed."""
    rng = seeded(seed)
    while True:
        draw = Draw(rng)
        name, write = draw.weighted([((name, write), share) for name, write, share in _KINDS])
        text, spans = unmark(write(draw))
        yield Document(kind=name, text=text, spans=spans, log_prob=draw.log_prob)


def splits(seed: int, *, train: int, held_out: int) -> tuple[list[Document], list[Document]]:
    """Return ``train`` documents, and at most ``held_out`` others of which none is among them or occurs twice."""
    source = generate(seed)
    trained = [next(source) for _ in range(train)]
    # Draws from another seed: the held-out documents do not change with the amount of training.
    fresh = generate(seed + 1_000_003)
    candidates = [next(fresh) for _ in range(held_out)]
    known = {document.text for document in trained}
    kept: list[Document] = []
    for document in candidates:
        if document.text not in known:
            known.add(document.text)
            kept.append(document)
    return trained, kept
