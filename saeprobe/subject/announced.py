"""Announced subjects: known by name and protocol, loaded by a later release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from saeprobe.subject import weights
from saeprobe.subject.protocol import Identity, Reader
from saeprobe.subject.specification import SubjectError


@dataclass(frozen=True, kw_only=True)
class AnnouncedSubject:
    """A subject whose claims can be decided from recorded evidence alone as yet.

    `repositories` are what would have to be fetched: name and, where not all of it is needed, the pattern of files.
    `protocol` says in words what sets it apart.
    """

    name: str
    markers: tuple[str, ...]
    wording: str
    summary: str
    repositories: tuple[tuple[str, str | None], ...] = ()
    specimen: bool = False
    default: bool = False

    def missing(self) -> str:
        """Why it cannot run: always something."""
        if not self.repositories:
            return f"{self.name} is decided from recorded evidence only: --saeprobe-evidence DIR"
        lacking = [
            (repo, include)
            for repo, include in self.repositories
            if weights.cached_folder(repo, revision=None, file=include or "config.json") is None
        ]
        later = f"this version of saeprobe cannot load {self.name} yet; recorded evidence can: --saeprobe-evidence DIR"
        if not lacking:
            return f"the weights of {self.name} are here, but {later}"
        commands = [
            weights.download_command(repo, include=() if include is None else (include,)) for repo, include in lacking
        ]
        return f"{weights.absent([repo for repo, _ in lacking], commands)}; {later}"

    def identity(self) -> Identity:
        """None yet.

        Raises:
            SubjectError: always.
        """
        return self._refuse()

    def open(self) -> Reader:
        """Not yet.

        Raises:
            SubjectError: always.
        """
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise SubjectError(f"{self.name} cannot run here: {self.missing()}")
