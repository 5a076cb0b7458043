"""Files are written whole and read strictly; what was found in them, sizes and numbers are written for people."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
import tomllib
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path
from reprlib import Repr
from typing import BinaryIO, Final, cast
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
    which `remove_leftovers` knows the ones that are left over; its name is short, as Windows takes no long paths. An
    OSError says that the folder is absent or cannot be written.
    """
    part, held = _locked_part(path)
    try:
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        for pause in (0.02, 0.1, 0.4):  # Windows refuses as long as anyone reads `path`: mostly for a moment
            with suppress(PermissionError):
                part.replace(path)
                return
            time.sleep(pause)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        held.close()


def _locked_part(path: Path) -> tuple[Path, BinaryIO]:
    """Make a temporary file next to `path` and lock it, again where another process took it for left over."""
    while True:
        part = path.with_name(f".{uuid4().hex}.part")
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
    """Remove the temporary files of `written_whole` that no living process writes; on Windows those a day old."""
    for part in folder.glob(f".*{'[0-9a-f]' * 32}.part"):
        with suppress(OSError), part.open("r+b") as left:
            if fcntl is not None:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            elif time.time() - part.stat().st_mtime < 86_400:  # noqa: PLR2004 - seconds a day
                continue
            else:
                left.close()  # Windows removes no file that is open
            part.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all; folders are made as needed. An OSError says that it cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(content)
    remove_leftovers(path.parent)


class FileError(ValueError):
    """A file is not what it should be.

    `found` is what is wrong in the file at `path`, with its entry and key, or `where`, its line; `wanted` is what
    should have been there, and `remedy` what to do about it. The last two may be empty.
    """

    def __init__(self, path: Path, found: str, *, wanted: str, remedy: str = "", where: str = "") -> None:
        found, wanted, remedy = (cut(one, _LONGEST) for one in (found, wanted, remedy))
        self.path, self.where, self.found, self.wanted, self.remedy = path, where, found, wanted, remedy
        self.problem = f"{where}: {found}" if where else found
        super().__init__(visible("; ".join(filter(None, (f"{path}: {self.problem}", f"wanted {wanted}", remedy)))))


class UnusableError(Exception):
    """What lies at `path` cannot be used: `problem` is what is wrong, `remedy` what to do."""

    def __init__(self, problem: str, remedy: str, *, path: Path) -> None:
        super().__init__(visible(f"{path}: {problem}; {remedy}"))
        self.problem, self.remedy, self.path = problem, remedy, path


MOST_BYTES: Final = 100_000_000  # a text file is read up to this size where nothing else is said
_LONGEST: Final = 600  # characters of a message that a file may fill
DEEPEST: Final = 100  # levels of values; a report has about ten, and Python gives up before a thousand
_BITS: Final = 64  # of a whole number; with its sign it fits where numpy and msgspec put it


def open_regular(path: Path) -> BufferedReader:
    """Open a file to be read in bytes; what is no file is refused, as a FIFO would wait for its writer for ever.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        FileError: it is a folder, a FIFO or a device, or may not be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return BufferedReader(FileIO(path))
        kind = "a folder" if stat.S_ISDIR(mode) else "a FIFO or a device"
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        kind = str(getattr(error, "strerror", None) or error)
    raise FileError(path, f"it cannot be read ({kind})", wanted="a file", remedy="check the path and its permissions")


def read_text(path: Path, *, most: int = MOST_BYTES) -> str:
    """Read a text file in UTF-8; a byte order mark is left out, and lines that end as on Windows end as elsewhere.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it cannot be read, holds more than `most` bytes or a NUL, or is not UTF-8.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise FileError(path, "it is too large", wanted=f"at most {bytes_in_words(most)}", remedy="divide it")
    wrong, what = content.find(0), "a NUL, which no text holds"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # the mark of UTF-32 begins with the first of them
        wrong, what = 0, "not UTF-8 text but the mark of UTF-16"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text, wrong, what = "", *((wrong, what) if 0 <= wrong <= error.start else (error.start, "not UTF-8 text"))
    if wrong >= 0:
        remedy = 'save the file in the encoding UTF-8, which Notepad offers under "Save as"'
        where = f"line {content.count(10, 0, wrong) + 1}"
        raise FileError(path, f"byte {wrong} is {what}", wanted="text in UTF-8", remedy=remedy, where=where)
    return text.replace("\r\n", "\n")


def load_json(path: Path, *, most: int = MOST_BYTES, halves: bool = False, numbers: bool = True) -> object:
    """Read a JSON file, with what `check_values` is to look at.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: as for `read_text` and `parsed_json`.
    """
    return parsed_json(read_text(path, most=most), path, halves=halves, numbers=numbers)


