"""What a model saw of a prompt stays with its reading: the rendered text, the ids of its tokens and what they write."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_store_tables import READING, WANT

from saeprobe.store.store import Store, StoreWarning
from saeprobe.store.tables import READINGS, Seen, table_of_readings

OF = "f" * 64
SAW = replace(READING, ids=(7, 1, 2, 3), rendered="<s>a\n\ud7ffb", pieces=("<s>", "a", "\n", "\ufffd"))


def test_what_was_seen_comes_back(tmp_path: Path) -> None:
    """With the reading, as far as that holds it, and whole for a report."""
    Store(tmp_path).add_readings(OF, {"k": ("a\nb", WANT, SAW), "none": ("c", WANT, READING)})
    store = Store(tmp_path)
    found = store.readings(OF, ["k", "none"])
    assert (found["k"].ids, found["k"].rendered) == (SAW.ids, SAW.rendered)
    assert (found["none"].ids, found["none"].rendered) == ((), "")
    seen = Seen(place="all tokens", prompt="a\nb", rendered=SAW.rendered, ids=SAW.ids, pieces=SAW.pieces)
    assert store.seen(OF, "k", "all tokens") == seen
    assert store.seen(OF, "none", "all tokens") is None
    assert store.seen(OF, "absent", "all tokens") is None


def test_it_is_kept_once_a_prompt() -> None:
    """A prompt that is read at every token does not hold its ids as often."""
    table = table_of_readings({"k": ("a", WANT, SAW)})
    for column in ("ids", "rendered", "pieces"):
        assert [value is None for value in table.column(column).to_pylist()] == [False, True, True]


def test_ids_without_their_tokens_are_not_trusted(tmp_path: Path) -> None:
    """A file that lacks one of them was not written by this store."""
    store = Store(tmp_path)
    store.add_readings(OF, {"k": ("a", WANT, SAW)})
    (file,) = tmp_path.rglob("*.parquet")
    table = pq.read_table(file)
    at = table.schema.get_field_index("pieces")
    lists = pa.array([["<s>"], None, None], pa.list_(pa.string()))
    pq.write_table(table.set_column(at, READINGS.schema.field("pieces"), lists), file)
    with pytest.warns(StoreWarning, match="the tokens of a prompt are incomplete: 4 token ids and 1 tokens"):
        assert Store(tmp_path).seen(OF, "k", "all tokens") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not Store(tmp_path).readings(OF, ["k"])  # it was set aside
