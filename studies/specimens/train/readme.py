"""The model card for people is written from the measured card alone."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import StrictUndefined, Template


def write_readme(card: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    text = (resources.files("studies.specimens.train") / "card.md.j2").read_text(encoding="utf-8")
    return Template(text, undefined=StrictUndefined).render(card)
