"""Experiments of steering whose arms lie at stated distances from the unsteered model, in nats a token."""

from __future__ import annotations

from saeprobe.captures import Arm, Continuation, Continuations
from saeprobe.prompts import Prompt

PROMPTS = tuple(Prompt(text=f"buy {n}", style="shopping", topic="milk", template=f"wording {n}") for n in range(8))
UNEVEN = (-0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4)  # between wordings; its mean is 0
BASE = -50.0


def steered_by(
    gain: float, *sets: float, samples: int = 1, later: float = 0.0, chosen_on: str = "other prompts"
) -> Continuations:
    """An experiment whose arms lie so far above the unsteered model; of the sets there is the first sample alone.

    The later samples of the unsteered and the steered arm lie `later` higher than their first.
    """
    arms: list[tuple[Arm, tuple[int, ...], float, int]] = []
    arms.append(("unsteered", (), 0.0, samples))
    arms.append(("steered", (7,), gain, samples))
    arms.extend(("random", (100 + number,), of_set, 1) for number, of_set in enumerate(sets))
    items = [
        Continuation(
            prompt=prompt,
            arm=arm,
            features=features,
            strength=0.0 if arm == "unsteered" else 20.0,
            sample=sample,
            text="",
            log_prob=BASE + uneven * (arm == "steered") + of_arm + later * (sample > 0),
        )
        for prompt, uneven in zip(PROMPTS, UNEVEN, strict=True)
        for arm, features, of_arm, count in arms
        for sample in range(count)
    ]
    return Continuations(subject="hand", items=tuple(items), chosen_on=chosen_on)
