"""Random models and SAEs are drawn, and held against a claim by a control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import comb, floor
from typing import Any, Final, TypeVar, cast

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence import COUNTED, ControlResult, Terms
from saeprobe.evidence.controls import NO_MODEL, not_run
from saeprobe.evidence.units import unit_values
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.files import amount, p_value
from saeprobe.statistics.intervals import rate_p

FIRST: Final = 20  # draws are read at least
MOST: Final = 40  # are read at most, or as many as make 1 / (draws + 1) less than alpha
TOPICS: Final = 8  # on which draws are read, the first ones of the prompts; the claim is held against them on the same
HALF_SURELY: Final = 0.01  # the chance of so many draws reaching half of the claim, each as likely to as not
_DRAWN: Final[dict[Control, str]] = {
    "random-model": "a model of the same shape with random weights",
    "random-sae": "random features that fire as often as the SAE's",
}

_CLOSE: Final = 1e-9  # of an effect; what is as large but for rounding counts as large

BothSides = tuple[Features, ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect is what one draw shows, or the claim on the same prompts.

    `scale` is the mean of the smaller side, of which `size` is then taken as a share, for what a draw makes of prompts
    has a scale of its own; None where the size is comparable as it is.
    """

    size: float
    scale: float | None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A claim withstands if none of the first `look` draws is as large, or at most `allowed` of all `most` are."""

    most: int
    allowed: int
    look: int

    @property
    def size(self) -> float:
        """Return how often a claim that is a draw itself withstands, its rank being even: exact, by counting."""
        at_look = sum(comb(self.most - rank, self.look) for rank in range(self.allowed + 1, self.most + 1))
        return (self.allowed + 1 + at_look / comb(self.most, self.look)) / (self.most + 1)


@cache
def drawing_at(alpha: float) -> Drawing:
    """Plan as many draws as an effect of two of their standard deviations asks, and look at them as early as may be."""
    most = max(MOST, floor(1 / alpha))
    allowed = next(count for count in range(most) if (count + 2) / (most + 1) >= alpha)
    plans = (Drawing(most=most, allowed=allowed, look=look) for look in range(FIRST, most + 1))
    return next(plan for plan in plans if plan.size < alpha)


Sides = TypeVar("Sides", tuple[Measurement, ...], tuple[Features, ...])
"""A claim is made on these: two measurements, or the captures or styles of one that a sentence on features names."""


def draws_control(
    name: Control,
    sides: Sides,
    effect: Callable[[Sides], Effect],
    *,
    statement: str,
    unit: str,
    own: float,
    found: bool,
    terms: Terms,
) -> ControlResult:
    """Hold the claim `statement` on the prompts that draws read against what each draw shows there.

    A claim that is a draw itself is as likely as any to be the largest, so that its rank among them is exact (Phipson &
    Smyth 2010, doi:10.2202/1544-6115.1585), ties against it. `_RULE` says how it is judged. A control is only judged
    where the claim's own comparison has `found` its effect; `own` is that effect on all prompts.

    Raises:
        TypeError: draws make no difference to the measure.
    """
    plan, effects, same = drawing_at(terms.alpha), list[Effect](), True
    try:
        there = tuple(under(side, name) for side in sides)
        here = tuple(map(_on, sides, there))
        claim = effect(cast("Sides", here))
        while True:
            there = tuple(under(side, name, len(effects)) for side in sides) if effects else there
            same = same and all(map(_alike, here, there))
            effects.append(effect(cast("Sides", there)))
            size, drawn, scale = _sizes(claim, effects)
            as_large = _reaching(drawn, size)
            settled = as_large > plan.allowed or (len(drawn) == plan.look and not as_large)
            if len(drawn) == plan.most or (len(drawn) >= FIRST and settled):
                break
    except (NotRun, ValueError) as error:  # such as a ValueError for a mean over no active feature
        return not_run(name, own, str(error))
    if same:
        raise TypeError(
            f"{name} says nothing about {statement}, which is the same under all draws; take it from controls=... of "
            "the claim"
        )
    prompts = len({prompt for side in here for prompt in side.prompts})
    return among_draws(
        name, (size, drawn, scale), statement=statement, unit=unit, prompts=prompts, found=found, terms=terms
    )


def among_draws(
    name: Control,
    sizes: tuple[float, np.ndarray, float | None],
    *,
    statement: str,
    unit: str,
    prompts: int,
    found: bool,
    terms: Terms,
) -> ControlResult:
    """Judge by what the claim and the draws show on so many prompts; `sizes` are those of `_sizes`, with the scale."""
    (size, drawn, scale), plan = sizes, drawing_at(terms.alpha)
    as_large = _reaching(drawn, size)
    withstood = found and as_large <= plan.allowed
    half = _reaching(drawn, size / 2) if size > 0 else 0
    of_half = rate_p(half, len(drawn), bound=0.5, above=True)
    explains = found and not withstood and size > 0 and of_half <= HALF_SURELY
    p = (1 + as_large) / (1 + len(drawn)) if as_large <= plan.allowed else as_large / len(drawn)
    mean = float(drawn.mean())

    def words(size: float) -> str:
        return amount(size, unit, signed=True) if scale is None else f"{100 * size:+.3g} %"

    shown = {"draws": len(drawn), "as large": as_large, "half as large": half, "p of half": of_half}
    return ControlResult(
        name=name,
        answer="withstood" if withstood else "explains" if explains else "cannot tell",
        estimate=(size - mean) * (scale or 1.0),
        interval=None,
        p=p,
        detail=f"{as_large} of {len(drawn)} draws of {_DRAWN[name]} show at least the {words(size)} of the claim on "
        f"the same {prompts:,} prompts, {half} at least half of it, {words(mean)} on average, {p_value(p)}",
        share=(size - mean) / size if size > 0 else None,
        rule=_RULE.format(alpha=terms.alpha, surely=HALF_SURELY, **vars(plan)),
        numbers={"D": size, "R": mean, **shown},
        unit_values=unit_values(statement, {f"draw {draw}": value for draw, value in enumerate(drawn.tolist())}),
    )


_RULE: Final = (
    "The unit values are what each draw shows, as a share of its smaller side, or of the claim's where its own is 0; "
    "as it is of what is counted, and where a smaller side is below 0. Withstood where none of the first {look} draws "
    "is as large as the claim, or at most {allowed} of {most} are, which happens to less than alpha = {alpha:g} of "
    "claims that are draws; once more are, no more are read. p is (1 + as large) / (1 + draws), else as large / draws. "
    "Explained where so many draws are half as large that, at one chance in two each, the probability of as many is at "
    "most {surely:g}; else it cannot tell"
)


def under(side: Measurement | Features, name: Control, draw: int = 0) -> Any:
    """Read a side as a control does, in one of its draws; a record cannot be read so."""
    if side.under is None:
        raise NotRun(NO_MODEL)
    return side.under(name, draw)


def _on(side: Measurement | Features, there: Measurement | Features) -> Measurement | Features:
    these = set(there.prompts)
    chosen = np.array([prompt in these for prompt in side.prompts])
    return side.select(chosen) if isinstance(side, Measurement) else side.select(np.flatnonzero(chosen).tolist())


def _alike(one: Measurement | Features, other: Measurement | Features) -> bool:
    # of features nothing is known to be the same
    return isinstance(one, Measurement) and isinstance(other, Measurement) and np.array_equal(one.values, other.values)


def _sizes(claim: Effect, effects: list[Effect]) -> tuple[float, np.ndarray, float | None]:
    """Return what the claim and the draws show, as shares of their scales where these are not below 0; and the scale.

    A draw whose smaller side is 0, of which nothing is a share, is taken on the scale of the claim. A single one must
    not put all the others, whose scale may be a hundredth of the claim's, on no scale at all.
    """
    scale = claim.scale
    if scale is None or scale <= 0 or any(one.scale is None or one.scale < 0 for one in effects):
        return claim.size, np.array([one.size for one in effects]), None
    return claim.size / scale, np.array([one.size / (one.scale or scale) for one in effects]), scale


def _reaching(there: np.ndarray, size: float) -> int:
    return int(((there >= size) | np.isclose(there, size, rtol=_CLOSE, atol=0.0)).sum())


def of_means(sides: tuple[Measurement, ...]) -> Effect:
    """Return the difference of two means, on the scale of the second; of what is counted it is comparable as it is."""
    a, b = sides
    return Effect(size=a.mean - b.mean, scale=None if a.unit in COUNTED else b.mean)
