"""Reading turns a side that a measure accepts into features, firings and units, and refuses all else with a remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from textwrap import shorten
from typing import NamedTuple, TypeGuard

import numpy as np
from scipy.sparse import csr_array

from saeprobe.claims import NotRun, Over
from saeprobe.evidence import Evidence, Needed
from saeprobe.evidence.greater import check_sides
from saeprobe.evidence.units import needed
from saeprobe.features import Features
from saeprobe.prompts.wordings import PickedFeature, copies, copies_in_words, unit_of
from saeprobe.recorded.record import Recorded, RecordedStyle
from saeprobe.shapes import Bool, Int
from saeprobe.statistics.intervals import least_units, smallest_p

LONGEST = 80  # characters at most of what was given that an error shows

Readable = Features | RecordedStyle
"""A style that a capture read, or a style of recorded evidence."""


def refuse_unread(of: object) -> None:
    """Raise where something is neither features that a capture read nor a style of a record."""
    if isinstance(of, Recorded):
        raise NotRun(
            f"{of.origin} describes each style alone; features_layer50.pt of the run describes all of them together"
        )
    if not isinstance(of, Features | RecordedStyle):
        raise TypeError(
            f'{shown(of)} holds no features of prompts; give what a capture read, as in l0(styles["novice"])'
        )


def refuse_apart(a: object, b: object) -> None:
    """Raise where two sides are unread, or features of no single comparison; records are taken as they are."""
    refuse_unread(a)
    refuse_unread(b)
    if isinstance(a, Features) and isinstance(b, Features):
        check_sides(a, b)


def refuse_more(call: str, more: tuple[object, ...]) -> None:
    """Raise where styles were given one by one to a function that takes them all at once."""
    if more:
        raise TypeError(
            f"{call}() was given {1 + len(more)} arguments; it takes all styles at once: "
            f'{call}(styles), where styles = capture(STYLES.only("novice", "expert"))'
        )


def captured(of: Features | Recorded | RecordedStyle) -> Features:
    """Return the features of single prompts, which a record of summaries does not hold."""
    if isinstance(of, Recorded | RecordedStyle):
        raise NotRun(f"{of.origin} holds no features of single prompts; put features_layer50.pt of the run next to it")
    refuse_unread(of)
    return of


def feature_number(given: object) -> int:
    """Return the number of one feature, which must be a whole number; what was picked stays so."""
    if isinstance(given, Integral) and not isinstance(given, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - True is one
        return given if isinstance(given, PickedFeature) else int(given)
    remedy = "wanted a whole number, such as 34942; what was picked is for separates() and among_strongest()"
    if _are_several(given):
        remedy = "for several write every(firing_rate(of, feature) for feature in ...)"
    raise TypeError(f"{shown(given)} is not the number of a feature; {remedy}")


def feature_numbers(given: object) -> tuple[int, ...]:
    """Return the numbers of one feature or of several."""
    return tuple(feature_number(one) for one in (given if _are_several(given) else [given]))


def shown(given: object) -> str:
    """Return what was given in one short line, for an error."""
    return shorten(repr(given), LONGEST, placeholder=" ...")


def _are_several(given: object) -> TypeGuard[Iterable[object]]:
    return isinstance(given, Iterable) and not isinstance(given, str)


def templates(of: Features) -> tuple[str, ...]:
    """Return the templates of some prompts in order of first appearance; near copies are one, by the first of them."""
    return tuple(dict.fromkeys(unit_of(of.prompts)))


def topics(of: Features) -> tuple[str, ...]:
    """Return the topics of some prompts in order of first appearance."""
    return tuple(dict.fromkeys(prompt.topic for prompt in of.prompts))


def by_prompt(of: Features) -> csr_array:
    """Return a 1 where a row is one of a prompt, `[prompts, rows]`: the product with rows sums them by prompt."""
    rows = len(of.row_prompt)
    return csr_array((np.ones(rows), (of.row_prompt, np.arange(rows))), shape=(len(of), rows))


def firing(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Return which features are active on any token read of each prompt."""
    fires = np.zeros((len(of), of.d_sae), dtype=bool)
    rows, features = _active(of.encoded)
    fires[of.row_prompt[rows], features] = True
    return fires


def _active(acts: csr_array) -> tuple[np.ndarray, np.ndarray]:
    rows, features = (acts > 0).tocoo().coords
    return rows, features


@dataclass(frozen=True, kw_only=True, eq=False)
class Firings:
    """Firings hold one entry for each active feature of each token read of a side, by unit of replication.

    `names` are those of the units, templates or topics; `unit` is an index into them, and `d_sae` the SAE's features.
    """

    names: tuple[str, ...]
    unit: Int[np.ndarray, " entries"]
    feature: Int[np.ndarray, " entries"]
    d_sae: int

    def units(self, kept: Bool[np.ndarray, " entries"] | None = None) -> Bool[np.ndarray, "units d_sae"]:
        """Return which features fire anywhere in each unit, by all entries or by those that are kept."""
        chosen = slice(None) if kept is None else kept
        fires = np.zeros((len(self.names), self.d_sae), dtype=bool)
        fires[self.unit[chosen], self.feature[chosen]] = True
        return fires

    def distinct(self, kept: float = 1.0) -> float:
        """Return how many distinct features are to be expected when each firing is kept with probability `kept`.

        A feature that fires on `m` tokens is still seen with probability `1 - (1 - kept)^m`: rarefaction (Hurlbert
        1971, Ecology 52), with every firing thinned on its own instead of a fixed number drawn.
        """
        times = np.bincount(self.feature, minlength=self.d_sae)
        return float((1 - (1 - kept) ** times.astype(np.float64)).sum())

    def only(self, kept: Bool[np.ndarray, " units"]) -> Firings:
        """Keep the firings of some units."""
        return replace(self, unit=self.unit[kept[self.unit]], feature=self.feature[kept[self.unit]])


