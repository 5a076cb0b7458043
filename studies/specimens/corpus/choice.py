"""Random choices whose log-probabilities add up, so that a document's entropy under its grammar is known exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def seeded(seed: int) -> Random:
    """Return a generator of its own for a seed."""
    return Random(seed)  # noqa: S311 - it writes texts, not secrets


class Draw:
    """Every choice a document is made of, and ``log_prob``: the sum of their log-probabilities, in nats.

    This is the log-probability of the derivation. Two derivations of one text are counted apart, so the mean of
    ``-log_prob`` bounds the text's own entropy from above. Draw only what the text shows, or the bound is loose.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.log_prob = 0.0

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options; one that is listed twice is twice as likely."""
        picked = options[self._rng.randrange(len(options))]
        self.log_prob += math.log(options.count(picked) / len(options))
        return picked

    def some(self, options: Sequence[T], k: int) -> list[T]:
        """Return ``k`` different options in random order."""
        rest = list(options)
        chosen: list[T] = []
        for _ in range(k):
            picked = self.one(rest)
            rest.remove(picked)
            chosen.append(picked)
        return chosen

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """Return the first item of one of the (item, weight) pairs, likely in proportion to its weight."""
        total = sum(weight for _, weight in options)
        at = self._rng.random() * total
        chosen = options[-1]  # stands where rounding leaves a remainder at the upper end
        for option in options:
            at -= option[1]
            if at < 0:
                chosen = option
                break
        self.log_prob += math.log(chosen[1] / total)
        return chosen[0]

    def chance(self, p: float) -> bool:
        """Return True with probability ``p``."""
        return self.weighted(((True, p), (False, 1.0 - p)))


class Words(dict[str, str]):
    """The fields of a template, each drawn when a template first uses it and kept from then on.

    ``{simple1}`` and ``{simple2}`` are two different words of the pool ``simple``; ``{name}`` is the one of the pool
    ``name``. Use with ``template.format_map(words)``.
    """

    def __init__(self, draw: Draw, pools: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self._draw = draw
        self._left = {name: list(pool) for name, pool in pools.items()}

    def __missing__(self, field: str) -> str:
        left = self._left[field.rstrip("0123456789")]
        self[field] = picked = self._draw.one(left)
        left.remove(picked)
        return picked
