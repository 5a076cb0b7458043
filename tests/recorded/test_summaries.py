"""The article's JSON files: a comparison worked by hand, a table of EID, and what is refused."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from saeprobe.files import FileError, load_json
from saeprobe.recorded.comparison import compare_styles, read_feature_diff, write_feature_diff
from saeprobe.recorded.recognition import eid_table_of
from saeprobe.recorded.tensors import ArticleFeatures

# The keys of the published file, in its order.
PUBLISHED_SUMMARY = [
    "novice_avg_active", "expert_avg_active", "standard_avg_active", "novice_avg_intensity", "expert_avg_intensity",
    "novice_only_count", "expert_only_count",
]  # fmt: skip
PUBLISHED_KEYS = [
    "summary", "novice_dominant_features", "expert_dominant_features", "novice_only_features", "expert_only_features",
]  # fmt: skip


def features(styles: Mapping[str, list[list[float]]]) -> ArticleFeatures:
    """Make features of the rows given by style."""
    n = len(next(iter(styles.values())))
    return ArticleFeatures(
        topics=tuple(f"topic {index}" for index in range(n)),
        gurus=("",) * n,
        rows={style: csr_array(np.array(rows, dtype=np.float32)) for style, rows in styles.items()},
    )


def three_features() -> ArticleFeatures:
    """Make two topics with three features.

    Novice fires 0 and 1 on the first topic, 0 on the second; expert fires 1 on the first, 1 and 2 on the second.
    """
    return features({
        "standard": [[0, 0, 0], [1, 0, 0]],
        "novice": [[1, 2, 0], [6, 0, 0]],
        "expert": [[0, 4, 0], [0, 1, 3]],
    })  # fmt: skip


def test_three_features_worked_by_hand() -> None:
    """Every number of the comparison of two topics and three features is what pencil and paper give."""
    diff = compare_styles(three_features(), "novice", "expert")
    assert diff.avg_active == {"novice": 1.5, "expert": 1.5, "standard": 0.5}
    # pooled: (1 + 2 + 6) / 3; the mean of the two prompts' means: (1.5 + 6) / 2, of expert (4 + 2) / 2
    assert diff.avg_intensity == {"novice": 3.0, "expert": pytest.approx(8 / 3)}
    assert diff.avg_prompt_intensity == {"novice": 3.75, "expert": 3.0}
    assert diff.separating == {"novice": (0,), "expert": ()}
    assert diff.only_count == {"novice": 1, "expert": 1}
    assert diff.only == {"novice": (0,), "expert": (2,)}
    # rates of novice 1, 1/2, 0; of expert 0, 1, 1/2
    assert [(rates.index, rates.a, rates.b, rates.diff) for rates in diff.dominant["novice"]] == [(0, 1.0, 0.0, 1.0)]
    assert [(rates.index, rates.a, rates.b, rates.diff) for rates in diff.dominant["expert"]] == [
        (1, 0.5, 1.0, -0.5),
        (2, 0.0, 0.5, -0.5),
    ]


def test_the_file_has_the_published_files_keys_in_its_order(tmp_path: Path) -> None:
    """Summary, lists and fields are named and ordered as published, with the same types; the file's own come last."""
    write_feature_diff(tmp_path / "d.json", compare_styles(three_features(), "novice", "expert"))
    data = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert list(data) == [*PUBLISHED_KEYS, "novice_separating_features", "expert_separating_features"]
    means = ["novice_avg_prompt_intensity", "expert_avg_prompt_intensity"]
    assert list(data["summary"]) == [*PUBLISHED_SUMMARY, *means]
    assert data["novice_dominant_features"] == [{"index": 0, "novice_freq": 1.0, "expert_freq": 0.0, "diff": 1.0}]
    assert list(data["expert_dominant_features"][0]) == ["index", "novice_freq", "expert_freq", "diff"]
    assert data["novice_only_features"] == [0]
    assert [type(data["summary"][key]) for key in PUBLISHED_SUMMARY] == [float] * 5 + [int] * 2


def test_lists_are_cut_where_the_published_ones_are() -> None:
    """Thirty leaning features and fifty exclusive ones are listed, ties by number; all that separate are there."""
    novice = np.zeros((2, 200), dtype=np.float32)
    novice[:, :80] = 1
    novice[0, 80:120] = 1
    expert = np.zeros((2, 200), dtype=np.float32)
    expert[0, 150] = 1
    diff = compare_styles(features({"novice": novice.tolist(), "expert": expert.tolist()}), "novice", "expert")
    assert diff.only_count == {"novice": 120, "expert": 1}
    assert diff.only["novice"] == tuple(range(50))
    assert [rates.index for rates in diff.dominant["novice"]] == list(range(30))
    assert [rates.index for rates in diff.dominant["expert"]] == [150]  # no other feature leans that way at all
    assert diff.separating == {"novice": tuple(range(80)), "expert": ()}
    assert "standard" not in diff.avg_active


