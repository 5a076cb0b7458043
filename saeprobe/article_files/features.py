"""`features_layer50.pt`: what the SAE makes of the activations, one vector of features a topic and style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from saeprobe.article_files.errors import ArticleFileError


@dataclass(frozen=True, kw_only=True, eq=False)
class ArticleFeatures:
    """Feature activations of the last prompt token.

    Attributes:
        topics: one an entry of the file.
        gurus: the name that the guru prompt uses, one a topic; empty where the file gives none.
        features: by style in the file's order, float32 sparse rows `[topics, d_sae]`, only values above zero stored.
    """

    topics: tuple[str, ...]
    gurus: tuple[str, ...]
    features: Mapping[str, csr_array]

    def __post_init__(self) -> None:
        shapes = {style: tuple(rows.shape) for style, rows in self.features.items()}
        if len(set(shapes.values())) != 1 or {shape[0] for shape in shapes.values()} != {len(self.topics)}:
            raise ValueError(f"features of shapes {shapes} for {len(self.topics)} topics; wanted [topics, d_sae] each")
        if len(self.gurus) != len(self.topics):
            raise ValueError(f"{len(self.gurus)} gurus for {len(self.topics)} topics; wanted one a topic")

    @property
    def styles(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(self.features)

    @property
    def d_sae(self) -> int:
        """Features of the SAE."""
        return int(next(iter(self.features.values())).shape[1])


def read_features(path: Path) -> ArticleFeatures:
    """Read a list of dicts with `topic`, `guru` (may be absent) and `<style>_features` tensors `[d_sae]`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is damaged, refers to code, is not of this shape, or holds a value below zero.
    """
    from saeprobe.recorded.files import FEATURES, read_entries

    entries = read_entries(path, FEATURES)
    features: dict[str, csr_array] = {}
    for style in entries.tensors:
        rows = entries.matrix(style)
        if rows.min() < 0:
            entry, index = np.unravel_index(int(rows.argmin()), rows.shape)
            raise ArticleFileError(
                path,
                f"entry {entry} (topic {entries.topics[entry]!r}), key '{style}_features': value {rows[entry, index]} "
                f"at index {index}",
                wanted="feature activations, which are 0 or above",
                remedy="activations before the SAE are encoded with 'saeprobe encode'",
            )
        features[style] = csr_array(rows)
    return ArticleFeatures(topics=entries.topics, gurus=entries.gurus, features=features)


def write_features(path: Path, features: ArticleFeatures) -> None:
    """Write the file in the article's shape (dense: 4 bytes a feature, topic and style), whole or not at all."""
    from saeprobe.recorded.files import FEATURES, write_entries

    write_entries(
        path,
        FEATURES,
        topics=features.topics,
        gurus=features.gurus,
        rows={style: list(rows.toarray()) for style, rows in features.features.items()},
    )
