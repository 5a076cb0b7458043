"""Two controls hold a claim in wordings without the styles' words, and against these words alone.

Each tests what it leaves of the units that the claim was tested on, with the error of the effect and of the rival.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import comb
from typing import Final

import numpy as np

from saeprobe.claims import Control, NotRun
from saeprobe.evidence import ControlResult, Evidence, Terms, towards
from saeprobe.evidence.controls import RANDOM, Contrast, Made, answered, found, mean_of, not_run, untouched, weighted
from saeprobe.evidence.controls.draws import BothSides, Effect, draws_control, under
from saeprobe.evidence.units import Compared, array, compare, mean_by
from saeprobe.evidence.values import Measurement
from saeprobe.files import amount
from saeprobe.prompts.prompt import Prompt, mentions
from saeprobe.statistics.intervals import FEWEST_A_SIDE
from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

NEUTRAL: Final = 4  # wordings that the words are pasted into

Group = dict[tuple[str, ...], float]  # the values of units by name; a pair has two names


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The units of a comparison stand in two groups, or in one where they are differences of the two sides.

    `topics` are differences by topic, where topics are units beside the templates.
    """

    groups: tuple[Group, ...]
    topics: Group

    @property
    def arrays(self) -> list[Units]:
        """Give the values of each group."""
        return [array(group) for group in self.groups]

    def effect(self, share: float = 1.0) -> Contrast:
        """Return a share of the effect that the units make up, with its error."""
        means = zip((share, -share), map(mean_of, self.arrays), strict=False)
        return self.over_topics(weighted(*means), share)

    def over_topics(self, contrast: Contrast, share: float = 1.0) -> Contrast:
        """Add the error of which topics were taken."""
        return contrast.plus(replace(mean_of(array(self.topics)), estimate=0.0), share) if self.topics else contrast


def grouped(compared: Compared) -> Groups:
    """Group the values that a comparison was tested on."""
    rows = [((unit.unit,), unit.value) for unit in compared.unit_values]
    n_a, n_b = compared.n_units
    if compared.paired:
        topics_alone = compared.units.startswith("topics")
        pairs = {name * (1 if topics_alone else 2): value for name, value in rows[:n_a]}
        return Groups(groups=(pairs,), topics={} if topics_alone else dict(rows[n_a:]))
    a, b, topics = rows[:n_a], rows[n_a : n_a + n_b], dict(rows[n_a + n_b :])
    if len(compared.pairs) == n_a == n_b:
        pairs = {a[one][0] + b[other][0]: a[one][1] - b[other][1] for one, other in compared.pairs}
        return Groups(groups=(pairs,), topics=topics)
    return Groups(groups=(dict(a), dict(b)), topics=topics)


UNKNOWN_WORDS: Final = (
    'nobody knows which words are the styles\' own; a file of prompts says so by words = ["..."] under each style'
)

_WORDING: Final = (
    "L is the difference over the units without the styles' words, given here, each side with its own variance "
    "(Welch), its p no smaller than by their permutation, or by the signs of pairs. C = (1 - f / 2n) x the mean of the "
    "f free ones of n less (n - f) / 2n x that of the others, a side"
)


def wording_control(a: Measurement, b: Measurement, compared: Compared, terms: Terms) -> ControlResult:
    """Hold what the wordings without the styles' own words show against the whole effect."""
    effect, words = compared.shift.estimate, own_words(a, b)
    if not words:
        return not_run("wording", effect, UNKNOWN_WORDS)
    of, said = grouped(compared), " and ".join(f"'{word}'" for word in words)
    says = [np.array([_says(prompt, words) for prompt in side.prompts]) for side in (a, b)]
    shares = [mean_by(replace(side, values=1.0 * one), "templates") for side, one in zip((a, b), says, strict=True)]
    free = [{unit for unit, share in of_side.items() if not share} for of_side in shares]
    if not any(one.any() for one in says):
        return untouched("wording", compared, terms, f"no wording says {said}")
    by_topic = compared.units.startswith("topics")
    for names, there, side in zip(free, shares, (a, b), strict=True):
        least = 1 if by_topic else FEWEST_A_SIDE
        if (more := least - len(names)) > 0:
            why = f"{len(names)} of {len(there)} wordings of {side.label} do without {said}"
            return not_run("wording", effect, f"{why}; at least {least} are needed, {more} more")
    counted = [" + ".join(str(len(one)) for one in of_both) for of_both in (free, shares)]
    units, more = compared.unit_values, ""
    if by_topic:
        kept = [side.select(~one) for side, one in zip((a, b), says, strict=True)]
        shown = compare(kept[0], kept[1], replace(terms, over=("topics",)))
        if isinstance(shown, str):
            return not_run("wording", effect, shown)
        units, (on_free,), (on_all,) = shown.unit_values, grouped(shown).groups, of.groups
        made = of_free_topics(on_free, on_all)
    else:
        parts = parted(of, free)
        if min(len(inside) for inside, _ in parts) < FEWEST_A_SIDE:
            return not_run("wording", effect, f"fewer than {FEWEST_A_SIDE} pairs of wordings do without {said}")
        made, more = of_free(parts, of, terms)
        names = [free[0]] * compared.n_units[0] + [free[1]] * compared.n_units[1]
        units = tuple(unit for unit, of_side in zip(units, names, strict=False) if unit.unit in of_side)
    return answered(
        "wording",
        effect,
        made,
        terms,
        found=found(compared, terms),
        done=f"in the {counted[0]} of {counted[1]} wordings without {said}",
        how=_WORDING,
        unit=a.unit,
        more=more,
        unit_values=units,
    )


