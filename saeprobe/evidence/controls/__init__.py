"""A control holds the effect of a claim against what a rival explanation makes of it.

Here stands what all controls share: the contrasts that they test, their three answers, and what several decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import inf, sqrt
from typing import Final, cast

import numpy as np

from saeprobe.claims import Control
from saeprobe.evidence import ControlResult, Evidence, Judged, Kind, Terms, UnitValue
from saeprobe.evidence.units import Compared
from saeprobe.files import SHARE, amount, in_prose, number, p_value, span
from saeprobe.shapes import Bool
from saeprobe.statistics.intervals import t_quantile
from saeprobe.statistics.permutation import Units

RANDOM: Final[tuple[Control, ...]] = ("random-model", "random-sae")  # of which many draws are read

READ_ELSEWHERE: Final[tuple[Control, ...]] = ("injection", *RANDOM)
"""The controls that read something else than the claim does, and so are part of the plan."""

TAKEN: Final[Mapping[str, tuple[Control, ...]]] = {  # which controls each kind of evidence takes
    "a comparison of two measurements": ("length", "wording", *READ_ELSEWHERE),
    "exclusive features": ("activity", *READ_ELSEWHERE),
    "a scan": READ_ELSEWHERE,
    "clusters": READ_ELSEWHERE,
}

_KINDS: Final[Mapping[Kind, str]] = {
    **dict.fromkeys(cast("tuple[Kind, ...]", ("greater", "at least")), "a comparison of two measurements"),
    "exclusive": "exclusive features",
    "scan": "a scan",
    "clusters": "clusters",
}

SURELY: Final = 0.02  # a rival explains where the one-sided p of "it makes less than half" lies below this
EXACT: Final = 1e-9  # an error that is no larger a share of the effect is rounding


def refuse_others(kind: str, declared: Sequence[Control]) -> None:
    """Raise where a claim declares a control that cannot be applied to a kind of evidence, and name those that can."""
    for control in declared:
        if control not in TAKEN[kind]:
            other = next((one for one, taken in TAKEN.items() if control in taken), "other evidence")
            raise TypeError(
                f"the control {control} cannot be applied to {kind}: it is one of {other}; there are here: "
                f"{', '.join(TAKEN[kind])}. Take it from controls=..., or put the comparison into a claim of its own"
            )


def could_take(evidence: Iterable[Evidence]) -> tuple[Control, ...]:
    """List the controls that a sentence could take by what it compared; arms of steering are controls themselves."""
    pieces = [piece for whole in evidence for piece in whole.walk() if piece.kind in _KINDS]
    pieces = [piece for piece in pieces if not piece.continuations and piece.units != "random sets"]
    pieces = [piece for piece in pieces if piece.units is not None]  # a record without prompts has no controls
    return tuple(dict.fromkeys(control for piece in pieces for control in TAKEN[_KINDS[piece.kind]]))


def refuse_controls(kind: Kind, terms: Terms) -> None:
    """Refuse controls: they rule out what else could explain a difference between two sides; other kinds have none."""
    if terms.controls:
        raise TypeError(
            f"a comparison of the kind {kind!r} takes no controls, and the claim asks for {', '.join(terms.controls)}; "
            "state it in a claim of its own, without controls=..."
        )


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A contrast is a weighted sum of means with the variance of that sum and its degrees of freedom."""

    estimate: float
    variance: float
    freedom: float

    def plus(self, other: Contrast, share: float = 1.0) -> Contrast:
        """Add a share of another contrast, independent of this one (Satterthwaite, Biometrics 2, 1946)."""
        added = share**2 * other.variance
        variance, parts = self.variance + added, self.variance**2 / self.freedom + added**2 / other.freedom
        freedom = variance**2 / parts if parts > 0 else min(self.freedom, other.freedom)
        return Contrast(estimate=self.estimate + share * other.estimate, variance=variance, freedom=freedom)

    def p(self, size: float, *, above: bool, at_best: float) -> float:
        """Return the one-sided p of lying above 0 (or below) by Student's t; `at_best` where only rounding varies.

        `size` is the effect, beside which rounding is judged.
        """
        from scipy.special import stdtr  # a quarter of a second to import, and not every run needs it

        far = self.estimate if above else -self.estimate
        if sqrt(self.variance) > EXACT * abs(size):
            return float(stdtr(self.freedom, -far / sqrt(self.variance))) if self.freedom >= 1 else 1.0
        return at_best if far > EXACT * abs(size) else 1.0

    def interval(self, size: float, level: float) -> tuple[float, float] | None:
        """Return the interval by Student's t; None where only rounding varies."""
        if sqrt(self.variance) <= EXACT * abs(size) or self.freedom < 1:
            return None
        half = t_quantile((1 + level) / 2, self.freedom) * sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def mean_of(units: Units, *, spread: Units | None = None) -> Contrast:
    """Take the mean of some units as a contrast; of a single one the spread is that of the units of `spread`."""
    varies = units if len(units) > 1 or spread is None else spread
    variance = float(varies.var(ddof=1)) / len(units)
    return Contrast(estimate=float(units.mean()), variance=variance, freedom=len(varies) - 1)


