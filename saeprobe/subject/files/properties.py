"""Properties are what an SAE's files say of it before it is loaded: how it computes, and the shapes of its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from safetensors import SafetensorError, safe_open

from saeprobe.files import shortened
from saeprobe.shapes import FLOATS
from saeprobe.subject.specification import SubjectError

_T = TypeVar("_T")
REMEDY: Final = "copy or download it again and compare sizes"

# Kinds of numbers that a weight may have; integers would be weights in 8 bits, of which the scale is elsewhere.
_FLOATS: Final = ("F64", "F32", "F16", "BF16", *FLOATS)

_PLAIN: Final = ("W_enc", "b_enc", "W_dec", "b_dec")
_TENSORS: Final[dict[str, tuple[str, ...]]] = {
    "standard": _PLAIN,
    "topk": _PLAIN,
    "jumprelu": (*_PLAIN, "threshold"),
    "gated": ("W_enc", "b_gate", "b_mag", "r_mag", "W_dec", "b_dec"),
    "matching_pursuit": ("W_dec", "b_dec"),
    "transcoder": _PLAIN,
    "skip_transcoder": (*_PLAIN, "W_skip"),
    "jumprelu_transcoder": (*_PLAIN, "threshold"),
    "jumprelu_skip_transcoder": (*_PLAIN, "threshold", "W_skip"),
}
"""The architectures that are supported, by sae-lens' names, and the tensors of each."""

_TRAINED: Final = (
    "it is saved as in training, where its features compete over a whole batch; save it with save_inference_model of "
    "sae-lens, which makes a JumpReLU SAE of it"
)
COMPETING: Final = ("topk", "matching_pursuit")  # architectures whose features have no threshold of their own
_REFUSED: Final[dict[str, str]] = {
    "abstopk": "its features have a sign, and here a feature is active where it is above zero",
    "temporal": "its features depend on the whole sequence, and here an SAE reads one token at a time",
    "batchtopk": _TRAINED,
    "matryoshka_batchtopk": _TRAINED,
    **dict.fromkeys(("crosscoder", "clt", "cross_layer_transcoder"), "it reads or writes several layers at once"),
}
"""Why an architecture is not supported, where there is more to say than that it is unknown."""

_SCALINGS: Final = {"layer_norm": "its standard deviation", "constant_norm_rescale": "its norm"}
"""Scalings of the input that an SAE does by itself, and what of the stream it is divided by."""

_FOLD: Final[dict[str, str]] = {
    "expected_average_only_in": "fold_activation_norm_scaling_factor",
    "covariance_whitening": "fold_activation_whitening",
}
"""Scalings by numbers that the files of an SAE do not hold, and what folds them into its weights."""

_SIXTH: Final = 6  # version of sae-lens, which reads earlier files in a way of their own


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor stands in the header of a file with its shape and the kind of its numbers."""

    shape: tuple[int, ...]
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Properties:
    """Properties decide what may be asked of an SAE."""

    architecture: str  # in sae-lens' names
    d_in: int  # width of what it reads
    d_sae: int  # how many features it has
    d_out: int | None  # width of what it writes, None where no file says
    writes_to: str | None  # where a transcoder writes; None for an SAE, which gives back what it read
    # how many features it keeps of each token, whatever the text; None where that depends on the text. A BatchTopK SAE,
    # which is read as a JumpReLU one, has a mean over its training fixed and no token's number
    fixed_l0: int | None
    unsteerable: str | None  # why adding to a feature is not adding its decoder row at the hook; None where it is


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What an SAE's configuration states is taken out of it, each value of the type that it must have."""

    sae: str
    config: Mapping[str, object]

    def refuse(self, key: str, wanted: str) -> SubjectError:
        """Return the error that says what stands under a key, and what was wanted there."""
        value = "None" if self.config.get(key) is None else shortened(self.config[key])  # a null is not absent
        return SubjectError(f"the configuration of the SAE {self.sae} has {key} = {value}; wanted {wanted}")

    def count(self, key: str, default: int | None, *, least: int = 1, most: int = 2**31) -> int | None:
        """Return a whole number."""
        value = self.config.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(key, f"a whole number from {least} to {most:,}")
        return value

    def needed(self, key: str, *, why: str = "") -> int:
        """Return a whole number that must be there."""
        value = self.count(key, None)
        if value is None:
            raise SubjectError(f"the configuration of the SAE {self.sae} does not say {key}{why}; write it there")
        return value

    def flag(self, key: str, *, default: bool | None) -> bool | None:
        """Return what is true or false."""
        return self._of(bool, key, default, "true or false")

    def text(self, key: str, default: str | None) -> str | None:
        """Return a text."""
        return self._of(str, key, default, "a text")

    def table(self, key: str) -> Mapping[str, object]:
        """Return an object of JSON; an empty one where there is none."""
        return cast("dict[str, object]", self._of(dict, key, {}, "an object"))

    def _of(self, kind: type[_T], key: str, default: _T | None, wanted: str) -> _T | None:
        value = self.config.get(key)
        if value is not None and not isinstance(value, kind):
            raise self.refuse(key, wanted)
        return default if value is None else value


