"""Exclusive features fire on some prompt of one style and on no prompt of the other.

What fires on both sides is exclusive to neither, so the difference of the two counts of exclusive features is the
difference of the two counts of distinct features; these are permuted here, and thinned for the control `activity`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import NoReturn

import numpy as np

from saeprobe.claims import NotRun
from saeprobe.evidence.controls import Contrast, Made, answered, jackknife, refuse_others, summary_of, verdict_of
from saeprobe.evidence.controls.draws import BothSides, Effect, run_rivals
from saeprobe.evidence.counts import summaries
from saeprobe.evidence.evidence import ControlResult, Evidence, Terms, UnitValue, current_terms, record, towards
from saeprobe.evidence.near import within_rounding
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Summary
from saeprobe.features import Features
from saeprobe.files import p_value, visible
from saeprobe.measures.jackknife import with_error
from saeprobe.measures.reading import (
    Design,
    Readable,
    Sides,
    design,
    fire_anywhere,
    firing,
    refuse_apart,
    refuse_unread,
)
from saeprobe.recorded.record import RecordedStyle
from saeprobe.shapes import Bool, Int, UInt64
from saeprobe.statistics.permutation import Dealt, Looked, Permuted, permute, settle

THINNINGS = (20, 200)  # of which p is averaged: over 20, and over 200 others where these leave it open
ERRORS = 3.3  # an average leaves it open where alpha lies within this many of its standard errors
BLOCK = 8  # the joint unions of this many units are kept in one table, of 256 rows
AT_ONCE = 2**21  # words of 64 features that are worked on at once: 16 MiB

_REVERSE = "compare exclusive_features(a, b) with exclusive_features(b, a) of the same two styles"

_STATEMENT = "features exclusive to {} > features exclusive to {}"

_RULE = (
    "a feature that fires on both sides is exclusive to neither, so the two counts of exclusive features differ as "
    "the counts of distinct features do; the patterns say which features fire in which units. Supported if p < "
    "alpha, the estimate is above 0 and every control is withstood; refuted if p < alpha and the estimate is below 0; "
    "else inconclusive. The unit values are the distinct features of each unit"
)

Units = Bool[np.ndarray, "units d_sae"]

Unions = UInt64[np.ndarray, "blocks 256 words"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExclusiveFeatures:
    """This is the number of features that fire on `on` and never on `but_not`; compare it with the reverse."""

    on: Readable
    but_not: Readable

    def __repr__(self) -> str:
        return visible(f"exclusive_features({self.on.label}, {self.but_not.label})")

    @property
    def summary(self) -> Summary:
        """Return the count, in features.

        Raises:
            NotRun: a record does not hold it.
            TypeError: one side is recorded and the other captured.
        """
        label = self.on.label
        if isinstance(self.on, RecordedStyle):
            other = self.but_not.label
            if other not in self.on.exclusive:
                raise NotRun(
                    f"{self.on.origin} does not say which features are exclusive to {label} compared with {other}"
                )
            return self.on.exclusive[other]
        if isinstance(self.but_not, RecordedStyle):
            raise TypeError("one side is recorded and the other captured; compare like with like")
        reach = _reach(self.on, self.but_not)
        return Summary(
            measure="exclusive features",
            label=label,
            unit="features",
            value=int((firing(self.on).any(axis=0) & ~firing(self.but_not).any(axis=0)).sum()),
            n=len(self.on),
            origin=label,
            place=self.on.place,
            near_threshold=_near_threshold(reach[1] - reach[0], self.on.tolerance) if reach else None,
            reach=reach,
            run=self.on.run,
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} says nothing by itself; {_REVERSE}, by > or <")

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(f"{self!r} cannot be put next to {other!r}; {_REVERSE}, by > or <")

    __eq__ = __ge__ = __le__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse

    def __gt__(self, other: object) -> Evidence:
        return record(_more_exclusive(self, other, current_terms()))

    def __lt__(self, other: object) -> Evidence:
        return record(_more_exclusive(other, self, current_terms()))


def exclusive_features(on: Readable, but_not: Readable) -> ExclusiveFeatures:
    """Count the features that fire on at least one prompt of `on` and on none of `but_not`, as published.

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


