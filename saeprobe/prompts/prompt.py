"""One prompt, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt. `template` is the wording before the topic went in; it is the unit of replication."""

    text: str
    style: str
    topic: str
    template: str
