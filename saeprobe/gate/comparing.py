"""Two reports are compared: which verdicts and values changed, beyond their noise, and what changed in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from saeprobe.gate.approving import provenance_of, samples_of
from saeprobe.git import named
from saeprobe.report.shape import Document, Probe
from saeprobe.verdicts.baseline import BaselineComparison, compare_baseline, distinct_digits, values_of
from saeprobe.verdicts.baseline_files import Baseline


@dataclass(frozen=True, kw_only=True)
class Change:
    """A probe that both reports have came out otherwise: by its verdict, or by values that have moved."""

    name: str
    old: Probe
    new: Probe
    compared: BaselineComparison
    files: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Say what changed, and what is recorded of both runs and differs."""
        turned = self.old.verdict != self.new.verdict
        yield f"{self.name}: {self.old.verdict} -> {self.new.verdict}" if turned else f"{self.name}: {self.new.verdict}"
        if turned:
            yield f"  was: {self.old.reason}"
            yield f"  is: {self.new.reason}"
        for row in self.compared.rows:
            if row.agrees is None:
                yield f"  {row.measure} of {row.label}, {row.approved:.4g} {row.unit}, is measured no more"
            elif not row.agrees:
                both = " -> ".join(distinct_digits(row.approved, row.measured or 0.0))
                noise = f"± {row.noise or 0:.3g} ({row.noise_from})"
                yield f"  {row.measure} of {row.label}: {both} {row.unit}, beyond {noise}"
        causes = [*self.compared.changed, *([f"files: {named(self.files)}"] if self.files else [])]
        yield f"  changed in between: {'; '.join(causes) or 'nothing that is recorded'}"


def changes(old: Document, new: Document) -> tuple[list[Change], list[str], list[str]]:
    """List the probes that came out otherwise, and the names of those that only the old or the new report has."""
    before, after = _by_name(old), _by_name(new)
    found = [_change(name, old, new, before[name], after[name]) for name in before if name in after]
    moved = [one for one in found if one.old.verdict != one.new.verdict or _moved(one.compared)]
    return moved, [name for name in before if name not in after], [name for name in after if name not in before]


def _moved(compared: BaselineComparison) -> bool:
    return any(row.agrees is not True for row in compared.rows)


def _by_name(report: Document) -> dict[str, Probe]:
    """Give the probes by claim and subject; of several that decide one claim on a subject each by its node id."""
    named_by: dict[str, list[Probe]] = {}
    for claim in report.claims:
        for probe in claim.probes:
            named_by.setdefault(f"{claim.id} on {probe.subject}", []).append(probe)
    return {
        name if len(probes) == 1 else f"{name}, {probe.nodeid}": probe
        for name, probes in named_by.items()
        for probe in probes
    }


def _change(name: str, old: Document, new: Document, before: Probe, after: Probe) -> Change:
    made_with = provenance_of(old, before)
    earlier = Baseline(
        claim=name,
        subject=before.subject,
        sentence="",
        approved_by="",
        because="",
        on="",
        verdict=before.verdict,
        values=values_of(samples_of(old, before)),
        measured_with=made_with,
    )
    both = old.runs[before.run].files, new.runs[after.run].files
    files = sorted(file for file in both[0].keys() | both[1].keys() if both[0].get(file) != both[1].get(file))
    compared = compare_baseline(earlier, samples_of(new, after), provenance_of(new, after))
    return Change(name=name, old=before, new=after, compared=compared, files=tuple(files))
