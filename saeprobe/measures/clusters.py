"""Clusters: whether the prompts of each style lie together in feature space, and apart from those of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, permutations, product
from math import ceil, factorial, prod

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from saeprobe.claims import Control, Over
from saeprobe.evidence.controls import summary_of, verdict_of
from saeprobe.evidence.controls.draws import Effect
from saeprobe.evidence.evidence import (
    ControlResult,
    Evidence,
    Needed,
    Recorder,
    Sample,
    UnitValue,
    current_terms,
    record,
)
from saeprobe.features.sparse import Features
from saeprobe.measures.halving import firing_shares
from saeprobe.measures.reading import captured, refuse_more, templates, topics
from saeprobe.measures.separation import READ, BothSides, refuse_others, rival
from saeprobe.recorded.directory import Recorded
from saeprobe.statistics.intervals import bca_interval
from saeprobe.statistics.permutation import DRAWING, Reached, counted, drawn

Distances = Float[np.ndarray, "units units"]


Labels = Int[np.ndarray, " units"]


Dealt = Int[np.ndarray, "relabelings units"]


Means = Float[np.ndarray, "relabelings styles"]


MOST_COUNTED = 50_000
"""Up to so many relabelings are counted; two styles of 9 wordings have 48,620."""


AT_ONCE = 2**21
"""Numbers worked on at once: 16 MiB."""


CLOSE = 1e-9
"""Two mean silhouettes that lie so close are the same."""


def cosine_distances(vectors: csr_array) -> Distances:
    """One minus the cosine of the angle between any two rows, `[units, d_sae]`, none of which is 0."""
    products = (vectors @ vectors.T).toarray()
    norms = np.sqrt(np.diagonal(products))
    distances = np.clip(1 - products / np.outer(norms, norms), 0, None)
    np.fill_diagonal(distances, 0)
    return distances


def mean_distances(distances: Distances, dealt: Dealt) -> Float[np.ndarray, "relabelings units styles"]:
    """Mean distance of each unit to the units of each style, itself left out."""
    rounds, units = dealt.shape
    styles = int(dealt.max()) + 1
    member = (dealt[:, :, None] == np.arange(styles)).astype(np.float64)
    sums = distances @ member.transpose(1, 0, 2).reshape(units, rounds * styles)  # one product is faster than many
    others = member.sum(axis=1, keepdims=True) - member  # a unit of n - 1 others in its own style
    return sums.reshape(units, rounds, styles).transpose(1, 0, 2) / others


def silhouettes(distances: Distances, dealt: Dealt) -> Float[np.ndarray, "relabelings units"]:
    """`(b - a) / max(a, b)`: `a` is a unit's mean distance to its own style, `b` that to the nearest other one.

    Rousseeuw 1987, J. Comput. Appl. Math. 20. Between -1 and 1; 0 where both distances are 0. Every style has at least
    2 units, and there are at least 2 styles.
    """
    means = mean_distances(distances, dealt)
    own = np.take_along_axis(means, dealt[:, :, None], axis=2)[:, :, 0]
    np.put_along_axis(means, dealt[:, :, None], np.inf, axis=2)
    nearest = means.min(axis=2)
    larger = np.maximum(own, nearest)
    return np.divide(nearest - own, larger, out=np.zeros_like(larger), where=larger > 0)


def style_means(values: Float[np.ndarray, "relabelings units"], dealt: Dealt) -> Means:
    """Mean silhouette of each style."""
    styles = np.arange(int(dealt.max()) + 1)
    member = dealt[:, :, None] == styles
    return np.where(member, values[:, :, None], 0.0).sum(axis=1) / member.sum(axis=1)


def relabel(
    distances: Distances, labels: Labels, *, within: int | None, alpha: float, seed: int
) -> tuple[Reached, Means]:
    """One-sided p of the mean silhouette when styles are dealt anew to the units, and the means of the styles then.

    With `within`, the units come in runs of so many, a run a topic with each style once, and styles change places
    inside a run only. Counted exactly up to `MOST_COUNTED`, else drawn.
    """
    observed = float(silhouettes(distances, labels[None]).mean())
    means: list[Means] = []
    step = max(1, AT_ONCE // (len(labels) * (int(labels.max()) + 1)))

    def reaching(dealt: Dealt) -> int:
        reached = 0
        for start in range(0, len(dealt), step):
            some = dealt[start : start + step]
            values = silhouettes(distances, some)
            means.append(style_means(values, some))
            reached += int((values.mean(axis=1) >= observed - CLOSE).sum())
        return reached

    def deal(rng: np.random.Generator, count: int) -> Dealt:
        runs = labels.reshape(-1, within or len(labels))
        order = np.argsort(rng.random((count, *runs.shape)), axis=2)
        return np.take_along_axis(np.broadcast_to(runs, order.shape), order, axis=2).reshape(count, -1)

    if relabelings(labels, within=within) <= MOST_COUNTED:
        reached = counted(iter([np.array(list(_every(labels, within=within)))]), reaching)
    else:
        reached = drawn(deal, reaching, alpha=alpha, seed=seed)
    return reached, np.concatenate(means)


def relabelings(labels: Labels, *, within: int | None) -> int:
    """In how many ways the styles can be dealt to the units."""
    if within is not None:
        return factorial(within) ** (len(labels) // within)
    return factorial(len(labels)) // prod(factorial(int(count)) for count in np.bincount(labels))


def _every(labels: Labels, *, within: int | None) -> Iterator[list[int]]:
    if within is not None:
        for orders in product(permutations(range(within)), repeat=len(labels) // within):
            yield [style for order in orders for style in order]
        return
    yield from _choices(list(range(len(labels))), [int(count) for count in np.bincount(labels)])


def _choices(places: list[int], counts: list[int]) -> Iterator[list[int]]:
    """Every way to deal `counts` of each style to as many places; a list of the style of each."""
    dealt = [0] * len(places)

    def fill(free: list[int], style: int) -> Iterator[list[int]]:
        if style == len(counts) - 1:
            for place in free:
                dealt[place] = style
            yield list(dealt)
            return
        for chosen in combinations(free, counts[style]):
            for place in chosen:
                dealt[place] = style
            yield from fill([place for place in free if place not in chosen], style + 1)

    yield from fill(places, 0)


CONTROLS: tuple[Control, ...] = READ
"""The controls that the sentence takes."""


DECIMALS = 6
"""Of the distances, which are reported so and tested as reported."""


NAMED = 4
"""Styles that the statement names one by one."""


@dataclass(frozen=True, kw_only=True)
class _Units:
    """The units of all styles: wordings, or (style, topic) with `within` styles a topic, topic by topic."""

    keys: tuple[tuple[str, str], ...]
    of_prompt: tuple[tuple[str, str], ...]
    within: int | None
    scope: str

    def labels(self, styles: tuple[str, ...]) -> Labels:
        return np.array([styles.index(style) for style, _ in self.keys])


def clusters(of: Features | Recorded, *more: object) -> Evidence:
    """Evidence that the prompt styles form separate regions of feature space.

    A unit is a wording: the share of its prompts on which each feature fires on any token read. Under one wording a
    style, or where the claim generalises over topics, a unit is a style's prompts on one topic. Units are compared by
    the cosine of their angle, and each gets its silhouette (Rousseeuw 1987): 1 where its own style is near and every
    other far, below 0 where another style is nearer than its own. A picture of two dimensions is not asked: it parts
    noise into clusters too.

    Raises:
        ValueError: there are fewer than 2 styles, or no feature fires in a unit.
        TypeError: styles are given one by one, or the claim declares a control that this does not take, or generalises
            over both at once.
        NotRun: a record of summaries does not tell which features fire on a prompt.
    """
    refuse_more("clusters", more)
    of = captured(of)
    terms = current_terms()
    refuse_others("clusters", terms.controls, CONTROLS)
    if len(terms.over) > 1:
        raise TypeError("clusters permutes wordings or topics; state one: over=('templates',) or over=('topics',)")
    if len(of.styles) < 2:  # noqa: PLR2004 - one style is apart from nothing
        raise ValueError(f"there is one style, {of.label}; clusters needs at least 2")
    return record(_clustered(of, terms))


def _clustered(of: Features, terms: Recorder) -> Evidence:
    styles = of.styles
    which = f"{' and '.join(styles)} prompts" if len(styles) <= NAMED else f"the prompts of {len(styles)} styles"
    base = Evidence(
        kind="clusters",
        statement=f"{which} form separate regions of feature space",
        outcome="inconclusive",
        reason="",
        scope="these prompts only",
        unit="silhouette",
        alpha=terms.alpha,
        rule=_RULE,
    )
    units = _units(of, terms.over)
    if isinstance(units, str):
        return replace(base, reason=units)
    labels = units.labels(styles)
    distances = _distances(of, units)
    values = silhouettes(distances, labels[None])[0]
    reached, _ = relabel(distances, labels, within=units.within, alpha=terms.alpha, seed=terms.seed)
    counts = np.bincount(labels)
    what = f"{len(labels)} wordings" if units.within is None else f"{len(styles)} within each of {counts[0]} topics"
    tested = replace(
        base,
        scope=units.scope,
        estimate=float(values.mean()),
        level=1 - 2 * terms.alpha,
        p=reached.p,
        test=reached.in_words("permutation of styles", what),
        seed=terms.seed,  # of the intervals, where the relabelings are all counted
        units="wordings" if units.within is None else "topics",
        n_units=tuple(int(count) for count in counts),
        samples=tuple(_sample(of[style], values[labels == index], terms) for index, style in enumerate(styles)),
        unit_values=tuple(
            UnitValue(side=of[style].label, unit=name, value=float(value))
            for (style, name), value in zip(units.keys, values, strict=True)
        ),
        distances=tuple(tuple(row[:unit].tolist()) for unit, row in enumerate(distances) if unit),
    )
    tested = replace(tested, controls=_controls(of, tested, terms))
    against = _lying_in_another(tested, labels, distances, units, terms)
    return _judged(tested, units, terms) if against is None else against


_RULE = (
    "p is the share of relabelings under which the mean silhouette is at least as large, taken from the distances told "
    f"here. {DRAWING}: argsort(random((count, 1, units))) puts the styles in another order, or "
    "argsort(random((count, topics, styles))) those of each topic. Supported if p < alpha, every "
    "style's mean silhouette is above 0 with its interval, and no control makes half of it. Refuted if one does, "
    "or if some style of s lies below 0 with its interval at level 1 - 2 alpha / s, and beside the style that it lies "
    "nearest to alone is as low in less than alpha / (s (s - 1)) of relabelings. Else inconclusive. The unit values "
    "are the silhouettes; intervals are BCa bootstrap ones over the units of a style, of 4,999 resamples drawn by "
    "default_rng(seed).integers(0, units, (4999, units)) and put in order"
)


def _units(of: Features, over: tuple[Over, ...]) -> _Units | str:
    """What the claim generalises over; a sentence where there is too little of it."""
    styles = of.styles
    wordings = {style: len(templates(of[style])) for style in styles}
    fewest = min(styles, key=lambda style: wordings[style])
    if over != ("topics",) and wordings[fewest] > 1:
        of_topics = {style: set(topics(of[style])) for style in styles}
        other = next((style for style in styles if of_topics[style] != of_topics[styles[0]]), None)
        if other is not None:  # wordings on other topics lie apart for what they are about
            return f"{styles[0]} and {other} prompts are not on the same topics, which alone could part them"
        of_prompt = tuple((prompt.style, prompt.template) for prompt in of.prompts)
        counts = " + ".join(str(count) for count in wordings.values())
        return _Units(
            keys=tuple(dict.fromkeys(of_prompt)), of_prompt=of_prompt, within=None, scope=f"these {counts} templates"
        )
    if over == ("templates",):
        return f"{fewest} has a single template: at least 2 a style tell of other wordings"
    shared = [topic for topic in topics(of) if all(topic in topics(of[style]) for style in styles)]
    if len(shared) < 2:  # noqa: PLR2004 - one prompt is no region
        return f"the styles share {len(shared)} topic(s): at least 2 are needed"
    fixed = "this wording only" if max(wordings.values()) == 1 else "these templates fixed"
    return _Units(
        keys=tuple((style, topic) for topic in shared for style in styles),
        of_prompt=tuple((prompt.style, prompt.topic) for prompt in of.prompts),
        within=len(styles),
        scope=f"{fixed}, over {len(shared)} topics",
    )


def _distances(of: Features, units: _Units) -> Distances:
    """Between the units.

    Raises:
        ValueError: no feature fires in one of them.
    """
    vectors = firing_shares(of, units.of_prompt, units.keys)
    silent = np.flatnonzero(np.diff(vectors.indptr) == 0)
    if len(silent):
        style, name = units.keys[int(silent[0])]
        raise ValueError(
            f"no feature fires on any {style} prompt of {name!r}; it lies in no direction of feature space"
        )
    return np.round(cosine_distances(vectors), DECIMALS)


def _sample(of: Features, values: Float[np.ndarray, " units"], terms: Recorder) -> Sample:
    return Sample(
        label=of.label,
        measure="silhouette",
        unit="silhouette",
        mean=float(values.mean()),
        n=len(of),
        place=of.place,
        interval=_interval(values, 1 - 2 * terms.alpha, terms),
    )


def _interval(values: Float[np.ndarray, " units"], level: float, terms: Recorder) -> tuple[float, float] | None:
    return bca_interval(len(values), lambda chosen: float(values[chosen].mean()), level=level, seed=terms.seed)


def _lying_in_another(
    tested: Evidence, labels: Labels, distances: Distances, units: _Units, terms: Recorder
) -> Evidence | None:
    """Refuted, where the units of some style lie nearer to another than to each other, and more so than by chance.

    Chance alone puts silhouettes below 0 where there are many styles, for one of them is always near. So the style is
    held against the nearest one by itself, with their labels permuted.
    """
    styles = [sample.label for sample in tested.samples]
    apart = mean_distances(distances, labels[None])[0]
    for index, sample in enumerate(tested.samples):
        interval = _interval_of(tested, index, 1 - 2 * terms.alpha / len(styles), terms) if sample.mean < 0 else None
        if interval is None or interval[1] >= 0:
            continue
        others = apart[labels == index].mean(axis=0)
        others[index] = np.inf
        nearest = int(np.argmin(others))
        as_low = _share_as_low(distances, labels, (index, nearest), units, terms)
        if as_low < terms.alpha / (len(styles) * (len(styles) - 1)):
            reason = (
                f"{sample.label} lies nearer to {styles[nearest]} than to itself: its mean silhouette is "
                f"{_told(sample)}, beside {styles[nearest]} alone as low in {as_low:.2g} of the relabelings; "
                f"{_numbers(tested)}"
            )
            return replace(tested, outcome="refuted", reason=reason)
    return None


def _share_as_low(distances: Distances, labels: Labels, pair: tuple[int, int], units: _Units, terms: Recorder) -> float:
    """Share of relabelings of two styles under which the first one's mean silhouette beside the other is as low."""
    chosen = np.isin(labels, pair)
    between = distances[np.ix_(chosen, chosen)]
    second = (labels[chosen] == pair[1]).astype(np.int64)
    observed = style_means(silhouettes(between, second[None]), second[None])[0, 0]
    within = None if units.within is None else 2
    reached, means = relabel(between, second, within=within, alpha=terms.alpha, seed=terms.seed)
    as_low = int((means[:, 0] <= observed + CLOSE).sum())
    return as_low / len(means) if reached.seed is None else (as_low + 1) / (len(means) + 1)