def of_free_topics(on_free: Group, on_all: Group) -> Made:
    """Take topics in the free wordings alone, and less half of the same in all wordings."""
    less = np.array([value - on_all[topic] / 2 for topic, value in on_free.items()])
    return Made(left=mean_of(array(on_free)), half=mean_of(less), at_best=(0.5 ** len(less), 0.5 ** len(less)))


def of_free(parts: list[tuple[Units, Units]], of: Groups, terms: Terms) -> tuple[Made, str]:
    """Contrast the free units with the others, and say how many more of them would decide."""
    left = weighted(*zip((1.0, -1.0), (mean_of(inside) for inside, _ in parts), strict=False))
    half = weighted()
    for sign, (inside, others) in zip((1, -1), parts, strict=False):
        share = len(others) / (len(inside) + len(others)) / 2
        half = half.plus(mean_of(inside), sign * (0.5 + share))
        if len(others):
            half = half.plus(mean_of(others, spread=np.concatenate([inside, others])), -sign * share)
    ways = [comb(len(inside) + len(others), len(inside)) for inside, others in parts if len(others)]
    (first, _), *second = parts
    test = partial(unpaired_shift, b=second[0][0]) if second else paired_shift
    shift, left = test(first, alpha=2 * terms.alpha, seed=terms.seed), of.over_topics(left)
    size, p = of.effect().estimate, towards(shift.p, holds=shift.estimate > 0)
    ends, p = left.interval(size, 1 - 2 * terms.alpha), max(p, left.p(size, above=True, at_best=p))
    if ends and shift.interval:
        ends = min(ends[0], shift.interval[0]), max(ends[1], shift.interval[1])
    at_best = p, 1 / min(ways, default=1)
    made = Made(left=left, half=of.over_topics(half, 0.5), at_best=at_best, p=p, interval=shift.interval and ends)
    if shift.estimate <= 0 or shift.needed is None:
        return made, "; at this difference no number of such wordings would decide it"
    have = min(len(inside) for inside, _ in parts)
    wanted = max(shift.needed, have + 1)
    return made, f"; about {wanted} such wordings a style would decide it, {wanted - have} more"


def own_words(a: Measurement, b: Measurement) -> tuple[str, ...]:
    """Return the words that the styles on either side call themselves by, each once."""
    styles = dict.fromkeys(prompt.style for side in (a, b) for prompt in side.prompts)
    return tuple(dict.fromkeys(word for style in styles for of in (a, b) for word in of.words.get(style, ())))


def _says(prompt: Prompt, words: tuple[str, ...]) -> bool:
    """Decide whether the wording says a word, as "novices" does; a topic that does is on both sides.

    Letters of full width, and signs that nobody sees (Cf), hide none. A template would show the names of fields.
    """
    text = prompt.text.replace(prompt.topic, " ") if prompt.topic else prompt.text
    alike = (unicodedata.normalize("NFKC", one) for one in (text, *words))
    plain, *them = ("".join(sign for sign in one if unicodedata.category(sign) != "Cf") for one in alike)
    return mentions(plain, them, inflected=True)


def parted(of: Groups, free: list[set[str]]) -> list[tuple[Units, Units]]:
    """Part the units of each group by whether they are free of the words; `free` names those of either side."""
    parts = list[tuple[Units, Units]]()
    for group, sides in zip(of.groups, [free] if len(of.groups) == 1 else [[one] for one in free], strict=True):
        is_free = np.array([all(one in names for one, names in zip(unit, sides, strict=True)) for unit in group])
        parts.append((array(group)[is_free], array(group)[~is_free]))
    return parts


_INJECTION: Final = (
    "R is the difference that the words make by themselves over the neutral wordings, or topics, given here. Over "
    "wordings var(L) = var(D) + var(R), var(C) = var(D) / 4 + var(R), df by Satterthwaite over the sides of D and R; "
    "over topics L and C are taken topic by topic"
)


