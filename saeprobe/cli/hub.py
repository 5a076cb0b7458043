"""The Hub as asked over HTTP: which files a repository has, and what a refusal means for whoever typed the command."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Generator, Iterable
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, cast

from huggingface_hub import HfApi, constants, get_token, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import get_session, hf_raise_for_status

from saeprobe.cli.fetching.library import build_hf_headers, get_hf_file_metadata
from saeprobe.cli.refusal import RefusedError
from saeprobe.subject.files.downloads import Download
from saeprobe.subject.files.shards import INDEX, ShardError, needed_shards

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
