"""Deciding: from the evidence that a probe gathered, and how it ended, to the verdict on its claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from saeprobe.baselines import Baseline, BaselineComparison, Provenance, compare_baseline
from saeprobe.baselines.values import samples_of
from saeprobe.claims import Claim, Control, Published
from saeprobe.evidence import Evidence, Sample
from saeprobe.verdicts import NotRun, Unverifiable, Verdict

Decided = tuple[Verdict, tuple["PublishedComparison", ...], BaselineComparison | None]
"""The verdict, the printed numbers beside the measured ones, and the approved ones beside them, where there are any."""

UNDECIDED = ("not run", "unverifiable", "broken")


@dataclass(frozen=True, kw_only=True)
class PublishedComparison:
    """A printed number beside the one measured here, in `unit`; it agrees when they differ by `tolerance` at most.

    Unless the claim states it, the tolerance is the sum of `rounding`, half a unit of the last printed decimal, and
    `sampling`, the sampling error of the difference of two means. With h the half width of the interval of the mean
    measured here, that error is h for our mean; the printed mean, over n' prompts where ours is over n, has one of its
    own, h sqrt(n / n') if its prompts scatter as ours do; the two add up as sqrt(h^2 + h^2 n / n'). Of a source that
    does not tell n' nothing is known, and only our own error counts: h.
    """

    label: str
    value: float
    unit: str
    tolerance: float
    tolerance_from: str
    measured: float
    rounding: float | None = None
    sampling: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether the two differ by no more than the tolerance."""
        return abs(self.measured - self.value) <= self.tolerance + 1e-9 * abs(self.value)


def decide(
    claim: Claim,
    subject: str,
    evidence: Sequence[Evidence],
    ended: BaseException | None,
    baseline: Baseline | None = None,
    now: Provenance | None = None,
) -> Decided:
    """The verdict on `claim` for one subject.

    The evidence decides, not Python's truth: a comparison that is evaluated counts even where its assert was never
    reached or was negated, the worst of several decides, and a probe without evidence is broken.

    Args:
        claim: the claim, with its published numbers and declared non-reproductions.
        subject: the subject's name.
        evidence: all that was recorded while the probe ran, in order.
        ended: the exception that ended the probe, or None where it returned.
        baseline: the newest approval of the claim on this subject.
        now: what this run was made with, to say what changed since the approval.
    """
    compared = compare_published(claim.published.get(subject), evidence)
    verdict = _as_declared(_from_evidence(claim, subject, evidence, ended, compared), claim, subject)
    if baseline is None or verdict.word in UNDECIDED:
        return verdict, compared, None
    beside = compare_baseline(baseline, evidence, now or Provenance())
    return _beside_baseline(verdict, beside), compared, beside


def compare_published(published: Published | None, evidence: Sequence[Evidence]) -> tuple[PublishedComparison, ...]:
    """Each published number beside the measured mean of the same label and unit; those never measured are left out."""
    if published is None:
        return ()
    found: dict[str, Sample] = {}
    for sample in samples_of(evidence):
        if sample.unit == published.unit:
            found.setdefault(sample.label, sample)
    return tuple(_compared(published, label, found[label]) for label in published.values if label in found)


def _compared(published: Published, label: str, sample: Sample) -> PublishedComparison:
    rounding = sampling = None
    tolerance, origin = published.tolerance, "set by the claim"
    if tolerance is None:
        rounding, sampling = published.rounding(label), _sampling_error(sample, published.n)
        tolerance = rounding + sampling
        origin = f"printed precision {rounding:g}{_sampling_in_words(sample, published.n, sampling)}"
    return PublishedComparison(
        label=label,
        value=published.values[label],
        unit=published.unit,
        tolerance=tolerance,
        tolerance_from=origin,
        measured=sample.mean,
        rounding=rounding,
        sampling=sampling,
    )


def _half_width(sample: Sample) -> float:
    """How far the farther end of the interval lies from the mean; 0 where there is no interval."""
    return 0.0 if sample.interval is None else max(abs(end - sample.mean) for end in sample.interval)


def _sampling_error(sample: Sample, n_published: int | None) -> float:
    """Half width of the difference of both means; of ours alone where the source does not tell its n."""
    half = _half_width(sample)
    if n_published is None or sample.n is None:
        return half
    return half * math.sqrt(1 + sample.n / n_published)


def _sampling_in_words(sample: Sample, n_published: int | None, sampling: float) -> str:
    if not sampling:
        return ""
    if n_published is None or sample.n is None:
        return f" + sampling error {sampling:.3g} of the mean measured here alone"
    return f" + sampling error {sampling:.3g} of the means over {sample.n} prompts here and {n_published} there"


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
    missing = [name for name in claim.controls if name not in _controls_run(evidence)]
    if missing:
        which, them = (missing[0], "it") if len(missing) == 1 else (" and ".join(missing), "them")
        reason = f"the claim asks for the control {which}, and no comparison of the probe ran {them}"
        return Verdict(word="broken", reason=reason, scope=scope)
    return _beside_published(claim, subject, evidence, compared, scope)


def _controls_run(evidence: Sequence[Evidence]) -> set[Control]:
    """The controls of all comparisons, parts included."""
    here: set[Control] = {control.name for piece in evidence for control in piece.controls}
    return here.union(*(_controls_run(piece.parts) for piece in evidence))


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


def _beside_baseline(verdict: Verdict, beside: BaselineComparison) -> Verdict:
    """The verdict once the approved values are held against it.

    A sentence that holds is `drifted` where its values have left their baseline. A declaration speaks of what was
    published: it does not cover such a move. Another verdict keeps its word and tells the move.
    """
    holds = verdict.word in ("supported", "drifted")
    told = beside.reason(whole=holds)
    if told is not None and holds:
        before = "the sentence holds, but" if verdict.word == "supported" else f"{verdict.reason}; and"
        also = f"; {verdict.reason}" if verdict.surprise else ""
        return replace(verdict, word="drifted", reason=f"{before} {told}{also}", declared=None, surprise=False)
    reason = verdict.reason if told is None else f"{verdict.reason}; {told}"
    approved = beside.baseline
    if verdict.word != approved.verdict:
        reason = (
            f"{reason}; approved as {approved.verdict} by {approved.approved_by} on {approved.on}, now {verdict.word}"
        )
    return replace(verdict, reason=reason)
