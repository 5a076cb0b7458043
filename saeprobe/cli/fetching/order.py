"""Orders: all files that a subject still lacks, fetched several at a time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from tqdm import tqdm

from saeprobe.cli.fetching.cache import Cache
from saeprobe.cli.fetching.transfer import StoppedError, bring
from saeprobe.cli.hub import Hub, RemoteFile, Repository
from saeprobe.cli.terminal import aligned
from saeprobe.subject.files.downloads import Download
from saeprobe.subject.memory import bytes_in_words as words

_AT_ONCE: Final = 4  # a single connection is often slower than the line


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is wanted and what of it is lacking.

    Attributes:
        repositories: all wanted files, by repository.
        lacking: those that are not in the cache, with their repository.
        held: bytes of the lacking ones that an earlier run left.
    """

    repositories: tuple[Repository, ...]
    lacking: tuple[tuple[Repository, RemoteFile], ...]
    held: int

    @classmethod
    def of(cls, hub: Hub, cache: Cache, downloads: Iterable[Download], *, whole: bool) -> Order:
        """Ask the Hub what the downloads mean, and the cache what is here of it.

        Raises:
            RefusedError: a repository cannot be read, or its files would not be handed out.
        """
        repositories = tuple(hub.wanted(download, whole=whole) for download in downloads)
        lacking: list[tuple[Repository, RemoteFile]] = []
        for repository in repositories:
            absent = [file for file in repository.files if not cache.here(repository, file)]
            if absent:
                hub.check_access(repository, absent[0])
            lacking += [(repository, file) for file in absent]
        held = sum(cache.held(repository, file) for repository, file in lacking)
        return cls(repositories=repositories, lacking=tuple(lacking), held=held)

    @property
    def to_come(self) -> int:
        """Bytes."""
        return sum(file.size for _, file in self.lacking) - self.held

    def statement(self, name: str, hub: Hub, cache: Cache) -> str:
        """What is to come, from where and to where, and whether there is room; in lines."""
        wanted = sum(len(repository.files) for repository in self.repositories)
        if not self.lacking:
            return f"{name}: all {wanted} files are in {cache.folder}"
        rows = [[repository.repo, file.name, words(file.size)] for repository, file in self.lacking]
        here = f", {words(self.held)} of that are here from an earlier run" if self.held else ""
        return "\n".join(
            [
                f"{name}: {len(self.lacking)} of {wanted} files are lacking",
                aligned(["repository", "file", "size"], rows, right=[2]),
                f"in all {words(self.to_come + self.held)}{here}",
                f"from {hub.endpoint} into {cache.folder}, whose disk has {words(cache.free_bytes())} free",
            ]
        )

    def carry_out(self, hub: Hub, cache: Cache) -> None:
        """Fetch what is lacking; then let the branches point to what is there.

        A bar on stderr shows the bytes where somebody watches; each file that is whole gets a line on stdout.

        Raises:
            RefusedError: a file cannot be had; those that came, and parts, are kept.
            KeyboardInterrupt: the same.
        """
        stop, one_at_a_time = threading.Event(), threading.Lock()
        bar = tqdm(
            total=self.to_come + self.held,
            initial=self.held,
            unit="B",
            unit_scale=True,
            disable=None,
            file=sys.stderr,
            leave=False,
        )

        def advance(count: int) -> None:
            with one_at_a_time:
                bar.update(count)

        def fetch(repository: Repository, file: RemoteFile) -> None:
            bring(hub, cache, repository, file, advance=advance, stop=stop)
            with one_at_a_time:
                bar.write(f"fetched {repository.repo} {file.name} ({words(file.size)})", file=sys.stdout)

        with bar, ThreadPoolExecutor(_AT_ONCE) as workers:
            running = [workers.submit(fetch, repository, file) for repository, file in self.lacking]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:  # after a failure or Control-C: the others end at their next chunk
                stop.set()
                for one in running:
                    one.cancel()
        failures = [one.exception() for one in running if not one.cancelled()]
        for failure in sorted((one for one in failures if one is not None), key=_is_stop):
            raise failure
        for repository in self.repositories:
            cache.name_commit(repository)


def _is_stop(error: BaseException) -> bool:
    """A stop follows from another file's failure, which is the one to tell of."""
    return isinstance(error, StoppedError)
