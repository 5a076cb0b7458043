"""Tables of the store: what lies near its threshold is kept, and what no run can have written is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import WANT, identity, part_of

from saeprobe.captures import Continuation
from saeprobe.captures.steering import Steering, steer
from saeprobe.features import Token
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.store import Store, StoreWarning, bytes_of
from saeprobe.store.tables import Part
from saeprobe.subject.specification import Reading, Want

EVERYTHING = Want(at="all", keep=frozenset({"features", "activations", "effective_rank"}))
TEXTS = ("a text", "xxx")
READING = Reading(
    tokens=tuple(Token(position=row + 1, text="x", start=row, end=row + 1) for row in range(3)),
    n_tokens=4,
    indices=tuple(np.array([2, 40], dtype=np.int32) for _ in range(3)),
    values=tuple(np.array([0.5, 0.0001], dtype=np.float32) for _ in range(3)),
    squared_error=np.zeros(3, dtype=np.float32),
    activations=np.ones((3, 4), dtype=np.float32),
    effective_rank=1.5,
    near=(np.array([40, 65535]), np.array([], dtype=np.int64), np.array([7])),
)


def _part(root: Path) -> Part:
    return part_of(Store(root), *TEXTS, want=EVERYTHING)


def test_all_of_a_reading_comes_back(tmp_path: Path) -> None:
    """Row by row: what is near its threshold, of which the second row has none, activations and rank."""
    part = _part(tmp_path)
    Store(tmp_path).add(part, dict.fromkeys(part.prompts, READING))
    found = Store(tmp_path).content(part)
    assert found is not None
    for one in found.values():
        assert [row.tolist() for row in one.near] == [[40, 65535], [], [7]]
        assert one.activations is not None
        assert one.activations.tolist() == [[1.0] * 4] * 3
        assert one.effective_rank == 1.5


@pytest.mark.parametrize("near", [(), (np.array([], dtype=np.int64),) * 3])
def test_a_reading_that_does_not_tell_what_is_near_comes_back_as_such(
    tmp_path: Path, near: tuple[np.ndarray, ...]
) -> None:
    """Nobody knows, which is not the same as none."""
    part = _part(tmp_path)
    Store(tmp_path).add(part, dict.fromkeys(part.prompts, replace(READING, near=near)))
    found = Store(tmp_path).content(part)
    assert found is not None
    assert [[len(row) for row in one.near] for one in found.values()] == [[0] * len(near)] * 2


def test_files_of_an_earlier_version_are_not_there_and_stay_as_they_are(tmp_path: Path) -> None:
    """A store of earlier versions is neither read nor set aside, and nothing is said about it."""
    part = part_of(Store(tmp_path), "a text")
    before = [tmp_path / name / ("f" * 32) / f"{part.name}.parquet" for name in ("readings", "readings-2")]
    for old in before:
        old.parent.mkdir(parents=True)
        pq.write_table(pa.table({"key": list(part.prompts)}).replace_schema_metadata({"saeprobe": "readings 2"}), old)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not Store(tmp_path).holds(part)
        silent = replace(READING, activations=None, effective_rank=None)
        Store(tmp_path).add(part_of(Store(tmp_path), "a text"), dict.fromkeys(part.prompts, silent))
    assert all(old.exists() for old in before)


def changed(name: str, change: Callable[[list[Any]], object]) -> Callable[[pa.Table], pa.Table]:
    """Return a forger who changes a column as a list, in place."""

    def forge(table: pa.Table) -> pa.Table:
        values = table.column(name).to_pylist()
        change(values)
        at = table.schema.get_field_index(name)
        return table.set_column(at, table.schema.field(name), pa.array(values, type=table.schema.field(name).type))

    return forge


def first(value: object) -> Callable[[list[Any]], object]:
    """Return the change of the first row to a value."""
    return lambda values: values.__setitem__(0, value)


def every(value: object) -> Callable[[list[Any]], object]:
    """Return the change of all rows to a value."""
    return lambda values: values.__setitem__(slice(None), [value] * len(values))


NAN = float("nan")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda table: table.slice(0, 5), "not all rows of a key"),
        (lambda table: table.slice(0, 3), "more or fewer prompts"),
        (lambda table: table.slice(1), "not all rows of a key"),
        (lambda table: table.slice(0, 0), "other tokens|prompts"),
        (lambda table: pa.concat_tables([table, table]), "more or fewer prompts"),
        (lambda table: table.take([1, 0, *range(2, 6)]), "not all rows of a key"),
        (lambda table: table.take([3, 4, 5, 0, 1, 2]), "other prompts"),
        (changed("key", list.reverse), "other prompts"),
        (changed("text", list.reverse), "other prompts"),
        (changed("text", first(None)), "without text"),
        (changed("at", first("last")), "readings at other tokens"),
        (changed("values", first([0.5, -0.1])), "not finite or not above 0"),
        (changed("values", first([0.5, 0.0])), "not finite or not above 0"),
        (changed("values", first([0.5, float("inf")])), "not finite or not above 0"),
        (changed("values", first([0.5, NAN])), "not finite or not above 0"),
        (changed("values", first([0.5, None])), "absent in values"),
        (changed("values", first([0.5])), "not as many values as indices"),
        (changed("indices", first([40, 2])), "features that are no ascending"),
        (changed("indices", first([2, 2])), "features that are no ascending"),
        (changed("indices", first([-1, 2])), "features that are no ascending"),
        (changed("indices", first([2, 65536])), "features that are no ascending"),
        (changed("near", first([7, 7])), "features that are no ascending"),
        (changed("near", first([65536])), "features that are no ascending"),
        (changed("near", first(None)), "more or less of one row"),
        (changed("squared_error", first(-1.0)), "an error"),
        (changed("squared_error", first(NAN)), "an error"),
        (changed("squared_error", first(None)), "more or less of one row"),
        (changed("position", first(-1)), "a token outside its prompt"),
        (changed("position", first(4)), "a token outside its prompt"),
        (changed("position", first(2)), "rows of several readings"),
        (changed("n_tokens", first(5)), "rows of several readings"),
        (changed("end", first(7)), "a token outside its prompt"),
        (changed("start", first(2)), "a token outside its prompt"),
        (changed("token", first(None)), "without token"),
        (changed("activation", first([1.0] * 3)), "activations that are not of this model"),
        (changed("activation", first([NAN] * 4)), "activations that are not of this model"),
        (changed("activation", first(None)), "activations that are not of this model"),
        (changed("effective_rank", first(None)), "a rank that"),
        (changed("effective_rank", first(NAN)), "a rank that"),
        (changed("effective_rank", first(2.5)), "rows of several readings"),
        (
            changed("effective_rank", lambda values: values.__setitem__(slice(0, 3), [4.1] * 3)),
            "a rank that no",
        ),
        (changed("n_tokens", lambda values: values.__setitem__(slice(0, 3), [5] * 3)), "another token as the last"),
    ],
)
def test_readings_that_no_run_can_have_written_are_set_aside(
    tmp_path: Path, harm: Callable[[pa.Table], pa.Table], message: str
) -> None:
    """Rows lacking or out of order, other texts and numbers that no SAE gives, under a hash that is right."""
    part = _part(tmp_path)
    _refused(tmp_path, part, dict.fromkeys(part.prompts, READING), harm, message)


RANK_ALONE = Want(at="all", keep=frozenset({"effective_rank"}))
RANKED = replace(READING, indices=(), values=(), near=(), squared_error=None, activations=None)


def test_a_reading_without_features_comes_back_without_any(tmp_path: Path) -> None:
    """It has tokens and a rank; that it has no features is not the same as features that do not fire."""
    part = part_of(Store(tmp_path), *TEXTS, want=RANK_ALONE)
    Store(tmp_path).add(part, dict.fromkeys(part.prompts, RANKED))
    found = Store(tmp_path).content(part)
    assert found is not None
    for one in found.values():
        assert (one.indices, one.values, one.near, one.squared_error) == ((), (), (), None)
        assert (len(one.tokens), one.n_tokens, one.effective_rank) == (3, 4, 1.5)


@pytest.mark.parametrize(
    ("of", "harm", "message"),
    [
        (READING, changed("indices", first(None)), "no features, or some that its name says nothing of"),
        (READING, changed("values", first(None)), "no features, or some that its name says nothing of"),
        (RANKED, changed("indices", first([])), "no features, or some that its name says nothing of"),
        (RANKED, changed("values", first([])), "no features, or some that its name says nothing of"),
        (RANKED, changed("near", every([])), "and what goes with some"),
        (
            RANKED,
            changed("squared_error", every(0.0)),
            "and what goes with some",
        ),
    ],
)
def test_features_that_are_absent_and_none_that_fire_are_told_apart(
    tmp_path: Path, of: Reading, harm: Callable[[pa.Table], pa.Table], message: str
) -> None:
    """A row without features stands only where none are kept, and there no row has any."""
    part = part_of(Store(tmp_path), *TEXTS, want=EVERYTHING if of is READING else RANK_ALONE)
    _refused(tmp_path, part, dict.fromkeys(part.prompts, of), harm, message)


def _refused(root: Path, part: Part, found: dict[str, Any], harm: Callable[[pa.Table], pa.Table], message: str) -> None:
    Store(root).add(part, found)
    assert Store(root).holds(part)
    (file,) = root.rglob("*.parquet")
    table = harm(pa.Table.from_pylist(part.kind.encode(part, found), schema=part.kind.schema))
    file.write_bytes(bytes_of(table, part))
    with pytest.warns(StoreWarning, match=message):
        assert not Store(root).holds(part)
    assert file.with_suffix(".corrupt").exists()


def _experiment(root: Path) -> tuple[Part, list[Continuation]]:
    steering: Steering = steer(
        PromptSet(name="p", language="en", prompts=()), feature=3, strengths=[1.5], random_features=1, n_samples=1
    )
    keys = Store(root).continuation_keys("w", steering, TEXTS)
    prompt = Prompt(text=TEXTS[0], style="", topic="", template="")
    arms = (("unsteered", (), 0.0), ("steered", (3,), 1.5), ("random", (9,), 1.5))
    items = [
        Continuation(prompt=prompt, arm=arm, features=features, strength=strength, sample=0, text="on", log_prob=-1.0)
        for arm, features, strength in arms
    ]
    return Store(root).part(identity(), steering, dict(zip(TEXTS, keys, strict=True)), (TEXTS,)), items


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda table: table.slice(0, 3), "more or fewer prompts"),
        (changed("text", list.reverse), "other prompts"),
        (changed("log_prob", first(0.5)), "log-probability"),
        (changed("log_prob", first(NAN)), "log-probability"),
        (changed("continuation", first(None)), "without continuation"),
        (changed("arm", first("steered")), "other arms"),
        (changed("sample", first(1)), "other arms"),
        (changed("strength", first(1.0)), "other arms"),
        (changed("features", lambda values: values.__setitem__(1, [4])), "other features"),
        (changed("features", lambda values: values.__setitem__(2, [])), "other features"),
        (changed("features", lambda values: values.__setitem__(2, [65536])), "this SAE has not"),
    ],
)
def test_continuations_that_no_run_can_have_written_are_set_aside(
    tmp_path: Path, harm: Callable[[pa.Table], pa.Table], message: str
) -> None:
    """Other arms, samples and features than those of the experiment, and scores that are none."""
    part, items = _experiment(tmp_path)
    _refused(tmp_path, part, dict.fromkeys(part.prompts, items), harm, message)


def test_continuations_come_back(tmp_path: Path) -> None:
    """Each with the text of its own prompt."""
    part, items = _experiment(tmp_path)
    Store(tmp_path).add(part, dict.fromkeys(part.prompts, items))
    found = Store(tmp_path).content(part)
    assert found is not None
    for key, text in part.prompts.items():
        assert [replace(one, prompt=items[0].prompt) for one in found[key]] == items
        assert {one.prompt.text for one in found[key]} == {text}


def test_a_part_that_keeps_nothing_more_has_nothing_more(tmp_path: Path) -> None:
    """Activations and rank that were not wanted are refused."""
    part = part_of(Store(tmp_path), "xxx", want=replace(WANT, at="all"))
    Store(tmp_path).add(part, dict.fromkeys(part.prompts, READING))
    with pytest.warns(StoreWarning, match="activations that are not of this model"):
        assert not Store(tmp_path).holds(part)


def test_the_hash_of_what_is_not_read_is_enough_until_it_is_read(tmp_path: Path) -> None:
    """Another value under a right hash is found only where it is read, and counts as not there from then on."""
    part = _part(tmp_path)
    table = pa.Table.from_pylist(part.kind.encode(part, dict.fromkeys(part.prompts, READING)), schema=part.kind.schema)
    Store(tmp_path).add(part, dict.fromkeys(part.prompts, READING))
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(bytes_of(changed("effective_rank", every(NAN))(table), part))
    store = Store(tmp_path)
    assert store.holds(part, read=False)
    with pytest.warns(StoreWarning, match="a rank that no such prompt has"):
        assert store.content(part) is None
    assert not store.holds(part, read=False)
    file.write_bytes(bytes_of(table, part)[:-9] + b"otherPAR1")
    with pytest.warns(StoreWarning, match="hash of its bytes"):
        assert not store.holds(part, read=False)
