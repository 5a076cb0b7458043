"""Aligned tables and numbers for the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from tqdm import tqdm

from saeprobe.files import terminal_columns


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """The rows under their header in columns two spaces apart; columns numbered in `right` end flush.

    >>> print(aligned(["key", "bytes"], [["W_enc", "16"], ["b", "1,024"]], right=[1]))
    key    bytes
    W_enc     16
    b      1,024
    """
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(terminal_columns(row[column]) for row in table) for column in range(len(header))]
    return "\n".join(
        "  ".join(_pad(cell, widths[column], right=column in right) for column, cell in enumerate(row)).rstrip()
        for row in table
    )


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """Names and values, indented, the values in one column."""
    width = max(terminal_columns(name) for name, _ in facts)
    return "\n".join(f"  {_pad(name, width, right=False)}  {value}" for name, value in facts)


def _pad(text: str, width: int, *, right: bool) -> str:
    fill = " " * (width - terminal_columns(text))
    return fill + text if right else text + fill


def quiet_libraries() -> None:
    """Keep transformers' own bars off a stderr that nobody watches; it draws them there in any case."""
    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()


class Bar(Protocol):
    """What is used of a tqdm bar."""

    def update(self, n: int) -> object:
        """Move on by `n`."""
        ...


def progress(what: str, *, total: int, unit: str) -> AbstractContextManager[Bar]:
    """A bar that shows only where stderr is a terminal."""
    bar = tqdm(total=total, desc=what, unit=f" {unit}", disable=None, file=sys.stderr, leave=False)
    return cast(AbstractContextManager[Bar], bar)


class RefusedError(Exception):
    """A command cannot do what was asked; the message says what was found, what was wanted and the remedy."""


def explain(error: Exception) -> str | None:
    """The error in words for whoever typed the command; None for a bug, which deserves its traceback."""
    # Imported here: numpy and scipy come with them, and a command that ends well needs none of these names.
    from saeprobe.claims import NotRun
    from saeprobe.prompts import PromptError
    from saeprobe.recorded.files import ArticleFileError
    from saeprobe.subject.specification import ReadingError, SubjectError

    if isinstance(error, RefusedError | ArticleFileError | NotRun | PromptError | SubjectError | ReadingError):
        return str(error)
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename}: there is no such file or folder; check the path"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    if isinstance(error, OSError):
        return str(error)
    return None


if TYPE_CHECKING:
    # argparse has no public name for what add_subparsers() gives.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a command whose help keeps the line breaks of its description and examples."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `-o FILE` and `--force`."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(default), metavar="FILE", help=f"where to write (default: {default})"
    )
    parser.add_argument("--force", action="store_true", help="replace the output where it exists already")


def checked_output(arguments: argparse.Namespace) -> Path:
    """The output path, before any work is done for it.

    Raises:
        RefusedError: it exists and `--force` was not given, it is a folder, or its folder is absent.
    """
    output: Path = arguments.output
    if output.is_dir():
        raise RefusedError(f"{output} is a folder; give the name of the file to write with -o")
    if output.exists() and not arguments.force:
        raise RefusedError(f"{output} exists; choose another name with -o, or replace it with --force")
    if not output.parent.is_dir():
        raise RefusedError(f"{output}: the folder {output.parent} is absent; make it first")
    return output


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (the working folder) with a pyproject.toml; `start` where none has one."""
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "pyproject.toml").is_file()), here)
