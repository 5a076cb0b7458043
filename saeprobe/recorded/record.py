"""A record of a run stands where a capture would: what its files hold of each style, and what they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from scipy.sparse import csr_array, vstack

from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features import Features, RecordedRun, Token
from saeprobe.files import number, visible
from saeprobe.prompts import Prompt, incomplete, no_style

if TYPE_CHECKING:
    from saeprobe.recorded import EidTable, RecordedFile
    from saeprobe.recorded.tensors import ArticleFeatures

AS_RECORDED: Final = "as recorded"  # the template of every prompt: the files hold one wording a style, unsaid
REMEDY: Final = "put features_layer50.pt of the run beside it"
POOLED: Final = "pooled mean activation"
BY_PROMPT: Final = "mean activation a prompt"
NEAR_ZERO: Final = 0.1  # of a feature's mean strength where it fires; weaker firings are said to be near zero


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RecordedStyle:
    """A record holds numbers of one prompt style."""

    style: str
    quantities: Mapping[str, Quantity]  # by name of the measure, values of each prompt or a bare summary
    # by feature, the share of prompts on which it fired; only the features that the record lists
    firing_rates: Mapping[int, float] = field(default_factory=dict[int, float])
    n: int | None = None  # prompts of the style, where the record counts them; None where it gives shares alone
    # by feature, its activation on each prompt, 0 where it was silent; only where the record holds them
    activations: Mapping[int, Measurement] = field(default_factory=dict[int, Measurement])
    # by other style, how many features fired on this style and never on the other
    exclusive: Mapping[str, Summary] = field(default_factory=dict[str, Summary])
    n_at_least: int | None = None  # prompts behind the firing rates: the smallest number that can produce them all
    origin: str  # the file
    family: Recorded | None = None  # the whole record that this was selected from; None where it was not
    run: RecordedRun | None = None  # of which run it is
    remedy: str = REMEDY  # what would bring the rest

    def __repr__(self) -> str:
        return visible(f"<{self.style} of {self.origin}>")

    @property
    def label(self) -> str:
        """Return the style, as features do."""
        return self.style

    @property
    def styles(self) -> tuple[str, ...]:
        """List the style, as features do."""
        return (self.style,)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Return none: a record does not hold them."""
        return ()

    def quantity(self, measure: str) -> Quantity:
        """Return the recorded values of a measure. NotRun says that the record does not hold them."""
        if measure not in self.quantities:
            known = ", ".join(self.quantities) or f"firing rates of {len(self.firing_rates)} features"
            wanted = f"the {measure} of {self.style} prompts"
            raise NotRun(f"{self.origin} does not hold {wanted} (it holds: {known}); {self.remedy}")
        return self.quantities[measure]

    def firing_rate(self, feature: int) -> Summary:
        """Return the recorded share of prompts on which `feature` fired. NotRun says that it is not listed."""
        if feature not in self.firing_rates:
            raise NotRun(f"{self.origin} does not list feature {feature}; {self.remedy}")
        rate = self.firing_rates[feature]
        return Summary(
            measure=f"firing rate of feature {feature}",
            features=(feature,),
            label=self.style,
            unit="share of prompts",
            value=rate,
            n=self.n,
            origin=self.origin,
            run=self.run,
            near_threshold=self._weakest(feature),
        )

    def _weakest(self, feature: int) -> str | None:
        """Say so where the weakest recorded firing lies so near to zero that rounding may decide it."""
        values = self.activations[feature].values if feature in self.activations else np.zeros(1)
        fired = values[values > 0]
        if not len(fired) or fired.min() >= NEAR_ZERO * fired.mean():
            return None
        weakest = f"{number(float(fired.min()))} where {number(float(fired.mean()))} is the mean"
        return f"the weakest recorded firing of feature {feature} is {weakest}, so that rounding may decide it"

    def activation(self, feature: int) -> Measurement:
        """Return the recorded activation of `feature` on each prompt. NotRun says that the record does not hold it."""
        if feature not in self.activations:
            raise NotRun(
                f"{self.origin} does not hold what feature {feature} does on {self.style} prompts; {self.remedy}"
            )
        return replace(self.activations[feature], features=(feature,))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Recorded:
    """A record, by style, stands where a capture's features would; no whole counts a style that `repeats` another."""

    subject: str
    by_style: Mapping[str, RecordedStyle]
    origin: str
    repeats: Mapping[str, str] = field(default_factory=dict[str, str])
    lacking: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return visible(f"<{self.origin}: {', '.join(self.present)}>")

    @property
    def styles(self) -> tuple[str, ...]:
        """List the styles that the record has numbers of; NotRun is raised where it lacks some that were asked for."""
        if self.lacking:
            raise incomplete(self.origin, self.lacking)
        return self.present

    @property
    def present(self) -> tuple[str, ...]:
        """List the styles that the record has numbers of, whatever was asked for."""
        return tuple(style for style in self.by_style if style not in self.repeats)

    @property
    def first_topic(self) -> RecordedStyle:
        """Refuse to select the first topic, which no record of summaries can: NotRun says so."""
        raise NotRun(f"{self.origin} holds all topics together; {REMEDY}")

    def quantity(self, measure: str) -> Measurement:
        """Return a measure on the prompts of all styles. NotRun says that there is none, or one number a style."""
        found = [self.by_style[style].quantity(measure) for style in self.present]
        every = [one for one in found if isinstance(one, Measurement)]
        if len(every) < len(found):
            raise NotRun(f"{self.origin} holds the {measure} of each style as one number, not of each prompt")
        lengths = [one.n_tokens for one in every if one.n_tokens is not None]
        n_tokens = np.concatenate(lengths) if len(lengths) == len(every) else None
        values, prompts = np.concatenate([one.values for one in every]), (of for one in every for of in one.prompts)
        label = " + ".join(self.present)
        return replace(every[0], label=label, values=values, prompts=tuple(prompts), n_tokens=n_tokens)

    def __getitem__(self, style: str) -> RecordedStyle:
        """Return one style. NotRun says that the record holds nothing of it."""
        if style not in self.by_style:
            raise no_style(style, self.by_style, self.origin)
        return replace(self.by_style[style], family=self)


