"""Two measurements are compared over units of replication, templates or topics; here they are chosen and tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from operator import itemgetter
from statistics import fmean
from typing import Any

import numpy as np

from saeprobe.claims import Over
from saeprobe.evidence import Needed, Sample, Terms, UnitValue
from saeprobe.evidence.values import Measurement, PrintedNumber, Quantity, Summary
from saeprobe.prompts.wordings import copies_in_words, looked_at, partners, unit_of, unpaired_in_words
from saeprobe.statistics.intervals import MOST_UNITS, Spread, hall, least_units
from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import Shift, crossed_shift, paired_shift, unpaired_shift, varies

Means = dict[str, float]
Pairs = tuple[tuple[int, int], ...]


def mean_by(of: Measurement, over: Over) -> Means:
    """Take the mean over the prompts of each template, or of each topic, in order of first appearance.

    Templates that are near copies are one unit, of which each counts alike.
    """
    names = unit_of(of.prompts) if over == "templates" else [prompt.topic for prompt in of.prompts]
    groups: dict[str, dict[str, list[float]]] = {}
    for name, prompt, value in zip(names, of.prompts, of.values, strict=True):
        wording = prompt.template if over == "templates" else ""
        groups.setdefault(name, {}).setdefault(wording, []).append(float(value))
    return {name: fmean(map(fmean, by.values())) for name, by in groups.items()}


def array(means: Mapping[Any, float]) -> Units:
    """Give the values of units, which stand by name."""
    return np.array(list(means.values()))


def unit_values(side: str, means: Mapping[str, float]) -> tuple[UnitValue, ...]:
    """Give the units of one side by name."""
    return tuple(UnitValue(side=side, unit=unit, value=float(value)) for unit, value in means.items())


def _alone(topics: Means) -> str:
    """Say that templates were read on one topic only, which a reader would not expect."""
    return f" on the topic {next(iter(topics))!r} alone" if len(topics) == 1 else ""


def fixed_wordings(scope: str) -> str:
    """Return what of a scope says that no other wordings are reached than those read: the decision is over topics."""
    return "; ".join(one for one in scope.split("; ") if "this wording only" in one or " fixed, over " in one)


def unit_means(of: Measurement, over: Sequence[Over] = ()) -> tuple[tuple[UnitValue, ...], Over, str]:
    """Return the units behind one measurement, what they are, and the scope that they give."""
    templates, topics = mean_by(of, "templates"), mean_by(of, "topics")
    if len(set(over)) > 1:
        raise TypeError(f"{of.name} alone is held against a number over templates or over topics; state one")
    what: Over = over[0] if over else "templates" if len(templates) > 1 else "topics"
    if what == "templates":
        near = copies_in_words(of.prompts)
        return unit_values(of.label, templates), what, f"these {len(templates)} templates{near}{_alone(topics)}"
    fixed = "this wording only" if len(templates) == 1 else f"these {len(templates)} templates fixed"
    return unit_values(of.label, topics), what, f"{fixed}, over {len(topics)} topic{'s' * (len(topics) > 1)}"


def mean_shift(of: Measurement, terms: Terms, bound: float = 0.0) -> Shift | None:
    """Test how far the mean of a measurement lies above `bound`, over its units; None where there is one of a sort.

    Of sign flips and Hall's transformation the larger p and the outer ends count; of templates and topics both add up.
    """
    asked: set[Over] = set(terms.over) or {unit_means(of)[1]}
    sorts = [array(mean_by(of, over)) - bound for over in sorted(asked)]
    if min(map(len, sorts)) < 2:  # noqa: PLR2004 - one unit has no spread
        return None
    if len(sorts) == 1:
        shift = paired_shift(sorts[0], alpha=terms.alpha, seed=terms.seed)
    else:
        shift = crossed_shift(sorts[0], 0 * sorts[0], sorts[1], alpha=terms.alpha, seed=terms.seed, paired=True)
    if shift.interval is None:
        return shift
    ps, ends = zip((shift.p, shift.interval), *(hall(units, alpha=terms.alpha) for units in sorts), strict=True)
    interval = min(low for low, _ in ends), max(high for _, high in ends)
    return replace(shift, p=max(ps), interval=interval, test=f"{shift.test} or Hall's transformation, the larger p")


def sample_of(side: Quantity | PrintedNumber, terms: Terms) -> Sample:
    """Keep one side of a comparison as evidence does, the mean of a measurement with its interval over units."""
    made = partial(Sample, label=side.label, measure=side.measure, unit=side.unit)
    if isinstance(side, PrintedNumber):
        return made(mean=float(side.value), n=side.n)
    published = terms.published_prompts if side.run is None else not side.run.another
    of = () if isinstance(side, Summary) else side.prompts
    made = partial(made, place=side.place, run=side.run, looked=looked_at(side.features, of, published=published))
    if isinstance(side, Summary):
        return made(mean=side.value, n=side.n, near_threshold=side.near_threshold, reach=side.reach)
    shift = mean_shift(side, terms)
    return made(
        mean=side.mean,
        n=len(side.values),
        interval=None if shift is None else shift.interval,
        values=tuple(float(value) for value in side.values),
        prompts=side.prompts,
        near_threshold=None if side.near is None else side.near.sentence(side.unit),
        reach=None if side.near is None else side.near.around(side.mean),
        spreads=spreads(side, terms.over),
    )


def spreads(of: Measurement, over: Sequence[Over]) -> tuple[Spread, ...]:
    """Return how far the units scatter from which a printed mean would be another draw.

    They are templates, also where there is one, as a source may have used another wording; topics where a claim is of
    these wordings alone, and where a record has one wording, the one that the source printed.
    """
    recorded = of.run is not None and len(mean_by(of, "templates")) == 1
    units: tuple[Over, ...] = tuple(dict.fromkeys(over)) or (("topics",) if recorded else ("templates",))
    size, means = float(np.abs(of.values).max()), [array(mean_by(of, one)) for one in units]
    deviations = (float(one.std(ddof=1)) if len(one) > 1 and varies(one, size) else 0.0 for one in means)
    return tuple(Spread(units=one, n=len(m), deviation=d) for one, m, d in zip(units, means, deviations, strict=True))


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A shift between two measurements stands here with the units that it was tested over.

    `unit_values` are the numbers that the test saw; a reader gets `shift.estimate` and `shift.p` from them again. Over
    templates and topics they are the templates', then the differences of the topics. `paired` says whether every
    unit has its partner on the other side, read on the same prompts. `pairs` are rows, of the first side and the
    second, of templates that share a frame. `n_units` counts templates, or topics where only they are the units.
    """

    shift: Shift
    units: str
    n_units: tuple[int, int]
    n_topics: int
    scope: str
    paired: bool
    pairs: Pairs
    unit_values: tuple[UnitValue, ...]