def test_a_prompt_without_an_active_feature_has_no_mean_of_its_own() -> None:
    """The pooled mean leaves it out; the mean of prompts' means is not given, of neither style."""
    diff = compare_styles(features({"a": [[2.0, 4.0], [0.0, 0.0]], "b": [[1.0, 0.0], [1.0, 0.0]]}), "a", "b")
    assert diff.avg_intensity == {"a": 3.0, "b": 1.0}
    assert diff.avg_prompt_intensity == {}


def test_another_pair_names_the_keys_after_itself(tmp_path: Path) -> None:
    """Comparing guru with standard writes guru_* and standard_* keys, the shared ones once."""
    both = features({"standard": [[1.0, 0]], "guru": [[0, 2.0]]})
    write_feature_diff(tmp_path / "d.json", compare_styles(both, "guru", "standard"))
    data = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert [key for key in data["summary"] if key.endswith("_avg_active")] == ["guru_avg_active", "standard_avg_active"]
    assert list(data)[1:3] == ["guru_dominant_features", "standard_dominant_features"]
    again = read_feature_diff(tmp_path / "d.json")
    assert (again.a, again.b) == ("guru", "standard")


def test_a_comparison_that_means_nothing_is_refused() -> None:
    """Unknown styles, a style with itself, and a style without any active feature have no comparison."""
    with pytest.raises(KeyError, match="no style 'poet'; there are: standard, novice, expert"):
        compare_styles(three_features(), "novice", "poet")
    with pytest.raises(ValueError, match="cannot be compared with itself"):
        compare_styles(three_features(), "novice", "novice")
    with pytest.raises(ValueError, match="no feature is active on any 'b' prompt"):
        compare_styles(features({"a": [[1.0]], "b": [[0.0]]}), "a", "b")


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_comparisons_come_back_as_written(data: st.DataObject) -> None:
    """Whatever the features, what is written passes the reader's checks and comes back equal."""
    n, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 40))
    rows = st.lists(st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=width, max_size=width), min_size=n, max_size=n)
    some = rows.filter(lambda drawn: any(any(row) for row in drawn))
    diff = compare_styles(features({"a": data.draw(some), "b": data.draw(some)}), "a", "b")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.json"
        write_feature_diff(path, diff)
        assert read_feature_diff(path) == diff


def published_like() -> dict[str, Any]:
    """Make a file as published, with float32 rates written in full."""
    return {
        "summary": dict(zip(PUBLISHED_SUMMARY, [1.5, 1.75, 0.5, 3.0, 2.5, 1, 1], strict=True)),
        "novice_dominant_features": [
            {"index": 3, "novice_freq": 1.0, "expert_freq": 0.10000000149011612, "diff": 0.8999999761581421}
        ],
        "expert_dominant_features": [
            {"index": 1, "novice_freq": 0.019999999552965164, "expert_freq": 0.98, "diff": -0.9600000381469727},
            {"index": 2, "novice_freq": 0.0, "expert_freq": 0.5, "diff": -0.5},
        ],
        "novice_only_features": [0],
        "expert_only_features": [2],
    }


def test_a_file_in_float32_is_read(tmp_path: Path) -> None:
    """Rates that float32 rounded are no contradiction."""
    path = tmp_path / "d.json"
    path.write_text(json.dumps(published_like()))
    diff = read_feature_diff(path)
    assert (diff.a, diff.b) == ("novice", "expert")
    assert diff.avg_active == {"novice": 1.5, "expert": 1.75, "standard": 0.5}
    assert diff.dominant["expert"][0].b == 0.98


