"""Replication: over which units two measurements are compared, templates or topics, and the test over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Literal

import numpy as np

from saeprobe.claims import Over
from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Kind, Needed, Sample, UnitValue, current_terms
from saeprobe.statistics.permutation import Units, drawing_told
from saeprobe.statistics.power import MOST_UNITS, least_units
from saeprobe.statistics.shifts import Shift, crossed_shift, paired_shift, unpaired_shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


Means = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A shift between two measurements and the units it was tested over.

    `unit_values` are the numbers that the test saw; a reader gets `shift.estimate` and `shift.p` from them again. Over
    templates and topics they are the templates', then the differences of the topics. `paired` says whether every
    unit has its partner on the other side. `n_units` counts templates, or topics where only they are the units.
    """

    shift: Shift
    units: str
    n_units: tuple[int, int]
    n_topics: int
    scope: str
    spread_matters: bool
    paired: bool
    unit_values: tuple[UnitValue, ...]


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """Two measurements by template and by topic. Templates are paired where both sides read the same ones."""

    a: str
    b: str
    templates_a: Means
    templates_b: Means
    topics: Means
    paired: bool

    @property
    def fewest(self) -> int:
        return min(len(self.templates_a), len(self.templates_b))

    @property
    def size(self) -> float:
        """The largest mean, on which the rounding of all differences depends."""
        return max(abs(mean) for mean in (*self.templates_a.values(), *self.templates_b.values()))

    @property
    def wordings(self) -> str:
        """`8 + 8 templates`, or `8 templates` that both sides share."""
        count = f"{len(self.templates_a)}" if self.paired else f"{len(self.templates_a)} + {len(self.templates_b)}"
        return f"{count} templates"

    def differences(self) -> Means:
        """By template, where they are paired."""
        return {template: value - self.templates_b[template] for template, value in self.templates_a.items()}

    def of_templates(self) -> tuple[UnitValue, ...]:
        if self.paired:
            return _unit_values(f"{self.a} - {self.b}", self.differences())
        return _unit_values(self.a, self.templates_a) + _unit_values(self.b, self.templates_b)

    def of_topics(self) -> tuple[UnitValue, ...]:
        return _unit_values(f"{self.a} - {self.b}", self.topics)


def compare(
    a: Measurement,
    b: Measurement,
    *,
    alpha: float,
    seed: int,
    over: Sequence[Over] | None = None,
    shift_by: float = 0.0,
) -> Compared | str:
    """Choose the units and test; a sentence saying why there is no test where there is none.

    Args:
        a: one side.
        b: the other.
        alpha: level of the test; its interval is at 1 - alpha.
        seed: of what is drawn, where there is more than can be counted.
        over: what the difference is to hold for; None: what the claim declares. If it names nothing, templates where
            both sides have several, else topics. Where most templates are without most topics, topics as well.
        shift_by: a margin, in the unit of the measure, that is first taken from every value of `a`.
    """
    sides = _sides(a, b, shift_by)
    wanted: frozenset[Over] = frozenset(current_terms().over if over is None else over)
    if not wanted:
        wanted = frozenset(("templates",) if sides.fewest > 1 and sides.topics else ("topics",))
    if "templates" in wanted and not sides.paired and len(sides.topics) > 1 and _sparse(a, b, sides):
        wanted = frozenset(("templates", "topics"))
    reason = _cannot(sides, wanted, alpha)
    if reason is not None:
        return reason
    shift, units, scope, unit_values = _tested(sides, wanted, alpha, seed)
    topics_only = "templates" not in wanted
    n_topics = len(sides.topics)
    return Compared(
        shift=shift,
        units=units,
        n_units=(n_topics, n_topics) if topics_only else (len(sides.templates_a), len(sides.templates_b)),
        n_topics=n_topics,
        scope=scope,
        spread_matters=not bool(np.isin(np.concatenate([a.values, b.values]), (0.0, 1.0)).all()),
        paired=topics_only or sides.paired,
        unit_values=unit_values,
    )


