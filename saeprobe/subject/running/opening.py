"""Opening brings a subject from its files into memory: by transformers in layers, or whole by TransformerLens."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from transformers import AutoTokenizer

from saeprobe.files import FileError, load_data
from saeprobe.subject.files.sae import SaeSource, offline
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.pairing import Located, Pairing
from saeprobe.subject.running.batches import (
    FastTokenizer,
    ResidualStream,
)
from saeprobe.subject.running.bridge import bridge_model
from saeprobe.subject.running.guard import foreign
from saeprobe.subject.running.layers import LayersModel, LayersSpeaker, open_speaker, open_stack
from saeprobe.subject.running.reader import SAE, Model, Sae, SaeReader, as_standard, thresholds_of
from saeprobe.subject.running.streamed import open_sweep
from saeprobe.subject.specification import Dtype, SaeFile, SaeRelease, SubjectError, SubjectSpec, tolerance_of

_UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An opening holds all that is decided before a subject is loaded."""

    spec: SubjectSpec
    located: Located
    plan: MemoryPlan  # where the weights lie
    dtype: Dtype  # what the model computes in
    plan_to_speak: Callable[[], MemoryPlan]  # where the weights would lie with all layers, if it comes to writing text

    @property
    def tolerance(self) -> float:
        """Return by how much rounding may move the stream at the hook, as a share of its norm."""
        return tolerance_of(self.dtype, depth=self.located.pairing.depth)


def open_reader(opening: Opening) -> SaeReader:
    """Load model and SAE."""
    # The memory plan counts GPUs as nvidia-smi does; CUDA, which reads this when it is first used, by speed otherwise.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    found = opening.located
    if found.pairing.family == "bridge":
        model: Model = bridge_model(found.model, found.pairing, device=opening.plan.device, dtype=opening.dtype)
    else:
        model = _layers(opening)
    sae = load_sae(opening.spec, found.sae, found.pairing, device=opening.plan.sae_device)
    return SaeReader(
        name=opening.spec.name,
        model=model,
        tokenizer=_tokenizer(found.model),
        sae=sae,
        thresholds=thresholds_of(sae, tolerance=opening.tolerance),
        pairing=found.pairing,
    )


def load_sae(spec: SubjectSpec, source: SaeSource, pairing: Pairing, *, device: str) -> Sae:
    """Load the SAE and freeze it."""
    try:
        with warnings.catch_warnings():
            # "load the model like so": `open_bridge` does.
            warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
            sae = _loaded_sae(spec, source, device=device)
    except FileError as error:
        raise SubjectError(str(error)) from error
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise SubjectError(f"sae-lens cannot load the SAE {spec.sae}: {type(error).__name__}: {error}") from error
    _check_sae(sae, pairing, spec)
    return sae.eval().requires_grad_(requires_grad=False)


def _loaded_sae(spec: SubjectSpec, source: SaeSource, *, device: str) -> Sae:
    load, from_pretrained = cast(Any, SAE.load_from_disk), cast(Any, SAE.from_pretrained)
    how = {"device": device, "dtype": spec.sae_dtype}
    if isinstance(spec.sae, SaeFile):
        return load(source.path, converter=_goodfire, **how)
    if not isinstance(spec.sae, SaeRelease):
        return load(source.path, **how)
    conversion = None if source.release is None else source.release.conversion
    if conversion not in (None, "goodfire") and os.environ.get(_UNSAFE):
        raise SubjectError(
            f"{_UNSAFE} is set, under which sae-lens would run the code in a .pt file; unset it: tensors need no code"
        )
    said = {key: value for key, value in source.said.items() if key not in ("device", "dtype", "d_in", "d_sae")}

    def convert(
        repo_id: str, folder_name: str, device: str, force_download: object, cfg_overrides: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Tensor], None]:
        del repo_id, folder_name, force_download
        if conversion == "goodfire":
            return *_goodfire(source.path, device, {**said, **cfg_overrides}), None
        # Imported here, after `reader` has imported sae-lens without its warnings. The release's own converter would
        # ask the network for what lies in the cached folder.
        from sae_lens.loading.pretrained_sae_loaders import sae_lens_disk_loader

        return *sae_lens_disk_loader(source.path, device, cfg_overrides), None

    own = convert if conversion in (None, "goodfire") else None
    with offline():
        return from_pretrained(spec.sae.release, spec.sae.id, converter=own, **how)


def _goodfire(
    path: Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    tensors, overrides = cast("dict[str, Tensor]", load_data(path)), cfg_overrides or {}
    return as_standard(tensors, device=device, dtype=str(overrides.get("dtype", "float32")), overrides=overrides)


def _check_sae(sae: Sae, pairing: Pairing, spec: SubjectSpec) -> None:
    """See that sae-lens made of the files what was planned from them."""
    # `metadata` answers None to a name that it does not have, so ask whether it has it first.
    metadata = sae.cfg.metadata
    found = {"d_in": sae.cfg.d_in, "d_sae": sae.cfg.d_sae}
    wanted: dict[str, object] = {"d_in": pairing.d_in, "d_sae": pairing.d_sae}
    for key, declared in (("hook_name", spec.hook_name), ("prepend_bos", spec.prepend_bos)):
        if key in metadata and declared is None and metadata[key] is not None:
            found[key] = metadata[key]
            wanted[key] = getattr(pairing, key)
    if found != wanted:
        raise SubjectError(f"the SAE {spec.sae} was planned as {wanted} but sae-lens loads it as {found}")
    if sae.cfg.normalize_activations == "expected_average_only_in":
        raise SubjectError(
            f"the SAE {spec.sae} scales its inputs by a factor that its files do not hold; "
            "fold it in with sae.fold_activation_norm_scaling_factor(...) and save the SAE again"
        )


def _tokenizer(folder: Path) -> FastTokenizer:
    with foreign(folder, "the tokenizer"):
        how = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = cast(Any, AutoTokenizer).from_pretrained(str(folder), **how)
    if not tokenizer.is_fast:
        raise SubjectError(
            f"the tokenizer in {folder} does not say which characters its tokens carry; wanted a tokenizer.json there"
        )
    return tokenizer


def _layers(opening: Opening) -> Model:
    found, plan = opening.located, opening.plan

    def read() -> ResidualStream:
        depth = max(1, found.depth)
        if plan.kind == "streamed":
            return open_sweep(found.model, depth=depth, dtype=opening.dtype, device=plan.device)
        return open_stack(
            found.model,
            depth=depth,
            dtype=opening.dtype,
            device=plan.device,
            max_memory=plan.max_memory,
            quantisation=plan.quantisation,
        )

    def speak() -> LayersSpeaker:
        return open_speaker(
            found.model, opening.plan_to_speak, depth=found.pairing.depth, dtype=opening.dtype, name=opening.spec.name
        )

    return LayersModel(
        device=plan.device,
        one_by_one=plan.quantisation is not None,
        centred=found.pairing.center_writing_weights,
        read=read,
        speak=speak,
    )
