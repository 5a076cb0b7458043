"""The store keeps readings and continuations on disk, by what decides them: written once, used by every later run."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from saeprobe.captures import Span, Steering
from saeprobe.features.continuations import Continuation
from saeprobe.files import written_whole
from saeprobe.store.tables import (
    CONTINUATIONS,
    READINGS,
    Kind,
    Seen,
    UntrustedError,
    seen_of,
    table_of_continuations,
    table_of_readings,
)
from saeprobe.subject.specification import Reading, Want

_T = TypeVar("_T")

_HELD_BYTES: Final = 256 * 2**20
"""Bytes of tables that stay in memory once they were read. A file beyond them is read again when it is asked for."""


class StoreWarning(UserWarning):
    """A file of the store could not be trusted and was set aside."""


class Store:
    """The store holds evidence under `path`: one Parquet file a batch, one folder a kind and subject fingerprint.

    A file appears whole or not at all and is never changed, so that any number of processes may write, and a process
    that is killed loses the batch that it had in hand. What fails its checksum, or is no file of this store, is set
    aside under the name `*.corrupt` with a `StoreWarning`, and its readings count as not there.

    What a store has worked out it keeps while it lives: the keys it was asked for, and what the files hold.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._computed: dict[str, dict[str, str]] = {}
        self._keys: dict[Path, frozenset[str]] = {}
        self._held: dict[Path, tuple[int, Mapping[str, Any]]] = {}

    def reading_keys(self, fingerprint: str, want: Want, texts: Sequence[str]) -> list[str]:
        """Return the keys of the readings of some prompts, in their order.

        A key is the SHA-256 of all that decides a reading: the subject's fingerprint, the prompt, what to read of it
        and what to keep.
        """
        decides = {
            "fingerprint": fingerprint,
            "at": {"span": want.at.text} if isinstance(want.at, Span) else want.at,
            "keep": sorted(want.keep),
            "shift": want.shift,
            "raw": want.raw,
        }
        return self._keys_for(decides, texts)

    def continuation_keys(self, whole_fingerprint: str, steering: Steering, texts: Sequence[str]) -> list[str]:
        """Return the keys of the continuations of the prompts of a steering experiment, in their order.

        Args:
            whole_fingerprint: the one of all the model's layers (`Subject.whole_fingerprint`).
            steering: what is done to the model.
            texts: the prompts of the whole experiment. They belong to each key: the random features are drawn from
                those that fire on them.
        """
        decides = {
            "fingerprint": whole_fingerprint,
            "experiment": _sha256(sorted(set(texts))),
            "features": steering.features,
            "strengths": steering.strengths,
            "random_features": steering.random_features,
            "n_samples": steering.n_samples,
            "max_new_tokens": steering.max_new_tokens,
            "temperature": steering.temperature,
            "seed": steering.seed,
        }
        return self._keys_for(decides, texts)

    def _keys_for(self, decides: Mapping[str, object], texts: Sequence[str]) -> list[str]:
        """Return the SHA-256 of `decides` with each text in turn, computing each once.

        In canonical JSON the names are sorted and `text` comes last, so what stands before it is hashed once for all.
        """
        head = _canonical({**decides, "text": ""}).removesuffix('""}')
        known, before = self._computed.setdefault(head, {}), hashlib.sha256(head.encode())
        for text in texts:
            if text not in known:
                whole = before.copy()
                whole.update(f"{_canonical(text)}}}".encode())
                known[text] = whole.hexdigest()
        return [known[text] for text in texts]

    def stored(self, fingerprint: str, keys: Iterable[str]) -> set[str]:
        """Return which of the keys are there, of readings and continuations alike; only columns of keys are read."""
        wanted = set(keys)
        return {
            key
            for kind in (READINGS, CONTINUATIONS)
            for file in self._files(kind, fingerprint)
            for key in self._keys_of(file, kind) & wanted
        }

    def readings(self, fingerprint: str, keys: Iterable[str]) -> dict[str, Reading]:
        """Return the readings that are there, by key."""
        return self._load(READINGS, fingerprint, keys)

    def seen(self, fingerprint: str, key: str, place: str) -> Seen | None:
        """Return what the model saw of the prompt of a reading; None where the reading is not there or has none."""
        for file in self._files(READINGS, fingerprint):
            if key in self._keys_of(file, READINGS):
                return self._trusted(file, partial(_seen, file, key, place))
        return None

    def continuations(self, fingerprint: str, keys: Iterable[str]) -> dict[str, list[Continuation]]:
        """Return the continuations that are there, by key; their prompts know their text only."""
        return self._load(CONTINUATIONS, fingerprint, keys)

    def add_readings(self, fingerprint: str, batch: Mapping[str, tuple[str, Want, Reading]]) -> None:
        """Write one batch: by key, the prompt's text, what was wanted of it, and what was read."""
        self._write(READINGS, fingerprint, table_of_readings(batch), batch)

    def add_continuations(self, fingerprint: str, batch: Mapping[str, list[Continuation]]) -> None:
        """Write one batch: by key, all continuations of one prompt."""
        self._write(CONTINUATIONS, fingerprint, table_of_continuations(batch), batch)

    def _folder(self, kind: Kind[Any], fingerprint: str) -> Path:
        return self.path / kind.name / fingerprint[:32]

    def _files(self, kind: Kind[Any], fingerprint: str) -> list[Path]:
        return sorted(self._folder(kind, fingerprint).glob("*.parquet"))

    def _write(self, kind: Kind[Any], fingerprint: str, table: pa.Table, keys: Iterable[str]) -> None:
        """Write a table; its list columns take less than 8 bytes an active feature together."""
        folder = self._folder(kind, fingerprint)
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(folder / f"{_sha256(sorted(keys))[:32]}.parquet") as part:
            # The stubs know neither lists of columns to keep a dictionary of, nor encodings by column.
            cast(Any, pq).write_table(
                table.replace_schema_metadata({"saeprobe": kind.version}),
                part,
                compression="zstd",
                use_dictionary=list(kind.repetitive),
                column_encoding=dict(kind.encodings),
                write_page_checksum=True,
            )

    def _load(self, kind: Kind[_T], fingerprint: str, keys: Iterable[str]) -> dict[str, _T]:
        lacking, found = set(keys), dict[str, _T]()
        for file in self._files(kind, fingerprint):
            here = self._keys_of(file, kind) & lacking
            if here:
                held = self._content_of(file, kind)
                found.update((key, held[key]) for key in here & held.keys())
                lacking.difference_update(held)
        return found

    def _keys_of(self, file: Path, kind: Kind[Any]) -> frozenset[str]:
        if file not in self._keys:
            keys = self._trusted(file, lambda: _read(file, kind, ["key"]).column("key").unique().to_pylist())
            self._keys[file] = frozenset(cast("list[str]", keys or []))
        return self._keys[file]

    def _content_of(self, file: Path, kind: Kind[_T]) -> Mapping[str, _T]:
        """Return what a file holds, by key; it is read once, as files never change, while there is room for it."""
        if file in self._held:
            return self._held[file][1]
        table = self._trusted(file, lambda: _read(file, kind, kind.read))
        content = None if table is None else self._trusted(file, lambda: kind.decode(table))
        if table is None or content is None:
            return {}
        if sum(size for size, _ in self._held.values()) + table.nbytes <= _HELD_BYTES:
            self._held[file] = (table.nbytes, content)
        return content

    def _trusted(self, file: Path, read: Callable[[], _T]) -> _T | None:
        """Return what `read` gives; None, with the file set aside, where it cannot be trusted."""
        try:
            return read()
        except FileNotFoundError:  # another process set it aside
            return None
        except (pa.ArrowException, OSError, UntrustedError) as error:
            aside = file.with_suffix(".corrupt")
            try:
                file.replace(aside)
            except FileNotFoundError:
                return None
            self._keys[file] = frozenset()
            warnings.warn(
                f"{file} cannot be trusted ({error}); it was set aside as {aside.name} and is computed again",
                StoreWarning,
                stacklevel=2,
            )
            return None


def _seen(file: Path, key: str, place: str) -> Seen | None:
    return seen_of(_read(file, READINGS, ["key", "text", "ids", "rendered", "pieces"]), key, place)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _sha256(value: object) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _read(file: Path, kind: Kind[Any], columns: Sequence[str]) -> pa.Table:
    """Read some columns of a file, with every page's checksum verified."""
    with pq.ParquetFile(file, page_checksum_verification=True) as stored:
        schema = stored.schema_arrow
        found = (schema.metadata or {}).get(b"saeprobe", b"").decode(errors="replace")
        if found != kind.version or not schema.equals(kind.schema):
            raise UntrustedError(f"it is not of the kind {kind.version!r}; found {found!r}")
        return cast(pa.Table, cast(Any, stored).read(columns=list(columns), use_threads=False))
