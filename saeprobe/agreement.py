"""Agreement: one comparison made on each of several subjects, and whether it holds in all of them."""

from __future__ import annotations

from collections.abc import Iterable

from saeprobe.evidence.compare import every
from saeprobe.evidence.evidence import Evidence, record_whole


def in_each(pieces: Iterable[Evidence], *more: object) -> Evidence:
    """Let a comparison hold in each of several subjects: `in_each(l0(f["novice"]) > l0(f["expert"]) for f in styles)`.

    Every subject is compared, also after one in which it does not hold. Refuted by a single one that refutes it, and
    supported only where all support it.

    Raises:
        TypeError: they are given one by one.
        ValueError: there are fewer than two; an effect in one model says nothing of another.
    """
    if more or isinstance(pieces, Evidence):
        raise TypeError("in_each() takes its comparisons in one list: in_each([a > b, c > d])")
    parts = tuple(pieces)
    if len(parts) < 2:  # noqa: PLR2004 - agreement takes two
        raise ValueError(f"in_each() was given {len(parts)} comparison(s); wanted one for each of several subjects")
    return record_whole(every(parts))
