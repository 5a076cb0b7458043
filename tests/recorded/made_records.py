"""These files in the article's shapes are small enough to be worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from saeprobe import capture
from saeprobe.features import Features, Keep
from saeprobe.prompts import STYLES
from saeprobe.recorded import Stated
from saeprobe.recorded.comparison import FeatureDiff, FeatureRates
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.recorded.recognition import recorded_files
from saeprobe.recorded.record import Recorded
from saeprobe.recorded.tensors import ArticleFeatures

SUBJECT = "llama70b-as-published"
TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")
NOVICE = np.array(
    [[1, 2, 0, 4], [1, 0, 3, 0], [1, 1, 1, 0], [2, 2, 2, 0], [1, 3, 0, 0], [1, 1, 0, 1]], dtype=np.float32
)
EXPERT = np.array(
    [[0, 2, 0, 0], [0, 0, 3, 0], [0, 1, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]], dtype=np.float32
)


def article_features() -> ArticleFeatures:
    """Make two styles on six topics with four features.

    L0 of novice is 3, 2, 3, 3, 2, 3 and of expert 1, 1, 1, 1, 1, 1. Feature 0 fires on every novice prompt and no
    expert prompt; feature 3 on two novice prompts and no expert prompt.
    """
    return ArticleFeatures(
        topics=TOPICS, gurus=("",) * 6, rows={"novice": csr_array(NOVICE), "expert": csr_array(EXPERT)}
    )


def article_diff() -> FeatureDiff:
    """Make a comparison with numbers of its own: rates in eighths."""
    return FeatureDiff(
        a="novice",
        b="expert",
        avg_active={"novice": 20.5, "expert": 18.25, "standard": 19.0},
        avg_intensity={"novice": 0.31, "expert": 0.30},
        only_count={"novice": 7, "expert": 4},
        dominant={
            "novice": (FeatureRates(index=11, a=1.0, b=0.0), FeatureRates(index=12, a=0.875, b=0.25)),
            "expert": (FeatureRates(index=13, a=0.125, b=0.5),),
        },
        only={"novice": (11, 14), "expert": (15,)},
    )


def write_eid(path: Path) -> None:
    """An EID table: novice lies above expert at equal length, standard is shorter and not quite on their line."""
    gains, off = [0.3, 0.1, 0.2, 0.4, 0.1, 0.2], [0.1, -0.1, 0.1, -0.1, -0.1, 0.1]
    lengths = [28, 29, 30, 30, 31, 32]
    entries = [
        {
            "topic": topic,
            "eid": {
                "standard": {"eid": 5.0 + 0.3 * (length - 12) + rest, "seq_len": length - 12},
                "novice": {"eid": 4.5 + 0.3 * length + gain, "seq_len": length},
                "expert": {"eid": 4.5 + 0.3 * length, "seq_len": length},
            },
        }
        for topic, length, gain, rest in zip(TOPICS, lengths, gains, off, strict=True)
    ]
    path.write_text(json.dumps(entries), encoding="utf-8")


def read(directory: Path, *, keep: Keep = "features", at: Literal["last", "all"] = "last") -> Features | Recorded:
    """Read what the files in a directory hold of the styles."""
    return recorded_evidence(recorded_files([directory]), capture(STYLES, at=at, keep=keep), Stated(subject=SUBJECT))


FIRING = {
    "7": {
        "total_activated": 5,
        "total_not_activated": 7,
        "activation_rate": 0.4167,
        "condition_distribution": {"novice": 4, "guru": 1},
        "sample_activated": [{"topic": "yeast", "condition": "novice", "prompt": "?", "activation": 0.5000001}],
        "sample_not_activated": [{"topic": "tides", "condition": "expert", "prompt": "?", "activation": 0.0}],
    },
    "9": {
        "total_activated": 3,
        "total_not_activated": 9,
        "activation_rate": 0.25,
        "condition_distribution": {"expert": 3},
        "sample_activated": [{"topic": "tides", "condition": "expert", "prompt": "?", "activation": 1.25}],
        "sample_not_activated": [],
    },
}
"""Three styles of four prompts: feature 7 fires on 4 novice and 1 guru, feature 9 on 3 expert ones."""

BY_TOPIC = {
    "novice_features": {
        "7": {
            "total_samples": 4,
            "activated_count": 4,
            "activation_rate": 1.0,
            "mean_activation": 0.75,
            "max_activation": 1.5,
            "activated_topics": [
                {"topic": "tides", "activation": 0.25},
                {"topic": "yeast", "activation": 0.5},
                {"topic": "comets", "activation": 0.75},
                {"topic": "rust", "activation": 1.5},
            ],
        },
        "8": {
            "total_samples": 4,
            "activated_count": 2,
            "activation_rate": 0.5,
            "mean_activation": 0.37,
            "max_activation": 0.5,
            "activated_topics": [{"topic": "yeast", "activation": 0.5}, {"topic": "rust", "activation": 0.25}],
        },
    }
}
"""Feature 7 is active on all four topics, feature 8 on two of them with a mean of 0.375."""


def small_diff(**changes: object) -> FeatureDiff:
    """Make a comparison of the run behind `FIRING` and `BY_TOPIC`: feature 7 fires on 4 of 4 and on 0 of 4 prompts."""
    diff = FeatureDiff(
        a="novice",
        b="expert",
        avg_active={"novice": 6.0, "expert": 5.0, "standard": 4.5},
        avg_intensity={"novice": 0.5, "expert": 0.75},
        only_count={"novice": 3, "expert": 2},
        dominant={
            "novice": (FeatureRates(index=7, a=1.0, b=0.0),),
            "expert": (FeatureRates(index=9, a=0.0, b=0.75),),
        },
        only={"novice": (7,), "expert": (9,)},
    )
    return replace(diff, **changes)


def write_json(path: Path, data: object) -> Path:
    """Write data as JSON."""
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return path
