"""An interval says what so many units show, and a design how many would do.

A permutation test of means has the power of the t test (Hoeffding, Ann. Math. Statist. 23, 1952). With few units its p
takes few values, so that the level is the largest p below alpha that they can reach: 2/70 for 4 + 4 units, not 0.05.

The successes of a rate may be fractional: a unit that fires on half of its prompts is half a success. The binomial tail
is then continued through the incomplete beta function, as Korn & Graubard (Survey Methodology 24, 1998) do for an
effective number of trials.

scipy takes a quarter of a second to import, and not every run needs it, so that each function imports its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import ceil, comb, factorial, inf, isnan, log, prod, sqrt
from typing import Final

import numpy as np

from saeprobe.claims import Over
from saeprobe.shapes import Float, Int


def rate_interval(successes: float, trials: int, *, level: float) -> tuple[float, float]:
    """Return the exact binomial interval of a rate (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv

    _check(successes, trials)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def rate_p(successes: float, trials: int, *, bound: float, above: bool) -> float:
    """Return how likely so many successes, or more (fewer, if not `above`), are at a rate of `bound`: an exact p."""
    from scipy.special import betainc

    _check(successes, trials)
    _check_bound(bound)
    if not above:
        return rate_p(trials - successes, trials, bound=1 - bound, above=True)
    return 1.0 if successes == 0 else float(betainc(successes, trials - successes + 1, bound))


def units_for_rate(bound: float, *, above: bool, alpha: float) -> int:
    """Return the fewest units that support a rate above (below) `bound` when all of them (none) show it."""
    _check_bound(bound)
    share = bound if above else 1 - bound
    units = max(1, ceil(log(alpha) / log(share)))
    return units if share**units < alpha else units + 1


def _check(successes: float, trials: int) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials}; wanted at least one trial and 0 to {trials} successes")


def _check_bound(bound: float) -> None:
    if not 0 < bound < 1:
        raise ValueError(f"a rate is held against {bound}; wanted a bound between 0 and 1, such as 0.95")


Statistic = Callable[[Int[np.ndarray, " units"]], float]  # of the indices of units
RESAMPLES = 4_999
MOST_UNDEFINED = 0.01
"""Share of resamples that may leave the statistic undefined, such as a correlation of values that are all alike."""


def bca_interval(n_units: int, statistic: Statistic, *, level: float, seed: int) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated bootstrap interval (Efron, J. Am. Stat. Assoc. 82, 1987).

    Whole units are drawn. `statistic` gives NaN where it is undefined. None is returned where it does not vary, or is
    undefined on more than 1 % of the resamples.
    """
    from scipy.special import ndtr, ndtri

    if n_units < 2:  # noqa: PLR2004 - one unit has no spread
        raise ValueError(f"{n_units} unit of replication; an interval needs at least 2")
    everyone = np.arange(n_units)
    found = statistic(everyone)
    rows = np.random.default_rng(seed).integers(0, n_units, (RESAMPLES, n_units))
    rows.sort(axis=1)  # a resample of every unit once is then `found` itself, and not one that rounding moves
    drawn = np.array([statistic(row) for row in rows])
    left_out = np.array([statistic(np.delete(everyone, unit)) for unit in everyone])
    defined = drawn[np.isfinite(drawn)]
    if not (np.isfinite(found) and np.isfinite(left_out).all()) or len(defined) < (1 - MOST_UNDEFINED) * len(drawn):
        return None
    below = (np.mean(defined < found) + np.mean(defined <= found)) / 2
    if not 0 < below < 1 or np.ptp(left_out) == 0:
        return None
    bias = ndtri(below)
    pull = left_out.mean() - left_out
    acceleration = float((pull**3).sum() / (6 * (pull**2).sum() ** 1.5))
    ends = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    shares: Float[np.ndarray, " 2"] = ndtr(bias + ends / (1 - acceleration * ends))
    low, high = np.quantile(defined, shares)
    return float(low), float(high)


def false_discoveries(ps: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Adjust the p of each test (Benjamini & Hochberg 1995): of those at or below `q`, a share `q` is false."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(ps))


POWER = 0.8
MOST_UNITS = 1_000  # no plan reaches further
FINE = 1e-6  # steps of p that are so small a share of alpha let the level be alpha itself
HALF_LIMIT = 2**18  # up to so many subsets are listed on a side: 18 + 18 units, or 36 signs


def units_to_decide(
    effect_in_sd: float, *, alpha: float, paired: bool, power: float = POWER, noise: float = 0.0
) -> int | None:
    """Return the fewest units a side (pairs, if `paired`) that see an effect with this power; None beyond 1,000.

    `effect_in_sd` is in standard deviations between units (of the differences, if `paired`); `noise` is a
    variance of the estimate, in the same unit squared, that more units do not lower.
    """
    reached = partial(power_of, effect_in_sd, alpha=alpha, paired=paired, noise=noise)
    enough = bisect_left(range(MOST_UNITS + 1), power, lo=least_units(alpha, paired=paired), key=reached)
    return enough if enough <= MOST_UNITS else None


def detectable(
    units: int, *, alpha: float, paired: bool, others: int | None = None, power: float = POWER
) -> float | None:
    """Return the smallest effect, in standard deviations between units, that is seen with this power.

    `others` are the units on the other side, where they are not as many. None where alpha is out of reach.
    """
    if smallest_p(units, paired=paired, others=others) >= alpha:
        return None
    seen, low, high = partial(power_of, units=units, alpha=alpha, paired=paired, others=others), 0.0, 1.0
    while seen(high) < power:
        low, high = high, high * 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) >= power else (middle, high)
    return high


def least_units(alpha: float, *, paired: bool) -> int:
    """Return the fewest units a side, or pairs, whose smallest two-sided p lies below alpha."""
    return next(units for units in count(2) if smallest_p(units, paired=paired) < alpha)


def smallest_p(units: int, *, paired: bool, others: int | None = None) -> float:
    """Return the smallest two-sided p, twice one direction's, that so many units a side, or pairs, can reach."""
    return 2 / 2**units if paired else 2 / comb(units + (others or units), units)


