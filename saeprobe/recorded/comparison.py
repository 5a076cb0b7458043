"""A comparison of two styles says how often each feature fires under one and under the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from saeprobe.files import FileError, load_json, write_whole
from saeprobe.recorded import SINGLE
from saeprobe.recorded.summaries import WHOLE, Held, count_at, held_at
from saeprobe.recorded.tensors import ArticleFeatures
from saeprobe.shapes import Int

DOMINANT: Final = "_dominant_features"  # the keys of a comparison end so behind the names of its two styles
LISTED_DOMINANT: Final = 30  # features, as in the published file
LISTED_ONLY: Final = 50  # likewise
_BASELINE: Final = "standard"  # the published summary gives its mean number of active features beside the pair's


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
    """A comparison of style `a` with `b` holds summaries by style only: no interval can be made from it."""

    a: str
    b: str
    # Active features a prompt (value above 0), mean over prompts; has `a`, `b` and, where the file had it, `standard`.
    avg_active: Mapping[str, float]
    # Mean of all active values of all prompts pooled, so that a prompt with more active features weighs more; in units
    # of the SAE's feature activations.
    avg_intensity: Mapping[str, float]
    only_count: Mapping[str, int]  # features active on at least one prompt of the style and on none of the other's
    dominant: Mapping[str, tuple[FeatureRates, ...]]  # whose firing rate leans most to the style, greatest lean first
    only: Mapping[str, tuple[int, ...]]  # the first of the features counted in `only_count`, ascending
    # Mean over prompts of the mean of their active values; of neither style where a prompt has none, or where the file
    # does not hold it: the published one does not.
    avg_prompt_intensity: Mapping[str, float] = field(default_factory=dict[str, float])
    # All features that fire on every prompt of the style and none of the other, ascending; empty if unstated.
    separating: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])


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
        if style not in features.rows:
            raise KeyError(f"no style {style!r}; there are: {known}")
        if features.rows[style].nnz == 0:
            raise ValueError(f"no feature is active on any {style!r} prompt, so their mean strength is undefined")
    n = len(features.topics)
    fired_a, fired_b = (np.bincount(features.rows[style].indices, minlength=features.width) for style in (a, b))
    only = {a: np.flatnonzero((fired_a > 0) & (fired_b == 0)), b: np.flatnonzero((fired_b > 0) & (fired_a == 0))}
    separating = {a: (fired_a == n) & (fired_b == 0), b: (fired_b == n) & (fired_a == 0)}
    counted = [style for style in dict.fromkeys((a, b, _BASELINE)) if style in features.rows]
    active = {style: np.diff(features.rows[style].indptr) for style in (a, b)}
    every_active = all(counts.all() for counts in active.values())

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
        avg_active={style: features.rows[style].nnz / n for style in counted},
        avg_intensity={style: float(features.rows[style].data.mean(dtype=np.float64)) for style in (a, b)},
        only_count={style: len(only[style]) for style in (a, b)},
        dominant={a: leaning(fired_a - fired_b), b: leaning(fired_b - fired_a)},
        only={style: tuple(int(index) for index in only[style][:LISTED_ONLY]) for style in (a, b)},
        avg_prompt_intensity={
            style: float((features.rows[style].sum(axis=1, dtype=np.float64) / active[style]).mean())
            for style in ((a, b) if every_active else ())
        },
        separating={style: tuple(np.flatnonzero(separating[style]).tolist()) for style in (a, b)},
    )


def smallest_count(rates: Sequence[float]) -> int | None:
    """Find the smallest n, up to 1,000, for which every rate is a whole number out of n, within float32 rounding."""
    for n in range(1, 1001):
        if all(abs(rate * n - round(rate * n)) <= SINGLE * n for rate in rates):
            return n
    return None


def check_agreement(path: Path, diff: FeatureDiff) -> None:
    """Refuse by a FileError lists and means that cannot all be true of the same prompts; it names both places."""
    a, b = diff.a, diff.b
    for style, listed in diff.only.items():
        if len(listed) > diff.only_count[style]:
            found = f"'{style}_only_features' lists {len(listed)} features"
            raise FileError(path, found, wanted=f"at most its own '{style}_only_count', {diff.only_count[style]}")
    both = sorted({*diff.only[a]} & {*diff.only[b]})
    if both:
        found = f"'{a}_only_features' and '{b}_only_features' both list feature {both[0]}"
        raise FileError(path, found, wanted="a feature that fires on one of the styles only in its own list only")
    _check_separating(path, diff)
    seen: dict[int, FeatureRates] = {}
    for side, rows in diff.dominant.items():
        for row in rows:
            _check_row(path, diff, f"'{side}{DOMINANT}', index {row.index}", row, seen.setdefault(row.index, row))
    for style, least in ((a, sum(row.a for row in seen.values())), (b, sum(row.b for row in seen.values()))):
        if diff.avg_active[style] < least - SINGLE * (1 + least + len(seen)):
            found = f"summary, key '{style}_avg_active' is {diff.avg_active[style]:g}"
            raise FileError(path, found, wanted=f"at least {least:g}, the sum of the '{style}_freq' that it lists")


def _check_separating(path: Path, diff: FeatureDiff) -> None:
    """Refuse a list of separating features that has one which another list denies, or lacks one which it shows."""
    for style, other in ((diff.a, diff.b), (diff.b, diff.a)):
        listed = set(diff.separating.get(style, ()))
        full = {row.index: abs(row.diff) > 1 - SINGLE for row in diff.dominant[style]}
        wrong = sorted(listed & {*diff.only[other], *(row.index for row in diff.dominant[other])})
        wrong += sorted(index for index in listed if not full.get(index, True))
        lacking = [index for index, separates in full.items() if separates and index not in listed]
        if wrong or (lacking and style in diff.separating):
            found = f"'{style}_separating_features' {'lists' if wrong else 'lacks'} feature {[*wrong, *lacking][0]}"
            raise FileError(path, found, wanted=f"all features that fire on every {style} and no {other} prompt")


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


def write_feature_diff(path: Path, diff: FeatureDiff) -> None:
    """Write the comparison with the published file's keys in its order, then two more, whole or not at all."""
    a, b = diff.a, diff.b
    summary = {
        **{f"{style}_avg_active": mean for style, mean in diff.avg_active.items()},
        **{f"{style}_avg_intensity": diff.avg_intensity[style] for style in (a, b)},
        **{f"{style}_only_count": diff.only_count[style] for style in (a, b)},
        **{f"{style}_avg_prompt_intensity": mean for style, mean in diff.avg_prompt_intensity.items()},
    }
    data: dict[str, object] = {"summary": summary}
    for style in (a, b):
        data[f"{style}{DOMINANT}"] = [
            {"index": rates.index, f"{a}_freq": rates.a, f"{b}_freq": rates.b, "diff": rates.diff}
            for rates in diff.dominant[style]
        ]
    data |= {f"{style}_only_features": list(diff.only[style]) for style in (a, b)}
    data |= {f"{style}_separating_features": list(features) for style, features in diff.separating.items()}
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def read_feature_diff(path: Path) -> FeatureDiff:
    """Read a comparison; the two styles are taken from the names of its keys.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is not of this shape, or contradicts itself.
    """
    return feature_diff_of(path, load_json(path))


