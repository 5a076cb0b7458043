"""Asking: what a collected probe needs of a subject, known before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

from saeprobe.captures import Capture, Steering
from saeprobe.claims import Claim

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
