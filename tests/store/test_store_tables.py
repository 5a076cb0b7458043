"""Tables of the store: what lies near its threshold is kept, and an earlier version of a table is not in the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeprobe.features.sparse import Token
from saeprobe.store.store import Store, StoreWarning
from saeprobe.store.tables import READINGS, table_of_readings
from saeprobe.subject.specification import Reading, Want

WANT = Want(at="all", keep=frozenset({"features"}))
READING = Reading(
    tokens=tuple(Token(position=row + 1, text="x", start=row, end=row + 1) for row in range(3)),
    n_tokens=4,
    indices=tuple(np.array([2, 40], dtype=np.int32) for _ in range(3)),
    values=tuple(np.array([0.5, 0.0001], dtype=np.float32) for _ in range(3)),
    squared_error=np.zeros(3, dtype=np.float32),
    near=(np.array([40, 65535]), np.array([], dtype=np.int64), np.array([7])),
)


def test_features_near_their_threshold_come_back(tmp_path: Path) -> None:
    """They come row by row; the second row has none."""
    Store(tmp_path).add_readings("f" * 64, {"k": ("a text", WANT, READING)})
    found = Store(tmp_path).readings("f" * 64, ["k"])["k"]
    assert [row.tolist() for row in found.near] == [[40, 65535], [], [7]]


def test_a_reading_that_does_not_tell_what_is_near_comes_back_as_such(tmp_path: Path) -> None:
    """Nobody knows, which is not the same as none; a reading in the same file that tells keeps what it tells."""
    silent = replace(READING, near=())
    clear = replace(READING, near=(np.array([], dtype=np.int64),) * 3)
    batch = {"silent": ("a", WANT, silent), "clear": ("b", WANT, clear)}
    Store(tmp_path).add_readings("f" * 64, batch)
    found = Store(tmp_path).readings("f" * 64, batch)
    assert found["silent"].near == ()
    assert [len(row) for row in found["clear"].near] == [0, 0, 0]


def test_files_of_an_earlier_version_are_not_there_and_stay_as_they_are(tmp_path: Path) -> None:
    """A store of the first version is neither read nor set aside, and nothing is said about it."""
    old = tmp_path / "readings" / ("f" * 32) / "batch.parquet"
    old.parent.mkdir(parents=True)
    pq.write_table(pa.table({"key": ["k"]}).replace_schema_metadata({"saeprobe": "readings 1"}), old)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Store(tmp_path).stored("f" * 64, ["k"]) == set()
        Store(tmp_path).add_readings("f" * 64, {"k": ("a text", WANT, READING)})
        assert Store(tmp_path).stored("f" * 64, ["k"]) == {"k"}
    assert old.exists()


def _swapped(table: pa.Table) -> pa.Table:
    return table.take([1, 0, *range(2, len(table))])


def _negative(table: pa.Table) -> pa.Table:
    values = pa.array([[0.5, -0.1]] * len(table), type=pa.list_(pa.float32()))
    return table.set_column(table.schema.get_field_index("values"), "values", values)


def _shorter(table: pa.Table) -> pa.Table:
    values = pa.array([[0.5]] * len(table), type=pa.list_(pa.float32()))
    return table.set_column(table.schema.get_field_index("values"), "values", values)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda table: table.slice(0, 2), "not adjacent, in order and all there"),
        (lambda table: table.slice(1), "not adjacent, in order and all there"),
        (lambda table: pa.concat_tables([table, table]), "not adjacent, in order and all there"),
        (_swapped, "not adjacent, in order and all there"),
        (_negative, "not as many values above 0 as indices"),
        (_shorter, "not as many values above 0 as indices"),
    ],
)
def test_a_table_that_this_store_cannot_have_written_is_set_aside(
    tmp_path: Path, harm: Callable[[pa.Table], pa.Table], message: str
) -> None:
    """Rows that are lacking, doubled or out of order, and values that no SAE gives, count as not there."""
    Store(tmp_path).add_readings("f" * 64, {"k": ("a text", WANT, READING)})
    file = next(tmp_path.rglob("*.parquet"))
    table = harm(table_of_readings({"k": ("a text", WANT, READING)}))
    pq.write_table(table.replace_schema_metadata({"saeprobe": READINGS.version}), file)
    with pytest.warns(StoreWarning, match=message):
        assert Store(tmp_path).readings("f" * 64, ["k"]) == {}
    assert file.with_suffix(".corrupt").exists()
