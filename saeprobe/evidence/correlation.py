"""A correlation says whether two measures of the same prompts rise together, over whole wordings or topics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atanh, ceil, isnan, nan, sqrt, tanh
from statistics import NormalDist
from typing import NoReturn

import numpy as np

from saeprobe.claims import NotRun, Over
from saeprobe.evidence import Evidence, EvidenceOutcome, Needed, Terms, current_terms, record
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.units import needed, needed_in_words, sample_of, unit_values
from saeprobe.evidence.values import Measurement, Quantity, Summary, is_number
from saeprobe.files import number, p_value, span, visible
from saeprobe.prompts.wordings import copies, copies_in_words, unit_of
from saeprobe.shapes import Float, Int
from saeprobe.statistics.intervals import FEWEST_CORRELATED, POWER, t_quantile
from saeprobe.statistics.permutation import permute
from saeprobe.statistics.shifts import varies

NO_SPREAD = 1e-12  # a variance that is no larger a share of the squares is rounding
PERFECT = 1 - 1e-9  # from here on r is 1 but for rounding, and Fisher's z is no number

# so many times narrower than the distance an interval with 1.25 % in each tail has to be for that power
SURER = 1 + NormalDist().inv_cdf(POWER) / NormalDist().inv_cdf(0.9875)
_CLOSE = (  # twice as wide an interval leaves 1 of 100, by simulation
    "; where wordings are skewed and r between them is not that within them, up to 7 of 100 false sentences come as far"
)
_WANTED = "compare it with a number by > or <, as in: assert correlation(a, b) > 0.9"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Correlation:
    """A correlation is Pearson's r of two measures over the same prompts; compare it with a number in (-1, 1)."""

    a: Measurement
    b: Measurement

    @property
    def name(self) -> str:
        """Name it as `correlation of effective rank and tokens over novice`."""
        return f"correlation of {self.a.measure} and {self.b.measure} over {self.a.label}"

    @property
    def value(self) -> float:
        """Compute Pearson's r over prompts; NaN where a measure is the same on all of them."""
        return _pearson(self.a.values, self.b.values)

    def __repr__(self) -> str:
        return visible(f"<{self.name}: {self.value:.4g}, {len(self.a.values)} prompts>")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} says nothing by itself; {_WANTED}")

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(f"{self!r} against {other!r}; {_WANTED}")

    __eq__ = __ge__ = __le__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse

    def __gt__(self, bound: object) -> Evidence:
        return record(_against(self, bound, current_terms(), above=True)) if is_number(bound) else self._refuse(bound)

    def __lt__(self, bound: object) -> Evidence:
        return record(_against(self, bound, current_terms(), above=False)) if is_number(bound) else self._refuse(bound)


def correlation(a: Quantity, b: Quantity) -> Correlation:
    """Give Pearson's r of two measures over the same prompts, to compare it with a number: `correlation(a, b) > 0.9`.

    Raises:
        NotRun: a side is a bare summary.
        ValueError: the two were not measured on the same prompts, in the same order.
        TypeError: a side is no measurement; or what comes of it is compared with anything but a number.
    """
    for one in (a, b):
        if not isinstance(one, Measurement | Summary):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
            raise TypeError(f'correlation() was given {one!r}; wanted measurements, such as l0(styles["novice"])')
    if isinstance(a, Summary) or isinstance(b, Summary):
        bare = a if isinstance(a, Summary) else b
        raise NotRun(f"{bare.name} is recorded as a mean alone; a correlation needs the values of each prompt")
    if [prompt.text for prompt in a.prompts] != [prompt.text for prompt in b.prompts]:
        raise ValueError(
            f"{a.name} and {b.name} were not measured on the same prompts; take both of the same styles of one capture"
        )
    return Correlation(a=a, b=b)


def _pearson(a: Float[np.ndarray, " prompts"], b: Float[np.ndarray, " prompts"]) -> float:
    """Compute Pearson's r; NaN where a measure is the same on all prompts."""
    return float(np.corrcoef(a, b)[0, 1]) if varies(a) and varies(b) else nan


