"""Deciding: from the evidence that a probe gathered, and how it ended, to the verdict on its claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from saeprobe.claims import Claim, Published
from saeprobe.evidence import Evidence, Sample
from saeprobe.verdicts import NotRun, Unverifiable, Verdict


@dataclass(frozen=True, kw_only=True)
class PublishedComparison:
    """A printed number beside the one measured here, in `unit`; it agrees when they differ by `tolerance` at most."""

    label: str
    value: float
    unit: str
    tolerance: float
    tolerance_from: str
    measured: float

    @property
    def agrees(self) -> bool:
        """Whether the two differ by no more than the tolerance."""
        return abs(self.measured - self.value) <= self.tolerance + 1e-9 * abs(self.value)


def decide(
    claim: Claim, subject: str, evidence: Sequence[Evidence], ended: BaseException | None
) -> tuple[Verdict, tuple[PublishedComparison, ...]]:
    """The verdict on `claim` for one subject.

    The evidence decides, not Python's truth: a comparison that is evaluated counts even where its assert was never
    reached or was negated, the worst of several decides, and a probe without evidence is broken.

    Args:
        claim: the claim, with its published numbers and declared non-reproductions.
        subject: the subject's name.
        evidence: all that was recorded while the probe ran, in order.
        ended: the exception that ended the probe, or None where it returned.
    """
    compared = compare_published(claim.published.get(subject), evidence)
    verdict = _from_evidence(claim, subject, evidence, ended, compared)
    return _as_declared(verdict, claim, subject), compared


def compare_published(published: Published | None, evidence: Sequence[Evidence]) -> tuple[PublishedComparison, ...]:
    """Each published number beside the measured mean of the same label and unit; those never measured are left out."""
    if published is None:
        return ()
    found: dict[str, Sample] = {}
    for sample in _samples(evidence):
        if sample.unit == published.unit:
            found.setdefault(sample.label, sample)
    return tuple(_compared(published, label, found[label]) for label in published.values if label in found)


def _samples(evidence: Sequence[Evidence]) -> Iterator[Sample]:
    for piece in evidence:
        yield from piece.samples
        yield from _samples(piece.parts)


def _compared(published: Published, label: str, sample: Sample) -> PublishedComparison:
    tolerance, origin = published.tolerance, "set by the claim"
    if tolerance is None:
        rounding = published.rounding(label)
        sampling = 0.0 if sample.interval is None else max(abs(end - sample.mean) for end in sample.interval)
        tolerance = rounding + sampling
        origin = f"printed precision {rounding:g}" + (
            f" + interval of the measured mean {sampling:.3g}" if sampling else ""
        )
    return PublishedComparison(
        label=label,
        value=published.values[label],
        unit=published.unit,
        tolerance=tolerance,
        tolerance_from=origin,
        measured=sample.mean,
    )


def _from_evidence(
    claim: Claim,
    subject: str,
    evidence: Sequence[Evidence],
    ended: BaseException | None,
    compared: Sequence[PublishedComparison],
) -> Verdict:
    scope = "; ".join(dict.fromkeys(piece.scope for piece in evidence))
    if isinstance(ended, NotRun | Unverifiable):
        if not any(piece.outcome == "refuted" for piece in evidence):  # what stands against it is not skipped away
            return Verdict(word="not run" if isinstance(ended, NotRun) else "unverifiable", reason=str(ended))
    elif ended is not None and not isinstance(ended, AssertionError):
        return Verdict(word="broken", reason=f"the probe raised {type(ended).__name__}: {ended}", scope=scope)
    if not evidence:
        return Verdict(word="broken", reason="the probe compared nothing, so there is no evidence for its sentence")
    for word in ("refuted", "inconclusive"):
        told = [piece.reason for piece in evidence if piece.outcome == word]
        if told:
            return Verdict(word=word, reason="; ".join(told) + _agreement(compared), scope=scope)
    if ended is not None:
        return Verdict(
            word="broken",
            reason="all evidence supports the sentence, but an assert beside it failed; assert on comparisons alone",
            scope=scope,
        )
    return _beside_published(claim, subject, evidence, compared, scope)


def _beside_published(
    claim: Claim, subject: str, evidence: Sequence[Evidence], compared: Sequence[PublishedComparison], scope: str
) -> Verdict:
    reason = "; ".join(piece.reason for piece in evidence)
    published = claim.published.get(subject)
    measured = {row.label for row in compared}
    never = [label for label in published.values if label not in measured] if published else []
    if published and never:
        wanted = f"{', '.join(never)} in {published.unit}"
        return Verdict(word="broken", reason=f"published values were never measured: {wanted}", scope=scope)
    moved = [row for row in compared if not row.agrees]
    if moved:
        told = "; ".join(
            f"{row.label} is {row.measured:.4g} {row.unit}, published {row.value:g} ± {row.tolerance:.3g}"
            for row in moved
        )
        return Verdict(word="drifted", reason=f"the sentence holds, but its numbers have moved: {told}", scope=scope)
    return Verdict(word="supported", reason=reason + _agreement(compared), scope=scope)


def _agreement(compared: Sequence[PublishedComparison]) -> str:
    if not compared:
        return ""
    agreeing = sum(row.agrees for row in compared)
    return f"; {agreeing} of {len(compared)} published values agree"


def _as_declared(verdict: Verdict, claim: Claim, subject: str) -> Verdict:
    declared = claim.not_reproduced.get(subject)
    if declared is None:
        return verdict
    if verdict.word == declared.verdict:
        return replace(verdict, declared=declared.reason)
    if verdict.word == "supported":
        told = f"declared {declared.verdict} ({declared.reason}), yet supported: {verdict.reason}"
        reason = f"{told}. Take the declaration away"
        return replace(verdict, reason=reason, surprise=True)
    return verdict
