"""A design says how many units would do: the power of a test, and what a plan can say of each kind of sentence.

A permutation test of means has, but for few units, the power of the t test, which the noncentral t distribution gives
(Hoeffding, Ann. Math. Statist. 23, 1952). With few units its p takes few values, so the level that is reckoned with is
the largest p below alpha that they can reach: 2/70 for 4 + 4 units, not 0.05.

A plan is made before anything is measured. Where it says that so many units cannot decide a sentence, no data could
decide it; where it says that they can, some data would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, comb, factorial, inf, isnan, prod, sqrt
from typing import Final

from saeprobe.claims import Over
from saeprobe.statistics.intervals import rate_p, units_for_rate

POWER = 0.8

MOST_UNITS = 1_000  # no plan reaches further
FINE = 1e-6  # steps of p that are so small a share of alpha let the level be alpha itself


def units_to_decide(
    effect_in_sd: float, *, alpha: float, paired: bool, power: float = POWER, noise: float = 0.0
) -> int | None:
    """Return the fewest units a side (pairs, if `paired`) that see an effect with this power; None beyond 1,000.

    `effect_in_sd` is in standard deviations between units (of the differences, if `paired`); `noise` is a
    variance of the estimate, in the same unit squared, that more units do not lower.
    """
    low, high = least_units(alpha, paired=paired), MOST_UNITS
    if abs(effect_in_sd) == inf:
        return low
    if power_of(effect_in_sd, high, alpha=alpha, paired=paired, noise=noise) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        if power_of(effect_in_sd, middle, alpha=alpha, paired=paired, noise=noise) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def detectable(
    units: int, *, alpha: float, paired: bool, others: int | None = None, power: float = POWER
) -> float | None:
    """Return the smallest effect, in standard deviations between units, that is seen with this power.

    `others` are the units on the other side, where they are not as many. None where alpha is out of reach.
    """
    if smallest_p(units, paired=paired, others=others) >= alpha:
        return None
    low, high = 0.0, 1.0
    while power_of(high, units, alpha=alpha, paired=paired, others=others) < power:
        low, high = high, high * 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if power_of(middle, units, alpha=alpha, paired=paired, others=others) >= power:
            high = middle
        else:
            low = middle
    return high


def least_units(alpha: float, *, paired: bool) -> int:
    """Return the fewest units a side, or pairs, whose smallest two-sided p lies below alpha."""
    units = 2
    while smallest_p(units, paired=paired) >= alpha:
        units += 1
    return units


def smallest_p(units: int, *, paired: bool, others: int | None = None) -> float:
    """Return the smallest two-sided p that the permutation of so many units a side, or pairs, can reach.

    With other units on the other side fewer relabelings are as extreme: the mirror of unequal sides is none.
    """
    if paired:
        return 2 / 2**units
    return (1 if others not in (None, units) else 2) / comb(units + (others or units), units)


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


HALF_LIMIT = 2**18  # up to so many subsets are listed on a side: 18 + 18 units, or 36 signs


def permutations_countable(n_a: int, n_b: int) -> bool:
    """Decide whether the relabelings of `n_a` + `n_b` units can be counted."""
    fewer = min(n_a, n_b)
    return sum(comb(max(n_a, n_b), size) for size in range(fewer + 1)) <= HALF_LIMIT


def flips_countable(count: int) -> bool:
    """Decide whether the signs of `count` differences can be counted."""
    return 2 ** (count - count // 2) <= HALF_LIMIT


_UNDECIDED: Final = {
    "greater": "a comparison",
    "open": "a comparison",
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
FEWEST_CORRELATED: Final = 4
"""With fewer units, or wordings, evidence gives a correlation no interval."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence is of a kind, and has a number beside it if it is a bound; `open` is what nothing is known of."""

    kind: str
    bound: float | None = None
    above: bool = True


@dataclass(frozen=True, kw_only=True)
class Units:
    """Units of one sort are tested, so many on either side or in each style; pairs, or those of one side, are `paired`.

    `fixed` says which wordings stay as they are, and `prompts` how many prompts one more unit takes.
    """

    what: Over
    counts: tuple[int, ...]
    paired: bool
    fixed: str = ""
    prompts: float = 1.0

    @property
    def in_words(self) -> str:
        """Say `12 templates a style`, `3 + 4 templates` or `this wording only, 9 topics`."""
        if not self.paired and len(set(self.counts)) > 1:
            return f"{' + '.join(map(str, self.counts))} templates"
        what = self.what.removesuffix("s") if self.counts[0] == 1 else self.what
        return f"{self.fixed}{self.counts[0]} {what}{'' if self.paired else ' a style'}"

    def smallest_p(self, of: Sentence) -> float:
        """Return the smallest p at which any data could decide a sentence, for it or against it."""
        fewest, alike = min(self.counts), len(set(self.counts)) == 1
        if fewest < 2:  # noqa: PLR2004 - one unit shows nothing
            return 1.0
        if of.kind == "correlation":  # of four prompts too many resamples hold one alone, which has no r
            if fewest < FEWEST_CORRELATED + (self.prompts == 1):
                return 1.0
            return 1 / factorial(fewest) if of.bound == 0 else 0.0
        if of.kind == "rate" and of.bound is not None:
            return min(of.bound**fewest, (1 - of.bound) ** fewest)
        if of.kind == "clusters":
            styles = len(self.counts)
            if self.paired:
                return factorial(styles) ** (1.0 - fewest)
            same = prod(factorial(self.counts.count(count)) for count in set(self.counts))
            return same * prod(map(factorial, self.counts)) / factorial(sum(self.counts))
        p = smallest_p(self.counts[0], paired=self.paired, others=self.counts[-1])
        return p / 2 if of.kind == "equal" or (of.kind == "scan" and alike) else p


