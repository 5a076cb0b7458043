"""A record gives one number of a style; where it counts prompts, its rates are decided exactly without their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import harmonic_mean
from typing import Final

import numpy as np

from saeprobe.claims import Over
from saeprobe.evidence import COUNTED, Evidence, Judged, Kind, Sample, Terms, UnitValue, towards
from saeprobe.evidence.units import sample_of, unit_means
from saeprobe.evidence.values import Margin, Measurement, Quantity
from saeprobe.files import against, amount, number, p_value, span
from saeprobe.statistics.intervals import Shares, rate_interval, shares_interval

_COUNT_IT: Final = (
    "but not of how many prompts; a file that counts them, or a features_layer50.pt of the same run, would decide it"
)


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Trials are units of replication, on so many of which something happens; a unit counts with the share of its own.

    `values` are the units by name, where known, with `prompts` each (a harmonic mean); `what` and `scope` name them.
    """

    successes: float
    trials: int
    values: tuple[UnitValue, ...]
    what: str
    scope: str
    prompts: float = 1.0

    @property
    def shares(self) -> Shares:
        """Give what a test of the rate takes."""
        variance = float(np.var([unit.value for unit in self.values])) if self.values else 0.0
        return Shares(self.successes / self.trials, variance, self.trials, self.prompts)


def trials_of(of: Quantity, over: Sequence[Over]) -> Trials | None:
    """Count the units behind a rate; None where a record does not say of how many prompts it is.

    A record that counts prompts has a single wording a style, which is one unit where a claim is for other wordings.
    """
    if isinstance(of, Measurement):
        units, what, scope = unit_means(of, over)
        counts = Counter(prompt.template if what == "templates" else prompt.topic for prompt in of.prompts)
        successes, prompts = sum(unit.value for unit in units), harmonic_mean(list(counts.values()))
        return Trials(successes=successes, trials=len(units), values=units, what=what, scope=scope, prompts=prompts)
    if of.n is None or of.unit not in COUNTED:
        return None
    scope = f"the {of.n} recorded prompts, one wording"
    if "templates" in over:
        return Trials(successes=of.value, trials=1, values=(), what="templates", scope=scope)
    return Trials(successes=round(of.value * of.n), trials=of.n, values=(), what="prompts", scope=scope)


def with_interval(rate: Quantity, terms: Terms, level: float) -> tuple[Sample, tuple[UnitValue, ...]]:
    """Return the rate with its interval over units, and these units; a share of unknown prompts has neither."""
    sample, found = sample_of(rate, terms), trials_of(rate, terms.over)
    if found is None:
        return sample, ()
    return replace(sample, interval=shares_interval(found.shares, tail=(1 - level) / 2)), found.values


def summaries(kind: Kind, statement: str, a: Quantity, b: Quantity, terms: Terms, why: str = "") -> Evidence:
    """Make evidence that has no interval and decides nothing: a side is a bare summary, or `why` says what is amiss."""
    first, second = samples = sample_of(a, terms), sample_of(b, terms)
    bare = (
        f"only summaries are recorded, {against(first.mean, second.mean, a.unit)}: without the values of each prompt "
        "nothing separates chance from effect; a features_layer50.pt of the same run would decide it"
    )
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=why or bare,
        scope="these prompts only" if why else "the recorded summaries",
        unit=a.unit,
        estimate=first.mean - second.mean,
        samples=samples,
        rule="nothing is decided without a test" if why else "a mean without the values behind it decides nothing",
    )


def alone(of: Quantity, statement: str, terms: Terms) -> Evidence:
    """Make the evidence on a number that stands alone: it decides nothing, and this says what would."""
    shown = sample_of(of, terms)
    one = f"{amount(shown.mean, of.unit)} is one number for all prompts: without a value of each of them nothing "
    one += "separates chance from effect"
    counted = of.unit in COUNTED
    return Evidence(
        kind="rate" if counted else "bound",
        statement=statement,
        outcome="inconclusive",
        reason=f"{number(shown.mean, of.unit)} is recorded, {_COUNT_IT}" if counted else one,
        scope="these prompts together",
        unit=of.unit,
        estimate=shown.mean,
        samples=(shown,),
        rule="a number without the prompts behind it decides nothing",
    )


def about_in_words(a: Quantity, b: Quantity, margin: float, share: float | None) -> str:
    """State that `a` is about equal to `b`, up to a margin or a share of it."""
    return f"{a.name} = {b.name}" + (f" ± {margin:g} {a.unit}" if share is None else f" x (1 ± {share:.15g})")


