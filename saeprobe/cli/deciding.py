"""`saeprobe approve` and `saeprobe gate` decide what follows a run: a baseline, and the release of an article."""

import argparse
import datetime as dt
import sys

from saeprobe.cli.terminal import RefusedError, table
from saeprobe.gate.approving import Approval, ApprovalError, approve
from saeprobe.gate.release import run_gate as decide
from saeprobe.report.document import ReportError, read_report
from saeprobe.verdicts.baseline_files import BaselineError

_CANNOT_DECIDE = 2


def run_approve(arguments: argparse.Namespace) -> int:
    """Approve a claim, and print what was approved beside what stood before."""
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
    sys.stdout.write(f"{_summary(done)}\n")
    return 0


def _summary(done: Approval) -> str:
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
    lines += ["", table(["value", "before", "approved", "unit"], rows, right=[1, 2]), ""]
    lines.append(f"written to {done.path}; commit it, and later runs are held against it")
    if one.measured_with.commit is None:
        lines.append("the run has no commit: only this file says what was measured")
    return "\n".join(lines)


def run_gate(arguments: argparse.Namespace) -> int:
    """Print the gate's decision; its code is the command's."""
    code, text = decide(arguments.article, arguments.report)
    (sys.stderr if code == _CANNOT_DECIDE else sys.stdout).write(f"{text.rstrip()}\n")
    return code
