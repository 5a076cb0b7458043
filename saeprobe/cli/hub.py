"""The Hub as asked over HTTP: which files a repository has, and what a refusal means for whoever typed the command."""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterable
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path, PurePosixPath
from typing import Final, cast
from urllib.parse import urlsplit

from filelock import FileLock
from huggingface_hub import HfApi, HfFileMetadata, constants, get_token, hf_hub_url
from huggingface_hub import get_hf_file_metadata as _metadata
from huggingface_hub.constants import REGEX_COMMIT_OID
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers as _headers
from huggingface_hub.utils import get_session, hf_raise_for_status

from saeprobe.cli.terminal import RefusedError
from saeprobe.files import bytes_in_words, write_whole
from saeprobe.subject.files.shards import INDEX, ShardError, needed_shards
from saeprobe.subject.specification import Download


def get_hf_file_metadata(url: str, *, timeout: float, endpoint: str) -> HfFileMetadata:
    """What the Hub says of a file: where it lies, its size and digest."""
    return _metadata(url, timeout=timeout, endpoint=endpoint)


def build_hf_headers(headers: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a request, with the token where there is one."""
    return _headers(headers=headers)


TransportError = HTTPError
"""A line that broke or was never there."""


PATIENCE: Final = 30.0
"""Seconds that the Hub has for an answer about a repository or a file."""


HUB: Final = "https://huggingface.co"
"""Where licences are accepted, whatever the endpoint: a mirror has no pages for it."""


_MIRROR: Final = "HF_ENDPOINT=https://hf-mirror.com"


_LOG_IN: Final = "run: hf auth login (or put HF_TOKEN=... before the command)"


_UNAUTHORISED: Final = 401


TOO_MANY: Final = 429


# The same weights once more: beside safetensors none of these is read.
_DUPLICATES: Final = (
    "*.onnx", "*.gguf", "*.h5", "*.msgpack", "*.ot", "*.tflite", "*.pth", "pytorch_model*.bin*", "consolidated*"
)  # fmt: skip


_OTHER_FORMATS: Final = ("onnx/*", "coreml/*", "openvino/*")


_NEVER: Final = ("original/*", ".gitattributes")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        name: its path there.
        size: in bytes.
        digest: SHA-256 of a large file, git's own SHA-1 of a small one; the cache names the file so.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The files of a repository that are wanted, at one commit.

    Attributes:
        repo: its name.
        revision: branch, tag or commit as asked for.
        commit: what that is now.
        files: the wanted ones, small ones first.
    """

    repo: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Where the files come from: HF_ENDPOINT, or huggingface.co."""

    endpoint: str

    def wanted(self, download: Download, *, whole: bool) -> Repository:
        """Which files a download means, found out from the Hub.

        Args:
            download: repository, patterns and depth.
            whole: all shards of the model, whatever the depth.

        Raises:
            RefusedError: the repository cannot be read, or has no such files.
        """
        revision = download.revision or constants.DEFAULT_REVISION
        with self.explained(download.repo, revision):
            try:
                api = HfApi(endpoint=self.endpoint)
                info = api.model_info(download.repo, revision=revision, files_metadata=True, timeout=PATIENCE)
            except (ValueError, KeyError, TypeError) as error:
                raise RefusedError(
                    f"{self.endpoint} did not answer about {download.repo} as the Hub does ({error}); "
                    "check HF_ENDPOINT, and the repository's name in the subject's declaration"
                ) from error
            commit, listed = str(info.sha), {one.rfilename: one for one in info.siblings or []}
            chosen = choose_files(listed, download.patterns)
            if not chosen:
                patterns = ", ".join(download.patterns) or "any file of weights"
                raise RefusedError(
                    f"{download.repo} has no file that matches {patterns} at revision {revision}; its files are: "
                    f"{', '.join(sorted(listed)[:8])}"
                )
            if download.depth is not None and not whole and INDEX in chosen:
                weight_map = self._weight_map(download.repo, commit)
                chosen = without_shards(chosen, weight_map, depth=download.depth)
            found = [self._described(download.repo, commit, listed[name]) for name in chosen]
        found.sort(key=lambda one: (one.size, one.name))
        return Repository(repo=download.repo, revision=revision, commit=commit, files=tuple(found))

    def url(self, repo: str, commit: str, file: str) -> str:
        """Where a file is asked for."""
        return hf_hub_url(repo, file, revision=commit, endpoint=self.endpoint)

    def check_access(self, repository: Repository, file: RemoteFile) -> None:
        """Ask for a file's head: of a gated repository everybody may read the list, but not the files.

        Raises:
            RefusedError: the file would not be handed out.
        """
        with self.explained(repository.repo, repository.revision):
            get_hf_file_metadata(
                self.url(repository.repo, repository.commit, file.name), timeout=PATIENCE, endpoint=self.endpoint
            )

    def _described(self, repo: str, commit: str, listed: RepoSibling) -> RemoteFile:
        """Size and digest of a file, from the list or, where a mirror's list has none, from the file's own head."""
        digest = listed.lfs.sha256 if listed.lfs else listed.blob_id
        size = listed.size
        if size is None or digest is None:
            head = get_hf_file_metadata(
                self.url(repo, commit, listed.rfilename), timeout=PATIENCE, endpoint=self.endpoint
            )
            size, digest = head.size, head.etag
        if size is None or digest is None:
            raise RefusedError(
                f"{self.endpoint} does not say how large {listed.rfilename} of {repo} is; try another HF_ENDPOINT"
            )
        return RemoteFile(name=listed.rfilename, size=size, digest=digest)

    def _weight_map(self, repo: str, commit: str) -> dict[str, str]:
        """Shard by tensor, of a sharded model."""
        response = get_session().get(self.url(repo, commit, INDEX), headers=build_hf_headers(), timeout=PATIENCE)
        hf_raise_for_status(response)
        try:
            return cast("dict[str, str]", json.loads(response.text)["weight_map"])
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"the {INDEX} of {repo} is no index of shards; fetch all of it with --whole") from error

    @contextmanager
    def explained(self, repo: str, revision: str) -> Generator[None]:
        """Turn the library's errors into one line with a remedy."""
        try:
            yield
        except (HTTPError, EntryNotFoundError) as error:
            raise RefusedError(self._in_words(error, repo, revision)) from error

    def _in_words(self, error: Exception, repo: str, revision: str) -> str:
        known = "the token that was sent is not on its list" if get_token() else "no token was sent"
        match error:
            case GatedRepoError():
                return f"{repo} is gated and {known}; accept its licence at {HUB}/{repo}, then {_LOG_IN}"
            case RepositoryNotFoundError():
                return (
                    f"{self.endpoint} has no repository {repo}, or it is private and {known}; "
                    f"check the name in the subject's declaration, or {_LOG_IN}"
                )
            case RevisionNotFoundError():
                return f"{repo} has no revision {revision!r}; name a branch, a tag or a commit that it has"
            case EntryNotFoundError():
                return f"a file of {repo} went away while it was asked for; run the command again"
            case HfHubHTTPError() if error.response.status_code == _UNAUTHORISED:
                return f"{self.endpoint} does not take the token that was sent for {repo}; {_LOG_IN}"
            case HfHubHTTPError() if error.response.status_code == TOO_MANY:
                return f"{self.endpoint} wants fewer requests for a while; run the command again in some minutes"
            case HfHubHTTPError():
                return f"{self.endpoint} answered {error.response.status_code} for {repo}; run the command again later"
            case _:
                return (
                    f"{self.endpoint} cannot be reached ({type(error).__name__}: {error}); check the line and its "
                    f"proxy; where huggingface.co is out of reach, put {_MIRROR} before the command"
                )


def choose_files(names: Iterable[str], patterns: Iterable[str]) -> frozenset[str]:
    """The names that match a pattern, without the same weights in formats that are not read.

    >>> sorted(choose_files(["model.safetensors", "pytorch_model.bin", "original/x.pth", "a.json"], []))
    ['a.json', 'model.safetensors']
    >>> sorted(choose_files(["pytorch_model.bin", "a.json", "README.md"], ["*.bin"]))
    ['pytorch_model.bin']
    """
    listed = list(names)
    wanted = list(patterns)
    chosen = {name for name in listed if not wanted or _matches(name, wanted)}
    chosen -= {name for name in chosen if _matches(name, _NEVER) and name not in wanted}
    better = {_folder(name) for name in chosen if _is_safetensors(name)}
    return frozenset(name for name in chosen if name in wanted or not _is_duplicate(name, better))


def without_shards(chosen: Iterable[str], weight_map: dict[str, str], *, depth: int) -> frozenset[str]:
    """The names without the shards that no block before `depth` needs.

    Raises:
        RefusedError: the index lacks one of those blocks.
    """
    try:
        needed = needed_shards(weight_map, depth=depth)
    except ShardError as error:
        raise RefusedError(str(error)) from error
    return frozenset(chosen) - (frozenset(weight_map.values()) - frozenset(needed))


def _is_duplicate(name: str, better: AbstractSet[PurePosixPath]) -> bool:
    """Whether it belongs to the same weights in another format, by the folders that have safetensors."""
    twice = _folder(name) in better and _matches(PurePosixPath(name).name, _DUPLICATES)
    return twice or (PurePosixPath() in better and _matches(name, _OTHER_FORMATS))


def _is_safetensors(name: str) -> bool:
    file = PurePosixPath(name).name
    return file.endswith(".safetensors") and not file.startswith("consolidated")


def _folder(name: str) -> PurePosixPath:
    return PurePosixPath(name).parent


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """As huggingface_hub matches: a star also stands for slashes, and `folder/` for all that is in it."""
    return any(fnmatch.fnmatchcase(name, f"{one}*" if one.endswith("/") else one) for one in patterns)


_COMMIT = 40  # hexadecimal digits


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The folder that HF_HUB_CACHE or HF_HOME names; it need not be there yet."""

    folder: Path

    def here(self, repository: Repository, file: RemoteFile) -> bool:
        """Whether the file is in the snapshot of that commit."""
        return self._pointer(repository, file).exists()

    def blob(self, repository: Repository, file: RemoteFile) -> Path:
        """Where its content lies, or will."""
        return self._of(repository) / "blobs" / file.digest

    def partial(self, repository: Repository, file: RemoteFile) -> Path:
        """Where what has come of it waits for the rest."""
        blob = self.blob(repository, file)
        return blob.with_name(f"{blob.name}.incomplete")

    def lock(self, repository: Repository, file: RemoteFile) -> Path:
        """The lock that huggingface_hub takes too before it writes that file."""
        return self.folder / ".locks" / self._of(repository).name / f"{file.digest}.lock"

    def held(self, repository: Repository, file: RemoteFile) -> int:
        """Bytes of it that are here, whole or in part."""
        for path in (self.blob(repository, file), self.partial(repository, file)):
            if path.exists():
                return min(path.stat().st_size, file.size)
        return 0

    def free_bytes(self) -> int:
        """Room on the file system where the cache is, or would be made."""
        return shutil.disk_usage(existing(self.folder)).free

    def link(self, repository: Repository, file: RemoteFile) -> None:
        """Put a content that is whole under the file's name in the snapshot."""
        pointer, blob = self._pointer(repository, file), self.blob(repository, file)
        if pointer.exists():
            return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)  # a link whose blob had been removed
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:  # Windows without the right to make links: huggingface_hub moves the file as well
            blob.replace(pointer)

    def name_commit(self, repository: Repository) -> None:
        """Let the branch point to the commit, once all that is wanted of it is here."""
        revision = repository.revision
        if len(revision) == _COMMIT and REGEX_COMMIT_OID.fullmatch(revision):
            return
        ref = self._of(repository) / "refs" / revision
        write_whole(ref, repository.commit.encode())

    def _of(self, repository: Repository) -> Path:
        return self.folder / "--".join(["models", *repository.repo.split("/")])

    def _pointer(self, repository: Repository, file: RemoteFile) -> Path:
        return self._of(repository) / "snapshots" / repository.commit / Path(*file.name.split("/"))


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    whole = folder.expanduser().absolute()
    return next(path for path in (whole, *whole.parents) if path.is_dir())


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
                    f"the disk of {cache.folder} is full: {bytes_in_words(_size(partial))} of "
                    f"{bytes_in_words(file.size)} of {file.name} are kept; "
                    "free some room and run the command again, or put HF_HOME=/a/larger/disk before it"
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
