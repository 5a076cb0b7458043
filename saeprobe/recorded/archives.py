"""An archive is a `.pt` file of whoever made it; it is read as data alone, without torch, and no code in it is run."""

from __future__ import annotations

import math
import mmap
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from saeprobe.files import FileError, bytes_in_words, open_regular, shortened
from saeprobe.shapes import NUMPY, STORAGES, StoredTensor

_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that torch wrote first
_LOCAL: Final = struct.Struct("<4s22xHH")  # of a file in a zip: its mark, and how long its name and its extra field are
_ZIP_MAGIC: Final = b"PK\x03\x04"
_MOST_BESIDE: Final = 16_000_000  # bytes of each part beside the tensors; an SAE's, which lists them, has a thousand
_MOST_VALUES: Final = 1_000_000  # in all lists and dicts, each counted as often as it is referred to
_MOST_STEPS: Final = 4 * _MOST_VALUES  # opcodes; the longest list of tensors that they make is of some 60,000
_OF_A_CALL: Final = 10  # steps, as what it makes is larger than its opcode
_LONGEST_KEY: Final = 500  # characters; the keys of dicts in dicts are joined where they are listed
_DEEPEST: Final = 20  # levels of lists and dicts
_WANTED: Final = "tensors, lists, dicts, strings and numbers only, as torch.save writes them"
_REMEDY: Final = "copy or download it again, or have it saved as plain data by whoever made it"

DAMAGE: Final = (  # what zipfile, pickletools, numpy and torch raise on a damaged file, as seen by flipping bytes
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)

_DATA: Final = (dict, list, tuple, str, int, float, type(None), StoredTensor)
_REBUILD: Final = "torch._utils._rebuild_"
_AXES: Final = 64  # as many as numpy knows


class SparingReader(BufferedReader):
    """It refuses to read at once what only an array needs: zipfile reads as much as a directory says of itself."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `BufferedReader` does."""
        if size is not None and size > _MOST_BESIDE:
            raise ValueError("a directory that is too large")
        return super().read(size)


