"""An interval says what so many units show, and power how many would do.

A permutation test of means has the power of the t test (Hoeffding, Ann. Math. Statist. 23, 1952). With few units its p
takes few values, so that the level is the largest p below alpha that they can reach: 2/64 for 6 pairs, not 0.05.

The successes of a rate may be fractional: a unit that fires on half of its prompts is half a success. The binomial tail
is then continued through the incomplete beta function, as for an effective number of trials.

scipy takes a quarter of a second to import, and not every run needs it, so that each function imports its own.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import cbrt, ceil, comb, isnan, sqrt
from typing import Final, NamedTuple

import numpy as np

from saeprobe.claims import Over
from saeprobe.shapes import Float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """So many `units` of replication, templates or topics, have this standard deviation between their means."""

    units: Over
    n: int
    deviation: float


@dataclass(frozen=True, kw_only=True)
class UnitValue:
    """One unit of replication enters the test as one value, the mean of its prompts.

    `side` is the label of the sample that it stands for; `unit` names the template or topic. For paired units `value`
    is the difference of the two sides, and `side` names both.
    """

    side: str
    unit: str
    value: float


def t_quantile(share: float, freedom: float) -> float:
    """Return the quantile of Student's t below which lies this share."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


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


class Shares(NamedTuple):
    """Units show something on shares of their prompts: the mean share, and the variance of the shares over all units.

    `prompts` is how many a unit has, as a harmonic mean; where it is 1 the units are themselves the trials.
    """

    mean: float
    variance: float
    units: int
    prompts: float = 1.0


def made_up_share(bound: float, *, above: bool) -> float:
    """Return the share that one more unit, made up, shows when others are held against a rate of `bound`.

    It is as large as keeps each word at 2.5 % of false claims by simulation: shares of a beta distribution with an
    intraclass correlation of 0.09 to 0.5, and 15 % of units that fail wholly.
    """
    _check_bound(bound)
    if not above:
        return 1 - made_up_share(1 - bound, above=True)
    deviation = sqrt(bound * (1 - bound))
    return max(0.0, min(bound - deviation / 2, 0.25), min(bound - 1.25 * deviation, 0.55))


def shares_p(of: Shares, bound: float, *, above: bool, tail: float) -> float:
    """Return the one-sided p of the mean share beside `bound`; p below `tail` decides.

    It is the smaller one of two. The exact binomial one takes each unit as a single trial, and so holds however the
    units differ. The other takes so many trials as have the variance that is seen between the units and one more, made
    up, which no test can know of (Korn & Graubard, Survey Methodology 24, 1998).
    """
    from scipy.special import betainc

    if not above:
        return shares_p(of._replace(mean=1 - of.mean), 1 - bound, above=True, tail=tail)
    exact = rate_p(of.mean * of.units, of.units, bound=bound, above=True)
    if of.prompts == 1 or exact == 1:
        return exact
    units, made_up = of.units + 1, made_up_share(bound, above=True)
    rate = (of.units * of.mean + made_up) / units
    spread = (of.variance + (of.mean - made_up) ** 2 / units) / units  # the variance of `rate`
    trials = units * of.prompts
    effective = min(trials, rate * (1 - rate) / spread) if spread else trials
    effective *= (t_quantile(1 - tail, trials - 1) / t_quantile(1 - tail, units - 1)) ** 2
    return min(exact, float(betainc(rate * effective, effective - rate * effective + 1, bound)))


def shares_interval(of: Shares, *, tail: float) -> tuple[float, float]:
    """Return the bounds that `shares_p` decides on neither side, to 1e-12; its p rises with the bound."""
    ends = [0.0, 0.0]
    for side, mean in enumerate((of.mean, 1 - of.mean)):
        high = 1.0 if mean > 0 else 0.0
        for _ in range(40):
            middle = (ends[side] + high) / 2
            if high and shares_p(of._replace(mean=mean), middle, above=True, tail=tail) < tail:
                ends[side] = middle
            else:
                high = middle
    return ends[0], 1 - ends[1]


def units_for_rate(bound: float, *, above: bool, tail: float, prompts: float) -> int | None:
    """Return the fewest units that support a rate above (below) `bound` when all of them (none) show it; else None."""
    showing = Shares(mean=float(above), variance=0.0, units=0, prompts=prompts)
    ps = ((n, shares_p(showing._replace(units=n), bound, above=above, tail=tail)) for n in range(2, MOST_UNITS))
    return next((n for n, p in ps if p < tail), None)


def _check(successes: float, trials: int) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials}; wanted at least one trial and 0 to {trials} successes")


