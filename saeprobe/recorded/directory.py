"""Directories of recorded files in the article's shapes, and what each tells.

| file | tells |
|---|---|
| `features*.pt` | the features of each prompt's last token: everything that needs no prompt text |
| `feature_diff*.json` | means, counts and firing rates of two styles, without the values behind them |
| `eid*.json` | effective rank and length of each prompt, by topic and persona |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, vstack

from saeprobe.captures import Capture
from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features.sparse import Features, Token
from saeprobe.prompts import Prompt
from saeprobe.recorded.files import ArticleFeatures, read_features
from saeprobe.recorded.results import EidTable, FeatureDiff, read_eid_table, read_feature_diff


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


AS_RECORDED = "as recorded"
"""The template of every recorded prompt: the files hold one wording a style and do not say it."""


def recorded_evidence(directory: Path, subject: str, capture: Capture) -> Features | Recorded:
    """What the files in `directory` tell in place of `capture`.

    Raises:
        NotRun: no file there tells it.
        ArticleFileError: a file is damaged or of another shape.
    """
    if "effective_rank" in capture.keep:
        table = _one(directory, "eid*.json")
        if table is None:
            raise NotRun(f"{directory} holds no EID table; put one there as eid_persona_results.json")
        return from_eid_table(read_eid_table(table), subject, table.name)
    if capture.at != "last" or "activations" in capture.keep:
        raise NotRun("recorded files hold the features of the last token only; this reads other tokens or activations")
    features = _one(directory, "features*.pt")
    if features is not None:
        return from_features(read_features(features), subject)
    diff = _one(directory, "feature_diff*.json")
    if diff is not None:
        return from_feature_diff(read_feature_diff(diff), subject, diff.name)
    activations = _one(directory, "activations*.pt")
    remedy = (
        f"encode {activations.name} first: saeprobe encode {activations} --sae SAE -o features_layer50.pt"
        if activations
        else "put features_layer50.pt or feature_diff.json of the run there"
    )
    raise NotRun(f"{directory} holds no features; {remedy}")


def from_features(recorded: ArticleFeatures, subject: str) -> Features:
    """Recorded features as those of a capture; prompts are known by style and topic only, their lengths not at all."""
    prompts = tuple(
        Prompt(text=f"({style} prompt on {topic})", style=style, topic=topic, template=AS_RECORDED)
        for style in recorded.styles
        for topic in recorded.topics
    )
    acts = csr_array(vstack([recorded.features[style] for style in recorded.styles], format="csr"))
    return Features(
        subject=subject,
        acts=acts,
        row_prompt=np.arange(len(prompts)),
        tokens=tuple(Token(position=-1, text="(last token)", start=-1, end=-1) for _ in prompts),
        prompts=prompts,
        n_tokens=None,
        place="last token",
    )


def from_eid_table(table: EidTable, subject: str, origin: str) -> Recorded:
    """An EID table as effective ranks by persona, with the length of each prompt."""
    prompts = tuple(
        Prompt(text=f"({persona} prompt on {topic})", style=persona, topic=topic, template=AS_RECORDED)
        for persona in table.personas
        for topic in table.topics
    )
    whole = Measurement(
        measure="effective rank",
        label=" + ".join(table.personas),
        unit="dimensions",
        values=table.eid.T.ravel().astype(np.float64),
        prompts=prompts,
        n_tokens=table.seq_len.T.ravel(),
    )
    by_style = {persona: _style(persona, origin, {"effective rank": whole[persona]}) for persona in table.personas}
    return Recorded(subject=subject, by_style=by_style, origin=origin)


def from_feature_diff(diff: FeatureDiff, subject: str, origin: str) -> Recorded:
    """A comparison of two styles as summaries: no value of a single prompt is in it."""
    by_style: dict[str, RecordedStyle] = {}
    rates = {style: _rates(diff, style) for style in (diff.a, diff.b)}
    n = smallest_count(tuple(rate for of in rates.values() for rate in of.values()))
    for style in diff.avg_active:
        quantities: dict[str, Quantity] = {"l0": _summary("l0", style, "features", diff.avg_active[style], origin)}
        if style in diff.avg_intensity:
            quantities["mean activation"] = _summary(
                "mean activation", style, "activation", diff.avg_intensity[style], origin
            )
        exclusive: dict[str, Summary] = {}
        if style in diff.only_count:
            other = diff.b if style == diff.a else diff.a
            exclusive[other] = _summary("exclusive features", style, "features", diff.only_count[style], origin)
        by_style[style] = RecordedStyle(
            style=style,
            quantities=quantities,
            firing_rates=rates.get(style, {}),
            exclusive=exclusive,
            n_at_least=n,
            origin=origin,
        )
    return Recorded(subject=subject, by_style=by_style, origin=origin)


def _rates(diff: FeatureDiff, style: str) -> Mapping[int, float]:
    rows = [row for rows in diff.dominant.values() for row in rows]
    return {row.index: row.a if style == diff.a else row.b for row in rows}


def _style(style: str, origin: str, quantities: Mapping[str, Quantity]) -> RecordedStyle:
    return RecordedStyle(
        style=style, quantities=quantities, firing_rates={}, exclusive={}, n_at_least=None, origin=origin
    )


def _summary(measure: str, style: str, unit: str, value: float, origin: str) -> Summary:
    return Summary(measure=measure, label=style, unit=unit, value=float(value), n=None, origin=origin)


def _one(directory: Path, pattern: str) -> Path | None:
    """The file of that pattern; None where there is none.

    Raises:
        NotRun: there are several, and nothing says which is meant.
    """
    found = sorted(directory.glob(pattern))
    if len(found) > 1:
        raise NotRun(f"{directory} holds {', '.join(path.name for path in found)}; leave the one that is meant")
    return found[0] if found else None
