"""Wording: what is left of an effect in the wordings that do without the styles' own words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from saeprobe.evidence.controls.results import Again, not_run, what_is_left
from saeprobe.evidence.evidence import ControlResult, Recorder
from saeprobe.evidence.units import Compared
from saeprobe.prompts.words import mentions

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement

UNKNOWN_WORDS: Final = (
    'nothing tells which words are the styles\' own; a file of prompts does by words = ["..."] under each style'
)


def wording_control(
    a: Measurement, b: Measurement, compared: Compared, terms: Recorder, *, again: Again
) -> ControlResult:
    """Repeat the comparison on the prompts of either side that say none of the words of either style."""
    words = own_words(a, b)
    if not words:
        return not_run("wording", "persists", compared, UNKNOWN_WORDS)
    said = " and ".join(f"'{word}'" for word in words)
    kept = _without(a, words), _without(b, words)
    least = 2 if compared.units.startswith("templates") else 1
    for side, rest in zip((a, b), kept, strict=True):
        there, left = n_templates(side), 0 if rest is None else n_templates(rest)
        if left < least:
            why = f"{left} of {there} wordings of {side.label} do without {said}; at least {least} are needed"
            return not_run("wording", "persists", compared, why)
    rest_a, rest_b = kept
    if rest_a is None or rest_b is None:  # `left` was 0 then
        raise AssertionError("a side without prompts was let through")
    told = f"in the {n_templates(rest_a)} + {n_templates(rest_b)} wordings without {said}"
    return what_is_left("wording", compared, again(rest_a, rest_b), terms, told=told)


def own_words(a: Measurement, b: Measurement) -> tuple[str, ...]:
    """The words that the styles on either side call themselves by, each once."""
    styles = dict.fromkeys(prompt.style for side in (a, b) for prompt in side.prompts)
    return tuple(dict.fromkeys(word for style in styles for of in (a, b) for word in of.words.get(style, ())))


def n_templates(of: Measurement) -> int:
    """How many templates a measurement has."""
    return len({prompt.template for prompt in of.prompts})


def _without(of: Measurement, words: tuple[str, ...]) -> Measurement | None:
    """The prompts that say none of the words; None where all do. A template's text alone would show its fields."""
    chosen = np.array([not mentions(prompt.text, words) for prompt in of.prompts])
    if not chosen.any():
        return None
    return replace(
        of,
        values=of.values[chosen],
        prompts=tuple(prompt for prompt, keep in zip(of.prompts, chosen, strict=True) if keep),
        n_tokens=None if of.n_tokens is None else of.n_tokens[chosen],
        family=of.whole,
        near=None if of.near is None else of.near.chosen(chosen),
    )
