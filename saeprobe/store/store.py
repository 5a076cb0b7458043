"""The store: readings and continuations on disk, by what they are of; written once, used by every later run."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from saeprobe.captures import Span, Steering
from saeprobe.features.continuations import Continuation
from saeprobe.files import written_whole
from saeprobe.store.tables import (
    CONTINUATIONS,
    READINGS,
    Kind,
    UntrustedError,
    continuations_of,
    readings_of,
    table_of_continuations,
    table_of_readings,
)
from saeprobe.subject.specification import Reading, Want

_T = TypeVar("_T")


class StoreWarning(UserWarning):
    """A file of the store could not be trusted and was set aside."""


def reading_key(fingerprint: str, text: str, want: Want) -> str:
    """SHA-256 of everything that decides a reading: the subject's fingerprint, the prompt, what to read and to keep."""
    at = {"span": want.at.text} if isinstance(want.at, Span) else want.at
    return _sha256(
        {
            "fingerprint": fingerprint,
            "text": text,
            "at": at,
            "keep": sorted(want.keep),
            "shift": want.shift,
            "raw": want.raw,
        }
    )


def continuation_key(fingerprint: str, text: str, steering: Steering, experiment: Sequence[str]) -> str:
    """SHA-256 of everything that decides the continuations of one prompt.

    `fingerprint` is of all the model's layers (`Subject.whole_fingerprint`). The texts of the whole experiment belong
    to it: the random features are drawn from those that fire on them.
    """
    return _sha256(
        {
            "fingerprint": fingerprint,
            "text": text,
            "experiment": _sha256(sorted(set(experiment))),
            "features": steering.features,
            "strengths": steering.strengths,
            "random_features": steering.random_features,
            "n_samples": steering.n_samples,
            "max_new_tokens": steering.max_new_tokens,
            "temperature": steering.temperature,
            "seed": steering.seed,
        }
    )


def _sha256(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What is stored beside a reading for people who open the file: the prompt and what was read of it."""

    text: str
    at: str


@dataclass(frozen=True)
class Store:
    """Evidence on disk under `path`, one Parquet file a batch, one folder a kind and subject fingerprint.

    A file appears whole or not at all and is never changed, so that any number of processes may write, and a process
    that is killed loses the batch that it had in hand. What fails its checksum, or is no file of this store, is set
    aside under the name `*.corrupt` with a `StoreWarning`, and its readings count as not there.
    """

    path: Path
    _keys: dict[Path, frozenset[str]] = field(default_factory=dict[Path, frozenset[str]], repr=False, compare=False)

    def stored(self, fingerprint: str, keys: Iterable[str]) -> set[str]:
        """Which of the keys are there, readings and continuations alike; reads key columns only."""
        wanted = set(keys)
        return {
            key
            for kind in (READINGS, CONTINUATIONS)
            for file in self._files(kind, fingerprint)
            for key in self._keys_of(file, kind) & wanted
        }

    def readings(self, fingerprint: str, keys: Iterable[str]) -> dict[str, Reading]:
        """The readings that are there, by key."""
        return self._load(READINGS, fingerprint, keys, readings_of)

    def continuations(self, fingerprint: str, keys: Iterable[str]) -> dict[str, list[Continuation]]:
        """The continuations that are there, by key; their prompts know their text only."""
        return self._load(CONTINUATIONS, fingerprint, keys, continuations_of)

    def add_readings(self, fingerprint: str, batch: Mapping[str, tuple[str, Want, Reading]]) -> None:
        """Write one batch: by key, the prompt's text, what was wanted of it, and what was read."""
        self._write(READINGS, fingerprint, table_of_readings(batch), batch)

    def add_continuations(self, fingerprint: str, batch: Mapping[str, list[Continuation]]) -> None:
        """Write one batch: by key, all continuations of one prompt."""
        self._write(CONTINUATIONS, fingerprint, table_of_continuations(batch), batch)

    def _folder(self, kind: Kind, fingerprint: str) -> Path:
        return self.path / kind.name / fingerprint[:32]

    def _files(self, kind: Kind, fingerprint: str) -> list[Path]:
        return sorted(self._folder(kind, fingerprint).glob("*.parquet"))

    def _write(self, kind: Kind, fingerprint: str, table: pa.Table, keys: Iterable[str]) -> None:
        folder = self._folder(kind, fingerprint)
        folder.mkdir(parents=True, exist_ok=True)
        name = _sha256(sorted(keys))[:32]
        with written_whole(folder / f"{name}.parquet") as part, part.open("wb") as stream:
            _parquet(table, stream, kind)

    def _load(
        self,
        kind: Kind,
        fingerprint: str,
        keys: Iterable[str],
        decode: Callable[[pa.Table], dict[str, _T]],
    ) -> dict[str, _T]:
        wanted = set(keys)
        found: dict[str, _T] = {}
        for file in self._files(kind, fingerprint):
            lacking = wanted - found.keys()
            if not lacking:
                break
            if self._keys_of(file, kind).isdisjoint(lacking):
                continue
            whole = self._trusted(file, lambda file=file, some=lacking: decode(_rows_of(_read(file, kind), some)))
            found.update({key: value for key, value in (whole or {}).items() if key in lacking})
        return found

    def _keys_of(self, file: Path, kind: Kind) -> frozenset[str]:
        """The keys in a file; remembered, as files never change."""
        if file not in self._keys:
            keys = self._trusted(file, lambda: _read(file, kind, columns=["key"]).column("key").unique().to_pylist())
            self._keys[file] = frozenset(cast("list[str]", keys or []))
        return self._keys[file]

    def _trusted(self, file: Path, read: Callable[[], _T]) -> _T | None:
        """What `read` gives; None, with the file set aside, where it cannot be trusted."""
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


def _parquet(table: pa.Table, stream: BinaryIO, kind: Kind) -> None:
    """Write; indices as differences and values byte by byte take less than 8 bytes an active feature together."""
    # The stubs know neither lists of columns to keep a dictionary of, nor encodings by column.
    cast(Any, pq).write_table(
        table.replace_schema_metadata({"saeprobe": kind.version}),
        stream,
        compression="zstd",
        use_dictionary=list(kind.repetitive),
        column_encoding=dict(kind.encodings),
        write_page_checksum=True,
    )


def _rows_of(table: pa.Table, keys: Iterable[str]) -> pa.Table:
    """The rows of some keys: a file holds all that was read of a prompt, a capture asks for part of it."""
    wanted = pa.array(sorted(keys), type=pa.string())
    return table.filter(cast(pa.BooleanArray, cast(Any, pc).is_in(table.column("key"), value_set=wanted)))


def _read(file: Path, kind: Kind, *, columns: list[str] | None = None) -> pa.Table:
    """Read some columns, or all, with every page's checksum verified.

    Raises:
        UntrustedError: it is no file of this store.
        pa.ArrowException, OSError: it is torn.
    """
    with pq.ParquetFile(file, page_checksum_verification=True) as stored:
        schema = stored.schema_arrow
        found = (schema.metadata or {}).get(b"saeprobe", b"").decode(errors="replace")
        if found != kind.version or not schema.equals(kind.schema):
            raise UntrustedError(f"it is not of the kind {kind.version!r}; found {found!r}")
        return cast(pa.Table, cast(Any, stored).read(columns=columns))
