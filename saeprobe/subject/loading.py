"""Load a located subject into memory: the model as a TransformerLens bridge, the SAE through sae-lens."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from transformer_lens.model_bridge import TransformerBridge

from saeprobe.subject.bridge import open_bridge
from saeprobe.subject.local import Located
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.specification import SaeFolder, SubjectError, SubjectSpec

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import sae_lens_disk_loader

Sae = SAE[Any]


def choose_device(device: str) -> str:
    """`auto` is an accelerator where there is one, else the CPU."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_model(spec: SubjectSpec, located: Located, *, device: str) -> TransformerBridge:
    """The model, its residual stream centred if the SAE wants that.

    It is loaded from its folder, also when it came from the Hub: no name is left that could be asked for there.
    """
    return open_bridge(
        located.model,
        center_writing_weights=located.pairing.center_writing_weights,
        device=device,
        dtype=cast(torch.dtype, getattr(torch, spec.dtype)),
    )


def load_sae(spec: SubjectSpec, located: Located, *, device: str) -> Sae:
    """The SAE, frozen.

    Raises:
        SubjectError: sae-lens understands its configuration otherwise than it was read for the plan.
    """
    with warnings.catch_warnings():
        # "load the model like so": `load_model` does.
        warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
        if isinstance(spec.sae, SaeFolder):
            sae = cast(Sae, SAE.load_from_disk(located.sae, device=device, dtype=spec.dtype))
        else:
            converter = cast(Any, _from_folder(located.sae))
            named = spec.sae
            sae = cast(Sae, SAE.from_pretrained(named.release, named.id, device, dtype=spec.dtype, converter=converter))
    _check(sae, located.pairing, spec)
    return sae.eval().requires_grad_(requires_grad=False)


def _from_folder(folder: Path) -> Callable[..., tuple[dict[str, Any], dict[str, torch.Tensor], None]]:
    """A loader for `SAE.from_pretrained` that reads the cached folder; sae-lens' own asks the network."""

    def load(
        repo_id: str, folder_name: str, device: str, force_download: object, cfg_overrides: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, torch.Tensor], None]:
        del repo_id, folder_name, force_download
        config, state = sae_lens_disk_loader(folder, device, cfg_overrides)
        return config, state, None

    return load


def _check(sae: Sae, pairing: Pairing, spec: SubjectSpec) -> None:
    """What was planned from the files must be what sae-lens made of them."""
    # `metadata` answers None to a name that it does not have, so ask whether it has it first.
    metadata = sae.cfg.metadata
    found = {"d_in": sae.cfg.d_in, "d_sae": sae.cfg.d_sae}
    wanted: dict[str, object] = {"d_in": pairing.d_in, "d_sae": pairing.d_sae}
    for key, declared in (("hook_name", spec.hook_name), ("prepend_bos", spec.prepend_bos)):
        if key in metadata and declared is None:
            found[key] = metadata[key]
            wanted[key] = getattr(pairing, key)
    if found != wanted:
        raise SubjectError(f"the SAE {spec.sae} was planned as {wanted} but sae-lens loads it as {found}")
    if sae.cfg.normalize_activations == "expected_average_only_in":
        raise SubjectError(
            f"the SAE {spec.sae} scales its inputs by a factor that its files do not hold; "
            "fold it in with sae.fold_activation_norm_scaling_factor(...) and save the SAE again"
        )
