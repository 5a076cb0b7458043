"""`saeprobe fetch` brings a subject's weights from the Hub into its cache, and goes on where an earlier run stopped.

huggingface_hub begins a file anew that an earlier process left half; a file of many gigabytes on a slow line is resumed
here, under the names and locks that huggingface_hub uses.
"""

import argparse
import errno
import hashlib
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from filelock import FileLock
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HTTPError  # pyright: ignore[reportPrivateImportUsage]
from huggingface_hub.utils import get_session, hf_raise_for_status
from tqdm import tqdm

from saeprobe.cli import hub
from saeprobe.cli.hub import RemoteFile
from saeprobe.cli.terminal import RefusedError, project_root, say, table
from saeprobe.files import bytes_in_words, visible
from saeprobe.subject.registry import find_subject

PAUSE = 1.0  # seconds before another attempt on a line that broke; doubled for each that brought nothing
_AT_ONCE: Final = 4  # a single connection is often slower than the line
_ATTEMPTS: Final = 5  # in a row without a byte
_INTERRUPTED: Final = 130


class _StoppedError(Exception):
    """Another file failed, or the run was interrupted; what has come is kept."""


def run(arguments: argparse.Namespace) -> int:
    """State what is lacking, then fetch it."""
    name: str = arguments.subject
    root = project_root()
    subject = find_subject(name, root)
    downloads, absent = subject.downloads(), subject.missing()
    if not downloads:
        if absent is not None:
            raise RefusedError(f"nothing of {name} can be fetched: {absent}")
        say(f"{name} needs no download: its files are on this machine")
        return 0
    if absent is None and not arguments.whole:
        say(f"all that {name} needs is here already, in {hub.cache_folder()}")
        return 0
    if constants.HF_HUB_OFFLINE:
        remedy = "take HF_HUB_OFFLINE out of the environment and run the command again"
        raise RefusedError(f"{name} is not whole here and HF_HUB_OFFLINE is set: nothing can be fetched; {remedy}")
    wanted = [file for download in downloads for file in hub.wanted_files(download, whole=arguments.whole)]
    lacking = _state(name, wanted)
    if arguments.dry_run:
        return 0
    try:
        _fetch(lacking)
    except KeyboardInterrupt:
        sys.stderr.write("\nsaeprobe: interrupted; what has come is kept, and the same command goes on from there\n")
        return _INTERRUPTED
    for file in {(file.repo, file.revision): file for file in wanted}.values():
        file.name_commit()
    still = find_subject(name, root).missing()
    if still is not None:
        raise RefusedError(f"all files have come, but {name} cannot run yet: {still}")
    say(f"all that {name} needs is here; next: pytest probes/ -m {name}")
    return 0


