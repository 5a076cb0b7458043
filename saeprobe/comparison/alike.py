"""Alike: whether a difference between two sides could be put down to what they are compared for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from saeprobe.captures import places_apart

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement
    from saeprobe.prompts import Prompt


class Read(Protocol):
    """What was read of some prompts, at some tokens of each."""

    @property
    def label(self) -> str:
        """Which prompts these are, in words."""
        ...

    @property
    def place(self) -> str:
        """The tokens that were read, in words; empty where nobody tells."""
        ...

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts."""
        ...


def side_by_side(a: Measurement, b: Measurement) -> tuple[Measurement, Measurement]:
    """The two sides of a comparison, named by the tokens read where these differ; the same prompts may be both sides.

    Raises:
        TypeError: as for `check_sides`.
    """
    if [prompt.text for prompt in a.prompts] != [prompt.text for prompt in b.prompts]:
        check_sides(a, b)
    if a.place == b.place:
        return a, b
    return replace(a, label=f"{a.label} at {_told(a)}"), replace(b, label=f"{b.label} at {_told(b)}")


def check_sides(a: Read, b: Read) -> None:
    """See that prompts are all that two sides differ by.

    Raises:
        TypeError: they were read at different tokens, with no text to account for that, or share prompts.
    """
    if places_apart(a.place, b.place):
        raise TypeError(
            f"{a.label} was read at {_told(a)} and {b.label} at {_told(b)}: no difference could be put down to the "
            "prompts; read both at the same tokens"
        )
    shared = {prompt.text for prompt in a.prompts} & {prompt.text for prompt in b.prompts}
    if shared:
        raise TypeError(
            f"{a.label} and {b.label} share {len(shared)} prompts, such as {min(shared)!r}: a part was put beside the "
            'whole; name a style of each capture, as in styles["novice"]'
        )


def _told(of: Read) -> str:
    return of.place or "tokens that nobody tells"