def feature_diff_of(path: Path, data: object) -> FeatureDiff:
    """Check the comparison that was loaded from `path`; raises as `read_feature_diff`."""
    whole = held_at(path, WHOLE, data)
    styles = tuple(key.removesuffix(DOMINANT) for key in whole.values if key.endswith(DOMINANT) and key != DOMINANT)
    if len(styles) != 2:  # noqa: PLR2004 - a comparison has two sides
        wanted = "two, one a style, as in a feature_diff.json"
        found = f"it has {len(styles)} keys '<style>{DOMINANT}'"
        raise FileError(path, found, wanted=wanted, remedy="make one with 'saeprobe diff'")
    summary = whole.object("summary", "summary")
    counted = (key.removesuffix("_avg_active") for key in summary.values if key.endswith("_avg_active"))
    means = {
        what: {
            style: summary.number(f"{style}{what}") for style in of if required or f"{style}{what}" in summary.values
        }
        for what, of, required in (
            ("_avg_active", dict.fromkeys((*styles, *counted)), True),
            ("_avg_intensity", styles, True),
            ("_avg_prompt_intensity", styles, False),
        )
    }
    for what, by_style in means.items():
        for style, value in by_style.items():
            if value < 0:
                found = f"summary, key '{style}{what}' is {value}"
                raise FileError(path, found, wanted="a mean of 0 or above")
    diff = FeatureDiff(
        a=styles[0],
        b=styles[1],
        avg_active=means["_avg_active"],
        avg_intensity=means["_avg_intensity"],
        only_count={style: summary.count(f"{style}_only_count") for style in styles},
        dominant={style: _dominant(whole, style, styles) for style in styles},
        only={style: _indices(whole, f"{style}_only_features") for style in styles},
        avg_prompt_intensity=means["_avg_prompt_intensity"],
        separating={
            style: _indices(whole, key) for style in styles if (key := f"{style}_separating_features") in whole.values
        },
    )
    check_agreement(path, diff)
    return diff


def _dominant(whole: Held, style: str, pair: tuple[str, ...]) -> tuple[FeatureRates, ...]:
    """Read the firing rates of the features that lean to `style`, in order, each feature once."""
    path, name = whole.path, f"{style}{DOMINANT}"
    a, b = pair
    sign = 1 if style == a else -1
    found: list[FeatureRates] = []
    for entry in whole.rows(name, f"{name!r}, entry"):
        rate = {one: entry.number(f"{one}_freq") for one in pair}
        row = FeatureRates(index=entry.count("index"), a=rate[a], b=rate[b])
        said = entry.number("diff")
        if not all(0 <= value <= 1 for value in rate.values()):
            raise FileError(path, f"{entry.where} has the firing rates {rate}", wanted="shares between 0 and 1")
        if abs(row.diff - said) > SINGLE:
            raise FileError(path, f"{entry.where}: 'diff' is {said}", wanted=f"{a}_freq - {b}_freq = {row.diff}")
        found.append(row)
    if any(sign * earlier.diff < sign * later.diff - SINGLE for earlier, later in pairwise(found)):
        raise FileError(path, f"{name!r} is out of order", wanted=f"the greatest lean to {style!r} first")
    if len({rates.index for rates in found}) != len(found):
        raise FileError(path, f"{name!r} lists a feature twice", wanted="every feature once")
    return tuple(found)


def _indices(whole: Held, name: str) -> tuple[int, ...]:
    path, listed = whole.path, whole.list(name)
    indices = tuple(count_at(path, f"{name!r}, entry {position}", value) for position, value in enumerate(listed))
    if any(earlier >= later for earlier, later in pairwise(indices)):
        wanted = "feature numbers in ascending order, each once"
        raise FileError(path, f"{name!r} is not ascending", wanted=wanted)
    return indices
