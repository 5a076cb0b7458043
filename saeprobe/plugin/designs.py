"""Designs: before anything runs, which effects the prompts of each claim can show, and what they cannot decide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saeprobe.captures import Capture
from saeprobe.plugin.items import Asked
from saeprobe.statistics.power import design_line
from saeprobe.store.plan import prompts_for
from saeprobe.subject.protocol import Subject

FEW: Final = 3
"""So many claims are named in a line; more are counted, unless nothing can decide them."""

_UNDECIDABLE: Final = ("cannot decide anything", "nothing can be compared")
"""What the line of a design says that is out of reach of alpha, or has nothing to pair."""


def designs_in_words(asked: Iterable[Asked], subject: Subject, *, alpha: float) -> list[str]:
    """A line for each design of the captures that claims on `subject` rest on, with what it can decide."""
    claims: dict[str, list[str]] = {}
    for each in asked:
        if each.claim is None or each.subject != subject.name or not isinstance(each.declared, Capture):
            continue
        prompts = prompts_for(each.declared.prompts, subject)
        line = design_line(prompts.prompts, over=each.claim.over, alpha=alpha)
        of_line = claims.setdefault(line, [])
        if each.claim.id not in of_line:
            of_line.append(each.claim.id)
    return [f"{subject.name}: for {_told(ids, line)}, {line}" for line, ids in claims.items()]


def _told(ids: list[str], line: str) -> str:
    if len(ids) > FEW and not any(phrase in line for phrase in _UNDECIDABLE):
        return f"{len(ids)} claims"
    return " and ".join([", ".join(ids[:-1]), ids[-1]] if len(ids) > 1 else ids)
