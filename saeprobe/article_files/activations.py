"""`activations_layer50.pt`: what the model computed at the hook, one vector a topic and style."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class ArticleActivations:
    """Activations of the last prompt token.

    Attributes:
        topics: one an entry of the file.
        gurus: the name that the guru prompt uses, one a topic; empty where the file gives none.
        styles: in the file's order.
        activations: float32, `[topics, styles, d_in]`.
    """

    topics: tuple[str, ...]
    gurus: tuple[str, ...]
    styles: tuple[str, ...]
    activations: Float[np.ndarray, "topics styles d_in"]

    def __post_init__(self) -> None:
        wanted = (len(self.topics), len(self.styles))
        if self.activations.ndim != 3 or self.activations.shape[:2] != wanted or len(self.gurus) != wanted[0]:  # noqa: PLR2004 - three axes
            raise ValueError(
                f"activations of shape {list(self.activations.shape)} and {len(self.gurus)} gurus; "
                f"wanted [{wanted[0]} topics, {wanted[1]} styles, d_in] and a guru a topic"
            )
        if not np.isfinite(self.activations).all():
            raise ValueError("activations hold NaN or infinity; wanted finite numbers")

    @property
    def d_in(self) -> int:
        """Width of the residual stream."""
        return int(self.activations.shape[2])

    def style(self, style: str) -> Float[np.ndarray, "topics d_in"]:
        """The activations of one style.

        Raises:
            KeyError: the file has no such style.
        """
        if style not in self.styles:
            raise KeyError(f"no style {style!r}; there are: {', '.join(self.styles)}")
        return self.activations[:, self.styles.index(style)]


def read_activations(path: Path) -> ArticleActivations:
    """Read a list of dicts with `topic`, `guru` (may be absent) and `<style>_activation` tensors `[1, d_in]`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is damaged, refers to code, or is not of this shape.
    """
    from saeprobe.recorded.files import ACTIVATIONS, read_entries

    entries = read_entries(path, ACTIVATIONS)
    return ArticleActivations(
        topics=entries.topics,
        gurus=entries.gurus,
        styles=tuple(entries.tensors),
        activations=np.stack([entries.matrix(style) for style in entries.tensors], axis=1),
    )


def write_activations(path: Path, activations: ArticleActivations) -> None:
    """Write the file in the article's shape, whole or not at all."""
    from saeprobe.recorded.files import ACTIVATIONS, write_entries

    write_entries(
        path,
        ACTIVATIONS,
        topics=activations.topics,
        gurus=activations.gurus,
        rows={style: list(activations.style(style)) for style in activations.styles},
    )
