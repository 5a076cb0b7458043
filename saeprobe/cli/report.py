"""The command `report` unites the reports of several machines, and says what changed between two."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from saeprobe.cli.terminal import RefusedError, checked_output, say
from saeprobe.files import visible
from saeprobe.gate.comparing import changes
from saeprobe.git import named
from saeprobe.report import ReportError, now, read_report, write_report
from saeprobe.report.page import write_page
from saeprobe.report.shape import Document
from saeprobe.report.uniting import UnitingError, merge, variants_of


def run(arguments: Namespace) -> int:
    """Do what was asked; the exit code of a comparison is 1 where something changed."""
    try:
        first, second = map(read_report, arguments.reports)
    except ReportError as error:
        raise RefusedError(str(error)) from error
    if arguments.what == "diff":
        moved, gone, new = changes(first, second)
        lines = [line for one in moved for line in one.lines()]
        lines += [
            f"only in {path}: {named(names)}"
            for path, names in zip(arguments.reports, (gone, new), strict=True)
            if names
        ]
        say("\n".join(map(visible, lines or ["nothing changed: every verdict and every value is what it was"])))
        return int(bool(lines))
    return _merge(arguments, first, second)


def _merge(arguments: Namespace, first: Document, second: Document) -> int:
    if arguments.output is None:
        raise RefusedError("name the file to write with -o, such as -o reports/report.json")
    output: Path = checked_output(arguments)
    try:
        document, both = merge(first, second, generated=now())
    except UnitingError as error:
        raise RefusedError(f"{' and '.join(map(str, arguments.reports))} cannot be united: {error}") from error
    write_report(document, output)
    write_page(document, output.with_suffix(".html"))
    held = ", ".join(f"{count} {word}" for word, count in document.counts.items() if count)
    say("\n".join([*both, f"{held} on {', '.join(variants_of(document))}", f"written to {output}"]))
    return 0
