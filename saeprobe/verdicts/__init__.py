"""A verdict on a claim follows from the evidence that its probe gathered, and from how the probe ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from saeprobe.claims import Claim, NotRun, Published, Unverifiable, Verdict, Word, did_you_mean
from saeprobe.evidence import Evidence, Kind, Sample
from saeprobe.evidence.compare import worst_of
from saeprobe.evidence.printed import PublishedComparison, another_run, from_nothing, held_against, units_within
from saeprobe.verdicts.baseline import BaselineComparison, against_baseline, compare_baseline, left
from saeprobe.verdicts.baseline_files import Baseline, Provenance

ORDERING: Final[tuple[Kind, ...]] = ("greater", "at least", "exclusive")  # they put their two sides in an order
UNDECIDED: Final = ("not run", "unverifiable", "broken")
SKIPPED: Final = "skipped: "  # a probe is `not run` for this reason where somebody put it by, and nothing is absent
Order = tuple[PublishedComparison, PublishedComparison]  # the probe found the first of two numbers above the second


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a source prints is held against the samples that answer for it.

    `found` has by label the samples that could be what is printed, the first one of each measure; a number with a
    single one has a row in `rows`. `orders` are those in which comparisons of the probe found two rows, each once.
    """

    published: Published
    found: Mapping[str, Mapping[str, Sample]]
    rows: Mapping[str, PublishedComparison]
    orders: Sequence[Order]

    @property
    def turned(self) -> list[Order]:
        """List the orders that are printed the other way round, whatever the two numbers were rounded from."""
        rounding = self.published.rounding
        return [
            (upper, lower)
            for upper, lower in self.orders
            if lower.value - upper.value >= (rounding(upper.label) + rounding(lower.label)) * (1 - 1e-9)
        ]

    @property
    def compared(self) -> tuple[PublishedComparison, ...]:
        """Return the rows; of two that are turned, and neither of which lies beyond its tolerance, neither agrees.

        What agrees only within more than half of the difference of two numbers, or of its own, cannot be compared.
        """
        pairs = [order for order in self.turned if all(row.answer != "drifted" for row in order)]
        turned, wide = {row.label for pair in pairs for row in pair}, self.too_wide
        return tuple(
            replace(row, answer="drifted")
            if label in turned
            else replace(row, answer="cannot be compared", tolerance_from=f"{row.tolerance_from}; {wide[label]}")
            if label in wide
            else row
            for label, row in self.rows.items()
        )

    @property
    def too_wide(self) -> dict[str, str]:
        """Say by label where a tolerance would hold either of two numbers that the probe found in an order, or none."""
        wide, beside = dict[str, str](), [(row, *from_nothing(row)) for row in self.rows.values()]
        for upper, lower in self.orders:
            apart = abs(upper.value - lower.value)
            held = f"either of {upper.label} and {lower.label}, published {apart:.4g} apart"
            beside += [(upper, apart, held), (lower, apart, held)]
        for row, apart, held in beside:
            tolerance = row.tolerance or 0.0
            if row.answer == "drifted" or row.sampling == 0 or tolerance <= apart / 2 * (1 + 1e-9):
                continue
            (sample,), would = self.found[row.label].values(), ""
            if row.sampling and len(sample.spreads) == 1:
                units, what = units_within(self.published, sample, apart / 2), sample.spreads[0].units
                would = f"; {units or 'no number of'} {what} here would do{'' if units else ' beside so few there'}"
            wide[row.label] = f"± {tolerance:.3g} would hold {held}{would}"
        return wide

    def unanswered(self, evidence: Sequence[Evidence]) -> str | None:
        """Say which published numbers no measure answers for, or more than one; None where each has its own."""
        published, missing = self.published, [label for label, by in self.found.items() if not by]
        if missing:
            known = {sample.measure for sample in samples_of(evidence)}
            by = f" by {published.measure!r}{did_you_mean(published.measure, known)}" if published.measure else ""
            return f"published values were never measured: {', '.join(missing)} in {published.unit}{by}"
        several = {label: list(by) for label, by in self.found.items() if len(by) > 1}
        if not several:
            return None
        label, measures = next(iter(several.items()))
        found = f"{', '.join(several)} in {published.unit}, by {' and by '.join(measures)}"
        remedy = f"state which, as in published({label}=..., unit={published.unit!r}, measure={measures[0]!r})"
        return f"published values may be of several measures: {found}; {remedy}"

    def differ(self) -> tuple[Word, str] | None:
        """Say how a sentence that holds differs from what is published, number by number and in order."""
        far, either = (
            {
                row: f"{row.label} is {row.measured:.4g} {row.unit}, published {row.value:g} ± {row.tolerance or 0:.3g}"
                for row in rows
                if row.answer == one
            }
            for one, rows in (("drifted", self.rows.values()), ("rounding decides", self.compared))
        )
        turned = [
            f"{upper.label} lies {upper.measured - lower.measured:.4g} {upper.unit} above {lower.label} here, and is "
            f"published {lower.value - upper.value:.4g} below it"
            for upper, lower in self.turned
        ]
        faults = [f"its numbers have moved: {'; '.join(far.values())}"] if far else []
        faults += [f"its numbers are published in the reverse order: {'; '.join(turned)}"] if turned else []
        if faults:
            return "drifted", f"the sentence holds, but {'; and '.join(faults)}"
        open_ = "; ".join(
            f"{one}, of which {row.reach or 0:.3g} is within reach of rounding" for row, one in either.items()
        )
        why = f"the sentence holds, but rounding decides whether its numbers agree: {open_}"
        return ("inconclusive", why) if either else None

    @property
    def agreement(self) -> str:
        """Say how many numbers agree, to go on after a reason, and which stand beside each other without comparison."""
        answers = {row.label: row.answer for row in self.compared}
        agreeing, either, apart = (
            [label for label, answer in answers.items() if answer == one]
            for one in ("agrees", "rounding decides", "cannot be compared")
        )
        count = f"; {len(agreeing)} of {len(answers)} published values agree" if len(apart) < len(answers) else ""
        count += f", and rounding decides whether {' and '.join(either)} would" if either else ""
        why = {label: self.too_wide.get(label, self.rows[label].tolerance_from) for label in apart}
        for reason in dict.fromkeys(why.values()):
            rows = [self.rows[label] for label in apart if why[label] == reason]
            shown = " and ".join(f"{row.label} {row.measured:.4g}, published {row.value:g}" for row in rows)
            count += f"; not compared: {shown} {rows[0].unit} ({reason})"
        return count