def _check_bound(bound: float) -> None:
    if not 0 < bound < 1:
        raise ValueError(f"a rate is held against {bound}; wanted a bound between 0 and 1, such as 0.95")


Sample = Float[np.ndarray, " units"]
SKEWED: Final = 0.5  # a skewness from which units are called skewed: of 12 normal ones 17 in 100 seem to be


def skewness(units: Sample) -> float:
    """Return the skewness of units, which differ: m3 / m2^1.5."""
    return float((((units - units.mean()) / units.std()) ** 3).mean())


def skews(units: Sample) -> bool:
    """Decide whether units are skewed towards the side of zero where their mean is not.

    Then the mean is likely too far from zero, as of a sample that misses what is rare and lies on the other side.
    """
    return bool(-np.sign(units.mean()) * skewness(units) > SKEWED)


def hall(units: Sample, *, alpha: float) -> tuple[float, tuple[float, float]]:
    """Test the mean of units, which differ, by a transformation for skewed ones (Hall, J. R. Stat. Soc. B 54, 1992).

    Returns the two-sided p, which is 1 where the skew turns the sign of the mean, and the interval at 1 - `alpha`.
    """
    from scipy.special import stdtr

    count, mean, deviation = len(units), float(units.mean()), float(units.std(ddof=1))
    skew = skewness(units)
    far, shift = mean / deviation, skew / (6 * count)
    at = sqrt(count) * (far + skew * far**2 / 3 + skew**2 * far**3 / 27 + shift)
    reach = t_quantile(1 - alpha / 2, count - 1) / sqrt(count)

    def back(t: float) -> float:
        return t - shift if abs(skew) < FINE else 3 / skew * (cbrt(1 + skew * (t - shift)) - 1)

    p = 2 * float(stdtr(count - 1, -abs(at))) if at * mean > 0 else 1.0
    return p, (mean - deviation * back(reach), mean - deviation * back(-reach))


FEWEST_CORRELATED: Final = 4  # with fewer there is no interval; with fewer wordings the topics are the units
FEWEST_A_SIDE: Final = 4  # 3 + 8 let 3.4 % of false claims pass each way, where they scatter three times as much
FEWEST_RELABELINGS: Final = 80  # of fewer only one may be as large at alpha = 5 %, which costs a third of the power
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


def least_units(alpha: float, *, paired: bool) -> int:
    """Return the fewest units a side, or pairs, whose smallest two-sided p lies below alpha."""
    return next(units for units in count(2 if paired else FEWEST_A_SIDE) if smallest_p(units, paired=paired) < alpha)


def smallest_p(units: int, *, paired: bool, others: int | None = None) -> float:
    """Return the smallest two-sided p, twice one direction's, that so many units a side, or pairs, can reach."""
    return 2 / 2**units if paired else 2 / comb(units + (others or units), units)


def power_of(
    effect_in_sd: float, units: int, *, alpha: float, paired: bool, noise: float = 0.0, others: int | None = None
) -> float:
    """Return the power of the two-sided test at the largest level below alpha that so many units can reach.

    Sides of unlike size have the degrees of freedom of Welch's test (Satterthwaite, Biometrics 2, 1946).
    """
    from scipy.special import nctdtr

    step, others = smallest_p(units, paired=paired, others=others), others or units
    if step >= alpha:
        return 0.0
    by_welch = not paired and step > 2 / FEWEST_RELABELINGS  # alone, with a degree of freedom less on average
    level = alpha if by_welch or step <= FINE * alpha else step * (ceil(alpha / step) - 1)
    parts = (1 / units,) if paired else (1 / units, 1 / others)
    freedom = sum(parts) ** 2 / sum(part**3 / (1 - part) for part in parts) - by_welch
    centre = abs(effect_in_sd) / sqrt(sum(parts) + noise)
    reach = t_quantile(1 - level / 2, freedom)
    below, wrong_side = (float(nctdtr(freedom, centre, point)) for point in (reach, -reach))
    return 1 - (0.0 if isnan(below) else below) + (0.0 if isnan(wrong_side) else wrong_side)  # scipy: NaN where tiny


def permutations_countable(n_a: int, n_b: int) -> bool:
    """Decide whether the relabelings of `n_a` + `n_b` units can be counted."""
    return sum(comb(max(n_a, n_b), size) for size in range(min(n_a, n_b) + 1)) <= HALF_LIMIT


def flips_countable(count: int) -> bool:
    """Decide whether the signs of `count` differences can be counted."""
    return 2 ** (count - count // 2) <= HALF_LIMIT
