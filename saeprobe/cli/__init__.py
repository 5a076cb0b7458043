"""The command line: `saeprobe doctor`, `subjects`, `fetch`, `inspect`, the article's steps, and what follows a run.

Nothing heavy is imported before a command needs it: help and version answer without torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from saeprobe import __version__
from saeprobe.cli import article_steps, deciding, doctor, fetch, inspect
from saeprobe.cli.terminal import explain

_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

_DESCRIPTION: Final = """\
Check published claims about the features of language models. The claims are pytest probes ('pytest probes/'); these
commands are for what surrounds them: what runs on this machine and how to get the rest (doctor, subjects, fetch),
looking into SAE files, the article's three steps (extract, encode, diff), accepting measured values as the baseline of
later runs (approve), and the gate that releases an article or holds it (gate)."""

_EPILOG: Final = """\
the article's three steps, on the model that ships with the package:
  saeprobe extract sparrow -o activations.pt
  saeprobe encode activations.pt --sae sparrow -o features.pt
  saeprobe diff features.pt -o feature_diff.json

'saeprobe COMMAND --help' explains a command. Exit codes: 0 done; 1 the gate holds the article, or the
doctor finds nothing that runs; 2 it could not be done, and the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors that a user can act on are one line on stderr.

    Args:
        argv: the words after `saeprobe`; None takes them from the process.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse leaves by itself: 0 after --help, 2 after a usage error
        return int(stop.code or 0)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("\nsaeprobe: interrupted; no output was written\n")
        return _INTERRUPTED
    except BrokenPipeError:  # `saeprobe inspect ... | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        sys.stderr.write(f"saeprobe: error: {message}\n")
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="saeprobe",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"saeprobe {__version__}", help="print the version and leave"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        doctor.add_parser,
        doctor.add_parser_subject,
        fetch.add_parser,
        inspect.add_parser,
        article_steps.add_parser,
        article_steps.add_parser_encode,
        article_steps.add_parser_diff,
        deciding.add_parser,
        deciding.add_parser_gating,
    ):
        add(commands)
    return parser
