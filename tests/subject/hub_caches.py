"""Repositories in the layout of huggingface_hub's cache: blobs by their hash, linked from a snapshot."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put(hub: Path, repo: str, files: dict[str, bytes]) -> Path:
    """Lay out a repository of these files; returns its snapshot, which `main` points to."""
    made = hub.parent / f"made-{repo.replace('/', '-')}"
    for name, content in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    return put_folder(hub, repo, made)


def put_folder(hub: Path, repo: str, made: Path) -> Path:
    """Lay out a repository of the files of a folder, which are moved; returns its snapshot."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    (folder / "blobs").mkdir()
    for file in sorted(one for one in made.rglob("*") if one.is_file()):
        with file.open("rb") as stream:
            blob = folder / "blobs" / hashlib.file_digest(stream, "sha256").hexdigest()
        link = folder / "snapshots" / COMMIT / file.relative_to(made)
        file.replace(blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return folder / "snapshots" / COMMIT
