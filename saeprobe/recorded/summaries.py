"""The article's JSON files hold a comparison of two styles, or a table of effective ranks (EID) by persona."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from saeprobe.files import FileError, load_json, shortened, write_whole
from saeprobe.recorded.comparison import SINGLE, FeatureDiff, FeatureRates, check_agreement
from saeprobe.recorded.stated import check_number_of_topics
from saeprobe.shapes import Float, Int

DOMINANT: Final = "_dominant_features"
"""The keys of a comparison end so behind the names of its two styles."""


def write_feature_diff(path: Path, diff: FeatureDiff) -> None:
    """Write the comparison with the published file's keys in its order, whole or not at all."""
    a, b = diff.a, diff.b
    summary = {
        **{f"{style}_avg_active": mean for style, mean in diff.avg_active.items()},
        **{f"{style}_avg_intensity": diff.avg_intensity[style] for style in (a, b)},
        **{f"{style}_only_count": diff.only_count[style] for style in (a, b)},
    }
    data: dict[str, object] = {"summary": summary}
    for style in (a, b):
        data[f"{style}{DOMINANT}"] = [
            {"index": rates.index, f"{a}_freq": rates.a, f"{b}_freq": rates.b, "diff": rates.diff}
            for rates in diff.dominant[style]
        ]
    data |= {f"{style}_only_features": list(diff.only[style]) for style in (a, b)}
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
    data = object_at(path, "the file", data)
    suffix = DOMINANT
    styles = tuple(key.removesuffix(suffix) for key in data if key.endswith(suffix) and key != suffix)
    if len(styles) != 2:  # noqa: PLR2004 - a comparison has two sides
        wanted = "two, one a style, as in a feature_diff.json"
        found = f"it has {len(styles)} keys '<style>{suffix}'"
        raise FileError(path, found, wanted=wanted, remedy="make one with 'saeprobe diff'")
    summary = object_at(path, "key 'summary'", data.get("summary"))

    def mean(key: str) -> float:
        value = number_at(path, f"summary, key {key!r}", summary.get(key))
        if value < 0:
            raise FileError(path, f"summary, key {key!r} is {value}", wanted="a mean of 0 or above")
        return value

    def count(key: str) -> int:
        return count_at(path, f"summary, key {key!r}", summary.get(key))

    active = [*styles, *(key.removesuffix("_avg_active") for key in summary if key.endswith("_avg_active"))]
    diff = FeatureDiff(
        a=styles[0],
        b=styles[1],
        avg_active={style: mean(f"{style}_avg_active") for style in dict.fromkeys(active)},
        avg_intensity={style: mean(f"{style}_avg_intensity") for style in styles},
        only_count={style: count(f"{style}_only_count") for style in styles},
        dominant={style: _dominant(path, data, style, styles) for style in styles},
        only={style: _only(path, data, style) for style in styles},
    )
    check_agreement(path, diff)
    return diff


def _dominant(path: Path, data: dict[str, Any], style: str, pair: tuple[str, ...]) -> tuple[FeatureRates, ...]:
    """Read the firing rates of the features that lean to `style`, in order, each feature once."""
    name = f"{style}{DOMINANT}"
    a, b = pair
    sign = 1 if style == a else -1
    found: list[FeatureRates] = []
    for position, raw in enumerate(list_at(path, f"key {name!r}", data.get(name))):
        where = f"{name!r}, entry {position}"
        entry = object_at(path, where, raw)
        index = count_at(path, f"{where}, key 'index'", entry.get("index"))
        rate = {s: number_at(path, f"{where}, key '{s}_freq'", entry.get(f"{s}_freq")) for s in pair}
        diff = number_at(path, f"{where}, key 'diff'", entry.get("diff"))
        if not all(0 <= value <= 1 for value in rate.values()):
            raise FileError(path, f"{where} has the firing rates {rate}", wanted="shares between 0 and 1")
        if abs(rate[a] - rate[b] - diff) > SINGLE:
            wanted = f"{a}_freq - {b}_freq = {rate[a] - rate[b]}"
            raise FileError(path, f"{where}: 'diff' is {diff}", wanted=wanted)
        found.append(FeatureRates(index=index, a=rate[a], b=rate[b]))
    if any(sign * earlier.diff < sign * later.diff - SINGLE for earlier, later in pairwise(found)):
        raise FileError(path, f"{name!r} is out of order", wanted=f"the greatest lean to {style!r} first")
    if len({rates.index for rates in found}) != len(found):
        raise FileError(path, f"{name!r} lists a feature twice", wanted="every feature once")
    return tuple(found)


