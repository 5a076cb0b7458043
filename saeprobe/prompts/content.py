"""Contents: what a prompt file holds, before the checks that all prompts pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from saeprobe.prompts.crossing import Placed


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds. `placed` are its prompts with their places, not checked yet and drawn once.

    `words` are the own words of each style that says it has some, and `neutral` is the style that has none.
    """

    name: str
    language: str
    placed: Iterable[Placed]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    neutral: str | None = None