def _tested(
    sides: _Sides, wanted: frozenset[Over], alpha: float, seed: int
) -> tuple[Shift, str, str, tuple[UnitValue, ...]]:
    """The test over the units wanted, what they are called, the scope that they give, and their values."""
    of_a, of_b, topics = _array(sides.templates_a), _array(sides.templates_b), _array(sides.topics)
    paired = ", paired" if sides.paired else ""
    if len(wanted) > 1:
        shift = crossed_shift(of_a, of_b, topics, alpha=alpha, seed=seed, paired=sides.paired)
        values = sides.of_templates() + sides.of_topics()
        return shift, f"templates and topics{paired}", f"{sides.wordings} and {len(topics)} topics", values
    if "topics" in wanted:
        fixed = "this wording only" if len(of_a) == len(of_b) == 1 else f"these {sides.wordings} fixed"
        shift = paired_shift(topics, alpha=alpha, seed=seed, scale=sides.size)
        return shift, "topics, paired", f"{fixed}, over {len(topics)} topics", sides.of_topics()
    if sides.paired:  # two arms on the same prompts: each template is its own control
        shift = paired_shift(_array(sides.differences()), alpha=alpha, seed=seed, scale=sides.size)
    else:
        shift = unpaired_shift(of_a, of_b, alpha=alpha, seed=seed)
    return shift, f"templates{paired}", f"these {sides.wordings}{_alone(sides.topics)}", sides.of_templates()


def _cannot(sides: _Sides, wanted: frozenset[Over], alpha: float) -> str | None:
    """Why there is no test over the units wanted, and what would make one."""
    topics, both = len(sides.topics), f"the prompts of {sides.a} and {sides.b}"
    if not topics:
        return f"{both} share no topic, on which they could be compared"
    if "templates" in wanted and sides.fewest < 2:  # noqa: PLR2004 - one wording is one unit
        single = sides.a if len(sides.templates_a) == sides.fewest else sides.b
        least = least_units(alpha, paired=sides.paired)
        return (
            f"the claim is to hold for other templates, and {single} has a single one; "
            f"{least} or more a style would test it, and over=('topics',) states it of this wording only"
        )
    if "topics" in wanted and topics < 2:  # noqa: PLR2004 - the same of topics
        return (
            f"{both} share 1 topic; at least 2 are needed to pair them, and {least_units(alpha, paired=True)} to decide"
        )
    return None


def _sides(a: Measurement, b: Measurement, shift_by: float) -> _Sides:
    moved = replace(a, values=a.values - shift_by) if shift_by else a
    topics_a, topics_b = mean_by(moved, "topic"), mean_by(b, "topic")
    shared = sorted(topics_a.keys() & topics_b.keys())
    paired = _wordings(a) == _wordings(b)
    if paired:
        templates_a, templates_b = mean_by(moved, "template"), mean_by(b, "template")
    else:
        level = {topic: (topics_a[topic] + topics_b[topic]) / 2 for topic in shared}
        templates_a, templates_b = _levelled(moved, level), _levelled(b, level)
    return _Sides(
        a=a.label,
        b=b.label,
        templates_a=templates_a,
        templates_b=templates_b,
        topics={topic: topics_a[topic] - topics_b[topic] for topic in shared},
        paired=paired,
    )


def _wordings(of: Measurement) -> list[tuple[str, str]]:
    """What each prompt was made from; alike for two arms on the same prompts, and for words pasted into the same."""
    return [(prompt.template, prompt.topic) for prompt in of.prompts]


def _sparse(a: Measurement, b: Measurement, sides: _Sides) -> bool:
    """Whether most templates are without most topics, as where each topic has wordings of its own.

    The level of a topic is then that of few prompts, whose own scatter goes with it: 8 + 8 templates, each on a topic
    of its own, would be found to differ in 18 of 100 cases where nothing does. So the topics count as units as well.
    """
    return any(
        2 * len({(prompt.template, prompt.topic) for prompt in side.prompts if prompt.topic in sides.topics})
        <= len(templates) * len(sides.topics)
        for side, templates in ((a, sides.templates_a), (b, sides.templates_b))
        if len(templates) > 2  # noqa: PLR2004 - two can be told from nothing anyway
    )


def _levelled(of: Measurement, level: Means) -> Means:
    """Mean of each template over the topics that both sides share, each topic's own level taken out."""
    centre = float(np.mean(list(level.values()))) if level else 0.0
    by_template: dict[str, list[float]] = {}
    for prompt, value in zip(of.prompts, of.values, strict=True):
        if prompt.topic in level:
            by_template.setdefault(prompt.template, []).append(float(value) - level[prompt.topic] + centre)
    return {template: float(np.mean(values)) for template, values in by_template.items()}


