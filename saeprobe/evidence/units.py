"""Two measurements are compared over units of replication, templates or topics; here they are chosen and tested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import numpy as np

from saeprobe.claims import Over
from saeprobe.evidence.evidence import Evidence, Kind, Needed, Sample, Spread, Terms, UnitValue, undecided
from saeprobe.evidence.values import Measurement, PrintedNumber, Quantity, Summary
from saeprobe.prompts import Prompt
from saeprobe.prompts.wordings import copies, copies_in_words, partners, unit_of
from saeprobe.statistics.intervals import MOST_UNITS, beside_hall, least_units
from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import Shift, crossed_shift, paired_shift, unpaired_shift, varies

Means = dict[str, float]
Pairs = tuple[tuple[int, int], ...]


def mean_by(of: Measurement, over: Over) -> Means:
    """Take the mean over the prompts of each template, or of each topic, in order of first appearance.

    Templates that are near copies are one unit, of which each counts alike.
    """
    return _means(of.prompts, of.values, over)


def _means(prompts: Sequence[Prompt], values: Iterable[float], over: Over) -> Means:
    names = unit_of(prompts) if over == "templates" else [prompt.topic for prompt in prompts]
    groups: dict[str, dict[str, list[float]]] = {}
    for name, prompt, value in zip(names, prompts, values, strict=True):
        wording = prompt.template if over == "templates" else ""
        groups.setdefault(name, {}).setdefault(wording, []).append(float(value))
    return {name: _mean([_mean(one) for one in of.values()]) for name, of in groups.items()}


def _mean(of: list[float]) -> float:
    return float(np.add.reduce(of)) / len(of)  # of a few numbers np.mean takes several times as long


def _array(means: Means) -> Units:
    return np.array(list(means.values()))


def _unit_values(side: str, means: Means) -> tuple[UnitValue, ...]:
    return tuple(UnitValue(side=side, unit=unit, value=value) for unit, value in means.items())


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
        return _unit_values(of.label, templates), what, f"these {len(templates)} templates{near}{_alone(topics)}"
    fixed = "this wording only" if len(templates) == 1 else f"these {len(templates)} templates fixed"
    over_topics = "over 1 topic" if len(topics) == 1 else f"over {len(topics)} topics"
    return _unit_values(of.label, topics), what, f"{fixed}, {over_topics}"


def mean_shift(of: Measurement, terms: Terms, bound: float = 0.0) -> Shift | None:
    """Test how far the mean of a measurement lies above `bound`, over its units; None where there is one of a sort.

    Of sign flips and Hall's transformation the larger p and the outer ends count; of templates and topics both add up.
    """
    sorts = [_array(mean_by(of, over)) - bound for over in sorted(set(terms.over) or {unit_means(of)[1]}, key=str)]
    if min(map(len, sorts)) < 2:  # noqa: PLR2004 - one unit has no spread
        return None
    if len(sorts) == 1:
        shift = paired_shift(sorts[0], alpha=terms.alpha, seed=terms.seed)
    else:
        shift = crossed_shift(sorts[0], 0 * sorts[0], sorts[1], alpha=terms.alpha, seed=terms.seed, paired=True)
    if shift.interval is not None:
        p, interval = beside_hall(shift.p, shift.interval, sorts, alpha=terms.alpha)
        shift = replace(shift, p=p, interval=interval, test=f"{shift.test} or Hall's transformation, the larger p")
    return shift


def sample_of(side: Quantity | PrintedNumber, terms: Terms) -> Sample:
    """Keep one side of a comparison as evidence does, the mean of a measurement with its interval over units."""
    made = partial(Sample, label=side.label, measure=side.measure, unit=side.unit)
    if isinstance(side, PrintedNumber):
        return made(mean=float(side.value), n=side.n)
    if isinstance(side, Summary):
        near, reach = side.near_threshold, side.reach
        return made(mean=side.value, n=side.n, place=side.place, near_threshold=near, reach=reach, run=side.run)
    shift = mean_shift(side, terms)
    return made(
        mean=side.mean,
        n=len(side.values),
        interval=None if shift is None else shift.interval,
        values=tuple(float(value) for value in side.values),
        prompts=side.prompts,
        place=side.place,
        near_threshold=None if side.near is None else side.near.sentence(side.unit),
        reach=None if side.near is None else side.near.around(side.mean),
        run=side.run,
        spreads=spreads(side, terms.over),
    )


def spreads(of: Measurement, over: Sequence[Over]) -> tuple[Spread, ...]:
    """Return how far the units scatter from which a printed mean would be another draw.

    They are templates, also where there is one: a source may have used another wording. They are topics where a claim
    is of these wordings alone, and where a record has one wording, which is the one that the source printed.
    """
    recorded = of.run is not None and len(mean_by(of, "templates")) == 1
    units: tuple[Over, ...] = tuple(dict.fromkeys(over)) or (("topics",) if recorded else ("templates",))
    means: dict[Over, Units] = {one: _array(mean_by(of, one)) for one in units}
    size = float(np.abs(of.values).max())
    return tuple(
        Spread(units=one, n=len(of), deviation=float(of.std(ddof=1)) if len(of) > 1 and varies(of, size) else 0.0)
        for one, of in means.items()
    )


def by_feature(*these: Quantity | PrintedNumber) -> tuple[Quantity | PrintedNumber, ...]:
    """Name activations of several features by these, so that they can be compared; return all else as it is."""
    measures = {one.measure for one in these}
    if len(measures) == 1 or not all(one.startswith("activation of feature ") for one in measures):
        return these
    return tuple(replace(one, measure="activation", label=one.name.removeprefix("activation of ")) for one in these)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A shift between two measurements stands here with the units that it was tested over.

    `unit_values` are the numbers that the test saw; a reader gets `shift.estimate` and `shift.p` from them again. Over
    templates and topics they are the templates', then the differences of the topics. `paired` says whether every
    unit has its partner on the other side, read on the same prompts. `pairs` are (row of the first side, row of the
    second) of templates that share a frame, whose labels are dealt within the pair. `copies` are the templates that are
    near copies of each other. `n_units` counts templates, or topics where only they are the units.
    `spread_matters` says that the values are not all 0 or 1.
    """

    shift: Shift
    units: str
    n_units: tuple[int, int]
    n_topics: int
    scope: str
    spread_matters: bool
    paired: bool
    pairs: Pairs
    copies: tuple[tuple[str, ...], ...]
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

    @property
    def fewest(self) -> int:
        return min(len(self.templates_a), len(self.templates_b))


