"""Misuse: what a measure cannot be taken on, and what to write instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import ceil, comb
from numbers import Integral
from textwrap import shorten
from typing import TypeGuard

import numpy as np
from jaxtyping import Bool
from scipy.sparse import csr_array

from saeprobe.claims import NotRun, Over
from saeprobe.evidence.evidence import Needed
from saeprobe.evidence.greater import check_sides
from saeprobe.features.continuations import Continuations
from saeprobe.features.sparse import Features, NearThreshold
from saeprobe.measures.unions import Firings, firings
from saeprobe.recorded.directory import Recorded, RecordedStyle
from saeprobe.statistics.intervals import least_units

TOLD = 80
"""Characters of what was given that an error shows."""


def refuse_unread(of: object) -> None:
    """Raise where something is no features of prompts.

    Raises:
        NotRun: it is a record of summaries, which tells of each style alone.
        TypeError: it is something else.
    """
    if isinstance(of, Recorded):
        raise NotRun(f"{of.origin} tells of each style alone; features_layer50.pt of the run tells of all together")
    if not isinstance(of, Features | RecordedStyle):
        raise TypeError(
            f'{told(of)} holds no features of prompts; give what a capture read, as in l0(styles["novice"])'
        )


def refuse_apart(a: object, b: object) -> None:
    """Raise where features of two captures are no two sides of one comparison; records are taken as they are.

    Raises:
        TypeError: as for `check_sides`.
    """
    if isinstance(a, Features) and isinstance(b, Features):
        check_sides(a, b)


def refuse_unwritten(of: object) -> None:
    """Raise where something is no continuations.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(of, Continuations):
        raise TypeError(
            f"{told(of)} holds no continuations; give an arm of what steer(...) ran, "
            'as in mentions("Golden Gate", golden.at(20))'
        )


