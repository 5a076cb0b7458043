"""A comparison of two styles says how often each feature fires under one and under the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from saeprobe.files import FileError
from saeprobe.recorded.tensors import ArticleFeatures
from saeprobe.shapes import Int

LISTED_DOMINANT: Final = 30
LISTED_ONLY: Final = 50
"""So many features are listed in the published file."""

_BASELINE: Final = "standard"  # the published summary gives its mean number of active features beside the pair's
SINGLE: Final = 1e-6  # the published rates are float32 written in full: `diff` is exact to a few units of 6e-8


@dataclass(frozen=True, kw_only=True)
class FeatureRates:
    """One feature fires under each of two styles at a rate: a share of the prompts, in [0, 1]."""

    index: int
    a: float
    b: float

    @property
    def diff(self) -> float:
        """Return the rate under the first style less the rate under the second."""
        return self.a - self.b


@dataclass(frozen=True, kw_only=True)
class FeatureDiff:
    """A comparison of style `a` with style `b` holds summaries only: no interval can be made from it.

    Attributes:
        a: the first style.
        b: the second style.
        avg_active: by style, active features a prompt (value above 0), mean over prompts; has `a`, `b` and, where the
            features file had it, `standard`.
        avg_intensity: by style (`a` and `b`), mean of all active values of all prompts pooled, so that a prompt with
            more active features weighs more; in units of the SAE's feature activations.
        only_count: by style (`a` and `b`), features active on at least one of its prompts and on none of the other's.
        dominant: by style, the features whose firing rate leans most towards it, greatest lean first.
        only: by style, the first of the features counted in `only_count`, ascending.
    """

    a: str
    b: str
    avg_active: Mapping[str, float]
    avg_intensity: Mapping[str, float]
    only_count: Mapping[str, int]
    dominant: Mapping[str, tuple[FeatureRates, ...]]
    only: Mapping[str, tuple[int, ...]]


def compare_styles(features: ArticleFeatures, a: str, b: str) -> FeatureDiff:
    """Compare style `a` with style `b` over the same topics.

    A feature is active where its value is above 0. `only` and `only_count` look at whether a feature is active on any
    prompt at all; `dominant` lists at most 30 features, those that lean towards the style at all, ties by number.

    Raises:
        KeyError: a style is not in the file.
        ValueError: the styles are the same, or no feature is active in one of them, whose mean strength is undefined.
    """
    known = ", ".join(features.styles)
    if a == b:
        raise ValueError(f"style {a!r} cannot be compared with itself; name two styles of: {known}")
    for style in (a, b):
        if style not in features.features:
            raise KeyError(f"no style {style!r}; there are: {known}")
        if features.features[style].nnz == 0:
            raise ValueError(f"no feature is active on any {style!r} prompt, so their mean strength is undefined")
    n = len(features.topics)
    fired_a, fired_b = (np.bincount(features.features[style].indices, minlength=features.d_sae) for style in (a, b))
    only = {a: np.flatnonzero((fired_a > 0) & (fired_b == 0)), b: np.flatnonzero((fired_b > 0) & (fired_a == 0))}
    counted = [style for style in dict.fromkeys((a, b, _BASELINE)) if style in features.features]

    def leaning(lean: Int[np.ndarray, " d_sae"]) -> tuple[FeatureRates, ...]:
        order = np.argsort(-lean, kind="stable")[:LISTED_DOMINANT]  # counts are compared, so ties are exact
        return tuple(
            FeatureRates(index=int(index), a=int(fired_a[index]) / n, b=int(fired_b[index]) / n)
            for index in order
            if lean[index] > 0
        )

    return FeatureDiff(
        a=a,
        b=b,
        avg_active={style: features.features[style].nnz / n for style in counted},
        avg_intensity={style: float(features.features[style].data.mean(dtype=np.float64)) for style in (a, b)},
        only_count={style: len(only[style]) for style in (a, b)},
        dominant={a: leaning(fired_a - fired_b), b: leaning(fired_b - fired_a)},
        only={style: tuple(int(index) for index in only[style][:LISTED_ONLY]) for style in (a, b)},
    )


def smallest_count(rates: Sequence[float], *, precision: float = SINGLE) -> int | None:
    """Find the smallest n, up to 1,000, for which every rate is a whole number out of n, within float32 rounding."""
    for n in range(1, 1001):
        if all(abs(rate * n - round(rate * n)) <= precision * n for rate in rates):
            return n
    return None


def check_agreement(path: Path, diff: FeatureDiff) -> None:
    """Refuse a comparison whose lists and means cannot all be true of the same prompts.

    Raises:
        FileError: names the place, and what the other place says.
    """
    a, b = diff.a, diff.b
    for style, listed in diff.only.items():
        if len(listed) > diff.only_count[style]:
            found = f"'{style}_only_features' lists {len(listed)} features"
            raise FileError(path, found, wanted=f"at most its own '{style}_only_count', {diff.only_count[style]}")
    both = sorted({*diff.only[a]} & {*diff.only[b]})
    if both:
        found = f"'{a}_only_features' and '{b}_only_features' both list feature {both[0]}"
        raise FileError(path, found, wanted="a feature that fires on one of the styles only in its own list only")
    seen: dict[int, FeatureRates] = {}
    for side, rows in diff.dominant.items():
        for row in rows:
            _check_row(
                path, diff, f"'{side}_dominant_features', index {row.index}", row, seen.setdefault(row.index, row)
            )
    for style, least in ((a, sum(row.a for row in seen.values())), (b, sum(row.b for row in seen.values()))):
        if diff.avg_active[style] < least - SINGLE * (1 + least + len(seen)):
            found = f"summary, key '{style}_avg_active' is {diff.avg_active[style]:g}"
            raise FileError(path, found, wanted=f"at least {least:g}, the sum of the '{style}_freq' that it lists")


def _check_row(path: Path, diff: FeatureDiff, where: str, row: FeatureRates, earlier: FeatureRates) -> None:
    """Refuse rates that differ from those of the same feature in the other list, or from a list of its side alone."""
    a, b = diff.a, diff.b
    found = f"{where}: {a}_freq {row.a:g} and {b}_freq {row.b:g}"
    if max(abs(earlier.a - row.a), abs(earlier.b - row.b)) > SINGLE:
        raise FileError(path, found, wanted=f"{earlier.a:g} and {earlier.b:g}, as '{a}_dominant_features' has")
    for style, own, other in ((a, row.a, row.b), (b, row.b, row.a)):
        if row.index in diff.only[style] and not own > 0 == other:
            wanted = f"a feature that fires on {style} prompts only, since '{style}_only_features' lists it"
            raise FileError(path, found, wanted=wanted)
