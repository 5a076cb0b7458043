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
    restricts every wording to those styles; empty, all are read.
    """

    name: str
    sets: Mapping[str, PromptSet | Path] = field(hash=False)  # a mapping has no hash; equal choices still hash alike
    styles: tuple[str, ...] = ()

    def for_wording(self, wording: str) -> PromptSet:
        """The set that a subject with this wording reads.

        Raises:
            KeyError: there is no such set, or it lacks one of the styles.
            PromptError: the file of the set cannot be used.
        """
        if wording not in self.sets:
            near = did_you_mean(wording, self.sets)
            raise KeyError(
                f"{self.name} has no prompts in the wording {wording!r}{near}; there are: {', '.join(self.sets)}"
            )
        found = self.sets[wording]
        prompts = _read_once(found) if isinstance(found, Path) else found
        return prompts.only(*self.styles) if self.styles else prompts

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


@cache
def _read_once(path: Path) -> PromptSet:
    return PromptSet.from_file(path)
