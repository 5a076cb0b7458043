"""`saeprobe subjects`: which models with their SAEs there are, and what brings those that are absent."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command
from saeprobe.cli.rootdir import project_root
from saeprobe.cli.terminal import aligned

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands

_DESCRIPTION = """\
List the subjects: each is a language model, an SAE of it and the place where the SAE reads. Built in are the
specimens that ship with the package and the models of the published articles; your own are declared in pyproject.toml
under [tool.saeprobe.subjects.NAME]. Nothing is loaded and nothing downloaded: 'saeprobe fetch NAME' brings the weights
of those that are absent, and 'saeprobe doctor' says what each takes on this machine."""

_EPILOG = """\
examples:
  saeprobe subjects
  saeprobe fetch gpt2

exit codes: 0 listed; 2 a declaration in pyproject.toml is wrong."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands,
        "subjects",
        run,
        summary="the models and SAEs that claims can be checked on, and how to get them",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line a subject, and below the table what those that cannot run are lacking."""
    del arguments  # the command has none
    from saeprobe.subject.registry import find_subject, subject_names

    root = project_root()
    found = [find_subject(name, root) for name in subject_names(root)]
    absent = {subject.name: subject.missing() for subject in found}
    rows = [[one.name, "ready" if absent[one.name] is None else "absent", one.summary] for one in found]
    lacking = [f"{name}: {why.removeprefix(f'{name} ')}" for name, why in absent.items() if why is not None]
    sys.stdout.write("\n\n".join([aligned(["subject", "here", "what it is"], rows), *lacking]) + "\n")
    return 0