@dataclass(frozen=True, kw_only=True, eq=False)
class _Units:
    """The prompts of two measures stand here by unit, both measures centred.

    `of` is the unit of each prompt and `within` what varies inside one: the topic under a wording, or the wording on a
    topic. `what` names the units and `scope` says how far they reach.
    """

    what: str
    scope: str
    names: tuple[str, ...]
    of: Int[np.ndarray, " prompts"]
    within: tuple[str, ...]
    a: Float[np.ndarray, " prompts"]
    b: Float[np.ndarray, " prompts"]

    @property
    def means(self) -> Float[np.ndarray, "2 units"]:
        """Give the means of both measures, by unit."""
        return np.stack([np.bincount(self.of, weights=of) for of in (self.a, self.b)]) / np.bincount(self.of)

    def crossed(self) -> tuple[Float[np.ndarray, "units units"], str]:
        """Say how much of r each unit's `a` makes with each unit's `b`, and what was put side by side.

        Whole blocks of values where every unit holds the same topics (or wordings) once, else the units' means.
        """
        columns, at = np.unique(self.within, return_inverse=True)
        if len(self.a) == len(set(zip(self.of, at, strict=True))) == len(self.names) * len(columns):
            grid = np.zeros((2, len(self.names), len(columns)))
            grid[:, self.of, at] = self.a, self.b
            return grid[0] @ grid[1].T, "whole units"
        a, b = self.means
        return np.outer(a - a.mean(), b - b.mean()), "means of units"

    def p(self, terms: Terms, *, above: bool) -> tuple[float, str, str]:
        """Test a correlation of 0, by giving each unit's `a` the `b` of another: one-sided p, test and rule."""
        products, what = self.crossed()
        rows, products = np.arange(len(products)), products if above else -products
        bound = float(products.trace()) - NO_SPREAD * max(1.0, abs(float(products.trace())))
        found = permute(
            (rows[None],),
            lambda order: products[rows, order].sum(axis=1, keepdims=True),
            lambda looked: looked[:, 0] >= bound,
            what=f"permutation of {len(rows)} {what}",
            alpha=terms.alpha,
            seed=terms.seed,
        )
        rule = found.rule("r with the second measure of another unit, to the side of r, counted double,")
        return found.p, f"{found.name}, two-sided", rule


def _wordings(of: Correlation) -> tuple[str, ...]:
    """Name for each prompt its style and the wording that it counts for."""
    return tuple(f"{one.style}: {unit}" for one, unit in zip(of.a.prompts, unit_of(of.a.prompts), strict=True))


def _units(of: Correlation, what: Over) -> _Units:
    prompts, wordings = of.a.prompts, _wordings(of)
    topics = tuple(prompt.topic for prompt in prompts)
    keys, within, count = wordings, topics, len(set(wordings))
    scope = f"these {count} templates{copies_in_words(prompts)}"
    if what == "topics":
        keys, within = topics, tuple(f"{prompt.style}: {prompt.template}" for prompt in prompts)
        scope = f"{'this wording only' if count == 1 else f'{scope} fixed'}, over {len(set(topics))} topics"
    at = {name: number for number, name in enumerate(dict.fromkeys(keys))}
    return _Units(
        what=what,
        scope=scope,
        names=tuple(at),
        of=np.array([at[key] for key in keys]),
        within=within,
        a=of.a.values - of.a.mean,
        b=of.b.values - of.b.mean,
    )


def _against(of: Correlation, bound: float, terms: Terms, *, above: bool) -> Evidence:
    """Decide over wordings where there are enough, else over topics; of both, where asked for, the less certain counts.

    What is open is less certain than what is decided, however narrow its interval; then the wider interval is.
    """
    refuse_controls("correlation", terms)
    if not -1 < bound < 1:
        raise ValueError(f"{of.name} against {bound:g}; wanted a number between -1 and 1")
    asked: tuple[Over, ...] = terms.over or ("templates" if len(set(_wordings(of))) >= FEWEST_CORRELATED else "topics",)
    judged = [_judged(of, _units(of, what), bound, terms, above=above) for what in asked]
    return max(judged, key=lambda one: (one.outcome == "inconclusive", one.interval is None, np.ptp(one.interval or 0)))


