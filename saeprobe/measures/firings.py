"""Firings count the prompts of each style on which a feature fires; they stand beside printed counts, or others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from saeprobe.claims import NotRun, Published
from saeprobe.evidence.evidence import Evidence, Judged, Sample, Terms, current_terms, record
from saeprobe.evidence.printed import as_published
from saeprobe.evidence.units import refuse_controls, sample_of
from saeprobe.evidence.values import Comparable, Measurement, Quantity
from saeprobe.features import Features
from saeprobe.files import visible
from saeprobe.measures.activity import firing_rate
from saeprobe.measures.reading import Readable, feature_number, feature_numbers, refuse_unread, shown
from saeprobe.measures.separation import others
from saeprobe.recorded.record import Recorded

UNIT = "prompts"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Firings(Comparable):  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """Firings hold, by style, the number of prompts on which one feature fires; `==` takes printed counts."""

    styles: Features | Recorded
    feature: int
    unit: str = UNIT

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
            raise TypeError(f"{self!r} == {shown(printed)}; wanted published(novice=50, unit='{UNIT}', n=50)")
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
        return replace(rate, measure=measure, unit=UNIT, values=counts, near=near, family=None, under=None)
    if rate.n is None:
        raise NotRun(
            f"{rate.origin} gives a share of {rate.label} prompts and not of how many; a count would decide it"
        )
    return replace(rate, measure=measure, unit=UNIT, value=float(round(rate.value * rate.n)))


def fewest(feature: int, among: Sequence[int], of: Readable) -> Evidence:
    """Return evidence that a feature fires on fewer prompts of other styles than each other one of `among`.

    It counts the prompts of all styles that were read or recorded but that of `of`. In a tie neither is the one.

    Raises:
        TypeError: the claim asks for controls, or a feature is no whole number.
        ValueError: `among` has no other feature.
        NotRun: no other style was read, or a record does not count all of these features on any.
    """
    terms = current_terms()
    refuse_controls("ordering", terms)
    refuse_unread(of)
    numbers = tuple(dict.fromkeys((feature_number(feature), *feature_numbers(among))))
    if len(numbers) < 2:  # noqa: PLR2004 - it alone
        raise ValueError(f"fewest() was given feature {feature} alone; name in a list those to hold it against")
    beside = [one for one in others(of) if isinstance(one, Features) or set(numbers) <= set(one.firing_rates)]
    if not beside:
        raise NotRun(f"no style beside {of.label} was read of all these features; read or record others too")
    own, *rest = (_on_all(each, beside, terms) for each in numbers)
    listed = ", ".join(f"{one.label} {one.mean:g}" for one in sorted(rest, key=lambda one: one.mean))
    where = ", ".join(one.label for one in beside)
    counts = f"{own.label} fires on {own.mean:g} of {own.n} prompts of {where}; {listed}"
    least = min(one.mean for one in rest)
    reached = ", ".join(one.label for one in rest if one.mean == least)
    judged: Judged = "supported", counts
    if (own.n or 0) < 2:  # noqa: PLR2004 - one prompt shows nothing
        judged = "inconclusive", f"{counts}: at least 2 prompts are needed"
    elif any(abs(one.mean - own.mean) <= _moves(own) + _moves(one) and _moves(own) + _moves(one) for one in rest):
        judged = "inconclusive", f"{counts}: nearer to each other than rounding may move them"
    elif least <= own.mean:
        judged = "refuted", f"{counts}: {f'a tie with {reached}' if least == own.mean else f'fewest is {reached}'}"
    return record(
        Evidence(
            kind="ordering",
            statement=f"{own.label} fires on the fewest prompts of other styles, of {', '.join(map(str, numbers))}",
            outcome=judged[0],
            reason=judged[1],
            scope="these prompts only: a count of them, no inference",
            unit=UNIT,
            samples=(own, *rest),
            rule="supported where each other feature fires on more prompts; refuted where one fires on fewer, or on as "
            "many; inconclusive where features near their threshold could turn the order, and on a single prompt",
        )
    )


def _moves(sample: Sample) -> float:
    return sample.near_moves or 0.0


def _on_all(feature: int, beside: Sequence[Readable], terms: Terms) -> Sample:
    """Count the prompts of several styles together on which a feature fires."""
    measure = "firings on other styles"
    each = [sample_of(_counted(firing_rate(of, feature), measure), terms) for of in beside]
    reaches = [one.reach for one in each if one.reach is not None]
    return Sample(
        label=f"feature {feature}",
        measure=measure,
        unit=UNIT,
        mean=sum(one.mean for one in each),
        n=sum(one.n or 0 for one in each),
        near_threshold="; ".join(f"{one.label}: {one.near_threshold}" for one in each if one.near_threshold) or None,
        reach=None if len(reaches) < len(each) else (sum(low for low, _ in reaches), sum(high for _, high in reaches)),
    )
