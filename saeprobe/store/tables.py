"""Tables of the store: how readings and continuations become rows of Parquet, and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
import pyarrow as pa

from saeprobe.captures import Span, Steering
from saeprobe.features.continuations import Arm, Continuation
from saeprobe.features.sparse import Token
from saeprobe.prompts import Prompt
from saeprobe.subject.specification import Identity, Reading, Want

_T = TypeVar("_T")


class UntrustedError(Exception):
    """A file does not hold what this store writes."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part is what one file holds: a fixed share of a capture, or of a steering experiment.

    Attributes:
        name: the hash of its keys.
        identity: the subject.
        of: what is wanted of each prompt.
        prompts: the text of each prompt by its key, in the order of the file.
    """

    name: str
    identity: Identity = field(compare=False)
    of: Want | Steering = field(compare=False)
    prompts: Mapping[str, str] = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[_T]):
    """A kind is one sort of table. `version` is written into each file; another version is another kind and folder.

    So files of an earlier version are neither read nor in the way. `encode` makes rows of what was found, by key, and
    `decode` makes of a table again what it holds.
    """

    name: str
    version: str
    schema: pa.Schema
    encode: Callable[[Part, Mapping[str, _T]], list[dict[str, Any]]]
    decode: Callable[[pa.Table, Part], dict[str, _T]]
    repetitive: tuple[str, ...]
    encodings: Mapping[str, str] = field(default_factory=dict[str, str])


def _trust(*, wholly: bool, what: str) -> None:
    if not wholly:
        raise UntrustedError(f"it holds {what}")


def _place(part: Part) -> str:
    """Name the tokens that are read: `last`, `all` or `span: Bridge`."""
    at = cast(Want, part.of).at
    return f"span: {at.text}" if isinstance(at, Span) else at


def _rows_of_readings(part: Part, readings: Mapping[str, Reading]) -> list[dict[str, Any]]:
    """Make a row for each token that was read."""
    return [
        {
            "key": key,
            "row": row,
            "rows": len(reading.tokens),
            "text": text,
            "at": _place(part),
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
        for key, text in part.prompts.items()
        for reading in [readings[key]]
        for row, token in enumerate(reading.tokens)
    ]


def _readings_of(table: pa.Table, part: Part) -> dict[str, Reading]:
    """Return the readings of a file, by key; their arrays are views of its columns."""
    columns, of, want = _Columns(table), part.identity, cast(Want, part.of)
    groups = list(columns.groups(part))
    (index_at, indices), (value_at, values) = columns.lists("indices"), columns.lists("values")
    (near_at, near), (activation_at, activation) = columns.lists("near"), columns.lists("activation")
    _trust(wholly=np.array_equal(index_at, value_at), what="a row with not as many values as indices")
    _trust(wholly=bool((np.isfinite(values) & (values > 0)).all()), what="a value that is not finite or not above 0")
    _trust(wholly=_ascending(index_at, indices, below=of.d_sae), what="feature numbers that no row of this SAE has")
    _trust(wholly=_ascending(near_at, near, below=of.d_sae), what="feature numbers near a threshold out of range")
    errors, ranks = columns.plain("squared_error"), columns.maybe("effective_rank")
    _trust(wholly=bool((np.isfinite(errors) & (errors >= 0)).all()), what="an error that is not finite or negative")
    positions, starts, ends, n_tokens = (columns.plain(name) for name in ("position", "start", "end", "n_tokens"))
    lengths = np.array([len(text) for text in part.prompts.values()])
    of_row = np.repeat(lengths, [stop - first for _, first, stop in groups])
    in_text = ((starts == -1) & (ends == -1)) | ((starts >= 0) & (starts <= ends) & (ends <= of_row))
    _trust(wholly=bool((in_text & (positions >= 0) & (positions < n_tokens)).all()), what="a token outside its prompt")
    has_near, has_activation = columns.present("near"), columns.present("activation")
    wide = np.diff(activation_at) == (of.d_in if "activations" in want.keep else 0)
    _trust(wholly=bool(wide.all() and np.isfinite(activation).all()), what="activations that are not of this model")
    _trust(
        wholly=bool((has_activation == ("activations" in want.keep)).all())
        and bool(((np.isfinite(ranks) & (ranks > 0)) == ("effective_rank" in want.keep)).all()),
        what="more or less than was to be kept",
    )
    texts = columns.texts("token")
    tokens = [
        Token(position=position, text=text, start=start, end=end)
        for position, text, start, end in zip(positions.tolist(), texts, starts.tolist(), ends.tolist(), strict=True)
    ]
    found: dict[str, Reading] = {}
    for key, first, stop in groups:
        alike = (_same(one[first:stop]) for one in (n_tokens, has_near, ranks))
        _trust(wholly=all(alike) and bool((np.diff(positions[first:stop]) > 0).all()), what="rows of several readings")
        kept = activation[activation_at[first] : activation_at[stop]].reshape(stop - first, -1)
        found[key] = Reading(
            tokens=tuple(tokens[first:stop]),
            n_tokens=int(n_tokens[first]),
            indices=tuple(indices[a:b] for a, b in pairwise(index_at[first : stop + 1])),
            values=tuple(values[a:b] for a, b in pairwise(value_at[first : stop + 1])),
            squared_error=errors[first:stop],
            activations=kept if has_activation[first] else None,
            effective_rank=float(ranks[first]) if "effective_rank" in want.keep else None,
            near=tuple(near[a:b] for a, b in pairwise(near_at[first : stop + 1])) if has_near[first] else (),
        )
    return found


def _same(values: np.ndarray) -> bool:
    return bool((values == values[0]).all() or np.isnan(values).all())


def _ascending(at: list[int], numbers: np.ndarray, *, below: int) -> bool:
    """Say whether each row's numbers ascend and lie in [0, below)."""
    if not len(numbers):
        return True
    steps = np.diff(numbers) > 0
    begins = np.array([start for start in at[1:-1] if 0 < start < len(numbers)], dtype=np.int64)
    steps[begins - 1] = True
    return bool(steps.all()) and int(numbers.min()) >= 0 and int(numbers.max()) < below


