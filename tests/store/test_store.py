"""The store: what is written comes back whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saeprobe.captures import Span, steer
from saeprobe.features.sparse import Token
from saeprobe.prompts import PromptSet
from saeprobe.store import store as store_module
from saeprobe.store.store import Store, StoreWarning
from saeprobe.subject.specification import Reading, Want

WANT = Want(at="last", keep=frozenset({"features"}))


def _reading(n_active: int = 3, rows: int = 2, seed: int = 0) -> Reading:
    generator = np.random.default_rng(seed)
    return Reading(
        tokens=tuple(Token(position=row + 1, text="x", start=row, end=row + 1) for row in range(rows)),
        n_tokens=rows + 1,
        indices=tuple(np.sort(generator.choice(65536, n_active, replace=False)).astype(np.int32) for _ in range(rows)),
        values=tuple(generator.random(n_active).astype(np.float32) + 0.1 for _ in range(rows)),
        squared_error=np.arange(rows, dtype=np.float32),
    )


def test_what_is_added_comes_back_and_opens_in_pandas(tmp_path: Path) -> None:
    """A reading returns as it was, and its file is a table that pandas reads."""
    reading = _reading()
    Store(tmp_path).add_readings("f" * 64, {"k": ("a text", WANT, reading)})
    found = Store(tmp_path).readings("f" * 64, ["k", "absent"])
    assert found.keys() == {"k"}
    np.testing.assert_array_equal(found["k"].indices[1], reading.indices[1])
    strengths = [row for one in (found["k"], reading) for row in one.values]  # noqa: PD011 - no frame of pandas
    np.testing.assert_array_equal(strengths[:2], strengths[2:])
    assert found["k"].tokens == reading.tokens
    assert found["k"].activations is None
    frame = pd.read_parquet(next(tmp_path.rglob("*.parquet")))
    assert frame["text"].tolist() == ["a text"] * 2


@pytest.mark.parametrize("harm", ["torn", "flipped", "foreign"])
def test_a_file_that_cannot_be_trusted_is_set_aside(tmp_path: Path, harm: str) -> None:
    """A truncated file, one with changed bytes and one of another origin are set aside with a warning."""
    Store(tmp_path).add_readings("f" * 64, {"k": ("a text", WANT, _reading(500))})
    file = next(tmp_path.rglob("*.parquet"))
    content = file.read_bytes()
    if harm == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif harm == "flipped":
        at = len(content) // 4
        file.write_bytes(content[:at] + bytes(255 - byte for byte in content[at : at + 64]) + content[at + 64 :])
    else:
        pd.DataFrame({"key": ["k"]}).to_parquet(file)
    with pytest.warns(StoreWarning, match="set aside"):
        assert Store(tmp_path).readings("f" * 64, ["k"]) == {}
    assert file.with_suffix(".corrupt").exists()
    Store(tmp_path).add_readings("f" * 64, {"k": ("a text", WANT, _reading(500))})
    assert Store(tmp_path).readings("f" * 64, ["k"]).keys() == {"k"}


def test_an_active_feature_takes_at_most_eight_bytes(tmp_path: Path) -> None:
    """A batch of 64 tokens with 120 of 65,536 features each takes no more on disk than index and value would."""
    batch = {str(n): ("a text", WANT, _reading(120, rows=1, seed=n)) for n in range(64)}
    Store(tmp_path).add_readings("f" * 64, batch)
    assert next(tmp_path.rglob("*.parquet")).stat().st_size <= 8 * 64 * 120


def test_all_that_decides_a_reading_is_in_its_key(tmp_path: Path) -> None:
    """Another subject, text, position or choice of what to keep makes another key."""
    store = Store(tmp_path)
    keys = {
        *store.reading_keys("a", WANT, ["t", "u"]),
        *store.reading_keys("b", WANT, ["t"]),
        *store.reading_keys("a", Want(at="all", keep=WANT.keep), ["t"]),
        *store.reading_keys("a", Want(at="last", keep=frozenset({"features", "activations"})), ["t"]),
        *store.reading_keys("a", Want(at="last", keep=WANT.keep, shift=1), ["t"]),
        *store.reading_keys("a", Want(at="last", keep=WANT.keep, raw=True), ["t"]),
    }
    assert len(keys) == 7


@pytest.mark.parametrize("text", ["plain", 'quoted "\\" text', "桥 \U0001f642\n", ""])
def test_a_key_is_the_hash_of_canonical_json(tmp_path: Path, text: str) -> None:
    """A key stays what it was in every earlier version, so that the readings of old stores are found."""
    want = Want(at=Span(text="x"), keep=frozenset({"features", "activations"}), shift=-1, raw=True)
    whole = {
        "at": {"span": "x"},
        "fingerprint": "f",
        "keep": ["activations", "features"],
        "raw": True,
        "shift": -1,
        "text": text,
    }
    assert Store(tmp_path).reading_keys("f", want, ["other", text])[1] == _sha256(whole)


def test_the_prompts_of_a_steering_experiment_are_in_the_key_of_each(tmp_path: Path) -> None:
    """The random features are drawn from what fires on all prompts; their order and repetitions change nothing."""
    prompts = PromptSet(name="p", language="en", prompts=())
    steering = steer(prompts, feature=[3, 1], strengths=[1.5], random_features=2, seed=9)
    whole = {
        "experiment": _sha256(["a", "b"]),
        "features": [3, 1],
        "fingerprint": "f",
        "max_new_tokens": 24,
        "n_samples": 4,
        "random_features": 2,
        "seed": 9,
        "strengths": [1.5],
        "temperature": 0.7,
        "text": "a",
    }
    assert Store(tmp_path).continuation_keys("f", steering, ["b", "a", "b"])[1] == _sha256(whole)
    assert Store(tmp_path).continuation_keys("f", steering, ["a"]) != [_sha256(whole)]


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from saeprobe.features.sparse import Token
from saeprobe.store.store import Store
from saeprobe.subject.specification import Reading
from saeprobe.subject.specification import Want

store, want = Store(Path(sys.argv[1])), Want(at="last", keep=frozenset({"features"}))
print("ready", flush=True)
sys.stdin.readline()
for batch in range(12):
    entries = {}
    for number in range(batch * 4, batch * 4 + 4):
        key = f"both {number}" if batch % 2 else f"{sys.argv[2]} {number}"
        entries[key] = (key, want, Reading(
            tokens=(Token(position=1, text="x", start=0, end=1),), n_tokens=2,
            indices=(np.array([number, 4000], dtype=np.int32),),
            values=(np.array([number + 0.5, 1.0], dtype=np.float32),),
            squared_error=np.zeros(1, dtype=np.float32)))
    store.add_readings("f" * 64, entries)
    assert store.stored("f" * 64, entries) == set(entries)
for _ in range(60):  # both write this one file, over and over
    store.add_readings("f" * 64, entries)
"""


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    """Batches of their own and the same batches, written together: all come back whole, and no half file is left."""
    writers = [
        subprocess.Popen(  # noqa: S603 - this interpreter, on a script of this file
            [sys.executable, "-c", WRITER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:  # both are let go before either is waited for
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert [writer.returncode for writer in writers] == [0, 0]

    own = [number for batch in range(0, 12, 2) for number in range(batch * 4, batch * 4 + 4)]
    keys = {
        **{f"{name} {number}": number for name in ("one", "two") for number in own},
        **{f"both {number}": number for number in range(48) if number not in own},
    }
    found = Store(tmp_path).readings("f" * 64, keys)
    assert {key: int(reading.indices[0][0]) for key, reading in found.items()} == keys
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".parquet"}


def test_a_key_in_a_file_of_many_comes_alone(tmp_path: Path) -> None:
    """Of a batch only what is asked for is decoded, and readings of several batches come together."""
    for start in (0, 4):
        batch = {str(n): (str(n), WANT, _reading(seed=n)) for n in range(start, start + 4)}
        Store(tmp_path).add_readings("f" * 64, batch)
    found = Store(tmp_path).readings("f" * 64, ["5", "2"])
    assert found.keys() == {"2", "5"}
    np.testing.assert_array_equal(found["5"].indices[0], _reading(seed=5).indices[0])


@pytest.mark.parametrize(("room", "reads"), [(2**20, 1), (0, 3)])
def test_a_file_is_read_once_while_there_is_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, reads: int
) -> None:
    """Readings of one file that are asked for in turn come from one reading of it; without room it is read again."""
    Store(tmp_path).add_readings("f" * 64, {str(n): (str(n), WANT, _reading(seed=n)) for n in range(3)})
    read, whole = store_module._read, list[Path]()

    def counted(file: Path, kind: Any, columns: Any) -> Any:
        whole.extend([file] if len(columns) > 1 else [])
        return read(file, kind, columns)

    monkeypatch.setattr(store_module, "_read", counted)
    monkeypatch.setattr(store_module, "_HELD_BYTES", room)
    store = Store(tmp_path)
    for n in range(3):
        (found,) = store.readings("f" * 64, [str(n)]).values()
        np.testing.assert_array_equal(found.indices[1], _reading(seed=n).indices[1])
    assert len(whole) == reads
