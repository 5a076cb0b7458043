"""Clusters are prompt styles whose prompts lie together in feature space, and apart from those of every other style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil, factorial

import numpy as np
from scipy.sparse import csr_array

from saeprobe.claims import Over
from saeprobe.evidence import Evidence, Needed, Sample, Terms, UnitValue, current_terms, record, towards
from saeprobe.evidence.controls import Contrast, mean_of, refuse_others, verdict_of, weighted
from saeprobe.evidence.controls.adjusting import run_rivals
from saeprobe.evidence.controls.draws import BothSides, Effect
from saeprobe.features import Features
from saeprobe.files import p_value
from saeprobe.measures.halving import firing_shares
from saeprobe.measures.reading import captured, not_distinguished, refuse_more, templates, topics
from saeprobe.prompts.wordings import copies, copies_in_words, unit_of
from saeprobe.recorded.record import Recorded
from saeprobe.shapes import Float, Int
from saeprobe.statistics.intervals import hall
from saeprobe.statistics.permutation import Dealt, Large, Looked, Permuted, Runs, permute, relabelings
from saeprobe.statistics.shifts import varies

DECIMALS = 6  # of the distances, which are reported so and tested as reported
NAMED = 4  # styles at most are named one by one by the statement and the reason
AT_ONCE = 2**21  # numbers that are worked on at once: 16 MiB
CLOSE = 1e-9  # two mean silhouettes that lie so close are the same

_RULE = (
    "the silhouettes follow from the distances given here. Supported if p < alpha, every style's mean silhouette is "
    "above 0 with its interval (one_sided is the largest p of these), and every control is withstood. Refuted if some "
    "style of s lies below 0 with its interval at level 1 - 2 alpha / s, and against the style that it lies nearest to "
    "alone is as low in less than alpha / (s (s - 1)) of relabelings. Else inconclusive. The unit values are the "
    "silhouettes; intervals are Hall's (1992) of the mean of a style's n units, m - s 3 (cbrt(1 + g (x - g / 6n)) - 1) "
    "/ g at x = t / sqrt(n) and at -t / sqrt(n), within -1 and 1: s is their deviation, g their skewness, t Student's "
    "of n - 1"
)

Distances = Float[np.ndarray, "units units"]
Labels = Int[np.ndarray, " units"]


def clusters(of: Features | Recorded, *more: object) -> Evidence:
    """Return evidence that the prompt styles form separate regions of feature space.

    A unit is a wording: the share of its prompts on which each feature fires on any token read. Under one wording a
    style, or where the claim generalises over topics, a unit is a style's prompts on one topic. Units are compared by
    the cosine of their angle, and each gets its silhouette (Rousseeuw 1987): 1 where its own style is near and every
    other far, below 0 where another style is nearer than its own. A picture of two dimensions is not asked: it parts
    noise into clusters too.

    Raises:
        ValueError: there are fewer than 2 styles, or no feature fires in a unit.
        TypeError: styles are given one by one, or the claim declares a control that this does not take, or generalises
            over both at once.
        NotRun: a record of summaries does not say which features fire on a prompt.
    """
    refuse_more("clusters", more)
    of = captured(of)
    terms = current_terms()
    refuse_others("clusters", terms.controls)
    if len(terms.over) > 1:
        raise TypeError("clusters permutes wordings or topics; state one: over=('templates',) or over=('topics',)")
    if len(of.styles) < 2:  # noqa: PLR2004 - one style is apart from nothing
        raise ValueError(f"there is one style, {of.label}; clusters needs at least 2")
    return record(_clustered((of,), terms))


def _clustered(sides: BothSides, terms: Terms) -> Evidence:
    (of,) = sides
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
    labels, within, values = units.labels, units.within, units.silhouettes
    reached = relabel(units.distances, labels, within=within, alpha=terms.alpha, seed=terms.seed)
    mean = float(values.mean())
    tested = replace(
        base,
        scope=units.scope,
        estimate=mean,
        level=1 - 2 * terms.alpha,
        p=reached.p,
        one_sided=max(reached.p, *(above_zero(values[labels == index]) for index in range(len(styles)))),
        test=reached.name,
        rule=f"{_RULE}. {reached.rule('The mean silhouette')}",
        seed=reached.seed,
        units="wordings" if within is None else "topics",
        n_units=tuple(np.bincount(labels).tolist()),
        samples=tuple(_sample(of[style], values[labels == index], terms) for index, style in enumerate(styles)),
        unit_values=tuple(
            UnitValue(side=of[style].label, unit=name, value=float(value))
            for (style, name), value in zip(units.keys, values, strict=True)
        ),
        copies=copies(of.prompts) if within is None else (),
        distances=tuple(tuple(row[:unit].tolist()) for unit, row in enumerate(units.distances) if unit),
    )
    tested = run_rivals(sides, tested, _clustered, lambda there: _effect(there, terms.over), terms, error=error_of)
    numbers = f"mean silhouette {mean:.2f}, {p_value(reached.p)}"
    if inside := _lying_in_another(tested.samples, units, terms):
        return replace(tested, outcome="refuted", reason=f"{inside}; {numbers}")
    return judged_clusters(tested, numbers, within, terms.alpha)


def judged_clusters(tested: Evidence, numbers: str, within: int | None, alpha: float) -> Evidence:
    """Judge clusters that were tested, none of which lies in another, by their p, their styles and their controls."""
    if tested.p is None or tested.p >= alpha:
        return not_distinguished(tested, numbers, _needed(tested, within, alpha))
    unsure = [sample for sample in tested.samples if sample.interval is None or sample.interval[0] <= 0]
    if unsure:
        which = ", ".join(f"{sample.label} ({_value(sample)})" for sample in unsure[:NAMED])
        more = f" and {len(unsure) - NAMED} more" if len(unsure) > NAMED else ""
        return replace(tested, reason=f"{numbers}, but not shown to lie apart: {which}{more}")
    least = min(tested.samples, key=lambda sample: sample.mean)
    numbers = f"{numbers}; the least, {least.label}, at {_value(least)}"
    outcome, reason = verdict_of(tested.controls, numbers)
    return replace(tested, outcome=outcome, reason=reason)


def _value(sample: Sample) -> str:
    if sample.interval is None:
        return f"{sample.mean:.2f}, without any spread"
    low, high = sample.interval
    return f"{sample.mean:.2f}, interval {low:.2f} to {high:.2f}"


def _needed(tested: Evidence, within: int | None, alpha: float) -> Needed | None:
    """Return how many units a style could decide at all; None where these can.

    Styles that change names leave the silhouettes as they are, so that p is never below one in so many.
    """
    styles, have = len(tested.samples), min(tested.n_units)
    wanted = have
    while factorial(styles) / relabelings([_runs(np.tile(np.arange(styles), wanted), within)]) >= alpha:
        wanted += 1
    if wanted == have:
        return None
    prompts = sum(sample.n or 0 for sample in tested.samples)
    what = "topics" if within else "templates a style"
    return Needed(units=what, have=have, wanted=wanted, prompts=ceil(prompts * wanted / have))


def _sample(of: Features, values: Float[np.ndarray, " units"], terms: Terms) -> Sample:
    made = partial(Sample, measure="silhouette", unit="silhouette", interval=interval_of(values, 1 - 2 * terms.alpha))
    return made(label=of.label, n=len(of), place=of.place, run=of.run, mean=float(values.mean()))


def above_zero(values: Float[np.ndarray, " units"]) -> float:
    """Return the one-sided p of a style's mean silhouette; 1 where its units do not differ."""
    return towards(hall(values, alpha=1.0)[0], holds=values.mean() > 0) if varies(values) else 1.0


