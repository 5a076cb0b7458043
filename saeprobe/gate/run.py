"""One run of the gate, from two files to a text and an exit code."""

from __future__ import annotations

from pathlib import Path

from saeprobe.gate.article import ArticleError, read_article
from saeprobe.gate.release import EXIT_CODES, decide_release
from saeprobe.gate.text import render
from saeprobe.report.files import ReportError, read_report


def run_gate(article: Path, report: Path) -> tuple[int, str]:
    """Decide on an article from a report.

    Returns:
        The exit code, 0 to release, 1 to hold, 2 where the report cannot tell or one of the files is unusable; and the
        text to print.
    """
    try:
        release = decide_release(read_article(article), read_report(report))
    except (ArticleError, ReportError) as error:
        return EXIT_CODES["cannot tell"], f"CANNOT TELL  {article}\n  {error}"
    return release.exit_code, render(release)
