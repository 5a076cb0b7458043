"""A verdict on a claim follows from the evidence that its probe gathered, and from how the probe ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from saeprobe.claims import Claim, NotRun, Published, Unverifiable, Verdict, did_you_mean
from saeprobe.evidence.evidence import Evidence, Kind, Sample, samples_of
from saeprobe.evidence.printed import PublishedComparison, another_run, held_against
from saeprobe.verdicts.baseline import BaselineComparison, against_baseline, compare_baseline
from saeprobe.verdicts.baseline_files import Baseline, Provenance

ORDERING: Final[tuple[Kind, ...]] = ("greater", "at least", "exclusive")
"""These kinds of comparison put their two sides in an order."""

UNDECIDED: Final = ("not run", "unverifiable", "broken")


@dataclass(frozen=True, kw_only=True)
class _Order:
    """The probe found `upper` above `lower`, and both together may have been rounded by `rounding`."""

    upper: PublishedComparison
    lower: PublishedComparison
    rounding: float

    @property
    def printed(self) -> float:
        """Return how far `upper` is printed above `lower`; below zero where it is printed below it."""
        return self.upper.value - self.lower.value

    @property
    def turned(self) -> bool:
        """Say whether the two are printed the other way round, whatever they were rounded from."""
        return -self.printed >= self.rounding * (1 - 1e-9)

    @property
    def within_tolerance(self) -> bool:
        """Say whether a number that agrees may lie where the other one is printed."""
        return max(self.upper.tolerance, self.lower.tolerance) > abs(self.printed)


def compare_published(published: Published | None, evidence: Sequence[Evidence]) -> tuple[PublishedComparison, ...]:
    """Hold each published number against the measured mean of the same label, unit and, where it is stated, measure.

    Those for which nothing measured answers, or more than one measure, are left out; `unanswered` names them.

    A number that only the reach of rounding brings within its tolerance is no evidence either way: a sentence that
    holds is then `inconclusive`. It is `drifted` where another number lies beyond its whole tolerance, or where two are
    printed in the reverse order; and `supported` where every number agrees without that reach.
    """
    if published is None:
        return ()
    pairs = [(order.upper, order.lower) for order in _orders(published, evidence) if order.turned]
    turned = {row.label for pair in pairs if all(row.agrees is not False for row in pair) for row in pair}
    return tuple(replace(row, agrees=False) if row.label in turned else row for row in _rows(published, evidence))


def unanswered(published: Published, evidence: Sequence[Evidence]) -> str | None:
    """Say which published numbers no measure answers for, or more than one; None where each has its own."""
    found = _candidates(published, evidence)
    never = [label for label, samples in found.items() if not samples]
    if never:
        known = {sample.measure for sample in samples_of(evidence)}
        by = f" by {published.measure!r}{did_you_mean(published.measure, known)}" if published.measure else ""
        return f"published values were never measured: {', '.join(never)} in {published.unit}{by}"
    several = {label: [one.measure for one in samples] for label, samples in found.items() if len(samples) > 1}
    if not several:
        return None
    label, measures = next(iter(several.items()))
    return (
        f"published values may be of several measures: {', '.join(several)} in {published.unit}, by "
        f"{' and by '.join(measures)}; state which, as in published({label}=..., unit={published.unit!r}, "
        f"measure={measures[0]!r})"
    )


def moved(published: Published, evidence: Sequence[Evidence]) -> str | None:
    """Say how what is measured differs from what is published, number by number and in order; None where all agrees."""
    far = [
        f"{row.label} is {row.measured:.4g} {row.unit}, published {row.value:g} ± {row.tolerance:.3g}"
        for row in _rows(published, evidence)
        if row.agrees is False
    ]
    turned = [
        f"{order.upper.label} lies {order.upper.measured - order.lower.measured:.4g} {published.unit} above "
        f"{order.lower.label} here, and is published {-order.printed:.4g} below it"
        for order in _orders(published, evidence)
        if order.turned
    ]
    faults = [f"its numbers have moved: {'; '.join(far)}"] if far else []
    faults += [f"its numbers are published in the reverse order: {'; '.join(turned)}"] if turned else []
    return "; and ".join(faults) or None


def undecided(published: Published, evidence: Sequence[Evidence]) -> str | None:
    """Say of which numbers rounding decides whether they agree with what is published; None where of none."""
    either = [
        f"{row.label} is {row.measured:.4g} {row.unit}, published {row.value:g} ± {row.tolerance:.3g}, of which "
        f"{row.reach or 0:.3g} is within reach of rounding"
        for row in _rows(published, evidence)
        if row.agrees is None
    ]
    return f"rounding decides whether its numbers agree: {'; '.join(either)}" if either else None


def agreement(published: Published | None, evidence: Sequence[Evidence]) -> str:
    """Say how many numbers agree, to go on after a reason, and where that says little of their difference."""
    rows = compare_published(published, evidence)
    if published is None or not rows:
        return ""
    agreeing = [row.label for row in rows if row.agrees]
    wide = [
        f"{order.upper.label} and {order.lower.label} are published {abs(order.printed):.4g} {published.unit} apart "
        f"and held to ± {order.upper.tolerance:.3g} and ± {order.lower.tolerance:.3g}"
        for order in _orders(published, evidence)
        if order.within_tolerance and {order.upper.label, order.lower.label}.issubset(agreeing)
    ]
    count = f"; {len(agreeing)} of {len(rows)} published values agree"
    either = [row.label for row in rows if row.agrees is None]
    count += f", and rounding decides whether {' and '.join(either)} would" if either else ""
    return count + (f", only within tolerances wider than the published difference: {'; '.join(wide)}" if wide else "")


def _candidates(published: Published, evidence: Sequence[Evidence]) -> dict[str, list[Sample]]:
    """Return by published label the samples that could be what is printed: the first one of each measure."""
    found: dict[str, dict[str, Sample]] = {label: {} for label in published.values}
    for sample in samples_of(evidence):
        if sample.label in found and sample.unit == published.unit and published.measure in ("", sample.measure):
            found[sample.label].setdefault(sample.measure, sample)
    return {label: list(of_label.values()) for label, of_label in found.items()}


def _answers(published: Published, evidence: Sequence[Evidence]) -> list[Sample]:
    """Return the samples that published numbers are held against, where it is clear which they are."""
    return [samples[0] for samples in _candidates(published, evidence).values() if len(samples) == 1]


def _rows(published: Published, evidence: Sequence[Evidence]) -> list[PublishedComparison]:
    return [held_against(published, sample, sampled=True) for sample in _answers(published, evidence)]


def _orders(published: Published, evidence: Sequence[Evidence]) -> list[_Order]:
    """Return the orders in which comparisons of the probe found the measured numbers, each once."""
    answers = _answers(published, evidence)
    orders: dict[tuple[str, str], _Order] = {}
    for piece in _pieces(evidence):
        sides = [sample for sample in piece.samples if sample in answers]
        if len(sides) != 2 or not _puts_in_order(piece):  # noqa: PLR2004 - both sides
            continue
        lower, upper = sorted(sides, key=lambda side: side.mean)
        orders[upper.label, lower.label] = _Order(
            upper=held_against(published, upper, sampled=True),
            lower=held_against(published, lower, sampled=True),
            rounding=published.rounding(upper.label) + published.rounding(lower.label),
        )
    return list(orders.values())


def _puts_in_order(piece: Evidence) -> bool:
    """Say whether a comparison found one side above the other; what falls short of a margin need not lie below."""
    margin = piece.margin or 0.0
    decided = margin >= 0 if piece.outcome == "supported" else piece.outcome == "refuted" and margin == 0
    return decided and piece.kind in ORDERING


def _pieces(evidence: Sequence[Evidence]) -> list[Evidence]:
    return [piece for whole in evidence for piece in whole.walk()]


Decided = tuple[Verdict, tuple[PublishedComparison, ...], BaselineComparison | None]
"""The verdict, the printed numbers held against the measured ones, and the approved ones, where there are any."""


def decide(
    claim: Claim,
    subject: str,
    evidence: Sequence[Evidence],
    ended: BaseException | None,
    baseline: Baseline | None = None,
    now: Provenance | None = None,
) -> Decided:
    """Return the verdict on `claim` for one subject.

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
    printed = claim.published.get(subject)
    another = another_run(printed, samples_of(evidence)) if printed else ""
    held = replace(claim, published={}) if another else claim
    compared = compare_published(held.published.get(subject), evidence)
    verdict = _from_evidence(held, subject, evidence, ended)
    if another and verdict.word == "supported":
        verdict = replace(verdict, word="inconclusive", reason=f"the sentence holds: {verdict.reason}")
    if another and verdict.word in ("refuted", "inconclusive"):
        verdict = replace(verdict, reason=f"{verdict.reason}; {another}")
    verdict = _as_declared(verdict, claim, subject)
    if baseline is None or verdict.word in UNDECIDED:
        return verdict, compared, None
    approved = compare_baseline(baseline, evidence, now or Provenance())
    return against_baseline(verdict, approved), compared, approved


