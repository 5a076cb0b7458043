"""Tables of the store: how readings and continuations become rows of Parquet, and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from saeprobe.captures import Span
from saeprobe.features.continuations import Arm, Continuation
from saeprobe.features.sparse import Token
from saeprobe.prompts import Prompt
from saeprobe.subject.specification import Reading, Want

_T = TypeVar("_T")


class UntrustedError(Exception):
    """A file does not hold what this store writes."""


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[_T]):
    """A kind is one sort of table. `version` is written into each file; another version is another kind and folder.

    So files of an earlier version are neither read nor in the way. `decode` makes of a table what it holds, by key;
    the columns `for_people` stand there for whoever opens the file, and are not read back.
    """

    name: str
    version: str
    schema: pa.Schema
    decode: Callable[[pa.Table], dict[str, _T]]
    for_people: tuple[str, ...] = ()
    repetitive: tuple[str, ...]
    encodings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def read(self) -> list[str]:
        """Return the columns that are read back."""
        return [name for name in self.schema.names if name not in self.for_people]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a model saw of one prompt is the text in its chat template, and tokens: their ids and what each writes."""

    place: str  # the tokens that were read of it, such as `last token`
    prompt: str
    rendered: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.pieces):
            raise ValueError(f"{len(self.ids)} token ids and {len(self.pieces)} tokens; wanted one each")


def seen_of(table: pa.Table, key: str, place: str) -> Seen | None:
    """Return what the model saw for the reading of a key; None where nobody wrote it down."""
    first = table.filter(cast(Any, pc).equal(table.column("key"), key)).slice(0, 1).to_pylist()
    if not first or not first[0]["ids"]:
        return None
    row = first[0]
    try:
        texts = {"prompt": row["text"], "rendered": row["rendered"]}
        return Seen(place=place, **texts, ids=tuple(row["ids"]), pieces=tuple(row["pieces"]))
    except (TypeError, ValueError) as error:
        raise UntrustedError(f"the tokens of a prompt are incomplete: {error}") from error


def table_of_readings(batch: Mapping[str, tuple[str, Want, Reading]]) -> pa.Table:
    """Make a table with a row for each token that was read; `at` says `last`, `all` or `span: Bridge`."""
    rows = [
        {
            "key": key,
            "row": row,
            "rows": len(reading.tokens),
            "text": text,
            "at": f"span: {want.at.text}" if isinstance(want.at, Span) else want.at,
            "position": token.position,
            "token": token.text,
            "start": token.start,
            "end": token.end,
            "n_tokens": reading.n_tokens,
            # Once a prompt, not once a token: on its first row.
            "ids": None if row else reading.ids,
            "rendered": None if row else reading.rendered,
            "pieces": None if row else reading.pieces,
            "indices": reading.indices[row],
            "values": reading.values[row],
            "near": reading.near[row] if reading.near else None,
            "squared_error": None if reading.squared_error is None else float(reading.squared_error[row]),
            "activation": None if reading.activations is None else reading.activations[row],
            "effective_rank": reading.effective_rank,
        }
        for key, (text, want, reading) in batch.items()
        for row, token in enumerate(reading.tokens)
    ]
    return pa.Table.from_pylist(cast("list[dict[str, Any]]", rows), schema=READINGS.schema)


def _readings_of(table: pa.Table) -> dict[str, Reading]:
    """Return the readings of a file, by key; their arrays are views of its columns."""
    columns = _Columns(table)
    (index_at, indices), (value_at, values) = columns.lists("indices"), columns.lists("values")
    (near_at, near), (activation_at, activation) = columns.lists("near"), columns.lists("activation")
    if index_at != value_at or not (values > 0).all():
        raise UntrustedError("a row has not as many values above 0 as indices")
    has_near, has_activation = columns.present("near"), columns.present("activation")
    has_error = columns.present("squared_error")
    errors, ranks = columns.floats("squared_error"), cast("list[float | None]", columns.plain("effective_rank"))
    n_tokens, rendered, (id_at, ids) = columns.plain("n_tokens"), columns.plain("rendered"), columns.lists("ids")
    tokens = [
        Token(position=position, text=text, start=start, end=end)
        for position, text, start, end in zip(
            *(cast("list[Any]", columns.plain(name)) for name in ("position", "token", "start", "end")), strict=True
        )
    ]
    found: dict[str, Reading] = {}
    for key, first, stop in columns.groups():
        kept = activation[activation_at[first] : activation_at[stop]].reshape(stop - first, -1)
        found[key] = Reading(
            tokens=tuple(tokens[first:stop]),
            n_tokens=cast(int, n_tokens[first]),
            indices=tuple(indices[a:b] for a, b in pairwise(index_at[first : stop + 1])),
            values=tuple(values[a:b] for a, b in pairwise(value_at[first : stop + 1])),
            squared_error=errors[first:stop] if has_error[first] else None,
            activations=kept if has_activation[first] else None,
            effective_rank=ranks[first],
            near=tuple(near[a:b] for a, b in pairwise(near_at[first : stop + 1])) if has_near[first] else (),
            ids=tuple(ids[id_at[first] : id_at[first + 1]].tolist()),
            rendered=cast("str | None", rendered[first]) or "",
        )
    return found