def compare(a: Measurement, b: Measurement, terms: Terms, *, shift_by: float = 0.0) -> Compared | str:
    """Choose the units and test, at the level 1 - alpha; a sentence says why there is no test where there is none.

    The units are those of `terms.over`. If that names nothing, they are templates where both sides have several, else
    topics. Where most templates are without most topics, topics are units as well. `shift_by` is a margin, in the unit
    of the measure, that is first taken from every value of `a`.
    """
    means = _by_unit(a, b, shift_by)
    usual: Over = "templates" if means.fewest > 1 and means.topics else "topics"
    wanted: frozenset[Over] = frozenset(terms.over or (usual,))
    if "templates" in wanted and not means.paired and len(means.topics) > 1 and _sparse(a, b, means):
        wanted = frozenset(("templates", "topics"))
    reason = _cannot(means, wanted, terms.alpha)
    if reason is not None:
        return reason
    if len(wanted) > 1 or "topics" in wanted:
        means = replace(means, pairs=())  # with topics as units too, templates are drawn without regard to frames
    shift, units, scope, unit_values = _tested(means, wanted, terms)
    topics_only, n_topics = "templates" not in wanted, len(means.topics)
    return Compared(
        shift=shift,
        units=units,
        n_units=(n_topics, n_topics) if topics_only else (len(means.templates_a), len(means.templates_b)),
        n_topics=n_topics,
        scope=scope,
        spread_matters=not bool(np.isin(np.concatenate([a.values, b.values]), (0.0, 1.0)).all()),
        paired=topics_only or means.paired,
        pairs=means.pairs,
        copies=copies(a.prompts, b.prompts) if means.near else (),
        unit_values=unit_values,
    )


