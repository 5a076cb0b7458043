"""Prompts are what is asked of a subject, by style, topic and template; some sets are built in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from saeprobe.claims import NotRun
from saeprobe.prompts.prompt import Prompt, PromptError
from saeprobe.prompts.promptset import PromptChoice, PromptSet, built_in

__all__ = ["BRIDGES", "CONCEPTS", "NEUTRAL", "SHOPPING", "STYLES"]
__all__ += ["Prompt", "PromptChoice", "PromptError", "PromptFile", "PromptSet"]


STYLES: Final = built_in("styles", specimen="specimen", english="styles_en", chinese="styles_zh")
"""Explain a topic, in six styles: standard, padding, spaces, novice, expert, guru."""

SHOPPING: Final = built_in("shopping", specimen="specimen_shopping", english="shopping_en", chinese="shopping_zh")
"""Sentences about shopping for a model to go on with; a steering feature is picked on `choose`, judged on `judge`."""

# What publishers measure their SAEs on is English as a rule, so a Chinese wording has the same neutral text.
NEUTRAL: Final = built_in("neutral", specimen="neutral_specimen", english="neutral_english", chinese="neutral_english")
"""Plain text on which an instrument is checked: the specimens' own kind of documents, or everyday English prose."""

BRIDGES: Final = built_in("bridges", specimen="bridges_specimen", english="bridges_en")
"""Sentences that say `bridge`, `other` ones that do not, and the SAE manual's sentence and its like, for `reading`."""

CONCEPTS: Final = built_in("concepts", specimen="concepts_specimen", english="concepts_en")
"""Sentences of unrelated kinds, such as landmarks and code, or cats and quantum mechanics; the styles are the kinds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptFile:
    """A prompt file is read by a subject in the place of STYLES, and of all that is made of it.

    `digest` is the beginning of the SHA-256 of its bytes.
    """

    name: str
    digest: str
    prompts: PromptSet

    def __str__(self) -> str:
        return f"{self.name} ({self.digest})"

    @classmethod
    def read(cls, path: Path) -> PromptFile:
        """Read a file in any form that `PromptSet.from_file` takes; raises as it does."""
        prompts = PromptSet.from_file(path)
        return cls(name=path.name, digest=sha256(path.read_bytes()).hexdigest()[:8], prompts=prompts)

    def lacking(self, choice: PromptChoice) -> dict[str, str]:
        """Say, by style, of those that a choice made of STYLES has and the file lacks, what to do."""
        wanted = choice.styles or STYLES.for_wording("english").styles
        there = ", ".join(self.prompts.styles)
        remedy = "to it, or give another file"
        return {
            style: f"the prompt file {self} has no style {style!r}; there are: {there}; add [styles.{style}] {remedy}"
            for style in wanted
            if style not in self.prompts.styles
        }

    @lru_cache  # noqa: B019 - files are few and stay for a run; each draw of a random control asks again
    def in_place_of(self, choice: PromptChoice) -> PromptSet:
        """Return what is read where a choice made of STYLES is asked for.

        Raises:
            NotRun: the file lacks a style that the choice names, or words that are to be pasted in.
        """
        for why in self.lacking(choice).values() if choice.styles else ():
            raise NotRun(why)
        try:
            return replace(choice, sets={self.name: self.prompts}).for_wording(self.name)
        except ValueError as error:
            raise NotRun(f"the prompt file {self}: {error}") from error