def feature_number(given: object) -> int:
    """The number of one feature.

    Raises:
        TypeError: it is no whole number.
    """
    if isinstance(given, Integral) and not isinstance(given, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - True is one
        return int(given)
    if _are_several(given):
        remedy = "for several write every(firing_rate(of, feature) for feature in ...)"
    else:
        remedy = "wanted a whole number, such as 34942; what was picked is for separates() and among_strongest()"
    raise TypeError(f"{told(given)} is not the number of a feature; {remedy}")


def feature_numbers(given: object) -> tuple[int, ...]:
    """The numbers of one feature or of several.

    Raises:
        TypeError: one is no whole number.
    """
    return tuple(feature_number(one) for one in (given if _are_several(given) else [given]))


def refuse_more(call: str, more: tuple[object, ...]) -> None:
    """Raise where styles were given one by one to what takes them all at once.

    Raises:
        TypeError: they were.
    """
    if more:
        raise TypeError(
            f"{call}() was given {1 + len(more)} arguments; it takes all styles at once: "
            f'{call}(styles), where styles = capture(STYLES.only("novice", "expert"))'
        )


def told(given: object) -> str:
    """What was given, in one line."""
    return shorten(repr(given), TOLD, placeholder=" ...")


def _are_several(given: object) -> TypeGuard[Iterable[object]]:
    return isinstance(given, Iterable) and not isinstance(given, str)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The firings of two styles; `paired` units change places with their partner, others go anywhere."""

    a: Firings
    b: Firings
    paired: bool


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is permuted and what a decision on it is about; `a_unit` are the prompts that one more unit takes."""

    sides: Sides
    units: str
    scope: str
    a_unit: float

    @property
    def smallest_p(self) -> float:
        """What so many units can reach at best: the labels as they are, and their mirror where it is a relabeling."""
        n_a, n_b = len(self.sides.a.names), len(self.sides.b.names)
        if self.sides.paired:
            return 2 / 2**n_a
        return (2 if n_a == n_b else 1) / comb(n_a + n_b, n_a)

    def needed(self, alpha: float) -> Needed | None:
        """How many units could decide at all; None where these can."""
        if self.smallest_p < alpha:
            return None
        have = min(len(self.sides.a.names), len(self.sides.b.names))
        what = "topics" if self.sides.paired else "templates a style"
        wanted = least_units(alpha, paired=self.sides.paired)
        return Needed(units=what, have=have, wanted=wanted, prompts=ceil(wanted * self.a_unit))


def design(a: Features, b: Features, over: tuple[Over, ...]) -> Design | str:
    """The units of two styles under what a claim generalises over; a sentence saying why there is no test.

    Nothing named: templates where both sides have several, else the topics under one wording. Topics are paired by
    name, and all templates of a topic change places together.

    Raises:
        ValueError: the sides have other topics, or other numbers of prompts on them (a template): topics cannot be
            paired then, and a template of more prompts has more features for that alone.
        TypeError: the claim generalises over both at once.
    """
    if len(over) > 1:
        raise TypeError(
            "features are counted over all prompts of a style at once, so that templates and topics cannot be permuted "
            "apart; state one of them: over=('templates',) or over=('topics',)"
        )
    n_a, n_b = (len(templates(side)) for side in (a, b))
    if over == ("templates",) and min(n_a, n_b) == 1:
        return f"{a.label} has {n_a} template(s) and {b.label} {n_b}: at least 2 a side tell of other wordings"
    a_unit = len(a) / n_a + len(b) / n_b
    on_a, on_b = (Counter(prompt.topic for prompt in side.prompts) for side in (a, b))
    if (not over and min(n_a, n_b) > 1) or over == ("templates",):
        if on_a.keys() != on_b.keys() or any(on_a[topic] * n_b != on_b[topic] * n_a for topic in on_a):
            raise ValueError(
                f"{a.label} has {len(a)} prompts on {len(on_a)} topic(s) and {b.label} {len(b)} on {len(on_b)}; more "
                "prompts have more features: wanted the same topics, with as many prompts a template on each"
            )
        sides = Sides(a=_firings(a, "template"), b=_firings(b, "template"), paired=False)
        return Design(sides=sides, units="templates", scope=f"these {n_a} + {n_b} templates", a_unit=a_unit)
    if on_a != on_b:
        raise ValueError(
            f"{a.label} gives {n_a} template(s) on {len(on_a)} topic(s) to permute and {b.label} {n_b} on {len(on_b)}; "
            "wanted several templates on both sides, or the same topics with as many prompts on each"
        )
    if len(on_a) == 1:
        return "there is a single topic under a single wording: nothing to permute"
    fixed = max(n_a, n_b) > 1
    sides = Sides(a=_firings(a, "topic"), b=_firings(b, "topic"), paired=True)
    wordings = f"these {n_a} + {n_b} templates fixed" if fixed else "this wording only"
    scope = f"{wordings}, over {len(on_a)} topics"
    return Design(sides=sides, units="topics", scope=scope, a_unit=(len(a) + len(b)) / len(on_a))


def templates(of: Features) -> tuple[str, ...]:
    """The templates of some prompts, in order of first appearance."""
    return tuple(dict.fromkeys(prompt.template for prompt in of.prompts))


def topics(of: Features) -> tuple[str, ...]:
    """The topics of some prompts, in order of first appearance."""
    return tuple(dict.fromkeys(prompt.topic for prompt in of.prompts))


def _firings(of: Features, what: str) -> Firings:
    if what == "template":
        return firings(of, [prompt.template for prompt in of.prompts], templates(of))
    return firings(of, [prompt.topic for prompt in of.prompts], sorted(topics(of)))


Readable = Features | RecordedStyle


Near = Callable[[Features], NearThreshold | None]
"""How far features near their threshold may move a measure on some features."""


def firing(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Which features are active on any token read of each prompt."""
    fires = np.zeros((len(of), of.d_sae), dtype=bool)
    coo = of.acts.tocoo()
    rows, features = coo.coords
    active = coo.data > 0
    fires[of.row_prompt[rows[active]], features[active]] = True
    return fires


def undecided(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Which features rounding decides on each prompt: near their threshold on a token read, and beyond it on none."""
    near = _near(of).tocoo()
    rows, features = near.coords
    close = np.zeros((len(of), of.d_sae), dtype=bool)
    close[of.row_prompt[rows], features] = True
    return close & ~firing(replace(of, acts=of.acts - of.acts.multiply(_near(of))))


def one_near(of: Features, feature: int) -> NearThreshold | None:
    """On which prompts rounding decides whether `feature` fires; there the rate may move by 1."""
    if of.near is None or not of.near.nnz:
        return None
    near = of.near[:, [feature]].toarray().ravel()
    beyond = (of.acts[:, [feature]].toarray().ravel() > 0) & ~near
    touched = np.bincount(of.row_prompt[near], minlength=len(of)) > 0
    sure = np.bincount(of.row_prompt[beyond], minlength=len(of)) > 0
    return NearThreshold(moves=(touched & ~sure).astype(np.float64), tolerance=of.tolerance, feature=feature)


def _near(of: Features) -> csr_array:
    return csr_array(of.acts.shape, dtype=bool) if of.near is None else of.near


def captured(of: Features | Recorded | RecordedStyle) -> Features:
    """The features of single prompts.

    Raises:
        NotRun: a record of summaries does not tell them.
        TypeError: it is something else.
    """
    if isinstance(of, Recorded | RecordedStyle):
        raise NotRun(f"{of.origin} tells no features of single prompts; put features_layer50.pt of the run beside it")
    refuse_unread(of)
    return of
