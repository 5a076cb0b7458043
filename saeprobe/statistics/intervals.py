"""This file says what so many units can show: exact intervals of rates, bootstrap intervals, and the power of a test.

The successes of a rate may be fractional: a unit that fires on half of its prompts is half a success. The binomial tail
is then continued through the incomplete beta function, as Korn & Graubard (Survey Methodology 24, 1998) do for an
effective number of trials.

A permutation test of means has, but for few units, the power of the t test, which the noncentral t distribution gives
(Hoeffding, Ann. Math. Statist. 23, 1952). With few units its p takes few values, so the level that is reckoned with is
the largest p below alpha that they can reach: 2/70 for 4 + 4 units, not 0.05.

scipy takes a quarter of a second to import, and not every run needs it, so that each function imports its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, comb, inf, isnan, log, sqrt

import numpy as np

from saeprobe.claims import Over
from saeprobe.prompts import Prompt
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


Statistic = Callable[[Int[np.ndarray, " units"]], float]
"""Takes the indices of units."""

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


def detectable(units: int, *, alpha: float, paired: bool) -> float | None:
    """Return the smallest effect, in standard deviations between units, that is seen with 80 % power.

    None where alpha is out of reach.
    """
    if units < least_units(alpha, paired=paired):
        return None
    low, high = 0.0, 1.0
    while power_of(high, units, alpha=alpha, paired=paired) < POWER:
        low, high = high, high * 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if power_of(middle, units, alpha=alpha, paired=paired) >= POWER:
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


def smallest_p(units: int, *, paired: bool) -> float:
    """Return the smallest two-sided p that the permutation of so many units a side, or pairs, can reach."""
    return 2 / (2**units if paired else comb(2 * units, units))


def power_of(effect_in_sd: float, units: int, *, alpha: float, paired: bool, noise: float = 0.0) -> float:
    """Return the power of the two-sided test at the largest level below alpha that so many units can reach."""
    from scipy.special import nctdtr, stdtrit

    step = smallest_p(units, paired=paired)
    if step >= alpha:
        return 0.0
    level = step * (ceil(alpha / step) - 1) if step > FINE * alpha else alpha
    freedom = units - 1 if paired else 2 * units - 2
    centre = abs(effect_in_sd) / sqrt((1 if paired else 2) / units + noise)
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


def design_line(prompts: Sequence[Prompt], *, over: Sequence[Over], alpha: float) -> str:
    """Say what a comparison of the styles of these prompts can decide, for the plan before any is run.

    One style alone is held against a number, and so are texts without topics. `over` is what the claim declares; if it
    names nothing, templates where every style has several, else topics.
    """
    by_style = {
        style: ({p.template for p in prompts if p.style == style}, {p.topic for p in prompts if p.style == style})
        for style in dict.fromkeys(prompt.style for prompt in prompts)
    }
    counts = tuple(len(templates) for templates, _ in by_style.values())
    shared = {prompt.topic for prompt in prompts}.intersection(*(topics for _, topics in by_style.values()))
    if not shared:
        return "no topic is shared by all styles, so that nothing can be compared between them"
    # Texts of several sorts, some of them with several: all are held against a number.
    if not over and min(counts) == len(shared) == 1 < max(counts):
        counts = (sum(counts),)
    of_templates, of_topics = (of(counts, len(shared), alpha) for of in (_by_templates, _by_topics))
    if len(set(over)) > 1:
        return f"templates and topics at once, at best as each alone: {of_templates}; {of_topics}"
    by_templates = "templates" in over if over else min(counts) > 1
    return of_templates if by_templates else of_topics


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _by_templates(templates: tuple[int, ...], topics: int, alpha: float) -> str:
    styles, each = len(templates), " a style" if len(templates) > 1 else ""
    seen, more = _seen(min(templates), "template", alpha, paired=not each, each=each)
    if not more:
        return seen
    named = f"{_NUMBERS[styles] if styles < len(_NUMBERS) else styles} style{'' if styles == 1 else 's'}"
    prompts = f"{more * topics * styles:,} prompts in {named} of {_plural(topics, 'topic')}"
    return f"{seen}; 1.00 needs {more} templates{each} ({prompts})"


def _by_topics(templates: tuple[int, ...], topics: int, alpha: float) -> str:
    single = max(templates) == 1
    fixed = "this wording only" if single else f"{' + '.join(map(str, templates))} templates held fixed"
    seen, more = _seen(topics, "topic", alpha, paired=True)
    return f"{fixed}, {seen}" + (f"; 1.00 needs {more} topics ({more * sum(templates):,} prompts)" if more else "")


def _seen(count: int, what: str, alpha: float, *, paired: bool, each: str = "") -> tuple[str, int]:
    """Say what so many units see, and how many see one standard deviation: 0 where these do, or no plan does."""
    units, least = f"{_plural(count, what)}{each}", detectable(count, alpha=alpha, paired=paired)
    if least is None:
        wanted = least_units(alpha, paired=paired)
        return f"{units} cannot decide anything at alpha = {alpha:g}: at least {wanted} are needed", 0
    more = 0 if least <= 1 else units_to_decide(1.0, alpha=alpha, paired=paired) or 0
    return f"{units}: a difference of {least:.2f} standard deviations between {what}s is seen with 80 % power", more


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