def properties_of(sae: str, config: Mapping[str, object], *, folded: bool = False) -> Properties:
    """Return the properties that a configuration of sae-lens states, and refuse by name what is not supported.

    Errors name it by `sae`. The configuration is in the names of any version of sae-lens; `folded` says whether that
    folds the scaling of the input into the weights, by a factor of its registry.

    A SubjectError says which kind is not supported, or what a key wants instead of its value.
    """
    said = Stated(sae=sae, config=config)
    architecture, k = _architecture(said)
    _check_input(said)
    scaling = _scaling(said, folded=folded)
    d_in = said.needed("d_in")
    d_sae = said.needed("d_sae", why=" (the number of its features, rows of W_dec; old files say expansion_factor)")
    if k is not None and k > d_sae:
        raise said.refuse("k", f"at most {d_sae:,}, the number of its features")
    elsewhere = said.text("hook_name_out", None)
    transcodes = "transcoder" in architecture or elsewhere not in (None, "", config.get("hook_name"))
    writes_to = (elsewhere or "a hook that its files do not name") if transcodes else None
    return Properties(
        architecture=architecture,
        d_in=d_in,
        d_sae=d_sae,
        d_out=said.count("d_out", None) if "transcoder" in architecture else d_in,
        writes_to=writes_to,
        fixed_l0=_fixed_l0(said, architecture, k, d_in),
        unsteerable=_unsteerable(said, architecture, writes_to, scaling),
    )


def _unsteerable(said: Stated, architecture: str, writes_to: str | None, scaling: str) -> str | None:
    """Say why adding to a feature is not adding its decoder row at the hook; None where it is."""
    if writes_to is not None:
        return f"it is a transcoder, whose features write to {writes_to} and not to the hook that it reads"
    if scaling != "none":
        return f"it divides the stream by {_SCALINGS[scaling]} ({scaling}): one strength would move tokens unequally"
    if architecture == "topk" and said.flag("rescale_acts_by_decoder_norm", default=False):
        return "it divides each feature by the norm of its decoder row before it writes"
    return None


def _architecture(said: Stated) -> tuple[str, int | None]:
    """Return the architecture and, for TopK, the features that it keeps of each token."""
    version = said.text("sae_lens_version", None)
    major = re.match(r"\d{1,9}(?=\.)", version or "0.")
    if major is None:
        raise said.refuse("sae_lens_version", "a version such as 6.54.12")
    architecture = said.text("architecture", "standard" if int(major[0]) < _SIXTH else None)
    if architecture is None:
        raise said.refuse("architecture", f"one of {', '.join(_TENSORS)}")
    activation = said.text("activation_fn_str", said.text("activation_fn", "relu"))
    k = said.count("k", None)
    if activation == "topk":  # versions 3 to 5 wrote a TopK SAE so, as a standard one
        kept = Stated(sae=said.sae, config=said.table("activation_fn_kwargs")).count("k", k)
        architecture, k = ("topk", kept) if architecture in ("standard", "topk") else (architecture, k)
    if architecture in _REFUSED:
        raise SubjectError(f"the SAE {said.sae} is of architecture {architecture!r}: {_REFUSED[architecture]}")
    if architecture not in _TENSORS:
        raise said.refuse("architecture", f"one of {', '.join(_TENSORS)}: no other is supported")
    allowed = {"relu", *(["topk"] if architecture == "topk" else ["jumprelu"] if "jumprelu" in architecture else [])}
    if activation not in allowed:
        raise SubjectError(
            f"the SAE {said.sae} has the activation function {activation!r}, which sae-lens no longer computes and "
            "would take for relu; it is not supported"
        )
    if architecture == "topk" and k is None:
        raise said.refuse("k", "how many features it keeps of each token")
    return architecture, k if architecture == "topk" else None


