"""The one error of this package: a file is not of the shape that was asked for."""

from __future__ import annotations

from pathlib import Path


class ArticleFileError(ValueError):
    """A file is not what it should be.

    Attributes:
        path: the file.
        found: what is wrong in it, with the entry and key.
        wanted: what should have been there.
        remedy: what to do about it; may be empty.
    """

    def __init__(self, path: Path, found: str, *, wanted: str, remedy: str = "") -> None:
        self.path = path
        self.found = found
        self.wanted = wanted
        self.remedy = remedy
        super().__init__(f"{path}: {found}; wanted {wanted}" + (f"; {remedy}" if remedy else ""))