def _from_evidence(claim: Claim, subject: str, evidence: Sequence[Evidence], ended: BaseException | None) -> Verdict:
    runs = dict.fromkeys(str(sample.run) for sample in samples_of(evidence) if sample.run)
    scope = "; ".join(dict.fromkeys([*(piece.scope for piece in evidence), *runs]))
    if isinstance(ended, NotRun | Unverifiable):
        if not any(piece.outcome == "refuted" for piece in evidence):  # what stands against it is not skipped away
            return Verdict(word="not run" if isinstance(ended, NotRun) else "unverifiable", reason=str(ended))
    elif ended is not None and not isinstance(ended, AssertionError):
        return Verdict(word="broken", reason=f"the probe raised {type(ended).__name__}: {ended}", scope=scope)
    if not evidence:
        return Verdict(word="broken", reason="the probe compared nothing, so there is no evidence for its sentence")
    for word in ("refuted", "inconclusive"):
        these = [piece for piece in evidence if piece.outcome == word]
        if these and ended is None:
            reason = (
                f"{these[0].statement} is {word}, and yet the probe went on: the comparison is negated, or-ed, caught "
                "or not asserted, so that the probe states another sentence; state each comparison in an assert of its "
                "own"
            )
            return Verdict(word="broken", reason=reason, scope=scope)
        if these:
            agreed = agreement(claim.published.get(subject), evidence)
            return Verdict(word=word, reason="; ".join(piece.reason for piece in these) + agreed, scope=scope)
    if ended is not None:
        reason = "all evidence supports the sentence, but an assert next to it failed; assert on comparisons alone"
        return Verdict(word="broken", reason=reason, scope=scope)
    run = {control.name for piece in _pieces(evidence) for control in piece.controls}
    missing = [name for name in claim.controls if name not in run]
    if missing:
        which, them = (missing[0], "it") if len(missing) == 1 else (" and ".join(missing), "them")
        reason = f"the claim asks for the control {which}, and no comparison of the probe ran {them}"
        return Verdict(word="broken", reason=reason, scope=scope)
    return _against_published(claim, subject, evidence, scope)


def _against_published(claim: Claim, subject: str, evidence: Sequence[Evidence], scope: str) -> Verdict:
    reason = "; ".join(piece.reason for piece in evidence)
    published = claim.published.get(subject)
    if published is not None:
        missing = unanswered(published, evidence)
        if missing is not None:
            return Verdict(word="broken", reason=missing, scope=scope)
        apart = moved(published, evidence)
        if apart is not None:
            return Verdict(word="drifted", reason=f"the sentence holds, but {apart}", scope=scope)
        either = undecided(published, evidence)
        if either is not None:
            return Verdict(word="inconclusive", reason=f"the sentence holds, but {either}", scope=scope)
    return Verdict(word="supported", reason=reason + agreement(published, evidence), scope=scope)


def _as_declared(verdict: Verdict, claim: Claim, subject: str) -> Verdict:
    declared = claim.not_reproduced.get(subject)
    if declared is None:
        return verdict
    if verdict.word == declared.verdict:
        return replace(verdict, declared=declared.reason)
    if verdict.word == "supported":
        contrary = f"declared {declared.verdict} ({declared.reason}), yet supported: {verdict.reason}"
        return replace(verdict, reason=f"{contrary}. Take the declaration away", surprise=True)
    return verdict
