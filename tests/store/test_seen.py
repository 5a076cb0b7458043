"""What a model saw of a prompt stays with its reading: the rendered text, the ids of its tokens and what they write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import part_of
from test_store_tables import EVERYTHING, READING

from saeprobe.store import Store, StoreWarning, bytes_of
from saeprobe.store.tables import READINGS, Part, Seen

TEXT = "a\nb"
SAW = replace(READING, ids=(7, 1, 2, 3), rendered="<s>a\n\ud7ffb", pieces=("<s>", "a", "\n", "\ufffd"))


def _stored(root: Path) -> tuple[Store, Part, Path]:
    """Return a store with a part of two prompts, the part and its file."""
    store = Store(root)
    part = part_of(store, TEXT, "ccc", want=EVERYTHING)
    store.add(part, dict.fromkeys(part.prompts, SAW))
    (file,) = root.rglob("*.parquet")
    return store, part, file


def test_what_was_seen_comes_back(tmp_path: Path) -> None:
    """It comes back for a report, and nothing does where the part is not stored."""
    store, part, _ = _stored(tmp_path / "store")
    seen = Seen(place="all tokens", prompt=TEXT, rendered=SAW.rendered, ids=SAW.ids, pieces=SAW.pieces)
    assert store.seen(part, TEXT, "all tokens") == seen
    assert Store(tmp_path / "empty").seen(part, TEXT, "all tokens") is None


def test_it_is_kept_once_a_prompt(tmp_path: Path) -> None:
    """A prompt that is read at every token does not hold its ids as often."""
    table = pq.read_table(_stored(tmp_path)[2])
    for column in READINGS.report_columns:
        assert [value is None for value in table.column(column).to_pylist()] == [False, True, True] * 2


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("pieces", ["<s>"], "other tokens than a prompt has"),
        ("ids", [7, 1, 2, -3], "other tokens than a prompt has"),
        ("ids", None, "a prompt without what the model saw of it"),
        ("rendered", None, "a prompt without what the model saw of it"),
        ("text", "another", "other prompts than its name says"),
    ],
)
def test_tokens_that_no_prompt_has_are_not_shown(tmp_path: Path, column: str, value: Any, found: str) -> None:
    """A file that holds them under a right hash is set aside."""
    store, part, file = _stored(tmp_path)
    table = pq.read_table(file)
    at = table.schema.get_field_index(column)
    field = READINGS.schema.field(column)
    other = pa.array([None if one is None else value for one in table.column(column).to_pylist()], field.type)
    file.write_bytes(bytes_of(table.set_column(at, field, other), part))
    with pytest.warns(StoreWarning, match=found):
        assert store.seen(part, TEXT, "all tokens") is None
    assert not file.exists()
