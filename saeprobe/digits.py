"""Numbers are given by people: a printed one has the precision of its digits, which are read here alone."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf, isfinite, nan, ulp
from numbers import Real
from operator import index
from typing import Any, Final, cast

_COUNT: Final = "a whole number, 1 or more: write 4, not 4.0 or '4'"
_DIGITS: Final = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
_RATIO: Final = re.compile(rf"([-+]?)({_DIGITS})\s*(%|times|x|×)?\s*(more|higher|less|fewer|lower)?")


def whole(name: str, value: Any, *, least: int = 1, wanted: str = _COUNT) -> int:
    """Return a whole number, numpy's and torch's too, as Python's own, or raise a ValueError: none, or too small."""
    try:
        found = None if isinstance(value, bool) else index(value)
    except TypeError:
        found = None
    if found is None or found < least:
        raise ValueError(f"{name} is {reprlib.repr(value)}; wanted {wanted}")
    return found


def finite(name: str, value: Any, *, least: float = -inf, wanted: str) -> float:
    """Return a finite number, numpy's too, as Python's own, or raise a ValueError: none, or less than `least`."""
    try:
        number = nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:  # a whole number without end
        number = inf
    if not (isfinite(number) and number >= least):
        raise ValueError(f"{name} is {reprlib.repr(value)}; wanted {wanted}")
    return number


def several(given: Any) -> tuple[Any, ...] | None:
    """Return what stands in a list, or in an array; None where one thing alone is given, as a text is."""
    alone = isinstance(given, str | bytes) or getattr(given, "ndim", 1) == 0 or not isinstance(given, Iterable)
    return None if alone else tuple(cast("Iterable[object]", given))


def half_unit(digits: str) -> Decimal:
    """Return half a unit of the last digit, which has its place from the exponent too.

    >>> [str(half_unit(digits)) for digits in ("4.80", "130", "1.30e2", "1.3e2")]
    ['0.005', '0.5', '0.5', '5']
    """
    return Decimal(5).scaleb(cast("int", Decimal(digits).as_tuple().exponent) - 1) + 0


def behind(n: object, wordings: object, tolerance: object, unit: str) -> tuple[int | None, int | None, float | None]:
    """Return as Python's own the numbers of prompts and of wordings, and a tolerance, or refuse what is none."""
    said = "the number of {} behind the printed values, or nothing"
    n = None if n is None else whole("n", n, wanted=said.format("prompts"))
    wordings = None if wordings is None else whole("wordings", wordings, wanted=said.format("templates of a style"))
    if n and wordings and wordings > n:
        raise ValueError(f"wordings is {wordings} and n is {n}; wanted as many prompts of a style as wordings, or more")
    if tolerance is not None:
        tolerance = finite("tolerance", tolerance, least=ulp(0.0), wanted=f"a positive distance in {unit}")
    return n, wordings, tolerance


def digits_of(values: Mapping[str, object], ratio: str, unit: str) -> dict[str, str]:
    """Return the digits of named values in `unit`, or of the `ratio` that stands alone, in times."""
    if bool(ratio) == bool(values):
        what = "names no value" if not values else f"has {ratio!r} and names"
        raise ValueError(f"published() {what}; write published(novice=132.4, unit='features') or published('+17 %')")
    if (ratio and unit not in ("", "times")) or not (ratio or unit):
        wanted = "none: a ratio is in times" if ratio else "that of the measure, such as unit='features'"
        raise ValueError(f"published() with the unit {unit!r}; wanted {wanted}")
    return {label: _as_printed(value) for label, value in values.items()} or {"ratio": _as_ratio(ratio)}


def _as_printed(value: object) -> str:
    """Keep the digits of a printed number; a Python number shows none that are not significant."""
    digits = str(value).strip().replace("\N{MINUS SIGN}", "-")
    number = type(value) is not bool and isinstance(value, str | Real)
    if not number or not re.fullmatch(f"[-+]?{_DIGITS}", digits) or not _is_held(Decimal(digits)):
        remedy = "write it as printed, in the digits 0 to 9 and a point, such as 132.4, 1234.5, '4.80' or '1.3e2'"
        remedy += "; 75 % is 0.75 of a share" if "%" in digits else ""
        raise ValueError(f"published value {value!r} is no number; {remedy}")
    if isinstance(value, str):
        return digits
    return format(Decimal(digits), "f").removesuffix(".0")  # repr alone writes 1e-05


def _is_held(number: Decimal) -> bool:
    """Decide whether a float can hold a number: 1e999 is infinite there, and 1e-999 is 0."""
    return isfinite(float(number)) and (not number or float(number) != 0)


def _as_ratio(text: object) -> str:
    """Read how many times one number is another, from a ratio, a percentage or a change in per cent."""
    found = _RATIO.fullmatch(str(text).strip().replace("\N{MINUS SIGN}", "-")) if isinstance(text, str) else None
    sign, digits, of, word = found.groups() if found else ("", "0", None, None)
    number = Decimal(digits).scaleb(-2 if of == "%" else 0)
    if (sign or word) and (of != "%" or (sign and word)):
        number = Decimal(0)  # "+1.17" and "1.17 times more" may be read in two ways
    elif sign or word:
        number = 1 - number if sign == "-" or word in ("less", "fewer", "lower") else 1 + number
    if not _is_held(number) or not 0 < number < Decimal("1e9"):
        raise ValueError(f"published({text!r}) is no ratio above zero; write '1.17', '117 %', '+17 %' or '17 % more'")
    return str(number)