def weighted(*terms: tuple[float, Contrast]) -> Contrast:
    """Add independent contrasts, each by its weight."""
    nothing = Contrast(estimate=0.0, variance=0.0, freedom=inf)
    return reduce(lambda whole, term: whole.plus(term[1], term[0]), terms, nothing)


def jackknife(
    statistic: Callable[[Bool[np.ndarray, " units"]], float], n_a: int, n_b: int, *, paired: bool
) -> Contrast:
    """Return a statistic of the units that are kept, those of `b` behind those of `a`, with its delete-one error.

    As of counts of species (Heltshe & Forrester, Biometrics 39, 1983): pairs go together, else both variances add up.
    """
    without = ~np.eye(n_a + n_b, dtype=bool)
    sides = [without[:n_a] & without[n_a:]] if paired else [without[:n_a], without[n_a:]]
    whole = Contrast(estimate=float(statistic(np.ones(n_a + n_b, dtype=bool))), variance=0.0, freedom=inf)
    for side in sides:
        variance = (len(side) - 1) * float(np.var([statistic(kept) for kept in side]))
        whole = whole.plus(Contrast(estimate=0.0, variance=variance, freedom=max(1, len(side) - 1)))
    return whole


NO_MODEL: Final = "it takes a run of the model, and a record stands in its place"


def found(compared: Compared, terms: Terms) -> bool:
    """Decide whether the claim's own comparison shows the effect; a control is only judged where it does."""
    return compared.shift.p < terms.alpha and compared.shift.estimate > 0


def not_run(name: Control, effect: float, why: str) -> ControlResult:
    """Make the result of a control that could not be run, so that the claim's own effect stands unexamined."""
    return ControlResult(name=name, answer="cannot tell", estimate=effect, interval=None, p=None, detail=why)