@dataclass(frozen=True, kw_only=True)
class _ByUnit:
    """Two measurements are averaged by template and by topic; templates are paired where both sides read the same."""

    a: str
    b: str
    templates_a: Means
    templates_b: Means
    topics: Means
    paired: bool
    pairs: Pairs
    near: str


def compare(a: Measurement, b: Measurement, terms: Terms) -> Compared | str:
    """Choose the units and test, at the level 1 - alpha; a sentence says why there is no test where there is none.

    The units are those of `terms.over`. If that names nothing, they are templates where both sides have several, else
    topics. Where most templates are without most topics, topics are units as well.
    """
    means = _by_unit(a, b)
    several = min(len(means.templates_a), len(means.templates_b)) > 1 and means.topics
    usual: Over = "templates" if several else "topics"
    wanted: frozenset[Over] = frozenset(terms.over or (usual,))
    if "templates" in wanted and not means.paired and len(means.topics) > 1 and _sparse(a, b, means):
        wanted = frozenset(("templates", "topics"))
    if "topics" in wanted:
        means = replace(means, pairs=(), near=copies_in_words(a.prompts, b.prompts))  # frames are of templates alone
    return _cannot(means, wanted, terms.alpha) or _tested(means, wanted, terms)


def _tested(means: _ByUnit, wanted: frozenset[Over], terms: Terms) -> Compared:
    of_a, of_b, topics = array(means.templates_a), array(means.templates_b), array(means.topics)
    alpha, seed, both = terms.alpha, terms.seed, f"{means.a} - {means.b}"
    n_units, wordings, how = (len(of_a), len(of_b)), f"{len(of_a)} + {len(of_b)} templates{means.near}", ""
    by_template = unit_values(means.a, means.templates_a) + unit_values(means.b, means.templates_b)
    if means.paired:  # two arms on the same prompts: each template is its own control
        wordings, how = f"{len(of_a)} templates{means.near}", ", paired"
        differences = {template: value - means.templates_b[template] for template, value in means.templates_a.items()}
        by_template = unit_values(both, differences)
    elif framed := len(means.pairs):
        wordings, how = f"{wordings}, {framed} of them pairs by frame", f", {framed} pairs by frame"
    by_topic, size = unit_values(both, means.topics), float(np.abs([*of_a, *of_b]).max())  # whose rounding counts
    made = partial(Compared, n_units=n_units, n_topics=len(topics), paired=means.paired, pairs=means.pairs)
    if len(wanted) > 1:
        shift = crossed_shift(of_a, of_b, topics, alpha=alpha, seed=seed, paired=means.paired)
        scope, units = f"{wordings} and {len(topics)} topics", f"templates and topics{how}"
        return made(shift=shift, units=units, scope=scope, unit_values=by_template + by_topic)
    if "topics" in wanted:
        fixed = "this wording only" if n_units == (1, 1) else f"these {wordings} fixed"
        shift = paired_shift(topics, alpha=alpha, seed=seed, scale=size)
        made = partial(made, n_units=(len(topics), len(topics)), paired=True)
        scope = f"{fixed}, over {len(topics)} topics"
        return made(shift=shift, units="topics, paired", scope=scope, unit_values=by_topic)
    if means.paired:
        shift = paired_shift(np.array([unit.value for unit in by_template]), alpha=alpha, seed=seed, scale=size)
    else:
        shift = unpaired_shift(of_a, of_b, alpha=alpha, seed=seed, pairs=means.pairs)
    scope = f"these {wordings}{_alone(means.topics)}"
    return made(shift=shift, units=f"templates{how}", scope=scope, unit_values=by_template)


