"""An SAE is found on this machine, with what its files say of it and which of them decide what it computes."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Final, cast

from saeprobe.claims import NotRun
from saeprobe.files import FileError, quoted, shortened, write_whole
from saeprobe.recorded.archives import load_data
from saeprobe.shapes import StoredTensor
from saeprobe.subject import models_absent
from saeprobe.subject.files.model import cached_folder, cached_snapshot, hash_files, offline, read_json
from saeprobe.subject.files.properties import Properties, Tensor, check_kinds, check_tensors, properties_of
from saeprobe.subject.specification import Sae, SaeFile, SaeFolder, SaeRelease, SubjectError

CONFIG: Final = "cfg.json"
WEIGHTS: Final = "sae_weights.safetensors"
KEYS: Final = ("encoder_linear.weight", "encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias")

_SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".npz")


def dimensions(file: Path) -> tuple[int, int]:
    """Return `d_in` and `d_sae` of an SAE in Goodfire's format. A SubjectError says that it is no whole one."""
    try:
        data = load_data(file)
    except (FileError, OSError) as error:
        raise SubjectError(str(error)) from error
    values = cast("dict[object, object]", data) if isinstance(data, dict) else {}
    found = {
        str(key): Tensor(shape=value.shape, kind=value.dtype) if isinstance(value, StoredTensor) else Tensor(shape=())
        for key, value in values.items()
    }
    if set(found) != set(KEYS):
        compiled = any(key.startswith("_orig_mod.") for key in found)
        remedy = "; torch.compile wrote _orig_mod. before the names: save the module inside" if compiled else ""
        raise SubjectError(
            f"{file} is no SAE in Goodfire's format: found the keys {', '.join(sorted(found)) or 'none'}; "
            f"wanted {', '.join(KEYS)}{remedy}"
        )
    shapes = {key: tensor.shape for key, tensor in found.items()}
    d_sae, d_in = (*shapes[KEYS[0]], 0, 0)[:2]
    wanted = dict(zip(KEYS, ((d_sae, d_in), (d_sae,), (d_in, d_sae), (d_in,)), strict=True))
    if shapes != wanted or not d_in * d_sae:
        raise SubjectError(f"the tensors of {file} do not fit together: found {shapes}; wanted {wanted}")
    check_kinds(file, found)
    return d_in, d_sae


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release is what sae-lens' registry says of one SAE."""

    repo: str  # on the Hub
    path: str  # where it lies there
    conversion: str | None  # None where it is in sae-lens' own format
    model: str | None = None
    l0: float | None = None  # active features a token, as its publisher states it
    variance_explained: float | None = None  # likewise
    scales: bool = False  # whether sae-lens has a factor for its inputs, which it folds into the weights
    overrides: Mapping[str, object] = field(default_factory=dict[str, object])  # they go over its `cfg.json`

    @property
    def patterns(self) -> tuple[str, ...]:
        """Return patterns for the files of the SAE in its repository."""
        return (self.path,) if Path(self.path).suffix in _SUFFIXES else (f"{self.path}/*",)


