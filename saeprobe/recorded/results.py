"""`feature_diff.json`: two styles compared, as means, firing rates and features exclusive to one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from saeprobe.recorded.files import (
    ArticleFeatures,
    ArticleFileError,
    count_at,
    list_at,
    load_json,
    number_at,
    object_at,
    save_json,
)

_SINGLE = 1e-6  # the published file's rates are float32 written in full, so `diff` is exact to a few units of 6e-8


@dataclass(frozen=True, kw_only=True)
class FeatureRates:
    """How often one feature fires under each of the two styles: a share of the prompts, in [0, 1]."""

    index: int
    a: float
    b: float

    @property
    def diff(self) -> float:
        """Rate under the first style less rate under the second."""
        return self.a - self.b


@dataclass(frozen=True, kw_only=True)
class FeatureDiff:
    """The comparison of style `a` with style `b`. It holds summaries only: no interval can be made from it.

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


def read_feature_diff(path: Path) -> FeatureDiff:
    """Read a comparison; the two styles are taken from the names of its keys.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is not of this shape, or contradicts itself.
    """
    data = object_at(path, "the file", load_json(path))
    a, b = _pair(path, data)
    summary = object_at(path, "key 'summary'", data.get("summary"))

    def count(style: str) -> int:
        return count_at(path, f"summary, key '{style}_only_count'", summary.get(f"{style}_only_count"))

    active = [a, b, *(key.removesuffix("_avg_active") for key in summary if key.endswith("_avg_active"))]
    diff = FeatureDiff(
        a=a,
        b=b,
        avg_active={style: _positive(path, summary, f"{style}_avg_active") for style in dict.fromkeys(active)},
        avg_intensity={style: _positive(path, summary, f"{style}_avg_intensity") for style in (a, b)},
        only_count={style: count(style) for style in (a, b)},
        dominant={style: _dominant(path, data, style, (a, b)) for style in (a, b)},
        only={style: _only(path, data, style) for style in (a, b)},
    )
    for style in (a, b):
        if len(diff.only[style]) > diff.only_count[style]:
            raise ArticleFileError(
                path,
                f"'{style}_only_features' lists {len(diff.only[style])} features",
                wanted=f"at most its own '{style}_only_count', {diff.only_count[style]}",
            )
    return diff


def write_feature_diff(path: Path, diff: FeatureDiff) -> None:
    """Write the comparison with the published file's keys in its order, whole or not at all."""
    a, b = diff.a, diff.b
    save_json(
        path,
        {
            "summary": {f"{style}_avg_active": mean for style, mean in diff.avg_active.items()}
            | {f"{style}_avg_intensity": diff.avg_intensity[style] for style in (a, b)}
            | {f"{style}_only_count": diff.only_count[style] for style in (a, b)},
        }
        | {
            f"{style}_dominant_features": [
                {"index": rates.index, f"{a}_freq": rates.a, f"{b}_freq": rates.b, "diff": rates.diff}
                for rates in diff.dominant[style]
            ]
            for style in (a, b)
        }
        | {f"{style}_only_features": list(diff.only[style]) for style in (a, b)},
    )


def _pair(path: Path, data: dict[str, Any]) -> tuple[str, str]:
    """The two styles, from the keys `<style>_dominant_features`."""
    suffix = "_dominant_features"
    styles = [key.removesuffix(suffix) for key in data if key.endswith(suffix) and key != suffix]
    if len(styles) != 2:  # noqa: PLR2004 - a comparison has two sides
        raise ArticleFileError(
            path,
            f"it has {len(styles)} keys '<style>{suffix}'",
            wanted="two, one a style, as in a feature_diff.json",
            remedy="make one with 'saeprobe diff'",
        )
    return styles[0], styles[1]


def _positive(path: Path, summary: dict[str, Any], key: str) -> float:
    value = number_at(path, f"summary, key {key!r}", summary.get(key))
    if value < 0:
        raise ArticleFileError(path, f"summary, key {key!r} is {value}", wanted="a mean of 0 or above")
    return value


