"""A directory of recorded files in the article's shapes stands where a capture would.

| file | holds |
|---|---|
| `features*.pt` | the features of each prompt's last token: everything that needs no prompt text |
| `feature_diff*.json` | means, counts and firing rates of two styles, without the values behind them |
| `eid*.json` | effective rank and length of each prompt, by topic and persona |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import csr_array, vstack

from saeprobe.captures import Capture
from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features import Features, Token
from saeprobe.files import FileError, visible
from saeprobe.prompts import Prompt
from saeprobe.recorded.archives import load_data
from saeprobe.recorded.comparison import FeatureDiff
from saeprobe.recorded.stated import UNLIKE, Stated
from saeprobe.recorded.summaries import EidTable, read_eid_table, read_feature_diff
from saeprobe.recorded.tensors import FEATURES, ArticleFeatures, entries_of, read_features

AS_RECORDED: Final = "as recorded"
"""The template of every recorded prompt: the files hold one wording a style and do not say it."""

_REMEDY: Final = "put features_layer50.pt of the run beside it"


@dataclass(frozen=True, kw_only=True, repr=False)
class RecordedStyle:
    """A record holds numbers of one prompt style.

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
    firing_rates: Mapping[int, float] = field(default_factory=dict[int, float])
    exclusive: Mapping[str, Summary] = field(default_factory=dict[str, Summary])
    n_at_least: int | None = None
    origin: str

    def __repr__(self) -> str:
        return visible(f"<{self.style} of {self.origin}>")

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
        return _summary(f"firing rate of feature {feature}", self.style, "share of prompts", rate, self.origin)


@dataclass(frozen=True, kw_only=True, repr=False)
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
        return self.by_style[style]


def recorded_evidence(directory: Path, capture: Capture, stated: Stated) -> Features | Recorded:
    """Read what the files in `directory` hold in place of `capture`, held against what the subject states.

    Raises:
        NotRun: no file there holds it, or there are several of a kind.
        FileError: a file is damaged, of another shape, or does not agree with the subject.
    """
    subject = stated.subject
    if "effective_rank" in capture.keep:
        table = _one(directory, "eid*.json")
        if table is None:
            raise NotRun(f"{directory} holds no EID table; put one there as eid_persona_results.json")
        ranks = read_eid_table(table, d_in=stated.d_in)
        stated.check(table, styles=ranks.personas, topics=ranks.topics)
        return _from_eid_table(ranks, subject, table.name, _repeats(stated, ranks.personas))
    if capture.at != "last" or "activations" in capture.keep:
        raise NotRun("recorded files hold the features of the last token only; this reads other tokens or activations")
    features = _one(directory, "features*.pt")
    if features is not None:
        read = read_features(features, d_sae=stated.d_sae)
        stated.check(features, styles=read.styles, topics=read.topics)
        found = _from_features(read, subject)
        apart = {style: found[style] for style in _repeats(stated, found.styles)}
        kept = [index for index, prompt in enumerate(found.prompts) if prompt.style not in apart]
        return replace(found.select(kept), family=None, repeats=apart) if apart else found
    diff = _one(directory, "feature_diff*.json")
    if diff is not None:
        compared = read_feature_diff(diff)
        stated.check(diff, styles=compared.avg_active)
        counts = {f"{style}_avg_active": mean for style, mean in compared.avg_active.items()}
        counts |= {f"{style}_only_count": count for style, count in compared.only_count.items()}
        listed = (
            *(rates.index for rows in compared.dominant.values() for rates in rows),
            *chain(*compared.only.values()),
        )
        stated.check_features(diff, counts, numbers=listed)
        return _from_feature_diff(compared, subject, diff.name)
    activations = _one(directory, "activations*.pt")
    remedy = "put features_layer50.pt or feature_diff.json of the run there"
    if activations is not None:
        remedy = f"encode {activations.name} first: saeprobe encode {activations} --sae SAE -o features_layer50.pt"
    raise NotRun(f"{directory} holds no features; {remedy}")


def _repeats(stated: Stated, styles: tuple[str, ...]) -> frozenset[str]:
    """Return the styles of a record that its prompts declare to repeat another."""
    return frozenset(() if stated.prompts is None else stated.prompts.repeats).intersection(styles)