def interval_of(values: Float[np.ndarray, " units"], level: float) -> tuple[float, float] | None:
    """Return the interval of a style's mean silhouette; None where its units do not differ."""
    if not varies(values):
        return None
    _, (low, high) = hall(values, alpha=1 - level)
    return max(-1.0, low), min(1.0, high)


def _effect(sides: BothSides, over: tuple[Over, ...]) -> Effect:
    units = _units(sides[0], over)
    if isinstance(units, str):
        raise ValueError(units)  # noqa: TRY004 - it is the text of what is wrong
    return Effect(size=float(units.silhouettes.mean()), scale=None)


def error_of(tested: Evidence) -> Contrast:
    """Return the mean silhouette with its error: each style has a variance of its own."""
    ends = np.cumsum(tested.n_units)[:-1]
    by_style = np.split(np.array([unit.value for unit in tested.unit_values]), ends)
    return weighted(*((len(of) / sum(tested.n_units), mean_of(of)) for of in by_style))


def _lying_in_another(samples: tuple[Sample, ...], units: _Units, terms: Terms) -> str | None:
    """Say which style lies nearer to another than to itself, and more so than by chance; None where none does.

    Chance alone puts silhouettes below 0 where there are many styles, since one of them is always near. So the style is
    held against the nearest one by itself, with their labels permuted.
    """
    styles = len(samples)
    apart, alpha = mean_distances(units.distances, units.labels[None])[0], terms.alpha / (styles * (styles - 1))
    for index, sample in enumerate(samples):
        own = units.labels == index
        interval = interval_of(units.silhouettes[own], 1 - 2 * terms.alpha / styles) if sample.mean < 0 else None
        if interval is None or interval[1] >= 0:
            continue
        others = apart[own].mean(axis=0)
        others[index] = np.inf
        nearest = int(np.argmin(others))
        as_low = _share_as_low(units, (index, nearest), alpha=alpha, seed=terms.seed)
        if as_low < alpha:
            other = samples[nearest].label
            return (
                f"{sample.label} lies nearer to {other} than to itself: its mean silhouette is {_value(sample)}, "
                f"and against {other} alone as low in {as_low:.2g} of the relabelings"
            )
    return None


