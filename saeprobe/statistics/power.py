"""Power: how many units decide an effect, and which effects so many units can see.

A permutation test of means has, but for few units, the power of the t test, which the noncentral t distribution gives
(Hoeffding, Ann. Math. Statist. 23, 1952). With few units its p takes few values, so the level that is reckoned with is
the largest p below alpha that they can reach: 2/70 for 4 + 4 units, not 0.05.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb, inf, isnan, sqrt

from saeprobe.claims import Over
from saeprobe.prompts import Prompt

POWER = 0.8


MOST_UNITS = 1_000
"""No plan reaches further."""


FINE = 1e-6
"""Steps of p that are so small beside alpha let the level be alpha itself."""


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def units_to_decide(
    effect_in_sd: float, *, alpha: float, paired: bool, power: float = POWER, noise: float = 0.0
) -> int | None:
    """The fewest units a side (pairs, if `paired`) that see an effect with this power; None beyond 1,000.

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
    """The smallest effect, in standard deviations between units, seen with 80 % power; None: alpha is out of reach."""
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
    """The fewest units a side, or pairs, whose smallest two-sided p lies below alpha."""
    units = 2
    while smallest_p(units, paired=paired) >= alpha:
        units += 1
    return units


def smallest_p(units: int, *, paired: bool) -> float:
    """The smallest two-sided p that the permutation of so many units a side, or pairs, can reach."""
    return 2 / (2**units if paired else comb(2 * units, units))


def power_of(effect_in_sd: float, units: int, *, alpha: float, paired: bool, noise: float = 0.0) -> float:
    """Power of the two-sided test at the largest level below alpha that so many units can reach."""
    from scipy.special import nctdtr, stdtrit  # a quarter of a second to import, and not every run needs it

    step = smallest_p(units, paired=paired)
    if step >= alpha:
        return 0.0
    level = step * (ceil(alpha / step) - 1) if step > FINE * alpha else alpha
    freedom = units - 1 if paired else 2 * units - 2
    centre = abs(effect_in_sd) / sqrt((1 if paired else 2) / units + noise)
    reach = float(stdtrit(freedom, 1 - level / 2))
    below, wrong_side = (float(nctdtr(freedom, centre, point)) for point in (reach, -reach))
    return 1 - (0.0 if isnan(below) else below) + (0.0 if isnan(wrong_side) else wrong_side)  # scipy: NaN where tiny


def design_line(prompts: Sequence[Prompt], *, over: Sequence[Over], alpha: float) -> str:
    """What a comparison of the styles of these prompts can decide, in a sentence for the plan before any is run.

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
    design = _Design(templates=counts, topics=len(shared), alpha=alpha)
    if len(set(over)) > 1:
        return f"templates and topics at once, at best as each alone: {design.of_templates()}; {design.of_topics()}"
    by_templates = "templates" in over if over else min(counts) > 1
    return design.of_templates() if by_templates else design.of_topics()


@dataclass(frozen=True, kw_only=True)
class _Design:
    """How many templates each style has, and how many topics all share."""

    templates: tuple[int, ...]
    topics: int
    alpha: float

    def of_templates(self) -> str:
        count, each = min(self.templates), " a style" if len(self.templates) > 1 else ""
        told = _seen(count, "template", self.alpha, paired=not each, each=each)
        more = _more(count, self.alpha, paired=not each)
        if more is None:
            return told
        prompts = more * self.topics * len(self.templates)
        styles = _counted(len(self.templates), "style")
        topics = _plural(self.topics, "topic")
        return f"{told}; 1.00 needs {more} templates{each} ({prompts:,} prompts in {styles} of {topics})"

    def of_topics(self) -> str:
        single = max(self.templates) == 1
        fixed = "this wording only" if single else f"{' + '.join(map(str, self.templates))} templates held fixed"
        told = f"{fixed}, {_seen(self.topics, 'topic', self.alpha, paired=True)}"
        more = _more(self.topics, self.alpha, paired=True)
        if more is None:
            return told
        return f"{told}; 1.00 needs {more} topics ({more * sum(self.templates):,} prompts)"


def _seen(count: int, what: str, alpha: float, *, paired: bool, each: str = "") -> str:
    units, least = f"{_plural(count, what)}{each}", detectable(count, alpha=alpha, paired=paired)
    if least is None:
        needed = least_units(alpha, paired=paired)
        return f"{units} cannot decide anything at alpha = {alpha:g}: at least {needed} are needed"
    return f"{units}: a difference of {least:.2f} standard deviations between {what}s is seen with 80 % power"


def _more(count: int, alpha: float, *, paired: bool) -> int | None:
    """Units that see a difference of one standard deviation, where so many see larger ones only."""
    least = detectable(count, alpha=alpha, paired=paired)
    return None if least is None or least <= 1 else units_to_decide(1.0, alpha=alpha, paired=paired)


def _counted(count: int, what: str) -> str:
    return f"{_NUMBERS[count]} {what}{'' if count == 1 else 's'}" if count < len(_NUMBERS) else _plural(count, what)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
