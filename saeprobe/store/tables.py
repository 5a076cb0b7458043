"""Tables of the store: how readings and continuations become rows of Parquet, and come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from saeprobe.captures import Arm, Continuation, Span
from saeprobe.captures.steering import Steering
from saeprobe.features import Rows, Token
from saeprobe.prompts import Prompt
from saeprobe.subject.specification import Identity, Reading, Want

_T = TypeVar("_T")
_token: Final = lru_cache(maxsize=1 << 15)(Token)  # one for all draws of a control
_ROUNDING: Final = 1e-6  # by which rounding may take an effective rank past its bounds


class UntrustedError(Exception):
    """A file does not hold what this store writes."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part is what one file holds: a fixed share of a capture, or of a steering experiment."""

    name: str  # the hash of its keys, batch by batch
    identity: Identity = field(compare=False)
    of: Want | Steering = field(compare=False)
    prompts: Mapping[str, str] = field(compare=False)  # the text of each prompt by its key, in the order of the file
    batches: tuple[tuple[str, ...], ...] = field(compare=False)  # the same texts, those together that share a pass

    @property
    def kind(self) -> Kind[Any]:
        """Return the kind of table that its file holds."""
        return READINGS if isinstance(self.of, Want) else CONTINUATIONS


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[_T]):
    """A kind is one sort of table. Files of an earlier version are neither read nor in the way."""

    version: str  # it is written into each file, and their folder is named after it
    schema: pa.Schema
    report_columns: tuple[str, ...] = ()  # only the report shows these; evidence is read without them
    encode: Callable[[Part, Mapping[str, _T]], list[dict[str, Any]]]  # makes rows of what was found, by key
    decode: Callable[[pa.Table, Part], dict[str, _T]]  # makes of a table what was found, or refuses it


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


def seen_of(table: pa.Table, text: str, place: str) -> Seen:
    """Return what the model saw of a prompt, whose first row in a file says so."""
    rows = table.filter(cast(Any, pc).equal(table.column("text"), text)).slice(0, 1).to_pylist()
    _expect("other prompts than its name says", bool(rows))
    rendered, ids, pieces, n_tokens = (rows[0][name] for name in ("rendered", "ids", "pieces", "n_tokens"))
    _expect("a prompt without what the model saw of it", rendered is not None, bool(ids), bool(pieces))
    _expect("other tokens than a prompt has", len(ids) == len(pieces) == n_tokens, min(ids) >= 0)
    return Seen(place=place, prompt=text, rendered=rendered, ids=tuple(ids), pieces=tuple(pieces))


def _expect(what: str, *conditions: object) -> None:
    """Refuse a file that holds `what`, unless each condition is true, an array everywhere."""
    if not all(np.all(cast(Any, one)) for one in conditions):
        raise UntrustedError(f"it holds {what}")


def _place(part: Part) -> str:
    """Name the tokens that are read: `last`, `all` or `span: Bridge`."""
    at = cast(Want, part.of).at
    return f"span: {at.text}" if isinstance(at, Span) else at


def _rows_of_readings(part: Part, readings: Mapping[str, Reading]) -> list[dict[str, Any]]:
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
            # Once a prompt, not once a token: on its first row.
            "ids": None if row else reading.ids,
            "rendered": None if row else reading.rendered,
            "pieces": None if row else reading.pieces,
            "indices": reading.indices[row] if reading.indices else None,
            "values": reading.values[row] if reading.values else None,
            "near": reading.near[row] if reading.near else None,
            "squared_error": None if reading.squared_error is None else float(reading.squared_error[row]),
            "activation": None if reading.activations is None else reading.activations[row],
            "effective_rank": reading.effective_rank,
        }
        for key, text in part.prompts.items()
        for reading in [readings[key]]
        for row, token in enumerate(reading.tokens)
    ]


