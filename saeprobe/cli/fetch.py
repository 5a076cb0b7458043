"""`saeprobe fetch`: bring a subject's weights from the Hub into its cache."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from saeprobe.cli.hub import Cache, Hub, RemoteFile, Repository, StoppedError, bring
from saeprobe.cli.terminal import RefusedError, add_command, aligned, project_root
from saeprobe.files import bytes_in_words
from saeprobe.subject.specification import Download

if TYPE_CHECKING:
    from saeprobe.cli.terminal import Commands


_INTERRUPTED = 130


_DESCRIPTION = """\
Bring the weights of a subject from the Hugging Face Hub into its cache, where transformers and sae-lens find them too.
States first which files are lacking, how large they are and how much room the disk has; then fetches them without
asking. Of a model in shards only those are fetched that hold layers up to the SAE's (a third less of Llama-3.3-70B).

A run that ends early loses nothing: the same command goes on where it stopped, in the middle of a file too. What
comes is checked against the digest that the Hub announces.

  HF_ENDPOINT     another Hub, such as https://hf-mirror.com where huggingface.co is out of reach
  HF_TOKEN        your token, for repositories whose licence must be accepted (or log in once: hf auth login)
  HF_HOME         a folder on a larger disk, in place of ~/.cache/huggingface"""


_EPILOG = """\
examples:
  saeprobe fetch gpt2 --dry-run
  HF_ENDPOINT=https://hf-mirror.com saeprobe fetch gpt2
  saeprobe fetch llama70b --whole

exit codes: 0 all is here; 2 it could not be done, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "fetch",
        run,
        summary="bring a subject's weights from the Hub (resumable)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("subject", metavar="NAME", help="a subject, as 'saeprobe subjects' lists them")
    parser.add_argument("--dry-run", action="store_true", help="state what would be fetched, and stop there")
    parser.add_argument("--whole", action="store_true", help="all layers, not only those up to the SAE's: for steering")


def run(arguments: argparse.Namespace) -> int:
    """State what is lacking, then fetch it."""
    from saeprobe.subject.registry import find_subject

    name: str = arguments.subject
    root = project_root()
    subject = find_subject(name, root)
    downloads, absent = subject.downloads(), subject.missing()
    if not downloads:
        if absent is not None:
            raise RefusedError(f"nothing of {name} can be fetched: {absent}")
        sys.stdout.write(f"{name} needs no download: its files are on this machine\n")
        return 0

    from huggingface_hub import constants

    from saeprobe.cli.hub import Cache, Hub, existing

    cache = Cache(folder=Path(constants.HF_HUB_CACHE))
    if absent is None and not arguments.whole:
        sys.stdout.write(f"all that {name} needs is here already, in {cache.folder}\n")
        return 0
    if constants.HF_HUB_OFFLINE:
        raise RefusedError(
            f"{name} is not whole here and HF_HUB_OFFLINE is set: nothing can be fetched; take HF_HUB_OFFLINE out of "
            "the environment and run the command again"
        )
    hub = Hub(endpoint=constants.ENDPOINT)
    order = Order.of(hub, cache, downloads, whole=arguments.whole)
    sys.stdout.write(f"{order.statement(name, hub, cache)}\n")
    sys.stdout.flush()
    free = cache.free_bytes()
    if order.to_come > free:
        raise RefusedError(
            f"{name} needs {bytes_in_words(order.to_come)} more and the disk of {existing(cache.folder)} has "
            f"{bytes_in_words(free)} free; make room there, or put HF_HOME=/a/folder/on/a/larger/disk before the "
            "command"
        )
    if arguments.dry_run:
        return 0
    try:
        order.carry_out(hub, cache)
    except KeyboardInterrupt:
        sys.stderr.write("\nsaeprobe: interrupted; what has come is kept, and the same command goes on from there\n")
        return _INTERRUPTED
    still = find_subject(name, root).missing()
    if still is not None:
        raise RefusedError(f"all files have come, but {name} cannot run yet: {still}")
    sys.stdout.write(f"all that {name} needs is here; next: pytest probes/ -m {name}\n")
    return 0


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
        rows = [[repository.repo, file.name, bytes_in_words(file.size)] for repository, file in self.lacking]
        here = f", {bytes_in_words(self.held)} of that are here from an earlier run" if self.held else ""
        return "\n".join(
            [
                f"{name}: {len(self.lacking)} of {wanted} files are lacking",
                aligned(["repository", "file", "size"], rows, right=[2]),
                f"in all {bytes_in_words(self.to_come + self.held)}{here}",
                f"from {hub.endpoint} into {cache.folder}, whose disk has {bytes_in_words(cache.free_bytes())} free",
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
                bar.write(f"fetched {repository.repo} {file.name} ({bytes_in_words(file.size)})", file=sys.stdout)

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