def recorded_apart(
    a: Quantity,
    b: Quantity,
    terms: Terms,
    *,
    margin: Margin | None = None,
    within: float | None = None,
    share: float | None = None,
) -> Evidence:
    """Decide `a > b` where a record gives one number of a style; with a margin on `b`, or that both agree `within` one.

    That margin may be a `share` of `b`. Two rates whose prompts are counted are held against each other, unpaired:
    which prompts are behind the counts is not known. Other numbers are shown, and decide nothing.
    """
    kind: Kind = "about equal" if within is not None else "greater" if margin is None else "at least"
    statement = f"{a.name} > {(margin or b).name}" if within is None else about_in_words(a, b, within, share)
    base = summaries(kind, statement, a, b, terms)
    first, second = (side.mean for side in base.samples)
    asked = within if margin is None else margin.over(second)
    base = replace(base, estimate=first - second - (asked or 0.0) * (within is None), margin=asked)
    if a.unit not in COUNTED or isinstance(a, Measurement) or isinstance(b, Measurement):
        return base
    shown = against(a.value, b.value, a.unit)
    if terms.controls:
        names = ", ".join(terms.controls)
        return replace(base, reason=f"{shown}; the control {names} takes a value of each prompt, which is not recorded")
    of_a, of_b = trials_of(a, terms.over), trials_of(b, terms.over)
    if of_a is None or of_b is None:
        return replace(base, reason=f"{shown} are recorded, {_COUNT_IT}")
    counts = f"{shown}, {of_a.successes:g} of {of_a.trials} and {of_b.successes:g} of {of_b.trials}"
    base = replace(
        base,
        reason=f"{counts} {of_a.what}: at least 2 a side are needed",
        scope=f"the {a.n} + {b.n} recorded prompts, one wording a style",
        alpha=terms.alpha,
        units=of_a.what,
        n_units=(of_a.trials, of_b.trials),
        rule=_RULES[kind],
    )
    if min(base.n_units) < 2:  # noqa: PLR2004 - one shows nothing
        return base
    if kind == "greater":
        return _by_table(base, of_a, of_b, counts)
    return _by_intervals(base, of_a, of_b, counts, margin or Margin(of=b), share)


def _by_table(base: Evidence, a: Trials, b: Trials, counts: str) -> Evidence:
    from scipy.stats import fisher_exact  # half a second to import, and not every run needs it

    alpha = base.alpha or 0.0
    table = np.array([[side.successes, side.trials - side.successes] for side in (a, b)])
    p = min(1.0, *(2 * float(fisher_exact(table, alternative=side).pvalue) for side in ("greater", "less")))
    above = (base.estimate or 0.0) > 0
    shown = f"{counts}, {p_value(p)}"
    judged: Judged = "supported" if above else "refuted", f"{'' if above else 'the contrary holds: '}{shown}"
    if p >= alpha:
        judged = "inconclusive", f"{shown}: not distinguished at alpha = {alpha:g}"
    tested = replace(base, p=p, one_sided=towards(p, holds=above), test="Fisher's exact test, two-sided, unpaired")
    return replace(tested, outcome=judged[0], reason=judged[1])


def _by_intervals(base: Evidence, a: Trials, b: Trials, counts: str, margin: Margin, share: float | None) -> Evidence:
    """Judge by what is left of the first rate, at either end of its interval, beyond the margin on the second."""
    equal, alpha = base.kind == "about equal", base.alpha or 0.0
    each = alpha if equal else alpha / 2  # one tail of each interval makes up a one-sided error
    (a_low, a_high), (b_low, b_high) = (rate_interval(side.successes, side.trials, level=1 - each) for side in (a, b))
    low, high = (end - margin.times * other - margin.plus for end, other in ((a_low, b_high), (a_high, b_low)))
    most = (base.margin or 0.0) if equal and share is None else 0.0
    of, to = ((share or 0.0) * end for end in (b_low, b_high))  # a share of the second rate is as uncertain as that
    holds = -most - to < low and (high < most + of or not equal)
    contrary = high < -most - of or (equal and low > most + to)
    return replace(
        base,
        outcome="supported" if holds else "refuted" if contrary else "inconclusive",
        reason=f"{counts}; {'difference' if equal else 'beyond the margin'} in {span((low, high), base.unit)}",
        interval=(low, high),
        level=1 - (2 if equal else 1) * alpha,
        test="exact binomial intervals of both rates, unpaired",
    )


_RULES: Final[dict[Kind, str]] = {
    "greater": "supported where twice the smaller one-sided p of Fisher's exact test on the counts is below alpha and "
    "the first rate is the larger one; refuted where it is below alpha and that is the smaller one; else inconclusive",
    "at least": "the interval runs from the lower end of the first rate's exact interval, less the margin on the upper "
    "end of the second's, to its upper end less that on the lower end, both intervals at 1 - alpha / 2; supported "
    "where it lies above zero, refuted where it lies below, inconclusive otherwise",
    "about equal": "the interval of the difference runs from end to opposite end of the exact intervals of both rates, "
    "each at 1 - alpha; supported where it lies inside the margin, refuted where beyond, inconclusive otherwise. A "
    "margin that is a share of the second rate is taken of that end of its interval which the difference is from",
}
