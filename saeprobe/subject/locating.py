"""Locating: where the files of a subject lie, which of them are absent, and which the Hub would have to bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saeprobe.subject.files import model as weights
from saeprobe.subject.files.downloads import Download, absent
from saeprobe.subject.files.releases import find_release
from saeprobe.subject.files.sae import CONFIG, WEIGHTS, SaeSource, find_sae, open_source
from saeprobe.subject.files.shape import shape_of
from saeprobe.subject.pairing import Pairing, depth_of, pair
from saeprobe.subject.specification import SaeFile, SaeFolder, SaeRelease, SubjectError, SubjectSpec


@dataclass(frozen=True, kw_only=True)
class Located:
    """A subject whose files are here.

    Attributes:
        model: the folder of the model.
        model_files: what of it decides the streams that are read: configuration, tokenizer, weights.
        sae: the SAE.
        pairing: how the two are read together.
        next_layer: whether the block after the hook is here and can be tried too.
    """

    model: Path
    model_files: tuple[Path, ...]
    sae: SaeSource
    pairing: Pairing
    next_layer: bool

    @property
    def depth(self) -> int:
        """Blocks that are needed: those before the hook and, if it is tried, the one after."""
        return self.pairing.depth + self.next_layer


def locate(spec: SubjectSpec) -> Located:
    """The files of model and SAE and how they are read together.

    Raises:
        SubjectError: a file is absent, or model and SAE do not belong together.
    """
    lacking = missing(spec)
    if lacking is not None:
        raise SubjectError(f"{spec.name} cannot run here: {lacking}")
    folder, files = _model(spec)
    if folder is None:  # it was there a moment ago
        raise SubjectError(f"the files of {spec.name} went away while they were looked up; run again")
    sae = open_source(spec.sae)
    pairing = pair(spec, model=folder, sae=sae)
    beyond = pairing.depth + 1
    further: list[Path] = []
    if spec.try_next_layer and beyond <= pairing.n_layers:
        further = weights.model_files(folder, depth=None if pairing.family == "bridge" else beyond)
    return Located(
        model=folder, model_files=tuple(further or files), sae=sae, pairing=pairing, next_layer=bool(further)
    )


def missing(spec: SubjectSpec) -> str | None:
    """Which weights are absent and what brings them; None where all are here."""
    what: list[str] = []
    if _model(spec)[0] is None:
        if isinstance(spec.model, Path):
            return f"no whole model at {spec.model}: wanted config.json, model.safetensors and a tokenizer there"
        what.append(spec.model)
    if find_sae(spec.sae) is None:
        if isinstance(spec.sae, SaeFolder):
            return f"no whole SAE at {spec.sae.path}: wanted {CONFIG} and {WEIGHTS} there"
        if isinstance(spec.sae, SaeFile):
            return f"no SAE at {spec.sae.path}: wanted a .pt file in Goodfire's format"
        what.append(find_release(spec.sae).repo)
    return absent(what, spec.name) if what else None


def downloads(spec: SubjectSpec) -> tuple[Download, ...]:
    """What it needs from the Hub, whether that is here or not."""
    found: list[Download] = []
    if not isinstance(spec.model, Path):
        depth = _depth_to_fetch(spec)
        found.append(Download(repo=spec.model, revision=spec.revision, patterns=spec.fetch, depth=depth))
    if isinstance(spec.sae, SaeRelease):
        release = find_release(spec.sae)
        found.append(Download(repo=release.repo, patterns=release.patterns))
    return tuple(found)


def _model(spec: SubjectSpec) -> tuple[Path | None, list[Path]]:
    """The folder of the model and what is needed of it; None where files that are needed are absent."""
    folder = weights.model_folder(spec.model, revision=spec.revision)
    if folder is None:
        return None, []
    files = weights.model_files(folder, depth=_needed(spec, folder))
    return (folder if files else None), files


def _needed(spec: SubjectSpec, folder: Path) -> int | None:
    """How many blocks of the model in `folder` must be there; None for all.

    A hook that the model does not have needs all, too: `pair` refuses it with what there is.
    """
    try:
        hook_name, shape = _hook_name(spec), shape_of(folder)
        if hook_name is None or shape.family == "bridge":
            return None
        return depth_of(hook_name, n_layers=shape.layers, name=spec.name)
    except SubjectError:
        return None


def _hook_name(spec: SubjectSpec) -> str | None:
    """Where the SAE reads, as far as that is known before the SAE is here."""
    if spec.hook_name is not None or find_sae(spec.sae) is None:
        return spec.hook_name
    said = open_source(spec.sae).said.get("hook_name")
    return None if said is None else str(said)


def _depth_to_fetch(spec: SubjectSpec) -> int | None:
    """Of a model that runs layer by layer, how many it needs; None where that is not known beforehand."""
    if spec.hook_name is None or spec.shape is None or spec.shape.family == "bridge":
        return None
    return depth_of(spec.hook_name, n_layers=spec.shape.layers, name=spec.name) + spec.try_next_layer
