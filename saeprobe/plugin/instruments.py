"""Instruments: the check of each subject of a run, made from stored captures; its figures are kept beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from saeprobe.captures import Capture
from saeprobe.files import write_whole
from saeprobe.prompts import NEUTRAL, PromptSet
from saeprobe.store import instrument, plan
from saeprobe.store.instrument import InstrumentCheck, LayerFit
from saeprobe.store.plan import prompts_for
from saeprobe.store.store import Store, reading_key
from saeprobe.subject.specification import Subject, Want

FIGURES = "figures 1"
"""Written into each file of figures; one that does not say so counts as not there."""


class Instruments:
    """The checks of a run.

    The activations of the neutral text are large and the figures made from them are few: these are written once, under
    a name that says exactly what was read, and a run that finds them reads no activations.
    """

    def __init__(self, store: Store, folder: Path, neutral: Mapping[str, PromptSet]) -> None:
        self._store = store
        self._folder = folder / "instruments"
        self._neutral = neutral

    def captures(self, subject: Subject) -> dict[int, Capture]:
        """What must be read for the check of a subject, by shift.

        Raises:
            SubjectError: its model and SAE do not belong together.
        """
        return instrument.captures(subject.yardstick(), prompts=self._neutral.get(subject.name, NEUTRAL))

    def check(self, subject: Subject) -> InstrumentCheck:
        """The check of a subject whose neutral text was read.

        Raises:
            PlanError: it was not read.
        """
        wanted = self.captures(subject)
        hook_name = subject.identity().hook_name
        file = self._folder / f"{_name_of(subject, wanted)}.json"
        fits = _kept(file)
        if fits is None:
            read = {shift: plan.features(subject, capture, self._store) for shift, capture in wanted.items()}
            fits = [instrument.fit_of(of, shift=shift, hook_name=hook_name) for shift, of in read.items()]
            figures = {"kind": FIGURES, "subject": subject.name, "layers": [asdict(fit) for fit in fits]}
            write_whole(file, json.dumps(figures, indent=1, allow_nan=False).encode())
        return instrument.judge(fits, subject.yardstick(), hook_name=hook_name)


def check_of(plain: Mapping[str, Any]) -> InstrumentCheck:
    """A check from its fields in plain types, as a worker sends it."""
    layers = tuple(LayerFit(**fit) for fit in plain["layers"])
    fields: dict[str, Any] = {**plain, "layers": layers, "findings": tuple(plain["findings"])}
    return InstrumentCheck(**fields)


def _name_of(subject: Subject, wanted: Mapping[int, Capture]) -> str:
    """SHA-256 over everything that decides the figures: the keys of all readings."""
    fingerprint = subject.identity().fingerprint
    keys = sorted(
        reading_key(fingerprint, prompt.text, Want(at=one.at, keep=one.keep, shift=one.shift, raw=one.raw))
        for one in wanted.values()
        for prompt in prompts_for(one.prompts, subject)
    )
    return hashlib.sha256("\n".join([FIGURES, *keys]).encode()).hexdigest()


def _kept(file: Path) -> list[LayerFit] | None:
    """The figures in a file; None where there is none, or another thing than figures."""
    try:
        held = cast("object", json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    figures = cast("dict[str, Any]", held) if isinstance(held, dict) else {}
    if figures.get("kind") != FIGURES:
        return None
    try:
        return [LayerFit(**fit) for fit in figures["layers"]]
    except (KeyError, TypeError):
        return None
