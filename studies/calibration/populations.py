"""A population is every wording on every topic of a subject, read once; what is true of it is known exactly.

Claims are made on a few wordings drawn from a population, and are true or false of all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from typing import Final, cast

import numpy as np

from saeprobe.captures import Capture, capture
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures import active_share, effective_rank, firing_rate, l0, max_activation, mean_activation
from saeprobe.prompts import STYLES, Prompt, PromptSet
from saeprobe.shapes import Float, Int
from saeprobe.store import Store, plan
from saeprobe.store.plan import gather, works_of
from saeprobe.subject.local import Subject
from studies.specimens.corpus.document import Draw, seeded, unmark
from studies.specimens.corpus.landmarks import descriptions, landmarks, visit

OPENINGS: Final = 8
"""Beginnings of sentences that each mention of a landmark is read after; they are its topics."""
Grid = Float[np.ndarray, "wordings topics"]
Rows = Int[np.ndarray, " rows"]
MEASURES: Final[Mapping[str, Callable[[Features], object]]] = {
    "l0": l0,
    "active share": active_share,
    "mean activation": mean_activation,
    "max activation": max_activation,
    "effective rank": effective_rank,
}
"""Measures of whole prompts; the firing rate of a feature is asked for by the feature's number."""
What = str | int
"""A measure: one of `MEASURES`, or the number of a feature, for its firing rate."""


def measure(what: What, of: Features) -> Measurement:
    """Make the measurement that a probe would make."""
    made = firing_rate(of, what) if isinstance(what, int) else MEASURES[what](of)
    return cast("Measurement", made)  # features of a capture never give a bare summary


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """A population holds wordings in groups, each on all topics."""

    name: str  # `wordings` or `mentions`
    features: Features  # of all prompts, a wording after the other, each on the topics in the same order
    n_topics: int  # prompts a wording
    groups: Mapping[str, Rows]  # of the grid `[wordings, topics]`, by style, or by landmark that is mentioned
    detectors: Mapping[str, int] = field(default_factory=dict[str, int])  # by group, as the specimen's card names it
    _grids: dict[What, Grid] = field(default_factory=dict["What", "Grid"], repr=False)

    @classmethod
    def of(cls, name: str, features: Features, *, detectors: Mapping[str, int] | None = None) -> Population:
        """Make the population of these features."""
        n_topics = len({prompt.topic for prompt in features.prompts})
        wordings = features.prompts[::n_topics]
        topics = [prompt.topic for prompt in features.prompts[:n_topics]]
        for row, first in enumerate(wordings):
            these = features.prompts[row * n_topics : (row + 1) * n_topics]
            if [prompt.topic for prompt in these] != topics or {prompt.template for prompt in these} != {
                first.template
            }:
                raise ValueError(f"{name}: {first.template!r} is not read on the {n_topics} topics of the others")
        styles = np.array([prompt.style for prompt in wordings])
        return cls(
            name=name,
            features=features,
            n_topics=n_topics,
            groups={style: np.flatnonzero(styles == style) for style in features.styles},
            detectors={group: found for group, found in (detectors or {}).items() if group in features.styles},
        )

    @property
    def n_wordings(self) -> int:
        """Count the wordings of all groups."""
        return len(self.features) // self.n_topics

    @cached_property
    def fires(self) -> np.ndarray:
        """Say which features fire on each prompt, `[wordings, topics, d_sae]`."""
        fires = np.zeros((len(self.features), self.features.d_sae), dtype=bool)
        rows, columns = self.features.encoded.nonzero()
        fires[self.features.row_prompt[rows], columns] = True
        return fires.reshape(self.n_wordings, self.n_topics, -1)

    @cached_property
    def live(self) -> Int[np.ndarray, " features"]:
        """List the features that fire on at least one prompt in twenty and are silent on as many."""
        rate = self.fires.mean(axis=(0, 1))
        return np.flatnonzero((rate >= 0.05) & (rate <= 0.95))  # noqa: PLR2004 - as the docstring says

    def grid(self, what: What) -> Grid:
        """Return the values of a measure by wording and topic, made once by the function that probes use."""
        if what not in self._grids:
            self._grids[what] = measure(what, self.features).values.reshape(self.n_wordings, self.n_topics)
        return self._grids[what]

    def correlation(self, first: What, second: What, rows: Rows, topics: Rows) -> float:
        """Return Pearson's r of two measures over all prompts of some wordings on some topics."""
        x, y = (self.grid(what)[rows][:, topics].ravel() for what in (first, second))
        return float(np.corrcoef(x, y)[0, 1])

    def drawn(self, sides: Mapping[str, Rows], topics: Rows) -> Features:
        """Return the prompts of some wordings on some topics, as a capture of the styles that `sides` names."""
        chosen = [int(row) * self.n_topics + int(topic) for rows in sides.values() for row in rows for topic in topics]
        labels = [side for side, rows in sides.items() for _ in range(len(rows) * len(topics))]
        features = self.features.select(chosen)
        prompts = tuple(
            Prompt(text=one.text, style=label, topic=one.topic, template=one.template)
            for one, label in zip(features.prompts, labels, strict=True)
        )
        return replace(features, prompts=prompts, family=None)  # the drawn prompts are all that the claim knows of


def mentions() -> PromptSet:
    """Write sentences that break off after a landmark was mentioned: each description after eight openings."""
    first = landmarks()[0]
    draw, openings = Draw(seeded(0)), dict[str, None]()
    while len(openings) < OPENINGS:
        text, spans = unmark(visit(draw, first, first.names[0]))
        openings[text[: spans[0].start]] = None
    return PromptSet(
        name="mentions",
        language="en",
        prompts=tuple(
            Prompt(text=opening + said, style=landmark.key, topic=opening.strip(), template=said)
            for landmark in landmarks()
            for said in (*descriptions(landmark, held_out=False), *descriptions(landmark, held_out=True))
            for opening in openings
        ),
    )


def captures() -> dict[str, Capture]:
    """Return what is read of a subject, by population."""
    return {
        "wordings": capture(STYLES, keep=("features", "effective_rank")),
        # Documents that answer nobody were trained without the chat template.
        "mentions": replace(capture(mentions(), keep=("features", "effective_rank")), raw=True),
    }


def detectors_of(subject: str) -> dict[str, int]:
    """Return the detector of each concept that the card of a specimen names; nothing for another subject."""
    card = resources.files("saeprobe").joinpath("specimens", subject, "card.json")
    if not card.is_file():
        return {}
    return {row["concept"]: row["feature"] for row in json.loads(card.read_text(encoding="utf-8"))["concepts"]}


def gathered(subject: Subject, store: Store, *, wanted: Mapping[str, Capture] | None = None) -> tuple[Population, ...]:
    """Read the populations of a subject, or what is `wanted` of each, in one pass; later runs find them stored."""
    read = captures() if wanted is None else wanted
    (work,) = works_of((subject, one) for one in read.values())
    gather(work, store)
    detectors = detectors_of(subject.name)
    return tuple(
        Population.of(name, plan.features(subject, one, store), detectors=detectors) for name, one in read.items()
    )