def table_of_continuations(batch: Mapping[str, list[Continuation]]) -> pa.Table:
    """Make a table with a row for each continuation."""
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


def _continuations_of(table: pa.Table) -> dict[str, list[Continuation]]:
    """Return the continuations of a file, by key; their prompts know their text only."""
    items = [
        Continuation(
            prompt=Prompt(text=line["prompt"], style="", topic="", template=""),
            arm=cast(Arm, line["arm"]),
            features=tuple(line["features"]),
            strength=line["strength"],
            sample=line["sample"],
            text=line["text"],
            log_prob=line["log_prob"],
        )
        for line in table.to_pylist()
    ]
    return {key: items[first:stop] for key, first, stop in _Columns(table).groups()}


class _Columns:
    """It gives the columns of a table as lists of Python and arrays of numpy."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()

    def plain(self, name: str) -> list[object]:
        return cast("list[object]", self._table.column(name).to_pylist())

    def floats(self, name: str) -> np.ndarray:
        return np.asarray(self._table.column(name).to_numpy(), dtype=np.float32)

    def present(self, name: str) -> list[bool]:
        """Return for each row whether it has a value."""
        return cast("list[bool]", self._table.column(name).is_valid().to_pylist())

    def lists(self, name: str) -> tuple[list[int], np.ndarray]:
        """Return where the list of each row begins, with the end of the last, and the values of all rows as one."""
        column = self._table.column(name)
        if column.num_chunks == 0:
            return [0], np.empty(0)
        chunk = cast(Any, column.chunk(0))
        return chunk.offsets.to_pylist(), chunk.values.to_numpy(zero_copy_only=False)

    def groups(self) -> Iterator[tuple[str, int, int]]:
        """Give each key, its first row and the one after its last; they must be adjacent, in order and all there."""
        row, rows = (np.asarray(self._table.column(name).to_numpy()) for name in ("row", "rows"))
        keys = np.array(self.plain("key"), dtype=object)
        starts = np.flatnonzero(row == 0)
        counts = np.diff(starts, append=len(row))
        first = keys[starts].tolist()
        whole = (
            counts.sum() == len(row)
            and len(set(first)) == len(first)
            and np.array_equal(row, np.arange(len(row)) - np.repeat(starts, counts))
            and np.array_equal(rows, np.repeat(counts, counts))
            and np.array_equal(keys, np.repeat(keys[starts], counts))
        )
        if not whole:
            raise UntrustedError("the rows of a key are not adjacent, in order and all there")
        yield from zip(first, starts.tolist(), (starts + counts).tolist(), strict=True)


READINGS: Final[Kind[Reading]] = Kind(
    name="readings-3",  # 2: with `near`; 3: with all that the model saw of a prompt
    version="readings 3",
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
            ("ids", pa.list_(pa.int32())),
            ("rendered", pa.string()),
            ("pieces", pa.list_(pa.string())),
            ("indices", pa.list_(pa.int32())),
            ("values", pa.list_(pa.float32())),
            ("near", pa.list_(pa.int32())),
            ("squared_error", pa.float32()),
            ("activation", pa.list_(pa.float32())),
            ("effective_rank", pa.float64()),
        ]
    ),
    decode=_readings_of,
    for_people=("text", "at", "pieces"),
    repetitive=("key", "text", "at", "token", "pieces.list.element"),
    encodings={
        "indices.list.element": "DELTA_BINARY_PACKED",
        "near.list.element": "DELTA_BINARY_PACKED",
        "values.list.element": "BYTE_STREAM_SPLIT",
        "activation.list.element": "BYTE_STREAM_SPLIT",
    },
)


CONTINUATIONS: Final[Kind[list[Continuation]]] = Kind(
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
    decode=_continuations_of,
    repetitive=("key", "prompt", "arm"),
)
