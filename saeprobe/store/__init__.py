"""The store keeps readings and continuations on disk, by what decides them: written once, used by every later run."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from saeprobe.captures import Span
from saeprobe.captures.steering import Steering
from saeprobe.files import remove_leftovers, written_whole
from saeprobe.git import leave_out
from saeprobe.store.tables import Part, Seen, UntrustedError, seen_of
from saeprobe.subject.specification import Identity, Want

_T = TypeVar("_T")

VERSIONS: Final = b"versions"  # the name in a file's metadata of what computed it
_HELD_BYTES: Final = 256 * 2**20  # of tables that stay in memory; a file beyond them is read again when it is asked for
_MARK: Final = b"sha256:"
_BLANK: Final = b"0" * 64
_END: Final = b"PAR1"
DAMAGE: Final = (pa.ArrowException, OSError, OverflowError, UntrustedError, ValueError)  # what a changed file raises


class StoreWarning(UserWarning):
    """A file of the store could not be trusted and was set aside."""


class StoreError(Exception):
    """The store cannot be written, and something that is asked for is not stored."""


class Store:
    """The store holds evidence under `path`: one Parquet file a part, one folder a kind and subject fingerprint.

    A file appears whole or not at all and is never changed, so that any number of processes may write, and a process
    that is killed loses the parts that it had in hand. A file is believed if the hash of all its bytes is the one that
    stands in it, and if subject, keys, texts and numbers are those of the part whose name it has. Any other is set
    aside under the name `*.corrupt` with a `StoreWarning`, and counts as not there. The name is one of batches and
    their order; an earlier version's is one of the prompts alone, and its file serves those whose order it has.

    It keeps in memory what it has worked out: the keys that it was asked for, and what files hold.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._computed: dict[str, dict[str, str]] = {}
        self._trusted: set[Path] = set()
        self._held: dict[Path, tuple[int, Mapping[str, Any]]] = {}

    def reading_keys(self, fingerprint: str, want: Want, texts: Sequence[str]) -> list[str]:
        """Return the keys of the readings of some prompts, in their order.

        A key is the SHA-256 of all that decides a reading: fingerprint, prompt, what to read of it and what to keep.
        """
        decides = {
            "fingerprint": fingerprint,
            "at": {"span": want.at.text} if isinstance(want.at, Span) else want.at,
            "keep": sorted(want.keep),
            "shift": want.shift,
            "raw": want.raw,
            **({"again": want.again} if want.again else {}),
        }
        return self._keys_for(decides, texts)

    def continuation_keys(self, whole_fingerprint: str, steering: Steering, texts: Sequence[str]) -> list[str]:
        """Return the keys of the continuations of the prompts of a steering experiment, in their order.

        The fingerprint is the one of all the model's layers (`Subject.whole_fingerprint`). The texts of the whole
        experiment belong to each key: the random features are drawn from those that fire on them.
        """
        plain = [name for name, value in (("action", "steer"), ("weights", ())) if getattr(steering, name) == value]
        decides = {
            "fingerprint": whole_fingerprint,
            "experiment": sha256_of(sorted(set(texts))),
            **{name: value for name, value in vars(steering).items() if name not in ("prompts", "chosen_on", *plain)},
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

    def part(
        self, identity: Identity, of: Want | Steering, key_of: Mapping[str, str], batches: Sequence[tuple[str, ...]]
    ) -> Part:
        """Return the part that holds these batches of prompts, whose keys are given by text."""
        prompts = {key_of[text]: text for batch in batches for text in batch}
        name = sha256_of([[key_of[text] for text in batch] for batch in batches])[:32]
        return Part(name=name, identity=identity, of=of, prompts=prompts, batches=tuple(batches))

    def content(self, part: Part) -> Mapping[str, Any] | None:
        """Return by key a prompt's `Reading`, or all of its continuations; None where the part is not stored.

        The prompts of continuations know their text only. What `holds` has read is not read again.
        """
        if (found := self._held.get(self._file(part)) or self._decoded(part)) is None:
            self._trusted.discard(self._file(part))
        return found and found[1]

    def seen(self, part: Part, text: str, place: str) -> Seen | None:
        """Return what the model saw of one of the prompts of a part; None where it is not stored."""
        return self._read(part, lambda of: seen_of(of, text, place), ["text", "n_tokens", *part.kind.report_columns])

    def holds(self, part: Part, *, read: bool = True) -> bool:
        """Return whether a part is stored and can be trusted; of what may never be `read` its bytes' hash is enough."""
        file = self._file(part)
        if file in self._trusted:
            return True
        if found := self._decoded(part) if read else self._read(part, lambda _: (0, dict[str, Any]()), ["text"]):
            self._trusted.add(file)
            if read and sum(size for size, _ in self._held.values()) + found[0] <= _HELD_BYTES:
                self._held[file] = found
        return found is not None

    def _decoded(self, part: Part) -> tuple[int, Mapping[str, Any]] | None:
        return self._read(part, lambda table: (table.nbytes, part.kind.decode(table, part)))

    def tidy(self, parts: Iterable[Part]) -> None:
        """Remove from the folders of some parts what killed processes left half written."""
        for folder in {self._file(part).parent for part in parts}:
            remove_leftovers(folder)

    def prepare(self, parts: Iterable[Part]) -> None:
        """Make the folders of parts that are to be written. Before all computing a StoreError says that it cannot."""
        for folder in {self._file(part).parent for part in parts}:
            with self._writing():
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()

    def add(self, part: Part, found: Mapping[str, Any]) -> None:
        """Write a part: by key, a prompt's reading, or all of its continuations. A StoreError says why it cannot."""
        file, rows = self._file(part), part.kind.encode(part, found)
        content = bytes_of(pa.Table.from_pylist(rows, schema=part.kind.schema), part)
        with self._writing():
            file.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(file) as temporary:
                temporary.write_bytes(content)
        with suppress(OSError):  # what was set aside here before is of no more use
            file.with_suffix(".corrupt").unlink(missing_ok=True)

    @contextmanager
    def locked(self, name: str) -> Generator[None]:
        """Let no other process compute what goes by this name. A StoreError says that the store cannot be written."""
        lock = FileLock(self.path / f"{sha256_of(name)[:32]}.lock")  # Windows makes no file con.lock, nor one with a ?
        with self._writing():
            leave_out(self.path)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the store {self.path} cannot be written ({error}), and not all that is asked for is stored there; "
                "make it a folder with room that you may write to, or name another with --saeprobe-store"
            ) from error

    def _file(self, part: Part) -> Path:
        return self.path / part.kind.version.replace(" ", "-") / part.identity.fingerprint[:32] / f"{part.name}.parquet"

    def _read(self, part: Part, make: Callable[[pa.Table], _T], columns: Sequence[str] = ()) -> _T | None:
        """Return what `make` makes of some columns of a part; None where there is no file that can be trusted."""
        file, wanted = self._file(part), [*part.prompts.values()]
        before = file.with_stem(sha256_of(sorted(part.prompts))[:32])  # earlier versions took the keys alone
        for one in filter(Path.exists, (file, before)):
            try:
                table = _table(_bytes_in(one), part, columns)
                texts = [*dict.fromkeys(table.column("text").to_pylist())] if one != file else wanted
                if texts == wanted or {*texts} != {*wanted}:  # else it is whole, and of other batches of these prompts
                    return make(table)
            except FileNotFoundError:  # another process set it aside
                continue
            except DAMAGE as error:
                _set_aside(one, error)
        return None