def samples_of(evidence: Iterable[Evidence]) -> Iterator[Sample]:
    """Yield the samples of some evidence and of its parts, in order.

    Those of controls are not the claim's, and the numbers of a printed table were not measured.
    """
    return (sample for piece in _pieces(evidence) if piece.kind != "printed" for sample in piece.samples)


def held_by(published: Published, evidence: Sequence[Evidence]) -> Held:
    """Hold each published number against the measured mean of the same label, unit and, where it is stated, measure.

    Those for which nothing measured answers, or more than one measure, are left out; the probe is then broken.

    A number that only the reach of rounding brings within its tolerance is no evidence either way: a sentence that
    holds is then `inconclusive`. It is `drifted` where another number lies beyond its whole tolerance, or where two are
    printed in the reverse order; and `supported` where every other number agrees without that reach or cannot be
    compared: a number whose sampling error is not known stands beside ours, and says nothing for or against it.
    """
    found: dict[str, dict[str, Sample]] = {label: {} for label in published.values}
    for sample in samples_of(evidence):
        if sample.label in found and sample.unit == published.unit and published.measure in ("", sample.measure):
            found[sample.label].setdefault(sample.measure, sample)
    answers = [sample for by in found.values() for sample in by.values() if len(by) == 1]
    rows = {sample.label: held_against(published, sample, sampled=True) for sample in answers}
    orders: dict[Order, None] = {}
    for piece in _pieces(evidence):
        sides = sorted((sample for sample in piece.samples if sample in answers), key=lambda side: side.mean)
        if len(sides) == 2 and _puts_in_order(piece):  # noqa: PLR2004 - both sides
            orders[rows[sides[1].label], rows[sides[0].label]] = None
    return Held(published=published, found=found, rows=rows, orders=tuple(orders))


def _puts_in_order(piece: Evidence) -> bool:
    """Say whether a comparison found one side above the other; what falls short of a margin need not lie below."""
    margin = piece.margin or 0.0
    found = piece.outcome in ("supported", "explained")
    decided = margin >= 0 if found else piece.outcome == "refuted" and margin == 0
    return decided and piece.kind in ORDERING


