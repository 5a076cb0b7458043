"""Parts of a store for tests: a subject of 65,536 features that no model stands behind, and readings of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saeprobe.features import Token
from saeprobe.store import Store
from saeprobe.store.tables import Part
from saeprobe.subject.specification import Identity, Reading, Want

WANT = Want(at="last", keep=frozenset({"features"}))


def identity(fingerprint: str = "f" * 64) -> Identity:
    """Return the identity of a subject whose stream is four wide."""
    words = dict.fromkeys(("name", "model", "model_hash", "sae", "sae_hash", "hook_name", "dtype", "protocol"), "x")
    return Identity(**words, d_in=4, d_sae=65536, fingerprint=fingerprint)


def part_of(store: Store, *texts: str, want: Want = WANT, fingerprint: str = "f" * 64) -> Part:
    """Return the part of these texts."""
    key_of = dict(zip(texts, store.reading_keys(fingerprint, want, texts), strict=True))
    return store.part(identity(fingerprint), want, key_of, (texts,))


def reading(n_active: int = 3, rows: int = 1, seed: int = 0) -> Reading:
    """Return a reading of the first characters of a text, drawn from the seed."""
    generator = np.random.default_rng(seed)
    return Reading(
        tokens=tuple(Token(position=row + 1, text="x", start=row, end=row + 1) for row in range(rows)),
        n_tokens=rows + 1,
        indices=tuple(np.sort(generator.choice(65536, n_active, replace=False)).astype(np.int32) for _ in range(rows)),
        values=tuple(generator.random(n_active).astype(np.float32) + 0.1 for _ in range(rows)),
        squared_error=np.arange(rows, dtype=np.float32),
    )


def written(root: Path, part: Part, *, n_active: int = 3, rows: int = 1) -> Path:
    """Write a part whose prompts have the seeds 0, 1, ... and return its file."""
    found = {key: reading(n_active, rows, seed) for seed, key in enumerate(part.prompts)}
    Store(root).add(part, found)
    (file,) = root.rglob(f"{part.name}.parquet")
    return file