def _judged(of: Correlation, units: _Units, bound: float, terms: Terms, *, above: bool) -> Evidence:
    level, have, found = 1 - terms.alpha, len(units.names), of.value
    sides = tuple(replace(sample_of(side, terms), label=f"{side.measure} of {side.label}") for side in (of.a, of.b))
    base = Evidence(
        kind="correlation",
        statement=f"{of.name} {'>' if above else '<'} {bound:.15g}",
        outcome="inconclusive",
        reason="",
        scope=units.scope,
        unit="Pearson's r",
        estimate=None if isnan(found) else found,
        alpha=terms.alpha,
        level=level,
        units=units.what,
        n_units=(have,),
        samples=sides,
        unit_values=unit_values(sides[0].label, dict(zip(units.names, units.means[0] + sides[0].mean, strict=True)))
        + unit_values(sides[1].label, dict(zip(units.names, units.means[1] + sides[1].mean, strict=True))),
        copies=copies(of.a.prompts) if units.what == "templates" else (),
        rule=_rule(bound, terms.alpha, level, above=above),
    )
    if isnan(found):
        flat = of.b if varies(of.a.values) else of.a
        return replace(base, reason=f"{flat.name} is the same on every prompt; a correlation needs values that differ")
    reason = f"r = {number(found)} over {len(of.a.values)} prompts of {have} {units.what}"
    if have < FEWEST_CORRELATED:
        why = f"{reason}: at least {FEWEST_CORRELATED} are needed for an interval over whole {units.what}"
        return replace(base, reason=why, needed=Needed(units=units.what, have=have, wanted=FEWEST_CORRELATED))
    reached = _interval(units, level, bound, above=above)
    if reached is None:
        return replace(base, reason=f"{reason}, without enough spread between {units.what} for an interval")
    low, high, beyond = reached
    holds, contrary = (low > bound, high < bound) if above else (high < bound, low > bound)
    interval = low, high
    reason += f", interval {span(interval)} against {bound:g}"
    test, p, seed = f"interval over {have} whole {units.what}, by the jackknife of Fisher's z", beyond, None
    if bound == 0:
        each, seed = replace(terms, alpha=terms.alpha / 2), terms.seed
        side, permuted, rule = units.p(each, above=found > 0)
        p, towards_it = min(1.0, 2 * side), side if (found > 0) == above else 1 - side
        base = replace(base, rule=f"{base.rule}. {rule}", one_sided=max(towards_it, beyond))
        holds, contrary = holds and p < terms.alpha, contrary and p < terms.alpha
        test, reason = f"{permuted}; {test}", f"{reason}, {p_value(p)}"
    outcome: EvidenceOutcome = "supported" if holds else "refuted" if contrary else "inconclusive"
    apart, more = _apart(found, bound, interval), None
    if outcome == "inconclusive" and apart:  # a hint: how the interval narrows on Fisher's scale at this r and spread
        wanted = max(have + 1, ceil(have * (SURER / apart) ** 2))
        more = needed(units.what, have, wanted, a_unit=len(of.a.values) / have)
        reason += f": not distinguished at alpha = {terms.alpha:g}. {needed_in_words(more, at='r and spread')}"
    elif outcome != "inconclusive" and bound and apart < 2:  # noqa: PLR2004 - see _CLOSE
        reason += _CLOSE
    return replace(base, outcome=outcome, reason=reason, interval=interval, p=p, test=test, seed=seed, needed=more)


def _interval(units: _Units, level: float, bound: float, *, above: bool) -> tuple[float, float, float] | None:
    """Take Student's interval of Fisher's z by the jackknife over whole units (Miller, Biometrika 61, 1974).

    Its ends, then the one-sided p of the bound. The error of few units is itself uncertain, and z skewed. So each tail
    is half of what the level says, and both z and its jackknife estimate, which lacks the bias of few units, are
    inside. A true bound is rejected 1 to 2 times in 100 at a nominal 2.5, and up to 3 (7 if skewed) where r between
    wordings is far off that within them: see `_CLOSE`.
    """
    from scipy.special import stdtr

    count, found = len(units.names), _pearson(units.a, units.b)
    kept = (units.of != unit for unit in range(count))
    without = np.array([_pearson(units.a[rest], units.b[rest]) for rest in kept])
    if not (np.abs([found, *without]) < PERFECT).all():  # NaN is not below it either
        return None
    z, spread = np.arctanh(without), float(np.arctanh(without).std(ddof=1)) * (count - 1) / sqrt(count)
    if spread < NO_SPREAD:
        return None
    centres = atanh(found), count * atanh(found) - (count - 1) * float(z.mean())
    reach = t_quantile((3 + level) / 4, count - 1) * spread
    far = min(centres) - atanh(bound) if above else atanh(bound) - max(centres)
    p = min(1.0, 2 * float(stdtr(count - 1, -far / spread)))
    return tanh(min(centres) - reach), tanh(max(centres) + reach), p


def _apart(found: float, bound: float, interval: tuple[float, float]) -> float:
    """Return how often its interval's reach fits between r and a bound, on Fisher's scale; 0 where it reaches 1."""
    end = interval[0] if found > bound else interval[1]
    if not -1 < end < 1 or found == end:
        return 0.0
    return abs(atanh(found) - atanh(bound)) / abs(atanh(found) - atanh(end))


def _rule(bound: float, alpha: float, level: float, *, above: bool) -> str:
    sides = ("above", "below") if above else ("below", "above")
    zero = f" and p, twice the permutation p to the side of r, is below alpha = {alpha:g}" if bound == 0 else ""
    return (
        f"supported where the whole {level:.0%} interval over units lies {sides[0]} {bound:g}{zero}; refuted where it "
        f"lies {sides[1]} it{' and p is below alpha' if zero else ''}; inconclusive otherwise. On "
        "Fisher's scale, z = atanh(r), it reaches t s below the smaller and above the larger one of z and of "
        "n z - (n - 1) m: m is the mean of z without each unit in turn, s its jackknife error, t Student's of n - 1 at "
        f"{(3 + level) / 4:.2%}. {'one_sided is the larger one of p and' if zero else 'p is'} twice the share of t "
        "beyond that by which it would end at the bound. r is that of the values of all prompts"
    )
