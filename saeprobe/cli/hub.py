"""The Hub says over HTTP which files a repository has; the cache says which of them are here."""

import json
import os
import re
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Final, cast

from huggingface_hub import (
    HfApi,
    HfFileMetadata,
    constants,
    errors,
    get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]
    get_token,
    hf_hub_url,
)
from huggingface_hub.errors import HTTPError  # pyright: ignore[reportPrivateImportUsage]  # of httpx or httpx2
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import (
    build_hf_headers,  # pyright: ignore[reportUnknownVariableType]
    filter_repo_objects,
    get_session,
    hf_raise_for_status,
)

from saeprobe.cli.terminal import RefusedError
from saeprobe.files import bytes_in_words, written_whole
from saeprobe.subject import setting
from saeprobe.subject.files import INDEX
from saeprobe.subject.files.shards import needed_shards
from saeprobe.subject.specification import Download

PATIENCE: Final = 30.0  # seconds that the Hub has for an answer about a repository or a file
HUB: Final = "https://huggingface.co"  # has the pages of licences, whatever the endpoint
_LOG_IN: Final = f"run: hf auth login (or {setting('the command', 'HF_TOKEN', '...')})"
# The same weights once more: beside safetensors none of these is read.
_DUPLICATES: Final = (
    "*.onnx", "*.gguf", "*.h5", "*.msgpack", "*.ot", "*.tflite", "*.pth", "pytorch_model*.bin*", "consolidated*"
)  # fmt: skip
_OTHER_FORMATS: Final = ("onnx/*", "coreml/*", "openvino/*")
_NEVER: Final = ("original/*", ".gitattributes")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file lies in a repository of the Hub, at one commit, and has its place in huggingface_hub's cache."""

    repo: str
    revision: str  # branch, tag or commit as asked for
    commit: str  # what that is now
    name: str  # the file's path in the repository
    size: int  # bytes
    digest: str  # SHA-256 of a large file, git's own SHA-1 of a small one; the cache names the content so

    @property
    def url(self) -> str:
        """Return the address that the Hub gives the file out at."""
        return _url(self.repo, self.commit, self.name)

    @property
    def blob(self) -> Path:
        """Return where the content lies, or will."""
        return self._folder / "blobs" / self.digest

    @property
    def part(self) -> Path:
        """Return where what has come of the content waits for the rest."""
        return self._folder / "blobs" / f"{self.digest}.incomplete"

    @property
    def lock(self) -> Path:
        """Return the lock that huggingface_hub takes too before it writes the content."""
        return self._folder.parent / ".locks" / self._folder.name / f"{self.digest}.lock"

    @property
    def pointer(self) -> Path:
        """Return where the file lies under its own name, in the snapshot of its commit."""
        return self._folder / "snapshots" / self.commit / Path(*self.name.split("/"))

    @property
    def held_bytes(self) -> int:
        """Return how many bytes of the content are here, whole or in part."""
        here = [path for path in (self.blob, self.part) if path.exists()]
        return min(here[0].stat().st_size, self.size) if here else 0

    def link(self) -> None:
        """Put a content that is whole under the file's name in the snapshot."""
        pointer = self.pointer
        if pointer.exists():
            return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)  # a link whose blob had been removed
        try:
            pointer.symlink_to(os.path.relpath(self.blob, pointer.parent))
        except OSError:  # Windows without the right to make links: huggingface_hub moves the file as well
            self.blob.replace(pointer)

    def name_commit(self) -> None:
        """Let the branch point to the commit, once all that is wanted of it is here."""
        if re.fullmatch(r"[0-9A-Fa-f]{40}", self.revision):
            return
        ref = self._folder / "refs" / self.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(ref) as part:
            part.write_bytes(self.commit.encode())

    @property
    def _folder(self) -> Path:
        return cache_folder() / repo_folder_name(repo_id=self.repo, repo_type="model")


def cache_folder() -> Path:
    """Return the folder that HF_HUB_CACHE or HF_HOME names; it need not be there yet."""
    return Path(constants.HF_HUB_CACHE)


def existing_folder() -> Path:
    """Return the cache's folder, or the nearest one above it that is there."""
    whole = cache_folder().expanduser().absolute()
    return next(path for path in (whole, *whole.parents) if path.is_dir())


def free_bytes() -> int:
    """Return the room on the file system where the cache is, or would be made."""
    return shutil.disk_usage(existing_folder()).free


def in_words() -> list[tuple[str, str]]:
    """Return how weights come here; a token is looked for and never shown."""
    offline = "yes: HF_HUB_OFFLINE is set, nothing can be fetched" if constants.HF_HUB_OFFLINE else "no"
    from_where = "HF_ENDPOINT" if "HF_ENDPOINT" in os.environ else f"out of reach? {setting('the command')}"
    token = Path(constants.HF_TOKEN_PATH)
    # huggingface_hub's own get_token() may ask the network to renew it.
    if any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")):
        have = "present (HF_TOKEN)"
    elif token.is_file() and token.stat().st_size:
        have = f"present ({token})"
    else:
        have = "none: gated repositories such as Llama's want one; run: hf auth login"
    return [
        ("cache", f"{cache_folder()}, whose disk has {bytes_in_words(free_bytes())} free"),
        ("endpoint", f"{constants.ENDPOINT} ({from_where})"),
        ("offline", offline),
        ("token", have),
    ]


