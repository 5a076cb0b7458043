"""Load the SAE of a located subject through sae-lens, which knows every architecture; pickles as plain data only."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saeprobe.files import FileError, load_data
from saeprobe.subject.files.sae import KEYS, SaeSource, offline
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.specification import SaeFile, SaeRelease, SubjectError, SubjectSpec

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import sae_lens_disk_loader


Sae = SAE[Any]

_UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def load_sae(spec: SubjectSpec, source: SaeSource, pairing: Pairing, *, device: str) -> Sae:
    """Load the SAE and freeze it."""
    try:
        with warnings.catch_warnings():
            # "load the model like so": `open_bridge` does.
            warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
            sae = _load(spec, source, device=device)
    except FileError as error:
        raise SubjectError(str(error)) from error
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise SubjectError(f"sae-lens cannot load the SAE {spec.sae}: {type(error).__name__}: {error}") from error
    _check(sae, pairing, spec)
    return sae.eval().requires_grad_(requires_grad=False)


def _load(spec: SubjectSpec, source: SaeSource, *, device: str) -> Sae:
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
    converters: dict[str | None, _Converter] = {
        # sae-lens' own asks the network for what lies in the cached folder.
        None: lambda device, overrides: sae_lens_disk_loader(source.path, device, overrides),
        "goodfire": lambda device, overrides: _goodfire(source.path, device, {**said, **overrides}),
    }
    convert = converters.get(conversion)
    with offline():
        return from_pretrained(
            spec.sae.release, spec.sae.id, converter=None if convert is None else _converter(convert), **how
        )


_Converter = Callable[[str, dict[str, Any]], tuple[dict[str, Any], dict[str, Tensor]]]


def _converter(convert: _Converter) -> Callable[..., tuple[dict[str, Any], dict[str, Tensor], None]]:
    """Make a converter as `SAE.from_pretrained` calls one: it wants to be given the name in the Hub too."""

    def load(
        repo_id: str, folder_name: str, device: str, force_download: object, cfg_overrides: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Tensor], None]:
        del repo_id, folder_name, force_download
        return *convert(device, cfg_overrides), None

    return load


def _goodfire(
    path: Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    tensors, overrides = cast("dict[str, Tensor]", load_data(path)), cfg_overrides or {}
    return as_standard(tensors, device=device, dtype=str(overrides.get("dtype", "float32")), overrides=overrides)


def as_standard(
    tensors: Mapping[str, Tensor], *, device: str, dtype: str, overrides: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and state of sae-lens' StandardSAE: f = relu(x @ W_enc + b_enc), x' = f @ W_dec + b_dec.

    It renames as sae-lens' own `get_goodfire_huggingface_loader`, which cannot be used on a file: that one takes
    its configuration from a table of two repositories, fetches from the Hub, and leaves `weights_only` to torch's
    default. The weights stay mapped from disk where they have the dtype and device already.
    """
    to = cast("torch.dtype", getattr(torch, dtype))
    w_enc, b_enc, w_dec, b_dec = (tensors[key].to(device=device, dtype=to) for key in KEYS)
    d_sae, d_in = w_enc.shape
    config = {"architecture": "standard", "d_in": d_in, "d_sae": d_sae, "apply_b_dec_to_input": False}
    state = {"W_enc": w_enc.T, "b_enc": b_enc, "W_dec": w_dec.T, "b_dec": b_dec}
    return {**config, **(overrides or {}), "dtype": dtype, "device": device}, state


def _check(sae: Sae, pairing: Pairing, spec: SubjectSpec) -> None:
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


_DEVIATIONS = 4  # of a rounding error that points in no particular direction; beyond them lies 1 in 16,000


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """Thresholds say from where an SAE's features fire, and how far rounding may move each feature.

    A rounding error of length t * |x| in no particular direction moves the pre-activation x @ W_enc[:, i] by
    t * |x| * |W_enc[:, i]| / sqrt(d_in) (one standard deviation).

    Attributes:
        sae: a standard (ReLU) or JumpReLU SAE; in the others a feature has no threshold of its own.
        tolerance: t, the rounding error as a share of the stream's norm.
        level: the thresholds, 0 for ReLU.
        norms: |W_enc[:, i]| / sqrt(d_in).
    """

    sae: Sae
    tolerance: float
    level: Float[Tensor, " d_sae"] | float
    norms: Float[Tensor, " d_sae"]

    def encode(self, x: Float[Tensor, "rows d_in"]) -> tuple[Float[Tensor, "rows d_sae"], Bool[Tensor, "rows d_sae"]]:
        """Return the features of x, and which of them are near their threshold."""
        kept: list[Tensor] = []

        def keep(module: object, inputs: object, output: Tensor) -> None:
            del module, inputs
            kept.append(output)

        handle = cast(Any, self.sae).hook_sae_acts_pre.register_forward_hook(keep)
        try:
            acts = self.sae.encode(x)
        finally:
            handle.remove()
        length = x.square().sum(-1, keepdim=True).sqrt()
        reach = _DEVIATIONS * self.tolerance * length * self.norms
        return acts, (kept[0] - self.level).abs() <= reach


def thresholds_of(sae: Sae, *, tolerance: float) -> Thresholds | None:
    """Return the thresholds of an SAE; None for an architecture whose features have none, such as TopK."""
    architecture = sae.cfg.architecture()
    if architecture not in ("standard", "jumprelu"):
        return None
    with torch.no_grad():
        encoder = cast(Tensor, sae.W_enc)
        return Thresholds(
            sae=sae,
            tolerance=tolerance,
            level=cast(Any, sae).threshold if architecture == "jumprelu" else 0.0,
            norms=(encoder.square().mean(0)).sqrt(),
        )
