"""Tests of the calibration study make their populations and rows by hand here."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from saeprobe.features import Features, Token
from saeprobe.prompts import Prompt
from studies.calibration.populations import Population
from studies.calibration.study import Row

FEATURES = 40
OWN = 4
"""Each group has so many features of its own, from 20 on."""


def population(
    *, groups: str = "pqr", wordings: int = 24, topics: int = 8, own: float = 0.0, seed: int = 0, name: str = "mentions"
) -> Population:
    """Make wordings that each have features of their own, whatever the topic; a share `own` shows the group's too.

    A wording's features fire on nearly all of its topics and the others on few, so that topics under one wording are
    far from independent looks. The first group's own features are three times as many as the others', so that it is
    more active. With `own` 0 all groups are alike.
    """
    rng = np.random.default_rng(seed)
    prompts = tuple(
        Prompt(text=f"{group} {wording} {topic}", style=group, topic=f"topic {topic}", template=f"{group} {wording}")
        for group in groups
        for wording in range(wordings)
        for topic in range(topics)
    )
    rows = len(groups) * wordings
    likes = rng.random((rows, 1, FEATURES)) < np.linspace(0.2, 0.8, FEATURES)
    likes[:, :, 20:] = False
    first = 20
    for at in range(len(groups)):
        last = first + (OWN if at else 3 * OWN)
        likes[at * wordings : (at + 1) * wordings, :, first:last] = rng.random((wordings, 1, last - first)) < own
        first = last
    fires = rng.random((rows, topics, FEATURES)) < np.where(likes, 0.95, np.where(np.arange(FEATURES) < 20, 0.05, 0.0))
    fires[:, :, -1] = True  # so that every prompt has an active feature
    acts = (fires * rng.uniform(0.5, 2.0, size=(rows, 1, FEATURES))).reshape(len(prompts), FEATURES)
    features = Features(
        subject="made",
        acts=csr_array(acts),
        row_prompt=np.arange(len(prompts)),
        tokens=tuple(Token(position=1, text="x", start=0, end=1) for _ in prompts),
        prompts=prompts,
        n_tokens=rng.integers(5, 15, size=len(prompts)),
        effective_rank=rng.normal(10.0, 1.0, size=(rows, 1)).repeat(topics, axis=1).ravel(),
    )
    return Population.of(name, features, detectors=dict(zip(groups, (20, 32, 36), strict=False)))


def row(word: str, **more: Any) -> Row:
    """Make a row of a false claim with this verdict."""
    given: dict[str, Any] = {
        "kind": "greater",
        "how": "labels shuffled",
        "truth": "false",
        "level": 0.5,
        "contrary": 0.5,
        "naive": None,
    }
    return Row(word=word, **(given | more))