def _tested(means: _ByUnit, wanted: frozenset[Over], terms: Terms) -> tuple[Shift, str, str, tuple[UnitValue, ...]]:
    """Test over the units wanted; return also what they are called, the scope that they give, and their values."""
    of_a, of_b, topics = _array(means.templates_a), _array(means.templates_b), _array(means.topics)
    alpha, seed, both = terms.alpha, terms.seed, f"{means.a} - {means.b}"
    wordings, paired = f"{len(of_a)} + {len(of_b)} templates{means.near}", ""
    if means.pairs:
        wordings, paired = (
            f"{wordings}, {len(means.pairs)} of them pairs by frame",
            f", {len(means.pairs)} pairs by frame",
        )
    by_template = _unit_values(means.a, means.templates_a) + _unit_values(means.b, means.templates_b)
    if means.paired:  # two arms on the same prompts: each template is its own control
        wordings, paired = f"{len(of_a)} templates{means.near}", ", paired"
        differences = {template: value - means.templates_b[template] for template, value in means.templates_a.items()}
        by_template = _unit_values(both, differences)
    by_topic = _unit_values(both, means.topics)
    if len(wanted) > 1:
        shift = crossed_shift(of_a, of_b, topics, alpha=alpha, seed=seed, paired=means.paired)
        scope = f"{wordings} and {len(topics)} topics"
        return shift, f"templates and topics{paired}", scope, by_template + by_topic
    size = float(np.abs(np.concatenate([of_a, of_b])).max())  # the rounding of all differences depends on it
    if "topics" in wanted:
        fixed = "this wording only" if len(of_a) == len(of_b) == 1 else f"these {wordings} fixed"
        shift = paired_shift(topics, alpha=alpha, seed=seed, scale=size)
        return shift, "topics, paired", f"{fixed}, over {len(topics)} topics", by_topic
    if means.paired:
        units = np.array([unit.value for unit in by_template])
        shift = paired_shift(units, alpha=alpha, seed=seed, scale=size)
    else:
        shift = unpaired_shift(of_a, of_b, alpha=alpha, seed=seed, pairs=means.pairs)
    return shift, f"templates{paired}", f"these {wordings}{_alone(means.topics)}", by_template


def _cannot(means: _ByUnit, wanted: frozenset[Over], alpha: float) -> str | None:
    """Say why there is no test over the units wanted, and what would make one."""
    topics, both = len(means.topics), f"the prompts of {means.a} and {means.b}"
    if not topics:
        return f"{both} share no topic, on which they could be compared"
    if "templates" in wanted and means.fewest < 2:  # noqa: PLR2004 - one wording is one unit
        single = means.a if len(means.templates_a) == means.fewest else means.b
        least = least_units(alpha, paired=means.paired)
        return (
            f"the claim is to hold for other templates, and {single} has a single one; "
            f"{least} or more a style would test it, and over=('topics',) states it of this wording only"
        )
    if "topics" in wanted and topics < 2:  # noqa: PLR2004 - the same of topics
        return (
            f"{both} share 1 topic; at least 2 are needed to pair them, and {least_units(alpha, paired=True)} to decide"
        )
    return None