def from_features(
    recorded: ArticleFeatures, subject: str, run: RecordedRun, order: Sequence[int], repeats: Mapping[str, str]
) -> Features:
    """Turn recorded features into those of a capture, topics in this order; how long the prompts are is not known.

    No whole counts in styles that repeat another, whose texts they have.
    """
    prompts = _prompts(recorded.styles, [recorded.topics[at] for at in order], repeats)
    found = Features(
        subject=subject,
        acts=csr_array(vstack([recorded.rows[style][order] for style in recorded.styles], format="csr")),
        row_prompt=np.arange(len(prompts)),
        tokens=tuple(Token(position=-1, text="(last token)", start=-1, end=-1) for _ in prompts),
        prompts=prompts,
        n_tokens=None,
        place="last token",
        run=run,
    )
    apart = {style: found[style] for style in repeats.keys() & {*found.styles}}
    kept = [index for index, prompt in enumerate(prompts) if prompt.style not in apart]
    return replace(found.select(kept), family=None, repeats=apart) if apart else found


def from_ranks(
    table: EidTable, subject: str, run: RecordedRun, order: Sequence[int], repeats: Mapping[str, str]
) -> Recorded:
    """Turn a table of effective ranks into a record, topics in this order."""
    every = Measurement(
        measure="effective rank",
        label="",
        unit="dimensions",
        values=table.eid[order].T.ravel().astype(np.float64),
        prompts=_prompts(table.personas, [table.topics[at] for at in order], repeats),
        n_tokens=table.seq_len[order].T.ravel(),
        run=run,
    )
    made = partial(RecordedStyle, n=run.n, n_at_least=run.n, origin=run.origin, run=run)
    by_style = {one: made(style=one, quantities={"effective rank": every[one]}) for one in table.personas}
    return Recorded(subject=subject, by_style=by_style, origin=run.origin, repeats=repeats)


def from_summaries(
    files: Iterable[RecordedFile], subject: str, run: RecordedRun, remedy: str, repeats: Mapping[str, str]
) -> Recorded:
    """Turn what files of one run state into a record; where two state a number, the first one's is taken.

    Only a file that names every topic has an activation on each. `remedy` would bring what they do not hold; `repeats`
    are styles that are another one, read again.
    """
    n = None if run.shares else run.n
    stated: dict[str, dict[str, dict[Any, float]]] = {}
    active: dict[str, dict[int, dict[str, float]]] = {}
    for file in files:
        for (measure, style, of, topic), (value, _) in file.states.items():
            if measure != "activation":
                stated.setdefault(style, {}).setdefault(measure, {}).setdefault(of, value)
            elif file.all_topics:
                active.setdefault(style, {}).setdefault(cast(int, of), {})[str(topic)] = value
    by_style: dict[str, RecordedStyle] = {}
    for style, held in stated.items():
        made = partial(Summary, label=style, n=n, origin=run.origin, run=run)
        by_style[style] = RecordedStyle(
            style=style,
            quantities={
                measure: made(measure=measure, unit=unit, value=held[measure][None])
                for measure, unit in (("l0", "features"), (POOLED, "activation"), (BY_PROMPT, "activation"))
                if measure in held
            },
            firing_rates=held.get("firing rate", {}),
            n=n,
            activations={
                feature: Measurement(
                    measure=f"activation of feature {feature}",
                    label=style,
                    unit="activation",
                    values=np.array([*values.values()]),
                    prompts=_prompts([style], [*values], repeats),
                    place="last token",
                    run=run,
                )
                for feature, values in active.get(style, {}).items()
            },
            exclusive={
                other: made(measure="exclusive features", unit="features", value=count)
                for other, count in held.get("exclusive features", {}).items()
            },
            n_at_least=run.n,
            origin=run.origin,
            run=run,
            remedy=remedy,
        )
    return Recorded(subject=subject, by_style=by_style, origin=run.origin, repeats=repeats)


def _prompts(styles: Sequence[str], topics: Sequence[str], repeats: Mapping[str, str]) -> tuple[Prompt, ...]:
    """Name prompts by what is known of them, style and topic; a style that repeats another has the texts of that."""
    return tuple(
        Prompt(text=f"({repeats.get(style, style)} prompt on {topic})", style=style, topic=topic, template=AS_RECORDED)
        for style in styles
        for topic in topics
    )