def _rows_of_continuations(part: Part, continuations: Mapping[str, list[Continuation]]) -> list[dict[str, Any]]:
    """Make a row for each continuation."""
    return [
        {
            "key": key,
            "row": row,
            "rows": len(continuations[key]),
            "text": text,
            "arm": item.arm,
            "features": list(item.features),
            "strength": item.strength,
            "sample": item.sample,
            "continuation": item.text,
            "log_prob": item.log_prob,
        }
        for key, text in part.prompts.items()
        for row, item in enumerate(continuations[key])
    ]


def _continuations_of(table: pa.Table, part: Part) -> dict[str, list[Continuation]]:
    """Return the continuations of a file, by key; their prompts know their text only."""
    columns, steering = _Columns(table), cast(Steering, part.of)
    groups = list(columns.groups(part))
    scores, strengths, samples = (columns.plain(name) for name in ("log_prob", "strength", "sample"))
    feature_at, features = columns.lists("features")
    _trust(wholly=bool((np.isfinite(scores) & (scores <= 0)).all()), what="a log-probability above 0 or not finite")
    in_range = not len(features) or (features.min() >= 0 and features.max() < part.identity.d_sae)
    _trust(wholly=bool(in_range), what="feature numbers that this SAE has not")
    sets = [tuple(features[a:b].tolist()) for a, b in pairwise(feature_at)]
    found: dict[str, list[Continuation]] = {}
    arms, written = columns.texts("arm"), columns.texts("continuation")
    for key, first, stop in groups:
        found[key] = [
            Continuation(
                prompt=Prompt(text=part.prompts[key], style="", topic="", template=""),
                arm=cast(Arm, arms[row]),
                features=sets[row],
                strength=float(strengths[row]),
                sample=int(samples[row]),
                text=written[row],
                log_prob=float(scores[row]),
            )
            for row in range(first, stop)
        ]
        arm_of = [(one.arm, one.strength, one.sample) for one in found[key]]
        size = {"unsteered": 0, "steered": len(steering.features), "random": len(steering.features)}
        _trust(
            wholly=arm_of == list(_arms_of(steering))
            and all(len(one.features) == size[one.arm] for one in found[key])
            and all(one.features == steering.features for one in found[key] if one.arm == "steered"),
            what="other arms than those of its experiment",
        )
    return found


def _arms_of(steering: Steering) -> Iterator[tuple[str, float, int]]:
    """Give arm, strength and sample of each continuation of a prompt, in order."""
    arms = [("unsteered", 0.0)]
    for strength in steering.strengths:
        arms += [("steered", strength), *([("random", strength)] * steering.random_features)]
    for arm, strength in arms:
        yield from ((arm, strength, sample) for sample in range(steering.samples))


