"""Transfers: one file from the Hub into the cache, going on where an earlier run left off.

huggingface_hub has no part in the transfer itself: since version 2 it removes a file that came in part when a run ends
(https://github.com/huggingface/huggingface_hub/pull/4228), and a shard of 5 GB would never come over a line that
breaks every hour. What is written here is found by it as if it had fetched it.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable
from io import RawIOBase
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from filelock import FileLock
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import get_session, hf_raise_for_status

from saeprobe.cli.fetching.cache import Cache
from saeprobe.cli.fetching.library import build_hf_headers, get_hf_file_metadata
from saeprobe.cli.hub import HUB, PATIENCE, TOO_MANY, Hub, RemoteFile, Repository, TransportError
from saeprobe.cli.refusal import RefusedError
from saeprobe.subject.memory import bytes_in_words as words

PAUSE = 1.0
"""Seconds before another attempt on a line that broke; doubled for each that brought nothing."""

_CHUNK: Final = 2**20
_ATTEMPTS: Final = 5  # in a row without a byte
_PARTIAL_CONTENT: Final = 206
_SERVER_ERRORS: Final = 500
_SHA256, _SHA1 = 64, 40  # hexadecimal digits

Advance = Callable[[int], object]


class StoppedError(Exception):
    """Another file failed, or the run was interrupted; what has come is kept."""


def bring(
    hub: Hub,
    cache: Cache,
    repository: Repository,
    file: RemoteFile,
    *,
    advance: Advance,
    stop: threading.Event,
) -> None:
    """Fetch one file, or the rest of it, check it and put it into the snapshot.

    Args:
        hub: where from.
        cache: where to.
        repository: which repository, at which commit.
        file: which of its files.
        advance: told how many bytes came; a negative number where some had to be thrown away.
        stop: ends the transfer at the next chunk.

    Raises:
        RefusedError: the Hub refuses, the line stays broken, the disk is full, or what came is not what was announced.
        StoppedError: `stop` was set.
    """
    blob, partial = cache.blob(repository, file), cache.partial(repository, file)
    lock = cache.lock(repository, file)
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not blob.exists():
            try:
                _complete(hub, repository, file, partial, advance=advance, stop=stop)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise RefusedError(
                    f"the disk of {cache.folder} is full: {words(_size(partial))} of {words(file.size)} of {file.name} "
                    "are kept; free some room and run the command again, or put HF_HOME=/a/larger/disk before it"
                ) from error
            partial.replace(blob)
        cache.link(repository, file)


def _complete(
    hub: Hub,
    repository: Repository,
    file: RemoteFile,
    partial: Path,
    *,
    advance: Advance,
    stop: threading.Event,
) -> None:
    """Bring the file to its full length and check its digest; begin again once if an old part was not of this file."""
    for fresh in (False, True):
        if fresh or _size(partial) > file.size:
            advance(-min(_size(partial), file.size))
            partial.unlink(missing_ok=True)
        begun = _size(partial)
        _receive(hub, repository, file, partial, advance=advance, stop=stop)
        if _is_whole(partial, file):
            return
        if begun == 0:
            break
    advance(-_size(partial))
    partial.unlink()
    raise RefusedError(
        f"{file.name} of {repository.repo} came with another content than {hub.endpoint} announces "
        f"(digest {file.digest[:12]}...); it was thrown away: run the command again, or try another HF_ENDPOINT"
    )


def _receive(
    hub: Hub,
    repository: Repository,
    file: RemoteFile,
    partial: Path,
    *,
    advance: Advance,
    stop: threading.Event,
) -> None:
    """Append to the part until it is full, over as many connections as it takes."""
    partial.touch()
    failures = 0
    while (before := _size(partial)) < file.size:
        with hub.explained(repository.repo, repository.revision):
            try:
                _receive_some(hub, repository, file, partial, advance=advance, stop=stop)
            except TransportError as error:
                failures = 0 if _size(partial) > before else failures + 1
                if failures >= _ATTEMPTS or not _may_pass(error):
                    raise
            else:
                failures = 0 if _size(partial) > before else failures + 1
        if failures >= _ATTEMPTS:
            raise RefusedError(
                f"{hub.endpoint} sends nothing of {file.name} of {repository.repo}; run this again later"
            )
        if _size(partial) < file.size and stop.wait(PAUSE * 2**failures):
            raise StoppedError


def _may_pass(error: Exception) -> bool:
    """Whether trying again may help: a line that broke or a server in trouble, not a refusal."""
    if not isinstance(error, HfHubHTTPError):
        return True
    return error.response.status_code >= _SERVER_ERRORS or error.response.status_code == TOO_MANY


def _receive_some(
    hub: Hub, repository: Repository, file: RemoteFile, partial: Path, *, advance: Advance, stop: threading.Event
) -> None:
    """One connection. The address is asked for each time: those of large files are signed for an hour or so."""
    url = hub.url(repository.repo, repository.commit, file.name)
    location = get_hf_file_metadata(url, timeout=PATIENCE, endpoint=hub.endpoint).location
    headers = build_hf_headers(headers={"Accept-Encoding": "identity"})
    if urlsplit(location)[:2] not in (urlsplit(url)[:2], urlsplit(HUB)[:2]):
        headers.pop("authorization", None)  # a store of files elsewhere has its own signature and must not see a token
    begun = _size(partial)
    if begun:
        headers["Range"] = f"bytes={begun}-"
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", location, headers=headers, timeout=timeout, follow_redirects=True) as response:
        hf_raise_for_status(response)
        goes_on = response.status_code == _PARTIAL_CONTENT
        if begun and not goes_on:
            advance(-begun)
        # Nothing is held back in buffers: what came is on disk also where the process is killed.
        with partial.open("ab" if goes_on else "wb", buffering=0) as sink:
            for chunk in response.iter_bytes():
                _write(sink, chunk)
                advance(len(chunk))
                if sink.tell() >= file.size:
                    return  # where it is more than was announced, the digest will say so
                if stop.is_set():
                    raise StoppedError


def _write(sink: RawIOBase, chunk: bytes) -> None:
    """All of it: a raw file may take less than it is given."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[sink.write(rest) :]


def _is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether length and content are those announced: SHA-256 of a large file, git's SHA-1 of a small one."""
    if _size(path) != file.size:
        return False
    if len(file.digest) == _SHA256:
        digest = hashlib.sha256()
    elif len(file.digest) == _SHA1:
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    else:
        return True  # a mirror with digests of its own
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == file.digest


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
