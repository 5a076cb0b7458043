"""Measurements made by hand: one value a template and topic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saeprobe.evidence.values import Measurement, Summary
from saeprobe.prompts import Prompt

TOPICS = ("tides", "bridges", "yeast", "comets", "glaciers", "magnets", "lenses", "rust", "soil", "bees")


def grid(
    style: str,
    values: Sequence[Sequence[float]],
    *,
    lengths: Sequence[Sequence[int]] | None = None,
    topics: Sequence[str] = TOPICS,
    wording: str | None = None,
    measure: str = "l0",
    unit: str = "features",
) -> Measurement:
    """`values[t][k]` is the value under template t on topic k; prompts are worded by `wording`, else by the style."""
    name = style if wording is None else wording
    prompts = tuple(
        Prompt(
            text=f"{name} {t}: {topics[k]}",
            style=style,
            topic=topics[k],
            template=f"{name} {t}: {{topic}}",
            frame=f"{name} {t}",  # that of no other style: else those of one number would be found to be pairs
        )
        for t, row in enumerate(values)
        for k in range(len(row))
    )
    return Measurement(
        measure=measure,
        label=style,
        unit=unit,
        values=np.array([value for row in values for value in row], dtype=np.float64),
        prompts=prompts,
        n_tokens=None if lengths is None else np.array([length for row in lengths for length in row]),
    )


def templates(style: str, means: Sequence[float], **more: str) -> Measurement:
    """A template with each of these means, on three topics whose own levels are 0, 5 and -5."""
    return grid(style, [[mean, mean + 5, mean - 5] for mean in means], **more)


def family(*parts: Measurement) -> Measurement:
    """The whole capture that these styles make up; index it by style."""
    lengths = [part.n_tokens for part in parts if part.n_tokens is not None]
    return Measurement(
        measure=parts[0].measure,
        label=" + ".join(part.label for part in parts),
        unit=parts[0].unit,
        values=np.concatenate([part.values for part in parts]),
        prompts=tuple(prompt for part in parts for prompt in part.prompts),
        n_tokens=np.concatenate(lengths) if len(lengths) == len(parts) else None,
    )


def summary(style: str, value: float, *, measure: str = "l0", unit: str = "features", n: int | None = None) -> Summary:
    """A bare mean, without the values behind it."""
    return Summary(measure=measure, label=style, unit=unit, value=value, n=n, origin="feature_diff.json")


def fires(values: Sequence[Sequence[float]], style: str = "novice", **more: object) -> Measurement:
    """A feature that fires on a prompt where there is a 1: a row a template, a column a topic."""
    given = {"measure": "firing rate of feature 7", "unit": "share of prompts"}
    return grid(style, values, **(given | more))  # type: ignore[arg-type]


def of_templates(*counts: int, on: int = 4) -> Measurement:
    """A template each, on `on` topics, of which the feature fires on so many."""
    return fires([[1.0] * count + [0.0] * (on - count) for count in counts])
