"""Tables of the store: how readings and continuations become Parquet rows, and come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa

from saeprobe.captures import At, Span
from saeprobe.features.continuations import Arm, Continuation
from saeprobe.features.sparse import Token
from saeprobe.prompts import Prompt
from saeprobe.subject.specification import Reading, Want


class UntrustedError(Exception):
    """A file does not hold what this store writes."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of table. `version` is written into each file; another version is another kind, in another folder.

    So files of an earlier version are neither read nor in the way.
    """

    name: str
    version: str
    schema: pa.Schema
    repetitive: tuple[str, ...]
    encodings: Mapping[str, str] = field(default_factory=dict[str, str])


READINGS: Final = Kind(
    name="readings-2",  # 2: with `near`
    version="readings 2",
    schema=pa.schema(
        [
            ("key", pa.string()),
            ("row", pa.int32()),
            ("rows", pa.int32()),
            ("text", pa.string()),
            ("at", pa.string()),
            ("position", pa.int32()),
            ("token", pa.string()),
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("n_tokens", pa.int32()),
            ("indices", pa.list_(pa.int32())),
            ("values", pa.list_(pa.float32())),
            ("near", pa.list_(pa.int32())),
            ("squared_error", pa.float32()),
            ("activation", pa.list_(pa.float32())),
            ("effective_rank", pa.float64()),
        ]
    ),
    repetitive=("key", "text", "at", "token"),
    encodings={
        "indices.list.element": "DELTA_BINARY_PACKED",
        "near.list.element": "DELTA_BINARY_PACKED",
        "values.list.element": "BYTE_STREAM_SPLIT",
        "activation.list.element": "BYTE_STREAM_SPLIT",
    },
)


CONTINUATIONS: Final = Kind(
    name="continuations",
    version="continuations 1",
    schema=pa.schema(
        [
            ("key", pa.string()),
            ("row", pa.int32()),
            ("rows", pa.int32()),
            ("prompt", pa.string()),
            ("arm", pa.string()),
            ("features", pa.list_(pa.int32())),
            ("strength", pa.float64()),
            ("sample", pa.int32()),
            ("text", pa.string()),
            ("log_prob", pa.float64()),
        ]
    ),
    repetitive=("key", "prompt", "arm"),
)


def at_in_words(at: At) -> str:
    """`last`, `all` or `span: Bridge`."""
    return f"span: {at.text}" if isinstance(at, Span) else at


def table_of_readings(batch: Mapping[str, tuple[str, Want, Reading]]) -> pa.Table:
    """One row a token that was read."""
    rows = [
        {
            "key": key,
            "row": row,
            "rows": len(reading.tokens),
            "text": text,
            "at": at_in_words(want.at),
            "position": token.position,
            "token": token.text,
            "start": token.start,
            "end": token.end,
            "n_tokens": reading.n_tokens,
            "indices": reading.indices[row],
            "values": reading.values[row],
            "near": reading.near[row] if reading.near else None,
            "squared_error": float(reading.squared_error[row]),
            "activation": None if reading.activations is None else reading.activations[row],
            "effective_rank": reading.effective_rank,
        }
        for key, (text, want, reading) in batch.items()
        for row, token in enumerate(reading.tokens)
    ]
    return pa.Table.from_pylist(cast("list[dict[str, Any]]", rows), schema=READINGS.schema)


def readings_of(table: pa.Table) -> dict[str, Reading]:
    """The readings of a file, by key.

    Raises:
        UntrustedError: rows of a reading are missing or out of order, or its features are not what an SAE gives.
    """
    columns = _Columns(table)
    indices, values, activation = columns.lists("indices"), columns.lists("values"), columns.lists("activation")
    near = columns.lists("near")
    positions, starts, ends = columns.numbers("position"), columns.numbers("start"), columns.numbers("end")
    n_tokens, errors = columns.numbers("n_tokens"), columns.floats("squared_error")
    tokens, ranks = columns.plain("token"), cast("list[float | None]", columns.plain("effective_rank"))
    positive = bool((columns.flat("values") > 0).all())
    for row, (one, other) in enumerate(zip(indices, values, strict=True)):
        if len(one) != len(other) or not (positive or np.all(other > 0)):
            raise UntrustedError(f"row {row} has {len(one)} indices and {len(other)} values above 0")
    has_activation, has_near = columns.present("activation"), columns.present("near")
    found: dict[str, Reading] = {}
    for key, rows in columns.groups():
        kept, told, rank = has_activation[rows.start], has_near[rows.start], ranks[rows.start]
        found[key] = Reading(
            tokens=tuple(
                Token(position=int(positions[row]), text=str(tokens[row]), start=int(starts[row]), end=int(ends[row]))
                for row in rows
            ),
            n_tokens=int(n_tokens[rows.start]),
            indices=tuple(indices[row] for row in rows),
            values=tuple(values[row] for row in rows),
            squared_error=errors[rows.start : rows.stop],
            activations=np.stack([activation[row] for row in rows]) if kept else None,
            effective_rank=rank,
            near=tuple(near[row] for row in rows) if told else (),
        )
    return found


def table_of_continuations(batch: Mapping[str, list[Continuation]]) -> pa.Table:
    """One row a continuation."""
    rows = [
        {
            "key": key,
            "row": row,
            "rows": len(items),
            "prompt": item.prompt.text,
            "arm": item.arm,
            "features": list(item.features),
            "strength": item.strength,
            "sample": item.sample,
            "text": item.text,
            "log_prob": item.log_prob,
        }
        for key, items in batch.items()
        for row, item in enumerate(items)
    ]
    return pa.Table.from_pylist(rows, schema=CONTINUATIONS.schema)


def continuations_of(table: pa.Table) -> dict[str, list[Continuation]]:
    """The continuations of a file, by key; their prompts know their text only.

    Raises:
        UntrustedError: rows are missing or out of order.
    """
    lines = table.to_pylist()
    return {
        key: [
            Continuation(
                prompt=Prompt(text=line["prompt"], style="", topic="", template=""),
                arm=cast(Arm, line["arm"]),
                features=tuple(line["features"]),
                strength=line["strength"],
                sample=line["sample"],
                text=line["text"],
                log_prob=line["log_prob"],
            )
            for line in lines[rows.start : rows.stop]
        ]
        for key, rows in _Columns(table).groups()
    }


class _Columns:
    """Columns of a table as numpy arrays."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()

    def plain(self, name: str) -> list[object]:
        return cast("list[object]", self._table.column(name).to_pylist())

    def numbers(self, name: str) -> np.ndarray:
        return np.asarray(self._table.column(name).to_numpy(), dtype=np.int64)

    def floats(self, name: str) -> np.ndarray:
        return np.asarray(self._table.column(name).to_numpy(), dtype=np.float32)

    def present(self, name: str) -> list[bool]:
        """Which rows have a value."""
        return cast("list[bool]", self._table.column(name).is_valid().to_pylist())

    def lists(self, name: str) -> list[np.ndarray]:
        """One array a row; empty where the row has none. A view of the column, whatever its length."""
        offsets, values = self._offsets_and_values(name)
        return [values[start:stop] for start, stop in pairwise(offsets.tolist())]

    def flat(self, name: str) -> np.ndarray:
        """The arrays of all rows as one."""
        offsets, values = self._offsets_and_values(name)
        return values[offsets[0] : offsets[-1]]

    def _offsets_and_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        column = self._table.column(name)
        if column.num_chunks == 0:
            return np.zeros(1, dtype=np.int64), np.empty(0)
        chunk = cast(Any, column.chunk(0))
        return chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=False)

    def groups(self) -> Iterator[tuple[str, range]]:
        """Each key and its rows, which must be adjacent, in order and all there."""
        keys, rows, wanted = self.plain("key"), self.numbers("row"), self.numbers("rows")
        seen: set[object] = set()
        start = 0
        while start < len(keys):
            key, count = keys[start], int(wanted[start])
            of_key = range(start, start + count)
            whole = count > 0 and of_key.stop <= len(keys) and all(keys[row] == key for row in of_key)
            if not whole or key in seen or list(rows[of_key.start : of_key.stop]) != list(range(count)):
                raise UntrustedError(f"the rows of {key} are not whole")
            seen.add(key)
            yield str(key), of_key
            start = of_key.stop
