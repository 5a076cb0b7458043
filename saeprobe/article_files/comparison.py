"""The article's third step: two styles compared, feature by feature."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array

from saeprobe.article_files.features import ArticleFeatures
from saeprobe.recorded.results import FeatureDiff, FeatureRates

LISTED_DOMINANT = 30  # as many as the published file lists
LISTED_ONLY = 50  # likewise
_BASELINE = "standard"  # the published summary gives its mean number of active features beside the pair's


def compare_styles(features: ArticleFeatures, a: str, b: str) -> FeatureDiff:
    """Compare style `a` with style `b` over the same topics.

    A feature is active where its value is above 0. `only` and `only_count` look at whether a feature is active on any
    prompt at all; `dominant` lists at most 30 features, those that lean towards the style at all, ties by number.

    Raises:
        KeyError: a style is not in the file.
        ValueError: the styles are the same, or no feature is active in one of them, whose mean strength is undefined.
    """
    if a == b:
        raise ValueError(
            f"style {a!r} cannot be compared with itself; name two styles of: {', '.join(features.styles)}"
        )
    for style in (a, b):
        if style not in features.features:
            raise KeyError(f"no style {style!r}; there are: {', '.join(features.styles)}")
        if features.features[style].nnz == 0:
            raise ValueError(f"no feature is active on any {style!r} prompt, so their mean strength is undefined")
    n = len(features.topics)
    fired = {style: _prompts_fired(features.features[style]) for style in (a, b)}
    only = {
        a: np.flatnonzero((fired[a] > 0) & (fired[b] == 0)),
        b: np.flatnonzero((fired[b] > 0) & (fired[a] == 0)),
    }
    counted = [style for style in dict.fromkeys((a, b, _BASELINE)) if style in features.features]
    return FeatureDiff(
        a=a,
        b=b,
        avg_active={style: features.features[style].nnz / n for style in counted},
        avg_intensity={style: float(features.features[style].data.mean(dtype=np.float64)) for style in (a, b)},
        only_count={style: len(only[style]) for style in (a, b)},
        dominant={a: _leaning(fired[a], fired[b], n, sign=1), b: _leaning(fired[a], fired[b], n, sign=-1)},
        only={style: tuple(int(index) for index in only[style][:LISTED_ONLY]) for style in (a, b)},
    )


def _prompts_fired(rows: csr_array) -> Int[np.ndarray, " d_sae"]:
    """On how many prompts each feature is active; `rows` stores values above zero only."""
    return np.bincount(rows.indices, minlength=int(rows.shape[1]))


def _leaning(
    fired_a: Int[np.ndarray, " d_sae"], fired_b: Int[np.ndarray, " d_sae"], n: int, *, sign: int
) -> tuple[FeatureRates, ...]:
    """The features that fire more often under one style, most first; counts are compared, so ties are exact."""
    lean = sign * (fired_a - fired_b)
    order = np.argsort(-lean, kind="stable")[:LISTED_DOMINANT]
    return tuple(
        FeatureRates(index=int(index), a=int(fired_a[index]) / n, b=int(fired_b[index]) / n)
        for index in order
        if lean[index] > 0
    )