def parsed_json(text: str, path: Path, *, halves: bool = False, numbers: bool = True) -> object:
    """Parse JSON that stands in the file `path`.

    A FileError says that it is none, holds a key twice in one object, or a value that `check_values` refuses.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise FileError(path, f"the key {shortened(key)} stands twice in one object", wanted="every key once")
            found[key] = value
        return found

    with _parsing(path, "JSON"):
        held: object = json.loads(text, object_pairs_hook=unique)
    check_values(path, held, halves=halves, numbers=numbers)
    return held


def parsed_toml(text: str, path: Path) -> dict[str, object]:
    """Parse TOML that stands in the file `path`, its values unchecked; a FileError says that it is none."""
    with _parsing(path, "TOML"):
        return tomllib.loads(text)


@contextmanager
def _parsing(path: Path, form: str) -> Generator[None]:
    wanted, remedy = form, "correct the syntax there"
    try:
        yield
    except FileError:
        raise
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in error.doc.strip() else ""
        found = f"{error.msg} at {line}character {error.colno}" if error.doc.strip() else "it is empty"
    except tomllib.TOMLDecodeError as error:
        found = quoted(error)
        if "Unescaped" in found or "hex value" in found:
            remedy = "write a path of Windows with / or between single quotes: a backslash begins an escape"
    except (RecursionError, MemoryError):
        found, wanted, remedy = "its values are nested too deeply, or too many", f"{form} of {DEEPEST} levels", ""
    except ValueError:  # Python reads no more than 4,300 digits, and names the way to lift that limit
        found, wanted, remedy = "a number has too many digits", f"whole numbers of {_BITS} bits", ""
    else:
        return
    raise FileError(path, f"it is not {form}: {found}", wanted=wanted, remedy=remedy)


def check_values(path: Path, held: object, *, halves: bool = False, numbers: bool = True) -> None:
    """Refuse values that can be read and not used, with their place.

    Raises:
        FileError: values are nested too deeply; a string holds half of a surrogate pair, unless `halves` may be there;
            one of the `numbers`, where they are looked at, is not finite or beyond 64 bits.
    """
    level: list[tuple[str, Iterable[tuple[object, object]]]] = [("", [("", held)])]
    for _ in range(DEEPEST + 1):
        below: list[tuple[str, Iterable[tuple[object, object]]]] = []
        for place, pairs in level:
            for key, inner in pairs:
                below += [(_place(place, key), of)] if (of := _pairs(inner)) is not None else ()
                wanted = _wanted(key, halves=halves, numbers=False) or _wanted(inner, halves=halves, numbers=numbers)
                if wanted:
                    raise FileError(path, f"{_place(place, key) or 'it'} is {shortened(inner)}", wanted=wanted)
        if not (level := below):
            return
    raise FileError(path, "its values are nested too deeply", wanted=f"at most {DEEPEST} levels")


def _pairs(value: object) -> Iterable[tuple[object, object]] | None:
    if isinstance(value, dict):
        return cast("dict[object, object]", value).items()
    return enumerate(cast("list[object]", value)) if isinstance(value, list) else None


def _place(place: str, key: object) -> str:
    return f"{place}[{key}]" if isinstance(key, int) else f"{place}.{key}" if place else str(key)


def _wanted(value: object, *, halves: bool, numbers: bool) -> str | None:
    if isinstance(value, float) and numbers:
        return None if math.isfinite(value) else "a finite number"
    if isinstance(value, int) and numbers:
        return None if value.bit_length() < _BITS else f"a whole number of {_BITS} bits, sign included"
    if isinstance(value, str) and not halves and not value.isascii() and re.search("[\ud800-\udfff]", value):
        return "whole characters: this holds half of a surrogate pair, which no encoding has"
    return None


def shortened(value: object) -> str:
    r"""Write a value that was found in a file, on a part of one line.

    >>> shortened(None), shortened("a\x1b"), shortened(16**5000)
    ('absent', "'a\\x1b'", 'a number of 20001 bits')
    """
    if isinstance(value, int) and value.bit_length() >= _BITS:  # Python does not write it, beyond 4,300 digits
        return f"a number of {value.bit_length()} bits"
    return cut("absent" if value is None else _BRIEF.repr(value), 60)  # fits a terminal line


def cut(text: str, most: int) -> str:
    """Cut the end off a text that is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


