"""The gate decides whether an article may appear, from what a report says of each claim that it cites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Final, Literal

from saeprobe.claims import Word, did_you_mean, members
from saeprobe.files import visible
from saeprobe.gate.article import Article, Citation
from saeprobe.gate.policy import COMMIT_SHOWN, Doubt, Doubts, declared
from saeprobe.git import named
from saeprobe.report import command_line, planned_name
from saeprobe.report.overview import as_declared
from saeprobe.report.shape import Claim, Document, Probe
from saeprobe.verdicts import SKIPPED

Decision = Literal["release", "hold", "cannot tell"]
EXIT_CODES: Final[dict[Decision, int]] = {"release": 0, "hold": 1, "cannot tell": 2}


def together(decisions: Sequence[Decision]) -> Decision:
    """Decide on several at once: one `hold` holds, and a release takes at least one and nothing else."""
    if "hold" in decisions:
        return "hold"
    return "release" if set(decisions) == {"release"} else "cannot tell"


@dataclass(frozen=True, kw_only=True, eq=False)
class Ruling:
    """A ruling says what becomes of one citation; `gaps` are what the report does not answer, each with its remedy."""

    citation: Citation
    probes: tuple[tuple[Claim, Probe], ...] = ()
    gaps: tuple[Doubt, ...] = ()

    @property
    def decision(self) -> Decision:
        """Hold where any probe holds; release where there are probes, all release, and the report has no gap."""
        gaps: list[Decision] = ["cannot tell" for _ in self.gaps]
        return together([*(decision_of(probe) for _, probe in self.probes), *gaps])


@dataclass(frozen=True, kw_only=True, eq=False)
class Release:
    """A release is the decision on an article, with the ruling on each of its citations in their order.

    `uncommitted` names files that differed from their commit when the report was made. That is said and holds nothing:
    the manuscript may be such a change itself, and unlike an approval a release leaves nothing behind that later runs
    are held against.
    """

    article: Article
    rulings: tuple[Ruling, ...]
    report: Document
    uncommitted: str | None = None

    @property
    def decision(self) -> Decision:
        """Hold where any claim is held, release where there are claims and all are released."""
        return together([ruling.decision for ruling in self.rulings])


def decision_of(probe: Probe) -> Decision:
    """Decide by one probe: only an undeclared `supported` releases its claim, and `not run` decides nothing.

    A sentence that is declared not to hold is held, whatever this run found and its pytest made of that.
    """
    if probe.declaration is not None:
        return "hold"
    return "release" if probe.verdict == "supported" else "cannot tell" if probe.verdict == "not run" else "hold"


def decide_release(article: Article, report: Document, doubts: Sequence[Doubts] = ()) -> Release:
    """Decide whether an article may appear.

    A claim is released where every probe of it is `supported` on the subject cited; where none is cited, on every
    subject that the report ran it on, and at least one. A probe that was planned and is not reported leaves its claim
    undecided, and so does what a run left out, a subject that was given prompts in the place of STYLES which it neither
    declares nor needs, and each of the `doubts` that there are of a probe which would release.
    """
    subjects = dict.fromkeys(citation.subject for citation in article.claims)
    marks = " or ".join(subject.replace("+", " and ") for subject in subjects if subject is not None)
    # It decides all that the article cites: a run of a single subject would take the others out again.
    command = command_line(["pytest", "probes/", *(["-m", marks] if marks else [])])
    rulings = tuple(_ruling(cited, report, command, doubts) for cited in article.claims)
    cited = (report.runs[probe.run] for ruling in rulings for _, probe in ruling.probes)
    uncommitted = next((named(run.changed) for run in (*cited, report.run) if run.dirty), None)
    return Release(article=article, rulings=rulings, report=report, uncommitted=uncommitted)


def _ruling(citation: Citation, report: Document, command: str, doubts: Sequence[Doubts]) -> Ruling:
    of_claim = [(claim, probe) for claim in report.claims if claim.id == citation.id for probe in claim.probes]
    if citation.subject is None:  # what is absent here was not run; what was put by leaves its subject undecided
        tried = {it.subject for _, it in of_claim if it.verdict != "not run" or it.reason.startswith(SKIPPED)}
        probes = [(claim, probe) for claim, probe in of_claim if probe.subject in tried] or of_claim
    else:
        probes = [(claim, probe) for claim, probe in of_claim if probe.subject == citation.subject]
    gaps = dict.fromkeys(_gaps(citation, report, [probe for _, probe in of_claim], f"{command} writes a new report"))
    for claim, probe in probes:
        if decision_of(probe) == "release":
            gaps |= dict.fromkeys(one for doubt in doubts for one in doubt(report, claim, probe))
    return Ruling(citation=citation, probes=tuple(probes), gaps=tuple(gaps))


def _gaps(citation: Citation, report: Document, of_claim: Sequence[Probe], again: str) -> Iterator[Doubt]:
    """Say what the report does not answer of a claim, whose probes are these, each with what to do."""
    subjects = list(dict.fromkeys(probe.subject for probe in of_claim))
    if lost := _lost(citation, of_claim, report.planned):
        yield f"planned but not reported: {', '.join(lost)}; the run did not come to its end", again
    elif not of_claim:
        ids = [claim.id for claim in report.claims]
        cases = ", ".join(name for name in ids if name.startswith(f"{citation.id}."))
        near = f"; there are {cases}" if cases else did_you_mean(citation.id, ids)
        remedy = f"{again}; if no probe decides this claim yet, write one or take the claim out"
        yield f"no probe in the report has this id{near}", remedy
    elif citation.subject not in (None, *subjects):
        near = did_you_mean(str(citation.subject), subjects)
        remedy = f"write subject: {' or '.join(subjects)} in the article; "
        remedy += f"where its probe has subjects({citation.subject!r}) too, {again}"
        yield f"the report has it on {', '.join(subjects)} only{near}", remedy
    if left := list(_left_out(citation, report)):
        yield f"left out of that run: {'; '.join(left)}", again
    on = {name for each in subjects if citation.subject in (None, each) for name in members(each)}
    if swapped := {one.name: one.other_prompts for one in report.subjects if one.name in on and one.other_prompts}:
        gap = "; ".join(f"{name} reads {file} in the place of STYLES" for name, file in swapped.items())
        remedy = f"name no {' and '.join(swapped)} in saeprobe_prompts and --saeprobe-prompts, "
        remedy += f"or declare prompts = FILE in a subject of its own; then {again}"
        yield f"{gap}: given for that run, so that the numbers may be of other prompts than the subject's own", remedy


def _left_out(citation: Citation, report: Document) -> Iterator[str]:
    """Say what of a claim was there and not run; what may be of any claim, or on any subject, is of this one too."""
    for one in report.left_out:
        claim = one.claim in ("", citation.id) or citation.id.startswith(f"{one.claim}.")
        if claim and (citation.subject is None or one.subject in ("", citation.subject)):
            yield f"{one.where} ({one.why})"


def _lost(citation: Citation, of_claim: Sequence[Probe], planned: Sequence[str]) -> list[str]:
    """List the planned names (`id[subject]`) of the claim that were reported less often than they were planned."""
    reported = Counter(planned_name(citation.id, probe.subject) for probe in of_claim)
    whole, begin = citation.subject is None, f"{citation.id}["
    due = Counter(name for name in planned if name == str(citation) or (whole and name.startswith(begin)))
    return sorted(due - reported)


_WORST_FIRST: Final[tuple[Decision, ...]] = ("hold", "cannot tell", "release")
_WIDTH: Final = 100
_REMEDIES: Final[dict[Word, str]] = {
    "explained": "write what accounts for it, or take the sentence out",
    "refuted": "take the sentence out, or write what was found",
    "drifted": "write the number that was measured",
    "inconclusive": "gather more evidence, or weaken the sentence",
    "unverifiable": "name in the sentence what can be tested",
    "broken": "mend the probe or its instrument",
    "not run": "bring what is absent",
}
_SEEN: Final = ("explained", "refuted", "drifted")  # their evidence is there to be looked at; others take a new run
_UNCOMMITTED: Final = "warning: the report is of a tree with uncommitted changes; commit before the article appears:"
_APPROVE: Final = "find out what moved it, or accept the new value with 'saeprobe approve'"


def render(release: Release) -> str:
    """Write what becomes of the article, which claims decide it and why, and for those not released a remedy."""
    article = release.article
    lines = [visible(f"{release.decision.upper()}  {article.path}"), visible(f"  {article.title}"), ""]
    gaps = [ruling.gaps for ruling in release.rulings]
    of_all = [one for one in gaps[0] if all(one in held for held in gaps)] if len(gaps) > 1 else []
    for decision in _WORST_FIRST:
        for ruling in release.rulings:
            if ruling.decision == decision:
                lines += _ruling_lines(ruling, release, of_all)
    lines += ["  of every claim:", *_gap_lines(of_all)] if of_all else []
    warning = [] if release.uncommitted is None else [f"{_UNCOMMITTED}\n  {visible(release.uncommitted)}"]
    counts, total = Counter(ruling.decision for ruling in release.rulings), len(release.rulings)
    summary = f"{counts['release']} of {total} {'claim' if total == 1 else 'claims'} released, {counts['hold']} held, "
    summary += f"{counts['cannot tell']} undecided; exit code {EXIT_CODES[release.decision]}"
    on = {probe.subject for ruling in release.rulings for _, probe in ruling.probes}
    chance = [fill(visible(one.line), _WIDTH) for one in release.report.chance if one.subject in on]
    return "\n".join([*lines, "", *warning, *chance, summary])


def _gap_lines(gaps: Iterable[Doubt]) -> Iterator[str]:
    for gap, remedy in gaps:
        yield from map(_indented, (gap, f"-> {remedy}"))


def _ruling_lines(ruling: Ruling, release: Release, of_all: Collection[Doubt]) -> Iterator[str]:
    yield f"  {ruling.decision:<11}  {visible(str(ruling.citation))}"
    for claim, probe in ruling.probes:
        known = ", a declared non-reproduction" if as_declared(probe) else ""
        yield _indented(f"{probe.verdict} on {probe.subject}{known}: {probe.reason}")
        if probe.declaration is not None:
            since = f" (since {probe.declared_at[:COMMIT_SHOWN]})" if probe.declared_at else ""
            yield _indented(f"declared {probe.declaration.word} because: {probe.declaration.reason}{since}")
        run = release.report.runs[probe.run]
        if decision_of(probe) != "release":
            yield _indented(f"-> {_remedy(probe, run.command)}")
            continue
        if probe.scope:
            yield _indented(f"scope: {probe.scope}")
        commit = f"at commit {run.commit[:COMMIT_SHOWN]}" if run.commit else "without a commit"
        seed = f", seed = {run.seed}" if run.seed else ""
        yield _indented(f"run {commit} on {run.ended[:10]}, alpha = {run.alpha:g}{seed}; {declared(claim, probe)}")
    yield from _gap_lines(gap for gap in ruling.gaps if gap not in of_all)


def _remedy(probe: Probe, command: str) -> str:
    """Say what a writer can do about a probe that does not release its claim."""
    if as_declared(probe):
        return "take the claim out of the article, or write what was found and cite it no longer"
    if probe.declaration is not None:
        why = "it is right that the sentence holds" if probe.verdict == "supported" else "it is not what is known"
        return f"take the declaration away, if {why}; then make the whole report again: {command}"
    remedy = _APPROVE if _left_baseline(probe) else _REMEDIES[probe.verdict]
    if probe.verdict in _SEEN:
        return f"{remedy}; the evidence again, in a report of a part: {command_line(['pytest', probe.nodeid])}"
    return f"{remedy}; then make the whole report again: {command}"


def _left_baseline(probe: Probe) -> bool:
    """Say whether a claim has drifted from what was approved alone, so that no printed number is wrong."""
    approved = probe.baseline
    if probe.verdict != "drifted" or approved is None or any(row.answer == "drifted" for row in probe.published):
        return False
    return any(row.agrees is not True for row in approved.rows)


def _indented(text: str) -> str:
    margins: dict[str, Any] = {"initial_indent": " " * 15, "subsequent_indent": " " * 17}
    return fill(visible(text.replace("\n", " ")), _WIDTH, **margins, break_long_words=False, break_on_hyphens=False)
