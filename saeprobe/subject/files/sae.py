"""Where an SAE lies, what its files say of it, and which files decide what it computes; read without torch."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import cast

from saeprobe.subject.files.goodfire import dimensions
from saeprobe.subject.files.model import cached_folder, cached_snapshot, hash_files, read_json
from saeprobe.subject.files.releases import Release, find_release
from saeprobe.subject.specification import Sae, SaeFile, SaeFolder, SaeRelease, SubjectError

CONFIG = "cfg.json"


WEIGHTS = "sae_weights.safetensors"


_WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".npz")


@dataclass(frozen=True, kw_only=True)
class SaeSource:
    """An SAE whose files are here.

    Attributes:
        place: its folder, or its one file.
        files: all that decides what it computes.
        release: what the registry of sae-lens says of it, where it is from there.
        said: its configuration: d_in, d_sae, architecture and, where its format has them, hook_name, prepend_bos,
            context_size, model_name, model_from_pretrained_kwargs.
    """

    place: Path
    files: tuple[Path, ...]
    release: Release | None
    said: Mapping[str, object]


def find_sae(sae: Sae) -> Path | None:
    """The folder or file of an SAE on this machine; None where it is absent or not whole."""
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
    place = None if snapshot is None else snapshot / release.path
    return place if place is not None and _weights_at(place) else None


def open_source(sae: Sae) -> SaeSource:
    """What the files of an SAE say.

    Raises:
        SubjectError: it is absent, or its configuration cannot be read.
    """
    place = find_sae(sae)
    if place is None:
        raise SubjectError(f"the SAE {sae} is not here")
    if isinstance(sae, SaeFile):
        d_in, d_sae = dimensions(place)
        said: dict[str, object] = {"d_in": d_in, "d_sae": d_sae, "architecture": "standard"}
        return SaeSource(place=place, files=(place,), release=None, said=said)
    release = find_release(sae) if isinstance(sae, SaeRelease) else None
    if isinstance(sae, SaeRelease) and release is not None and release.conversion is not None:
        files = tuple(sorted(file for file in (place.rglob("*") if place.is_dir() else [place]) if file.is_file()))
        said = _converted(sae, files)
        if release.conversion == "goodfire":  # sae-lens tells the sizes of two repositories from memory
            said["d_in"], said["d_sae"] = dimensions(place)
        return SaeSource(place=place, files=files, release=release, said=said)
    files = (place / CONFIG, place / WEIGHTS)
    return SaeSource(place=place, files=files, release=release, said=_saelens(place, release))


def _in_saelens_format(folder: Path) -> bool:
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()


def _weights_at(place: Path) -> bool:
    if place.is_dir():
        return any(file.suffix in _WEIGHT_SUFFIXES for file in place.rglob("*"))
    return place.is_file()


def _saelens(folder: Path, release: Release | None) -> dict[str, object]:
    """A `cfg.json` of sae-lens, with what its versions call differently under one name."""
    stated = read_json(folder / CONFIG)
    # Before sae-lens 6 the metadata stood at the top level, and hook_name was hook_point.
    said: dict[str, object] = {**stated, **stated.get("metadata", {}), **({} if release is None else release.overrides)}
    if "hook_point" in said:
        said.setdefault("hook_name", said["hook_point"])
    if "metadata" not in stated:  # SAELens 3 wrote no prepend_bos; it was always on, and sae-lens reads such files so
        said.setdefault("prepend_bos", True)
    return said


def _converted(sae: SaeRelease, files: tuple[Path, ...]) -> dict[str, object]:
    """The configuration that sae-lens gives an SAE of another format.

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
    unfinished = kept.with_suffix(f".{id(said)}.unfinished")
    unfinished.write_text(json.dumps(said, default=str), encoding="utf-8")
    unfinished.replace(kept)
    return said


def _ask_sae_lens(sae: SaeRelease) -> dict[str, object]:
    with warnings.catch_warnings():
        # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
        warnings.simplefilter("ignore", DeprecationWarning)
        from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface
    try:
        with offline():
            config = dict(load_sae_config_from_huggingface(sae.release, sae.id, device="cpu"))
    except (OSError, ValueError, KeyError) as error:
        raise SubjectError(
            f"sae-lens cannot read the configuration of the SAE {sae} from the Hub's cache: {error}"
        ) from error
    return {**config, **cast("dict[str, object]", config.get("metadata", {}))}


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