_BRIEF: Final = Repr()  # what it leaves out lies beyond 60 characters, or below three levels
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother, _BRIEF.maxlong = 3, 160, 160, 160
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = 20
HIDDEN: Final = re.compile(  # a terminal obeys one of these, or shows nothing of it; `visible` escapes it
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_COMMAND: Final = re.compile(r"(?<![!-~]):(?=:[a-z])|#(?=#\[)")  # ::error:: and ##[error], at the start of a line


def visible(text: str) -> str:
    r"""Write a text as one line that a terminal neither takes for commands nor shows in another order.

    Control characters, line breaks, marks of direction and halves of surrogate pairs are written as Python writes
    them, and a tab as a space; so is the first character of a command to GitHub Actions. Chinese, combining marks and
    what joins emoji stay.

    >>> visible("a\x1b[31m\u202eb\tc\n麻雀")
    'a\\x1b[31m\\u202eb c\\n麻雀'
    """
    return visible_lines(text).replace("\n", r"\n")


def visible_lines(text: str) -> str:
    """Write a text of several lines, each as `visible` writes it."""
    return _COMMAND.sub(lambda found: f"\\x{ord(found[0]):x}", shown_as_text(text))


def shown_as_text(text: str) -> str:
    """Write the hidden characters of a text as `visible` does; line breaks and commands to GitHub stay."""
    return HIDDEN.sub(lambda found: " " if found[0] == "\t" else repr(found[0])[1:-1], text)


_ADVICE: Final = re.compile(
    "(?i)weights_only|allow_pickle|trust_remote_code|max_str_digits|max_header_size|safe_globals|mismatched_sizes|unsafe"
)


def quoted(error: BaseException) -> str:
    """Quote the first line of a library's error, without what advises programmers to switch a safeguard off.

    >>> quoted(ValueError("Object arrays cannot be loaded when allow_pickle=False"))
    'ValueError'
    >>> quoted(ValueError("Too many digits: 5000 were found; use sys.set_int_max_str_digits()"))
    'Too many digits: 5000 were found'
    """
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    said = " ".join(part for part in re.split(r"(?<=[.;,:])\s+", first.strip()) if not _ADVICE.search(part))
    return cut(visible(said).rstrip(" .;,:") or type(error).__name__, 200)  # two lines of a terminal


def in_prose(names: Iterable[str]) -> str:
    """Write names one after another: `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def bytes_in_words(count: int) -> str:
    """Write a number of bytes in units of a thousand, as disks and the Hub are counted.

    >>> bytes_in_words(88_400_000_000), bytes_in_words(3_840_000), bytes_in_words(999_960), bytes_in_words(7)
    ('88 GB', '3.8 MB', '1000 kB', '7 bytes')
    """
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{two_digits(count / size)} {unit}"
    return f"{count} bytes"


def two_digits(amount: float) -> str:
    """Write an amount above 1 as an estimate: `4.2`, `42`, `600`."""
    return f"{amount:.0f}" if amount >= 9.95 else f"{amount:.1f}".removesuffix(".0")  # noqa: PLR2004 - it rounds to 10


ROUNDING: Final = 1.01e-4  # of a percent: a recorded share may be a float32
SHARE: Final = "share of "  # units that begin so are shares, which people read in percent


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
        return f"{rounded:{sign},.0f}" if abs(rounded) >= 1000 else f"{rounded:{sign}.3g}"  # noqa: PLR2004 - 3 digits
    percent = 100 * value
    left = min(abs(percent), abs(100 - abs(percent)))  # to the nearer end
    digits = 0 if left >= 1 or left < ROUNDING else -math.floor(math.log10(left))
    rounded = round(percent, digits) + 0.0
    return f"{rounded:+g} points" if signed else f"{rounded:g} %"


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """Write one value with its unit: `18.8 features`, `47 % of continuations`, `+44 points`."""
    if signed and is_share(unit):
        return number(value, unit, signed=True)
    counted = f"of {unit.removeprefix(SHARE)}" if is_share(unit) else unit
    return f"{number(value, unit, signed=signed)} {counted}".rstrip()


def against(first: float, second: float, unit: str) -> str:
    """Write two values side by side: `47 % against 3 % of continuations`."""
    return f"{number(first, unit)} against {amount(second, unit)}"


def span(interval: tuple[float, float], unit: str = "") -> str:
    """Write an interval without its unit: `[0 %, 6 %]`, `[-1.2, 3.4]`."""
    return f"[{number(interval[0], unit)}, {number(interval[1], unit)}]"


def p_value(p: float) -> str:
    """Write a p value: `p = 0.073`, `p = 0.0005`, `p < 0.0001`."""
    return f"p = {p:.{2 if p >= 0.001 else 1}g}" if p >= 0.0001 else "p < 0.0001"  # noqa: PLR2004