def _check_input(said: Stated) -> None:
    """Refuse an SAE that reads something else than the residual stream of one token."""
    hook = said.text("hook_name", "") or ""
    reshaped = said.text("reshape_activations", "none")
    if reshaped != "none" or "hook_z" in hook:
        raise SubjectError(
            f"the SAE {said.sae} reads the outputs of attention heads (hook {hook or 'hook_z'}, reshape_activations = "
            f"{reshaped!r}); this version of saeprobe reads the residual stream between blocks: "
            "blocks.N.hook_resid_pre or blocks.N.hook_resid_post"
        )
    head = said.count("hook_head_index", said.count("hook_point_head_index", None, least=0), least=0)
    if head is not None:
        raise SubjectError(f"the SAE {said.sae} reads attention head {head} alone, which is not supported")
    if "apply_b_dec_to_input" in said.config and said.flag("apply_b_dec_to_input", default=None) is None:
        raise said.refuse("apply_b_dec_to_input", "true or false")


def _scaling(said: Stated, *, folded: bool) -> str:
    """Return how the SAE scales what it reads, by itself."""
    value = said.config.get("normalize_activations")
    if value is None or isinstance(value, bool):  # before sae-lens 4
        value = "expected_average_only_in" if value else "none"
    if value == "expected_average_only_in" and folded:
        return "none"
    if isinstance(value, str) and value in _FOLD:
        raise SubjectError(
            f"the SAE {said.sae} scales its inputs ({value}) by numbers that its files do not hold; fold them in with "
            f"sae.{_FOLD[value]}(...) and save the SAE again"
        )
    if value != "none" and not (isinstance(value, str) and value in _SCALINGS):
        raise said.refuse("normalize_activations", f"none or one of {', '.join((*_SCALINGS, *_FOLD))}")
    return str(value)


def _fixed_l0(said: Stated, architecture: str, k: int | None, d_in: int) -> int | None:
    """Return how many features the SAE keeps of each token by construction.

    Matching pursuit takes one a step. It stops early where its error is small, which with fewer steps than dimensions
    is the exception; without a bound on the steps the text decides.
    """
    if architecture != "matching_pursuit":
        return k
    threshold = said.config.get("residual_threshold", 0.01)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not math.isfinite(threshold):
        raise said.refuse("residual_threshold", "a finite number")
    said.flag("stop_on_duplicate_support", default=True)
    steps = said.count("max_iterations", None)
    return steps if steps is not None and steps < d_in else None


def check_tensors(file: Path, of: Properties, config: Mapping[str, object]) -> None:
    """Hold the header of an SAE's safetensors file against its properties, and refuse what differs."""
    try:
        found = header_of(file)
    except (SafetensorError, OSError) as error:
        raise SubjectError(f"{file} is no whole safetensors file; {REMEDY}") from error
    d_in, d_sae = of.d_in, of.d_sae
    d_out = of.d_out or (*found.get("W_dec", Tensor(shape=())).shape, 0, 0)[1]
    shapes = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_out), "b_dec": (d_out,), "W_skip": (d_out, d_in)}
    wanted = {key: shapes.get(key, (d_sae,)) for key in _TENSORS[of.architecture]}
    # SAELens 3 to 5 wrote factors of 1 beside the weights; sae-lens drops those, and those alone.
    if config.get("finetuning_scaling_factor") and "scaling_factor" in found:
        raise SubjectError(f"the SAE {file.parent} has finetuned scaling factors, which sae-lens no longer applies")
    shown = {key: tensor.shape for key, tensor in found.items() if key != "scaling_factor"}
    if shown != wanted:
        raise SubjectError(
            f"the tensors of {file} are not those of its configuration: found {shown}; wanted {wanted} for "
            f"architecture {of.architecture}, d_in {d_in}, d_sae {d_sae}"
        )
    check_kinds(file, found)


def check_kinds(file: Path, found: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no floating-point numbers of 16 bits or more."""
    for key, tensor in found.items():
        if tensor.kind not in _FLOATS:
            raise SubjectError(
                f"{key} of {file} holds numbers of the kind {tensor.kind}; wanted floating-point numbers of 16 bits or "
                "more: weights in fewer bits need a scale, which this format does not have"
            )


def header_of(file: Path) -> dict[str, Tensor]:
    """Return what the header says of each tensor; safetensors checks it against the file's size."""
    with cast(Any, safe_open)(file, framework="np") as opened:
        slices = ((str(key), opened.get_slice(key)) for key in opened.keys())  # noqa: SIM118 - it is no mapping
        return {key: Tensor(shape=tuple(one.get_shape()), kind=str(one.get_dtype())) for key, one in slices}
