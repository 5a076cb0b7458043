"""Orderings: several quantities in the order in which the sentence names them, the highest first."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from saeprobe import comparison
from saeprobe.evidence.evidence import Evidence, record
from saeprobe.evidence.printed import PrintedNumber, whole_of
from saeprobe.evidence.values import Measurement, Quantity, Summary, is_greater


def ordered(quantities: Iterable[Quantity | PrintedNumber], *more: object) -> Evidence:
    """Let quantities descend as they are listed: `ordered(l0(styles[s]) for s in ("novice", "standard", "expert"))`.

    Each is compared with the next, under the controls of the claim.

    Raises:
        ValueError: there are fewer than three, or one is listed twice.
        TypeError: they stand one by one instead of in a list, or one is no quantity.
    """
    if more or _is_quantity(quantities):
        raise TypeError("ordered() takes one list: ordered([a, b, c])")
    these = tuple(quantities)
    for one in these:
        if not _is_quantity(one):
            raise TypeError(f'ordered() was given {one!r}; wanted measurements, such as l0(styles["novice"])')
    if len(these) < 3:  # noqa: PLR2004 - two are `>`
        raise ValueError(f"ordered() was given {len(these)}; wanted at least 3, and `a > b` for two")
    names = [one.label for one in these]
    if len(set(names)) < len(names):
        raise ValueError(f"ordered() was given one of {', '.join(names)} twice; nothing lies above itself")
    parts = [is_greater(upper, lower) for upper, lower in pairwise(these)]
    if isinstance(these[0], PrintedNumber):  # then all of them are, or the parts could not be made
        return record(whole_of(parts, f"{' > '.join(names)} as printed in {these[0].source}"))
    return record(comparison.ordering(names, parts))


def _is_quantity(value: object) -> bool:
    return isinstance(value, Measurement | Summary | PrintedNumber)
