"""Numbers are written here as people read them; data keeps its full precision."""

from __future__ import annotations

from math import floor, log10
from typing import Final

THOUSAND: Final = 1000
ALL: Final = 100
TENTH: Final = 0.1
SMALL: Final = 0.001
ROUNDING: Final = 1.01e-4  # of a percent: a recorded share may be a float32

SHARE: Final = "share of "
"""Units that begin so are shares, which people read in percent."""


def is_share(unit: str) -> bool:
    """Say whether values of this unit are shares between 0 and 1."""
    return unit.startswith(SHARE)


def number(value: float, unit: str = "", *, signed: bool = False) -> str:
    """Write one value without its unit: `18.8`, `+3.62`, or `47 %` where the unit is a share.

    A share between 1 % and 99 % has no decimal; closer to an end it has as many as it takes, so that 99.7 % is not
    read as all. A signed share is a difference of two and is given in percentage points: `+44 points`.
    """
    if not is_share(unit):
        sign = "+" if signed else ""
        rounded = float(f"{value:.3g}") + 0.0
        return f"{rounded:{sign},.0f}" if abs(rounded) >= THOUSAND else f"{rounded:{sign}.3g}"
    percent = 100 * value
    left = min(abs(percent), abs(ALL - abs(percent)))  # to the nearer end
    digits = 0 if left >= 1 else 1 if left >= TENTH else 0 if left < ROUNDING else -floor(log10(left))
    rounded = round(percent, digits) + 0.0
    return f"{rounded:+g} points" if signed else f"{rounded:g} %"


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """Write one value with its unit: `18.8 features`, `47 % of continuations`, `+44 points`."""
    if signed and is_share(unit):
        return number(value, unit, signed=True)
    return f"{number(value, unit, signed=signed)} {_of(unit)}".rstrip()


def against(first: float, second: float, unit: str) -> str:
    """Write two values side by side: `47 % against 3 % of continuations`."""
    return f"{number(first, unit)} against {amount(second, unit)}"


def span(interval: tuple[float, float], unit: str = "") -> str:
    """Write an interval without its unit: `[0 %, 6 %]`, `[-1.2, 3.4]`."""
    return f"[{number(interval[0], unit)}, {number(interval[1], unit)}]"


def p_value(p: float) -> str:
    """Write a p value: `p = 0.073`, `p = 0.0005`, `p < 0.0001`."""
    return f"p = {p:.2g}" if p >= SMALL else f"p = {p:.1g}" if p >= SMALL / 10 else "p < 0.0001"


def _of(unit: str) -> str:
    return f"of {unit.removeprefix(SHARE)}" if is_share(unit) else unit
