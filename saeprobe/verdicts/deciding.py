"""Deciding: from the evidence that a probe gathered, and how it ended, to the verdict on its claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from saeprobe.baselines.comparing import BaselineComparison, compare_baseline
from saeprobe.claims import Claim, Control, NotRun, Unverifiable, Verdict
from saeprobe.evidence.evidence import Evidence
from saeprobe.published_values import PublishedComparison, agreement, compare_published, moved, pieces_of, unanswered
from saeprobe.verdicts.baseline import Baseline, Provenance

Decided = tuple[Verdict, tuple[PublishedComparison, ...], BaselineComparison | None]
"""The verdict, the printed numbers beside the measured ones, and the approved ones beside them, where there are any."""


UNDECIDED = ("not run", "unverifiable", "broken")


def decide(
    claim: Claim,
    subject: str,
    evidence: Sequence[Evidence],
    ended: BaseException | None,
    baseline: Baseline | None = None,
    now: Provenance | None = None,
) -> Decided:
    """The verdict on `claim` for one subject.

    The evidence decides, not Python's truth: a comparison that is evaluated counts even where no assert looks at it,
    and the worst of several decides. A probe without evidence is broken, and so is one that returns although a
    comparison of it is not supported: it negates it, or does not assert it, and so states another sentence.

    Args:
        claim: the claim, with its published numbers and declared non-reproductions.
        subject: the subject's name.
        evidence: all that was recorded while the probe ran, in order.
        ended: the exception that ended the probe, or None where it returned.
        baseline: the newest approval of the claim on this subject.
        now: what this run was made with, to say what changed since the approval.
    """
    compared = compare_published(claim.published.get(subject), evidence)
    verdict = _as_declared(_from_evidence(claim, subject, evidence, ended), claim, subject)
    if baseline is None or verdict.word in UNDECIDED:
        return verdict, compared, None
    beside = compare_baseline(baseline, evidence, now or Provenance())
    return _beside_baseline(verdict, beside), compared, beside


def _from_evidence(claim: Claim, subject: str, evidence: Sequence[Evidence], ended: BaseException | None) -> Verdict:
    scope = "; ".join(dict.fromkeys(piece.scope for piece in evidence))
    if isinstance(ended, NotRun | Unverifiable):
        if not any(piece.outcome == "refuted" for piece in evidence):  # what stands against it is not skipped away
            return Verdict(word="not run" if isinstance(ended, NotRun) else "unverifiable", reason=str(ended))
    elif ended is not None and not isinstance(ended, AssertionError):
        return Verdict(word="broken", reason=f"the probe raised {type(ended).__name__}: {ended}", scope=scope)
    if not evidence:
        return Verdict(word="broken", reason="the probe compared nothing, so there is no evidence for its sentence")
    for word in ("refuted", "inconclusive"):
        told = [piece for piece in evidence if piece.outcome == word]
        if told and ended is None:
            return Verdict(word="broken", reason=_passed_over(told[0]), scope=scope)
        if told:
            beside = agreement(claim.published.get(subject), evidence)
            return Verdict(word=word, reason="; ".join(piece.reason for piece in told) + beside, scope=scope)
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
    return _beside_published(claim, subject, evidence, scope)


def _passed_over(piece: Evidence) -> str:
    return (
        f"{piece.statement} is {piece.outcome}, and yet the probe went on: the comparison is negated, or-ed, caught or "
        "not asserted, so that the probe states another sentence; state each comparison in an assert of its own"
    )


def _controls_run(evidence: Sequence[Evidence]) -> set[Control]:
    """The controls of all comparisons, parts included."""
    return {control.name for piece in pieces_of(evidence) for control in piece.controls}


def _beside_published(claim: Claim, subject: str, evidence: Sequence[Evidence], scope: str) -> Verdict:
    reason = "; ".join(piece.reason for piece in evidence)
    published = claim.published.get(subject)
    if published is not None:
        missing = unanswered(published, evidence)
        if missing is not None:
            return Verdict(word="broken", reason=missing, scope=scope)
        apart = moved(published, evidence)
        if apart is not None:
            return Verdict(word="drifted", reason=f"the sentence holds, but {apart}", scope=scope)
    return Verdict(word="supported", reason=reason + agreement(published, evidence), scope=scope)


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