def topics_unlike(directory: Path, capture: Capture, stated: Stated) -> str:
    """Say in words that follow others that a record is of other topics than the capture; empty where none says so.

    A file that cannot be read is reported by the probes that need it.
    """
    rank = "effective_rank" in capture.keep
    try:
        path = _one(directory, "eid*.json" if rank else "features*.pt")
        if path is None:
            return ""
        topics = read_eid_table(path).topics if rank else entries_of(path, load_data(path), FEATURES).topics
    except (FileError, NotRun, OSError):
        return ""
    return f"; {path.name}: {UNLIKE}" if stated.unlike(topics) else ""


def _one(directory: Path, pattern: str) -> Path | None:
    found = sorted(directory.glob(pattern))
    if len(found) > 1:  # nothing says which is meant
        raise NotRun(f"{directory} holds {', '.join(path.name for path in found)}; leave the one that is meant")
    if found and not found[0].is_file():  # a pipe would be waited for
        raise FileError(found[0], "it is no file", wanted="recorded evidence", remedy="put the file itself there")
    return found[0] if found else None


def _from_features(recorded: ArticleFeatures, subject: str) -> Features:
    """Turn recorded features into those of a capture; the lengths of the prompts are not known."""
    prompts = _prompts(recorded.styles, recorded.topics)
    return Features(
        subject=subject,
        acts=csr_array(vstack([recorded.features[style] for style in recorded.styles], format="csr")),
        row_prompt=np.arange(len(prompts)),
        tokens=tuple(Token(position=-1, text="(last token)", start=-1, end=-1) for _ in prompts),
        prompts=prompts,
        n_tokens=None,
        place="last token",
    )


def _from_eid_table(table: EidTable, subject: str, origin: str, repeats: frozenset[str]) -> Recorded:
    every = Measurement(
        measure="effective rank",
        label=" + ".join(table.personas),
        unit="dimensions",
        values=table.eid.T.ravel().astype(np.float64),
        prompts=_prompts(table.personas, table.topics),
        n_tokens=table.seq_len.T.ravel(),
    )
    kept = [persona for persona in table.personas if persona not in repeats]
    whole = replace(every.select(np.array([one.style in kept for one in every.prompts])), label=" + ".join(kept))
    quantities = {persona: replace(every[persona], family=whole) for persona in table.personas}
    by_style = {
        persona: RecordedStyle(style=persona, quantities={"effective rank": found}, origin=origin)
        for persona, found in quantities.items()
    }
    return Recorded(subject=subject, by_style=by_style, origin=origin, repeats=repeats)


def _prompts(styles: tuple[str, ...], topics: tuple[str, ...]) -> tuple[Prompt, ...]:
    """Name prompts by what is known of them: style and topic."""
    return tuple(
        Prompt(text=f"({style} prompt on {topic})", style=style, topic=topic, template=AS_RECORDED)
        for style in styles
        for topic in topics
    )


def _from_feature_diff(diff: FeatureDiff, subject: str, origin: str) -> Recorded:
    """Turn a comparison of two styles into summaries: no value of a single prompt is in it."""
    rows = [row for of_style in diff.dominant.values() for row in of_style]
    rates = {diff.a: {row.index: row.a for row in rows}, diff.b: {row.index: row.b for row in rows}}
    n = smallest_count(tuple(rate for of_style in rates.values() for rate in of_style.values()))
    by_style: dict[str, RecordedStyle] = {}
    for style, active in diff.avg_active.items():
        quantities: dict[str, Quantity] = {"l0": _summary("l0", style, "features", active, origin)}
        exclusive: dict[str, Summary] = {}
        if style in rates:
            mean, count = diff.avg_intensity[style], diff.only_count[style]
            quantities["mean activation"] = _summary("mean activation", style, "activation", mean, origin)
            other = diff.b if style == diff.a else diff.a
            exclusive[other] = _summary("exclusive features", style, "features", count, origin)
        by_style[style] = RecordedStyle(
            style=style,
            quantities=quantities,
            firing_rates=rates.get(style, {}),
            exclusive=exclusive,
            n_at_least=n,
            origin=origin,
        )
    return Recorded(subject=subject, by_style=by_style, origin=origin)


def _summary(measure: str, style: str, unit: str, value: float, origin: str) -> Summary:
    return Summary(measure=measure, label=style, unit=unit, value=float(value), n=None, origin=origin)


def smallest_count(rates: tuple[float, ...], *, precision: float = 1e-6) -> int | None:
    """Find the smallest n, up to 1,000, for which every rate is a whole number out of n, within float32 rounding."""
    for n in range(1, 1001):
        if all(abs(rate * n - round(rate * n)) <= precision * n for rate in rates):
            return n
    return None
