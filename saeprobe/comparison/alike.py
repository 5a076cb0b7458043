"""Alike: whether a difference between two measurements could be put down to what they are compared for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from saeprobe.captures import places_apart

if TYPE_CHECKING:
    from saeprobe.measurement import Measurement


def side_by_side(a: Measurement, b: Measurement) -> tuple[Measurement, Measurement]:
    """The two sides of a comparison, named by the tokens read where these differ.

    Raises:
        TypeError: they differ both in prompts and in the tokens read, with no text to account for that, or one side
            holds prompts of the other.
    """
    texts_a, texts_b = ([prompt.text for prompt in side.prompts] for side in (a, b))
    if texts_a != texts_b:
        if places_apart(a.place, b.place):
            raise TypeError(
                f"{a.name} was read at {_told(a)} and {b.name}, on other prompts, at {_told(b)}: no difference could "
                "be put down to the prompts; read both at the same tokens"
            )
        shared = set(texts_a) & set(texts_b)
        if shared:
            raise TypeError(
                f"{a.name} and {b.name} share {len(shared)} prompts, such as {min(shared)!r}: a part was put beside "
                'the whole; name a style of each capture, as in styles["novice"]'
            )
    if a.place == b.place:
        return a, b
    return replace(a, label=f"{a.label} at {_told(a)}"), replace(b, label=f"{b.label} at {_told(b)}")


def _told(of: Measurement) -> str:
    return of.place or "tokens that nobody tells"
