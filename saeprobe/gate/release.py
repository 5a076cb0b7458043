"""Releases: what a report says of each claim that an article cites."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from saeprobe.gate.article import Article, Citation
from saeprobe.nearmiss import did_you_mean
from saeprobe.report.shape import Document, ProbeJson

Decision = Literal["release", "hold", "cannot tell"]

EXIT_CODES: Final[dict[Decision, int]] = {"release": 0, "hold": 1, "cannot tell": 2}

SCHEMA_MAJOR: Final = "1"
"""The version of the report's schema that is understood here; within it keys are only ever added."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ruling:
    """What becomes of one citation, by the probes that bear on it.

    `gap` says what the report does not answer, where that is so.
    """

    citation: Citation
    probes: tuple[ProbeJson[int], ...] = ()
    gap: str | None = None

    @property
    def decision(self) -> Decision:
        """`hold` where any probe holds; `release` where there are probes, all release, and the report has no gap."""
        decisions = {decision_of(probe) for probe in self.probes}
        if "hold" in decisions:
            return "hold"
        return "release" if decisions == {"release"} and self.gap is None else "cannot tell"


@dataclass(frozen=True, kw_only=True, eq=False)
class Release:
    """The decision on an article, with the ruling on each of its citations in their order.

    `uncommitted` says that the report is of a tree with changes that no commit holds. That is told and holds nothing:
    the manuscript may be such a change itself, and unlike an approval a release leaves nothing behind that later runs
    are held against. `command` is that of the run which made the report.
    """

    article: Article
    rulings: tuple[Ruling, ...]
    command: str
    uncommitted: bool = False

    @property
    def decision(self) -> Decision:
        """`hold` where any claim is held, `release` where there are claims and all are released."""
        decisions = {ruling.decision for ruling in self.rulings}
        if "hold" in decisions:
            return "hold"
        return "release" if decisions == {"release"} else "cannot tell"

    @property
    def exit_code(self) -> int:
        """0 to release, 1 to hold, 2 where the report cannot tell."""
        return EXIT_CODES[self.decision]


def decision_of(probe: ProbeJson[int]) -> Decision:
    """What one probe decides: only an undeclared `supported` releases its claim, and `not run` decides nothing.

    A declared non-reproduction passes its pytest run, but a sentence known not to hold is held all the same.
    """
    if probe["declared"] is not None:
        return "hold"
    match probe["verdict"]:
        case "supported":
            return "release"
        case "not run":
            return "cannot tell"
        case _:
            return "hold"


def decide_release(article: Article, report: Document) -> Release:
    """Decide whether an article may appear, from a report as `read_report` gives it.

    A claim is released where every probe of it is `supported` on the subject cited; where none is cited, on every
    subject that the report ran it on, and at least one. A probe that was planned and is not reported leaves its claim
    undecided, as does a report whose schema is not the one understood here.
    """
    version, command = report["schema_version"], report["run"]["command"]
    if version.partition(".")[0] != SCHEMA_MAJOR:
        gap = f"the report has schema version {version!r}; wanted {SCHEMA_MAJOR}.x"
        unread = tuple(Ruling(citation=cited, gap=gap) for cited in article.claims)
        return Release(article=article, rulings=unread, command=command)
    rulings = tuple(_ruling(cited, report) for cited in article.claims)
    return Release(article=article, rulings=rulings, command=command, uncommitted=report["run"]["dirty"] is True)


def _ruling(citation: Citation, report: Document) -> Ruling:
    """The ruling on one citation: the probes it stands on, and what is missing."""
    of_claim = [probe for claim in report["claims"] if claim["id"] == citation.id for probe in claim["probes"]]
    if citation.subject is None:
        probes = [probe for probe in of_claim if probe["verdict"] != "not run"] or of_claim
    else:
        probes = [probe for probe in of_claim if probe["subject"] == citation.subject]
    lost = _lost(citation, of_claim, report["planned"])
    if lost:
        gap = f"planned but not reported: {', '.join(lost)}; the run did not come to its end"
    elif not of_claim:
        gap = f"no probe in the report has this id{did_you_mean(citation.id, [c['id'] for c in report['claims']])}"
    elif not probes:
        gap = f"the report has it on {', '.join(dict.fromkeys(probe['subject'] for probe in of_claim))} only"
    else:
        gap = None
    return Ruling(citation=citation, probes=tuple(probes), gap=gap)


def _lost(citation: Citation, of_claim: list[ProbeJson[int]], planned: list[str]) -> list[str]:
    """The planned names (`id[subject]`) of the claim that were reported less often than they were planned."""
    reported = Counter(f"{citation.id}[{probe['subject']}]" for probe in of_claim)
    if citation.subject is None:
        due = Counter(name for name in planned if name.startswith(f"{citation.id}["))
    else:
        due = Counter(name for name in planned if name == str(citation))
    return sorted(due - reported)