def wanted_files(download: Download, *, whole: bool) -> tuple[RemoteFile, ...]:
    """Ask the Hub which files a download means, and return them, small ones first."""
    repo, revision = download.repo, download.revision or constants.DEFAULT_REVISION
    with explained(repo, revision):
        try:
            api = HfApi(endpoint=constants.ENDPOINT)
            info = api.model_info(repo, revision=revision, files_metadata=True, timeout=PATIENCE)
        except (ValueError, KeyError, TypeError) as error:
            said = f"{constants.ENDPOINT} did not answer about {repo} as the Hub does ({error})"
            remedy = "check HF_ENDPOINT, and the repository's name in the subject's declaration"
            raise RefusedError(f"{said}; {remedy}") from error
        commit, listed = str(info.sha), {one.rfilename: one for one in info.siblings or []}
        chosen = choose_files(listed, download.patterns)
        if not chosen:
            patterns = ", ".join(download.patterns) or "any file of weights"
            said = f"{repo} has no file that matches {patterns} at revision {revision}"
            raise RefusedError(f"{said}; its files are: {', '.join(sorted(listed)[:8])}")
        if download.depth is not None and not whole and INDEX in chosen:
            chosen -= _deeper_shards(repo, commit, depth=download.depth)
        found: list[RemoteFile] = []
        for name in chosen:
            about = listed[name]
            size, digest = about.size, about.lfs.sha256 if about.lfs else about.blob_id
            if size is None or digest is None:  # a mirror's list may have neither: the file's own head has both
                head = ask_about(_url(repo, commit, name))
                size, digest = head.size, head.etag
            if size is None or digest is None:
                unsaid = f"{constants.ENDPOINT} does not say how large {name} of {repo} is"
                raise RefusedError(f"{unsaid}; try another HF_ENDPOINT")
            found.append(RemoteFile(repo=repo, revision=revision, commit=commit, name=name, size=size, digest=digest))
    return tuple(sorted(found, key=lambda one: (one.size, one.name)))


def ask_about(url: str) -> HfFileMetadata:
    """Ask the Hub where a file lies, its size and its digest.

    A gated repository shows its list to everybody, but answers this only to those who may have the file.
    """
    return get_hf_file_metadata(url, timeout=PATIENCE, endpoint=constants.ENDPOINT)


def headers_with_token() -> dict[str, str]:
    """Return the headers of a request, with the token where there is one."""
    return build_hf_headers(headers={"Accept-Encoding": "identity"})


def _url(repo: str, commit: str, name: str) -> str:
    return hf_hub_url(repo, name, revision=commit, endpoint=constants.ENDPOINT)


def _deeper_shards(repo: str, commit: str, *, depth: int) -> frozenset[str]:
    """Return the shards of a model that no block before `depth` needs."""
    response = get_session().get(_url(repo, commit, INDEX), headers=headers_with_token(), timeout=PATIENCE)
    hf_raise_for_status(response)
    try:
        weight_map = cast("dict[str, str]", json.loads(response.text)["weight_map"])
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"the {INDEX} of {repo} is no index of shards; fetch all of it with --whole") from error
    return frozenset(weight_map.values()) - frozenset(needed_shards(weight_map, depth=depth))


@contextmanager
def explained(repo: str, revision: str) -> Generator[None]:
    """Turn the library's errors into one line with a remedy."""
    endpoint = constants.ENDPOINT
    try:
        yield
    except (HTTPError, errors.EntryNotFoundError) as error:
        known = "the token that was sent is not on its list" if get_token() else "no token was sent"
        match error:
            case errors.GatedRepoError():
                message = f"{repo} is gated and {known}; accept its licence at {HUB}/{repo}, then {_LOG_IN}"
            case errors.RepositoryNotFoundError():
                message = f"{endpoint} has no repository {repo}, or it is private and {known}; "
                message += f"check the name in the subject's declaration, or {_LOG_IN}"
            case errors.RevisionNotFoundError():
                message = f"{repo} has no revision {revision!r}; name a branch, a tag or a commit that it has"
            case errors.EntryNotFoundError():
                message = f"a file of {repo} went away while it was asked for; run the command again"
            case errors.HfHubHTTPError() if error.response.status_code == HTTPStatus.UNAUTHORIZED:
                message = f"{endpoint} does not take the token that was sent for {repo}; {_LOG_IN}"
            case errors.HfHubHTTPError() if error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                message = f"{endpoint} wants fewer requests for a while; run the command again in some minutes"
            case errors.HfHubHTTPError():
                message = f"{endpoint} answered {error.response.status_code} for {repo}; run the command again later"
            case _:
                message = f"{endpoint} cannot be reached ({type(error).__name__}: {error}); check the line and its "
                message += f"proxy; where huggingface.co is out of reach, {setting('the command')}"
        raise RefusedError(message) from error


def choose_files(names: Iterable[str], patterns: Iterable[str]) -> frozenset[str]:
    """Return the names that match a pattern, without the same weights in formats that are not read.

    >>> sorted(choose_files(["model.safetensors", "pytorch_model.bin", "original/x.pth", "a.json"], []))
    ['a.json', 'model.safetensors']
    >>> sorted(choose_files(["pytorch_model.bin", "a.json", "README.md"], ["*.bin"]))
    ['pytorch_model.bin']
    """
    wanted = list(patterns)
    chosen = [
        PurePosixPath(name)
        for name in filter_repo_objects(names, allow_patterns=wanted or None)
        if name in wanted or not _matches(name, _NEVER)
    ]
    whole = [path for path in chosen if path.suffix == ".safetensors"]
    better = {path.parent for path in whole if not path.name.startswith("consolidated")}

    def is_duplicate(path: PurePosixPath) -> bool:
        twice = path.parent in better and _matches(path.name, _DUPLICATES)
        return twice or (PurePosixPath() in better and _matches(str(path), _OTHER_FORMATS))

    return frozenset(str(path) for path in chosen if str(path) in wanted or not is_duplicate(path))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
