"""The error of prompts: what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path


class PromptError(ValueError):
    """A prompt or a file of prompts cannot be used.

    `path` is the file, None for prompts built in Python; `where` the place in it, empty for the file as a whole.
    """

    def __init__(self, problem: str, *, remedy: str, where: str = "", path: Path | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.where = where
        self.path = path
        place = ", ".join(part for part in ("" if path is None else str(path), where) if part)
        super().__init__(f"{place + ': ' if place else ''}{problem}; {remedy}")