def _state(name: str, wanted: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Print what is to come, from where and to where; return the files that are lacking, if there is room for them."""
    lacking = [file for file in wanted if not file.pointer.exists()]
    for file in {file.repo: file for file in reversed(lacking)}.values():
        with hub.explained(file.repo, file.revision):  # the list of a gated repository is open to all, its files not
            hub.ask_about(file.url)
    total, held, free = sum(file.size for file in lacking), sum(file.held_bytes for file in lacking), hub.free_bytes()
    if not lacking:
        lines = [f"{name}: all {len(wanted)} files are in {hub.cache_folder()}"]
    else:
        rows = [[file.repo, file.name, bytes_in_words(file.size)] for file in lacking]
        here = f", {bytes_in_words(held)} of that are here from an earlier run" if held else ""
        lines = [
            f"{name}: {len(lacking)} of {len(wanted)} files are lacking",
            table(["repository", "file", "size"], rows, right=[2]),
            f"in all {bytes_in_words(total)}{here}",
            f"from {constants.ENDPOINT} into {hub.cache_folder()}, whose disk has {bytes_in_words(free)} free",
        ]
    say("\n".join(lines))
    sys.stdout.flush()
    if total - held > free:
        found = f"the disk of {hub.existing_folder()} has {bytes_in_words(free)} free"
        remedy = f"make room there, or {hub.setting('the command', 'HF_HOME', 'A_FOLDER_ON_A_LARGER_DISK')}"
        raise RefusedError(f"{name} needs {bytes_in_words(total - held)} more and {found}; {remedy}")
    return lacking


def _fetch(lacking: Sequence[RemoteFile]) -> None:
    """Fetch files, several at once; those that came, and parts of the others, are kept also where one fails.

    A bar on stderr shows the bytes where somebody watches; each file that is whole gets a line on stdout.
    """
    stop, one_at_a_time = threading.Event(), threading.Lock()
    total, held = sum(file.size for file in lacking), sum(file.held_bytes for file in lacking)
    bar = tqdm(total=total, initial=held, unit="B", unit_scale=True, disable=None, file=sys.stderr, leave=False)

    def advance(count: int) -> None:
        with one_at_a_time:
            bar.update(count)

    def fetch(file: RemoteFile) -> None:
        _Transfer(file=file, advance=advance, stop=stop).bring()
        with one_at_a_time:
            bar.write(visible(f"fetched {file.repo} {file.name} ({bytes_in_words(file.size)})"), file=sys.stdout)

    with bar, ThreadPoolExecutor(_AT_ONCE) as workers:
        running = [workers.submit(fetch, file) for file in lacking]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:  # after a failure or Control-C: the others end at their next chunk
            stop.set()
            for one in running:
                one.cancel()
    for one in running:
        with suppress(CancelledError, _StoppedError):  # they follow from another file's failure, the one to name
            one.result()


@dataclass(frozen=True, kw_only=True)
class _Transfer:
    """A transfer brings one file, or the rest of it, checks it and puts it into the snapshot."""

    file: RemoteFile
    advance: Callable[[int], object]  # takes how many bytes came; below 0 where some had to be thrown away
    stop: threading.Event  # ends the transfer at the next chunk

    def bring(self) -> None:
        """Bring the file, unless another process did."""
        for path in (self.file.blob, self.file.lock):
            path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.lock):
            if not self.file.blob.exists():
                try:
                    self._complete()
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    kept = f"{bytes_in_words(self._here)} of {bytes_in_words(self.file.size)} of {self.file.name}"
                    full = f"the disk of {hub.cache_folder()} is full: {kept} are kept"
                    remedy = "free some room and run the command again, or put HF_HOME=/a/larger/disk before it"
                    raise RefusedError(f"{full}; {remedy}") from error
                self.file.part.replace(self.file.blob)
            self.file.link()

    @property
    def _here(self) -> int:
        return self.file.part.stat().st_size if self.file.part.exists() else 0

    def _complete(self) -> None:
        """Bring the file to its full length and check its digest; begin again once if an old part was not of it."""
        for fresh in (False, True):
            if fresh or self._here > self.file.size:
                self.advance(-min(self._here, self.file.size))
                self.file.part.unlink(missing_ok=True)
            begun = self._here
            self._receive()
            if self._is_whole():
                return
            if begun == 0:
                break
        self.advance(-self._here)
        self.file.part.unlink()
        found = f"{self.file.name} of {self.file.repo} came with another content than {constants.ENDPOINT} announces"
        remedy = "it was thrown away: run the command again, or try another HF_ENDPOINT"
        raise RefusedError(f"{found} (digest {self.file.digest[:12]}...); {remedy}")

    def _receive(self) -> None:
        """Append to the part until it is full, over as many connections as it takes."""
        self.file.part.touch()
        failures = 0
        while (before := self._here) < self.file.size:
            failed: HTTPError | None = None
            with hub.explained(self.file.repo, self.file.revision):
                try:
                    self._receive_some()
                except HTTPError as error:
                    failed = error
                failures = 0 if self._here > before else failures + 1
                if failed is not None and (failures >= _ATTEMPTS or not _may_pass(failed)):
                    raise failed
            if failures >= _ATTEMPTS:
                found = f"{constants.ENDPOINT} sends nothing of {self.file.name} of {self.file.repo}"
                raise RefusedError(f"{found}; run this again later")
            if self._here < self.file.size and self.stop.wait(PAUSE * 2**failures):
                raise _StoppedError

    def _receive_some(self) -> None:
        """Receive over one connection; its address is asked for anew, for a large file's is signed for an hour."""
        url = self.file.url
        location, headers = hub.ask_about(url).location, hub.headers_with_token()
        if urlsplit(location)[:2] not in (urlsplit(url)[:2], urlsplit(hub.HUB)[:2]):
            headers.pop("authorization", None)  # a store elsewhere has its own signature and must not see a token
        begun = self._here
        if begun:
            headers["Range"] = f"bytes={begun}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", location, headers=headers, timeout=timeout, follow_redirects=True) as response:
            hf_raise_for_status(response)
            goes_on = response.status_code == HTTPStatus.PARTIAL_CONTENT
            if begun and not goes_on:
                self.advance(-begun)
            with self.file.part.open("ab" if goes_on else "wb") as sink:
                for chunk in response.iter_bytes():
                    sink.write(chunk)
                    sink.flush()  # what came is with the system also where the process is killed
                    self.advance(len(chunk))
                    if sink.tell() >= self.file.size:
                        return  # where it is more than was announced, the digest will say so
                    if self.stop.is_set():
                        raise _StoppedError

    def _is_whole(self) -> bool:
        """Return whether length and content are those announced: SHA-256 of a large file, git's SHA-1 of a small."""
        if self._here != self.file.size:
            return False
        git = hashlib.sha1(b"blob %d\0" % self.file.size, usedforsecurity=False)
        kind = {64: hashlib.sha256, 40: lambda: git}.get(len(self.file.digest))  # by hexadecimal digits
        with self.file.part.open("rb") as stream:  # a mirror may have digests of its own
            return kind is None or hashlib.file_digest(stream, kind).hexdigest() == self.file.digest


def _may_pass(error: HTTPError) -> bool:
    """Return whether trying again may help: for a line that broke or a server in trouble, not for a refusal."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    return status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
