"""Aligned tables and numbers for the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_KIBI = 1024


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """The rows under their header in columns two spaces apart; columns numbered in `right` end flush.

    >>> print(aligned(["key", "bytes"], [["W_enc", "16"], ["b", "1,024"]], right=[1]))
    key    bytes
    W_enc     16
    b      1,024
    """
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(_width(row[column]) for row in table) for column in range(len(header))]
    return "\n".join(
        "  ".join(_pad(cell, widths[column], right=column in right) for column, cell in enumerate(row)).rstrip()
        for row in table
    )


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """Names and values, indented, the values in one column."""
    width = max(_width(name) for name, _ in facts)
    return "\n".join(f"  {_pad(name, width, right=False)}  {value}" for name, value in facts)


def size(count: int) -> str:
    """A number of bytes for reading: `4.0 GiB (4,295,491,840 bytes)`."""
    amount = float(count)
    unit = "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the unit that ends the loop is the one used
        if amount < _KIBI:
            break
        amount /= _KIBI
    return f"{count:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit} ({count:,} bytes)"


def _width(text: str) -> int:
    """Columns of a terminal that the text fills; Chinese characters fill two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    fill = " " * (width - _width(text))
    return fill + text if right else text + fill