def _share_as_low(units: _Units, pair: tuple[int, int], *, alpha: float, seed: int) -> float:
    """Return in which share of relabelings of two styles the first one's mean silhouette is as low as it is."""
    chosen = np.isin(units.labels, pair)
    between = units.distances[np.ix_(chosen, chosen)]
    second = (units.labels[chosen] == pair[1]).astype(np.int64)
    observed = np.average(silhouettes(between, second[None])[0], weights=second == 0)
    within = None if units.within is None else 2
    large: Callable[[Looked], Large] = lambda looked: looked[:, 1] <= observed + CLOSE  # noqa: E731
    return relabel(between, second, within=within, alpha=alpha, seed=seed, large=large).p


@dataclass(frozen=True, kw_only=True, eq=False)
class _Units:
    """The units, by style and name, are wordings, or each style's prompts on a topic, `within` styles a topic."""

    keys: tuple[tuple[str, str], ...]
    labels: Labels
    distances: Distances
    within: int | None
    scope: str

    @cached_property
    def silhouettes(self) -> Float[np.ndarray, " units"]:
        """Give each unit its silhouette."""
        return silhouettes(self.distances, self.labels[None])[0]


def _units(of: Features, over: tuple[Over, ...]) -> _Units | str:
    """Choose what the claim generalises over, or say in a sentence where there is too little of it."""
    styles = of.styles
    wordings = {style: len(templates(of[style])) for style in styles}
    fewest = min(styles, key=lambda style: wordings[style])
    by_topic = over == ("topics",) or wordings[fewest] == 1
    of_topics = {style: set(topics(of[style])) for style in styles}
    if by_topic:
        if over == ("templates",):
            return f"{fewest} has a single template: at least 2 a style stand for other wordings"
        shared = [topic for topic in topics(of) if all(topic in of_topics[style] for style in styles)]
        if len(shared) < 2:  # noqa: PLR2004 - one prompt is no region
            return f"the styles share {len(shared)} topic(s): at least 2 are needed"
        fixed = "this wording only" if max(wordings.values()) == 1 else "these templates fixed"
        keys, scope = [(style, topic) for topic in shared for style in styles], f"{fixed}, over {len(shared)} topics"
        of_prompt = [(prompt.style, prompt.topic) for prompt in of.prompts]
    else:
        other = next((style for style in styles if of_topics[style] != of_topics[styles[0]]), None)
        if other is not None:  # wordings on other topics lie apart for what they are about
            return f"{styles[0]} and {other} prompts are not on the same topics, which alone could part them"
        of_prompt = [(prompt.style, unit) for prompt, unit in zip(of.prompts, unit_of(of.prompts), strict=True)]
        counts = f"{' + '.join(map(str, wordings.values()))} templates{copies_in_words(of.prompts)}"
        keys, scope = list(dict.fromkeys(of_prompt)), f"these {counts}"
    return _Units(
        keys=tuple(keys),
        labels=np.array([styles.index(style) for style, _ in keys]),
        distances=_distances(of, of_prompt, keys),
        within=len(styles) if by_topic else None,
        scope=scope,
    )