def find_release(sae: SaeRelease) -> Release:
    """Look an SAE up in the registry that sae-lens ships, without importing sae-lens.

    A SubjectError says that the release or the id is unknown; the nearest names are given.
    """
    names = _registry_text()
    if sae.release not in names:
        unknown = f"SAE release {sae.release!r} is not in the registry of sae-lens"
        raise SubjectError(unknown + near(sae.release, names, "release"))
    entry = _parse_release(sae.release)
    ids = {str(one["id"]): one for one in cast("list[dict[str, object]]", entry["saes"])}
    if sae.id not in ids:
        raise SubjectError(f"SAE id {sae.id!r} is not in release {sae.release!r}" + near(sae.id, ids, "id"))
    conversion, model = entry.get("conversion_func"), entry.get("model")
    return Release(
        repo=str(entry["repo_id"]),
        path=str(ids[sae.id]["path"]),
        conversion=None if conversion is None else str(conversion),
        model=None if model is None else str(model),
        l0=_number(ids[sae.id].get("l0")),
        variance_explained=_number(ids[sae.id].get("variance_explained")),
        scales=ids[sae.id].get("norm_scaling_factor") is not None,
        overrides=cast("dict[str, object]", entry.get("config_overrides") or {}),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def near(name: str, names: Iterable[str], noun: str) -> str:
    """Say `; did you mean X or Y?`, or name some that do exist."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(repr(one) for one in close)}?"
    shown = ", ".join([*known[:8], *(["..."] if known[8:] else [])])
    return f"; wanted one of the {noun}s {shown}"


@cache
def _registry_text() -> dict[str, str]:
    """Return the registry's text by release. It has 1.5 MB: only the release that is asked for is parsed."""
    found = importlib.util.find_spec("sae_lens")
    if found is None or not found.submodule_search_locations:
        raise NotRun(str(models_absent("sae_lens")))
    text = (Path(found.submodule_search_locations[0]) / "pretrained_saes.yaml").read_text(encoding="utf-8")
    parts = re.split(r"^([^\s#][^\n]*):[ ]*\n", text, flags=re.MULTILINE)
    return {name.strip("'\""): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def _parse_release(release: str) -> dict[str, object]:
    import yaml

    return cast("dict[str, object]", yaml.safe_load(_registry_text()[release]))


@dataclass(frozen=True, kw_only=True)
class SaeSource:
    """A source is an SAE whose files are here: `path` is its folder or its one file, `files` decide what it computes.

    `said` is its configuration: d_in, d_sae and, where its format has them, hook_name, prepend_bos, context_size,
    model_name, model_from_pretrained_kwargs and what decides its `properties`.
    """

    path: Path
    files: tuple[Path, ...]
    release: Release | None
    said: Mapping[str, object]

    @cached_property
    def properties(self) -> Properties:
        """Return how it computes, after a look at the header of its weights; a SubjectError refuses it."""
        name, folded = str(self.path), self.release is not None and self.release.scales
        found = properties_of(name, self.said, folded=folded)
        if WEIGHTS in (file.name for file in self.files):
            check_tensors(self.path / WEIGHTS, found, self.said)
        return found


def find_sae(sae: Sae) -> Path | None:
    """Find the folder or file of an SAE on this machine; None where it is absent or not whole."""
    if isinstance(sae, SaeFile):
        return sae.path if sae.path.is_file() else None
    if isinstance(sae, SaeFolder):
        return sae.path if _in_saelens_format(sae.path) else None
    release = find_release(sae)
    if release.conversion is None:
        snapshot = cached_folder(release.repo, revision=None, file=f"{release.path}/{CONFIG}")
        return snapshot / release.path if snapshot is not None and _in_saelens_format(snapshot / release.path) else None
    # Which files a format has is known to its loader in sae-lens alone; here its folder must hold weights.
    snapshot = cached_snapshot(release.repo)
    path = None if snapshot is None else snapshot / release.path
    if path is None or path.is_file():
        return path
    return path if any(file.suffix in _SUFFIXES for file in path.rglob("*")) else None


def open_source(sae: Sae, path: Path) -> SaeSource:
    """Read what the files of an SAE say that was found at `path`."""
    if isinstance(sae, SaeFile):
        d_in, d_sae = dimensions(path)
        return SaeSource(path=path, files=(path,), release=None, said={"d_in": d_in, "d_sae": d_sae})
    release = find_release(sae) if isinstance(sae, SaeRelease) else None
    if isinstance(sae, SaeRelease) and release is not None and release.conversion is not None:
        files = tuple(sorted(file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()))
        said = _goodfire(path, release) if release.conversion == "goodfire" else _converted(sae, files)
        return SaeSource(path=path, files=files, release=release, said=said)
    return SaeSource(path=path, files=(path / CONFIG, path / WEIGHTS), release=release, said=_saelens(path, release))


def _in_saelens_format(folder: Path) -> bool:
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()


def _saelens(folder: Path, release: Release | None) -> dict[str, object]:
    """Read a `cfg.json` of sae-lens, with what its versions call differently under one name."""
    stated = read_json(folder / CONFIG)
    inner: object = stated.get("metadata", {})
    if not isinstance(inner, dict):
        raise SubjectError(f"{folder / CONFIG} has the metadata {shortened(inner)}; wanted an object")
    # Before sae-lens 6 the metadata stood at the top level, and hook_name was hook_point.
    said: dict[str, object] = {**stated, **inner, **({} if release is None else release.overrides)}
    if "hook_point" in said:
        said.setdefault("hook_name", said["hook_point"])
    if "metadata" not in stated:  # SAELens 3 wrote no prepend_bos; it was always on, and sae-lens reads such files so
        said.setdefault("prepend_bos", True)
    return said


def _goodfire(file: Path, release: Release) -> dict[str, object]:
    """Say of an SAE of Goodfire what sae-lens has in a table of its own, without the seconds that it takes to import.

    The layer stands in the name of the file, as it was published: after its block. No name, no hook.
    """
    d_in, d_sae = dimensions(file)
    said: dict[str, object] = {"architecture": "standard", "d_in": d_in, "d_sae": d_sae, "prepend_bos": True}
    said |= {"apply_b_dec_to_input": False, "normalize_activations": "none", "reshape_activations": "none"}
    layer = re.search(r"-l([0-9]{1,3})\.pth?$", release.path)
    hook = {} if layer is None else {"hook_name": f"blocks.{layer[1]}.hook_resid_post"}
    return {**said, **hook, "model_name": release.model, **release.overrides}


def _converted(sae: SaeRelease, files: tuple[Path, ...]) -> dict[str, object]:
    """Return the configuration that sae-lens gives an SAE of another format.

    Only sae-lens knows these formats, and it imports torch. So it is asked once, and its answer is kept among the
    Hub's assets under the hash of the SAE's files and the version of sae-lens.
    """
    from huggingface_hub import cached_assets_path, constants

    key = f"{sae}\0{hash_files(files)}\0{metadata.version('sae-lens')}"
    folder = cached_assets_path("saeprobe", namespace="sae-configs", assets_dir=constants.HF_ASSETS_CACHE)
    kept = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    if kept.exists():
        return read_json(kept)
    said = _ask_sae_lens(sae)
    write_whole(kept, json.dumps(said, default=str).encode())
    return said


def _ask_sae_lens(sae: SaeRelease) -> dict[str, object]:
    with warnings.catch_warnings():
        # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
        warnings.simplefilter("ignore", DeprecationWarning)
        from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface
    try:
        with offline():
            config = dict(load_sae_config_from_huggingface(sae.release, sae.id, device="cpu"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        what = f"the configuration of the SAE {sae} from the Hub's cache"
        raise SubjectError(f"sae-lens cannot read {what}: {quoted(error)}") from error
    return {**config, **cast("dict[str, object]", config.get("metadata", {}))}
