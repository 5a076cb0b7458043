"""The store: what is written comes back whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from parts import WANT, part_of, reading, written

from saeprobe import store as store_module
from saeprobe.captures import Span
from saeprobe.captures.steering import steer
from saeprobe.files import written_whole
from saeprobe.prompts import PromptSet
from saeprobe.store import Store, StoreError, StoreWarning
from saeprobe.subject.specification import Want

LEFT = f".x.parquet.{'0123' * 8}.part"


def test_what_is_added_comes_back_and_opens_in_pandas(tmp_path: Path) -> None:
    """A reading returns as it was, and its file is a table that pandas reads."""
    part = part_of(Store(tmp_path), "a text", "absent no more")
    file = written(tmp_path, part)
    found = Store(tmp_path).content(part)
    assert found is not None
    assert list(found) == list(part.prompts)
    for seed, one in enumerate(found.values()):
        np.testing.assert_array_equal(one.indices[0], reading(seed=seed).indices[0])
        np.testing.assert_array_equal(one.values[0], reading(seed=seed).values[0])  # noqa: PD011 - no frame of pandas
        assert one.tokens == reading().tokens
        assert one.activations is None
    assert pd.read_parquet(file)["text"].tolist() == ["a text", "absent no more"]
    assert Store(tmp_path).content(part_of(Store(tmp_path), "a text")) is None


def _tear(file: Path, content: bytes) -> None:
    file.write_bytes(content[: len(content) // 2])


def _flip(at: int) -> Callable[[Path, bytes], None]:
    def flip(file: Path, content: bytes) -> None:
        where = at % len(content)
        file.write_bytes(content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :])

    return flip


def _grow(file: Path, content: bytes) -> None:
    del content
    os.truncate(file, 2**42)  # a hole of 4 TiB, which no memory holds


def _foreign(file: Path, content: bytes) -> None:
    del content
    pd.DataFrame({"key": ["k"]}).to_parquet(file)


def _empty(file: Path, content: bytes) -> None:
    del content
    file.write_bytes(b"")


def _pipe(file: Path, content: bytes) -> None:
    del content
    file.unlink()
    os.mkfifo(file)


def _socket(file: Path, content: bytes) -> None:
    del content
    file.unlink()
    with socket.socket(socket.AF_UNIX) as one:
        there = os.open(file.parent, os.O_RDONLY)  # the name of a socket may have 108 bytes
        one.bind(f"/proc/self/fd/{there}/{file.name}")
        os.close(there)


def _folder(file: Path, content: bytes) -> None:
    del content
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "harm", [_tear, _grow, _flip(0), _flip(500), _flip(-5), _flip(-1), _foreign, _empty, _pipe, _socket, _folder]
)
def test_a_file_that_cannot_be_trusted_is_set_aside(tmp_path: Path, harm: Callable[[Path, bytes], None]) -> None:
    """A truncated file, a flipped bit anywhere, another file and no file at all are set aside with a warning."""
    part = part_of(Store(tmp_path), "a text")
    file = written(tmp_path, part, n_active=500)
    content = file.read_bytes()
    harm(file, content)
    with pytest.warns(StoreWarning, match="set aside"):
        assert Store(tmp_path).content(part) is None
    assert not file.exists()
    assert file.with_suffix(".corrupt").exists()
    assert written(tmp_path, part, n_active=500).read_bytes() == content
    assert file.with_suffix(".corrupt").is_dir() or not file.with_suffix(".corrupt").exists()


def test_a_file_in_the_place_of_another_is_set_aside(tmp_path: Path) -> None:
    """A file of other texts, or of another subject, is whole and still not what its name says."""
    store = Store(tmp_path)
    part, of_other_text = part_of(store, "a text"), part_of(store, "b text")
    of_other_subject = part_of(store, "a text", fingerprint="e" * 64)
    file, *others = (written(tmp_path, one) for one in (part, of_other_text, of_other_subject))
    for other in others:
        file.write_bytes(other.read_bytes())
        with pytest.warns(StoreWarning, match="other prompts than its name says|of another subject"):
            assert Store(tmp_path).content(part) is None


def test_what_cannot_be_set_aside_is_not_believed_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that cannot be written the warning says so, and the file counts as not there."""
    part = part_of(Store(tmp_path), "a text")
    file = written(tmp_path, part)
    file.write_bytes(b"no Parquet")
    monkeypatch.setattr(Path, "replace", _refuse)
    with pytest.warns(StoreWarning, match=r"could not be set aside \(Read-only file system\)"):
        assert not Store(tmp_path).holds(part)


