"""An archive is a `.pt` file of whoever made it, which is loaded as data alone: no code in it is run."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from saeprobe.files import FileError, bytes_in_words, open_regular

if TYPE_CHECKING:
    import torch

_ZIP_MAGIC: Final = b"PK\x03\x04"
_MOST_PICKLED: Final = 64_000_000  # bytes of the part that says what the tensors are; that of an SAE has a thousand
_MOST_VALUES: Final = 1_000_000  # in all lists and dicts, each counted as often as it is referred to
_DEEPEST: Final = 20  # levels of lists and dicts

DAMAGE: Final = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What zipfile, torch and its restricted unpickler raise on a damaged file, as seen by flipping bytes."""


def load_data(path: Path) -> object:
    """Load the tensors, lists, dicts, strings and numbers of a `.pt` file, tensors mapped from disk rather than read.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is truncated, is no `.pt` file, refers to code, or unfolds to more than it holds.
    """
    import torch

    with open_regular(path) as file:
        zipped = file.read(4) == _ZIP_MAGIC
    remedy = "copy or download it again, or have it saved as plain data by whoever made it"
    try:
        if zipped:
            check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch comments on pickle protocols; nothing there is for the user
            # mmap is for the zip format of torch >= 1.6 only; the older one is read whole
            data: object = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except FileError:
        raise
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # torch's own text asks people to switch the protection off
        found = "it is no .pt file, is damaged, or holds more than plain data"
        if code is not None:
            found = f"it refers to the code {code.group(1)!r}; it was refused and not run"
        raise FileError(path, found, wanted="tensors, lists, dicts, strings and numbers only", remedy=remedy) from error
    except DAMAGE as error:
        found = "it cannot be read (truncated, damaged, or no .pt file)"
        remedy = "copy or download it again and compare sizes"
        raise FileError(path, found, wanted="a file written by torch.save", remedy=remedy) from error
    _check_unfolded(path, data)
    return data


def check_archive(path: Path) -> None:
    """Refuse a zip file in which torch.save would not have written: one that unfolds to more than it holds.

    Raises:
        FileError: a part is compressed, or the part that is no tensor is too large.
        BadZipFile: it is no zip file.
    """
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.compress_type != zipfile.ZIP_STORED:
                found, wanted = f"its part {part.filename!r} is compressed", "a file written by torch.save"
            elif part.filename.endswith("data.pkl") and part.file_size > _MOST_PICKLED:
                found = f"its part {part.filename!r} has {bytes_in_words(part.file_size)}"
                wanted = f"at most {bytes_in_words(_MOST_PICKLED)} beside the tensors"
            else:
                continue
            raise FileError(path, found, wanted=wanted)


def _check_unfolded(path: Path, data: object) -> None:
    """Refuse lists that hold themselves or one another many times, and tensors that claim more than is stored."""
    level: list[object] = [data]
    for _ in range(_DEEPEST):
        for one in level:
            tensor = cast("torch.Tensor", one)
            if getattr(one, "is_nested", False):
                raise FileError(path, "it holds a nested tensor", wanted="tensors of one shape")
            if hasattr(one, "untyped_storage") and str(tensor.layout) == "torch.strided":
                claimed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
                if claimed > held:
                    found = f"a tensor {list(tensor.shape)} claims {bytes_in_words(claimed)} and has {held:,} bytes"
                    raise FileError(path, found, wanted="tensors whose numbers are all in the file")
        inner = (
            chain.from_iterable(cast("dict[Any, Any]", one).items())
            if isinstance(one, dict)
            else cast("list[Any]", one)
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
