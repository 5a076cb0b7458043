"""A count of distinct features has its error from the units that are left out: it grows with their number."""

from __future__ import annotations

from dataclasses import replace
from math import comb, sqrt

import numpy as np

from saeprobe.evidence.controls import jackknife
from saeprobe.evidence.evidence import Sample
from saeprobe.shapes import Bool

Fires = Bool[np.ndarray, "units d_sae"]
Against = Bool[np.ndarray, "others d_sae"]


def with_error(count: Sample, on: Fires, but_not: Against, *, paired: bool, level: float) -> Sample:
    """Give a count of features exclusive to `on` its interval and, over wordings, what fewer of them would show."""
    interval = exclusive_interval(on, but_not, paired=paired, level=level)
    return replace(count, interval=interval, rarefied=() if paired else rarefied(on, but_not))


def exclusive_interval(on: Fires, but_not: Against, *, paired: bool, level: float) -> tuple[float, float] | None:
    """Return the interval of the number of features that fire in some unit of `on` and in none of `but_not`.

    By the jackknife over units; None where the count does not vary, or a side has a single unit.
    """

    def count(kept: Bool[np.ndarray, " units"]) -> float:
        return float((on[kept[: len(on)]].any(axis=0) & ~but_not[kept[len(on) :]].any(axis=0)).sum())

    made = jackknife(count, len(on), len(but_not), paired=paired)
    interval = made.interval(0.0, level) if min(len(on), len(but_not)) > 1 and made.variance else None
    return None if interval is None else (max(0.0, interval[0]), interval[1])


def rarefied(on: Fires, but_not: Against) -> tuple[tuple[float, float], ...]:
    """Return how many features would be exclusive to `on` over 1, 2, ... units a side, each with its standard error.

    The mean over all choices of so many units is exact (rarefaction: Hurlbert, Ecology 52, 1971), and its error is that
    of the delete-one jackknife, as in `exclusive_interval`. There are as many as the side with fewer units has.
    """
    ever = on.any(axis=0)
    on, but_not = on[:, ever], but_not[:, ever]

    def silent(units: Fires, k: int, left_out: int | None = None) -> np.ndarray:
        """Return by feature the share of choices of `k` units in none of which it fires."""
        kept = units if left_out is None else np.delete(units, left_out, axis=0)
        n, k = len(kept), min(k, len(kept))
        return np.array([comb(n - times, k) / comb(n, k) for times in range(n + 1)])[kept.sum(axis=0)]

    found: list[tuple[float, float]] = []
    for k in range(1, min(len(on), len(but_not)) + 1):
        fires, none = 1 - silent(on, k), silent(but_not, k)
        without = [[(1 - silent(on, k, one)) @ none for one in range(len(on))]]
        without += [[fires @ silent(but_not, k, one) for one in range(len(but_not))]]
        error = sqrt(sum((len(counts) - 1) * float(np.var(counts)) for counts in without))
        found.append((float(fires @ none), error))
    return tuple(found)
