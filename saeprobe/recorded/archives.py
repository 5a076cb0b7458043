"""An archive is a `.pt` file of whoever made it; it is read as data alone, without torch, and no code in it is run."""

from __future__ import annotations

import math
import mmap
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from saeprobe.files import FileError, bytes_in_words, open_regular

_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that torch wrote first
_LOCAL: Final = struct.Struct("<4s22xHH")  # of a file in a zip: its mark, and how long its name and its extra field are
_ZIP_MAGIC: Final = b"PK\x03\x04"
_MOST_PICKLED: Final = 64_000_000  # bytes of the part that says what the tensors are; that of an SAE has a thousand
_MOST_VALUES: Final = 1_000_000  # in all lists and dicts, each counted as often as it is referred to
_DEEPEST: Final = 20  # levels of lists and dicts
_WANTED: Final = "tensors, lists, dicts, strings and numbers only, as torch.save writes them"
_REMEDY: Final = "copy or download it again, or have it saved as plain data by whoever made it"

DAMAGE: Final = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What zipfile, pickletools, numpy and torch raise on a damaged file, as seen by flipping bytes."""

NUMPY: Final[Mapping[str, str]] = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "complex128": "c16", "complex64": "c8",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "bool": "?",
    "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1",
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"), "u1"),
}  # fmt: skip
"""How the dtypes of torch are stored, in numpy's letters; of bfloat16 and of 8 bits it knows the bits alone."""
FLOATS: Final = ("float64", "float32", "float16", "bfloat16")
"""The dtypes of real numbers that `widened` gives."""
_STORAGES: Final[Mapping[str, str]] = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64", "LongStorage": "int64",
    "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "UntypedStorage": "uint8",
}  # fmt: skip
_REBUILD: Final = "torch._utils._rebuild_"
_AXES: Final = 64  # as many as numpy knows


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTensor:
    """A tensor stays on disk; `stored` is mapped from there, in torch's `dtype`, of bfloat16 its bits."""

    dtype: str
    stored: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of its axes."""
        return self.stored.shape


def widened(stored: np.ndarray, dtype: str) -> np.ndarray:
    """Return stored numbers as numpy's own kinds: a bfloat16 is the first half of a float32."""
    return (stored.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else stored


def load_data(path: Path) -> object:
    """Load the tensors, lists, dicts, strings and numbers of a `.pt` file, tensors mapped from disk rather than read.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is truncated, is no `.pt` file, refers to code, or unfolds to more than it holds.
    """
    with open_regular(path) as file:
        if file.read(len(_LEGACY)) == _LEGACY:
            remedy = "load it with torch.load(file, weights_only=True) and write it again with torch.save"
            raise FileError(path, "it is in torch's format of before version 1.6", wanted=_WANTED, remedy=remedy)
        try:
            with zipfile.ZipFile(file) as archive:
                _check_archive(path, archive)
                names = archive.namelist()
                (listed,) = (name for name in names if name.count("/") == 1 and name.endswith("/data.pkl"))
                folder = listed.removesuffix("data.pkl")
                order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"  # since 2.1
                stored = _Stored(
                    path=path,
                    mapped=mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
                    parts={name.removeprefix(f"{folder}data/"): archive.getinfo(name) for name in names},
                    order={b"little": "<", b"big": ">"}[order],
                )
                data = _unpickled(stored, archive.read(listed))
        except FileError:
            raise
        except DAMAGE as error:
            found = "it cannot be read (truncated, damaged, or no .pt file)"
            raise FileError(path, found, wanted=_WANTED, remedy=_REMEDY) from error
    _check_unfolded(path, data)
    return data


def _check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a zip file that torch.save would not have written: one that unfolds to more than it holds."""
    for part in archive.infolist():
        wanted, found = "a file written by torch.save", f"its part {part.filename!r} "
        if part.compress_type != zipfile.ZIP_STORED:
            raise FileError(path, f"{found}is compressed", wanted=wanted)
        if archive.getinfo(part.filename) is not part:
            raise FileError(path, f"{found}is there twice", wanted=wanted)
        if part.filename.endswith("data.pkl") and part.file_size > _MOST_PICKLED:
            wanted = f"at most {bytes_in_words(_MOST_PICKLED)} beside the tensors"
            raise FileError(path, f"{found}has {bytes_in_words(part.file_size)}", wanted=wanted)


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """The numbers of all tensors of a file are mapped, by the names of their parts."""

    path: Path
    mapped: mmap.mmap
    parts: Mapping[str, zipfile.ZipInfo]
    order: str  # `<` or `>`, of the bytes of a number, in numpy's letters

    def storage(self, named: tuple[str, str, str, str, int]) -> tuple[str, memoryview]:
        """Return the dtype and the bytes of a storage; where it lay when it was saved (`cuda:0`) does not matter."""
        word, dtype, key, _, count = named
        part = self.parts[_text(key)]
        mark, *lengths = _LOCAL.unpack_from(self.mapped, part.header_offset)
        begin = part.header_offset + _LOCAL.size + sum(lengths)
        size = _whole(count) * np.dtype(NUMPY[_text(dtype)]).itemsize
        if word != "storage" or mark != _ZIP_MAGIC or size > part.file_size or begin + size > len(self.mapped):
            raise ValueError("a storage lies beyond its file")
        return dtype, memoryview(self.mapped)[begin : begin + size]

    def tensor(
        self,
        storage: tuple[str, memoryview],
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        _grad: object,
        _hooks: object,
        dtype: object = None,
        metadata: object = None,
    ) -> StoredTensor:
        """Stand in for `_rebuild_tensor_v2`, and for `_v3`, which has a dtype where the other one has metadata."""
        of, held = storage
        if isinstance(dtype, str):
            of = dtype
        elif dtype or metadata:
            raise FileError(self.path, "it holds a tensor that is still to be conjugated or negated", wanted=_WANTED)
        kind = np.dtype(self.order + NUMPY[_text(of)])
        claimed = math.prod(map(_whole, shape[:_AXES])) * kind.itemsize
        if claimed > len(held):
            found = f"a tensor {list(shape)} claims {bytes_in_words(claimed)} and has {len(held):,} bytes"
            raise FileError(self.path, found, wanted="tensors whose numbers are all in the file")
        steps = [_whole(stride) * kind.itemsize for stride in strides]
        if not claimed:
            return StoredTensor(dtype=of, stored=np.empty(shape, kind))
        # numpy refuses numbers that lie beyond the bytes
        stored = np.ndarray(shape, kind, buffer=held, offset=_whole(offset) * kind.itemsize, strides=steps)
        return StoredTensor(dtype=of, stored=stored)

    def named(self, name: str) -> object:
        """Return what a global stands for: one of this file's functions, or a word; any other is refused, never run."""
        module, _, last = name.rpartition(".")
        if module in ("torch", "torch.storage") and last in _STORAGES:
            return _STORAGES[last]
        if module == "torch" and last in NUMPY:
            return last
        known: dict[str, object] = {
            "collections.OrderedDict": _ordered,
            **dict.fromkeys((f"{_REBUILD}tensor_v2", f"{_REBUILD}tensor_v3"), self.tensor),
            **dict.fromkeys((f"{_REBUILD}parameter", f"{_REBUILD}parameter_with_state"), _parameter),
            "torch.Size": tuple[object, ...],
            "torch.device": _device,
        }
        if name in known:
            return known[name]
        found = f"it refers to the code {name!r}; it was refused and not run"
        if name.startswith(_REBUILD):  # a sparse or a nested tensor
            found = f"it holds a {name.removeprefix(_REBUILD).replace('_', ' ')}, and only dense ones are read"
        raise FileError(self.path, found, wanted=_WANTED, remedy=_REMEDY)

    def put(self, into: dict[object, object], pairs: list[Any]) -> None:
        """Set items of a dict; a key is one value, as the hash of tuples in tuples goes as deep as they do."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if key is not None and type(key) not in (str, int, float, bool):
                found = f"it holds a dict with a {type(key).__name__} as a key"
                raise FileError(self.path, found, wanted="strings or numbers as keys")
            into[key] = value


def _whole(number: object) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError("no size")
    return number


def _text(value: object) -> str:
    if type(value) is not str:  # the hash and the text of lists in lists go as deep as they do
        raise TypeError("no text")
    return value


def _ordered() -> dict[object, object]:
    return {}


def _parameter(tensor: object, *_: object) -> object:
    return tensor


def _device(kind: object, *index: object) -> str:
    return ":".join([_text(kind), *(str(_whole(one)) for one in index)])


_VALUES: Final = (
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
)
_MADE: Final[Mapping[str, Callable[[], object]]] = {
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple,
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
}  # fmt: skip
_TAKING: Final = {
    "APPEND": 1, "SETITEM": 2, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPENDS": 0, "SETITEMS": 0, "TUPLE": 0,
}  # fmt: skip
"""How many values from the top an opcode takes; 0 stands for all down to the last mark."""


def _unpickled(stored: _Stored, code: bytes) -> object:  # noqa: C901, PLR0912 - a case an opcode
    """Follow a pickle opcode by opcode, as far as it lists data; no class is looked up, and what is called is above."""
    stack: list[Any] = []
    below: list[list[Any]] = []
    memo: dict[object, Any] = {}
    for opcode, argument, _ in pickletools.genops(code):
        name = opcode.name
        if name in _VALUES:
            stack.append(argument)
        elif name in _MADE:
            stack.append(_MADE[name]())
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "MARK":
            below.append(stack)
            stack = []
        elif name in _TAKING:
            count = _TAKING[name]
            items = [stack.pop() for _ in range(count)][::-1] if count else stack
            stack = stack if count else below.pop()
            if "TUPLE" in name:
                stack.append(tuple(items))
            elif "APPEND" in name and type(stack[-1]) is list:
                cast("list[object]", stack[-1]).extend(items)
            elif type(stack[-1]) is dict:
                stored.put(cast("dict[object, object]", stack[-1]), items)
            else:
                raise TypeError(name)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            words = str(argument).split(" ") if name == "GLOBAL" else [stack.pop(), stack.pop()][::-1]
            stack.append(stored.named(".".join(map(_text, words))))
        elif name == "BINPERSID":
            stack.append(stored.storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(function(*arguments))
        elif name == "BUILD" and isinstance(stack[-2], dict):
            stack.pop()  # `_metadata` of a module's state, which names versions of its layers
        elif name == "STOP":
            (data,) = stack
            return data
        elif name not in ("PROTO", "FRAME"):
            raise FileError(stored.path, f"its pickle has the opcode {name}", wanted=_WANTED, remedy=_REMEDY)
    raise EOFError


def _check_unfolded(path: Path, data: object) -> None:
    """Refuse lists that hold themselves or one another many times."""
    level: list[object] = [data]
    for _ in range(_DEEPEST):
        inner = (
            cast("dict[Any, Any]", one).values() if isinstance(one, dict) else cast("list[Any]", one)
            for one in level
            if isinstance(one, dict | list | tuple)
        )
        level = list(islice(chain.from_iterable(inner), _MOST_VALUES))
        if not level:
            return
        if len(level) == _MOST_VALUES:
            break
    wanted = f"at most {_MOST_VALUES:,} values on {_DEEPEST} levels"
    raise FileError(path, "its lists and dicts unfold without an end", wanted=wanted)
