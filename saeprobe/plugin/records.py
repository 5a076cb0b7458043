"""A record is held against its subject; where that cannot be, the plan and the report say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from saeprobe.captures import Capture
from saeprobe.plugin.collecting import Asked
from saeprobe.recorded.directory import topics_unlike
from saeprobe.recorded.stated import Stated
from saeprobe.store.plan import prompts_for
from saeprobe.subject.local import Subject

AS_PUBLISHED: Final = "-as-published"
"""The name of a subject that repeats a published protocol ends so; recorded evidence stands for such a subject."""


def stated_by(subject: Subject) -> Stated:
    """Return what recorded files are held against: what is declared, or the subject's files say where they are."""
    found = subject.located if subject.wrong is None and subject.missing() is None else None
    read, shape = (subject.spec, subject.spec.shape) if found is None else (found.pairing, found.shape)
    return Stated(subject=subject.name, d_sae=read.d_sae, hook_name=read.hook_name, d_in=shape and shape.hidden)


def in_words(folder: Path, subject: Subject, asked: Iterable[Asked]) -> str:
    """Name the folder, what of its files cannot be held against the subject, and those of other topics."""
    stated = stated_by(subject)
    captures = [each.declared for each in asked if each.subject == subject.name and isinstance(each.declared, Capture)]
    unlike = [
        topics_unlike(folder, each, replace(stated, prompts=prompts_for(each.prompts, subject)))
        for each in dict.fromkeys(captures)
    ]
    return f"{folder}{stated.unsaid}{''.join(dict.fromkeys(unlike))}"