def _only(path: Path, data: dict[str, Any], style: str) -> tuple[int, ...]:
    name = f"{style}_only_features"
    listed = list_at(path, f"key {name!r}", data.get(name))
    indices = tuple(count_at(path, f"{name!r}, entry {position}", value) for position, value in enumerate(listed))
    if any(earlier >= later for earlier, later in pairwise(indices)):
        wanted = "feature numbers in ascending order, each once"
        raise FileError(path, f"{name!r} is not ascending", wanted=wanted)
    return indices


@dataclass(frozen=True, kw_only=True, eq=False)
class EidTable:
    """A table holds the EID of one prompt a topic and persona.

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


def read_eid_table(path: Path, *, d_in: int | None = None) -> EidTable:
    """Read a list of `{"topic": ..., "eid": {persona: {"eid": ..., "seq_len": ...}}}`.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is not of this shape, a topic lacks a persona, or a rank is above that of `seq_len` vectors of
            `d_in` dimensions.
    """
    return eid_table_of(path, load_json(path), d_in=d_in)


def eid_table_of(path: Path, data: object, *, d_in: int | None = None) -> EidTable:
    """Check the table that was loaded from `path`; raises as `read_eid_table`."""
    entries = list_at(path, "the file", data)
    if not entries:
        raise FileError(path, "it holds an empty list", wanted="one entry a topic")
    check_number_of_topics(path, len(entries))  # before a million of them are taken apart
    cells: dict[int, dict[str, tuple[float, int]]] = {}
    topics: list[str] = []
    for index, raw in enumerate(entries):
        entry = object_at(path, f"entry {index}", raw)
        topic = entry.get("topic")
        if not isinstance(topic, str) or not topic:
            raise FileError(path, f"entry {index}: key 'topic' is {shortened(topic)}", wanted="the topic, a string")
        topics.append(topic)
        where = f"entry {index} (topic {topic!r})"
        cells[index] = _personas(path, where, entry.get("eid"), math.inf if d_in is None else d_in)
        differing = ", ".join(sorted(cells[index].keys() ^ cells[0].keys()))
        if differing:
            found = f"{where} and entry 0 differ in the personas {differing}"
            raise FileError(path, found, wanted="the same personas for every topic")
    personas = tuple(cells[0])
    return EidTable(
        topics=tuple(topics),
        personas=personas,
        eid=np.array([[row[persona][0] for persona in personas] for row in cells.values()], dtype=np.float64),
        seq_len=np.array([[row[persona][1] for persona in personas] for row in cells.values()], dtype=np.int64),
    )


def _personas(path: Path, where: str, raw: object, d_in: float) -> dict[str, tuple[float, int]]:
    found: dict[str, tuple[float, int]] = {}
    for persona, value in object_at(path, f"{where}, key 'eid'", raw).items():
        of = f"{where}, persona {persona!r}"
        cell = object_at(path, of, value)
        eid = number_at(path, f"{of}, key 'eid'", cell.get("eid"))
        length = count_at(path, f"{of}, key 'seq_len'", cell.get("seq_len"))
        if eid <= 0 or length == 0:
            wanted = "an effective rank above 0 over at least one token"
            raise FileError(path, f"{of}: eid {eid} over {length} tokens", wanted=wanted)
        if eid > min(length, d_in) + SINGLE:
            wanted = f"at most {min(length, d_in)}, the rank of as many vectors in a stream of {d_in} dimensions"
            raise FileError(path, f"{of}: eid {eid} over {length} tokens", wanted=wanted)
        found[persona] = (eid, length)
    if not found:
        raise FileError(path, f"{where} has no persona", wanted="at least one")
    return found


def object_at(path: Path, where: str, value: object) -> dict[str, Any]:
    """Return the value that stands at `where` in a JSON file, if it is an object, and refuse it otherwise."""
    if not isinstance(value, dict):
        raise FileError(path, f"{where} is {shortened(value)}", wanted="an object")
    return cast("dict[str, Any]", value)


def list_at(path: Path, where: str, value: object) -> list[Any]:
    """Return the value at `where` if it is a list; raises as `object_at`."""
    if not isinstance(value, list):
        raise FileError(path, f"{where} is {shortened(value)}", wanted="a list")
    return cast("list[Any]", value)


def number_at(path: Path, where: str, value: object) -> float:
    """Return the value at `where` if it is a number; raises as `object_at`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FileError(path, f"{where} is {shortened(value)}", wanted="a finite number")
    return float(value)


def count_at(path: Path, where: str, value: object) -> int:
    """Return the value at `where` if it is a whole number of 0 or more; raises as `object_at`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FileError(path, f"{where} is {shortened(value)}", wanted="an integer of 0 or more")
    return value
