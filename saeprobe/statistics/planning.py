"""A design says before any run what its units can decide, and after it what chance confirms among so many claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, factorial, inf, prod
from typing import Final

from saeprobe.claims import Over
from saeprobe.files import SHARE, number, p_value
from saeprobe.statistics.intervals import (
    FEWEST_A_SIDE,
    FEWEST_CORRELATED,
    MOST_UNITS,
    POWER,
    Shares,
    power_of,
    shares_p,
    smallest_p,
    units_for_rate,
    units_to_decide,
)


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

    def shares(self, mean: float, *, apart: float = 0.0) -> Shares:
        """Show something at a rate of `mean` on these; `apart` of each other 1, they show it on all prompts or none."""
        variance = mean * (1 - mean) * apart
        return Shares(mean=mean, variance=variance, units=self.counts[0], prompts=self.prompts)

    @property
    def in_words(self) -> str:
        """Say `12 templates a style`, `3 + 4 templates` or `9 topics under fixed wordings`."""
        if not self.paired and len(set(self.counts)) > 1:
            return f"{' + '.join(map(str, self.counts))} templates"
        what = self.what.removesuffix("s") if self.counts[0] == 1 else self.what
        where = " under fixed wordings" if self.what == "topics" else "" if self.paired else " a style"
        return f"{self.counts[0]} {what}{where}"

    def smallest_p(self, of: Sentence, alpha: float) -> float:
        """Return the smallest two-sided p at which any data could decide a sentence, for it or against it."""
        fewest = min(self.counts)
        free = self.paired or of.kind in ("exclusive", "clusters", "correlation", "rate")
        if fewest < (2 if free else FEWEST_A_SIDE):  # one unit shows nothing, and few a side not how they scatter
            return 1.0
        if of.kind == "correlation":
            possible = 2 / factorial(fewest) if of.bound == 0 else 0.0
            return possible if fewest >= FEWEST_CORRELATED else 1.0
        if of.kind == "rate" and of.bound is not None:
            ends = (self.shares(1.0), True), (self.shares(0.0), False)
            return 2 * min(shares_p(end, of.bound, above=above, tail=alpha / 2) for end, above in ends)
        if of.kind == "clusters" and self.paired:
            return factorial(len(self.counts)) ** (1.0 - fewest)
        if of.kind == "clusters":
            same = prod(factorial(self.counts.count(count)) for count in set(self.counts))
            return same * prod(map(factorial, self.counts)) / factorial(sum(self.counts))
        p = smallest_p(self.counts[0], paired=self.paired, others=self.counts[-1])
        return p / 2 if of.kind == "equal" else p


def design_line(of: Sentence, found: Sequence[tuple[Units, ...]], *, alpha: float, sure: bool = True) -> str:
    """Say what a sentence can decide on its units, for the plan before any is run.

    `found` has an item for each way to read it where it leaves open which styles it is about, with two sorts of units
    where both count. The line is of the fewest that can decide it, if any can. Without `sure` fewer may be chosen.
    """
    if of.kind in _WITHOUT_UNITS:
        return _WITHOUT_UNITS[of.kind]
    if not found:
        return "no topic is shared by all styles, so that nothing can be compared between them"
    ranked = sorted(found, key=lambda units: (max(one.smallest_p(of, alpha) for one in units), -min(units[0].counts)))
    able = [units for units in ranked if max(one.smallest_p(of, alpha) for one in units) < alpha]
    best = "at best " if able and not (sure and len(able) == len(found)) else ""
    return best + "; ".join(_says(one, of, alpha) for one in (able[-1] if able else ranked[0]))


def _says(units: Units, of: Sentence, alpha: float) -> str:
    named, what = units.in_words, _SUBJECTS.get(of.kind, "a comparison")
    if units.smallest_p(of, alpha) >= alpha:
        counts = (replace(units, counts=(n,) * len(units.counts)) for n in range(2, MOST_UNITS))
        can = next((one.counts[0] for one in counts if one.smallest_p(of, alpha) < alpha), f"more than {MOST_UNITS:,}")
        few = f"too few for {what} at alpha = {alpha:g}, for which {can} would do"
        if of.kind == "open":
            return f"{named}: {few}; another sentence may take fewer"
        unless = ", unless it is 0 or 1 on every prompt" if of.kind == "mean" and 0 <= (of.bound or 0) <= 1 else ""
        return f"{named} cannot decide {what} at alpha = {alpha:g}: {can} can{unless}"
    if of.kind == "rate" and of.bound is not None:
        return f"{named}: {_rate(of.bound, units, alpha / 2, above=of.above)}"
    if of.kind in ("correlation", "exclusive", "scan", "clusters"):
        return f"{named} can decide {what}"
    level, power = (2 * alpha, (1 + POWER) / 2) if of.kind == "equal" else (alpha, POWER)
    least = detectable(units.counts[0], alpha=level, paired=units.paired, others=units.counts[-1], power=power) or inf
    if of.kind == "mean":
        least *= 1 + 1 / units.counts[0]  # what Hall's transformation takes, by simulation
    seen = f"{least:.2f} standard deviations between {units.what}"
    if of.kind == "equal":
        return f"{named}: sides without a difference are found equal within {seen}, with 80 % power"
    more, each = least > 1 and units_to_decide(1.0, alpha=alpha, paired=units.paired), " a style" * (not units.paired)
    asked = f"; 1.00 needs {more} {units.what}{each} ({ceil(more * units.prompts):,} prompts)" if more else ""
    return f"{named}: {'a distance' if of.kind == 'mean' else 'a difference'} of {seen} is seen with 80 % power{asked}"


def _rate(bound: float, units: Units, tail: float, *, above: bool) -> str:
    """Say from which rate on, or up to which, so many units support a bound; they may only be able to refute it."""
    states, edges = f"a rate {'above' if above else 'below'} {bound:g}", list[str]()
    for apart in (0.0, 1.0) if units.prompts > 1 else (1.0,):
        shares = [units.shares(step / 1000, apart=apart) for step in range(1001)]
        can = [100 * one.mean for one in shares if shares_p(one, bound, above=above, tail=tail) < tail]
        if not can:
            wanted = units_for_rate(bound, above=above, tail=tail, prompts=units.prompts)
            return f"{states} cannot be supported by so few, only refuted; {wanted} can support it"
        edges.append(f"from {min(can):g} % on" if above else f"up to {max(can):g} %")
    apart = f" where {units.what} are alike, {edges[-1]} where each shows it on all prompts or none"
    return f"{states} is supported {edges[0]}{apart if len(set(edges)) > 1 else ''}"


CONFIRMED: Final = ("supported", "drifted")  # the sentence holds; where it drifted, a number of it has moved


@dataclass(frozen=True, kw_only=True)
class ManyClaims:
    """So many claims of one subject were decided by a test, the open ones among them.

    If all of them were false, chance would confirm `by_chance` on average, with alpha / 2 each, and at least one with a
    probability of at most `at_least_one`. That bound is the probability itself for independent claims, and holds for
    positively dependent ones. `confirmed` are the claims that were confirmed, and `beyond` those of them whose q is
    below alpha. Where some are not, `as_sure` is how many claims would have to be as sure as the surest of these, whose
    p is `surest`: few wordings reach no smaller p, and q is then coarse.
    """

    subject: str
    claims: int
    by_chance: float
    at_least_one: float
    confirmed: int
    beyond: int
    surest: float | None
    as_sure: int | None

    @property
    def line(self) -> str:
        """Say it in a line for a terminal."""
        line = (
            f"{self.claims} claims on {self.subject} were decided by a test; if all were false, chance would confirm "
            f"about {number(self.by_chance)}, and at least one with a probability of at most "
            f"{number(self.at_least_one, SHARE)}. "
            f"{self.beyond} of {self.confirmed} confirmations lie beyond that (q below alpha)"
        )
        if self.surest is None:
            return line
        more = f"{self.as_sure} claims as sure as the surest of the others, {p_value(self.surest)}, would lie beyond it"
        return f"{line}; {more}: q is coarse for few wordings"


def q_values(ps: Sequence[float]) -> list[float]:
    """Adjust the p of each claim for all of them (Benjamini & Hochberg, J. R. Stat. Soc. B 57, 1995).

    Among the claims with a q below alpha the share of false ones is at most alpha on average, for independent and for
    positively dependent p (Benjamini & Yekutieli, Ann. Stat. 29, 2001).
    """
    if strange := [p for p in ps if not 0 <= p <= 1]:
        raise ValueError(f"the p of a test is {strange[0]}; only numbers between 0 and 1 are")
    q, smallest = [1.0] * len(ps), 1.0
    for rank, row in reversed(list(enumerate(sorted(range(len(ps)), key=lambda row: ps[row]), start=1))):
        q[row] = smallest = min(smallest, ps[row] * len(ps) / rank)
    return q


def many_claims(
    claims: Iterable[tuple[str, str, str, float | None]], *, alpha: float
) -> tuple[dict[str, float], tuple[ManyClaims, ...]]:
    """Give the q of each confirmed claim by its name, and what chance brings among so many claims of each subject.

    A claim is (subject, name, verdict, p); one without a p, or that no test came to decide, does not count. One whose p
    would confirm it, and that something else leaves unconfirmed, counts with a p of 1: else it would make others look
    sure. A subject with a single claim, or with none confirmed, leaves chance nothing to be asked about.
    """
    subjects: dict[str, list[tuple[str, float, bool]]] = {}
    for subject, name, verdict, p in claims:
        if p is not None and verdict not in ("unverifiable", "broken", "not run"):
            holds = verdict in CONFIRMED
            subjects.setdefault(subject, []).append((name, p if holds or p >= alpha / 2 else 1.0, holds))
    found, many = dict[str, float](), list[ManyClaims]()
    for subject, tested in subjects.items():
        count = len(tested)
        adjusted = zip(tested, q_values([p for _, p, _ in tested]), strict=True)
        held = {name: (p, q) for (name, p, confirmed), q in adjusted if confirmed}
        surest = min((p for p, q in held.values() if q >= alpha), default=None)
        if count > 1 and held:
            one = ManyClaims(
                subject=subject,
                claims=count,
                by_chance=count * alpha / 2,
                at_least_one=1 - (1 - alpha / 2) ** count,
                confirmed=len(held),
                beyond=sum(q < alpha for _, q in held.values()),
                surest=surest,
                as_sure=None if surest is None else int(surest * count / alpha) + 1,
            )
            many.append(one)
        found |= {name: q for name, (_, q) in held.items()}
    return found, tuple(many)