def firings(of: Features, unit_of_prompt: Sequence[str | None], names: Sequence[str]) -> Firings:
    """Return the firings of `of`, each prompt in the unit given for it."""
    index: dict[str | None, int] = {name: position for position, name in enumerate(names)}
    unit = np.array([index[name] for name in unit_of_prompt], dtype=np.int64)[of.row_prompt]
    rows, features = _active(of.encoded)
    return Firings(names=tuple(names), unit=unit[rows], feature=features.astype(np.int64), d_sae=of.d_sae)


@dataclass(frozen=True, kw_only=True)
class Design:
    """A design holds the firings of two styles, and says what is permuted and how far a decision on it reaches.

    `paired` units change places with their partner, others go anywhere; one more unit takes `a_unit` prompts.
    """

    a: Firings
    b: Firings
    paired: bool
    scope: str = ""
    a_unit: float = 0.0
    copies: tuple[tuple[str, ...], ...] = ()

    def needed(self, alpha: float) -> Needed | None:
        """Return how many units could decide at all; None where these can."""
        n_a, n_b = len(self.a.names), len(self.b.names)
        if smallest_p(n_a, paired=self.paired, others=n_b) < alpha:
            return None
        what = "topics" if self.paired else "templates a style"
        return needed(what, min(n_a, n_b), least_units(alpha, paired=self.paired), a_unit=self.a_unit)


def not_distinguished(tested: Evidence, numbers: str, needed: Needed | None) -> Evidence:
    """Leave open what chance may have brought, and say how many units could decide it where these cannot."""
    more = "" if needed is None else f"; {needed.have} {needed.units} cannot reach it, {needed.wanted} can"
    return replace(tested, reason=f"{numbers}: not distinguished from chance{more}", needed=needed)


class Grouped(NamedTuple):
    """The prompts of two styles stand in units: `of` names that of each prompt, None on a topic that one lacks."""

    of: tuple[list[str | None], ...]
    names: tuple[tuple[str, ...], ...]
    paired: bool
    scope: str


def grouped(a: Features, b: Features, over: tuple[Over, ...]) -> Grouped | str:
    """Choose the units of two styles by what a claim generalises over, or say in a sentence why there is no test.

    Where the claim names nothing, the units are templates if both sides have several, else the topics under one
    wording. Topics are paired by name, and all templates of a topic change places together.
    """
    (n_a, n_b), shared = (len(templates(side)) for side in (a, b)), sorted({*topics(a)} & {*topics(b)})
    paired = over == ("topics",) or (over != ("templates",) and min(n_a, n_b) == 1)
    if not paired and min(n_a, n_b) == 1:
        return f"{a.label} has {n_a} template(s) and {b.label} {n_b}: at least 2 a side stand for other wordings"
    by_side = (zip(side.prompts, unit_of(side.prompts), strict=True) for side in (a, b))
    of = tuple([(one.topic if paired else unit) if one.topic in shared else None for one, unit in by] for by in by_side)
    if paired:
        wordings = "this wording only" if max(n_a, n_b) == 1 else f"these {n_a} + {n_b} templates fixed"
        return Grouped(of, (tuple(shared), tuple(shared)), paired, f"{wordings}, over {len(shared)} topics")
    names = tuple(tuple(name for name in dict.fromkeys(side) if name is not None) for side in of)
    counts = " + ".join(str(len(side)) for side in names)
    return Grouped(of, names, paired, f"these {counts} templates{copies_in_words(a.prompts, b.prompts)}")


def design(a: Features, b: Features, over: tuple[Over, ...]) -> Design | str:
    """Count the firings of two styles by unit, or say in a sentence why there is no test."""
    if len(over) > 1:
        raise TypeError(
            "features are counted over all prompts of a style at once, so that templates and topics cannot be permuted "
            "apart; state one of them: over=('templates',) or over=('topics',)"
        )
    found = grouped(a, b, over)
    if isinstance(found, str):
        return found
    on_a, on_b = (Counter(prompt.topic for prompt in side.prompts) for side in (a, b))
    all_a, all_b = (len({prompt.template for prompt in side.prompts}) for side in (a, b))
    if not found.paired and (
        on_a.keys() != on_b.keys() or any(on_a[topic] * all_b != on_b[topic] * all_a for topic in on_a)
    ):
        raise ValueError(
            f"{a.label} has {len(a)} prompts on {len(on_a)} topic(s) and {b.label} {len(b)} on {len(on_b)}; more "
            "prompts have more features: wanted the same topics, with as many prompts a template on each"
        )
    if found.paired and on_a != on_b:
        n_a, n_b = (len(templates(side)) for side in (a, b))
        raise ValueError(
            f"{a.label} gives {n_a} template(s) on {len(on_a)} topic(s) to permute and {b.label} {n_b} on {len(on_b)}; "
            "wanted several templates on both sides, or the same topics with as many prompts on each"
        )
    if found.paired and len(on_a) == 1:
        return "there is a single topic under a single wording: nothing to permute"
    of_a, of_b = (firings(side, of, names) for side, of, names in zip((a, b), found.of, found.names, strict=True))
    return Design(
        a=of_a,
        b=of_b,
        paired=found.paired,
        scope=found.scope,
        a_unit=len(a) / len(of_a.names) + len(b) / len(of_b.names),
        copies=() if found.paired else copies(a.prompts, b.prompts),
    )
