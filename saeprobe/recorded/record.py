"""Records: what someone measured and wrote down, by prompt style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary


@dataclass(frozen=True, kw_only=True, repr=False)
class RecordedStyle:
    """What a record tells of one prompt style.

    Attributes:
        style: the style.
        quantities: by name of the measure, values of each prompt or a bare summary.
        firing_rates: by feature, the share of prompts on which it fired; only the features that the record lists.
        exclusive: by other style, how many features fired on this style and never on the other.
        n_at_least: prompts behind the firing rates: the smallest number that can produce them all.
        origin: the file.
    """

    style: str
    quantities: Mapping[str, Quantity]
    firing_rates: Mapping[int, float]
    exclusive: Mapping[str, Summary]
    n_at_least: int | None
    origin: str

    def __repr__(self) -> str:
        return f"<{self.style} of {self.origin}>"

    def quantity(self, measure: str) -> Quantity:
        """The recorded values of a measure.

        Raises:
            NotRun: the record does not tell.
        """
        if measure not in self.quantities:
            known = ", ".join(self.quantities) or "none"
            raise NotRun(
                f"{self.origin} does not tell the {measure} of {self.style} prompts (it tells: {known}); "
                "put features_layer50.pt of the run beside it"
            )
        return self.quantities[measure]

    def firing_rate(self, feature: int) -> Summary:
        """The recorded share of prompts on which `feature` fired.

        Raises:
            NotRun: the record does not list that feature.
        """
        if feature not in self.firing_rates:
            raise NotRun(f"{self.origin} does not list feature {feature}; features_layer50.pt of the run would tell")
        return Summary(
            measure=f"firing rate of feature {feature}",
            label=self.style,
            unit="share of prompts",
            value=self.firing_rates[feature],
            n=None,
            origin=self.origin,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Recorded:
    """A record, by style; it stands where a capture's features would."""

    subject: str
    by_style: Mapping[str, RecordedStyle]
    origin: str

    def __repr__(self) -> str:
        return f"<{self.origin}: {', '.join(self.styles)}>"

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that the record tells of."""
        return tuple(self.by_style)

    @property
    def first_topic(self) -> RecordedStyle:
        """The first topic alone, of which a record of summaries tells nothing.

        Raises:
            NotRun: always.
        """
        raise NotRun(f"{self.origin} tells of all topics together; features_layer50.pt of the run tells of the first")

    def quantity(self, measure: str) -> Measurement:
        """The recorded values of a measure on the prompts of all styles.

        Raises:
            NotRun: the record does not tell, or tells one number a style.
        """
        of_style = next(iter(self.by_style.values())).quantity(measure)
        if isinstance(of_style, Summary):
            raise NotRun(f"{self.origin} tells the {measure} of each style as one number, not of each prompt")
        return of_style.whole

    def __getitem__(self, style: str) -> RecordedStyle:
        """One style.

        Raises:
            NotRun: the record tells nothing of it.
        """
        if style not in self.by_style:
            raise NotRun(f"{self.origin} tells nothing of {style} prompts; it tells of: {', '.join(self.styles)}")
        return self.by_style[style]


def smallest_count(rates: tuple[float, ...], *, precision: float = 1e-6) -> int | None:
    """The smallest n for which every rate is a whole number out of n, within float32 rounding; None above 1,000."""
    for n in range(1, 1001):
        if all(abs(rate * n - round(rate * n)) <= precision * n for rate in rates):
            return n
    return None
