"""Numbers of bytes and of seconds, as a person says them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_MINUTE: Final = 60
_FEW: Final = 9.95  # from here on a whole number is exact enough


def bytes_in_words(count: int) -> str:
    """Bytes in thousands, as disks and the Hub are counted.

    >>> bytes_in_words(88_400_000_000), bytes_in_words(3_840_000), bytes_in_words(999_960), bytes_in_words(7)
    ('88 GB', '3.8 MB', '1000 kB', '7 bytes')
    """
    for unit, size in _UNITS:
        if count >= size:
            return f"{_short(count / size)} {unit}"
    return f"{count} bytes"


def seconds_in_words(seconds: float) -> str:
    """A time that is an estimate.

    >>> [seconds_in_words(seconds) for seconds in (0.2, 4.2, 42, 600, 9000)]
    ['under 1 s', '4.2 s', '42 s', '10 min', '2.5 h']
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 2 * _MINUTE:
        return f"{_short(seconds)} s"
    minutes = seconds / _MINUTE
    return f"{_short(minutes)} min" if minutes < 2 * _MINUTE else f"{_short(minutes / _MINUTE)} h"


def _short(amount: float) -> str:
    """Two digits: one decimal below ten, none above; no `.0`."""
    return f"{amount:.0f}" if amount >= _FEW else f"{amount:.1f}".removesuffix(".0")
