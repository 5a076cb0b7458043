"""Commands share this towards the terminal: tables, a bar, errors in words, and the file that a command writes."""

import argparse
import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from saeprobe.files import two_digits, visible, visible_lines

if TYPE_CHECKING:
    from tqdm import tqdm

_MINUTE = 60
_PLENTY = 10_000  # columns where nobody watches: a file or a pipe gets every line whole


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: int = 0) -> str:
    """Return rows under their header in columns two spaces apart; columns numbered in `right` end flush.

    On a terminal long cells wrap to its width; elsewhere nothing wraps. There are no colours: `say` lets no control
    character through. An empty header is left out.

    >>> print(table(["key", "bytes"], [["W_enc", "16"], ["b", "1,024"]], right=[1]))
    key    bytes
    W_enc     16
    b      1,024
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

    width = None if sys.stdout.isatty() else _PLENTY
    console = Console(file=sys.stdout, width=width, color_system=None, markup=False, emoji=False, highlight=False)
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(header))
    for column, name in enumerate(header):
        grid.add_column(visible(name), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(visible, row))
    with console.capture() as captured:
        console.print(Padding(grid, (0, 0, 0, indent), expand=False))
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def say(text: str) -> None:
    """Write lines to stdout, with nothing in them that a terminal would obey."""
    sys.stdout.write(f"{visible_lines(text)}\n")


def facts(known: Sequence[tuple[str, str]]) -> str:
    """Return names and values, indented, the values in one column."""
    return table(["", ""], known, indent=2)


def progress(what: str, *, total: int, unit: str) -> "tqdm[NoReturn]":
    """Return a bar that shows only where stderr is a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=f" {unit}", disable=None, file=sys.stderr, leave=False)


def seconds_in_words(seconds: float) -> str:
    """Write an estimated time: `under 1 s`, `4.2 s`, `10 min`, `2.5 h`."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 2 * _MINUTE:
        return f"{two_digits(seconds)} s"
    minutes = seconds / _MINUTE
    return f"{two_digits(minutes)} min" if minutes < 2 * _MINUTE else f"{two_digits(minutes / _MINUTE)} h"


class RefusedError(Exception):
    """A command cannot do what was asked; the message says what was found, what was wanted and the remedy."""


def explain(error: Exception) -> str | None:
    """Return the error in words for whoever typed the command; None for a bug, which deserves its traceback."""
    if isinstance(error, ImportError) and not (error.name or "saeprobe").startswith("saeprobe"):
        from saeprobe.subject import not_imported

        return not_imported(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; take a smaller file or model, or close other programs"
    # Imported here: numpy and scipy come with them, and a command that ends well needs none of these names.
    from saeprobe.claims import NotRun
    from saeprobe.files import FileError
    from saeprobe.prompts import PromptError
    from saeprobe.subject.specification import ReadingError, SubjectError

    if isinstance(error, RefusedError | FileError | NotRun | PromptError | SubjectError | ReadingError):
        return str(error)
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename}: there is no such file or folder; check the path"
    if not isinstance(error, OSError):
        return None
    name = error.filename2 or error.filename  # a file that was written whole has the second name
    busy = "; is it open in another program?" if error.filename2 else ""
    return str(error) if name is None else f"{name}: {error.strerror or error}{busy}"


def checked_output(arguments: argparse.Namespace) -> Path:
    """Return the output path, before any work is done for it."""
    output: Path = arguments.output
    if output.is_dir():
        raise RefusedError(f"{output} is a folder; give the name of the file to write with -o")
    if output.exists() and not arguments.force:
        raise RefusedError(f"{output} exists; choose another name with -o, or replace it with --force")
    if not output.parent.is_dir():
        raise RefusedError(f"{output}: the folder {output.parent} is absent; make it first")
    return output


def project_root(start: Path | None = None) -> Path:
    """Return the project's folder of `start` (the working folder), as the plugin finds it for a run of pytest there."""
    from saeprobe.subject.registry import project_of

    here = (start or Path.cwd()).resolve()
    file = next((file for folder in (here, *here.parents) if (file := folder / "pyproject.toml").is_file()), None)
    if file is not None:
        with file.open("rb") as content:
            if content.read(3) == BOM_UTF8:
                found = f"{file} begins with a byte order mark, which pytest refuses"
                raise RefusedError(f"{found}; save it as UTF-8 without BOM")
    return project_of(here, pytest_root(here))


def pytest_root(here: Path) -> Path:
    """Return the folder that pytest takes for its root where it is called in `here` without arguments."""
    above = (here, *here.parents)
    ruled = (folder for folder in above if _rules(folder))
    named = (folder for name in ("pyproject.toml", "setup.py") for folder in above if (folder / name).is_file())
    return next(ruled, None) or next(named, here)


def _rules(folder: Path) -> bool:
    """Say whether pytest takes its settings from this folder, so that it looks no further up."""
    from saeprobe.subject.registry import tool_table

    if any((folder / name).is_file() for name in ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")):
        return True
    parts = ((folder / "tox.ini", b"[pytest]"), (folder / "setup.cfg", b"[tool:pytest]"))
    return bool(tool_table(folder, "pytest", unreadable=None)) or any(
        part in map(bytes.strip, file.read_bytes().splitlines()) for file, part in parts if file.is_file()
    )


def report_here(arguments: argparse.Namespace) -> Path:
    """Return the path of a report; where there is none, name the one that a run of a folder above has written."""
    given: Path = arguments.report
    here = Path.cwd()
    for up, folder in enumerate(() if given.is_absolute() or given.exists() else (here, *here.parents)):
        if (folder / given).is_file():
            found = Path(*[".."] * up, given)
            beside = f" --baselines {found.parent / 'baselines'}" if "baselines" in arguments else ""
            raise RefusedError(f"there is no {given} here, and one above; give --report {found}{beside}")
        if (folder / ".git").exists():
            break
    return given
