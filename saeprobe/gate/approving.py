"""A person approves one claim of a report, with a reason, and its values become a baseline; never several at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from saeprobe.claims import Word, did_you_mean, members
from saeprobe.evidence import Sample
from saeprobe.files import write_whole
from saeprobe.git import named
from saeprobe.report.rebuilt import in_full, samples_at
from saeprobe.report.shape import Claim, Document, Probe
from saeprobe.verdicts.baseline import values_of
from saeprobe.verdicts.baseline_files import Baseline, Provenance, identity_of, read_file, text_of

UNDECIDED: Final[Mapping[Word, str]] = {
    "not run": "nothing was measured",
    "broken": "what it measured cannot be relied on",
    "unverifiable": "there is nothing to hold a later run against",
}
"""Verdicts that cannot be approved, and why."""
LEAST_WORDS: Final = 3  # of a reason; fewer say no more than "ok"
_MANY: Final = re.compile(r"[*?,\s\[\]]")
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")


class ApprovalError(Exception):
    """A claim cannot be approved as asked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """An approval is a baseline that was written to `path`, with the one it follows on, if any."""

    baseline: Baseline
    before: Baseline | None
    path: Path

    def lines(self) -> Iterator[str]:
        """Say what was approved, by whom and why, and what stood before."""
        one, before = self.baseline, self.before
        yield f"approved {one.claim} on {one.subject}, {one.verdict}: {one.sentence}"
        yield f'by {one.approved_by} on {one.on}, because "{one.because}"'
        if before is not None:
            yield f'before it: {before.verdict}, by {before.approved_by} on {before.on}, because "{before.because}"'

    def rows(self) -> list[list[str]]:
        """List name, mean before, mean approved and unit of each value, also of those that are measured no longer."""
        values = self.baseline.values
        old = {} if self.before is None else {value.key: value.mean for value in self.before.values}
        lost = [key for key in old if key not in {value.key for value in values}]
        return [
            [value.name, f"{old[value.key]:.4g}" if value.key in old else "-", f"{value.mean:.4g}", value.unit]
            for value in values
        ] + [[f"{measure} of {label}", f"{old[label, measure, unit]:.4g}", "-", unit] for label, measure, unit in lost]


def approve(
    report: Document, claim: str, *, subject: str | None, by: str, because: str, on: str, folder: Path
) -> Approval:
    """Accept what a report measured of one claim on one subject, and add it to the claim's file in `folder`.

    A `subject` is needed where the claim was decided on several. The reason, `because`, has three words at least, and
    the day, `on`, is in ISO 8601; the folder is made as needed.

    Raises:
        ApprovalError: the report is of a tree with uncommitted changes; the claim or subject is not in it, or not one;
            nothing was decided or measured; that person has approved this run; the name or the reason is missing.
        BaselineError: the claim's file is there and cannot be used.
    """
    person, reason = " ".join(by.split()), " ".join(because.split())
    _check_reason(person, reason)
    chosen = _claim(report, claim)
    probe = _probe(chosen, subject)
    run = report.runs[probe.run]
    if run.dirty:
        found = f"the report is of a tree with uncommitted changes ({named(run.changed)}), so that nobody could "
        remedy = "commit them, run the probes again, and approve then"
        raise ApprovalError(f"{found}find out later what was measured; {remedy}")
    verdict = _verdict(report, probe, claim)
    values = values_of(samples_of(report, probe))
    if not values:
        raise ApprovalError(f"{claim} on {probe.subject} measured nothing that is a value; there is no baseline of it")
    path = folder / f"{claim}.json"
    known = dict(read_file(path)) if path.exists() else {}
    approvals = known.get((claim, probe.subject), ())
    baseline = Baseline(
        claim=claim,
        subject=probe.subject,
        sentence=chosen.sentence,
        approved_by=person,
        because=reason,
        on=on,
        verdict=verdict,
        values=values,
        measured_with=provenance_of(report, probe),
    )
    for one in approvals:  # it would only bury the reason that was given first
        if (one.approved_by, one.measured_with) == (baseline.approved_by, baseline.measured_with):
            found = f"{one.approved_by} approved this run of {one.claim} on {one.subject} on {one.on} already, because "
            raise ApprovalError(f'{found}"{one.because}"; another approval takes another run, or another person')
    known[claim, probe.subject] = (*approvals, baseline)
    write_whole(path, text_of(known).encode("utf-8", errors="backslashreplace"))
    return Approval(baseline=baseline, before=approvals[-1] if approvals else None, path=path)


def _check_reason(person: str, reason: str) -> None:
    if not person:
        raise ApprovalError("--by is blank; give the name of who approves")
    # A Chinese word has two characters or so.
    words = len(_HAN.sub("", reason).split()) + len(_HAN.findall(reason)) // 2
    if words < LEAST_WORDS:
        wanted = f"say in at least {LEAST_WORDS} words why the value may be relied on"
        raise ApprovalError(f"--because is {reason!r}; {wanted} (two Chinese characters count as a word)")


def _claim(report: Document, name: str) -> Claim:
    known = {claim.id: claim for claim in report.claims}
    if name in known:
        return known[name]
    if _MANY.search(name):
        raise ApprovalError(f"{name!r} is not the id of one claim; approve them one by one, each for its own reason")
    near = did_you_mean(name, known)
    raise ApprovalError(f"the report holds no claim {name!r}{near}; it holds {len(known)}, listed in its page")


def _probe(claim: Claim, subject: str | None) -> Probe:
    names = list(dict.fromkeys(probe.subject for probe in claim.probes))
    if subject is None and len(names) > 1:
        raise ApprovalError(f"{claim.id} was decided on {', '.join(names)}; name one of them with --subject")
    wanted = names[0] if subject is None else subject
    found = [probe for probe in claim.probes if probe.subject == wanted]
    if not found:
        near = did_you_mean(wanted, names)
        raise ApprovalError(f"{claim.id} was not decided on {wanted!r}{near}; the report has it on {', '.join(names)}")
    if len(found) > 1:
        times = f"{claim.id} was decided {len(found)} times on {wanted}"
        raise ApprovalError(f"{times}; a baseline belongs to one probe, so make it one")
    return found[0]


def _verdict(report: Document, probe: Probe, claim: str) -> Word:
    """Give the verdict that is approved: once its new values are accepted, what had only left its baseline stands."""
    word = probe.verdict
    if word in UNDECIDED:
        raise ApprovalError(f"{claim} on {probe.subject} is {word}: {UNDECIDED[word]}; {probe.reason}")
    ratios = (report.evidence[row].outcome for row in probe.evidence)
    printed = "drifted" in (*(row.answer for row in probe.published), *ratios)
    return "supported" if word == "drifted" and not printed else word


def samples_of(report: Document, probe: Probe) -> Iterator[Sample]:
    """Give the samples of a probe as its comparisons made them, each prompt in full."""
    yield from (in_full(report, sample) for sample in samples_at(report, probe.evidence))


def provenance_of(report: Document, probe: Probe) -> Provenance:
    """Say what a probe was measured with."""
    run = report.runs[probe.run]
    described = {one.name: vars(one) for one in report.subjects}
    made = {one.name: vars(run)[one.name] for one in fields(Provenance) if one.name in vars(run)}
    of_subjects = {name: identity_of(described.get(name, {})) for name in members(probe.subject)}
    return Provenance(**made, subjects=of_subjects, evidence=run.evidence_dir, generated=run.ended)