def untouched(name: Control, compared: Compared, terms: Terms, why: str) -> ControlResult:
    """Make the result of a control that has nothing to take off, so that the claim's own test stands."""
    shift, answer = compared.shift, "withstood" if found(compared, terms) else "cannot tell"
    rule = "There is nothing to take off: p is half of the claim's"
    whole = replace(not_run(name, shift.estimate, why), answer=answer, interval=shift.interval, rule=rule)
    return replace(whole, p=shift.p / 2, share=1.0)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A control made these contrasts: what is `left` of the effect, and that less `half` of the effect.

    Where no unit varies, p of the two can be no smaller than `at_best`. `p` and `interval` are those of a test of the
    control's own, which then hold in the place of Student's t.
    """

    left: Contrast
    half: Contrast
    at_best: tuple[float, float] = (1.0, 1.0)
    p: float | None = None
    interval: tuple[float, float] | None = None


_RULE: Final = (
    "D is the effect, R what the rival makes of it, L = D - R what is left, C = L - D / 2. Withstood where p of L, "
    "one-sided by Student's t, is below alpha = {:g}; explained where it is not and p of C lying below 0 is below "
    f"{SURELY:g}; else it cannot tell. The interval of L has the level {{:.0%}}. {{}}"
)


def answered(
    name: Control,
    effect: float,
    made: Made,
    terms: Terms,
    *,
    found: bool,
    done: str,
    how: str,
    unit: str,
    more: str = "",
    numbers: Mapping[str, float] | None = None,
    unit_values: tuple[UnitValue, ...] = (),
    evidence: Evidence | None = None,
) -> ControlResult:
    """Give one of the three answers on an `effect`, which the claim's own comparison has `found` or not.

    `done` says what was done, in words that the numbers follow, and `more` what would decide it where it cannot tell;
    `how` ends the rule. `numbers` are further ones that it reads, and `unit_values` what `made` was taken from.
    """
    left, half, level = made.left, made.half, 1 - 2 * terms.alpha
    of_half = half.p(effect, above=False, at_best=made.at_best[1])
    p, interval = made.p, made.interval
    if p is None:
        p, interval = left.p(effect, above=True, at_best=made.at_best[0]), left.interval(effect, level)
    withstood = found and p < terms.alpha
    explains = found and not withstood and of_half < SURELY
    rest = left.estimate if abs(left.estimate) > EXACT * abs(effect) else 0.0
    share = rest / effect if effect else None
    detail = f"{done} {amount(rest, unit, signed=True)} of {number(effect, unit, signed=True)} are left"
    detail += f" ({number(share, SHARE)})" if found and share is not None else ""
    detail += f", {p_value(p)}" if interval is None else f", interval {span(interval, unit)}, {p_value(p)}"
    of_both = {
        f"{what} of {name}": value
        for name, of in (("L", left), ("C", half))
        for what, value in (("estimate", of.estimate), ("error", sqrt(of.variance)), ("df", of.freedom))
    }
    return ControlResult(
        name=name,
        answer="withstood" if withstood else "explains" if explains else "cannot tell",
        estimate=rest,
        interval=interval,
        p=p,
        detail=detail + (more if found and not withstood and not explains else ""),
        share=share,
        rule=_RULE.format(terms.alpha, level, how),
        numbers={"D": effect, "R": effect - rest, **of_both, "p of L": p, "p of C": of_half, **(numbers or {})},
        unit_values=unit_values,
        evidence=evidence,
    )


_RIVALS: Final[dict[Control, str]] = {  # what each control takes for the rival
    "length": "prompt length",
    "wording": "the styles' own words",
    "activity": "the number of active features",
    "injection": "the styles' own words alone",
    "random-model": "a random model",
    "random-sae": "random features",
}


def verdict_of(controls: Sequence[ControlResult], numbers: str, unit: str = "", *, more: str = "") -> Judged:
    """Judge an effect that was found by its controls; `numbers` are those of the claim's own comparison.

    One that explains it decides, whatever the others say, and the reason names all that do; else one that cannot tell
    leaves the claim open. Where all are withstood, `more` follows the numbers, and what each left of the effect.
    """
    if explaining := [control for control in controls if control.answer == "explains"]:
        named = in_prose([control.name for control in explaining])
        return "explained", f"{numbers}, but explained by {named}: {'; '.join(one.detail for one in explaining)}"
    if unrun := [control for control in controls if control.p is None]:
        nor = f"; nor could {in_prose([one.name for one in unrun[1:]])}" if unrun[1:] else ""
        why = f"the control for {unrun[0].name} could not be run: {unrun[0].detail}{nor}"
        return "inconclusive", f"{numbers}, but {why}"
    summary = list[str]()
    for control in controls:
        rival, share = _RIVALS[control.name], control.share
        if control.answer == "cannot tell":
            return "inconclusive", f"{numbers}, but not distinguished from {rival}: {control.detail}"
        left = f"; {number(control.estimate, unit, signed=True)} left of it"
        summary.append(left + ("" if share is None else f" ({number(share, SHARE)})") + " beside " + rival)
    return "supported", numbers + more + "".join(summary)
