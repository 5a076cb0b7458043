"""SAEs on disk, loaded by sae-lens: a SAELens folder, or a `.pt` in Goodfire's format."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from sae_lens import SAE
from safetensors import SafetensorError

from saeprobe.article_files.torch_files import load_data
from saeprobe.cli.contents import read_contents
from saeprobe.cli.recognition import recognise
from saeprobe.cli.refusal import RefusedError
from saeprobe.subject.files.goodfire import as_standard
from saeprobe.subject.files.sae import find_sae as find_source
from saeprobe.subject.local import LocalSubject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import SubjectError

Sae = SAE[Any]


def find_sae(given: str, rootdir: Path) -> Path:
    """The file or folder of that name, or else the SAE of the subject of that name.

    Raises:
        RefusedError: there is neither, or the subject's SAE is not on this machine.
    """
    path = Path(given).expanduser()
    if path.exists():
        return path
    try:
        subject = find_subject(given, rootdir)
    except SubjectError as error:
        raise RefusedError(f"--sae {given}: there is no such file or folder, and {error}") from error
    place = find_source(subject.spec.sae) if isinstance(subject, LocalSubject) else None
    if place is None:
        raise RefusedError(f"the SAE of {given} is not here: {subject.missing()}")
    return place


def load_sae(path: Path, *, device: str) -> Sae:
    """The SAE in float32, frozen.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ArticleFileError: a `.pt` file is damaged or refers to code.
        RefusedError: it is no SAE of the two formats, or sae-lens cannot load or scale it.
    """
    contents = read_contents(path)
    known = recognise(contents)
    if known.warnings:
        raise RefusedError(f"{path}: {known.warnings[0]}; fetch it again, or save it as it was")
    if known.kind not in ("goodfire-sae", "saelens-sae"):
        raise RefusedError(f"{path} is {known.description}; wanted a SAELens folder or a .pt in Goodfire's format")
    load = cast(Callable[..., Sae], SAE.load_from_disk)
    try:
        with warnings.catch_warnings():
            # It warns that the model must be loaded with certain settings; here no model is loaded.
            warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
            if known.kind == "goodfire-sae":
                sae = load(contents.file, device=device, converter=_from_goodfire)
            else:
                sae = load(contents.file.parent, device=device, dtype="float32")
    except (KeyError, ValueError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise RefusedError(f"{path}: sae-lens cannot load it: {type(error).__name__}: {error}") from error
    if sae.cfg.normalize_activations == "expected_average_only_in":
        raise RefusedError(
            f"{path}: the SAE scales its inputs by a factor that its files do not hold; fold it in with "
            "sae.fold_activation_norm_scaling_factor(...) and save the SAE again"
        )
    return sae.eval().requires_grad_(requires_grad=False)


def _from_goodfire(
    path: Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A converter for `SAE.load_from_disk`."""
    return as_standard(
        cast(dict[str, torch.Tensor], load_data(path)), device=device, dtype="float32", overrides=cfg_overrides
    )