class _Columns:
    """It gives the columns of a table as lists of Python and arrays of numpy."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()

    def plain(self, name: str) -> np.ndarray:
        """Return numbers, none of which may be absent."""
        column = self._table.column(name)
        _trust(wholly=column.null_count == 0, what=f"a row without {name}")
        return np.asarray(column.to_numpy())

    def maybe(self, name: str) -> np.ndarray:
        """Return numbers, NaN where there is none."""
        return np.asarray(self._table.column(name).to_numpy(), dtype=np.float64)

    def texts(self, name: str) -> list[str]:
        """Return texts, none of which may be absent."""
        column = self._table.column(name)
        _trust(wholly=column.null_count == 0, what=f"a row without {name}")
        return cast("list[str]", column.to_pylist())

    def present(self, name: str) -> np.ndarray:
        """Return for each row whether it has a value."""
        return np.asarray(self._table.column(name).is_valid().to_numpy(), dtype=bool)

    def lists(self, name: str) -> tuple[list[int], np.ndarray]:
        """Return where the list of each row begins, with the end of the last, and the values of all rows as one."""
        column = self._table.column(name)
        if column.num_chunks == 0:
            return [0], np.empty(0)
        chunk = cast(Any, column.chunk(0))
        _trust(wholly=chunk.values.null_count == 0, what=f"a number that is absent in {name}")
        return chunk.offsets.to_pylist(), chunk.values.to_numpy(zero_copy_only=False)

    def groups(self, part: Part) -> Iterator[tuple[str, int, int]]:
        """Give each key, its first row and the one after its last: those of the part, in order and with its texts."""
        row, rows = self.plain("row"), self.plain("rows")
        starts = np.flatnonzero(row == 0)
        counts = np.diff(starts, append=len(row))
        whole = (
            counts.sum() == len(row)
            and np.array_equal(row, np.arange(len(row)) - np.repeat(starts, counts))
            and np.array_equal(rows, np.repeat(counts, counts))
        )
        _trust(wholly=bool(whole), what="rows of a key that are not adjacent, in order and all there")
        for name, wanted in (("key", part.prompts.keys()), ("text", part.prompts.values())):
            told = np.repeat(np.array(list(wanted), dtype=object), counts) if len(wanted) == len(counts) else None
            _trust(
                wholly=told is not None and self.texts(name) == told.tolist(), what="other prompts than its name says"
            )
        if isinstance(part.of, Want):
            _trust(wholly=set(self.texts("at")) == {_place(part)}, what="readings at other tokens than its name says")
        yield from zip(part.prompts, starts.tolist(), (starts + counts).tolist(), strict=True)


READINGS: Final[Kind[Reading]] = Kind(
    name="readings-3",  # 2: with `near`; 3: a file a part, with a hash of all of it
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
            ("indices", pa.list_(pa.int32())),
            ("values", pa.list_(pa.float32())),
            ("near", pa.list_(pa.int32())),
            ("squared_error", pa.float32()),
            ("activation", pa.list_(pa.float32())),
            ("effective_rank", pa.float64()),
        ]
    ),
    encode=_rows_of_readings,
    decode=_readings_of,
    repetitive=("key", "text", "at", "token"),
    encodings={
        "indices.list.element": "DELTA_BINARY_PACKED",
        "near.list.element": "DELTA_BINARY_PACKED",
        "values.list.element": "BYTE_STREAM_SPLIT",
        "activation.list.element": "BYTE_STREAM_SPLIT",
    },
)


CONTINUATIONS: Final[Kind[list[Continuation]]] = Kind(
    name="continuations-2",
    version="continuations 2",
    schema=pa.schema(
        [
            ("key", pa.string()),
            ("row", pa.int32()),
            ("rows", pa.int32()),
            ("text", pa.string()),
            ("arm", pa.string()),
            ("features", pa.list_(pa.int32())),
            ("strength", pa.float64()),
            ("sample", pa.int32()),
            ("continuation", pa.string()),
            ("log_prob", pa.float64()),
        ]
    ),
    encode=_rows_of_continuations,
    decode=_continuations_of,
    repetitive=("key", "text", "arm"),
)