def _distances(of: Features, of_prompt: Sequence[tuple[str, str]], keys: Sequence[tuple[str, str]]) -> Distances:
    vectors = firing_shares(of, of_prompt, keys)
    fires = np.diff(vectors.indptr)
    if not fires.all():
        style, name = keys[int(fires.argmin())]
        raise ValueError(
            f"no feature fires on any {style} prompt of {name!r}; it lies in no direction of feature space"
        )
    return np.round(cosine_distances(vectors), DECIMALS)


def cosine_distances(vectors: csr_array) -> Distances:
    """Return one minus the cosine of the angle between any two rows, `[units, d_sae]`, none of which is 0."""
    products = (vectors @ vectors.T).toarray()
    norms = np.sqrt(np.diagonal(products))
    distances = np.clip(1 - products / np.outer(norms, norms), 0, None)
    np.fill_diagonal(distances, 0)
    return distances


def mean_distances(distances: Distances, dealt: Dealt) -> Float[np.ndarray, "relabelings units styles"]:
    """Return the mean distance of each unit to the units of each style, itself left out."""
    (rounds, units), counts = dealt.shape, np.bincount(dealt[0])  # every relabeling has as many units of a style
    member = (dealt.T[:, :, None] == np.arange(len(counts))).astype(np.float64)
    sums = distances @ member.reshape(units, rounds * len(counts))  # one product is faster than many
    others = counts - member  # a unit of n - 1 others in its own style
    return (sums.reshape(others.shape) / others).transpose(1, 0, 2)


def silhouettes(distances: Distances, dealt: Dealt) -> Float[np.ndarray, "relabelings units"]:
    """Return `(b - a) / max(a, b)`: `a` is a unit's mean distance to its own style, `b` that to the nearest other one.

    Rousseeuw 1987, J. Comput. Appl. Math. 20. Between -1 and 1; 0 where both are 0. There are 2 styles of 2 at least.
    """
    means = mean_distances(distances, dealt)
    own = np.take_along_axis(means, dealt[:, :, None], axis=2)[:, :, 0]
    np.put_along_axis(means, dealt[:, :, None], np.inf, axis=2)
    nearest = means.min(axis=2)
    larger = np.maximum(own, nearest)
    return np.divide(nearest - own, larger, out=np.zeros_like(larger), where=larger > 0)


def relabel(
    distances: Distances,
    labels: Labels,
    *,
    within: int | None,
    alpha: float,
    seed: int,
    large: Callable[[Looked], Large] | None = None,
) -> Permuted:
    """Test the mean silhouette, or what is `large`, when styles are dealt anew: one-sided.

    Styles change places inside runs of `within` units, a run a topic with each style once. The mean silhouette of a
    relabeling is kept, and that of the first style behind it.
    """
    observed = float(silhouettes(distances, labels[None]).mean())
    step = max(1, AT_ONCE // (len(labels) * (int(labels.max()) + 1)))
    where = f"within {len(labels) // within} topics" if within else f"over {len(labels)} wordings"

    def look(dealt: Dealt) -> Looked:
        parts = [dealt[start : start + step] for start in range(0, len(dealt), step)]
        found = [(silhouettes(distances, some), some) for some in parts]
        return np.concatenate(
            [np.column_stack([of.mean(axis=1), np.average(of, axis=1, weights=some == 0)]) for of, some in found]
        )

    return permute(
        (_runs(labels, within),),
        look,
        large or (lambda looked: looked[:, 0] >= observed - CLOSE),
        what=f"permutation of styles {where}",
        alpha=alpha,
        seed=seed,
    )


def _runs(labels: Labels, within: int | None) -> Runs:
    return labels.reshape(-1, within or len(labels))
