"""Weights: where a subject's files lie, what they hash to, and what brings absent ones. Nothing is ever downloaded."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from saeprobe.subject.specification import SaeRelease, SubjectError

SAE_CONFIG = "cfg.json"
SAE_WEIGHTS = "sae_weights.safetensors"
_MIRROR = "where huggingface.co is out of reach, put HF_ENDPOINT=https://hf-mirror.com before each hf"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")


@dataclass(frozen=True, kw_only=True)
class Release:
    """What sae-lens' registry says of one SAE; `overrides` go over its `cfg.json`."""

    repo: str
    path: str
    conversion: str | None
    overrides: Mapping[str, object] = field(default_factory=dict[str, object])


def find_release(sae: SaeRelease) -> Release:
    """Look an SAE up in the registry that sae-lens ships, without importing sae-lens.

    Raises:
        SubjectError: the release or the id is unknown; the nearest names are given.
    """
    names = _registry_text()
    if sae.release not in names:
        raise SubjectError(
            f"SAE release {sae.release!r} is not in the registry of sae-lens" + near(sae.release, names, "release")
        )
    entry = _parse_release(sae.release)
    ids = {str(one["id"]): str(one["path"]) for one in cast("list[dict[str, object]]", entry["saes"])}
    if sae.id not in ids:
        raise SubjectError(f"SAE id {sae.id!r} is not in release {sae.release!r}" + near(sae.id, ids, "id"))
    conversion = entry.get("conversion_func")
    return Release(
        repo=str(entry["repo_id"]),
        path=ids[sae.id],
        conversion=None if conversion is None else str(conversion),
        overrides=cast("dict[str, object]", entry.get("config_overrides") or {}),
    )


def near(name: str, names: Iterable[str], noun: str) -> str:
    """`; did you mean X or Y?`, or some names that do exist."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(repr(one) for one in close)}?"
    shown = ", ".join([*known[:8], *(["..."] if known[8:] else [])])
    return f"; wanted one of the {noun}s {shown}"


@cache
def _registry_text() -> dict[str, str]:
    """The registry's text by release. It has 1.5 MB: only the release that is asked for is parsed."""
    found = importlib.util.find_spec("sae_lens")
    if found is None or not found.submodule_search_locations:
        raise SubjectError("sae-lens is not installed; run: pip install sae-lens")
    text = (Path(found.submodule_search_locations[0]) / "pretrained_saes.yaml").read_text(encoding="utf-8")
    parts = re.split(r"^([^\s#][^\n]*):[ ]*\n", text, flags=re.MULTILINE)
    return {name.strip("'\""): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _parse_release(release: str) -> dict[str, object]:
    import yaml

    return cast("dict[str, object]", yaml.safe_load(_registry_text()[release]))


def cached_folder(repo: str, *, revision: str | None, file: str) -> Path | None:
    """The snapshot of `repo` in the hub's cache that holds `file`; None where it does not."""
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    if not isinstance(found, str):
        return None
    return Path(found).parents[len(Path(file).parts) - 1]


def model_folder(model: str | Path, *, revision: str | None) -> Path | None:
    """The folder with the model's config, weights and tokenizer; None where it is absent or not whole."""
    if isinstance(model, Path):
        folder = model if model.is_dir() else None
    else:
        # The hub renamed gpt2 to openai-community/gpt2; whoever loaded it by its old name has it under that.
        names = [model] + ([model.partition("/")[2]] if model.startswith("openai-community/") else [])
        folders = (cached_folder(name, revision=revision, file="config.json") for name in names)
        folder = next((found for found in folders if found is not None), None)
    return folder if folder is not None and _model_files(folder) else None


def _model_files(folder: Path) -> list[Path]:
    """Config, weights and tokenizer; empty where one of the three is absent."""
    config = folder / "config.json"
    weights = _weight_files(folder)
    tokenizer = [folder / name for name in _TOKENIZER if (folder / name).exists()]
    if not (config.exists() and weights and tokenizer):
        return []
    return [config, *weights, *tokenizer]


def _weight_files(folder: Path) -> list[Path]:
    """The file or the shards with the weights; empty where a shard of the index is absent."""
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).exists():
            return [folder / whole]
        if index.exists():
            shards = sorted(set(cast("dict[str, str]", read_json(index)["weight_map"]).values()))
            return [folder / shard for shard in shards] if all((folder / shard).exists() for shard in shards) else []
    return []


def sae_folder(release: Release) -> Path | None:
    """The cached folder with the SAE's config and weights; None where it is absent or not whole."""
    snapshot = cached_folder(release.repo, revision=None, file=f"{release.path}/{SAE_CONFIG}")
    return snapshot / release.path if snapshot is not None and sae_is_whole(snapshot / release.path) else None


def sae_is_whole(folder: Path) -> bool:
    """Whether config and weights of an SAE are there."""
    return (folder / SAE_CONFIG).exists() and (folder / SAE_WEIGHTS).exists()


def model_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of the model's files."""
    return _hash_files(_model_files(folder))


def sae_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of the SAE's files."""
    return _hash_files([folder / SAE_CONFIG, folder / SAE_WEIGHTS])


def _hash_files(files: list[Path]) -> str:
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


def download_command(repo: str, *, include: Iterable[str] = (), revision: str | None = None) -> str:
    """The command that brings a repository, or a part of it, into the hub's cache."""
    parts = [f"hf download {repo}"]
    if revision is not None:
        parts.append(f"--revision {revision}")
    parts += [f'--include "{pattern}"' for pattern in include]
    return " ".join(parts)


def absent(what: Iterable[str], commands: Iterable[str]) -> str:
    """The sentence that says which weights are absent and what brings them."""
    return f"the weights of {' and '.join(what)} are not here; run: {' && '.join(commands)} ({_MIRROR})"


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
