"""Replication: over which units two measurements are compared, templates or topics, and the test over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from saeprobe.evidence import current_terms
from saeprobe.statistics import Shift, paired_shift, unpaired_shift

if TYPE_CHECKING:
    from saeprobe.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A shift between two measurements and the units it was tested over."""

    shift: Shift
    units: str
    n_units: tuple[int, int]
    n_topics: int
    scope: str
    spread_matters: bool


def compare(a: Measurement, b: Measurement, *, alpha: float, seed: int) -> Compared | str:
    """Choose the units and test; a sentence saying why there is no test where there is none."""
    spread_matters = not bool(np.isin(np.concatenate([a.values, b.values]), (0.0, 1.0)).all())
    same = [prompt.text for prompt in a.prompts] == [prompt.text for prompt in b.prompts]
    templates = tuple(len({prompt.template for prompt in of.prompts}) for of in (a, b))
    topics_a, topics_b = mean_by(a, "topic"), mean_by(b, "topic")
    shared = sorted(topics_a.keys() & topics_b.keys())
    if same and templates[0] > 1:  # two arms on the same prompts: each template is its own control
        by_a, by_b = mean_by(a, "template"), mean_by(b, "template")
        differences = np.array([by_a[template] - by_b[template] for template in by_a])
        shift, units = paired_shift(differences, alpha=alpha, seed=seed), "templates, paired"
        scope = f"these {templates[0]} templates"
    elif min(templates) > 1 and shared:
        units_a, units_b = (
            _template_means(a, shared, topics_a, topics_b),
            _template_means(b, shared, topics_a, topics_b),
        )
        shift, units = unpaired_shift(units_a, units_b, alpha=alpha, seed=seed), "templates"
        scope = f"these {templates[0]} + {templates[1]} templates"
    elif len(shared) > 1:
        differences = np.array([topics_a[topic] - topics_b[topic] for topic in shared])
        shift, units = paired_shift(differences, alpha=alpha, seed=seed), "topics, paired"
        templates = (len(shared), len(shared))
        scope = f"this wording only, over {len(shared)} topics"
    else:
        return f"the prompts of {a.label} and {b.label} share {len(shared)} topics; at least 2 are needed to pair them"
    return Compared(
        shift=shift,
        units=units,
        n_units=(templates[0], templates[1]),
        n_topics=len(shared),
        scope=scope,
        spread_matters=spread_matters,
    )


def _template_means(
    of: Measurement, shared: Sequence[str], topics_a: dict[str, float], topics_b: dict[str, float]
) -> np.ndarray:
    """Mean of each template, `[templates]`, over the topics that both sides share, each topic's own level taken out."""
    level = {topic: (topics_a[topic] + topics_b[topic]) / 2 for topic in shared}
    centre = float(np.mean(list(level.values())))
    by_template: dict[str, list[float]] = {}
    for prompt, value in zip(of.prompts, of.values, strict=True):
        if prompt.topic in level:
            by_template.setdefault(prompt.template, []).append(float(value) - level[prompt.topic] + centre)
    return np.array([np.mean(values) for values in by_template.values()])


def mean_by(of: Measurement, what: Literal["template", "topic"]) -> dict[str, float]:
    """Mean over the prompts of each template, or of each topic, in order of first appearance."""
    groups: dict[str, list[float]] = {}
    for prompt, value in zip(of.prompts, of.values, strict=True):
        groups.setdefault(getattr(prompt, what), []).append(float(value))
    return {group: float(np.mean(values)) for group, values in groups.items()}


def mean_interval(of: Measurement) -> tuple[float, float] | None:
    """Interval of the mean over templates, or over topics under one wording; None where no test can give one."""
    for what in ("template", "topic"):
        means = np.array(list(mean_by(of, what).values()))
        if len(means) > 1:
            return paired_shift(means, alpha=current_terms().alpha, seed=current_terms().seed).interval
    return None
