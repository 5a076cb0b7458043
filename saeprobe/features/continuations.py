"""Continuations are what a subject wrote after each prompt, unsteered and under each arm of a steering experiment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saeprobe.files import visible
from saeprobe.prompts import Prompt

Arm = Literal["unsteered", "steered", "random"]


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A continuation is a text that a subject wrote after a prompt.

    `features` are those whose directions were added (none when unsteered). `log_prob`, its fluency, is the mean
    log-probability of its tokens under the unsteered model, in nats a token.
    """

    prompt: Prompt
    arm: Arm
    features: tuple[int, ...]
    strength: float
    sample: int
    text: str
    log_prob: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Continuations:
    """A steering experiment, or one arm of it, holds continuations.

    A fresh result gives by `at(strength)` its steered arm, by `unsteered` the arm to which nothing was added and by
    `random_feature` the arms of other features at equal norm.
    """

    subject: str
    items: tuple[Continuation, ...]
    arm: Arm = "steered"

    def __repr__(self) -> str:
        return visible(f"<Continuations of {self.subject}: {len(self.arm_items)}, {self.label}>")

    def at(self, strength: float) -> Continuations:
        """Return this arm at one strength; 0 is the unsteered arm.

        Raises:
            KeyError: the experiment did not run at that strength.
        """
        if strength == 0:
            return self.unsteered
        chosen = tuple(item for item in self.items if item.arm == self.arm and item.strength == strength)
        if not chosen:
            run = sorted({item.strength for item in self.items if item.arm == self.arm})
            raise KeyError(f"no {self.arm} continuations at strength {strength}; there are: {run}")
        return replace(self, items=chosen)

    @property
    def unsteered(self) -> Continuations:
        """Return the arm to which nothing was added."""
        chosen = tuple(item for item in self.items if item.arm == "unsteered")
        return replace(self, items=chosen, arm="unsteered")

    @property
    def random_feature(self) -> Continuations:
        """Return the arms in which other features, drawn at random, were added at equal norm."""
        return replace(self, arm="random")

    @property
    def arm_items(self) -> tuple[Continuation, ...]:
        """Return the continuations of this arm."""
        return tuple(item for item in self.items if item.arm == self.arm)

    @property
    def label(self) -> str:
        """Name the arm for reports: `steered at 12`, `random features at 12` or `unsteered`."""
        if self.arm == "unsteered":
            return "unsteered"
        strengths = sorted({item.strength for item in self.items if item.arm == self.arm})
        name = "steered" if self.arm == "steered" else "random features"
        return f"{name} at {', '.join(f'{strength:g}' for strength in strengths)}"
