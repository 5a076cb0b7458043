"""Repositories in the layout of huggingface_hub's cache: blobs by their hash, linked from a snapshot."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_empty_sae(file: Path, *, d_in: int, d_sae: int) -> None:
    """Write the weights of a standard SAE, all of them zero, which take no place on the disk."""
    shapes = {"W_enc": [d_in, d_sae], "b_enc": [d_sae], "W_dec": [d_sae, d_in], "b_dec": [d_in]}
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    said = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(len(said).to_bytes(8, "little") + said)
    os.truncate(file, 8 + len(said) + end)


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
