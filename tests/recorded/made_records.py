"""These files in the article's shapes are small enough to be worked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from saeprobe import capture
from saeprobe.features import Features, Keep
from saeprobe.prompts import STYLES
from saeprobe.recorded.comparison import FeatureDiff, FeatureRates
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.recorded.record import Recorded
from saeprobe.recorded.stated import Stated
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
        topics=TOPICS, gurus=("",) * 6, features={"novice": csr_array(NOVICE), "expert": csr_array(EXPERT)}
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
    """An EID table: novice lies above expert at equal length, standard is shorter."""
    gains = [0.3, 0.1, 0.2, 0.4, 0.1, 0.2]
    lengths = [28, 29, 30, 30, 31, 32]
    entries = [
        {
            "topic": topic,
            "eid": {
                "standard": {"eid": 5.0 + 0.3 * (length - 12), "seq_len": length - 12},
                "novice": {"eid": 4.5 + 0.3 * length + gain, "seq_len": length},
                "expert": {"eid": 4.5 + 0.3 * length, "seq_len": length},
            },
        }
        for topic, length, gain in zip(TOPICS, lengths, gains, strict=True)
    ]
    path.write_text(json.dumps(entries), encoding="utf-8")


def read(directory: Path, *, keep: Keep = "features", at: Literal["last", "all"] = "last") -> Features | Recorded:
    """Read what the files in a directory hold of the styles."""
    return recorded_evidence(directory, capture(STYLES, at=at, keep=keep), Stated(subject=SUBJECT))
