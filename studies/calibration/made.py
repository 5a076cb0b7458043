"""A made-up population draws the means of wordings from a stated distribution; the truth of a claim on it is exact.

Wordings are texts of words that mean nothing, so that none resembles another unless a population asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, product
from typing import Any

import numpy as np

from saeprobe.evidence.values import Measurement
from saeprobe.prompts import PromptSet
from saeprobe.shapes import Float, Int
from studies.calibration.claim import Claimed

Rng = np.random.Generator
Means = Float[np.ndarray, " wordings"]
Texts = tuple[tuple[str, tuple[str, ...]], ...]
"""The wordings of each side, by its name."""


def _words() -> Iterator[str]:
    """Yield words without a meaning, each once."""
    return ("".join(letters) for letters in product("bdfgklmnprstvz", "aeiou", "bdglmnrstv", "aeiou"))


def _wordings(words: Iterator[str], count: int, end: str = "") -> tuple[str, ...]:
    """Write wordings of six words around a topic, no two of which share a word; all end alike."""
    drawn = [list(islice(words, 6)) for _ in range(count)]
    return tuple(f"{' '.join(six[:3])} {{topic}} {' '.join(six[3:])}{end}" for six in drawn)


@lru_cache
def texts(n_a: int, n_b: int, *, free: int | None = None) -> Texts:
    """Write wordings of two sides; all but the first `free` ones say the word of their side, if that is a number."""
    words, sides = _words(), (("a", n_a, "novice"), ("b", n_b, "expert"))
    without = max(n_a, n_b) if free is None else free
    return tuple(
        (side, _wordings(words, min(n, without)) + _wordings(words, max(0, n - without), f" {word}"))
        for side, n, word in sides
        if n
    )


@lru_cache
def copied(n: int, times: int) -> Texts:
    """Write n wordings a side, and of each so many near copies that differ in one word."""
    words = _words()
    return tuple(
        (side, tuple(f"{one} {next(words)}" for one in _wordings(words, n) for _ in range(times))) for side in "ab"
    )


@lru_cache
def framed(n: int) -> Texts:
    """Write n frames, into which each side puts a word of its own."""
    frames = _wordings(_words(), n)
    return tuple((side, tuple(f"{one} {word}" for one in frames)) for side, word in (("a", "novice"), ("b", "expert")))


@lru_cache
def prompts_of(of: Texts, topics: int, *, words: bool = False) -> PromptSet:
    """Fill the wordings with so many topics; `words` says that the sides call themselves by those of `texts`."""
    return PromptSet.build(
        name="made",
        language="en",
        topics=["tides", "rain", *(f"topic {number}" for number in range(3, topics + 1))][:topics],
        styles=dict(of),
        words={"a": ["novice"], "b": ["expert"]} if words else None,
    )


def measured(
    of: Texts,
    means: Sequence[Means] | np.ndarray,
    *,
    lengths: Sequence[Int[np.ndarray, " wordings"]] | None = None,
    words: bool = False,
    level: float = 1.0,
    measure: str = "l0",
    **more: Any,
) -> Measurement:
    """Make the measurement of which each wording has the mean given, on two topics whose levels lie around it.

    `lengths` are tokens a wording; `words` is as in `prompts_of`.
    """
    prompts = prompts_of(of, 2, words=words)
    return Measurement(
        measure=measure,
        label="a",
        unit="features",
        values=np.add.outer(np.concatenate(means), [level, -level]).ravel(),
        prompts=prompts.prompts,
        n_tokens=None if lengths is None else np.repeat(np.concatenate(lengths), 2),
        words=prompts.words,
        **more,
    )


def counted(of: Texts, shares: Means, prompts: int, rng: Rng) -> Measurement:
    """Draw on how many of so many prompts a wording something happens, where each wording has a share of its own."""
    happens = rng.random((len(shares), prompts)) < shares[:, np.newaxis]
    return Measurement(
        measure="firing rate",
        label="a",
        unit="share of prompts",
        values=happens.ravel().astype(float),
        prompts=prompts_of(of, prompts).prompts,
    )


def claimed(sides: Measurement, best: Callable[[float], bool] | None = None, **more: Any) -> Claimed:
    """Claim that the first side lies above the other."""
    a, b = sides["a"], sides["b"]
    return Claimed(compare=lambda: a > b, best=best, **more)