def _more_exclusive(more: object, less: object, terms: Terms) -> Evidence:
    if not isinstance(more, ExclusiveFeatures) or not isinstance(less, ExclusiveFeatures):
        raise TypeError(f"{more!r} > {less!r}; {_REVERSE}, by > or <")
    if not (_same(more.on, less.but_not) and _same(more.but_not, less.on)):
        raise TypeError(_REVERSE)
    refuse_others("exclusive features", terms.controls)
    if isinstance(more.on, RecordedStyle) or isinstance(more.but_not, RecordedStyle):
        a, b = sample_of(more.summary, terms), sample_of(less.summary, terms)
        return summaries("exclusive", _STATEMENT.format(a.label, b.label), a, b)
    return _compared((more.on, more.but_not), terms)


def _same(one: Readable, other: Readable) -> bool:
    """Say whether two are the same style of the same capture or record, though they were looked up twice."""
    if isinstance(one, RecordedStyle):
        return isinstance(other, RecordedStyle) and one.quantities is other.quantities
    return isinstance(other, Features) and one.subject == other.subject and one.prompts == other.prompts


def _compared(both: BothSides, terms: Terms) -> Evidence:
    """Permute style labels and count again; the null is that style does not matter."""
    a, b = (sample_of(exclusive_features(*sides).summary, terms) for sides in (both, both[::-1]))
    planned = design(both[0], both[1], terms.over)
    base = Evidence(
        kind="exclusive",
        statement=_STATEMENT.format(a.label, b.label),
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
    sides, units_a, units_b = planned.sides, planned.sides.a.units(), planned.sides.b.units()
    found = relabel(units_a, units_b, paired=sides.paired, alpha=terms.alpha, seed=terms.seed)
    tested = replace(
        base,
        samples=(
            with_error(a, units_a, units_b, paired=sides.paired, level=1 - terms.alpha),
            with_error(b, units_b, units_a, paired=sides.paired, level=1 - terms.alpha),
        ),
        scope=planned.scope,
        p=found.p,
        one_sided=towards(found.p, holds=a.mean > b.mean),
        test=found.name,
        rule=f"{_RULE}. {found.rule('The difference of distinct features, in the direction found,')}",
        seed=found.seed,
        units=planned.units,
        n_units=(len(units_a), len(units_b)),
        unit_values=tuple(
            UnitValue(side=side.label, unit=name, value=float(fires.sum()))
            for side, of, units in ((a, sides.a, units_a), (b, sides.b, units_b))
            for name, fires in zip(of.names, units, strict=True)
        ),
        copies=planned.copies,
        patterns=patterns(units_a, units_b),
    )
    there, labels = found.p < terms.alpha and a.mean > b.mean, (both[0].label, both[1].label)
    controls = run_rivals(
        both,
        tested,
        _compared,
        _effect,
        error=_error,
        found=there,
        terms=terms,
        own={"activity": partial(activity_control, sides, labels, found=there, terms=terms)},
    )
    return _judged(replace(tested, controls=controls), planned, found.p, terms.alpha)


def _judged(tested: Evidence, planned: Design, p: float, alpha: float) -> Evidence:
    a, b = tested.samples
    numbers = f"{a.mean:.0f} against {b.mean:.0f} features, {p_value(p)} under permuted labels"
    if p >= alpha:
        needed = planned.needed(alpha)
        more = "" if needed is None else f"; {needed.have} {needed.units} cannot reach it, {needed.wanted} can"
        return replace(tested, reason=f"{numbers}: not distinguished from chance{more}", needed=needed)
    if a.mean < b.mean:
        return replace(tested, outcome="refuted", reason=f"{numbers}: the contrary")
    supported = "supported", f"{numbers}: more than chance{summary_of(tested.controls)}"
    outcome, reason = verdict_of(tested.controls, numbers) or supported
    return replace(tested, outcome=outcome, reason=reason)


def _effect(sides: BothSides) -> Effect:
    """Return the difference of the counts, on the scale of the side with fewer distinct features."""
    a, b = (firing(side).any(axis=0) for side in sides)
    return Effect(size=float((a & ~b).sum() - (b & ~a).sum()), scale=float(min(a.sum(), b.sum())))


def _reach(on: Features, but_not: Features) -> tuple[int, int] | None:
    """Return the lowest and the highest count of features exclusive to `on` that rounding may give."""
    if on.near is None or but_not.near is None:
        return None
    (on_surely, on_maybe), (not_surely, not_maybe) = fire_anywhere(on), fire_anywhere(but_not)
    lowest, highest = on_surely & ~(not_surely | not_maybe), (on_surely | on_maybe) & ~not_surely
    return int(lowest.sum()), int(highest.sum())


def _near_threshold(count: int, tolerance: float) -> str | None:
    """Say how many features are exclusive or not as rounding has it."""
    if not count:
        return None
    which = "1 feature counts, which is" if count == 1 else f"{count} features count, each of which is"
    return f"rounding decides whether {which} {within_rounding(tolerance)}"


def _error(tested: Evidence) -> Contrast:
    """Return the difference of the counts with its jackknife error, from the patterns."""
    fires = np.array([[bit == "1" for bit in bits] for bits, _ in tested.patterns], dtype=bool)
    counts, (n_a, n_b) = np.array([count for _, count in tested.patterns]), tested.n_units

    def difference(kept: Bool[np.ndarray, " units"]) -> float:
        a, b = fires[:, :n_a] & kept[:n_a], fires[:, n_a:] & kept[n_a:]
        return float(counts @ (a.any(axis=1).astype(int) - b.any(axis=1)))

    return jackknife(difference, n_a, n_b, paired=tested.units == "topics")


_ACTIVITY = (
    "Each firing of the more active side is kept with the same probability, so that both have as many, and L is the "
    "difference then to be expected. p of L is the mean, over thinnings drawn with the seed, of the one-sided "
    "permutation p of what is kept; errors are jackknifed over the units. Single firings do not stand here, so that "
    "these numbers cannot be had again from the report"
)


def activity_control(sides: Sides, labels: tuple[str, str], *, found: bool, terms: Terms) -> ControlResult:
    """Thin the firings of the more active side to as many as the other has, and compare what is left.

    A firing is one active feature of one token read, and each of the more active side is kept with the same
    probability. What is left is the difference then to be expected, without drawing. p is that of "this side is the
    other one, only more active": a mean over thinnings is below alpha only where nearly all are.
    """
    n_a, n_b, total_a, total_b = len(sides.a.names), len(sides.b.names), len(sides.a.feature), len(sides.b.feature)

    def left(units: Bool[np.ndarray, " units"], less: float = 0.0) -> float:
        a, b = sides.a.only(units[:n_a]), sides.b.only(units[n_a:])
        fewest = min(len(a.feature), len(b.feature))
        seen = [of.distinct(fewest / max(1, len(of.feature))) for of in (a, b)]
        return seen[0] - seen[1] - less * (a.distinct() - b.distinct())

    whole, half = (jackknife(partial(left, less=less), n_a, n_b, paired=sides.paired) for less in (0.0, 0.5))
    p, origin = _mean_p(sides, min(total_a, total_b) / max(total_a, total_b, 1), alpha=terms.alpha, seed=terms.seed)
    effect = sides.a.distinct() - sides.b.distinct()
    interval = whole.interval(effect, 1 - 2 * terms.alpha)
    more, less = labels if total_a >= total_b else labels[::-1]
    return answered(
        "activity",
        effect,
        Made(left=whole, half=half, p=p if whole.estimate > 0 else 1.0, interval=interval),
        terms,
        found=found,
        done=f"{more} has {max(total_a, total_b):,} active features on the tokens read and {less} "
        f"{min(total_a, total_b):,}; with equally many ({origin})",
        how=_ACTIVITY,
        unit="features",
        numbers={"firings of the first side": total_a, "firings of the second": total_b},
    )


def _mean_p(sides: Sides, kept: float, *, alpha: float, seed: int) -> tuple[float, str]:
    """Return the mean of the p of thinned features, and over how many thinnings it was taken."""
    if kept == 1:
        p = _one_sided_p(sides.a.units(), sides.b.units(), paired=sides.paired, alpha=2 * alpha, seed=seed)
        return p, "nothing to thin"

    def draw(rng: np.random.Generator, count: int) -> list[float]:
        return [_thinned_p(sides, kept, rng) for _ in range(count)]

    def around(ps: list[float], count: int) -> tuple[float, float]:
        mean, reach = float(np.mean(ps)), ERRORS * float(np.std(ps, ddof=1)) / sqrt(count)
        return mean - reach, mean + reach

    ps, of_seed, high = settle(draw, around, THINNINGS, alpha=alpha, seed=seed)
    near = "" if high is None else f", too near {alpha:g} to tell: its upper end"
    return float(np.mean(ps)) if high is None else high, f"mean over {len(ps)} random thinnings, seed {of_seed}{near}"


def _thinned_p(sides: Sides, kept: float, rng: np.random.Generator) -> float:
    a, b = sides.a, sides.b
    thins_a = len(a.feature) > len(b.feature)
    keeps = rng.random(max(len(a.feature), len(b.feature))) < kept
    units_a, units_b = a.units(keeps if thins_a else None), b.units(None if thins_a else keeps)
    return _one_sided_p(units_a, units_b, paired=sides.paired, alpha=None, seed=int(rng.integers(2**32)))


def _one_sided_p(a: Units, b: Units, *, paired: bool, alpha: float | None, seed: int) -> float:
    p = relabel(a, b, paired=paired, alpha=alpha, seed=seed).p
    return towards(p, holds=bool(a.any(axis=0).sum() > b.any(axis=0).sum()))


def relabel(a: Units, b: Units, *, paired: bool, alpha: float | None, seed: int) -> Permuted:
    """Test the difference of distinct features, two-sided: units change sides, if `paired` with their partners."""
    ever = a.any(axis=0) | b.any(axis=0)
    a, b = a[:, ever], b[:, ever]
    items = len(a) if paired else len(a) + len(b)
    table = _table(a, b) if paired else _table(np.vstack([a, b]), np.zeros((items, a.shape[1]), dtype=bool))
    observed = int(a.any(axis=0).sum()) - int(b.any(axis=0).sum())

    def look(dealt: Dealt) -> Looked:
        chosen = dealt[:, ::2] if paired else dealt  # of a pair the first label says where both stand
        return _differences(table, chosen.astype(bool))[:, None].astype(np.float64)

    return permute(
        (np.tile([1, 0], (items, 1)) if paired else np.repeat([1, 0], [len(a), len(b)])[None],),
        look,
        lambda looked: (looked[:, 0] >= observed) if observed >= 0 else (looked[:, 0] <= observed),
        what=f"permutation of labels {f'within {items} topics' if paired else f'over {len(a)} + {len(b)} templates'}",
        alpha=alpha,
        seed=seed,
        sides=2,
    )


def patterns(a: Units, b: Units) -> tuple[tuple[str, int], ...]:
    """Return in which units features fire, as a 1 or a 0 a unit, and how many do so; silent features are left out.

    >>> patterns(np.array([[True, True, False]]), np.array([[False, False, False]]))
    (('10', 2),)
    """
    fires = np.vstack([a, b])
    found, counts = np.unique(fires[:, fires.any(axis=0)], axis=1, return_counts=True)
    rows = ("".join("01"[int(bit)] for bit in pattern) for pattern in found.T)
    return tuple((row, int(count)) for row, count in zip(rows, counts, strict=True))


def _table(ones: Units, zeros: Units) -> Unions:
    """Return the unions of each block of items by the bits set in it: an item adds its row of `ones` or of `zeros`.

    Both sides of a relabeling are read from it, the second by the opposite bits (the method of four Russians).
    """
    missing = -len(ones) % BLOCK
    of_ones, of_zeros = (np.pad(_words(rows), ((0, missing), (0, 0))) for rows in (ones, zeros))
    blocks: list[UInt64[np.ndarray, "256 words"]] = []
    for start in range(0, len(of_ones), BLOCK):
        table = np.zeros((1, of_ones.shape[1]), dtype=np.uint64)
        for item in range(start, start + BLOCK):
            table = np.concatenate([table | of_zeros[item], table | of_ones[item]])  # bit i is worth 2^i rows
        blocks.append(table)
    return np.stack(blocks)


def _words(rows: Units) -> UInt64[np.ndarray, "items words"]:
    """Return a bit a feature, in words of 64; one empty word where no feature fires."""
    padded = np.pad(rows, ((0, 0), (0, 64 if not rows.shape[1] else -rows.shape[1] % 64)))
    return np.ascontiguousarray(np.packbits(padded, axis=1)).view(np.uint64)


def _differences(table: Unions, dealt: Bool[np.ndarray, "relabelings items"]) -> Int[np.ndarray, " relabelings"]:
    """Return the distinct features on the first side less those on the second, for each relabeling."""
    chosen = np.packbits(dealt, axis=1, bitorder="little")
    step = max(1, AT_ONCE // max(1, table.shape[2]))
    parts = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(chosen), step):
        some = chosen[start : start + step]
        parts.append(_distinct(table, some) - _distinct(table, ~some))
    return np.concatenate(parts)


def _distinct(table: Unions, chosen: np.ndarray) -> Int[np.ndarray, " relabelings"]:
    union = table[0][chosen[:, 0]]
    for block in range(1, len(table)):
        union |= table[block][chosen[:, block]]
    return np.bitwise_count(union).sum(axis=1, dtype=np.int64)