def _readings_of(table: pa.Table, part: Part) -> dict[str, Reading]:
    """Return the readings of a file, by key; their arrays are views of its columns."""
    columns, of, keep, at = _Columns(table), part.identity, cast(Want, part.of).keep, cast(Want, part.of).at
    groups, encoded = columns.groups(part), "features" in keep
    _expect("readings at other tokens than its name says", columns.words("at")[1] == [_place(part)])
    indices_there, values_there, near_there = (columns.there(name) for name in ("indices", "values", "near"))
    _expect("no features, or some that its name says nothing of", indices_there == encoded, values_there == encoded)
    (index_at, indices), (value_at, values) = columns.lists("indices"), columns.lists("values")
    _expect("a row with not as many values as indices", np.array_equal(index_at, value_at))
    _expect("a value that is not finite or not above 0", np.isfinite(values), values > 0)
    (near_at, near), (activation_at, activation) = columns.lists("near"), columns.lists("activation")
    for rows in (Rows(index_at, indices), Rows(near_at, near)):
        _expect("features that are no ascending numbers of this SAE", rows.ascend(below=of.d_sae))
    width = of.d_in if "activations" in keep else 0
    _expect("activations that are not of this model", np.diff(activation_at) == width, np.isfinite(activation))
    errors, ranks = (columns.plain(name, everywhere=False) for name in ("squared_error", "effective_rank"))
    error_there, rank_there = (columns.there(name) for name in ("squared_error", "effective_rank"))
    _expect("no features, and what goes with some", encoded or not (near_there.any() or error_there.any()))
    _expect("an error that is not finite or below 0", ~error_there | (np.isfinite(errors) & (errors >= 0)))
    _expect("more or less of one row than of another", near_there == near_there[0], error_there == error_there[0])
    position, start, end, n_tokens = (columns.plain(name) for name in ("position", "start", "end", "n_tokens"))
    counts = [stop - first for _, first, stop in groups]
    length, begin = (np.repeat(one, counts) for one in ([*map(len, part.prompts.values())], [one[1] for one in groups]))
    in_text = ((start == -1) & (end == -1)) | ((start >= 0) & (start <= end) & (end <= length))
    _expect("a token outside its prompt", in_text, position >= 0, position < n_tokens)
    in_range = (ranks >= 1 - _ROUNDING) & (ranks <= np.minimum(n_tokens, of.d_in) * (1 + _ROUNDING))
    _expect("a rank that no such prompt has", rank_there == ("effective_rank" in keep), ~rank_there | in_range)
    same = (n_tokens == n_tokens[begin]) & (~rank_there | (ranks == ranks[begin]))
    step, later, last = np.diff(position, prepend=0), begin != np.arange(len(begin)), begin != np.append(begin[1:], -1)
    _expect("rows of several readings under one key", same, ~later | (step == 1 if at == "all" else step > 0))
    _expect("another token as the last", isinstance(at, Span) or position[last] == n_tokens[last] - 1)
    fields = zip(position.tolist(), columns.texts("token"), start.tolist(), end.tolist(), strict=True)
    tokens = [_token(position=number, text=text, start=a, end=b) for number, text, a, b in fields]
    return {
        key: Reading(
            tokens=tuple(tokens[first:stop]),
            n_tokens=int(n_tokens[first]),
            indices=Rows(index_at[first : stop + 1], indices) if encoded else (),
            values=Rows(value_at[first : stop + 1], values) if encoded else (),
            squared_error=errors[first:stop] if error_there[0] else None,
            activations=activation[activation_at[first] : activation_at[stop]].reshape(-1, width) if width else None,
            effective_rank=float(ranks[first]) if rank_there[first] else None,
            near=Rows(near_at[first : stop + 1], near) if near_there[0] else (),
        )
        for key, first, stop in groups
    }


def _rows_of_continuations(part: Part, continuations: Mapping[str, list[Continuation]]) -> list[dict[str, Any]]:
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
    groups = columns.groups(part)
    score, strength, sample = (columns.plain(name) for name in ("log_prob", "strength", "sample"))
    feature_at, features = columns.lists("features")
    _expect("a mean log-probability that is not finite or above 0", np.isfinite(score), score <= 0)
    _expect("features that this SAE has not", features >= 0, features < part.identity.d_sae)
    arms, written = columns.texts("arm"), columns.texts("continuation")
    items = [
        Continuation(
            prompt=Prompt(text=text, style="", topic="", template=""),
            arm=cast(Arm, arms[row]),
            features=tuple(features[feature_at[row] : feature_at[row + 1]].tolist()),
            strength=float(strength[row]),
            sample=int(sample[row]),
            text=written[row],
            log_prob=float(score[row]),
        )
        for row, text in enumerate(columns.texts("text"))
    ]
    found = tuple((one.arm, one.strength, one.sample) for one in items)
    _expect("other arms than those of its experiment", found == steering.rows * len(groups))
    kept = {"unsteered": [()], "rebuilt": [()], "steered": [steering.features]}
    _expect(
        "other features than those of its experiment",
        [one.features in kept.get(one.arm, [one.features]) for one in items],
        [len(one.features) == len(steering.features) for one in items if one.arm == "random"],
    )
    return {key: items[first:stop] for key, first, stop in groups}


