"""Downloads: what a subject needs from the Hub, and the sentence that says how to get it. Nothing is fetched here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MIRROR = "where huggingface.co is out of reach, put HF_ENDPOINT=https://hf-mirror.com before it"


@dataclass(frozen=True, kw_only=True)
class Download:
    """What a subject needs from the Hub.

    Attributes:
        repo: the repository.
        revision: branch, tag or commit; None for its main branch.
        patterns: of the files; all where there is none.
        depth: of a sharded model only what the blocks below this depth need; None for all of it.
    """

    repo: str
    revision: str | None = None
    patterns: tuple[str, ...] = ()
    depth: int | None = None


def absent(what: Iterable[str], name: str) -> str:
    """The sentence that says which weights of the subject `name` are absent and what brings them."""
    return f"the weights of {' and '.join(what)} are not here; run: saeprobe fetch {name} ({_MIRROR})"
