"""The Hub's cache on disk: which files it has, where parts of others lie, and how much room there is.

The layout is huggingface_hub's (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): `blobs` hold the
files under their digests, `snapshots/COMMIT` links to them by name, `refs/BRANCH` holds the commit of a branch.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.constants import REGEX_COMMIT_OID

from saeprobe.cli.hub import RemoteFile, Repository

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
        ref.parent.mkdir(parents=True, exist_ok=True)
        new = ref.with_name(f"{ref.name}.{uuid.uuid4().hex}")
        new.write_text(repository.commit, encoding="utf-8")
        new.replace(ref)

    def _of(self, repository: Repository) -> Path:
        return self.folder / "--".join(["models", *repository.repo.split("/")])

    def _pointer(self, repository: Repository, file: RemoteFile) -> Path:
        return self._of(repository) / "snapshots" / repository.commit / Path(*file.name.split("/"))


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    whole = folder.expanduser().absolute()
    return next(path for path in (whole, *whole.parents) if path.is_dir())
