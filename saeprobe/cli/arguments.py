"""What every command's parser has in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.refusal import RefusedError

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
