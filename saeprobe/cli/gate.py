"""`saeprobe gate`: release an article or hold it back until its claims stand."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands

_DESCRIPTION = """\
Release an article or hold it back. The article's front matter lists the claims it cites; the report says what a run of
the probes made of them. It is held as long as one cited claim does not stand."""

_EPILOG = """\
example:
  pytest probes/
  saeprobe gate articles/day1.md --report reports/report.json

exit codes: 0 release; 1 hold, with the claims that hold it; 2 the report cannot tell (a claim it does not know, a file
that is absent or damaged)."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "gate",
        run,
        summary="release an article, or hold it until its claims stand",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("article", type=Path, metavar="ARTICLE", help="a manuscript (.md) with front matter")
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("reports/report.json"),
        metavar="FILE",
        help="the report of a run of the probes (default: reports/report.json)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the decision; its code is the command's."""
    from saeprobe.gate.run import run_gate

    code, text = run_gate(arguments.article, arguments.report)
    (sys.stderr if code == 2 else sys.stdout).write(f"{text.rstrip()}\n")  # noqa: PLR2004 - 2 is "cannot tell"
    return code
