"""Commands on reports: approve what was measured, release an article, unite and compare reports."""

from __future__ import annotations

import datetime as dt
import json
import sys
from argparse import Namespace
from pathlib import Path

from saeprobe.cli.terminal import RefusedError, checked_output, project_root, report_here, say, table
from saeprobe.files import FileError, UnusableError, visible, visible_lines
from saeprobe.gate import EXIT_CODES
from saeprobe.gate.approving import ApprovalError, approve
from saeprobe.gate.comparing import changes
from saeprobe.gate.following import doubts as follow
from saeprobe.gate.many import articles_in, as_json, decide_all, decision_on, in_words
from saeprobe.gate.policy import Here, policy_of
from saeprobe.git import named
from saeprobe.report import ReportError, now, read_report, write_report
from saeprobe.report.page import write_page
from saeprobe.report.shape import Document
from saeprobe.report.uniting import UnitingError, merge, variants_of
from saeprobe.verdicts.baseline_files import BaselineError


def run_approve(arguments: Namespace) -> int:
    """Approve a claim, and print what was approved with what stood before."""
    try:
        done = approve(
            read_report(report_here(arguments)),
            arguments.claim,
            subject=arguments.subject,
            by=arguments.by,
            because=arguments.because,
            on=dt.datetime.now(tz=dt.UTC).date().isoformat(),
            folder=arguments.baselines,
        )
    except (ApprovalError, BaselineError, ReportError) as error:
        raise RefusedError(str(error)) from error
    listed = table(["value", "before", "approved", "unit"], done.rows(), right=[1, 2])
    lines = [*map(visible, done.lines()), "", listed, ""]
    lines.append(f"written to {done.path}; commit it before the next run, which is then held against it")
    if done.baseline.measured_with.commit is None:
        lines.append("the run has no commit: only this file says what was measured")
    say("\n".join(lines))
    return 0


def run_gate(arguments: Namespace) -> int:
    """Print the gate's decision on each article; the code is that of all together."""
    path = report_here(arguments)
    try:
        articles = list(articles_in(arguments.articles))
        root, *others = dict.fromkeys(project_root(article.parent) for article in articles)
        if others:
            raise RefusedError(f"{root} and {others[0]} are two projects; decide on the articles of each by themselves")
        here = Here(root=root, policy=policy_of(root))
    except (FileError, UnusableError) as error:
        raise RefusedError(f"nothing is released: {error}") from error
    decided = decide_all(articles, path, [here.doubts, follow])
    decision = decision_on(decided)
    text = json.dumps(as_json(decided, path), indent=1) if arguments.json else in_words(decided)
    to = sys.stderr if decision == "cannot tell" and not arguments.json else sys.stdout
    to.write(f"{visible_lines(text.rstrip())}\n")
    return EXIT_CODES[decision]


def run_report(arguments: Namespace) -> int:
    """Unite two reports, or compare them; the exit code of a comparison is 1 where something changed."""
    try:
        first, second = map(read_report, arguments.reports)
    except ReportError as error:
        raise RefusedError(str(error)) from error
    if arguments.what == "merge":
        return _merge(arguments, first, second)
    moved, gone, new = changes(first, second)
    lines = [line for one in moved for line in one.lines()]
    alone = zip(arguments.reports, (gone, new), strict=True)
    lines += [f"only in {path}: {named(names)}" for path, names in alone if names]
    say("\n".join(map(visible, lines or ["nothing changed: every verdict and every value is what it was"])))
    return int(bool(lines))


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
