"""A record of a run stands where a capture would: what its files hold of each style, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.files import visible

AS_RECORDED: Final = "as recorded"
"""The template of every recorded prompt: the files hold one wording a style and do not say it."""

_REMEDY: Final = "put features_layer50.pt of the run beside it"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RecordedStyle:
    """A record holds numbers of one prompt style.

    Attributes:
        style: the style.
        quantities: by name of the measure, values of each prompt or a bare summary.
        firing_rates: by feature, the share of prompts on which it fired; only the features that the record lists.
        n: prompts behind the firing rates, where the record counts them; None where it gives shares alone.
        activations: by feature, its activation on each prompt, 0 where it was silent; only where the record holds them.
        exclusive: by other style, how many features fired on this style and never on the other.
        n_at_least: prompts behind the firing rates: the smallest number that can produce them all.
        origin: the file.
        family: the whole record that this was selected from; None where it was not.
    """

    style: str
    quantities: Mapping[str, Quantity]
    firing_rates: Mapping[int, float] = field(default_factory=dict[int, float])
    n: int | None = None
    activations: Mapping[int, Measurement] = field(default_factory=dict[int, Measurement])
    exclusive: Mapping[str, Summary] = field(default_factory=dict[str, Summary])
    n_at_least: int | None = None
    origin: str
    family: Recorded | None = None

    def __repr__(self) -> str:
        return visible(f"<{self.style} of {self.origin}>")

    def same_as(self, other: RecordedStyle) -> bool:
        """Say whether two are one style of one record, though they were looked up twice."""
        return self.quantities is other.quantities

    def quantity(self, measure: str) -> Quantity:
        """Return the recorded values of a measure.

        Raises:
            NotRun: the record does not hold them.
        """
        if measure not in self.quantities:
            known = ", ".join(self.quantities)
            wanted = f"the {measure} of {self.style} prompts"
            raise NotRun(f"{self.origin} does not hold {wanted} (it holds: {known}); {_REMEDY}")
        return self.quantities[measure]

    def firing_rate(self, feature: int) -> Summary:
        """Return the recorded share of prompts on which `feature` fired.

        Raises:
            NotRun: the record does not list that feature.
        """
        if feature not in self.firing_rates:
            raise NotRun(f"{self.origin} does not list feature {feature}; {_REMEDY}")
        rate = self.firing_rates[feature]
        measure = f"firing rate of feature {feature}"
        return summary_of(measure, self.style, "share of prompts", rate, self.origin, n=self.n)

    def activation(self, feature: int) -> Measurement:
        """Return the recorded activation of `feature` on each prompt.

        Raises:
            NotRun: the record does not hold it.
        """
        if feature not in self.activations:
            raise NotRun(f"{self.origin} does not hold what feature {feature} does on {self.style} prompts; {_REMEDY}")
        return self.activations[feature]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Recorded:
    """A record, by style, stands where a capture's features would; `repeats` are styles that no whole counts in."""

    subject: str
    by_style: Mapping[str, RecordedStyle]
    origin: str
    repeats: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return visible(f"<{self.origin}: {', '.join(self.styles)}>")

    @property
    def styles(self) -> tuple[str, ...]:
        """List the styles that the record has numbers of."""
        return tuple(style for style in self.by_style if style not in self.repeats)

    @property
    def first_topic(self) -> RecordedStyle:
        """Refuse to select the first topic, which no record of summaries can.

        Raises:
            NotRun: always.
        """
        raise NotRun(f"{self.origin} holds all topics together; {_REMEDY}")

    def quantity(self, measure: str) -> Measurement:
        """Return the recorded values of a measure on the prompts of all styles.

        Raises:
            NotRun: the record does not hold them, or holds one number a style.
        """
        of_style = next(iter(self.by_style.values())).quantity(measure)
        if isinstance(of_style, Summary):
            raise NotRun(f"{self.origin} holds the {measure} of each style as one number, not of each prompt")
        return of_style.whole

    def __getitem__(self, style: str) -> RecordedStyle:
        """Return one style.

        Raises:
            NotRun: the record holds nothing of it.
        """
        if style not in self.by_style:
            raise NotRun(f"{self.origin} holds nothing of {style} prompts; it has: {', '.join(self.by_style)}")
        return replace(self.by_style[style], family=self)


def summary_of(measure: str, style: str, unit: str, value: float, origin: str, *, n: int | None = None) -> Summary:
    """Make a summary of what a file says of a style."""
    return Summary(measure=measure, label=style, unit=unit, value=float(value), n=n, origin=origin)
