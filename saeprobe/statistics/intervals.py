"""Rates: exact binomial intervals and tests; the number of successes may be fractional.

A unit that fires on half of its prompts is half a success. The binomial tail is then continued through the incomplete
beta function, as Korn & Graubard (Survey Methodology 24, 1998) do for an effective number of trials.
"""

from __future__ import annotations

from math import ceil, log


def rate_interval(successes: float, trials: int, *, level: float) -> tuple[float, float]:
    """Exact binomial interval of a rate (Clopper & Pearson 1934).

    Raises:
        ValueError: no trial, or successes outside [0, trials].
    """
    from scipy.special import betaincinv  # a quarter of a second to import, and not every run needs it

    _check(successes, trials)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def rate_p(successes: float, trials: int, *, bound: float, above: bool) -> float:
    """One-sided exact p: how likely so many successes, or more (fewer, if not `above`), are at a rate of `bound`.

    Raises:
        ValueError: no trial, successes outside [0, trials], or a bound outside (0, 1).
    """
    from scipy.special import betainc

    _check(successes, trials)
    _check_bound(bound)
    if not above:
        return rate_p(trials - successes, trials, bound=1 - bound, above=True)
    return 1.0 if successes == 0 else float(betainc(successes, trials - successes + 1, bound))


def units_for_rate(bound: float, *, above: bool, alpha: float) -> int:
    """The fewest units that support a rate above (below) `bound` when all of them (none) show it.

    Raises:
        ValueError: a bound outside (0, 1).
    """
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