class _Columns:
    """It gives the columns of a table as Python lists and numpy arrays."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()

    def plain(self, name: str, *, everywhere: bool = True) -> np.ndarray:
        """Return numbers; where there is none stands NaN, or the file is refused."""
        _expect(f"a row without {name}", not everywhere or self.there(name))
        return np.asarray(self._table.column(name).to_numpy())

    def texts(self, name: str) -> list[str]:
        """Return texts, none of which may be absent."""
        _expect(f"a row without {name}", self.there(name))
        return cast("list[str]", self._table.column(name).to_pylist())

    def words(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return texts that repeat, none of which may be absent: for each row a number, and the text of each number."""
        _expect(f"a row without {name}", self.there(name))
        coded = cast(Any, self._table.column(name).combine_chunks()).dictionary_encode()
        return np.asarray(coded.indices), coded.dictionary.to_pylist()

    def there(self, name: str) -> np.ndarray:
        """Return for each row whether it has a value."""
        column = self._table.column(name)
        if column.null_count in (0, len(column)):  # of most columns, and quickly said
            return np.full(len(column), column.null_count == 0)
        return np.asarray(column.is_valid().to_numpy(), dtype=bool)

    def lists(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return where the list of each row begins, with the end of the last, and the values of all rows as one."""
        chunk = cast(Any, self._table.column(name).chunk(0))
        _expect(f"a number that is absent in {name}", chunk.values.null_count == 0)
        return chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=False)

    def groups(self, part: Part) -> list[tuple[str, int, int]]:
        """Return each key, its first row and the one after its last: those of the part, in order, with its texts."""
        row, rows = self.plain("row"), self.plain("rows")
        starts = np.flatnonzero(row == 0)
        counts = np.diff(starts, append=len(row))
        _expect("not all rows of a key, adjacent and in order", counts.sum() == len(row))
        ordered = row == np.arange(len(row)) - np.repeat(starts, counts)
        _expect("not all rows of a key, adjacent and in order", ordered, rows == np.repeat(counts, counts))
        _expect("more or fewer prompts than its name says", len(counts) == len(part.prompts))
        for name, wanted in (("key", part.prompts.keys()), ("text", part.prompts.values())):
            codes, words = self.words(name)
            alike = [words[code] for code in codes[starts]] == list(wanted)
            _expect("other prompts than its name says", alike, codes == np.repeat(codes[starts], counts))
        return list(zip(part.prompts, starts.tolist(), (starts + counts).tolist(), strict=True))


_INT, _FLOAT, _TEXT = pa.int32(), pa.float32(), pa.string()
_PROMPT: Final = [("key", _TEXT), ("row", _INT), ("rows", _INT), ("text", _TEXT)]
"""Each row of either kind begins with these: its prompt, and its number among so many rows of that prompt."""
_TOKEN: Final = [("position", _INT), ("token", _TEXT), ("start", _INT), ("end", _INT), ("n_tokens", _INT)]
_SEEN: Final = [("ids", pa.list_(_INT)), ("rendered", _TEXT), ("pieces", pa.list_(_TEXT))]
_FEATURES: Final = [("indices", pa.list_(_INT)), ("values", pa.list_(_FLOAT)), ("near", pa.list_(_INT))]
_STREAM: Final = [("squared_error", _FLOAT), ("activation", pa.list_(_FLOAT)), ("effective_rank", pa.float64())]
_ARM: Final = [("arm", _TEXT), ("features", pa.list_(_INT)), ("strength", pa.float64()), ("sample", _INT)]

READINGS: Final[Kind[Reading]] = Kind(
    version="readings 3",  # 2: with `near`; 3: a file a part, with a hash of all of it and what the model saw
    schema=pa.schema([*_PROMPT, ("at", _TEXT), *_TOKEN, *_SEEN, *_FEATURES, *_STREAM]),
    report_columns=tuple(name for name, _ in _SEEN),
    encode=_rows_of_readings,
    decode=_readings_of,
)
CONTINUATIONS: Final[Kind[list[Continuation]]] = Kind(
    version="continuations 2",
    schema=pa.schema([*_PROMPT, *_ARM, ("continuation", _TEXT), ("log_prob", pa.float64())]),
    encode=_rows_of_continuations,
    decode=_continuations_of,
)