def design_line(of: Sentence, found: Sequence[tuple[Units, ...]], *, alpha: float, sure: bool = True) -> str:
    """Say what a sentence can decide on its units, for the plan before any is run.

    `found` has an item for each way to read it where it leaves open which styles it is about, with two sorts of units
    where both count. It cannot be decided if no item could, and the power is that of the fewest units. Without `sure`
    fewer may be chosen.
    """
    if of.kind in _WITHOUT_UNITS:
        return _WITHOUT_UNITS[of.kind]
    if not found:
        return "no topic is shared by all styles, so that nothing can be compared between them"

    def weakness(units: tuple[Units, ...]) -> tuple[float, int]:
        return max(one.smallest_p(of) for one in units), -min(units[0].counts)

    best, worst = min(found, key=weakness), max(found, key=weakness)
    chosen = [worst] if weakness(worst)[0] < alpha else [best] if weakness(best)[0] >= alpha else [worst, best]
    lines = ["; ".join(_says(one, of, alpha) for one in units) for units in chosen]
    both = "templates and topics at once, at best as each alone: " if len(best) > 1 else ""
    return both + ("" if sure or weakness(best)[0] >= alpha else "at best ") + "; ".join(lines)


def _says(units: Units, of: Sentence, alpha: float) -> str:
    named, between = units.in_words, f"standard deviations between {units.what}"
    if units.smallest_p(of) >= alpha:
        counts = (replace(units, counts=(n,) * len(units.counts)) for n in range(2, MOST_UNITS))
        enough = next((one.counts[0] for one in counts if one.smallest_p(of) < alpha), None)
        can = f"more than {MOST_UNITS:,}" if enough is None else f"{enough}"
        if of.kind == "open":
            few = f"too few for a comparison at alpha = {alpha:g}, for which {can} would do"
            return f"{named}: {few}; another sentence may take fewer"
        unless = ", unless it is 0 or 1 on every prompt" if of.kind == "mean" and 0 <= (of.bound or 0) <= 1 else ""
        return f"{named} cannot decide {_UNDECIDED[of.kind]} at alpha = {alpha:g}: {can} can{unless}"
    if of.kind == "rate" and of.bound is not None:
        return f"{named}: {_rate(of.bound, units.counts[0], alpha, above=of.above)}"
    if of.kind not in ("greater", "open", "mean", "equal"):
        return f"{named} can decide {_UNDECIDED[of.kind]}"
    level, power = (2 * alpha, (1 + POWER) / 2) if of.kind == "equal" else (alpha, POWER)
    least = detectable(units.counts[0], alpha=level, paired=units.paired, others=units.counts[-1], power=power) or inf
    if of.kind == "equal":
        return f"{named}: sides without a difference are found equal within {least:.2f} {between}, with 80 % power"
    more = None if least <= 1 else units_to_decide(1.0, alpha=alpha, paired=units.paired)
    each = "" if units.paired else " a style"
    asked = "" if more is None else f"; 1.00 needs {more} {units.what}{each} ({ceil(more * units.prompts):,} prompts)"
    seen = "a distance from the number" if of.kind == "mean" else "a difference"
    return f"{named}: {seen} of {least:.2f} {between} is seen with 80 % power{asked}"


def _rate(bound: float, units: int, alpha: float, *, above: bool) -> str:
    """Say from which rate on, or up to which, so many units support a bound; they may only be able to refute it."""
    states = f"a rate {'above' if above else 'below'} {bound:g}"
    if rate_p(units if above else 0, units, bound=bound, above=above) >= alpha:
        wanted = units_for_rate(bound, above=above, alpha=alpha)
        return f"{states} cannot be supported by so few, only refuted; {wanted} can support it"
    steps = [step for step in range(1001) if rate_p(step * units / 1000, units, bound=bound, above=above) < alpha]
    return (
        f"{states} is supported {'from' if above else 'up to'} {(min if above else max)(steps) / 10:g} %{' on' * above}"
    )
