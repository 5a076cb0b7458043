"""Prompts are what is asked of a subject, by style, topic and template; some sets are built in."""

from __future__ import annotations

from typing import Final

from saeprobe.prompts.prompt import Prompt, PromptError
from saeprobe.prompts.promptset import PromptChoice, PromptSet, built_in

__all__ = ["BRIDGES", "CONCEPTS", "NEUTRAL", "SHOPPING", "STYLES", "Prompt", "PromptChoice", "PromptError", "PromptSet"]


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