def _pieces(evidence: Iterable[Evidence]) -> list[Evidence]:
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

    `evidence` is all that was recorded while the probe ran, in order, and `ended` the exception that ended it, or None
    where it returned; `baseline` is the newest approval of the claim on this subject, and `now` what this run was made
    with, to say what changed since.
    """
    printed = claim.published.get(subject)
    samples = tuple(samples_of(evidence))
    another = another_run(printed, samples) if printed else ""
    held = held_by(printed, evidence) if printed and not another else None
    verdict = _from_evidence(claim, evidence, ended, held)
    if another and verdict.word == "supported":
        verdict = replace(verdict, word="inconclusive", reason=f"the sentence holds: {verdict.reason}")
    if another and verdict.word in ("refuted", "explained", "drifted", "inconclusive"):
        verdict = replace(verdict, reason=f"{verdict.reason}; {another}")
    approved = None
    if baseline is not None and verdict.word not in UNDECIDED:
        approved = compare_baseline(baseline, samples, now or Provenance())
        verdict = against_baseline(verdict, approved)
    declared = claim.not_reproduced.get(subject)
    if declared is not None and verdict.word == "supported":
        contrary = f"declared {declared.word} ({declared.reason}), yet supported: {verdict.reason}"
        verdict = replace(verdict, reason=f"{contrary}. Take the declaration away")
    stands = approved is None or not left(verdict.word, (row.agrees for row in approved.rows))
    verdict = replace(verdict, declaration=declared, stands=stands)
    return verdict, () if held is None else held.compared, approved


def _from_evidence(
    claim: Claim, evidence: Sequence[Evidence], ended: BaseException | None, held: Held | None
) -> Verdict:
    runs = dict.fromkeys(str(sample.run) for sample in samples_of(evidence) if sample.run)
    scope = "; ".join(dict.fromkeys([*(one for piece in evidence for one in piece.scope.split("; ")), *runs]))
    if isinstance(ended, NotRun | Unverifiable):
        if all(piece.outcome in ("supported", "inconclusive") for piece in evidence):  # others are not skipped away
            return Verdict(word="not run" if isinstance(ended, NotRun) else "unverifiable", reason=str(ended))
    elif ended is not None and not isinstance(ended, AssertionError):
        return Verdict(word="broken", reason=f"the probe raised {type(ended).__name__}: {ended}", scope=scope)
    if not evidence:
        return Verdict(word="broken", reason="the probe compared nothing, so there is no evidence for its sentence")
    word, these = worst_of(evidence)
    if word == "supported":
        return replace(_of_what_holds(claim, evidence, ended, held), scope=scope)
    if ended is None:
        reason = f"{these[0].statement} is {word}, and yet the probe went on: the comparison is negated, or-ed, caught "
        reason += "or not asserted, so that the probe states another sentence; "
        reason += "state each comparison in an assert of its own"
        return Verdict(word="broken", reason=reason, scope=scope)
    agreed = "" if held is None else held.agreement
    return Verdict(word=word, reason=_reasons(these) + agreed, scope=scope)


def _reasons(pieces: Sequence[Evidence]) -> str:
    """Join what comparisons show; what stands within the reason of another is not said again."""
    said = list(dict.fromkeys(piece.reason for piece in pieces))
    return "; ".join(one for one in said if not any(one in other for other in said if other != one))


def _of_what_holds(
    claim: Claim, evidence: Sequence[Evidence], ended: BaseException | None, held: Held | None
) -> Verdict:
    """Return the verdict where all evidence supports the sentence; its scope is to be added."""
    if ended is not None:
        reason = "all evidence supports the sentence, but an assert next to it failed; assert on comparisons alone"
        return Verdict(word="broken", reason=reason)
    run = {control.name for piece in _pieces(evidence) for control in piece.controls}
    missing = [name for name in claim.controls if name not in run]
    if missing:
        which, them = (missing[0], "it") if len(missing) == 1 else (" and ".join(missing), "them")
        reason = f"the claim asks for the control {which}, and no comparison of the probe ran {them}"
        return Verdict(word="broken", reason=reason)
    if unanswered := held and held.unanswered(evidence):
        return Verdict(word="broken", reason=unanswered)
    if differs := held and held.differ():
        return Verdict(word=differs[0], reason=differs[1])
    agreed = "" if held is None else held.agreement
    return Verdict(word="supported", reason=_reasons(evidence) + agreed)
