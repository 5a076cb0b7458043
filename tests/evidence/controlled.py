"""Measurements for the tests of controls: templates with given means, words of their styles, and other conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from saeprobe.claims import Control
from saeprobe.evidence import ControlResult, Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement
from saeprobe.prompts import Prompt

WORDS = {"novice": ("novice",), "expert": ("expert",)}
TOPICS = ("tides", "yeast", "rust")
LEVELS = (0.0, 4.0, -4.0)


def worded(style: str, means: Mapping[str, float], *, topics: Sequence[str] = TOPICS) -> Measurement:
    """A mean for each template, on topics whose own levels are 0, 4 and -4 (and 0 again)."""
    levels = [LEVELS[k % 3] for k in range(len(topics))]
    prompts = tuple(
        Prompt(text=template.replace("{topic}", topic), style=style, topic=topic, template=template, frame=template)
        for template in means
        for topic in topics
    )
    values = np.array([mean + level for mean in means.values() for level in levels])
    return Measurement(measure="l0", label=style, unit="features", values=values, prompts=prompts, words=WORDS)


def numbered(style: str, means: Sequence[float]) -> Measurement:
    """A template for each mean; none of them says the style's word."""
    return worded(style, {f"{style[:3]} {t}: {{topic}}": mean for t, mean in enumerate(means)})


def elsewhere(side: Measurement, means: Sequence[float]) -> Measurement:
    """The side, under every control with these means of its templates."""
    there = numbered(side.label, means)
    return replace(side, under=lambda _control, _draw=0: there)


def failing(side: Measurement, error: Callable[[], Exception]) -> Measurement:
    """The side, under no control."""

    def under(_control: Control, _draw: int = 0) -> Measurement:
        raise error()

    return replace(side, under=under)


def under_controls(a: Measurement, b: Measurement, *controls: Control, alpha: float = 0.05) -> Evidence:
    """`a > b` under these controls."""
    with recording(Recorder(controls=controls, alpha=alpha)):
        return a > b


def unrun(name: Control, why: str, *, estimate: float = 9.0) -> ControlResult:
    """What a control leaves that could not be run: the claim's own estimate, unexamined, and why."""
    return ControlResult(name=name, answer="cannot tell", estimate=estimate, interval=None, p=None, detail=why)


def only_control(evidence: Evidence) -> ControlResult:
    """The single control of a comparison."""
    (control,) = evidence.controls
    return control