def load_data(path: Path) -> object:
    """Load the tensors, lists, dicts, strings and numbers of a `.pt` file, tensors mapped from disk rather than read.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is truncated, is no `.pt` file, refers to code, or unfolds to more than it holds.
    """
    with SparingReader(open_regular(path).detach()) as file:
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
        wanted, found = "a file written by torch.save", f"its part {shortened(part.filename)} "
        if part.compress_type != zipfile.ZIP_STORED:
            raise FileError(path, f"{found}is compressed", wanted=wanted)
        if archive.getinfo(part.filename) is not part:
            raise FileError(path, f"{found}is there twice", wanted=wanted)
        if part.filename.endswith(("data.pkl", "byteorder")) and part.file_size > _MOST_BESIDE:
            wanted = f"at most {bytes_in_words(_MOST_BESIDE)} beside the tensors"
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
        claimed = math.prod(_sizes(shape)) * kind.itemsize
        if claimed > len(held):
            found = f"a tensor {shortened(list(shape))} claims {bytes_in_words(claimed)} and has {len(held):,} bytes"
            raise FileError(self.path, found, wanted="all numbers in it", remedy="save tensor.contiguous() instead")
        steps = [(size - 1) * step for size, step in zip(shape, _sizes(strides), strict=True)]
        if claimed and (_whole(offset) + sum(steps) + 1) * kind.itemsize > len(held):
            raise ValueError("a tensor lies beyond its storage")  # numpy adds in 64 bits, which may come round
        at, strides = offset * kind.itemsize, tuple(step * kind.itemsize for step in strides)
        stored = np.ndarray(shape, kind, held, at, strides) if claimed else np.empty(shape, kind)
        return StoredTensor(dtype=of, stored=stored)

    def named(self, name: str) -> object:
        """Return what a global stands for: one of this file's functions, or a word; any other is refused, never run."""
        module, _, last = name.rpartition(".")
        if module in ("torch", "torch.storage") and last in STORAGES:
            return STORAGES[last]
        if module == "torch" and last in NUMPY:
            return last
        known: dict[str, Callable[..., object]] = {
            "collections.OrderedDict": _ordered,
            **dict.fromkeys((f"{_REBUILD}tensor_v2", f"{_REBUILD}tensor_v3"), self.tensor),
            **dict.fromkeys((f"{_REBUILD}parameter", f"{_REBUILD}parameter_with_state"), _parameter),
            "torch.Size": _sizes,
            "torch.device": _device,
        }
        if name in known:
            return known[name]
        found = f"it refers to the code {shortened(name)}; it was refused and not run"
        if name.startswith(_REBUILD):  # a sparse or a nested tensor
            found = f"it holds a {name.removeprefix(_REBUILD)[:_AXES].replace('_', ' ')}, and only dense ones are read"
        elif re.fullmatch(r"torch\.(complex|float|q?u?int|bits)\d\w{0,20}", name):
            found = f"it holds numbers of the dtype {last}, which are not read"
        raise FileError(self.path, found, wanted=_WANTED, remedy=_REMEDY)

    def put(self, into: dict[object, object], pairs: list[Any]) -> None:
        """Set items of a dict; a key is one value, as the hash of tuples in tuples goes as deep as they do."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            short = len(key) <= _LONGEST_KEY if type(key) is str else type(key) is not int or abs(key) < 2**31
            if not short or type(key) not in (str, int, float, bool, type(None)):
                what = shortened(key) if isinstance(key, str | int) else f"a {type(key).__name__}"
                wanted = f"strings of up to {_LONGEST_KEY} characters or numbers below 2**31 as keys"
                raise FileError(self.path, f"it holds a dict with {what} as a key", wanted=wanted)
            into[key] = value


def _whole(number: object) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError("no size")
    return number


def _sizes(axes: object) -> tuple[int, ...]:
    if type(axes) is not tuple or len(cast("tuple[object, ...]", axes)) > _AXES:
        raise ValueError("no shape")
    return tuple(map(_whole, cast("tuple[object, ...]", axes)))


def _text(value: object) -> str:
    if type(value) is not str:  # the hash and the text of lists in lists go as deep as they do
        raise TypeError("no text")
    return value


def _ordered() -> dict[object, object]:  # it takes no arguments: `put` has to see each key
    return {}


def _parameter(tensor: object, *_: object) -> object:
    return tensor


def _device(kind: object, *index: object) -> str:
    return ":".join([_text(kind)[:_AXES], *(str(_whole(one)) for one in index)])


_VALUES: Final = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
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
    left = _MOST_STEPS
    for opcode, argument, _ in pickletools.genops(code):
        name = opcode.name
        left -= _OF_A_CALL if name in ("REDUCE", "BINPERSID") else 1
        if left < 0:
            raise FileError(stored.path, "its pickle is too long", wanted=f"at most {_MOST_STEPS:,} opcodes")
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
            stack.append(function(*arguments[:9]))  # a tensor takes 8
        elif name == "BUILD" and isinstance(stack[-2], dict):
            stack.pop()  # `_metadata` of a module's state, which names versions of its layers
        elif name == "STOP":
            (data,) = stack
            return data
        elif name not in ("PROTO", "FRAME"):
            raise FileError(stored.path, f"its pickle has the opcode {name}", wanted=_WANTED, remedy=_REMEDY)
    raise EOFError


def _check_unfolded(path: Path, data: object) -> None:
    """Refuse lists that hold themselves or one another many times, and what is left of an unfinished tensor."""
    level: list[object] = [data]
    for _ in range(_DEEPEST):
        odd = next((one for one in level if not isinstance(one, _DATA)), None)
        if odd is not None:
            raise FileError(path, f"it holds a {type(odd).__name__}", wanted=_WANTED, remedy=_REMEDY)
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
