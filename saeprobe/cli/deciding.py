"""`saeprobe approve`: accept what was measured of one claim, so that later runs are held against it."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command
from saeprobe.cli.refusal import RefusedError
from saeprobe.cli.terminal import aligned

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands
    from saeprobe.gate.approving import Approval


_DESCRIPTION = """\
Accept the values that a run measured of one claim, with your name and the reason. They become its baseline: a later run
whose values have moved by more than noise is 'drifted', and says what changed in between. The approval is added to a
file of its own for each claim, to be committed; earlier ones are kept.

One claim at a time, on purpose: an approval is a judgement, and a file of judgements that nobody made is worth nothing.
Verdicts that say nothing (not run, broken, unverifiable) and runs of a tree with uncommitted changes are refused."""


_EPILOG = """\
examples:
  pytest probes/
  saeprobe approve day1.novice-most --by "Ada L." --because "first whole run, figures as in table 1"
  saeprobe approve day1.novice-most --subject finch --by "Ada L." --because "SAE retrained on more text, see log 12"

exit codes: 0 approved; 2 it could not be, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "approve",
        run,
        summary="accept what was measured of one claim as its baseline",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("claim", metavar="CLAIM", help="the id of one claim, such as day1.novice-most")
    parser.add_argument("--by", required=True, metavar="NAME", help="who approves")
    parser.add_argument("--because", required=True, metavar="WHY", help="the reason, three words at least")
    parser.add_argument("--subject", metavar="NAME", help="on which subject, where the claim was decided on several")
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("reports/report.json"),
        metavar="FILE",
        help="the report of a run of the probes (default: reports/report.json)",
    )
    parser.add_argument(
        "--baselines",
        type=Path,
        default=Path("reports/baselines"),
        metavar="DIR",
        help="folder of the baselines (default: reports/baselines)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Approve, and print what was approved beside what stood before.

    Raises:
        RefusedError: it cannot be approved as asked.
    """
    from saeprobe.gate.approving import ApprovalError, approve
    from saeprobe.report.files import ReportError, read_report
    from saeprobe.verdicts.baseline_files import BaselineError

    try:
        done = approve(
            read_report(arguments.report),
            arguments.claim,
            subject=arguments.subject,
            by=arguments.by,
            because=arguments.because,
            on=dt.datetime.now(tz=dt.UTC).date().isoformat(),
            folder=arguments.baselines,
        )
    except (ApprovalError, BaselineError, ReportError) as error:
        raise RefusedError(str(error)) from error
    sys.stdout.write(f"{_told(done)}\n")
    return 0


def _told(done: Approval) -> str:
    one, before = done.baseline, done.before
    old = {} if before is None else {value.key: value.mean for value in before.values}
    rows = [
        [value.name, f"{old[value.key]:.4g}" if value.key in old else "-", f"{value.mean:.4g}", value.unit]
        for value in one.values
    ]
    lost = [key for key in old if key not in {value.key for value in one.values}]
    rows += [[f"{measure} of {label}", f"{old[label, measure, unit]:.4g}", "-", unit] for label, measure, unit in lost]
    lines = [
        f"approved {one.claim} on {one.subject}, {one.verdict}: {one.sentence}",
        f'by {one.approved_by} on {one.on}, because "{one.because}"',
    ]
    if before is not None:
        lines.append(f'before it: {before.verdict}, by {before.approved_by} on {before.on}, because "{before.because}"')
    lines += ["", aligned(["value", "before", "approved", "unit"], rows, right=[1, 2]), ""]
    lines.append(f"written to {done.path}; commit it, and later runs are held against it")
    if one.measured_with.commit is None:
        lines.append("the run has no commit: what was measured can only be told from this file")
    return "\n".join(lines)
