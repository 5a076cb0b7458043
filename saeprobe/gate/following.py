"""What releases a claim is followed again: from the values of a report to its word, by the package's own functions.

Of each comparison behind a verdict its units, estimate, p, interval, outcome and words are made again from the values
of each prompt, or from what the report holds in their place (`tests_again`, `features_again`); then the answers of its
controls (`controls_again`), the numbers that are printed or approved beside it, the verdict, its largest p and its q.

What a report does not hold is taken as it stands: single firings (the p of the control `activity`), lengths by topic on
either side, how a scan picked its features, what draws read of sets of features, how far rounding may move a mean,
what a claim states (a printed number, its tolerance, a margin or bound beside its words), and any number that was
recorded or printed without its prompts.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isclose, isfinite
from statistics import fmean
from typing import Final, cast

from saeprobe import claims
from saeprobe.claims import NotRun
from saeprobe.evidence import ControlResult, Evidence, Sample, Terms, UnitValue, as_looked
from saeprobe.evidence.controls import could_take
from saeprobe.gate.controls_again import answered_again
from saeprobe.gate.features_again import AGAIN
from saeprobe.report import AGAIN as MADE_AGAIN
from saeprobe.report.rebuilt import evidence_at
from saeprobe.report.shape import Claim, Document, Probe, Published
from saeprobe.report.uniting import many
from saeprobe.statistics.planning import ManyClaims
from saeprobe.verdicts import decide
from saeprobe.verdicts.baseline import left

NEAR: Final = 1e-9  # numbers that differ by a smaller share are the same, added in another order
TINY: Final = 1e-12  # and so are numbers about zero
_UNFOLLOWED: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, NotRun, TypeError, ValueError)
_OF_PIECE: Final = (
    *("statement", "outcome", "reason", "unit", "estimate", "interval", "level", "p", "one_sided", "alpha", "test"),
    *("seed", "units", "n_units", "scope", "rule", "unit_values", "pairs", "copies", "margin", "patterns"),
)
_OF_CONTROL: Final = ("answer", "estimate", "interval", "p", "share", "detail", "rule", "unit_values")
_OF_SAMPLE: Final = ("measure", "mean", "n", "interval")
_FRAMES: Final = re.compile(r" \(frames are named, but [^)]*\)")


def doubts(document: Document, claim: Claim, probe: Probe) -> Iterator[tuple[str, str]]:
    """Yield what of a `supported` verdict does not follow from the report itself, each with a remedy.

    It follows where the package decides the same again from the values that the report holds, number by number.
    """
    found = list[str]()
    try:
        with warnings.catch_warnings(action="error"):  # of a number that no test could be made on
            found.extend(_doubts(document, claim, probe))
    except (*_UNFOLLOWED, Warning) as error:
        found.append(f"it could not be followed: {type(error).__name__}: {error}")
    remedy = f"the report is not as its run wrote it, or another version of saeprobe wrote it: {MADE_AGAIN}"
    yield from ((what, remedy) for what in found)


def _doubts(document: Document, claim: Claim, probe: Probe) -> Iterator[str]:
    run = document.runs[probe.run]
    evidence = [evidence_at(document, row) for row in probe.evidence]
    yield from _of_verdict(claim, probe, evidence)
    yield from _of_published(probe, evidence)
    yield from _of_many(document, probe)
    terms = Terms(alpha=run.alpha, seed=run.seed, over=claim.over)
    for piece in evidence:
        yield from piece_doubts(piece, terms)


def _of_verdict(claim: Claim, probe: Probe, evidence: Sequence[Evidence]) -> Iterator[str]:
    """Decide again; printed and approved numbers are held against by themselves."""
    asked = claims.Claim(sentence=claim.sentence, id=claim.id, source=claim.source, controls=claim.controls)
    verdict, _, _ = decide(asked, probe.subject, evidence, None)
    if verdict.word != probe.verdict:
        yield f"the verdict is {probe.verdict}, and its evidence makes it {verdict.word}: {verdict.reason}"
        return
    if not probe.reason.startswith(verdict.reason):
        yield f"the reason of the verdict is not that of its evidence: {verdict.reason}"
    if probe.scope != verdict.scope and not probe.scope.startswith(f"{verdict.scope}; as recorded in "):
        yield f"the scope of the verdict is not that of its evidence: {verdict.scope}"
    if probe.takes != (takes := could_take(evidence)):
        yield f"the controls that its sentence could take are {_shown(takes)}, not {_shown(probe.takes)}"
    p = max((piece.claim_p for piece in evidence if piece.claim_p is not None), default=None)
    if not _same(probe.p, p):
        yield f"the largest p is {p}, not {probe.p}"
    agree = [] if probe.baseline is None else [row.agrees for row in probe.baseline.rows]
    if left("drifted", agree):
        yield "an approved value has moved, and the claim is supported all the same"
    for row in () if probe.baseline is None else probe.baseline.rows:
        found = None
        if row.measured is not None and row.noise is not None:
            found = abs(row.measured - row.approved) <= row.noise
        if row.agrees is not found:
            yield f"whether {row.label} agrees with what was approved does not follow: {row.agrees}"


def _of_many(document: Document, probe: Probe) -> Iterator[str]:
    """Adjust the p of every claim again, by the words of the report."""
    q, chance = many([one for claim in document.claims for one in claim.probes], document.runs)
    if not _same(probe.q, q.get(probe.nodeid)):
        yield f"q is {q.get(probe.nodeid)}, not {probe.q}"
    if not _same(document.chance, chance):
        yield "what chance alone would confirm is not what the verdicts of the report give"


# comparisons


def piece_doubts(piece: Evidence, terms: Terms, *, looked: bool = True) -> Iterator[str]:
    """Say what of a piece of evidence, of its parts and of its controls does not follow under these terms."""
    for part in piece.parts:
        yield from piece_doubts(part, terms, looked=looked)
    if piece.alpha is not None and not _same(piece.alpha, terms.alpha):
        yield f"{piece.statement}: alpha is {piece.alpha:g}, and that of its run {terms.alpha:g}"
        return
    for control in piece.controls:
        yield from (f"{piece.statement}: {control.name}: {what}" for what in _control_doubts(control, piece, terms))
    for sample in piece.samples:
        yield from (f"{piece.statement}: {sample.label}: {what}" for what in _sample_doubts(sample))
    again = AGAIN[piece.kind](piece, terms)
    if _FRAMES.sub("", piece.scope).startswith(again.scope):
        again = replace(again, scope=piece.scope)
    decided = as_looked(replace(again, samples=piece.samples)) if looked else again
    yield from (f"{piece.statement}: {what}" for what in _unlike(piece, replace(decided, scope=again.scope), _OF_PIECE))
    for sample, one in zip(piece.samples, again.samples, strict=True):
        yield from (f"{piece.statement}: {sample.label}: {what}" for what in _unlike(sample, one, _OF_SAMPLE))
    for part, one in zip(piece.parts, again.parts, strict=True) if piece.kind == "scan" else ():
        yield from (f"{part.statement}: {what}" for what in _unlike(part, one, (*_OF_PIECE, "samples")))


def _unlike(held: object, found: object, names: Iterable[str]) -> Iterator[str]:
    """Say which of these fields are other ones than were found again."""
    for name in names:
        one, other = getattr(held, name), getattr(found, name)
        if not _same(one, other):
            yield f"{name} is {_shown(other)}, not {_shown(one)}"


def _sample_doubts(sample: Sample) -> Iterator[str]:
    if not all(map(isfinite, sample.values)):
        yield "a value is not finite"
    elif sample.values and not (_same(sample.mean, fmean(sample.values)) and sample.n == len(sample.values)):
        yield f"the mean of its {len(sample.values)} values is {fmean(sample.values):.6g}, not {sample.mean:.6g}"


def _same(held: object, found: object) -> bool:
    """Say whether numbers, words, rows and dataclasses are the same but for rounding."""
    if isinstance(held, bool) or isinstance(found, bool) or held is None or found is None:
        return held is found
    if isinstance(held, int | float) and isinstance(found, int | float):
        return isclose(held, found, rel_tol=NEAR, abs_tol=TINY)
    if isinstance(held, tuple) and isinstance(found, tuple):
        rows, others = cast("tuple[object, ...]", held), cast("tuple[object, ...]", found)
        return len(rows) == len(others) and all(map(_same, rows, others))
    if isinstance(held, UnitValue | ManyClaims | Sample):
        return type(held) is type(found) and _same(tuple(vars(held).values()), tuple(vars(found).values()))
    return held == found


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) < 200 else f"{text[:200]} ..."  # noqa: PLR2004 - a line or two


def _control_doubts(control: ControlResult, piece: Evidence, terms: Terms) -> Iterator[str]:
    """Answer for a control again, by its rule, from the units that it gives or from its own numbers."""
    if control.evidence is not None:
        over = {"over": ("topics",) if (piece.units or "").startswith("topics") else ("templates",)}
        of_two = piece.kind in ("greater", "at least")  # the words alone are compared over the units of the claim
        yield from piece_doubts(control.evidence, replace(terms, **(over if of_two else {})), looked=not of_two)
    if control.p is None:
        if control.answer != "cannot tell":
            yield f"it is {control.answer}, and no test of it stands there"
        return
    again = answered_again(control, piece, terms)
    # before these words stand those of what was done, and behind them what would decide it where it cannot tell
    behind = again.detail.lstrip() in control.detail if control.answer == "cannot tell" else None
    if behind or control.detail.endswith(again.detail.lstrip()):
        again = replace(again, detail=control.detail)
    if control.rule.startswith(again.rule.rstrip()):  # how it ends is the same for all of its name
        again = replace(again, rule=control.rule)
    numbers = {name: control.numbers.get(name) for name in again.numbers}
    yield from _unlike(control, again, _OF_CONTROL)
    if not _same(tuple(numbers.values()), tuple(again.numbers.values())):
        yield f"its numbers are {_shown(again.numbers)}, not {_shown(numbers)}"


# printed numbers


def _of_published(probe: Probe, evidence: Sequence[Evidence]) -> Iterator[str]:
    """Hold each printed number against the measured one by its own tolerance, and that against its parts."""
    samples = [sample for piece in evidence for one in piece.walk() for sample in one.samples]
    answers = [row.answer for row in probe.published]
    if (
        "agrees" in answers
        and f"; {answers.count('agrees')} of {len(answers)} published values agree" not in probe.reason
    ):
        yield f"the reason of the verdict does not say that {answers.count('agrees')} of {len(answers)} values agree"
    for row in probe.published:
        if row.answer == "cannot be compared" and f"{row.measured:.4g}, published {row.value:g}" not in probe.reason:
            yield f"the reason of the verdict does not say that {row.label} is not compared with {row.value:g}"
        yield from (f"{row.label} as published: {what}" for what in _row_doubts(row, samples))


def _row_doubts(row: Published, samples: Sequence[Sample]) -> Iterator[str]:
    if row.answer not in ("agrees", "cannot be compared") or row.measured is None:
        yield f"it is {row.answer}, and the claim supported all the same"
        return
    means = [sample.mean for sample in samples if (sample.label, sample.unit) == (row.label, row.unit)]
    counted = "jackknife" in (row.tolerance_from or "")  # of fewer wordings than were read
    if not counted and not any(_same(row.measured, mean) for mean in means):
        yield f"measured is {row.measured:g}, and no sample has that mean"
    if (row.answer == "agrees") is (row.tolerance is None or " would hold " in (row.tolerance_from or "")):
        yield f"it is {row.answer}, which its tolerance contradicts: {row.tolerance_from}"
    if row.tolerance is None:
        return
    parts = None if row.rounding is None or row.sampling is None else row.rounding + row.sampling + (row.reach or 0.0)
    if not (row.tolerance_from or "").startswith("set by the claim") and not _same(row.tolerance, parts):
        yield f"the tolerance is {parts}, not {row.tolerance}"
    apart, slack = abs(row.measured - row.value), NEAR * abs(row.value)
    if row.answer == "agrees" and apart > row.tolerance - (row.reach or 0.0) + slack:
        yield f"it lies {apart:.4g} away, and agrees up to {row.tolerance:.4g}"
