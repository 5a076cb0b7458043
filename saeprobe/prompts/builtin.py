"""The built-in prompts. Their files are read when a subject first asks for them, not at import.

The wordings are `specimen`, for the shipped specimens and their small vocabulary, `english`, and `chinese`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from saeprobe.prompts.choice import PromptChoice

_DATA: Final = Path(__file__).parent / "data"

STYLES: Final = PromptChoice(
    name="styles",
    sets={
        "specimen": _DATA / "specimen.toml",
        "english": _DATA / "styles_en.toml",
        "chinese": _DATA / "styles_zh.toml",
    },
)
"""Explain a topic, in six styles: standard, padding, spaces, novice, expert, guru."""

SHOPPING: Final = PromptChoice(
    name="shopping",
    sets={
        "specimen": _DATA / "specimen_shopping.toml",
        "english": _DATA / "shopping_en.toml",
        "chinese": _DATA / "shopping_zh.toml",
    },
)
"""Sentences about shopping for a model to go on with; a steering feature is picked on `choose`, judged on `judge`."""

NEUTRAL: Final = PromptChoice(
    name="neutral",
    sets={
        "specimen": _DATA / "neutral_specimen.toml",
        "english": _DATA / "neutral_english.toml",
        "chinese": _DATA / "neutral_english.toml",  # what publishers measure their SAEs on is English as a rule
    },
)
"""Plain text on which an instrument is checked: the specimens' own kind of documents, or everyday English prose."""

BRIDGES: Final = PromptChoice(
    name="bridges",
    sets={
        "specimen": _DATA / "bridges_specimen.toml",
        "english": _DATA / "bridges_en.toml",
    },
)
"""Sentences that say `bridge`, `other` ones that do not, and the SAE manual's sentence and its like, for `reading`."""

CONCEPTS: Final = PromptChoice(
    name="concepts",
    sets={
        "specimen": _DATA / "concepts_specimen.toml",
        "english": _DATA / "concepts_en.toml",
    },
)
"""Sentences of unrelated kinds, such as landmarks and code, or cats and quantum mechanics; the styles are the kinds."""
