"""The files of a model are found here, hashed and read without torch; nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from saeprobe.files import FileError, load_json, shortened
from saeprobe.subject.files import INDEX, layout_of, weights_in
from saeprobe.subject.files.shards import needed_shards, needed_tensors, read_weight_map
from saeprobe.subject.specification import Family, ModelShape, SubjectError

TOKENIZER: Final = (
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt"),
    *("*.model", "*.model.v*", "tekken.json", "*.tiktoken"),
    *("chat_template.jinja", "additional_chat_templates/*.jinja"),
)
"""Patterns of the files that `AutoTokenizer` of transformers may read; whichever are there decide the tokens."""

_MANY: Final = 2**31  # no size of a model is as large

DEPTH: Final = ("num_hidden_layers", "n_layer", "num_layers")  # what configurations call the number of layers


def cached_folder(repo: str, *, revision: str | None, file: str) -> Path | None:
    """Find the snapshot of `repo` in the Hub's cache that holds `file`; None where it does not."""
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    return Path(found).parents[len(Path(file).parts) - 1] if isinstance(found, str) else None


def cached_snapshot(repo: str, *, revision: str = "main") -> Path | None:
    """Find the snapshot of `repo` that a branch of the Hub's cache points to; None where there is none."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")
    branch = folder / "refs" / revision
    snapshot = folder / "snapshots" / (branch.read_text(encoding="utf-8").strip() if branch.exists() else revision)
    return snapshot if snapshot.is_dir() else None


def model_folder(model: str | Path, *, revision: str | None) -> Path | None:
    """Find the folder with the model's `config.json`; None where there is none."""
    if isinstance(model, Path):
        return model if (model / "config.json").exists() else None
    # The hub renamed gpt2 to openai-community/gpt2; whoever loaded it by its old name has it under that.
    names = [model] + ([model.partition("/")[2]] if model.startswith("openai-community/") else [])
    folders = (cached_folder(name, revision=revision, file="config.json") for name in names)
    return next((found for found in folders if found is not None), None)


def files_alone(path: Path | None) -> Path | None:
    """Return the path, having seen that a folder holds files and folders: who opens a pipe waits for its other end.

    A SubjectError says that it holds something else.
    """
    for file in path.iterdir() if path is not None and path.is_dir() else ():
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise SubjectError(f"{file} is neither a file nor a folder; put the file itself there, or take it away")
    return path


def model_files(folder: Path, *, depth: int | None) -> list[Path]:
    """List config, weights and tokenizer of the model in a folder; nothing where one of the three is absent.

    Of a model in shards only those with the embedding and the blocks before `depth` are needed; all for None.
    """
    config = folder / "config.json"
    weights = _weight_files(folder, depth=depth)
    tokenizer = [file for pattern in TOKENIZER for file in sorted(folder.glob(pattern), key=str)]
    return [config, *weights, *tokenizer] if config.exists() and weights and tokenizer else []


def _weight_files(folder: Path, *, depth: int | None) -> list[Path]:
    """List the file with the weights, or the index and the shards; nothing where a needed shard is absent."""
    named = weights_in(folder)
    if named != INDEX:
        return [] if named is None else [folder / named]
    files = read_weight_map(folder)
    names = sorted(set(files.values())) if depth is None else needed_shards(files, depth=depth)
    found = [folder / name for name in names]
    return [folder / INDEX, *found] if all(file.exists() for file in found) else []


def hash_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 over names and contents of files."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{_hash_file(file)}\n".encode())
    return whole.hexdigest()


def _hash_file(file: Path) -> str:
    """Hash the content; the Hub's cache names its large files by their hash, so that 140 GB need not be read."""
    target = file.resolve()
    cached = file.is_symlink() and target.is_file() and (target.parents[1] / "snapshots").is_dir()
    if cached and re.fullmatch(r"blobs/[0-9a-f]{64}", f"{target.parent.name}/{target.name}"):
        return target.name
    if not file.is_file():
        raise SubjectError(f"{file} is no file; put the file itself there, or fetch it again")
    stat = file.stat()  # whoever writes a file anew can set its size and st_mtime as they were, but not st_ctime
    return _sha256(file, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))


