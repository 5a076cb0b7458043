"""Choices: prompt sets of one design in several wordings, of which a subject reads its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.promptset import PromptSet


@dataclass(frozen=True, kw_only=True)
class PromptChoice:
    """Prompt sets of the same design in several wordings; a subject reads the one whose name it asks for.

    A set may be given as the path of its file, which is read when it is first asked for, once a process. `styles`
    restricts every wording to those styles; empty, all are read. `injects` gives of every wording the neutral prompts
    with the styles' words pasted in, as `PromptSet.injected`; `topics` keeps so many of the first, as
    `PromptSet.first_topics`, None all.
    """

    name: str
    sets: Mapping[str, PromptSet | Path] = field(hash=False)  # a mapping has no hash; equal choices still hash alike
    styles: tuple[str, ...] = ()
    injects: bool = False
    topics: int | None = None

    def for_wording(self, wording: str) -> PromptSet:
        """The set that a subject with this wording reads.

        Raises:
            KeyError: there is no such set, or it lacks one of the styles.
            PromptError: the file of the set cannot be used.
            ValueError: words are to be pasted in, and the set names none, or no neutral style.
        """
        if wording not in self.sets:
            near = did_you_mean(wording, self.sets)
            raise KeyError(
                f"{self.name} has no prompts in the wording {wording!r}{near}; there are: {', '.join(self.sets)}"
            )
        found = self.sets[wording]
        prompts = _read_once(found) if isinstance(found, Path) else found
        chosen = prompts.only(*self.styles) if self.styles else prompts
        read = chosen.injected() if self.injects else chosen
        return read if self.topics is None else read.first_topics(self.topics)

    def only(self, *styles: str) -> PromptChoice:
        """The choice restricted to these styles, in every wording; a style is looked for when a set is asked for.

        Raises:
            ValueError: no style is named, or one that an earlier `only` left out.
        """
        if not styles:
            raise ValueError(f"only() names no style of {self.name}; name one or more, such as only('novice')")
        for style in styles:
            if self.styles and style not in self.styles:
                raise ValueError(f"{self.name} is already restricted to {', '.join(self.styles)}, without {style!r}")
        return replace(self, styles=styles)

    def injected(self) -> PromptChoice:
        """The choice whose wordings are the neutral prompts with the words of each style pasted in."""
        return replace(self, injects=True)

    def first_topics(self, count: int) -> PromptChoice:
        """The choice whose wordings keep `count` topics, the first of each style."""
        return replace(self, topics=count)


@cache
def _read_once(path: Path) -> PromptSet:
    return PromptSet.from_file(path)
