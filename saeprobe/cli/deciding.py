"""`saeprobe approve`: accept what was measured of one claim, so that later runs are held against it."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.terminal import RefusedError, add_command, aligned

if TYPE_CHECKING:
    from saeprobe.cli.terminal import Commands
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
    from saeprobe.report.document import ReportError, read_report
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


_DESCRIPTION_gating = """\
Release an article or hold it back. The article's front matter lists the claims it cites; the report says what a run of
the probes made of them. It is held as long as one cited claim does not stand."""


_EPILOG_gating = """\
example:
  pytest probes/
  saeprobe gate articles/day1.md --report reports/report.json

exit codes: 0 release; 1 hold, with the claims that hold it; 2 the report cannot tell (a claim it does not know, a file
that is absent or damaged)."""


def add_parser_gating(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "gate",
        run_gating,
        summary="release an article, or hold it until its claims stand",
        description=_DESCRIPTION_gating,
        epilog=_EPILOG_gating,
    )
    parser.add_argument("article", type=Path, metavar="ARTICLE", help="a manuscript (.md) with front matter")
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("reports/report.json"),
        metavar="FILE",
        help="the report of a run of the probes (default: reports/report.json)",
    )


def run_gating(arguments: argparse.Namespace) -> int:
    """Print the decision; its code is the command's."""
    from saeprobe.gate.release import run_gate

    code, text = run_gate(arguments.article, arguments.report)
    (sys.stderr if code == 2 else sys.stdout).write(f"{text.rstrip()}\n")  # noqa: PLR2004 - 2 is "cannot tell"
    return code