def unit_means(of: Measurement, over: Sequence[Over] = ()) -> tuple[tuple[UnitValue, ...], Over, str]:
    """The units behind one measurement, what they are, and the scope that they give.

    Raises:
        TypeError: they are to be templates and topics at once, which is two sorts of units.
    """
    templates, topics = mean_by(of, "template"), mean_by(of, "topic")
    if len(set(over)) > 1:
        raise TypeError(f"{of.name} alone is held against a number over templates or over topics; state one")
    what: Over = over[0] if over else "templates" if len(templates) > 1 else "topics"
    if what == "templates":
        return _unit_values(of.label, templates), what, f"these {len(templates)} templates{_alone(topics)}"
    fixed = "this wording only" if len(templates) == 1 else f"these {len(templates)} templates fixed"
    over_topics = "over 1 topic" if len(topics) == 1 else f"over {len(topics)} topics"
    return _unit_values(of.label, topics), what, f"{fixed}, {over_topics}"


def _alone(topics: Means) -> str:
    """That templates were read on one topic only, which a reader would not expect."""
    return f" on the topic {next(iter(topics))!r} alone" if len(topics) == 1 else ""


def mean_by(of: Measurement, what: Literal["template", "topic"]) -> Means:
    """Mean over the prompts of each template, or of each topic, in order of first appearance."""
    groups: dict[str, list[float]] = {}
    for prompt, value in zip(of.prompts, of.values, strict=True):
        groups.setdefault(getattr(prompt, what), []).append(float(value))
    return {group: float(np.mean(values)) for group, values in groups.items()}


def mean_shift(of: Measurement, *, alpha: float, seed: int, over: Sequence[Over] = ()) -> Shift | None:
    """How far the mean of a measurement lies above zero, over its units; None where there is only one of a sort.

    Over templates and topics at once both add to the chance, as in `compare`.
    """
    templates, topics = (_array(mean_by(of, what)) for what in ("template", "topic"))
    if len(set(over)) > 1:
        if min(len(templates), len(topics)) < 2:  # noqa: PLR2004 - one unit has no spread
            return None
        return crossed_shift(templates, np.zeros(len(templates)), topics, alpha=alpha, seed=seed, paired=True)
    units = templates if unit_means(of, over)[1] == "templates" else topics
    return paired_shift(units, alpha=alpha, seed=seed) if len(units) > 1 else None


def mean_interval(of: Measurement) -> tuple[float, float] | None:
    """Interval of the mean over the units of replication; None where no test can give one."""
    terms = current_terms()
    shift = mean_shift(of, alpha=terms.alpha, seed=terms.seed, over=terms.over)
    return None if shift is None else shift.interval


def _unit_values(side: str, means: Means) -> tuple[UnitValue, ...]:
    return tuple(UnitValue(side=side, unit=unit, value=value) for unit, value in means.items())


def _array(means: Means) -> Units:
    return np.array(list(means.values()))


def needed_between(a: Measurement, b: Measurement, compared: Compared, alpha: float, *, wanted: int | None) -> Needed:
    """What would decide a comparison of two sides for which the effect and spread as measured ask `wanted` units."""
    shift, (n_a, n_b), paired = compared.shift, compared.n_units, compared.paired
    names = "topics" if compared.units.startswith("topics") else "templates" if paired else "templates a style"
    return needed(
        names,
        min(n_a, n_b),
        at_least(wanted, shift, min(n_a, n_b), alpha, paired=paired),
        a_unit=len(a.prompts) / n_a + len(b.prompts) / n_b,
    )


def at_least(wanted: int | None, shift: Shift, have: int, alpha: float, *, paired: bool) -> int | None:
    """`wanted` units, but never fewer than the test itself needs, and more than there are."""
    if shift.smallest_p >= alpha:
        return max(least_units(alpha, paired=paired), wanted or 0)
    return None if wanted is None else max(wanted, have + 1)


def needed(units: str, have: int, wanted: int | None, *, a_unit: float) -> Needed:
    """So many units where there are `have`, with `a_unit` prompts each; None where no plan reaches so far."""
    if wanted is None or wanted > MOST_UNITS:
        return Needed(units=units, have=have, wanted=None)
    return Needed(units=units, have=have, wanted=wanted, prompts=ceil(wanted * a_unit))


