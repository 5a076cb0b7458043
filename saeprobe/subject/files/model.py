"""Weights: where a model's files lie and what they hash to. Nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

from saeprobe.subject.files.shards import needed_shards
from saeprobe.subject.specification import SubjectError

_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


def cached_folder(repo: str, *, revision: str | None, file: str) -> Path | None:
    """The snapshot of `repo` in the hub's cache that holds `file`; None where it does not."""
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    if not isinstance(found, str):
        return None
    return Path(found).parents[len(Path(file).parts) - 1]


def cached_snapshot(repo: str, *, revision: str = "main") -> Path | None:
    """The snapshot of `repo` that a branch of the hub's cache points to; None where there is none."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")
    branch = folder / "refs" / revision
    snapshot = folder / "snapshots" / (branch.read_text(encoding="utf-8").strip() if branch.exists() else revision)
    return snapshot if snapshot.is_dir() else None


def model_folder(model: str | Path, *, revision: str | None) -> Path | None:
    """The folder with the model's `config.json`; None where there is none."""
    if isinstance(model, Path):
        return model if (model / "config.json").exists() else None
    # The hub renamed gpt2 to openai-community/gpt2; whoever loaded it by its old name has it under that.
    names = [model] + ([model.partition("/")[2]] if model.startswith("openai-community/") else [])
    folders = (cached_folder(name, revision=revision, file="config.json") for name in names)
    return next((found for found in folders if found is not None), None)


def model_files(folder: Path, *, depth: int | None) -> list[Path]:
    """Config, weights and tokenizer; empty where one of the three is absent.

    Args:
        folder: of the model.
        depth: of a model in shards only those with the embedding and the blocks before this depth; None for all.
    """
    config = folder / "config.json"
    weights = _weight_files(folder, depth=depth)
    tokenizer = [folder / name for name in _TOKENIZER if (folder / name).exists()]
    if not (config.exists() and weights and tokenizer):
        return []
    return [config, *weights, *tokenizer]


def _weight_files(folder: Path, *, depth: int | None) -> list[Path]:
    """The file or the shards with the weights; empty where a needed shard is absent."""
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).exists():
            return [folder / whole]
        if index.exists():
            files = cast("dict[str, str]", read_json(index)["weight_map"])
            names = sorted(set(files.values())) if depth is None else needed_shards(files, depth=depth)
            return [folder / name for name in names] if all((folder / name).exists() for name in names) else []
    return []


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{_hash_file(file)}\n".encode())
    return whole.hexdigest()


def _hash_file(file: Path) -> str:
    """Content hash; the hub's cache names its large files by theirs, so that 140 GB need not be read."""
    if file.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", file.resolve().name):
        return file.resolve().name
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(file: Path, size: int, modified: int) -> str:  # noqa: ARG001 - a changed file has another cache key
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        SubjectError: the file is no JSON object.
    """
    try:
        found: object = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SubjectError(f"{file} is not JSON: {error}; fetch or write it again") from error
    if not isinstance(found, dict):
        raise SubjectError(f"{file} holds {type(found).__name__}; wanted a JSON object")
    return cast("dict[str, Any]", found)
