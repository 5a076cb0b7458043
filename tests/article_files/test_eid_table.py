"""EID tables by topic and persona."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.files import FileError
from saeprobe.recorded.summaries import read_eid_table

cells = st.fixed_dictionaries({"eid": st.floats(0.01, 1e6), "seq_len": st.integers(1, 10**6)})


def two_topics() -> list[dict[str, Any]]:
    """Two topics under two personas."""
    return [
        {"topic": "tides", "eid": {"novice": {"eid": 17.5, "seq_len": 78}, "expert": {"eid": 17.25, "seq_len": 79}}},
        {"topic": "rain", "eid": {"expert": {"eid": 9, "seq_len": 40}, "novice": {"eid": 8.5, "seq_len": 41}}},
    ]


def test_a_table_is_read_by_persona(tmp_path: Path) -> None:
    """Columns follow the first topic's order, also where another topic orders its personas otherwise."""
    path = tmp_path / "eid.json"
    path.write_text(json.dumps(two_topics()))
    table = read_eid_table(path)
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
        table = read_eid_table(path)
    for row, entry in enumerate(entries):
        for column, name in enumerate(table.personas):
            assert table.eid[row, column] == entry["eid"][name]["eid"]
            assert table.seq_len[row, column] == entry["eid"][name]["seq_len"]


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ([], [], "an empty list"),
        ([], {}, "the file is {}"),
        ([1, "topic"], "", "entry 1: key 'topic' is ''"),
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
        read_eid_table(file)
    assert found in str(refused.value)


def test_an_overflowing_number_is_refused(tmp_path: Path) -> None:
    """1e999 is JSON, but no finite number."""
    path = tmp_path / "eid.json"
    path.write_text(json.dumps(two_topics()).replace("17.5", "1e999"))
    with pytest.raises(FileError, match="wanted a finite number"):
        read_eid_table(path)