@cache
def _sha256(file: Path, state: tuple[int, ...]) -> str:  # noqa: ARG001 - a changed file has another cache key
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object from a file. A SubjectError says that the file is no JSON object."""
    try:
        found = load_json(file, numbers=False)  # a tokenizer's longest text may be 10**30
    except FileError as error:
        raise SubjectError(f"{file}: {error.problem}; wanted {error.wanted}; fetch or write it again") from error
    if not isinstance(found, dict):
        raise SubjectError(f"{file} holds {type(found).__name__}; wanted a JSON object")
    return cast("dict[str, Any]", found)


def shape_of(model: Path) -> ModelShape:
    """Read the sizes of the model in a folder, and which library runs it. A SubjectError says what is unstated."""
    whole = read_json(model / "config.json")
    config = table_of(whole.get("text_config", whole))  # an inner one where a model also sees or hears
    if not isinstance(config.get("model_type", ""), str):
        raise SubjectError(f"{model / 'config.json'} has model_type {shortened(config['model_type'])}; wanted its name")
    layout = layout_of(config)
    family: Family = "bridge" if layout is None else "layers"
    hidden = number_of(config, "hidden_size", "n_embd", "d_model")
    layers = number_of(config, *DEPTH)
    positions = _positions_of(config)
    if hidden is None or layers is None or positions is None:
        raise SubjectError(
            f"{model / 'config.json'} of architecture {config.get('model_type')!r} states no width, no layers or "
            "no positions; wanted a decoder-only language model of transformers"
        )
    heads = number_of(config, "num_attention_heads", "n_head", "num_heads") or 1
    return ModelShape(
        family=family,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=number_of(config, "num_key_value_heads") or heads,
        intermediate=number_of(config, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden,
        vocabulary=number_of(config, "vocab_size") or 0,
        positions=positions,
        gated=layout is not None and layout.gated,
    )


def _positions_of(config: Mapping[str, object]) -> int | None:
    """Count the tokens that a model can attend to by one table of angles; None where the configuration says nothing.

    A `longrope` model has one for short texts and one for long ones, and transformers takes that of the longest text
    of a batch for all of them: no text may be too long for the first.
    """
    positions = number_of(config, "max_position_embeddings", "n_positions", "n_ctx", "seq_length")
    said = [table_of(config.get(key)) for key in ("rope_parameters", "rope_scaling")]
    ropes = [*said, *(table_of(inner) for rope in said for inner in rope.values())]  # some have one a kind of layer
    if positions is None or not any("long_factor" in rope for rope in ropes):
        return positions
    limits = [n for one in (config, *ropes) if (n := number_of(one, "original_max_position_embeddings")) is not None]
    if not limits:
        raise SubjectError("config.json has a long_factor and no original_max_position_embeddings; wanted both of them")
    return min(positions, *limits)


def table_of(found: object) -> dict[str, object]:
    """Return an object of JSON; an empty one in the place of anything else."""
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def number_of(config: Mapping[str, object], *names: str) -> int | None:
    """Return the size under the first of some names that is there, or None; a SubjectError says that it is no size."""
    name = next((name for name in names if config.get(name) is not None), None)
    if name is None:
        return None
    value = config[name]
    if type(value) is not int or not 0 < value < _MANY:
        raise SubjectError(f"the model's config.json has {name} = {shortened(value)}; wanted a whole number above 0")
    return value


def read_config(folder: Path, *, depth: int) -> dict[str, Any]:
    """Read the model's configuration cut down to `depth` layers, lists with an entry a layer too.

    A SubjectError says that it has no number of layers or fewer than `depth`, or that this is not 1 or more.
    """
    if not (folder / "config.json").exists():
        raise SubjectError(f"{folder} has no config.json; wanted a model in Hugging Face format there")
    config = read_json(folder / "config.json")
    n_layers = number_of(config, *DEPTH)
    if n_layers is None or layout_of(config) is None:
        raise SubjectError(
            f"config.json of {folder} has num_hidden_layers {n_layers!r} (model_type {config.get('model_type')!r}); "
            "wanted a decoder-only text model such as Llama, Qwen2, Mistral or GPT-2"
        )
    if not 1 <= depth <= n_layers:
        raise SubjectError(
            f"depth {depth} is asked of {folder}, which has {n_layers} layers; wanted a depth in [1, {n_layers}]"
        )
    cut = {key: _cut(value, n_layers, depth) for key, value in config.items()}
    return {**cut, **{key: depth for key in DEPTH if key in config}}


def _cut(value: object, n_layers: int, depth: int) -> object:
    if not isinstance(value, list):
        return value
    entries = cast("list[object]", value)
    return entries[:depth] if len(entries) == n_layers else entries


@contextmanager
def truncated(folder: Path, *, depth: int) -> Generator[Path]:
    """Make a temporary folder that is the same model with `depth` layers: its own config, an index naming the files.

    `from_pretrained` wants every file that an index names and reports every tensor that a model has no place for.
    With an index of the needed tensors alone it neither asks for the files of later layers nor reads what else lies
    in the files it opens, and all its ways to load (devices, quantisation, renamed tensors) stay in use. Its paths
    are absolute, as Windows lets few users make links. It raises as `needed_tensors` and `read_config`.
    """
    config = read_config(folder, depth=depth)
    weight_map = read_weight_map(folder)
    whole = folder.absolute()
    kept = {name: str(whole / weight_map[name]) for name in needed_tensors(weight_map, depth=depth)}
    with tempfile.TemporaryDirectory(prefix="saeprobe-") as made:
        view = Path(made)
        (view / "config.json").write_bytes(json.dumps(config).encode())
        (view / INDEX).write_bytes(json.dumps({"metadata": {}, "weight_map": kept}).encode())
        yield view


def hash_of(decides: Mapping[str, object]) -> str:
    """Hash what decides a result, written as JSON."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def joined(first: str, second: str) -> str:
    """Hash two hashes into one."""
    return hashlib.sha256(f"{first}\0{second}".encode()).hexdigest()


@contextmanager
def bars_where_watched() -> Generator[None]:
    """Show no bars of transformers inside the block unless stderr is a terminal."""
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled() or sys.stderr.isatty():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


@contextmanager
def offline() -> Generator[None]:
    """Let huggingface_hub take what is cached and ask nobody, as under HF_HUB_OFFLINE=1."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
