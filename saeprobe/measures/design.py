"""Design: which units of two styles may change sides, and what a decision on them is about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil, comb

from saeprobe.claims import Over
from saeprobe.evidence.evidence import Needed
from saeprobe.features.sparse import Features
from saeprobe.measures.unions import Firings, firings
from saeprobe.statistics.power import least_units


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