def change(path: list[Any], value: object) -> dict[str, Any]:
    """The good file with one value put in place of another, or taken out where it is None."""
    data = published_like()
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        (["summary"], None, "key 'summary' is absent"),
        (["summary", "novice_avg_active"], None, "key 'novice_avg_active' is absent"),
        (["summary", "novice_avg_active"], -1.0, "'novice_avg_active' is -1.0"),
        (["summary", "novice_avg_prompt_intensity"], -1.0, "'novice_avg_prompt_intensity' is -1.0"),
        (["novice_separating_features"], [5, 5], "is not ascending"),
        (["novice_separating_features"], [2], "'novice_separating_features' lists feature 2; wanted all features that"),
        (["novice_separating_features"], [3], "'novice_separating_features' lists feature 3"),
        (["summary", "novice_avg_intensity"], True, "'novice_avg_intensity' is True"),
        (["summary", "novice_only_count"], 1.5, "'novice_only_count' is 1.5"),
        (["summary", "novice_only_count"], 0, "'novice_only_features' lists 1 features"),
        (["novice_dominant_features"], None, "it has 1 keys '<style>_dominant_features'"),
        (["novice_dominant_features", 0, "index"], -1, "entry 0, key 'index' is -1"),
        (["novice_dominant_features", 0, "novice_freq"], 1.5, "firing rates"),
        (["novice_dominant_features", 0, "diff"], 0.5, "'diff' is 0.5"),
        (["expert_dominant_features", 1, "index"], 1, "lists a feature twice"),
        (["expert_dominant_features", 0], {"index": 5, "novice_freq": 0.0, "expert_freq": 0.1, "diff": -0.1}, "order"),
        (["expert_only_features"], [2, 2], "is not ascending"),
        (["expert_only_features"], 7, "key 'expert_only_features' is 7"),
        (
            ["expert_dominant_features", 1, "index"],
            3,
            "index 3: novice_freq 0 and expert_freq 0.5; wanted 1 and",
        ),
        (["expert_only_features"], [0], "both list feature 0"),
        (
            ["expert_only_features"],
            [1],
            "index 1: novice_freq 0.02 and expert_freq 0.98; wanted a feature",
        ),
        (["novice_only_features"], [3], "index 3: novice_freq 1 and expert_freq 0.1; wanted a feature that fires"),
        (["summary", "expert_avg_active"], 1.57, "'expert_avg_active' is 1.57; wanted at least 1.58, the sum of"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, path: list[Any], value: object, found: str) -> None:
    """Absent keys, impossible values, wrong order and doubled entries are named."""
    file = tmp_path / "d.json"
    file.write_text(json.dumps(change(path, value)))
    with pytest.raises(FileError) as refused:
        read_feature_diff(file)
    assert found in str(refused.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not JSON"),
        ('{"a": NaN}', "a is nan"),
        ('{"a": -Infinity}', "a is -inf"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("[]", "the file is []"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_strict_json_is_refused(tmp_path: Path, text: str, found: str) -> None:
    """Broken JSON, NaN and doubled keys are named."""
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(FileError) as refused:
        read_feature_diff(path)
    assert found in str(refused.value)


cells = st.fixed_dictionaries({"eid": st.floats(0.01, 1e6), "seq_len": st.integers(10**6, 10**7)})


def two_topics() -> list[dict[str, Any]]:
    """Make two topics under two personas."""
    return [
        {"topic": "tides", "eid": {"novice": {"eid": 17.5, "seq_len": 78}, "expert": {"eid": 17.25, "seq_len": 79}}},
        {"topic": "rain", "eid": {"expert": {"eid": 9, "seq_len": 40}, "novice": {"eid": 8.5, "seq_len": 41}}},
    ]


def test_a_table_is_read_by_persona(tmp_path: Path) -> None:
    """Columns follow the first topic's order, also where another topic orders its personas otherwise."""
    path = tmp_path / "eid.json"
    path.write_text(json.dumps(two_topics()))
    table = eid_table_of(path, load_json(path))
    assert (table.topics, table.personas) == (("tides", "rain"), ("novice", "expert"))
    assert table.eid.tolist() == [[17.5, 17.25], [8.5, 9.0]]
    assert table.seq_len.tolist() == [[78, 79], [41, 40]]
    assert table.eid[:, 1].tolist() == [17.25, 9.0]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_numbers_come_back_as_written(data: st.DataObject) -> None:
    """Every cell of a table is read as it stands in the file."""
    personas = data.draw(st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True))
    entries = [{"topic": f"t{row}", "eid": {name: data.draw(cells) for name in personas}} for row in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "eid.json"
        path.write_text(json.dumps(entries), encoding="utf-8")
        table = eid_table_of(path, load_json(path))
    for row, entry in enumerate(entries):
        for column, name in enumerate(table.personas):
            assert table.eid[row, column] == entry["eid"][name]["eid"]
            assert table.seq_len[row, column] == entry["eid"][name]["seq_len"]


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ([], [], "an empty list"),
        ([], {}, "the file is {}"),
        ([1, "topic"], "", "entry 1, key 'topic' is ''"),
        ([1, "eid"], {}, "entry 1 (topic 'rain') has no persona"),
        ([1, "eid", "poet"], {"eid": 1.0, "seq_len": 1}, "differ in the personas poet"),
        ([0, "eid", "novice", "eid"], "17", "persona 'novice', key 'eid' is '17'"),
        ([0, "eid", "novice", "eid"], 0, "eid 0.0 over 78 tokens"),
        ([0, "eid", "novice", "seq_len"], 7.5, "key 'seq_len' is 7.5"),
        ([0, "eid", "novice", "seq_len"], 0, "over 0 tokens"),
    ],
)
def test_a_violation_names_its_place(tmp_path: Path, path: list[Any], value: object, found: str) -> None:
    """Topic, persona and key are named where a value is absent or impossible."""
    data: Any = two_topics()
    if path:
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    file = tmp_path / "eid.json"
    file.write_text(json.dumps(data if path else value))
    with pytest.raises(FileError) as refused:
        eid_table_of(file, load_json(file))
    assert found in str(refused.value)


def test_an_overflowing_number_is_refused(tmp_path: Path) -> None:
    """1e999 is JSON, but no finite number."""
    path = tmp_path / "eid.json"
    path.write_text(json.dumps(two_topics()).replace("17.5", "1e999"))
    with pytest.raises(FileError, match="wanted a finite number"):
        eid_table_of(path, load_json(path))