def injection_control(
    a: Measurement, b: Measurement, compared: Compared, terms: Terms, *, again: Callable[..., Evidence]
) -> ControlResult:
    """Take off the effect what the words make by themselves, pasted into neutral prompts; `again` compares them."""
    effect, words = compared.shift.estimate, own_words(a, b)
    if not words:
        return not_run("injection", effect, UNKNOWN_WORDS)
    by_topic, of = compared.units.startswith("topics"), grouped(compared)
    unasked = replace(terms, controls=(), over=("topics",) if by_topic else ("templates",))
    try:
        there = under(a, "injection"), under(b, "injection")
        evidence = again(*there, unasked)
    except (NotRun, ValueError) as error:  # such as a ValueError for a mean over no active feature
        return not_run("injection", effect, str(error))
    shown = compare(*there, unasked)
    if evidence.p is None or isinstance(shown, str):
        return not_run("injection", effect, evidence.reason)
    alone, neutral = grouped(shown), min(shown.n_units)
    if by_topic and alone.groups[0].keys() != of.groups[0].keys():
        return not_run("injection", effect, "the words were pasted on other topics than those of the claim")
    if not by_topic and neutral < NEUTRAL:
        why = f"the words were pasted into {neutral} neutral wordings; {NEUTRAL} are needed, and 8 recommended"
        return not_run("injection", effect, why)
    left, half = beside_words(of, alone, by_topic=by_topic)
    alike = 0.5**neutral if by_topic else 1 / comb(min(compared.n_units) + neutral, neutral)
    said = " and ".join(f"'{word}'" for word in words)
    return answered(
        "injection",
        effect,
        Made(left=left, half=half, at_best=(alike, alike)),
        terms,
        found=found(compared, terms),
        done=f"with {said} pasted into neutral prompts the difference is "
        f"{amount(shown.shift.estimate, a.unit, signed=True)}, beside which",
        how=_INJECTION,
        unit=a.unit,
        more="; more neutral wordings, or more wordings of either style, would decide it",
        unit_values=shown.unit_values,
        evidence=evidence,
    )


def beside_words(of: Groups, alone: Groups, *, by_topic: bool) -> tuple[Contrast, Contrast]:
    """Take off an effect, and off half of it, what the words make by themselves."""
    if not by_topic:
        left, half = (of.effect(share).plus(alone.effect(), -1.0) for share in (1.0, 0.5))
        return left, half
    d, j = of.arrays[0], np.array([alone.groups[0][topic] for topic in of.groups[0]])
    return mean_of(d - j), mean_of(d / 2 - j)


_PASTED: Final = (
    "var(L) = var(D) + var(R) and var(C) = var(D) / 4 + var(R), df by Satterthwaite; the variances are jackknifed over "
    "units, those of a mean silhouette are the styles' own. Of what a scan confirms there is no further error: p is "
    "that of the claim where C is above 0, else 1"
)


def run_rivals(
    sides: BothSides,
    claim: Evidence,
    again: Callable[[BothSides, Terms], Evidence],
    effect: Callable[[BothSides], Effect],
    terms: Terms,
    *,
    error: Callable[[Evidence], Contrast] | None,
    activity: Callable[..., ControlResult] | None = None,
) -> Evidence:
    """Give a claim on sets of features the controls that it declares, in that order.

    On pasted words the evidence is made `again`, without controls; `error` gives the estimate of such evidence with its
    error, None where it counts what a test confirmed. Of draws `effect` says how much they show. `activity` runs the
    control of that name on an effect that was found or not.
    """
    unasked, whole, unit = replace(terms, controls=()), claim.estimate or 0.0, claim.unit
    p = 1.0 if claim.p is None else claim.p
    found = p < terms.alpha and whole > 0

    def with_error(of: Evidence) -> Contrast:
        return Contrast(estimate=of.estimate or 0.0, variance=0.0, freedom=1) if error is None else error(of)

    def rival(name: Control) -> ControlResult:
        if name == "activity" and activity is not None:
            return activity(found=found)
        if name in RANDOM:
            what = {"statement": claim.statement, "unit": unit}
            return draws_control(name, sides, effect, **what, own=whole, found=found, terms=terms)
        try:
            alone = again(tuple(side.under(name) for side in sides), unasked)
        except (NotRun, ValueError) as refused:
            return not_run(name, whole, str(refused))
        done = f"with the styles' own words pasted into neutral prompts {alone.reason};"
        if alone.p is None or alone.estimate is None:
            return not_run(name, whole, done)
        left, half = (weighted((share, with_error(claim)), (-1.0, with_error(alone))) for share in (1.0, 0.5))
        # the words explain what a test confirmed, of which there is no further error, where they make half of it
        of_left = None if error is not None else claim.p if half.estimate > 0 else 1.0
        made = Made(left=left, half=half, p=of_left, at_best=(p, p))
        return answered(name, whole, made, terms, found=found, done=done, how=_PASTED, unit=unit, evidence=alone)

    return replace(claim, controls=tuple(map(rival, terms.controls)))