def _set_aside(file: Path, error: Exception) -> None:
    aside = file.with_suffix(".corrupt")
    try:
        file.replace(aside)
        done = f"it was set aside as {aside.name}"
    except FileNotFoundError:  # another process was faster
        return
    except OSError as refused:
        done = f"it could not be set aside ({refused.strerror})"
    warnings.warn(f"{file} cannot be trusted ({error}); {done} and is computed again", StoreWarning, stacklevel=2)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_of(value: object) -> str:
    """Return the SHA-256 of a value of plain types, as canonical JSON."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def bytes_of(table: pa.Table, part: Part) -> bytes:
    """Make the bytes of a Parquet file; its list columns take less than 8 bytes an active feature together.

    In its metadata stand kind, fingerprint, versions and the file's SHA-256, worked out with zeros in its own place.
    """
    sink, schema = io.BytesIO(), part.kind.schema
    columns = dict(zip(schema.names, schema.types, strict=True))
    lists = {
        f"{name}.list.element": cast(Any, one).value_type for name, one in columns.items() if pa.types.is_list(one)
    }
    strings = [name for name, one in (columns | lists).items() if pa.types.is_string(one)]
    packed = {True: "DELTA_BINARY_PACKED", False: "BYTE_STREAM_SPLIT"}  # integers ascend, floats do not repeat
    encodings = {name: packed[pa.types.is_integer(one)] for name, one in lists.items() if name not in strings}
    # The stubs know neither lists of columns to keep a dictionary of, nor encodings by column.
    with cast(Any, pq).ParquetWriter(
        sink, schema, compression="zstd", use_dictionary=strings, column_encoding=encodings
    ) as writer:
        writer.write_table(table)
        said = {"saeprobe": part.kind.version, "fingerprint": part.identity.fingerprint}
        said[VERSIONS.decode()] = json.dumps(part.identity.versions)
        writer.add_key_value_metadata({**said, "hash": (_MARK + _BLANK).decode()})
    content = sink.getvalue()
    at = content.rindex(_MARK) + len(_MARK)
    return content[:at] + _digests_of(content)[1] + content[at + len(_BLANK) :]


def _bytes_in(file: Path) -> bytes:
    if not file.is_file():  # a pipe would be waited for without end
        raise UntrustedError("it is no regular file")
    with file.open("rb") as stored:
        stored.seek(-len(_END), io.SEEK_END)
        if stored.read() != _END:  # before all of it is read: it may have grown beyond any memory
            raise UntrustedError("it does not end as a Parquet file")
        stored.seek(0)
        return stored.read()


def _digests_of(content: bytes) -> tuple[bytes, bytes]:
    """Return the hash that stands in a file, and the one of its bytes; the first is empty where there is none."""
    at = content.rfind(_MARK) + len(_MARK)
    hashed = hashlib.sha256(memoryview(content)[:at])
    hashed.update(_BLANK)
    hashed.update(memoryview(content)[at + len(_BLANK) :])
    stands = content[at : at + len(_BLANK)] if _MARK in content else b""
    return stands, hashed.hexdigest().encode()


def _table(content: bytes, part: Part, columns: Sequence[str]) -> pa.Table:
    """Read `columns` of a file as it was written, of this kind and subject; without, all but the report's own."""
    kind, (stands, found) = part.kind, _digests_of(content)
    if stands != found:
        raise UntrustedError("the hash of its bytes is not the one that was written into it")
    with pq.ParquetFile(pa.BufferReader(content)) as stored:
        said = stored.metadata.metadata or {}
        wanted = {b"saeprobe": kind.version.encode(), b"fingerprint": part.identity.fingerprint.encode()}
        if {name: said.get(name) for name in wanted} != wanted or not stored.schema_arrow.equals(kind.schema):
            raise UntrustedError(f"it is not of the kind {kind.version!r}, or of another subject")
        evidence = [name for name in kind.schema.names if name not in kind.report_columns]
        return cast(pa.Table, cast(Any, stored).read(columns=columns or evidence, use_threads=False))
