"""Measurements: one number a prompt, compared the way the sentence reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import TypeGuard

from saeprobe.claims import Published
from saeprobe.evidence.bounds import always, always_recorded, beside_bound
from saeprobe.evidence.evidence import Evidence, record, record_whole
from saeprobe.evidence.greater import about_equal, greater, greater_summaries, side_by_side
from saeprobe.evidence.printed import as_published, printed_equal, printed_greater, whole_of
from saeprobe.evidence.units import summaries
from saeprobe.evidence.values import (
    NUMBER,
    About,
    Every,
    Margin,
    Measurement,
    PrintedNumber,
    Quantity,
    Side,
    Summary,
    _Compared,
    is_number,
)
from saeprobe.evidence.wholes import each_holds, ordering


def every(quantities: Iterable[Quantity | Margin | PrintedNumber], *more: object) -> Every:
    """Let a comparison hold for each of several quantities, such as the L0 of all other styles.

    Raises:
        TypeError: they are given one by one.
        ValueError: there is none.
    """
    if more or isinstance(quantities, _Compared):
        raise TypeError("every() takes its quantities in one list: every([l0(a), l0(b)]) < 5")
    these = tuple(quantities)
    if not these:
        raise ValueError("every() was given nothing; a statement about no prompts is not evidence")
    return Every(quantities=these)


def about(quantity: Quantity | PrintedNumber, *, margin: float | None = None, share: float | None = None) -> About:
    """Expect equality with `quantity` up to a margin set before measuring: two one-sided tests (Schuirmann 1987).

    Args:
        quantity: what to be equal to.
        margin: the largest difference that still counts as equal, in the unit of the measure.
        share: the same as a share of the mean of `quantity`, for subjects whose activations differ in scale.
    """
    if not isinstance(quantity, Measurement | Summary | PrintedNumber):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        named = quantity.name if isinstance(quantity, Margin) else repr(quantity)
        raise TypeError(
            f"about({named}); wanted a measurement, and its margin as margin=... or share=...; beside a number stand "
            "two bounds: a > 13 and a < 17"
        )
    if (margin is None) == (share is None):
        raise ValueError("about() takes either margin=..., in the unit of the measure, or share=..., such as 0.1")
    largest = margin if margin is not None else abs((share or 0.0) * quantity.sample.mean)
    if not 0 < largest < inf:
        raise ValueError(f"the margin is {largest}; wanted a positive difference in {quantity.unit}")
    return About(quantity=quantity, margin=largest)


def greater_than(left: object, right: object) -> Evidence:
    """Decide `left > right`, each side of `every(...)` by itself, and record the evidence."""
    return record(_each(left, right, is_greater))


def equal_to(left: object, right: object) -> Evidence:
    """Decide `left == right`, each side of `every(...)` by itself, and record the evidence."""
    return record(_each(left, right, _equal))


def _each(left: object, right: object, compare: Callable[[object, object], Evidence]) -> Evidence:
    """A comparison of two, or of each of `every(...)` with the other."""
    if isinstance(left, Every):
        if isinstance(right, Every):
            raise TypeError("every(...) on both sides; write one comparison for each of the left side")
        return whole_of([compare(each, right) for each in left.quantities])
    if isinstance(right, Every):
        return whole_of([compare(left, each) for each in right.quantities])
    return compare(left, right)


def is_greater(larger: object, smaller: object) -> Evidence:
    """Evidence on `larger > smaller` that is not recorded: a part of a larger sentence.

    Raises:
        TypeError: the two cannot be compared, or a margin stands on the larger side.
    """
    if not (_is_side(larger) and _is_side(smaller)):
        raise TypeError(f"{larger!r} > {smaller!r}; a measurement is compared with another, or with a number")
    if isinstance(larger, Margin):
        raise TypeError(
            f"{larger.name} on the larger side; a margin belongs on the smaller: {_turned(larger, smaller)}"
        )
    if isinstance(larger, NUMBER):
        return _beside_number(smaller, float(larger), above=False)
    if isinstance(smaller, NUMBER):
        return _beside_number(larger, float(smaller), above=True)
    if isinstance(larger, PrintedNumber) and isinstance(smaller, PrintedNumber):
        return printed_greater(larger, smaller)
    if isinstance(larger, PrintedNumber) or isinstance(smaller, PrintedNumber) or not _alike(larger, smaller):
        raise _unlike(larger, smaller)
    margin, below = (smaller, smaller.of) if isinstance(smaller, Margin) else (None, smaller)
    if isinstance(larger, Measurement) and isinstance(below, Measurement):
        above, below = side_by_side(larger, below)
        return greater(above, below, None if margin is None else replace(margin, of=below))
    return greater_summaries(larger.sample, below.sample, f"{larger.name} > {smaller.name}", margin)


def _turned(larger: Margin, smaller: Side) -> str:
    """What to write in the place of `larger > smaller`: `a > 1.25 * b` for `b < 0.8 * a`."""
    if larger.plus or isinstance(smaller, NUMBER):
        return "a > 1.1 * b + 5"
    return f"{larger.of.name} > {1 / larger.times:.4g} * {smaller.name}"


def _is_side(value: object) -> TypeGuard[Side]:
    return isinstance(value, Measurement | Summary | Margin | PrintedNumber) or is_number(value)


def _beside_number(of: Side, number: float, *, above: bool) -> Evidence:
    if isinstance(of, Measurement):
        return beside_bound(of, number, above=above)
    if isinstance(of, PrintedNumber):
        return printed_greater(of, number) if above else printed_greater(number, of)
    what = "a bare summary" if isinstance(of, Summary) else repr(of)
    raise TypeError(f"{what} cannot be tested against a number; it has no values behind it")


def _equal(quantity: object, expected: object) -> Evidence:
    if isinstance(quantity, Measurement) and isinstance(expected, Published):
        return as_published(quantity, expected)
    if isinstance(quantity, Measurement | Summary) and is_number(expected) and expected in (0, 1):
        wanted = 1 if expected else 0
        if isinstance(quantity, Measurement):
            return always(quantity, wanted)
        return always_recorded(quantity.sample, quantity.name, wanted)
    if isinstance(quantity, PrintedNumber) and is_number(expected):
        return printed_equal(quantity, expected, margin=0.0)
    named = quantity.name if isinstance(quantity, Measurement | Summary | PrintedNumber | Margin) else repr(quantity)
    if not isinstance(expected, About):
        raise TypeError(f"{named} == {type(expected).__name__}; equality needs a margin: == about(..., margin=...)")
    other, margin = expected.quantity, expected.margin
    if isinstance(quantity, PrintedNumber) and isinstance(other, PrintedNumber):
        return printed_equal(quantity, other, margin=margin)
    if not isinstance(quantity, Measurement | Summary):
        raise TypeError(f"{named} == about({other.name}); compare like with like")
    if isinstance(other, PrintedNumber) or not _alike(quantity, other):
        raise _unlike(quantity, other)
    if isinstance(quantity, Measurement) and isinstance(other, Measurement):
        return about_equal(*side_by_side(quantity, other), margin=margin)
    statement = f"{quantity.name} = {other.name} ± {margin:g} {quantity.unit}"
    return replace(summaries("about equal", statement, quantity.sample, other.sample), margin=margin)


def _alike(a: Quantity, b: Quantity | Margin) -> bool:
    return (a.measure, a.unit) == (b.measure, b.unit)


def _unlike(a: Quantity | PrintedNumber, b: Quantity | PrintedNumber | Margin) -> TypeError:
    return TypeError(f"{a.name} ({a.unit}) cannot be compared with {b.name} ({b.unit}); compare like with like")


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
    return record(ordering(names, parts))


def _is_quantity(value: object) -> bool:
    return isinstance(value, Measurement | Summary | PrintedNumber)


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
    return record_whole(each_holds(parts))