def _interval_of(tested: Evidence, index: int, level: float, terms: Recorder) -> tuple[float, float] | None:
    style = tested.samples[index].label
    return _interval(np.array([unit.value for unit in tested.unit_values if unit.side == style]), level, terms)


def _numbers(tested: Evidence) -> str:
    return f"mean silhouette {tested.estimate:.2f}, p = {tested.p:.2g}"


def _judged(tested: Evidence, units: _Units, terms: Recorder) -> Evidence:
    numbers = _numbers(tested)
    p = tested.p or 0.0
    if p >= terms.alpha:
        needed = _needed(tested, units, terms)
        more = "" if needed is None else f"; {needed.have} {needed.units} cannot reach it, {needed.wanted} can"
        return replace(tested, reason=f"{numbers}: not told apart from chance{more}", needed=needed)
    unsure = [sample for sample in tested.samples if sample.interval is None or sample.interval[0] <= 0]
    if unsure:
        which = ", ".join(f"{sample.label} ({_told(sample)})" for sample in unsure[:NAMED])
        more = f" and {len(unsure) - NAMED} more" if len(unsure) > NAMED else ""
        return replace(tested, reason=f"{numbers}, but not shown to lie apart: {which}{more}")
    least = min(tested.samples, key=lambda sample: sample.mean)
    numbers = f"{numbers}; the least, {least.label}, at {_told(least)}"
    outcome, reason = verdict_of(tested.controls, numbers, terms.alpha) or (
        "supported",
        f"{numbers}{summary_of(tested.controls)}",
    )
    return replace(tested, outcome=outcome, reason=reason)


