"""The gate's decision as text for a terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from textwrap import fill
from typing import Final

from saeprobe.claims import Word
from saeprobe.gate.release import Decision, Release, Ruling, decision_of
from saeprobe.report.shape import ProbeJson

_HEADINGS: Final[dict[Decision, str]] = {"hold": "HOLD", "cannot tell": "CANNOT TELL", "release": "RELEASE"}
_WIDTH: Final = 100

_REMEDIES: Final[dict[Word, str]] = {
    "refuted": "take the sentence out, or write what was found",
    "drifted": "write the number that was measured",
    "inconclusive": "gather more evidence, or weaken the sentence",
    "unverifiable": "name in the sentence what can be tested",
    "broken": "mend the probe or its instrument",
    "not run": "bring what is absent",
}

_SEEN: Final = ("refuted", "drifted")
"""Of these the evidence is there to be looked at; the others are decided by a new run alone."""

_APART: Final = "--saeprobe-report=.saeprobe/again"
"""A run of one probe writes a report of one claim, which must not take the place of the report of all."""

_UNCOMMITTED: Final = (
    "warning: the report is of a tree with uncommitted changes, so that nobody can tell later what was\n"
    "measured; before the article appears commit them and run the probes again"
)

_APPROVE: Final = "find out what moved it, or accept the new value with 'saeprobe approve'"


def render(release: Release) -> str:
    """What becomes of the article, which claims decide it and why, and for those not released a remedy."""
    article = release.article
    lines = [f"{_HEADINGS[release.decision]}  {article.path}", f"  {article.title}", ""]
    for decision in _HEADINGS:
        for ruling in release.rulings:
            if ruling.decision == decision:
                lines += _ruling_lines(ruling, release)
    warning = [_UNCOMMITTED] if release.uncommitted else []
    return "\n".join([*lines, "", *warning, _summary(release)])


def _ruling_lines(ruling: Ruling, release: Release) -> Iterator[str]:
    yield f"  {ruling.decision:<11}  {ruling.citation}"
    for probe in ruling.probes:
        declared = "" if probe["declared"] is None else ", a declared non-reproduction"
        yield _indented(f"{probe['verdict']} on {probe['subject']}{declared}: {probe['reason']}")
        if probe["declared"] is not None:
            yield _indented(f"declared because: {probe['declared']}")
        if decision_of(probe) != "release":
            yield _indented(f"-> {_remedy(probe, release.command)}")
        elif probe["scope"]:
            yield _indented(f"scope: {probe['scope']}")
    if ruling.gap is not None:
        yield _indented(ruling.gap)
        yield _indented(
            f"-> {_run_of_all(release)} writes a new report; "
            "if no probe decides this claim yet, write one or take the claim out"
        )


def _run_of_all(release: Release) -> str:
    """The run that decides all that the article cites; one of a single subject would take the others out again."""
    subjects = dict.fromkeys(ruling.citation.subject for ruling in release.rulings)
    marks = " or ".join(subject.replace("+", " and ") for subject in subjects if subject is not None)
    return f"pytest probes/ -m {shlex.quote(marks)}" if marks else "pytest probes/"


def _remedy(probe: ProbeJson[int], command: str) -> str:
    """What a writer can do about a probe that does not release its claim."""
    if probe["declared"] is not None:
        return "take the claim out of the article, or write that it does not hold and cite it no longer"
    remedy = _APPROVE if _left_baseline(probe) else _REMEDIES[probe["verdict"]]
    if probe["verdict"] in _SEEN:
        return f"{remedy}; the evidence again, beside this report: pytest {shlex.quote(probe['nodeid'])} {_APART}"
    return f"{remedy}; then make the whole report again: {command}"


def _left_baseline(probe: ProbeJson[int]) -> bool:
    """Whether a claim is drifted from what was approved alone: no article prints a number that is wrong."""
    approved = probe["baseline"]
    if probe["verdict"] != "drifted" or approved is None or any(row["agrees"] is False for row in probe["published"]):
        return False
    return any(row["agrees"] is not True for row in approved["rows"])


def _summary(release: Release) -> str:
    """The counts, on one line."""
    counts = Counter(ruling.decision for ruling in release.rulings)
    total = len(release.rulings)
    return (
        f"{counts['release']} of {total} {'claim' if total == 1 else 'claims'} released, {counts['hold']} held, "
        f"{counts['cannot tell']} undecided; exit code {release.exit_code}"
    )


def _indented(text: str) -> str:
    return fill(
        text,
        _WIDTH,
        initial_indent=" " * 15,
        subsequent_indent=" " * 17,
        break_long_words=False,
        break_on_hyphens=False,
    )
