"""In these made-up populations length, words or what is random makes nothing, half or all of an effect."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np

from saeprobe.evidence.values import Measurement
from saeprobe.prompts import Prompt
from saeprobe.prompts.promptset import pasted
from studies.calibration import best
from studies.calibration.claim import Claimed
from studies.calibration.made import Rng, claimed, measured, texts

LENGTHS: Final = 1.5
"""Wordings of a style differ so much in length, in tokens (standard deviation)."""
DRAWS: Final = 40
"""A control reads at most so many draws of what is random."""


def _found(units: tuple[np.ndarray, np.ndarray], left: Callable[[], float]) -> Callable[[float], bool]:
    """Find the effect two-sided at alpha, by Student's t, and what is left of it one-sided at alpha."""
    return lambda alpha: best.student(*units) < alpha / 2 and left() < alpha


def length(rng: Rng, *, n: int, gap: int, effect: float, share: float) -> Claimed:
    """Draw wordings of two styles, one longer by `gap` tokens, where length makes the share given of the effect."""
    tokens = np.rint(rng.normal(40, LENGTHS, (2, n))).astype(int) + np.array([[gap], [0]])
    means = rng.normal(0, 1, (2, n)) + share * effect / gap * (tokens - 40)
    means[0] += (1 - share) * effect
    units = means[0], means[1]
    return claimed(
        measured(texts(n, n), units, lengths=tuple(tokens)),
        _found(units, lambda: best.at_equal_length(*units, *tokens.astype(float))),
        controls=("length",),
    )


def wording(rng: Rng, *, n: int, free: int, by_word: float, without: float, spread: float = 1.0) -> Claimed:
    """Draw wordings of two styles: the worded ones differ by `by_word`, the free ones by `without`."""
    means = rng.normal(0, 1, (2, n))
    means[:, :free] *= spread
    means[0] += np.where(np.arange(n) < free, without, by_word)
    units = means[0], means[1]
    return claimed(
        measured(texts(n, n, free=free), units, words=True),
        _found(units, lambda: best.welch(means[0, :free], means[1, :free])),
        controls=("wording",),
    )


def injection(rng: Rng, *, n: int, m: int, effect: float, share: float, spread: float = 1.0) -> Claimed:
    """Draw wordings of two styles, and what their words make of m neutral wordings: a share of the effect."""
    means = rng.normal(0, 1, (2, n)) + np.array([[effect], [0]])
    neutral = rng.normal(0, 1, m)
    made = rng.normal(share * effect, spread, m)
    values = np.add.outer(np.concatenate([neutral + made, neutral]), [1.0, -1.0]).ravel()
    pasted_in = Measurement(measure="l0", label="a + b", unit="features", values=values, prompts=_neutral(m))
    units = means[0], means[1]

    def left() -> float:
        variances = [means[0].var(ddof=1) / n, means[1].var(ddof=1) / n, made.var(ddof=1) / m]
        return best.parts(means[0].mean() - means[1].mean() - made.mean(), variances, [n - 1, n - 1, m - 1])

    def under(_control: object, _draw: int) -> Measurement:
        return pasted_in

    sides = measured(texts(n, n, free=n // 2), units, words=True, under=under)
    return claimed(sides, _found(units, left), controls=("injection",))


@lru_cache
def _neutral(m: int) -> tuple[Prompt, ...]:
    """Paste the words of both sides into m neutral wordings on two topics."""
    ((_, templates),) = texts(m, 0)
    found = [
        Prompt(text=one.format(topic=topic), style="", topic=topic, template=one)
        for one in templates
        for topic in ("tides", "rain")
    ]
    return tuple(pasted((word,), one, style=side) for side, word in (("a", "novice"), ("b", "expert")) for one in found)


def draws(rng: Rng, *, claim: float, centre: float) -> Claimed:
    """Draw what random models show, with a spread of 1, beside a claim; where that is 0, it is one draw more."""
    drawn = rng.normal(centre, 1, DRAWS)
    effect = float(rng.normal(centre, 1)) if claim == 0 else claim
    tiny = rng.normal(0, 1e-3, (2, 6)) + 100  # so that the claim is found, and only the draws decide
    of = texts(6, 6)

    def under(_control: object, draw: int) -> Measurement:
        return measured(of, (tiny[0] + drawn[draw], tiny[1]))

    sides = measured(of, (tiny[0] + effect, tiny[1]), under=under)
    return claimed(sides, lambda alpha: best.rank(effect, drawn) < alpha, controls=("random-model",))
