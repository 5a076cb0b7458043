"""Exclusive features fire on some prompt of one style and on no prompt of the other.

What fires on both sides is exclusive to neither, so the difference of the two counts of exclusive features is the
difference of the two counts of distinct features; these are permuted here, and thinned for the control `activity`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import comb, sqrt
from typing import NoReturn

import numpy as np

from saeprobe.claims import NotRun
from saeprobe.evidence import ControlResult, Evidence, Needed, Terms, current_terms, record, towards
from saeprobe.evidence.controls import Contrast, Made, answered, jackknife, refuse_others, verdict_of
from saeprobe.evidence.controls.adjusting import run_rivals
from saeprobe.evidence.controls.draws import BothSides, Effect
from saeprobe.evidence.counts import summaries
from saeprobe.evidence.near import within_rounding
from saeprobe.evidence.units import sample_of, unit_values
from saeprobe.evidence.values import Summary
from saeprobe.features import Features
from saeprobe.files import p_value, visible
from saeprobe.measures.reading import Design, Readable, design, firing, not_distinguished, refuse_apart
from saeprobe.recorded.record import RecordedStyle
from saeprobe.shapes import Bool, Int, UInt64
from saeprobe.statistics.permutation import Permuted, permute, settle

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
            other, of = self.but_not.label, self.on
            if other not in of.exclusive:
                raise NotRun(f"{of.origin} does not say which features are exclusive to {label} compared with {other}")
            return of.exclusive[other]
        if isinstance(self.but_not, RecordedStyle):
            raise TypeError("one side is recorded and the other captured; compare like with like")
        reach, near = _reach(self.on, self.but_not), None
        if reach and (count := reach[1] - reach[0]):
            which = "1 feature counts, which is" if count == 1 else f"{count} features count, each of which is"
            near = f"rounding decides whether {which} {within_rounding(self.on.tolerance)}"
        return Summary(
            measure="exclusive features",
            label=label,
            unit="features",
            value=int((firing(self.on).any(axis=0) & ~firing(self.but_not).any(axis=0)).sum()),
            n=len(self.on),
            origin=label,
            place=self.on.place,
            near_threshold=near,
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
    refuse_apart(on, but_not)
    return ExclusiveFeatures(on=on, but_not=but_not)


def _more_exclusive(more: object, less: object, terms: Terms) -> Evidence:
    if not isinstance(more, ExclusiveFeatures) or not isinstance(less, ExclusiveFeatures):
        raise TypeError(f"{more!r} > {less!r}; {_REVERSE}, by > or <")
    if not (_same(more.on, less.but_not) and _same(more.but_not, less.on)):
        raise TypeError(_REVERSE)
    refuse_others("exclusive features", terms.controls)
    if isinstance(more.on, RecordedStyle) or isinstance(more.but_not, RecordedStyle):
        a, b = more.summary, less.summary
        return summaries("exclusive", _STATEMENT.format(a.label, b.label), a, b, terms)
    return _compared((more.on, more.but_not), terms)


def _same(one: Readable, other: Readable) -> bool:
    """Say whether two are the same style of the same capture or record, though they were looked up twice."""
    if isinstance(one, RecordedStyle):
        return isinstance(other, RecordedStyle) and one.quantities is other.quantities
    return isinstance(other, Features) and one.subject == other.subject and one.prompts == other.prompts


def _compared(both: BothSides, terms: Terms) -> Evidence:
    """Permute style labels and count again; the null is that style does not matter."""
    a, b = (sample_of(exclusive_features(*sides).summary, terms) for sides in (both, both[::-1]))
    sides = design(both[0], both[1], terms.over)
    base = Evidence(
        kind="exclusive",
        statement=_STATEMENT.format(a.label, b.label),
        outcome="inconclusive",
        reason=f"{a.mean:.0f} against {b.mean:.0f} features, but {sides}",
        scope="these prompts only",
        unit="features",
        estimate=a.mean - b.mean,
        alpha=terms.alpha,
        samples=(a, b),
        rule=_RULE,
    )
    if isinstance(sides, str):
        return base
    both_units = sides.a.units(), sides.b.units()
    tested = replace(
        counted(base, *both_units, terms, paired=sides.paired),
        scope=sides.scope,
        unit_values=unit_values(a.label, dict(zip(sides.a.names, both_units[0].sum(axis=1), strict=True)))
        + unit_values(b.label, dict(zip(sides.b.names, both_units[1].sum(axis=1), strict=True))),
        copies=sides.copies,
    )
    run = partial(activity_control, sides, (a.label, b.label), terms=terms)
    tested = run_rivals(both, tested, _compared, _effect, terms, error=error_of, activity=run)
    return judged_counts(tested, sides.needed(terms.alpha))


def counted(base: Evidence, a: Units, b: Units, terms: Terms, *, paired: bool) -> Evidence:
    """Test the difference of two counts by the units in which features fire, with an interval of either count."""
    found = relabel(a, b, paired=paired, alpha=terms.alpha, seed=terms.seed)
    return replace(
        base,
        samples=tuple(
            replace(
                count,
                interval=exclusive_interval(*units, paired=paired, level=1 - terms.alpha),
                rarefied=() if paired else rarefied(*units),
            )
            for count, units in zip(base.samples, ((a, b), (b, a)), strict=True)
        ),
        p=found.p,
        one_sided=towards(found.p, holds=(base.estimate or 0.0) > 0),
        test=found.name,
        rule=f"{_RULE}. {found.rule('The difference of distinct features, in the direction found,')}",
        seed=found.seed,
        units="topics" if paired else "templates",
        n_units=(len(a), len(b)),
        patterns=patterns(a, b),
    )


def judged_counts(tested: Evidence, needed: Needed | None) -> Evidence:
    """Judge two counts that were tested by their p and their controls; so many units are needed where it is open."""
    (a, b), p = tested.samples, 1.0 if tested.p is None else tested.p
    numbers = f"{a.mean:.0f} against {b.mean:.0f} features, {p_value(p)} under permuted labels"
    if p >= (tested.alpha or 0.0):
        return not_distinguished(tested, numbers, needed)
    if a.mean < b.mean:
        return replace(tested, outcome="refuted", reason=f"{numbers}: the contrary")
    outcome, reason = verdict_of(tested.controls, numbers, more=": more than chance")
    return replace(tested, outcome=outcome, reason=reason)


def _effect(sides: BothSides) -> Effect:
    """Return the difference of the counts, on the scale of the side with fewer distinct features."""
    a, b = (firing(side).any(axis=0) for side in sides)
    return Effect(size=float((a & ~b).sum() - (b & ~a).sum()), scale=float(min(a.sum(), b.sum())))


def _reach(on: Features, but_not: Features) -> tuple[int, int] | None:
    """Return the lowest and the highest count of features exclusive to `on` that rounding may give."""
    if on.near is None or but_not.near is None:
        return None
    both = ((on.encoded, on.near), (but_not.encoded, but_not.near))
    on_surely, not_surely = ((acts - acts.multiply(near) > 0).sum(axis=0) > 0 for acts, near in both)
    on_near, not_near = (near.sum(axis=0) > 0 for _, near in both)
    lowest, highest = on_surely & ~(not_surely | not_near), (on_surely | on_near) & ~not_surely
    return int(lowest.sum()), int(highest.sum())


def error_of(tested: Evidence) -> Contrast:
    """Return the difference of the counts with its jackknife error, from the patterns."""
    fires = np.array([[bit == "1" for bit in bits] for bits, _ in tested.patterns], dtype=bool)
    counts, (n_a, n_b) = np.array([count for _, count in tested.patterns]), tested.n_units

    def difference(kept: Bool[np.ndarray, " units"]) -> float:
        a, b = fires[:, :n_a] & kept[:n_a], fires[:, n_a:] & kept[n_a:]
        return float(counts @ (a.any(axis=1).astype(int) - b.any(axis=1)))

    return jackknife(difference, n_a, n_b, paired=tested.units == "topics")


def exclusive_interval(on: Units, but_not: Units, *, paired: bool, level: float) -> tuple[float, float] | None:
    """Return the interval of the number of features that fire in some unit of `on` and in none of `but_not`.

    By the jackknife over units; None where the count does not vary, or a side has a single unit.
    """
    n_on, n_not = len(on), len(but_not)
    made = jackknife(partial(_expected, on, but_not, max(n_on, n_not)), n_on, n_not, paired=paired)
    interval = made.interval(0.0, level) if min(n_on, n_not) > 1 else None
    return None if interval is None else (max(0.0, interval[0]), interval[1])


def rarefied(on: Units, but_not: Units) -> tuple[tuple[float, float], ...]:
    """Return how many features would be exclusive to `on` over 1, 2, ... units of each side, with jackknife errors."""
    n_on, n_not, ever = len(on), len(but_not), on.any(axis=0)
    of = [partial(_expected, on[:, ever], but_not[:, ever], k) for k in range(1, min(n_on, n_not) + 1)]
    made = (jackknife(count, n_on, n_not, paired=False) for count in of)
    return tuple((one.estimate, sqrt(one.variance)) for one in made)


def _expected(on: Units, but_not: Units, k: int, kept: Bool[np.ndarray, " units"]) -> float:
    """Return the mean count over all choices of `k` kept units a side (rarefaction: Hurlbert, Ecology 52, 1971)."""

    def silent(units: Units) -> np.ndarray:  # by feature the share of choices in none of whose units it fires
        n, chosen = len(units), min(k, len(units))
        return np.array([comb(n - times, chosen) / comb(n, chosen) for times in range(n + 1)])[units.sum(axis=0)]

    return float((1 - silent(on[kept[: len(on)]])) @ silent(but_not[kept[len(on) :]]))


_ACTIVITY = (
    "Each firing of the more active side is kept with the same probability, so that both have as many, and L is the "
    "difference then to be expected. p of L is the mean, over thinnings drawn with the seed, of the one-sided "
    "permutation p of what is kept; errors are jackknifed over the units. Single firings do not stand here, so that "
    "these numbers cannot be had again from the report"
)


def activity_control(sides: Design, labels: tuple[str, str], *, found: bool, terms: Terms) -> ControlResult:
    """Thin the firings (active features of a token) of the more active side to as many as the other has.

    p is that of "this side is the other one, only more active": a mean is below alpha only where nearly all are.
    """
    n_a, n_b, total_a, total_b = len(sides.a.names), len(sides.b.names), len(sides.a.feature), len(sides.b.feature)

    def left(units: Bool[np.ndarray, " units"], less: float = 0.0) -> float:
        a, b = sides.a.only(units[:n_a]), sides.b.only(units[n_a:])
        fewest = min(len(a.feature), len(b.feature))
        seen = [of.distinct(fewest / max(1, len(of.feature))) for of in (a, b)]
        return seen[0] - seen[1] - less * (a.distinct() - b.distinct())

    whole, half = (jackknife(partial(left, less=less), n_a, n_b, paired=sides.paired) for less in (0.0, 0.5))
    fewer, most = sorted((total_a, total_b))
    p, origin = _mean_p(sides, fewer / max(most, 1), alpha=terms.alpha, seed=terms.seed)
    effect, level = sides.a.distinct() - sides.b.distinct(), 1 - 2 * terms.alpha
    more, less = labels if total_a >= total_b else labels[::-1]
    return answered(
        "activity",
        effect,
        Made(left=whole, half=half, p=p if whole.estimate > 0 else 1.0, interval=whole.interval(effect, level)),
        terms,
        found=found,
        done=f"{more} has {most:,} active features on the tokens read and {less} {fewer:,}; with equally many "
        f"({origin})",
        how=_ACTIVITY,
        unit="features",
        numbers={"firings of the first side": total_a, "firings of the second": total_b},
    )


def _mean_p(sides: Design, kept: float, *, alpha: float, seed: int) -> tuple[float, str]:
    """Return the mean of the p of thinned features, and over how many thinnings it was taken."""
    if kept == 1:
        units = sides.a.units(), sides.b.units()
        return _one_sided_p(*units, paired=sides.paired, alpha=2 * alpha, seed=seed), "nothing to thin"

    def draw(seed: int, count: int) -> list[float]:
        return [_thinned_p(sides, kept, rng) for rng in [np.random.default_rng(seed)] for _ in range(count)]

    def around(ps: list[float], count: int) -> tuple[float, float]:
        mean, reach = float(np.mean(ps)), ERRORS * float(np.std(ps, ddof=1)) / sqrt(count)
        return mean - reach, mean + reach

    ps, of_seed, high = settle(draw, around, THINNINGS, alpha=alpha, seed=seed)
    near = "" if high is None else f", too near {alpha:g} to tell: its upper end"
    return float(np.mean(ps)) if high is None else high, f"mean over {len(ps)} random thinnings, seed {of_seed}{near}"


def _thinned_p(sides: Design, kept: float, rng: np.random.Generator) -> float:
    n_a, n_b = len(sides.a.feature), len(sides.b.feature)
    keeps = rng.random(max(n_a, n_b)) < kept
    units = sides.a.units(keeps if n_a > n_b else None), sides.b.units(None if n_a > n_b else keeps)
    return _one_sided_p(*units, paired=sides.paired, alpha=None, seed=int(rng.integers(2**32)))


def _one_sided_p(a: Units, b: Units, *, paired: bool, alpha: float | None, seed: int) -> float:
    p = relabel(a, b, paired=paired, alpha=alpha, seed=seed).p
    return towards(p, holds=bool(a.any(axis=0).sum() > b.any(axis=0).sum()))


def relabel(a: Units, b: Units, *, paired: bool, alpha: float | None, seed: int) -> Permuted:
    """Test the difference of distinct features, two-sided: units change sides, if `paired` with their partners."""
    a, b = np.split(np.vstack([a, b])[:, a.any(axis=0) | b.any(axis=0)], [len(a)])
    items = len(a) if paired else len(a) + len(b)
    table = _table(a, b) if paired else _table(np.vstack([a, b]), np.zeros((items, a.shape[1]), dtype=bool))
    observed = int(a.any(axis=0).sum()) - int(b.any(axis=0).sum())
    return permute(
        (np.tile([1, 0], (items, 1)) if paired else np.repeat([1, 0], [len(a), len(b)])[None],),
        # of a pair the first label says where both stand
        lambda dealt: _differences(table, (dealt[:, ::2] if paired else dealt) > 0)[:, None],
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
    found, counts = np.unique(fires[:, fires.any(axis=0)].astype(np.int8), axis=1, return_counts=True)
    return tuple(("".join(map(str, bits)), int(count)) for bits, count in zip(found.T, counts, strict=True))


def _table(ones: Units, zeros: Units) -> Unions:
    """Return the unions of each block of items by the bits set in it: an item adds its row of `ones` or of `zeros`.

    Both sides of a relabeling are read from it, the second by the opposite bits (the method of four Russians).
    """
    both = np.pad(np.stack([_words(zeros), _words(ones)]), ((0, 0), (0, -len(ones) % BLOCK), (0, 0)))
    blocks = both.reshape(2, -1, BLOCK, both.shape[2])
    table = np.zeros((blocks.shape[1], 1, both.shape[2]), dtype=np.uint64)
    for item in range(BLOCK):  # bit i is worth 2^i rows
        table = np.concatenate([table | bits[:, item, None] for bits in blocks], axis=1)
    return table


def _words(rows: Units) -> UInt64[np.ndarray, "items words"]:
    """Return a bit a feature, in words of 64; one empty word where no feature fires."""
    padded = np.pad(rows, ((0, 0), (0, 64 if not rows.shape[1] else -rows.shape[1] % 64)))
    return np.ascontiguousarray(np.packbits(padded, axis=1)).view(np.uint64)


def _differences(table: Unions, dealt: Bool[np.ndarray, "relabelings items"]) -> Int[np.ndarray, " relabelings"]:
    """Return the distinct features on the first side less those on the second, for each relabeling."""
    chosen = np.packbits(dealt, axis=1, bitorder="little")
    step = max(1, AT_ONCE // max(1, table.shape[2]))
    some = (chosen[start : start + step] for start in range(0, len(chosen), step))
    return np.concatenate([_distinct(table, these) - _distinct(table, ~these) for these in some])


def _distinct(table: Unions, chosen: np.ndarray) -> Int[np.ndarray, " relabelings"]:
    union = table[0][chosen[:, 0]]
    for block, rows in zip(table[1:], chosen.T[1:], strict=True):
        union |= block[rows]
    return np.bitwise_count(union).sum(axis=1, dtype=np.int64)
