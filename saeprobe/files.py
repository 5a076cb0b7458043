"""Write a file whole, and write sizes, times and widths of text for people."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4


@contextmanager
def written_whole(path: Path) -> Generator[Path, None, None]:
    """Give a temporary name next to `path`; what is written there takes the name `path` if the block ends well.

    A reader of `path` sees the old file or the new one and never a part, also after a kill or a full disk. Several
    processes may write the same `path`; the last one wins.

    Raises:
        OSError: the folder is absent or cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    part.touch(exist_ok=False)  # tempfile would make it readable by its owner alone, and a result is for others
    try:
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all; folders are made as needed.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(content)


_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_MINUTE: Final = 60
_FEW: Final = 9.95  # from here on a whole number is exact enough


def bytes_in_words(count: int) -> str:
    """Write a number of bytes in units of a thousand, as disks and the Hub are counted.

    >>> bytes_in_words(88_400_000_000), bytes_in_words(3_840_000), bytes_in_words(999_960), bytes_in_words(7)
    ('88 GB', '3.8 MB', '1000 kB', '7 bytes')
    """
    for unit, size in _UNITS:
        if count >= size:
            return f"{_two_digits(count / size)} {unit}"
    return f"{count} bytes"


def seconds_in_words(seconds: float) -> str:
    """Write an estimated time.

    >>> [seconds_in_words(seconds) for seconds in (0.2, 4.2, 42, 600, 9000)]
    ['under 1 s', '4.2 s', '42 s', '10 min', '2.5 h']
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 2 * _MINUTE:
        return f"{_two_digits(seconds)} s"
    minutes = seconds / _MINUTE
    return f"{_two_digits(minutes)} min" if minutes < 2 * _MINUTE else f"{_two_digits(minutes / _MINUTE)} h"


def _two_digits(amount: float) -> str:
    return f"{amount:.0f}" if amount >= _FEW else f"{amount:.1f}".removesuffix(".0")


def terminal_columns(text: str) -> int:
    """Count the columns of a terminal that a text fills; a Chinese character fills two.

    >>> terminal_columns("sparrow"), terminal_columns("麻雀")
    (7, 4)
    """
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
