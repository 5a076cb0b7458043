"""Continuations: what a subject wrote after each prompt, unsteered and under each arm of a steering experiment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saeprobe.prompts import Prompt

Arm = Literal["unsteered", "steered", "random"]


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """One continuation.

    `features` are those whose directions were added (none when unsteered); `log_prob` is the mean log-probability of
    its tokens under the unsteered model, in nats a token: its fluency.
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
    """The continuations of a steering experiment, or those of one arm of it.

    A fresh result answers `at(strength)` with its steered arm, `unsteered` with the arm that nothing was added to and
    `random_feature` with the arms of other features at equal norm.
    """

    subject: str
    items: tuple[Continuation, ...]
    arm: Arm = "steered"

    def __repr__(self) -> str:
        return f"<Continuations of {self.subject}: {len(self.arm_items)}, {self.label}>"

    def at(self, strength: float) -> Continuations:
        """This arm at one strength; 0 is the unsteered arm.

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
        """The continuations to which nothing was added."""
        chosen = tuple(item for item in self.items if item.arm == "unsteered")
        return replace(self, items=chosen, arm="unsteered")

    @property
    def random_feature(self) -> Continuations:
        """The arms in which other features, drawn at random, were added at equal norm."""
        return replace(self, arm="random")

    @property
    def arm_items(self) -> tuple[Continuation, ...]:
        """The continuations of this arm."""
        return tuple(item for item in self.items if item.arm == self.arm)

    @property
    def label(self) -> str:
        """`steered at 12`, `random features at 12` or `unsteered`, for reports."""
        if self.arm == "unsteered":
            return "unsteered"
        strengths = sorted({item.strength for item in self.items if item.arm == self.arm})
        name = "steered" if self.arm == "steered" else "random features"
        return f"{name} at {', '.join(f'{strength:g}' for strength in strengths)}"