def needed_in_words(what: Needed, shift: Shift, alpha: float) -> str:
    """What would decide it, in a sentence."""
    if shift.smallest_p >= alpha:
        pairs, sides = least_units(alpha, paired=True), least_units(alpha, paired=False)
        return (
            f"{what.have} {what.units} cannot reach it whatever the values; "
            f"{sides} templates a style, or {pairs} topics, can"
        )
    if what.wanted is None:
        return f"At this spread more than {MOST_UNITS:,} {what.units} would be needed"
    return f"About {what.wanted} {what.units} would decide it at this effect and spread"


Judged = tuple[EvidenceOutcome, str]


def sample_of(of: Measurement) -> Sample:
    """The values of a measurement as evidence keeps them, with the interval of their mean over templates."""
    return Sample(
        label=of.label,
        measure=of.measure,
        unit=of.unit,
        mean=of.mean,
        n=len(of.values),
        interval=mean_interval(of),
        values=tuple(float(value) for value in of.values),
        prompts=of.prompts,
        place=of.place,
        near_threshold=None if of.near is None else of.near.sentence(of.unit),
        near_moves=None if of.near is None else float(of.near.moves.mean()),
    )


def summaries(kind: Kind, statement: str, a: Sample, b: Sample) -> Evidence:
    """Evidence where a side is a bare summary: the numbers, and no interval made up around them."""
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=(
            f"only summaries are recorded, {a.mean:.4g} against {b.mean:.4g} {a.unit}: without the values of each "
            "prompt nothing tells chance from effect; a features_layer50.pt of the same run would decide it"
        ),
        scope="the recorded summaries",
        unit=a.unit,
        estimate=a.mean - b.mean,
        samples=(a, b),
        rule="a mean without the values behind it decides nothing",
    )


def refuse_controls(kind: Kind) -> None:
    """Controls rule out what else could explain a difference between two sides; other kinds have none.

    Raises:
        TypeError: the claim in force asks for controls.
    """
    controls = current_terms().controls
    if controls:
        raise TypeError(
            f"a comparison of the kind {kind!r} takes no controls, and the claim asks for {', '.join(controls)}; "
            "state it in a claim of its own, without controls=..."
        )


def tested(
    kind: Kind, statement: str, a: Measurement, b: Measurement, compared: Compared, judged: Judged, alpha: float
) -> Evidence:
    """Evidence on two measurements that were tested."""
    shift = compared.shift
    return Evidence(
        kind=kind,
        statement=statement,
        outcome=judged[0],
        reason=judged[1],
        scope=compared.scope,
        unit=a.unit,
        estimate=shift.estimate,
        interval=shift.interval,
        level=1 - alpha,
        p=shift.p,
        alpha=alpha,
        test=f"{shift.test} ({compared.units})",
        seed=shift.seed,
        units=compared.units,
        n_units=compared.n_units,
        samples=(sample_of(a), sample_of(b)),
        unit_values=compared.unit_values,
        continuations=tuple((side.label, *told) for side in (a, b) for told in side.continuations),
    )


def by_hand(compared: Compared) -> str:
    """How the units, the interval and what was drawn come about, to go on after a rule."""
    of_templates = (
        "a template's is its mean over the topics that both sides have, each prompt less the mean of its topic over "
        "both sides and plus the mean of these means"
    )
    of_differences = "a unit's is its mean on the first side less that on the second"
    what = of_differences if compared.paired else of_templates
    if compared.units.startswith("templates and"):
        what += "; a topic's is its difference of the sides, taken less their mean and times sqrt(n / (n - 1))"
    told = f". Of the unit values {what}. The interval holds what can be taken off the first side without rejection"
    return told + drawing_told(compared.shift.seed)


def untested(kind: Kind, statement: str, a: Measurement, b: Measurement, why: str) -> Evidence:
    """Evidence on two measurements that could not be tested, and why."""
    return Evidence(
        kind=kind,
        statement=statement,
        outcome="inconclusive",
        reason=why,
        scope="these prompts only",
        unit=a.unit,
        estimate=a.mean - b.mean,
        samples=(sample_of(a), sample_of(b)),
        rule="nothing is decided without a test",
    )