def _told(sample: Sample) -> str:
    if sample.interval is None:
        return f"{sample.mean:.2f}, without any spread"
    low, high = sample.interval
    return f"{sample.mean:.2f}, interval {low:.2f} to {high:.2f}"


def _needed(tested: Evidence, units: _Units, terms: Recorder) -> Needed | None:
    """How many units a style could decide at all; None where these can.

    Styles that change names leave the silhouettes as they are, so that p is never below one in so many.
    """
    styles, have = len(tested.samples), min(tested.n_units)
    wanted = have
    while factorial(styles) / _deals(styles, wanted, within=units.within) >= terms.alpha:
        wanted += 1
    if wanted == have:
        return None
    prompts = sum(sample.n or 0 for sample in tested.samples)
    what = "topics" if units.within else "templates a style"
    return Needed(units=what, have=have, wanted=wanted, prompts=ceil(prompts * wanted / have))


def _deals(styles: int, each: int, *, within: int | None) -> int:
    return relabelings(np.tile(np.arange(styles), each), within=within)


def _controls(of: Features, tested: Evidence, terms: Recorder) -> tuple[ControlResult, ...]:
    """The controls that the claim declares, in that order."""
    found = (tested.p or 0.0) < terms.alpha and (tested.estimate or 0.0) > 0
    unasked = replace(terms, controls=(), evidence=[])

    def run(name: Control) -> ControlResult:
        def again(sides: BothSides) -> Evidence:
            (there,) = sides
            return _clustered(there, unasked)

        return rival(name, (of,), tested, again, partial(_effect, over=terms.over), found=found, terms=terms)

    return tuple(run(name) for name in terms.controls)


def _effect(sides: BothSides, *, over: tuple[Over, ...]) -> Effect:
    """The mean silhouette, which has no other scale.

    Raises:
        ValueError: there are no units to take it over, or no feature fires in one of them.
    """
    (of,) = sides
    units = _units(of, over)
    if isinstance(units, str):
        raise ValueError(units)  # noqa: TRY004 - it is the text of what is wrong
    values = silhouettes(_distances(of, units), units.labels(of.styles)[None])[0]
    return Effect(size=float(values.mean()), scale=None)
