"""Files are written whole and read strictly; sizes, times, widths and numbers are written as people read them."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import struct
import unicodedata
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def written_whole(path: Path) -> Generator[Path, None, None]:
    """Give a temporary name next to `path`; what is written there takes the name `path` if the block ends well.

    A reader of `path` sees the old file or the new one and never a part, also after a kill or a full disk. Several
    processes may write the same `path`; the last one wins. The temporary file is locked while its writer lives, by
    which `remove_leftovers` knows the ones that are left over.

    Raises:
        OSError: the folder is absent or cannot be written.
    """
    part, held = _locked_part(path)
    try:
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        held.close()


def _locked_part(path: Path) -> tuple[Path, BinaryIO]:
    """Make a temporary file next to `path` and lock it, again where another process took it for left over."""
    while True:
        part = path.with_name(f".{path.name}.{uuid4().hex}.part")
        held = part.open("xb")  # tempfile would make it readable by its owner alone, and a result is for others
        if fcntl is None:
            held.close()  # Windows renames no file that is open
        else:
            with suppress(OSError):  # a disk without locks: nobody takes its files for left over
                fcntl.flock(held, fcntl.LOCK_EX)
        if part.exists():
            return part, held
        held.close()


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of `written_whole` that no living process writes."""
    for part in folder.glob(f".*.{'[0-9a-f]' * 32}.part"):
        with suppress(OSError), part.open("r+b") as left:
            if fcntl is None:
                return
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all; folders are made as needed.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(content)
    remove_leftovers(path.parent)


class FileError(ValueError):
    """A file is not what it should be.

    `found` is what is wrong in the file at `path`, with its entry and key; `wanted` is what should have been there, and
    `remedy`, which may be empty, what to do about it.
    """

    def __init__(self, path: Path, found: str, *, wanted: str, remedy: str = "") -> None:
        self.path = path
        self.found = found
        self.wanted = wanted
        self.remedy = remedy
        super().__init__(f"{path}: {found}; wanted {wanted}" + (f"; {remedy}" if remedy else ""))


def load_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is no JSON, holds NaN or an infinity, or a key twice in one object.
    """

    def refuse(constant: str) -> object:
        raise FileError(path, f"it holds {constant}", wanted="finite numbers", remedy="measure that value again")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise FileError(path, f"the key {key!r} stands twice in one object", wanted="every key once")
            found[key] = value
        return found

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse, object_pairs_hook=unique)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileError(path, f"it is not JSON ({error})", wanted="a JSON file in UTF-8") from error


_ZIP_MAGIC: Final = b"PK\x03\x04"

# What torch and its restricted unpickler raise on a damaged file besides struct.error, as seen by flipping bytes.
_DAMAGE = (AssertionError, AttributeError, EOFError, LookupError, OverflowError, RuntimeError, TypeError, ValueError)


def load_data(path: Path) -> object:
    """Load the tensors, lists, dicts, strings and numbers of a `.pt` file, tensors mapped from disk rather than read.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is truncated, is no `.pt` file, or refers to code.
    """
    import torch

    with path.open("rb") as file:
        zipped = file.read(4) == _ZIP_MAGIC
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch comments on pickle protocols; nothing there is for the user
            # mmap is for the zip format of torch >= 1.6 only; the older one is read whole
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # torch's own text asks people to switch the protection off
        found = "it is no .pt file, is damaged, or holds more than plain data"
        if code is not None:
            found = f"it refers to the code {code.group(1)!r}; it was refused and not run"
        wanted = "tensors, lists, dicts, strings and numbers only"
        remedy = "copy or download it again, or have it saved as plain data by whoever made it"
        raise FileError(path, found, wanted=wanted, remedy=remedy) from error
    except (*_DAMAGE, struct.error) as error:
        found = "it cannot be read (truncated, damaged, or no .pt file)"
        remedy = "copy or download it again and compare sizes"
        raise FileError(path, found, wanted="a file written by torch.save", remedy=remedy) from error


def object_at(path: Path, where: str, value: object) -> dict[str, Any]:
    """Return the value that stands at `where` in a JSON file, if it is an object, and refuse it otherwise."""
    if not isinstance(value, dict):
        raise FileError(path, f"{where} is {_short(value)}", wanted="an object")
    return cast("dict[str, Any]", value)


def list_at(path: Path, where: str, value: object) -> list[Any]:
    """Return the value that stands at `where` in a JSON file, if it is a list, and refuse it otherwise."""
    if not isinstance(value, list):
        raise FileError(path, f"{where} is {_short(value)}", wanted="a list")
    return cast("list[Any]", value)


def number_at(path: Path, where: str, value: object) -> float:
    """Return the value that stands at `where` in a JSON file, if it is a finite number, and refuse it otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):  # 1e999 is infinite
        raise FileError(path, f"{where} is {_short(value)}", wanted="a finite number")
    return float(value)


def count_at(path: Path, where: str, value: object) -> int:
    """Return the value that stands at `where` in a JSON file, if it is a count from 0, and refuse it otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FileError(path, f"{where} is {_short(value)}", wanted="an integer of 0 or more")
    return value


def _short(value: object) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - fits a terminal line


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
    digits = 0 if left >= 1 else 1 if left >= TENTH else 0 if left < ROUNDING else -math.floor(math.log10(left))
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
