"""Needs: how many units and prompts would decide a comparison that is open."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from saeprobe.evidence.evidence import Needed
from saeprobe.evidence.units import Compared
from saeprobe.statistics.power import MOST_UNITS, least_units
from saeprobe.statistics.shifts import Shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


def needed_between(a: Measurement, b: Measurement, compared: Compared, alpha: float, *, wanted: int | None) -> Needed:
    """What would decide a comparison of two sides for which the effect and spread as measured ask `wanted` units."""
    shift, (n_a, n_b), paired = compared.shift, compared.n_units, compared.paired
    names = "topics" if compared.units.startswith("topics") else "templates" if paired else "templates a style"
    return needed(
        names,
        min(n_a, n_b),
        at_least(wanted, shift, min(n_a, n_b), alpha, paired=paired),
        a_unit=len(a.prompts) / n_a + len(b.prompts) / n_b,
    )


def at_least(wanted: int | None, shift: Shift, have: int, alpha: float, *, paired: bool) -> int | None:
    """`wanted` units, but never fewer than the test itself needs, and more than there are."""
    if shift.smallest_p >= alpha:
        return max(least_units(alpha, paired=paired), wanted or 0)
    return None if wanted is None else max(wanted, have + 1)


def needed(units: str, have: int, wanted: int | None, *, a_unit: float) -> Needed:
    """So many units where there are `have`, with `a_unit` prompts each; None where no plan reaches so far."""
    if wanted is None or wanted > MOST_UNITS:
        return Needed(units=units, have=have, wanted=None)
    return Needed(units=units, have=have, wanted=wanted, prompts=ceil(wanted * a_unit))


def needed_in_words(what: Needed, shift: Shift, alpha: float) -> str:
    """What would decide it, in a sentence."""
    if shift.smallest_p >= alpha:
        pairs, sides = least_units(alpha, paired=True), least_units(alpha, paired=False)
        return (
            f"{what.have} {what.units} cannot reach it whatever the values; "
            f"{sides} templates a style, or {pairs} topics, can"
        )
    if what.wanted is None:
        return f"At this spread more than {MOST_UNITS:,} {what.units} would be needed"
    return f"About {what.wanted} {what.units} would decide it at this effect and spread"