def _cannot(means: _ByUnit, wanted: frozenset[Over], alpha: float) -> str | None:
    """Say why there is no test over the units wanted, and what would make one."""
    topics, both = len(means.topics), f"the prompts of {means.a} and {means.b}"
    if not topics:
        return f"{both} share no topic, on which they could be compared"
    fewest, single = min((len(means.templates_a), means.a), (len(means.templates_b), means.b), key=itemgetter(0))
    if "templates" in wanted and fewest < 2:  # noqa: PLR2004 - one wording is one unit
        least = least_units(alpha, paired=means.paired)
        return (
            f"the claim is to hold for other templates, and {single} has a single one; "
            f"{least} or more a style would test it, and over=('topics',) states it of this wording only"
        )
    if "topics" in wanted and topics < 2:  # noqa: PLR2004 - the same of topics
        least = least_units(alpha, paired=True)
        return f"{both} share 1 topic; at least 2 are needed to pair them, and {least} to decide"
    return None


def _by_unit(a: Measurement, b: Measurement) -> _ByUnit:
    topics_a, topics_b, pairs = mean_by(a, "topics"), mean_by(b, "topics"), ()
    shared = sorted(topics_a.keys() & topics_b.keys())
    made_from_a, made_from_b = ([(prompt.template, prompt.topic) for prompt in side.prompts] for side in (a, b))
    paired = made_from_a == made_from_b  # two arms on the same prompts, or words pasted into the same
    if paired or not shared:
        templates_a, templates_b = mean_by(a, "templates"), mean_by(b, "templates")
    else:
        level = {topic: (topics_a[topic] + topics_b[topic]) / 2 for topic in shared}
        templates_a, templates_b = _levelled(a, level), _levelled(b, level)
        framed = partners(*([prompt for prompt in side.prompts if prompt.topic in level] for side in (a, b)))
        pairs = tuple((list(templates_a).index(one), list(templates_b).index(other)) for one, other in framed)
    return _ByUnit(
        a=a.label,
        b=b.label,
        templates_a=templates_a,
        templates_b=templates_b,
        topics={topic: topics_a[topic] - topics_b[topic] for topic in shared},
        paired=paired,
        pairs=pairs,
        near=copies_in_words(a.prompts, b.prompts) + unpaired_in_words(a.prompts, b.prompts),
    )


def _sparse(a: Measurement, b: Measurement, means: _ByUnit) -> bool:
    """Decide whether most templates are without most topics, as where each topic has wordings of its own.

    The level of a topic is then that of few prompts, whose own scatter goes with it: 8 + 8 templates, each on a topic
    of its own, would be found to differ in 18 of 100 cases where nothing does. So the topics count as units as well.
    """
    return any(
        2 * len({(unit, one.topic) for unit, one in zip(unit_of(side), side, strict=True) if one.topic in means.topics})
        <= len(templates) * len(means.topics)
        for side, templates in ((a.prompts, means.templates_a), (b.prompts, means.templates_b))
        if len(templates) > 2  # noqa: PLR2004 - two alone find nothing anyway
    )


def _levelled(of: Measurement, level: Means) -> Means:
    """Take the mean of each template over the topics that both sides share, each topic's own level taken out."""
    shared = of.select(np.array([prompt.topic in level for prompt in of.prompts]))
    levels = np.array([level[prompt.topic] for prompt in shared.prompts])
    return mean_by(replace(shared, values=shared.values - levels + array(level).mean()), "templates")


def needed(units: str, have: int, wanted: int | None, *, a_unit: float, shift: Shift | None = None) -> Needed:
    """Ask for so many units where there are `have`, with `a_unit` prompts each; None where no plan reaches so far.

    Of a shift, which is open, they are at least those that its test needs, and more than there are.
    """
    if shift is not None and shift.smallest_p >= shift.alpha:
        wanted = max(least_units(shift.alpha, paired=shift.paired), wanted or 0)
    elif shift is not None and wanted is not None:
        wanted = max(wanted, have + 1)
    wanted = None if wanted is None or wanted > MOST_UNITS else wanted
    return Needed(units=units, have=have, wanted=wanted, prompts=wanted and ceil(wanted * a_unit))


def needed_in_words(what: Needed, shift: Shift | None = None, *, at: str = "effect and spread") -> str:
    """Say in a sentence what would decide it."""
    if shift is not None and shift.estimate and not shift.effect:  # of a crossed shift
        return "Templates and topics point to opposite sides, which no number of them decides"
    if shift is not None and shift.smallest_p >= shift.alpha:
        least = least_units(shift.alpha, paired=what.units != "templates a style")
        return f"{what.have} {what.units} cannot reach it whatever the values; {least} can"
    if what.wanted is None:
        return f"At this {at.rsplit(maxsplit=1)[-1]} more than {MOST_UNITS:,} {what.units} would be needed"
    return f"About {what.wanted} {what.units} would decide it at this {at}"
