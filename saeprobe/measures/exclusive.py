"""Exclusive features: those that fire on some prompt of one style and on no prompt of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import NoReturn

import numpy as np
from jaxtyping import Bool

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls import summary_of, verdict_of
from saeprobe.evidence.controls.draws import Effect
from saeprobe.evidence.evidence import (
    ControlResult,
    Evidence,
    EvidenceOutcome,
    Recorder,
    UnitValue,
    current_terms,
    record,
)
from saeprobe.evidence.units import sample_of, summaries
from saeprobe.evidence.values import Summary
from saeprobe.features.sparse import Features, within_rounding
from saeprobe.measures.reading import Design, Readable, Sides, design, firing, refuse_apart, refuse_unread, undecided
from saeprobe.measures.separation import READ, BothSides, refuse_others, rival
from saeprobe.measures.unions import Firings, expected_distinct, patterns, relabel
from saeprobe.recorded.directory import RecordedStyle
from saeprobe.statistics.permutation import DRAWING

THINNINGS = (20, 180)
"""Over so many p is averaged, and over as many again where the first leave it open."""


ERRORS = 3.3
"""Standard errors of that average between which alpha may not lie."""


def activity_control(sides: Sides, labels: tuple[str, str], *, found: bool, alpha: float, seed: int) -> ControlResult:
    """Thin the firings of the more active side to as many as the other has, and compare what is left.

    Rarefaction, as ecologists compare the species of unequal samples (Hurlbert 1971, Ecology 52): a firing is one
    active feature of one token read, and each of the more active side is kept with the same probability. `estimate`
    is the difference in exclusive features then to be expected; it needs no drawing. `p` is the mean, over thinnings
    drawn with `seed`, of the permutation p of the thinned features: the test of "this side is the other one, only more
    active". A mean is below alpha only where nearly all are, and where it lies too near alpha to be told from it, it
    counts as alpha.

    The control explains the difference where what is left is not told apart from chance and is at most half of it.
    """
    total_a, total_b = len(sides.a.feature), len(sides.b.feature)
    effect = _distinct(sides.a) - _distinct(sides.b)
    kept = min(total_a, total_b) / max(total_a, total_b, 1)
    left = effect
    if total_a > total_b:
        left = expected_distinct(sides.a.times, kept) - _distinct(sides.b)
    elif total_b > total_a:
        left = _distinct(sides.a) - expected_distinct(sides.b.times, kept)
    p, told = _mean_p(sides, kept, alpha=alpha, seed=seed)
    share = left / effect if effect else None
    withstands = p < alpha and left > 0
    more, less = labels if total_a >= total_b else labels[::-1]
    return ControlResult(
        name="activity",
        expects="persists",
        explains=found and not withstands and share is not None and share <= 0.5,  # noqa: PLR2004 - at most half
        estimate=left,
        interval=None,
        p=p,
        share=share,
        detail=(
            f"{more} has {max(total_a, total_b):,} active features on the tokens read and {less} "
            f"{min(total_a, total_b):,}; with equally many, {left:+.1f} of {effect:+.0f} features are left "
            f"(p = {p:.2g}, {told})"
        ),
    )


def _distinct(of: Firings) -> int:
    return int((of.times > 0).sum())


def _mean_p(sides: Sides, kept: float, *, alpha: float, seed: int) -> tuple[float, str]:
    """Mean of the p of thinned features, and over how many thinnings."""
    if kept == 1:
        found = relabel(sides.a.units(), sides.b.units(), paired=sides.paired, alpha=alpha, seed=seed)
        return found.p, "nothing to thin"
    rng = np.random.default_rng(seed)
    ps: list[float] = []
    mean = 1.0
    for more in THINNINGS:
        ps += [_thinned_p(sides, kept, rng) for _ in range(more)]
        mean = float(np.mean(ps))
        if abs(mean - alpha) > ERRORS * float(np.std(ps, ddof=1)) / sqrt(len(ps)):
            return mean, f"mean over {len(ps)} random thinnings, seed {seed}"
    return max(mean, alpha), f"mean over {len(ps)} random thinnings, seed {seed}, too near {alpha:g} to count as below"


def _thinned_p(sides: Sides, kept: float, rng: np.random.Generator) -> float:
    a, b = sides.a, sides.b
    thins_a = len(a.feature) > len(b.feature)
    keeps = rng.random(max(len(a.feature), len(b.feature))) < kept
    units_a, units_b = a.units(keeps if thins_a else None), b.units(None if thins_a else keeps)
    seed = int(rng.integers(2**32))
    return relabel(units_a, units_b, paired=sides.paired, alpha=None, seed=seed).p


CONTROLS = ("activity", *READ)
"""The controls that a comparison of exclusive features takes."""


_REVERSE = "compare exclusive_features(a, b) with exclusive_features(b, a) of the same two styles"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExclusiveFeatures:
    """The number of features that fire on `on` and never on `but_not`; compare it with the reverse."""

    on: Readable
    but_not: Readable

    def __repr__(self) -> str:
        return f"exclusive_features({_label(self.on)}, {_label(self.but_not)})"

    @property
    def summary(self) -> Summary:
        """The count, in features.

        Raises:
            NotRun: a record does not tell it.
        """
        label = _label(self.on)
        if isinstance(self.on, RecordedStyle):
            other = _label(self.but_not)
            if other not in self.on.exclusive:
                raise NotRun(f"{self.on.origin} does not tell which features are exclusive to {label} beside {other}")
            return self.on.exclusive[other]
        if isinstance(self.but_not, RecordedStyle):
            raise TypeError("one side is recorded and the other captured; compare like with like")
        count = int((firing(self.on).any(axis=0) & ~firing(self.but_not).any(axis=0)).sum())
        return Summary(
            measure="exclusive features",
            label=label,
            unit="features",
            value=count,
            n=len(self.on),
            origin=label,
            place=self.on.place,
            near_threshold=_near_threshold(self.on, self.but_not),
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} says nothing by itself; {_REVERSE}, by > or <")

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(f"{self!r} beside {other!r}; {_REVERSE}, by > or <")

    __eq__ = __ge__ = __le__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse

    def __gt__(self, other: object) -> Evidence:
        return record(_more_exclusive(self, other))

    def __lt__(self, other: object) -> Evidence:
        return record(_more_exclusive(other, self))


def exclusive_features(on: Readable, but_not: Readable) -> ExclusiveFeatures:
    """Features that fire on at least one prompt of `on` and on none of `but_not` (published as exclusive features).

    Compared with `>`, the labels of the two styles are permuted: between templates where both have several, within
    topics under one wording. A style with more active features has more exclusive ones merely because of that; whether
    it has more beyond that is what the control `activity` asks.

    Raises:
        TypeError: a side is not what a capture read, nor a style of a record; the sides were read at different tokens
            or share prompts; or compared with something else.
    """
    refuse_unread(on)
    refuse_unread(but_not)
    refuse_apart(on, but_not)
    return ExclusiveFeatures(on=on, but_not=but_not)


def _more_exclusive(more: object, less: object) -> Evidence:
    if not isinstance(more, ExclusiveFeatures) or not isinstance(less, ExclusiveFeatures):
        raise TypeError(f"{more!r} > {less!r}; {_REVERSE}, by > or <")
    if not (_same(more.on, less.but_not) and _same(more.but_not, less.on)):
        raise TypeError(_REVERSE)
    terms = current_terms()
    refuse_others(
        "exclusive features",
        terms.controls,
        CONTROLS,
        remedy="; activity asks whether more active features, as longer prompts have, make more exclusive ones",
    )
    if isinstance(more.on, RecordedStyle) or isinstance(more.but_not, RecordedStyle):
        a, b = sample_of(more.summary, terms), sample_of(less.summary, terms)
        return summaries("exclusive", _statement(a.label, b.label), a, b)
    return _compared(more.on, more.but_not, terms)


def _compared(on: Features, but_not: Features, terms: Recorder) -> Evidence:
    """Permutes style labels and counts again; the null is that style does not matter."""
    a, b = (sample_of(exclusive_features(*sides).summary, terms) for sides in ((on, but_not), (but_not, on)))
    planned = design(on, but_not, terms.over)
    base = Evidence(
        kind="exclusive",
        statement=_statement(a.label, b.label),
        outcome="inconclusive",
        reason=f"{a.mean:.0f} against {b.mean:.0f} features, but {planned}",
        scope="these prompts only",
        unit="features",
        estimate=a.mean - b.mean,
        alpha=terms.alpha,
        samples=(a, b),
        rule=_RULE,
    )
    if isinstance(planned, str):
        return base
    sides = planned.sides
    units_a, units_b = sides.a.units(), sides.b.units()
    found = relabel(units_a, units_b, paired=sides.paired, alpha=terms.alpha, seed=terms.seed)
    tested = replace(
        base,
        scope=planned.scope,
        p=found.p,
        test=found.reached.in_words("permutation of labels", f"{len(units_a)} + {len(units_b)} {planned.units}"),
        seed=found.reached.seed,
        units=planned.units,
        n_units=(len(units_a), len(units_b)),
        unit_values=tuple(
            UnitValue(side=side.label, unit=name, value=float(fires.sum()))
            for side, of, units in ((a, sides.a, units_a), (b, sides.b, units_b))
            for name, fires in zip(of.names, units, strict=True)
        ),
        patterns=patterns(units_a, units_b),
    )
    return _judged(tested, _controls(on, but_not, planned, tested, terms), planned)


_RULE = (
    "a feature that fires on both sides is exclusive to neither, so the two counts of exclusive features differ as the "
    "counts of distinct features do. The labels are dealt anew, the distinct features of each side counted again, and "
    "p is the share of relabelings under which they differ at least as much; the patterns say which features fire in "
    f"which units. {DRAWING}: argsort(random((count, units))) < units of the first side are put there, or "
    "random((count, topics)) < 0.5 stay as they are. Supported if p < alpha, the estimate is above 0 and every control "
    "is passed; refuted if p < alpha and the estimate is below 0, or if a control explains or reproduces it; else "
    "inconclusive. The unit values are the distinct features of each unit. The control activity explains "
    "it where p is not below alpha, or nothing is left, and at most half is; it drops single firings, of which only "
    "the sums are told here, so that its numbers cannot be had again from these"
)


def _judged(tested: Evidence, controls: tuple[ControlResult, ...], planned: Design) -> Evidence:
    a, b = tested.samples
    p, alpha, estimate = tested.p or 0.0, tested.alpha or 0.0, tested.estimate or 0.0
    numbers = f"{a.mean:.0f} against {b.mean:.0f} features, p = {p:.2g} under permuted labels"
    outcome: EvidenceOutcome
    needed = None
    if p >= alpha:
        needed = planned.needed(alpha)
        more = "" if needed is None else f"; {needed.have} {needed.units} cannot reach it, {needed.wanted} can"
        outcome, reason = "inconclusive", f"{numbers}: not told apart from chance{more}"
    elif estimate < 0:
        outcome, reason = "refuted", f"{numbers}: the contrary"
    else:
        decided = verdict_of(controls, numbers, alpha)
        outcome, reason = decided or ("supported", f"{numbers}: more than chance{summary_of(controls)}")
    return replace(tested, outcome=outcome, reason=reason, controls=controls, needed=needed)


def _controls(
    on: Features, but_not: Features, planned: Design, tested: Evidence, terms: Recorder
) -> tuple[ControlResult, ...]:
    """The controls that the claim declares, in that order."""
    there = (tested.p or 0.0) < terms.alpha and (tested.estimate or 0.0) > 0
    unasked = replace(terms, controls=(), evidence=[])

    def run(name: Control) -> ControlResult:
        if name == "activity":
            labels = on.label, but_not.label
            return activity_control(planned.sides, labels, found=there, alpha=terms.alpha, seed=terms.seed)

        def again(sides: BothSides) -> Evidence:
            a, b = sides
            return _compared(a, b, unasked)

        return rival(name, (on, but_not), tested, again, _effect, found=there, terms=terms)

    return tuple(run(name) for name in terms.controls)


def _effect(sides: BothSides) -> Effect:
    """The difference of the counts, and the distinct features of the side with fewer, for its scale."""
    a, b = (firing(side).any(axis=0) for side in sides)
    return Effect(size=float((a & ~b).sum() - (b & ~a).sum()), scale=float(min(a.sum(), b.sum())))


def _near_threshold(on: Features, but_not: Features) -> str | None:
    """How many features are exclusive to `on` or not as rounding has it."""
    surely, maybe = zip(*(_fire_on_any(side) for side in (on, but_not)), strict=True)
    open_to_both = (surely[0] | maybe[0]) & ~surely[1] & ~(surely[0] & ~maybe[1])
    count = int(open_to_both.sum())
    if not count:
        return None
    which = "1 feature counts, which is" if count == 1 else f"{count} features count, each of which is"
    return f"rounding decides whether {which} {within_rounding(on.tolerance)}"


def _fire_on_any(of: Features) -> tuple[Bool[np.ndarray, " d_sae"], Bool[np.ndarray, " d_sae"]]:
    """Which features fire on some prompt whatever the rounding, and which only as rounding has it."""
    close = undecided(of)
    surely: Bool[np.ndarray, " d_sae"] = np.any(firing(of) & ~close, axis=0)
    maybe: Bool[np.ndarray, " d_sae"] = np.any(close, axis=0) & ~surely
    return surely, maybe


def _same(one: Readable, other: Readable) -> bool:
    """Whether two are the same style of the same capture or record, though they were looked up twice."""
    if isinstance(one, RecordedStyle) or isinstance(other, RecordedStyle):
        return one is other
    return one.subject == other.subject and one.prompts == other.prompts


def _statement(more: str, less: str) -> str:
    return f"features exclusive to {more} > features exclusive to {less}"


def _label(of: Readable) -> str:
    return of.style if isinstance(of, RecordedStyle) else of.label
