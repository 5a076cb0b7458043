"""Run one command of the table, for `saeprobe` as for `python -m saeprobe`.

A command's module is imported when the command runs, so help, version and completion start as fast as argparse does.
"""

import argparse
import errno
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, NoReturn, cast

from saeprobe import __version__
from saeprobe.cli import COMMANDS, help_of, path

_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the words after `saeprobe` name, and return its exit code.

    An error that a user can mend is one line on stderr. Without `argv` the words are those of the process.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a pipe on Windows takes the characters of one language alone
        reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["--version"]:
        sys.stdout.write(f"saeprobe {__version__}\n")
        return 0
    parser = _parser(words[:1])
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        sys.stderr.write(f"{parser.format_usage()}saeprobe: error: {_unknown(words[0])}\n")
        return 2
    try:
        arguments = parser.parse_args(words)
    except SystemExit as stop:  # argparse leaves by itself: 0 after --help, 2 after a usage error
        return int(stop.code or 0)
    module, _, function = COMMANDS[arguments.command].runs.partition(":")
    try:
        code = int(getattr(import_module(module), function)(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("\nsaeprobe: interrupted; no output was written\n")
        return _INTERRUPTED
    except Exception as error:
        if _reader_left(error):  # `saeprobe inspect ... | head`: it has what it wanted
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        from saeprobe.cli.terminal import explain
        from saeprobe.files import visible

        message = explain(error)
        if message is None:
            raise
        sys.stderr.write(f"saeprobe: error: {visible(message)}\n")
        return 2
    return code


def _reader_left(error: Exception) -> bool:
    """Say whether nobody reads stdout any more; Windows says of a pipe then that the argument is invalid."""
    invalid = isinstance(error, OSError) and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and invalid)


def complete(arguments: argparse.Namespace) -> int:
    """Print the completion that shtab writes for a shell; arguments that are paths complete to files."""
    import shtab

    sys.stdout.write(f"{shtab.complete(_parser(COMMANDS), shell=arguments.shell)}\n")
    return 0


def _unknown(word: str) -> str:
    if word == "calibrate":
        return "the error rates of the framework are measured by: python -m studies.calibration"
    from saeprobe.claims import did_you_mean

    return f"there is no command {word!r}{did_you_mean(word, COMMANDS)}; the commands are: {', '.join(COMMANDS)}"


class _Parser(argparse.ArgumentParser):
    """The parser repeats no control character of an argument that it refuses."""

    def error(self, message: str) -> NoReturn:
        """Leave with what is wrong and the usage."""
        from saeprobe.files import visible

        super().error(visible(message))


class _Help(argparse.RawDescriptionHelpFormatter):
    """The help keeps the line breaks of its texts, and asks for its width without shutil, which imports compressors."""

    def __init__(self, prog: str) -> None:
        width = 80
        with suppress(OSError):  # no terminal; os.isatty says of NUL on Windows that it is one
            width = os.get_terminal_size(1).columns or width
        super().__init__(prog, width=width - 2)


def _parser(named: Collection[str]) -> argparse.ArgumentParser:
    """Return the parser of all commands; only those named get their arguments, which takes longer than all the rest."""
    style: dict[str, Any] = {"formatter_class": _Help, "allow_abbrev": False}
    description, epilog = help_of("saeprobe")
    parser = _Parser(prog="saeprobe", description=description, epilog=epilog, **style)
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        description, epilog = help_of(name) if name in named else ("", "")
        added = commands.add_parser(
            name, help=command.summary, description=description, epilog=epilog, add_help=name in named, **style
        )
        for flags, options in command.arguments if name in named else ():
            action = added.add_argument(*flags, **options)
            if options.get("type") is path:  # what shtab.FILE says, which would have to be imported
                cast(Any, action).complete = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
    return parser


if __name__ == "__main__":
    sys.exit(main())
