"""A dictionary is an SAE in memory: what sae-lens made of its files is checked, and says where its features fire."""

from __future__ import annotations

import math
import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import torch
from safetensors import SafetensorError
from torch import Tensor

from saeprobe.files import FileError, quoted
from saeprobe.recorded.archives import load_data
from saeprobe.shapes import Bool, Float
from saeprobe.subject.files.model import offline
from saeprobe.subject.files.properties import COMPETING, properties_of
from saeprobe.subject.files.sae import KEYS, SaeSource
from saeprobe.subject.pairing import Located, Pairing
from saeprobe.subject.running.weights import is_finite
from saeprobe.subject.specification import UNIT_ROUNDOFF, SaeFile, SaeRelease, SubjectError, SubjectSpec

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sae_lens import SAE, StandardSAE, StandardSAEConfig

Sae = SAE[Any]

_UNSAFE: Final = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
ROWS: Final = 32  # are encoded together at least: with how many a row is multiplied decides how it is rounded
_DEVIATIONS: Final = 4  # of a rounding error that points in no particular direction; beyond them lies 1 in 16,000
_RMS: Final = 0.38  # of a value's rounding error, in unit roundoffs of the value (`tolerance_of`)
_LAYER_NORM_EPSILON: Final = 1e-5  # sae-lens' own

# What a file of strangers makes sae-lens, safetensors and torch raise.
_UNLOADABLE: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    *(pickle.UnpicklingError, SafetensorError),
)


def load_sae(found: Located, *, device: str) -> Sae:
    """Load the SAE and freeze it. A SubjectError says that it cannot be loaded, is not as planned, or not finite."""
    spec = found.pairing.spec
    try:
        with warnings.catch_warnings():
            # "load the model like so": `open_bridge` does.
            warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
            sae = _loaded(spec, found.sae, device=device)
    except (FileError, SubjectError) as error:
        raise SubjectError(str(error)) from error
    except _UNLOADABLE as error:
        name, said = type(error).__name__, quoted(error)
        if isinstance(error, pickle.UnpicklingError) or (str(error) and said == name):  # torch advises to trust it
            said = "the file holds more than plain tensors; it was refused and not run"
        what = name if said == name else f"{name}: {said}"
        raise SubjectError(f"sae-lens cannot load the SAE {spec.sae}: {what}") from error
    _check_planned(sae, found.pairing)
    _check_weights(sae, spec)
    return sae.eval().requires_grad_(requires_grad=False)


def _loaded(spec: SubjectSpec, source: SaeSource, *, device: str) -> Sae:
    load, from_pretrained = cast(Any, SAE.load_from_disk), cast(Any, SAE.from_pretrained)
    how = {"device": device, "dtype": spec.sae_dtype}
    if isinstance(spec.sae, SaeFile):
        return load(source.path, converter=goodfire, **how)
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
            return *goodfire(source.path, device, {**said, **cfg_overrides}), None
        # The release's own converter would ask the network for what lies in the cached folder.
        from sae_lens.loading.pretrained_sae_loaders import sae_lens_disk_loader

        return *sae_lens_disk_loader(source.path, device, cfg_overrides), None

    own = convert if conversion in (None, "goodfire") else None
    with offline():
        return from_pretrained(spec.sae.release, spec.sae.id, converter=own, **how)