def _dominant(path: Path, data: dict[str, Any], style: str, pair: tuple[str, str]) -> tuple[FeatureRates, ...]:
    """The firing rates of the features that lean to `style`; checked: they are rates, in order, each feature once."""
    name = f"{style}_dominant_features"
    a, b = pair
    sign = 1 if style == a else -1
    found: list[FeatureRates] = []
    for place, raw in enumerate(list_at(path, f"key {name!r}", data.get(name))):
        where = f"{name!r}, entry {place}"
        entry = object_at(path, where, raw)
        index = count_at(path, f"{where}, key 'index'", entry.get("index"))
        rate = {s: number_at(path, f"{where}, key '{s}_freq'", entry.get(f"{s}_freq")) for s in pair}
        diff = number_at(path, f"{where}, key 'diff'", entry.get("diff"))
        if not all(0 <= value <= 1 for value in rate.values()):
            raise ArticleFileError(path, f"{where} has the firing rates {rate}", wanted="shares between 0 and 1")
        if abs(rate[a] - rate[b] - diff) > _SINGLE:
            raise ArticleFileError(
                path, f"{where}: 'diff' is {diff}", wanted=f"{a}_freq - {b}_freq = {rate[a] - rate[b]}"
            )
        found.append(FeatureRates(index=index, a=rate[a], b=rate[b]))
    if any(sign * earlier.diff < sign * later.diff - _SINGLE for earlier, later in pairwise(found)):
        raise ArticleFileError(path, f"{name!r} is out of order", wanted=f"the greatest lean to {style!r} first")
    if len({rates.index for rates in found}) != len(found):
        raise ArticleFileError(path, f"{name!r} lists a feature twice", wanted="every feature once")
    return tuple(found)


def _only(path: Path, data: dict[str, Any], style: str) -> tuple[int, ...]:
    """The listed features exclusive to `style`."""
    name = f"{style}_only_features"
    listed = list_at(path, f"key {name!r}", data.get(name))
    indices = tuple(count_at(path, f"{name!r}, entry {place}", value) for place, value in enumerate(listed))
    if any(earlier >= later for earlier, later in pairwise(indices)):
        raise ArticleFileError(
            path, f"{name!r} is not ascending", wanted="feature numbers in ascending order, each once"
        )
    return indices


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


@dataclass(frozen=True, kw_only=True, eq=False)
class EidTable:
    """EID by topic and persona, one prompt each.

    Attributes:
        topics: one a row.
        personas: one a column, in the file's order.
        eid: effective rank of the centred hidden states of the whole prompt, `[topics, personas]`.
        seq_len: tokens of the prompt, `[topics, personas]`.
    """

    topics: tuple[str, ...]
    personas: tuple[str, ...]
    eid: Float[np.ndarray, "topics personas"]
    seq_len: Int[np.ndarray, "topics personas"]

    def column(self, persona: str) -> int:
        """The column of a persona.

        Raises:
            KeyError: the table has no such persona.
        """
        if persona not in self.personas:
            raise KeyError(f"no persona {persona!r}; there are: {', '.join(self.personas)}")
        return self.personas.index(persona)


def read_eid_table(path: Path) -> EidTable:
    """Read a list of `{"topic": ..., "eid": {persona: {"eid": ..., "seq_len": ...}}}`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is not of this shape, or a topic lacks a persona.
    """
    entries = list_at(path, "the file", load_json(path))
    if not entries:
        raise ArticleFileError(path, "it holds an empty list", wanted="one entry a topic")
    topics: list[str] = []
    cells: list[dict[str, tuple[float, int]]] = []
    for index, raw in enumerate(entries):
        entry = object_at(path, f"entry {index}", raw)
        topic = entry.get("topic")
        if not isinstance(topic, str) or not topic:
            raise ArticleFileError(path, f"entry {index}: key 'topic' is {topic!r:.60}", wanted="the topic, a string")
        topics.append(topic)
        cells.append(_personas(path, f"entry {index} (topic {topic!r})", entry.get("eid")))
        if cells[-1].keys() != cells[0].keys():
            differing = ", ".join(sorted(cells[-1].keys() ^ cells[0].keys()))
            raise ArticleFileError(
                path,
                f"entry {index} (topic {topic!r}) and entry 0 differ in the personas {differing}",
                wanted="the same personas for every topic",
            )
    personas = tuple(cells[0])
    return EidTable(
        topics=tuple(topics),
        personas=personas,
        eid=np.array([[row[persona][0] for persona in personas] for row in cells], dtype=np.float64),
        seq_len=np.array([[row[persona][1] for persona in personas] for row in cells], dtype=np.int64),
    )


def _personas(path: Path, where: str, raw: object) -> dict[str, tuple[float, int]]:
    """EID and length of each persona of one topic."""
    found: dict[str, tuple[float, int]] = {}
    for persona, value in object_at(path, f"{where}, key 'eid'", raw).items():
        cell = object_at(path, f"{where}, persona {persona!r}", value)
        eid = number_at(path, f"{where}, persona {persona!r}, key 'eid'", cell.get("eid"))
        length = count_at(path, f"{where}, persona {persona!r}, key 'seq_len'", cell.get("seq_len"))
        if eid <= 0 or length == 0:
            raise ArticleFileError(
                path,
                f"{where}, persona {persona!r}: eid {eid} over {length} tokens",
                wanted="an effective rank above 0 over at least one token",
            )
        found[persona] = (eid, length)
    if not found:
        raise ArticleFileError(path, f"{where} has no persona", wanted="at least one")
    return found