def _refuse(*_: object, **__: object) -> None:
    raise OSError(30, "Read-only file system")


@pytest.mark.parametrize("harm", ["a file", "read-only"])
def test_a_store_that_cannot_be_written_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """Before anything is computed: where a file stands in its place, and where the disk is read-only."""
    store = Store(tmp_path / "store")
    if harm == "a file":
        store.path.write_text("")
    else:
        monkeypatch.setattr("saeprobe.store.tempfile.TemporaryFile", _refuse)
    with pytest.raises(StoreError, match=r"store cannot be written .* or name another with --saeprobe-store"):
        store.prepare([part_of(store, "a text")])
    assert not store.holds(part_of(store, "a text"))
    if harm == "a file":
        with pytest.raises(StoreError, match="cannot be written"), store.locked("sparrow"):
            pass


def test_leftovers_of_a_killed_process_are_removed_and_no_others(tmp_path: Path) -> None:
    """A temporary file whose writer lives is locked by it; any other is left over."""
    part = part_of(Store(tmp_path), "a text")
    folder = written(tmp_path, part).parent
    (folder / LEFT).write_bytes(b"half")
    with written_whole(folder / "y.parquet") as living:
        Store(tmp_path).tidy([part])
        assert living.exists()
        living.write_bytes(b"all")
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{part.name}.parquet", "y.parquet"])


def test_strange_neighbours_are_in_nobodys_way(tmp_path: Path) -> None:
    """Pipes, folders and files of other names are not opened."""
    part = part_of(Store(tmp_path), "a text")
    folder = written(tmp_path, part).parent
    os.mkfifo(folder / "x.parquet")
    os.mkfifo(folder / LEFT)
    (folder / "y.parquet").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Store(tmp_path).tidy([part])
        assert Store(tmp_path).holds(part)


def test_an_active_feature_takes_at_most_eight_bytes(tmp_path: Path) -> None:
    """A batch of 64 tokens with 120 of 65,536 features each takes no more on disk than index and value would."""
    file = written(tmp_path, part_of(Store(tmp_path), *map(str, range(64))), n_active=120)
    assert file.stat().st_size <= 8 * 64 * 120


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
        "random_samples": 2,
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
sys.path.insert(0, sys.argv[1])
from parts import part_of, written
from saeprobe.store import Store
root, name = Path(sys.argv[2]), sys.argv[3]
store = Store(root)
print("ready", flush=True)
sys.stdin.readline()
for batch in range(12):
    part = part_of(store, *(f"{'both' if batch % 2 else name} {number}" for number in range(batch * 4, batch * 4 + 4)))
    written(root, part)
    assert store.holds(part)
for _ in range(60):  # both write this one file, over and over
    written(root, part)
    store.tidy([part])
"""


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    """Parts of their own and the same parts, written together: all come back whole, and no half file is left."""
    names = ("one", "two")
    writers = [
        subprocess.Popen(  # noqa: S603 - this interpreter, on a script of this file
            [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
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
    store = Store(tmp_path)
    for batch in range(12):
        for name in ("both",) if batch % 2 else names:
            found = store.content(part_of(store, *(f"{name} {n}" for n in range(batch * 4, batch * 4 + 4))))
            assert found is not None
            for seed, one in enumerate(found.values()):
                np.testing.assert_array_equal(one.indices[0], reading(seed=seed).indices[0])
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".parquet"}


@pytest.mark.parametrize(("room", "reads"), [(2**20, 1), (0, 3)])
def test_a_file_is_read_once_while_there_is_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, reads: int
) -> None:
    """A part that is asked for again comes from one reading of its file; without room it is read again."""
    part, read, whole = part_of(Store(tmp_path), "a text"), store_module._bytes_in, list[Path]()
    written(tmp_path, part)

    def counted(file: Path) -> bytes:
        whole.append(file)
        return read(file)

    monkeypatch.setattr(store_module, "_bytes_in", counted)
    monkeypatch.setattr(store_module, "_HELD_BYTES", room)
    store = Store(tmp_path)
    assert store.holds(part)
    assert store.holds(part)  # which never needs the file again
    for _ in range(2):
        assert store.content(part) is not None
    assert len(whole) == reads
