"""What was read is counted once more: against a repeat of a style, printed counts, other features, other protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from saeprobe.claims import NotRun, Published
from saeprobe.evidence import Evidence, Judged, Sample, Terms, current_terms, record
from saeprobe.evidence.bounds import always
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.printed import PROMPTS, as_published
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Comparable, Measurement, Quantity
from saeprobe.features import Features
from saeprobe.files import visible
from saeprobe.measures.activity import firing_rate
from saeprobe.measures.reading import Readable, captured, feature_number, feature_numbers, refuse_unread, shown
from saeprobe.measures.separation import others
from saeprobe.recorded.record import AS_RECORDED, Recorded, RecordedStyle


def same(a: Readable, b: Readable, *, by: Callable[[Readable], Quantity] | None = None) -> Evidence:
    """Return evidence that a style and its repeat, the same prompts read again, agree on each prompt.

    Compared are the features of each token read, as in `same(styles["standard"], styles["assistant"])`, or a measure:
    `by=effective_rank`. What differs may do so by rounding alone: counts by their features near their threshold, other
    measures by the subject's tolerance as a share of the value, and the features of a token, without those near their
    threshold, by that share of the length of all its activations. Of recorded styles, measures must be equal; that they
    are one style is for the probe to say. A single prompt that differs by more refutes it.

    Raises:
        TypeError: these are no style and its repeat, or `by` does not give one number a prompt.
    """
    _refuse_unrepeated(a, b)
    tolerance = a.tolerance if isinstance(a, Features) else 0.0
    if by is None:
        x = _distances(captured(a), captured(b))
        apart, allowed = x.values, np.full(len(x.values), tolerance)
    else:
        x, y = by(a), by(b)
        if not isinstance(x, Measurement) or not isinstance(y, Measurement):
            what = f"{x.name} is one number of all prompts"
            raise TypeError(f"{what}; same() takes a measure that is one number a prompt")
        higher = x.values > y.values
        near = [
            np.zeros(len(higher)) if one.near is None else np.where(falls, one.near.lowers, one.near.raises)
            for one, falls in ((x, higher), (y, ~higher))
        ]
        own = x.near is not None and not x.near.flips  # the tolerance as a share of the value is in it
        share = tolerance if x.unit in ("dimensions", "activation") and not own else 0.0
        apart = np.abs(x.values - y.values)
        allowed = np.maximum(*near) + share * np.maximum(np.abs(x.values), np.abs(y.values))
    names, at = (a.label, b.label), int(np.argmax(apart))
    agree = replace(
        x, label=" and ".join(names), unit="share of prompts", values=(apart <= allowed) * 1.0, near=None, features=()
    )
    found = always(agree, 1, current_terms())
    most = f"they differ most by {apart[at]:.3g} {x.unit}, on {x.prompts[at].text!r}" if apart[at] else "all are equal"
    statement = f"{x.measure} of {names[0]} = {x.measure} of {names[1]} on each prompt"
    return record(replace(found, statement=statement, reason=f"{found.reason}; {most}"))


def _distances(a: Features, b: Features) -> Measurement:
    """Measure how far the activations of two readings lie apart on each prompt, at the token where most."""
    x, y = a.encoded, b.encoded
    apart = x - y
    for near in (a.near, b.near):
        apart = apart if near is None else apart - apart.multiply(near)
    lengths = np.sqrt(np.maximum(*(one.multiply(one).sum(axis=1) for one in (x, y))))
    distance = np.sqrt(apart.multiply(apart).sum(axis=1))
    values = np.zeros(len(a))
    np.maximum.at(values, a.row_prompt, np.divide(distance, lengths, out=np.zeros(len(lengths)), where=lengths > 0))
    made = partial(Measurement, measure="features", label="", unit="of their length", values=values)
    return made(prompts=a.prompts, place=a.place, run=a.run)


def _refuse_unrepeated(a: Readable, b: Readable) -> None:
    """Raise where two sides are no style and its repeat; a record says nothing of this, who names its styles does."""
    declared = isinstance(a, RecordedStyle) and isinstance(b, RecordedStyle)
    if not declared:
        x, y = captured(a), captured(b)
        recorded = all(prompt.template == AS_RECORDED for prompt in x.prompts)
        read = [(of.subject, of.place, [one.topic if recorded else one.text for one in of.prompts]) for of in (x, y)]
        again = {*x.whole.repeats, *y.whole.repeats}
        declared = read[0] == read[1] and (recorded or not again.isdisjoint((*x.styles, *y.styles)))
    if not declared or a.label == b.label:
        raise TypeError(
            f"{a.label} and {b.label} are no style and its repeat, read at the same tokens; where they are "
            f'to be, a prompt file says repeats = "{a.label}" under [styles.{b.label}]'
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Firings(Comparable):  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """Firings hold, by style, the number of prompts on which one feature fires; `==` takes printed counts."""

    styles: Features | Recorded
    feature: int
    unit: str = PROMPTS

    @property
    def measure(self) -> str:
        """Name what is counted: `firings of feature 17913`."""
        return f"firings of feature {self.feature}"

    @property
    def name(self) -> str:
        """Name it with where it is counted."""
        return f"{self.measure} in {self.styles!r}"

    def __repr__(self) -> str:
        return visible(f"<{self.name}>")

    def __getitem__(self, style: str) -> Quantity:
        """Return the count of one style.

        Raises:
            KeyError: a capture has no prompt of it.
            NotRun: a record holds nothing of it, does not list the feature, or gives shares of unknown prompts.
        """
        return _counted(firing_rate(self.styles[style], self.feature), self.measure)

    def __eq__(self, printed: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        if not isinstance(printed, Published):
            raise TypeError(f"{self!r} == {shown(printed)}; wanted published(novice=50, unit='{PROMPTS}', n=50)")
        return record(as_published(self, printed, current_terms()))


def firings(styles: Features | Recorded, feature: int) -> Firings:
    """Count on how many prompts of each style a feature fires: `firings(styles, 17913) == published(novice=50, ...)`.

    Raises:
        TypeError: `feature` is not one whole number, or `styles` is neither a capture nor a record.
    """
    if not isinstance(styles, Features | Recorded):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        raise TypeError(f"{shown(styles)} holds no styles; give what a capture read, as in firings(styles, 17913)")
    return Firings(styles=styles, feature=feature_number(feature))


def _counted(rate: Quantity, measure: str) -> Quantity:
    """Turn a rate into the number of prompts: each value counts for all, so that their mean is the number."""
    if isinstance(rate, Measurement):
        n = len(rate.values)
        near = rate.near and replace(rate.near, lowers=rate.near.lowers * n, raises=rate.near.raises * n)
        counts = rate.values * n
        return replace(rate, measure=measure, unit=PROMPTS, values=counts, near=near, under=None)
    if rate.n is None:
        raise NotRun(
            f"{rate.origin} gives a share of {rate.label} prompts and not of how many; a count would decide it"
        )
    return replace(rate, measure=measure, unit=PROMPTS, value=float(round(rate.value * rate.n)))


def fewest(feature: int, among: Sequence[int], of: Readable) -> Evidence:
    """Return evidence that a feature fires on fewer prompts of other styles than each other one of `among`.

    It counts the prompts of all styles that were read or recorded but that of `of`. In a tie neither is the one.

    Raises:
        TypeError: the claim asks for controls, or a feature is no whole number.
        ValueError: `among` has no other feature.
        NotRun: no other style was read, or a record does not count all of these features on each.
    """
    terms = current_terms()
    refuse_controls("ordering", terms)
    refuse_unread(of)
    numbers = tuple(dict.fromkeys((feature_number(feature), *feature_numbers(among))))
    if len(numbers) < 2:  # noqa: PLR2004 - it alone
        raise ValueError(f"fewest() was given feature {feature} alone; name in a list those to hold it against")
    styles = others(of)
    if not styles:
        raise NotRun(f"no style but {of.label} was read or recorded; the others are what it counts")
    for one in styles:
        if isinstance(one, RecordedStyle) and (lacking := [each for each in numbers if each not in one.firing_rates]):
            unlisted = f"feature {', feature '.join(map(str, lacking))} on {one.label} prompts, and all others count"
            raise NotRun(f"{one.origin} does not list {unlisted}; {one.remedy}")
    samples = tuple(_on_all(each, styles, terms) for each in numbers)
    judged = judged_fewest(samples, ", ".join(one.label for one in styles))
    return record(
        Evidence(
            kind="ordering",
            statement=fewest_in_words(samples),
            outcome=judged[0],
            reason=judged[1],
            scope="these prompts only: a count of them, no inference",
            unit=PROMPTS,
            samples=samples,
            rule="supported where each other feature fires on more prompts; refuted where one fires on fewer, or on as "
            "many; inconclusive where features near their threshold could turn the order, and on a single prompt",
        )
    )


def fewest_in_words(samples: Sequence[Sample]) -> str:
    """State that the first of some features fires on the fewest prompts."""
    numbers = ", ".join(one.label.removeprefix("feature ") for one in samples)
    return f"{samples[0].label} fires on the fewest prompts of other styles, of {numbers}"


def judged_fewest(samples: Sequence[Sample], where: str) -> Judged:
    """Decide by their counts on the prompts of some styles whether the first of some features fires on the fewest."""
    own, *rest = samples
    listed = ", ".join(f"{one.label} {one.mean:g}" for one in sorted(rest, key=lambda one: one.mean))
    counts = f"{own.label} fires on {own.mean:g} of {own.n} prompts of {where}; {listed}"
    least = min(one.mean for one in rest)
    reached = ", ".join(one.label for one in rest if one.mean == least)
    moves = [(own.near_moves or 0) + (one.near_moves or 0) for one in rest]
    if (own.n or 0) < 2:  # noqa: PLR2004 - one prompt shows nothing
        return "inconclusive", f"{counts}: at least 2 prompts are needed"
    if any(move and abs(one.mean - own.mean) <= move for one, move in zip(rest, moves, strict=True)):
        return "inconclusive", f"{counts}: nearer to each other than rounding may move them"
    if least <= own.mean:
        return "refuted", f"{counts}: {f'a tie with {reached}' if least == own.mean else f'fewest is {reached}'}"
    return "supported", counts


def _on_all(feature: int, styles: Sequence[Readable], terms: Terms) -> Sample:
    measure = "firings on other styles"
    each = [sample_of(_counted(firing_rate(of, feature), measure), terms) for of in styles]
    reaches = [one.reach for one in each if one.reach is not None]
    return Sample(
        label=f"feature {feature}",
        measure=measure,
        unit=PROMPTS,
        mean=sum(one.mean for one in each),
        n=sum(one.n or 0 for one in each),
        place=each[0].place,
        near_threshold="; ".join(f"{one.label}: {one.near_threshold}" for one in each if one.near_threshold) or None,
        reach=None if len(reaches) < len(each) else (sum(low for low, _ in reaches), sum(high for _, high in reaches)),
        run=each[0].run,
        looked=tuple(dict.fromkeys(feature for one in each for feature in one.looked)),
    )


@dataclass(frozen=True, kw_only=True)
class OfStyle:
    """These are the means of one style's prompts on a subject; None is what no probe read."""

    style: str
    l0: float | None  # active features at the last token
    effective_rank: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """They are what changes in a subject with its protocol.

    `separating` are the features that fire at the last token of every prompt of one style of `between` and on none of
    the other, ascending.
    """

    styles: tuple[OfStyle, ...]
    between: tuple[str, ...]
    separating: tuple[int, ...]

    def __post_init__(self) -> None:
        if min([0.0, *self.separating, *(one or 0.0 for of in self.styles for one in (of.l0, of.effective_rank))]) < 0:
            raise ValueError("a figure is below 0")


def figures_of(captures: Iterable[Features]) -> Figures:
    """Work out the figures of what probes read of a subject; each style counts in the first capture that has it."""
    active, rank = dict[str, Features](), dict[str, float]()
    for read in captures:
        at_last = read.acts is not None and read.place == "last token" and read.acts.nnz > 0
        for style in read.styles:
            of = read[style]
            if of.effective_rank is not None:
                rank.setdefault(style, float(of.effective_rank.mean()))
            if at_last:
                active.setdefault(style, of)
    between = ("novice", "expert") if {"novice", "expert"} <= active.keys() else tuple(active)[:2]
    shares = [
        np.bincount(active[one].encoded.indices, minlength=active[one].d_sae) / len(active[one]) for one in between
    ]
    apart = np.flatnonzero(np.abs(shares[0] - shares[1]) == 1) if len(shares) > 1 else ()
    means = {style: of.encoded.nnz / len(of) for style, of in active.items() if of.fixed_l0 is None}
    styles = (OfStyle(style=one, l0=means.get(one), effective_rank=rank.get(one)) for one in {**active, **rank})
    return Figures(styles=tuple(styles), between=between, separating=tuple(int(one) for one in apart))
