"""Measures on continuations: what a subject wrote under the arms of a steering experiment, one number a prompt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from saeprobe.evidence.values import Measurement
from saeprobe.features.continuations import Continuation, Continuations
from saeprobe.measures.reading import refuse_unwritten, told
from saeprobe.prompts import Prompt

SHOWN = 4
"""Continuations of an arm that the evidence shows: the first of as many templates, whatever they say."""


def mentions(text: str, of: Continuations) -> Measurement:
    """Share of a prompt's continuations that contain `text`, upper and lower case alike.

    Over samples, and over the random features where these are the random arms.

    Raises:
        TypeError: `text` is no text, or `of` no continuations.
        ValueError: the text is empty.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        raise TypeError(f'{told(text)} is no text; it stands first: mentions("Golden Gate", golden.at(20))')
    wanted = text.casefold()
    if not wanted:
        raise ValueError("mentions() was given an empty text, which everything contains")
    return _by_prompt(
        of, f"mentions of {text!r}", "share of continuations", lambda item: float(wanted in item.text.casefold())
    )


def fluency(of: Continuations) -> Measurement:
    """Mean log-probability of the continuations under the unsteered model, in nats a token; higher reads better."""
    return _by_prompt(of, "fluency", "nats a token", lambda item: item.log_prob)


def _by_prompt(of: Continuations, measure: str, unit: str, value: Callable[[Continuation], float]) -> Measurement:
    refuse_unwritten(of)
    by_prompt: dict[Prompt, list[float]] = {}
    for item in of.arm_items:
        by_prompt.setdefault(item.prompt, []).append(value(item))
    if not by_prompt:
        raise ValueError(f"there are no continuations of the arm {of.label!r}")
    first_of_template = {item.prompt.template: item for item in reversed(of.arm_items)}
    shown = list(reversed(first_of_template.values()))[:SHOWN]
    return Measurement(
        measure=measure,
        label=of.label,
        unit=unit,
        values=np.array([np.mean(values) for values in by_prompt.values()]),
        prompts=tuple(by_prompt),
        continuations=tuple((item.prompt.text, item.text) for item in shown),
    )