def _by_unit(a: Measurement, b: Measurement, shift_by: float) -> _ByUnit:
    moved = replace(a, values=a.values - shift_by) if shift_by else a
    topics_a, topics_b, pairs = mean_by(moved, "topics"), mean_by(b, "topics"), ()
    shared = sorted(topics_a.keys() & topics_b.keys())
    made_from_a, made_from_b = ([(prompt.template, prompt.topic) for prompt in side.prompts] for side in (a, b))
    paired = made_from_a == made_from_b  # two arms on the same prompts, or words pasted into the same
    if paired:
        templates_a, templates_b = mean_by(moved, "templates"), mean_by(b, "templates")
    else:
        level = {topic: (topics_a[topic] + topics_b[topic]) / 2 for topic in shared}
        templates_a, templates_b = _levelled(moved, level), _levelled(b, level)
        rows = [{unit: row for row, unit in enumerate(side)} for side in (templates_a, templates_b)]
        framed = partners(*([prompt for prompt in side.prompts if prompt.topic in level] for side in (a, b)))
        pairs = tuple((rows[0][one], rows[1][other]) for one, other in framed)
    return _ByUnit(
        a=a.label,
        b=b.label,
        templates_a=templates_a,
        templates_b=templates_b,
        topics={topic: topics_a[topic] - topics_b[topic] for topic in shared},
        paired=paired,
        pairs=pairs,
        near=copies_in_words(a.prompts, b.prompts),
    )


def _sparse(a: Measurement, b: Measurement, means: _ByUnit) -> bool:
    """Decide whether most templates are without most topics, as where each topic has wordings of its own.

    The level of a topic is then that of few prompts, whose own scatter goes with it: 8 + 8 templates, each on a topic
    of its own, would be found to differ in 18 of 100 cases where nothing does. So the topics count as units as well.
    """
    return any(
        2 * len({cell for cell in zip(unit_of(side.prompts), topics, strict=True) if cell[1] in means.topics})
        <= len(templates) * len(means.topics)
        for side, templates in ((a, means.templates_a), (b, means.templates_b))
        for topics in [[prompt.topic for prompt in side.prompts]]
        if len(templates) > 2  # noqa: PLR2004 - two alone find nothing anyway
    )


def _levelled(of: Measurement, level: Means) -> Means:
    """Take the mean of each template over the topics that both sides share, each topic's own level taken out."""
    centre = float(np.mean(list(level.values()))) if level else 0.0
    shared = [(prompt, value) for prompt, value in zip(of.prompts, of.values, strict=True) if prompt.topic in level]
    values = [float(value) - level[prompt.topic] + centre for prompt, value in shared]
    return _means([prompt for prompt, _ in shared], values, "templates")


def at_least(wanted: int | None, shift: Shift, have: int) -> int | None:
    """Raise `wanted` units to those that the test itself needs, and to more than there are."""
    if shift.smallest_p >= shift.alpha:
        return max(least_units(shift.alpha, paired=shift.paired), wanted or 0)
    return None if wanted is None else max(wanted, have + 1)


def needed(units: str, have: int, wanted: int | None, *, a_unit: float) -> Needed:
    """Ask for so many units where there are `have`, with `a_unit` prompts each; None where no plan reaches so far."""
    if wanted is None or wanted > MOST_UNITS:
        return Needed(units=units, have=have, wanted=None)
    return Needed(units=units, have=have, wanted=wanted, prompts=ceil(wanted * a_unit))


def needed_in_words(what: Needed, shift: Shift | None = None, *, at: str = "effect and spread") -> str:
    """Say in a sentence what would decide it."""
    if shift is not None and shift.smallest_p >= shift.alpha:
        least = least_units(shift.alpha, paired=what.units != "templates a style")
        return f"{what.have} {what.units} cannot reach it whatever the values; {least} can"
    if what.wanted is None:
        return f"At this {at.rsplit(maxsplit=1)[-1]} more than {MOST_UNITS:,} {what.units} would be needed"
    return f"About {what.wanted} {what.units} would decide it at this {at}"


def refuse_controls(kind: Kind, terms: Terms) -> None:
    """Refuse controls: they rule out what else could explain a difference between two sides; other kinds have none."""
    if terms.controls:
        raise TypeError(
            f"a comparison of the kind {kind!r} takes no controls, and the claim asks for {', '.join(terms.controls)}; "
            "state it in a claim of its own, without controls=..."
        )


def untested(kind: Kind, statement: str, a: Measurement, b: Measurement, why: str, terms: Terms) -> Evidence:
    """Make the evidence on two measurements that could not be tested, and say why."""
    sides = sample_of(a, terms), sample_of(b, terms)
    return undecided(kind, statement, *sides, why, "these prompts only", "nothing is decided without a test")
