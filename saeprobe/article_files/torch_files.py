"""`.pt` files as data only: a pickle that would run code is refused, never run."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from pathlib import Path

import torch

from saeprobe.article_files.errors import ArticleFileError
from saeprobe.files import written_whole

_ZIP_MAGIC = b"PK\x03\x04"
_DAMAGE = (  # what torch and its restricted unpickler raise on a damaged file, as seen by flipping bytes
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    struct.error,
)


def load_data(path: Path) -> object:
    """The tensors, lists, dicts, strings and numbers in a `.pt` file, tensors mapped from disk rather than read.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: the file is truncated, is no `.pt` file, or refers to code.
    """
    with path.open("rb") as file:
        zipped = file.read(4) == _ZIP_MAGIC
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch comments on pickle protocols; nothing there is for the user
            # mmap is for the zip format of torch >= 1.6 only; the older one is read whole
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except _DAMAGE as error:
        raise ArticleFileError(
            path,
            "it cannot be read (truncated, damaged, or no .pt file)",
            wanted="a file written by torch.save",
            remedy="copy or download it again and compare sizes",
        ) from error


def save_data(path: Path, data: object) -> None:
    """Write `data` as a `.pt` file, whole or not at all."""
    with written_whole(path) as part:
        torch.save(data, part)


def _refusal(path: Path, message: str) -> ArticleFileError:
    """Torch's refusal in one line; its own text tells people to switch the protection off."""
    code = re.search(r"GLOBAL (\S+)", message)
    if code is None:
        found = "it is no .pt file, is damaged, or holds more than plain data"
    else:
        found = f"it refers to the code {code.group(1)!r}; it was refused and not run"
    return ArticleFileError(
        path,
        found,
        wanted="tensors, lists, dicts, strings and numbers only",
        remedy="copy or download it again, or have it saved as plain data by whoever made it",
    )
