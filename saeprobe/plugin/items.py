"""Asking: what a collected probe needs of a subject, known before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from saeprobe.captures import Capture, Steering
from saeprobe.claims import Claim, claim_of

Declared = Capture | Steering


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One capture or steering experiment that a probe needs of one subject.

    `claim` is what the probe decides, None for an ordinary test; `fixture` is the name of the capture in its `file`.
    """

    subject: str
    declared: Declared
    claim: Claim | None = None
    fixture: str = ""
    file: str = ""


def subject_of(item: pytest.Item) -> str | None:
    """The name of the subject that `item` is a variant for; several names joined by a plus sign where it is for all."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("subject")


def claim_of_item(item: pytest.Item) -> Claim | None:
    """The claim that an item decides."""
    return claim_of(getattr(item, "function", None))