def goodfire(
    path: Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Convert a file that `load_data` takes, as sae-lens asks a converter to; this is where torch reads one itself."""
    load_data(path)
    tensors = cast("dict[str, Tensor]", torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    overrides = cfg_overrides or {}
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


def relu_sae(trained: Sae, weights: dict[str, Tensor]) -> Sae:
    """Make an SAE of plain ReLUs with the pre-processing of the trained one."""
    kept = ("d_in", "d_sae", "dtype", "apply_b_dec_to_input", "normalize_activations", "reshape_activations")
    config = {name: getattr(trained.cfg, name) for name in kept}
    sae = StandardSAE(StandardSAEConfig(**config, device="meta"))  # no memory for what the weights replace
    sae.load_state_dict(weights, assign=True)
    sae.device = weights["W_enc"].device
    return sae.eval().requires_grad_(requires_grad=False)


def _check_planned(sae: Sae, pairing: Pairing) -> None:
    """See that sae-lens made of the files what was planned from them; the loaded SAE has the last word."""
    spec, config, metadata = pairing.spec, sae.cfg, sae.cfg.metadata
    stated: dict[str, Any] = {**vars(metadata), **vars(config)}
    stated |= {"architecture": config.architecture(), "sae_lens_version": None}
    of = properties_of(str(spec.sae), stated)
    found: dict[str, object] = {name: getattr(of, name) for name in ("d_in", "d_sae", "fixed_l0", "unsteerable")}
    # `metadata` answers None to a name that it does not have, so ask whether it has it first.
    for key, declared in (("hook_name", spec.hook_name), ("prepend_bos", spec.prepend_bos)):
        if key in metadata and declared is None and metadata[key] is not None:
            found[key] = metadata[key]
    planned = {**vars(pairing.properties), **vars(pairing)}
    wanted = {key: planned[key] for key in found}
    if found != wanted:
        raise SubjectError(f"the SAE {spec.sae} was planned as {wanted} but sae-lens loads it as {found}")


def _check_weights(sae: Sae, spec: SubjectSpec) -> None:
    """Refuse weights that are not finite, of which each would silence a feature: NaN is not above zero."""
    for name, weights in cast("dict[str, Tensor]", sae.state_dict()).items():
        if not is_finite(weights.detach()):
            wider = "" if spec.sae_dtype == "float32" else ', and if it is whole set sae_dtype = "float32"'
            raise SubjectError(
                f"{name} of the SAE {spec.sae} holds infinities or NaN in {spec.sae_dtype}; "
                f"copy or download it again{wider}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """Thresholds say from where an SAE's features fire, and how far rounding may move each feature.

    A rounding error of length t * |x| in no particular direction moves what the encoder reads by t * |x| * g, where g
    is the factor by which the SAE scales its input, and the pre-activation by that times |W_enc[:, i]| / sqrt(d_in)
    (one standard deviation).

    An SAE in 16 bits adds roundings of its own, with unit roundoff u. Those of the stream, of b_dec, of what the
    encoder reads and of its weights (three more where it scales) point in no particular direction and are of `_RMS` u
    each; those of single numbers, the product, the biases, their sum and the threshold, are bounded by u of each; a
    scale that is itself rounded twice moves the product by 2 u of it.
    """

    sae: Sae  # one whose features have thresholds of their own: with ReLU or JumpReLU, gated or not
    tolerance: float  # t, the rounding error as a share of the stream's norm
    level: Float[Tensor, " d_sae"] | float  # the thresholds, 0 for ReLU
    norms: Float[Tensor, " d_sae"]  # |W_enc[:, i]| / sqrt(d_in)

    def encode(self, x: Float[Tensor, "rows d_in"]) -> tuple[Float[Tensor, "rows d_sae"], Bool[Tensor, "rows d_sae"]]:
        """Return the features of x, and which of them are near their threshold."""
        kept: list[Tensor] = []

        def keep(_: object, __: object, output: Tensor) -> None:
            kept.append(output)

        with cast(Any, self.sae).hook_sae_acts_pre.register_forward_hook(keep):
            acts = self.sae.encode(x)
        scale, before = self._scale(x.float()), kept[0].float()
        if self.sae.cfg.architecture() != "gated":
            return acts, (before - self.level).abs() <= self._reach(x.float(), scale, before, "b_enc")
        # A gated feature is relu((x' @ w) exp(r) + b_mag) where x' @ w + b_gate is above zero: either may flip it.
        sae, stretch = cast(Any, self.sae), cast(Any, self.sae).r_mag.float().exp()
        gate = (before - sae.b_mag.float()) / stretch + sae.b_gate.float()
        of_gate = self._reach(x.float(), scale, gate, "b_gate")
        of_size = self._reach(x.float(), scale, before, "b_mag", stretch)
        return acts, ((gate.abs() <= of_gate) & (before > -of_size)) | ((before.abs() <= of_size) & (gate > -of_gate))

    def _scale(self, x: Float[Tensor, "rows d_in"]) -> Float[Tensor, "rows 1"] | float:
        """Return the factor by which the SAE scales each row before it encodes it."""
        normalised = self.sae.cfg.normalize_activations
        if normalised == "layer_norm":
            return 1 / (x.std(dim=-1, keepdim=True) + _LAYER_NORM_EPSILON)
        return x.shape[-1] ** 0.5 / _length(x) if normalised == "constant_norm_rescale" else 1.0

    def _reach(
        self,
        x: Float[Tensor, "rows d_in"],
        scale: Float[Tensor, "rows 1"] | float,
        before: Float[Tensor, "rows d_sae"],
        bias: str,
        stretch: Float[Tensor, " d_sae"] | float = 1.0,
    ) -> Float[Tensor, "rows d_sae"]:
        """Return by how much rounding may move each pre-activation."""
        read = _length(x) * scale
        unit = UNIT_ROUNDOFF.get(str(self.sae.dtype).removeprefix("torch."), 0.0)
        if not unit:
            return _DEVIATIONS * self.tolerance * read * self.norms * stretch
        scaled = not isinstance(scale, float)
        own = _RMS * unit * math.sqrt(7 if scaled else 4) * (read + _length(cast(Tensor, self.sae.b_dec).float()))
        wide = (self.tolerance * read).square().add(own.square()).sqrt() * self.norms * stretch
        times: Tensor | float = 4.0 if scaled else 2.0
        if isinstance(stretch, Tensor):  # exp(r) has an error of |r| u from that of r, and of u each in two products
            times = times + 2 + stretch.log().abs()
        single = times * (before.abs() + getattr(self.sae, bias).float().abs())
        return _DEVIATIONS * wide + unit * (single + self.level)


def _length(x: Float[Tensor, "... d"]) -> Float[Tensor, "... 1"]:
    return x.square().sum(-1, keepdim=True).sqrt()


def filled(x: Float[Tensor, "rows d_in"], rows: int) -> Float[Tensor, "more d_in"]:
    """Repeat the last row until there are `rows`, so that what a row gives does not depend on how few come with it."""
    return torch.cat([x, x[-1:].expand(max(0, rows - len(x)), -1)])


def thresholds_of(sae: Sae, *, tolerance: float) -> Thresholds | None:
    """Return the thresholds of an SAE; None where its features have none, as they compete: TopK, matching pursuit."""
    architecture = str(sae.cfg.architecture())
    if architecture in COMPETING:
        return None
    with torch.no_grad():
        encoder = cast(Tensor, sae.W_enc)
        # A threshold below zero is one of 0, as JumpReLU goes over ReLU.
        level = cast(Tensor, cast(Any, sae).threshold).float().clamp(min=0) if "jumprelu" in architecture else 0.0
        norms = cast(Any, torch).norm(encoder, dim=0, dtype=torch.float32) / encoder.shape[0] ** 0.5
        return Thresholds(sae=sae, tolerance=tolerance, level=level, norms=norms)


def divided(sae: Sae, x: Float[Tensor, "rows d_in"]) -> Bool[Tensor, " rows"]:
    """Say of each row that was encoded last whether its scale is a number; one that overflows would hide the row."""
    factor = getattr(sae, "x_norm_coeff", getattr(sae, "ln_std", None))
    if factor is None:
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    return (factor.isfinite() & (factor > 0))[:, 0]
