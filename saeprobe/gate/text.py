"""The gate's decision as text for a terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from textwrap import fill
from typing import Final

from saeprobe.gate.release import Decision, Release, Ruling, decision_of
from saeprobe.report.shape import ProbeJson
from saeprobe.verdicts import Word

_HEADINGS: Final[dict[Decision, str]] = {"hold": "HOLD", "cannot tell": "CANNOT TELL", "release": "RELEASE"}
_WIDTH: Final = 100

_REMEDIES: Final[dict[Word, str]] = {
    "refuted": "take the sentence out, or write what was found; the evidence again",
    "drifted": "write the number that was measured; the evidence again",
    "inconclusive": "gather more evidence, or weaken the sentence; then",
    "unverifiable": "name in the sentence what can be tested; then",
    "broken": "mend the probe or its instrument; then",
    "not run": "bring what is absent; then",
}

_APPROVE: Final = "find out what moved it, or accept the new value with 'saeprobe approve'; the evidence again"


def render(release: Release) -> str:
    """What becomes of the article, which claims decide it and why, and for those not released a remedy."""
    article = release.article
    lines = [f"{_HEADINGS[release.decision]}  {article.path}", f"  {article.title}", ""]
    for decision in _HEADINGS:
        for ruling in release.rulings:
            if ruling.decision == decision:
                lines += _ruling_lines(ruling)
    return "\n".join([*lines, "", _summary(release)])


def _ruling_lines(ruling: Ruling) -> Iterator[str]:
    yield f"  {ruling.decision:<11}  {ruling.citation}"
    for probe in ruling.probes:
        declared = "" if probe["declared"] is None else ", a declared non-reproduction"
        yield _indented(f"{probe['verdict']} on {probe['subject']}{declared}: {probe['reason']}")
        if probe["declared"] is not None:
            yield _indented(f"declared because: {probe['declared']}")
        if decision_of(probe) != "release":
            yield _indented(f"-> {_remedy(probe)}")
        elif probe["scope"]:
            yield _indented(f"scope: {probe['scope']}")
    if ruling.gap is not None:
        subject = ruling.citation.subject
        yield _indented(ruling.gap)
        yield _indented(
            f"-> pytest probes/{'' if subject is None else f' -m {shlex.quote(subject)}'} writes a new report; "
            "if no probe decides this claim yet, write one or take the claim out"
        )


def _remedy(probe: ProbeJson[int]) -> str:
    """What a writer can do about a probe that does not release its claim."""
    if probe["declared"] is not None:
        return "take the claim out of the article, or write that it does not hold and cite it no longer"
    remedy = _APPROVE if _left_baseline(probe) else _REMEDIES[probe["verdict"]]
    return f"{remedy}: pytest {shlex.quote(probe['nodeid'])}"


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