def power_of(
    effect_in_sd: float, units: int, *, alpha: float, paired: bool, noise: float = 0.0, others: int | None = None
) -> float:
    """Return the power of the two-sided test at the largest level below alpha that so many units can reach."""
    from scipy.special import nctdtr, stdtrit

    step, others = smallest_p(units, paired=paired, others=others), others or units
    if step >= alpha:
        return 0.0
    level = step * (ceil(alpha / step) - 1) if step > FINE * alpha else alpha
    freedom = units - 1 if paired else units + others - 2
    centre = abs(effect_in_sd) / sqrt(1 / units + (0 if paired else 1 / others) + noise)
    reach = float(stdtrit(freedom, 1 - level / 2))
    below, wrong_side = (float(nctdtr(freedom, centre, point)) for point in (reach, -reach))
    return 1 - (0.0 if isnan(below) else below) + (0.0 if isnan(wrong_side) else wrong_side)  # scipy: NaN where tiny


def permutations_countable(n_a: int, n_b: int) -> bool:
    """Decide whether the relabelings of `n_a` + `n_b` units can be counted."""
    return sum(comb(max(n_a, n_b), size) for size in range(min(n_a, n_b) + 1)) <= HALF_LIMIT


def flips_countable(count: int) -> bool:
    """Decide whether the signs of `count` differences can be counted."""
    return 2 ** (count - count // 2) <= HALF_LIMIT


_SUBJECTS: Final = {
    "equal": "whether two sides are about equal",
    "mean": "a mean beside a number",
    "rate": "a rate beside a number",
    "correlation": "a correlation",
    "exclusive": "which side has more exclusive features",
    "scan": "a scan, in the half that confirms",
    "clusters": "whether styles lie apart",
}
_EACH_PROMPT: Final = "every prompt counts: one exception refutes it, and at least 2 prompts"
_WITHOUT_UNITS: Final = {
    "always": f"{_EACH_PROMPT} support it",
    "separation": f"{_EACH_PROMPT} a side support it",
    "reading": "a reading of the prompts, without a test",
    "printed": "printed numbers can contradict the sentence and not support it",
}
FEWEST_CORRELATED: Final = 4  # with fewer there is no interval; with fewer wordings the topics are the units


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence is of a kind, and has a number beside it if it is a bound; `open` is what nothing is known of."""

    kind: str
    bound: float | None = None
    above: bool = True


@dataclass(frozen=True, kw_only=True)
class Units:
    """Units of one sort, each of so many `prompts`, are counted a side or style; pairs, or one side's, are `paired`."""

    what: Over
    counts: tuple[int, ...]
    paired: bool
    prompts: float = 1.0

    @property
    def in_words(self) -> str:
        """Say `12 templates a style`, `3 + 4 templates` or `9 topics under fixed wordings`."""
        if not self.paired and len(set(self.counts)) > 1:
            return f"{' + '.join(map(str, self.counts))} templates"
        what = self.what.removesuffix("s") if self.counts[0] == 1 else self.what
        where = " under fixed wordings" if self.what == "topics" else "" if self.paired else " a style"
        return f"{self.counts[0]} {what}{where}"

    def smallest_p(self, of: Sentence) -> float:
        """Return the smallest p at which any data could decide a sentence, for it or against it."""
        fewest = min(self.counts)
        free = self.paired or of.kind in ("exclusive", "clusters", "correlation", "rate")
        if fewest < (2 if free else 3):  # one unit shows nothing, and two a side not whether both scatter alike
            return 1.0
        if of.kind == "correlation":  # of four prompts too many resamples hold one alone, which has no r
            possible = 1 / factorial(fewest) if of.bound == 0 else 0.0
            return possible if fewest >= FEWEST_CORRELATED + (self.prompts == 1) else 1.0
        if of.kind == "rate" and of.bound is not None:
            return min(of.bound, 1 - of.bound) ** fewest
        if of.kind == "clusters" and self.paired:
            return factorial(len(self.counts)) ** (1.0 - fewest)
        if of.kind == "clusters":
            same = prod(factorial(self.counts.count(count)) for count in set(self.counts))
            return same * prod(map(factorial, self.counts)) / factorial(sum(self.counts))
        p = smallest_p(self.counts[0], paired=self.paired, others=self.counts[-1])
        return p / 2 if of.kind in ("equal", "scan") else p


def design_line(of: Sentence, found: Sequence[tuple[Units, ...]], *, alpha: float, sure: bool = True) -> str:
    """Say what a sentence can decide on its units, for the plan before any is run.

    `found` has an item for each way to read it where it leaves open which styles it is about, with two sorts of units
    where both count. The line is of the fewest that can decide it, if any can. Without `sure` fewer may be chosen.
    """
    if of.kind in _WITHOUT_UNITS:
        return _WITHOUT_UNITS[of.kind]
    if not found:
        return "no topic is shared by all styles, so that nothing can be compared between them"
    ranked = sorted(found, key=lambda units: (max(one.smallest_p(of) for one in units), -min(units[0].counts)))
    able = [units for units in ranked if max(one.smallest_p(of) for one in units) < alpha]
    best = "at best " if able and not (sure and len(able) == len(found)) else ""
    return best + "; ".join(_says(one, of, alpha) for one in (able[-1] if able else ranked[0]))


def _says(units: Units, of: Sentence, alpha: float) -> str:
    named, what = units.in_words, _SUBJECTS.get(of.kind, "a comparison")
    if units.smallest_p(of) >= alpha:
        counts = (replace(units, counts=(n,) * len(units.counts)) for n in range(2, MOST_UNITS))
        can = next((one.counts[0] for one in counts if one.smallest_p(of) < alpha), f"more than {MOST_UNITS:,}")
        if of.kind == "open":
            few = f"too few for {what} at alpha = {alpha:g}, for which {can} would do"
            return f"{named}: {few}; another sentence may take fewer"
        unless = ", unless it is 0 or 1 on every prompt" if of.kind == "mean" and 0 <= (of.bound or 0) <= 1 else ""
        return f"{named} cannot decide {what} at alpha = {alpha:g}: {can} can{unless}"
    if of.kind == "rate" and of.bound is not None:
        return f"{named}: {_rate(of.bound, units.counts[0], alpha, above=of.above)}"
    if of.kind in ("correlation", "exclusive", "scan", "clusters"):
        return f"{named} can decide {what}"
    level, power = (2 * alpha, (1 + POWER) / 2) if of.kind == "equal" else (alpha, POWER)
    least = detectable(units.counts[0], alpha=level, paired=units.paired, others=units.counts[-1], power=power) or inf
    seen = f"{least:.2f} standard deviations between {units.what}"
    if of.kind == "equal":
        return f"{named}: sides without a difference are found equal within {seen}, with 80 % power"
    more, each = least > 1 and units_to_decide(1.0, alpha=alpha, paired=units.paired), " a style" * (not units.paired)
    asked = f"; 1.00 needs {more} {units.what}{each} ({ceil(more * units.prompts):,} prompts)" if more else ""
    return f"{named}: {'a distance' if of.kind == 'mean' else 'a difference'} of {seen} is seen with 80 % power{asked}"


def _rate(bound: float, units: int, alpha: float, *, above: bool) -> str:
    """Say from which rate on, or up to which, so many units support a bound; they may only be able to refute it."""
    states = f"a rate {'above' if above else 'below'} {bound:g}"
    shares = [step for step in range(1001) if rate_p(step * units / 1000, units, bound=bound, above=above) < alpha]
    if not shares:
        wanted = units_for_rate(bound, above=above, alpha=alpha)
        return f"{states} cannot be supported by so few, only refuted; {wanted} can support it"
    return f"{states} is supported {f'from {min(shares) / 10:g} % on' if above else f'up to {max(shares) / 10:g} %'}"
