"""Load the SAE of a located subject through sae-lens, which knows every architecture; pickles as plain data only."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saeprobe.files import FileError
from saeprobe.recorded.tensors import load_data
from saeprobe.subject.files.sae import SaeSource, as_standard, offline
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.specification import SaeFile, SaeRelease, SubjectError, SubjectSpec

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sae_lens import SAE, StandardSAE, StandardSAEConfig
    from sae_lens.loading.pretrained_sae_loaders import sae_lens_disk_loader


Sae = SAE[Any]


_UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def load_sae(spec: SubjectSpec, source: SaeSource, pairing: Pairing, *, device: str) -> Sae:
    """The SAE, frozen.

    Raises:
        SubjectError: its files are damaged or refer to code, or sae-lens understands its configuration otherwise than
            it was read for the plan.
    """
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
    load = cast("Callable[..., Sae]", SAE.load_from_disk)
    if isinstance(spec.sae, SaeFile):
        return load(source.place, device=device, dtype=spec.sae_dtype, converter=_goodfire)
    if not isinstance(spec.sae, SaeRelease):
        return load(source.place, device=device, dtype=spec.sae_dtype)
    conversion = None if source.release is None else source.release.conversion
    from_pretrained = cast("Callable[..., Sae]", SAE.from_pretrained)
    converter = {None: _from_folder(source.place), "goodfire": _from_goodfire(source)}.get(conversion)
    if converter is None and os.environ.get(_UNSAFE):
        raise SubjectError(
            f"{_UNSAFE} is set, under which sae-lens would run the code in a .pt file; unset it: tensors need no code"
        )
    with offline():
        return from_pretrained(spec.sae.release, spec.sae.id, device=device, dtype=spec.sae_dtype, converter=converter)


def _goodfire(
    path: Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A loader for `SAE.load_from_disk`."""
    overrides = dict(cfg_overrides or {})
    tensors = cast("dict[str, torch.Tensor]", load_data(path))
    return as_standard(tensors, device=device, dtype=str(overrides.get("dtype", "float32")), overrides=overrides)


_Loaded = tuple[dict[str, Any], dict[str, torch.Tensor], None]


def _from_goodfire(source: SaeSource) -> Callable[..., _Loaded]:
    """A loader for `SAE.from_pretrained` that reads the cached file as plain data."""

    def load(
        repo_id: str, folder_name: str, device: str, force_download: object, cfg_overrides: dict[str, Any]
    ) -> _Loaded:
        del repo_id, folder_name, force_download
        said = {key: value for key, value in source.said.items() if key not in ("device", "dtype", "d_in", "d_sae")}
        return *_goodfire(source.place, device, {**said, **cfg_overrides}), None

    return load


def _from_folder(folder: Path) -> Callable[..., _Loaded]:
    """A loader for `SAE.from_pretrained` that reads the cached folder; sae-lens' own asks the network."""

    def load(
        repo_id: str, folder_name: str, device: str, force_download: object, cfg_overrides: dict[str, Any]
    ) -> _Loaded:
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
    """The thresholds of an SAE's features and how far rounding may move each feature before its own.

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
        """The features of x, and which of them are near their threshold."""
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
    """The thresholds of an SAE; None for an architecture whose features have none of their own (such as TopK)."""
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


_ENTRIES_AT_ONCE = 2**21  # of pre-activations; sorting them takes about ten times as many numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Firing:
    """What the features of an SAE do on a text. `mean` is of all activations above zero, 0 where there are none."""

    counts: Int[Tensor, " d_sae"]
    """Tokens on which each feature fires."""
    mean: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Streams:
    """What an SAE reads of a text. Tokens with the same tokens before them have the same stream, and are one row."""

    x: Float[Tensor, "rows d_in"]
    repeats: Int[Tensor, " rows"]
    """How many tokens each row stands for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """An SAE whose features fire as often as wanted.

    Attributes:
        sae: of plain ReLUs.
        missed: by how many tokens each feature's count differs from the one wanted. Not 0 only where several tokens
            have the same pre-activation, so that a feature fires on all of them or on none.
    """

    sae: Sae
    missed: Int[Tensor, " d_sae"]


def random_directions(d_sae: int, d_in: int, *, generator: torch.Generator) -> Float[Tensor, "d_sae d_in"]:
    """Uniform on the unit sphere: normal vectors by their length (Muller 1959, doi:10.1145/377939.377946)."""
    drawn = torch.randn(d_sae, d_in, generator=generator)
    return drawn / drawn.square().sum(dim=1, keepdim=True).sqrt()


@torch.no_grad()
def matched(
    trained: Sae, streams: Streams, wanted: Firing, *, directions: Float[Tensor, "d_sae d_in"] | None = None
) -> Matched:
    """An SAE that takes in its input as the trained one does and fires as often, feature by feature.

    Feature i is `relu(s (x' @ w_i - t_i))` with x' the trained SAE's own input (less b_dec, normalised, as its
    configuration says), w_i its direction and t_i half way between two pre-activations on the text. The scale s, one
    for all features, makes the mean of all activations above zero that of the trained SAE.

    Args:
        trained: whose pre-processing, decoder bias and memory are taken over: it is not to be used afterwards.
        streams: what the new SAE reads on the text, of two different tokens at least.
        wanted: what the features of the trained SAE do on the text.
        directions: what the features read and write, of length 1; None for what they read and write in the trained SAE.

    Raises:
        SubjectError: the streams are of fewer than two different tokens; the trained SAE has no directions to keep.
    """
    if len(streams.x) < 2:  # noqa: PLR2004 - no threshold lies between fewer
        raise SubjectError(f"the neutral text has {len(streams.x)} different tokens; wanted two or more, or many")
    encoder, decoder = _directions(trained, directions)
    x, repeats = trained.process_sae_in(streams.x.to(encoder.device)), streams.repeats.to(encoder.device)
    counts = wanted.counts.to(encoder.device)
    thresholds, reached, total = torch.empty_like(encoder[0]), torch.empty_like(counts), 0.0
    at_once = max(1, _ENTRIES_AT_ONCE // len(x))
    for start in range(0, encoder.shape[1], at_once):
        part = slice(start, start + at_once)
        values = x @ encoder[:, part]
        thresholds[part], reached[part] = between(values, repeats, counts[part])
        total += float(((values - thresholds[part]).clamp(min=0).double() * repeats[:, None]).sum())
    scale = wanted.mean * int(reached.sum()) / total if total > 0 and wanted.mean > 0 else 1.0
    weights = {
        "W_enc": encoder.mul_(scale),
        "b_enc": thresholds.mul_(-scale),
        "W_dec": decoder,
        "b_dec": cast(Tensor, trained.b_dec).data,
    }
    return Matched(sae=_relu_sae(trained, weights), missed=(reached - counts).abs().cpu())


def _directions(trained: Sae, drawn: Tensor | None) -> tuple[Float[Tensor, "d_in d_sae"], Float[Tensor, "d_sae d_in"]]:
    """What the features read and what they write, in the memory of the trained SAE where it has any of the kind."""
    decoder, own = cast(Tensor, trained.W_dec).data, getattr(trained, "W_enc", None)
    if drawn is not None:
        encoder = own.data if isinstance(own, Tensor) else torch.empty_like(decoder.T)
        return encoder.copy_(drawn.T), decoder.copy_(drawn)
    if not isinstance(own, Tensor):
        raise SubjectError(
            f"an SAE of architecture {trained.cfg.architecture()!r} has no encoder directions whose thresholds could "
            "be matched; use the control random-sae instead"
        )
    return own.data, decoder


def between(
    values: Float[Tensor, "rows features"], repeats: Int[Tensor, " rows"], wanted: Int[Tensor, " features"]
) -> tuple[Float[Tensor, " features"], Int[Tensor, " features"]]:
    """Thresholds above which lie as many tokens as wanted, and how many do.

    A threshold is half way between two neighbouring values, or as far beyond the outermost one as that is from its
    neighbour. Where equal values or repeated tokens leave no threshold for the number wanted, it is the one for the
    nearest number, of two the smaller.

    Args:
        values: by row and feature, two rows at least.
        repeats: how many tokens each row stands for.
        wanted: tokens by feature.
    """
    ordered, order = values.sort(dim=0, descending=True)
    counts = torch.cat([torch.zeros_like(order[:1]), repeats[order].cumsum(0)])  # at or above each value
    above = torch.cat([ordered[:1] + _gap(ordered[0], ordered[1]), ordered])
    below = torch.cat([ordered, ordered[-1:] - _gap(ordered[-2], ordered[-1])])
    cut = below + (above - below) / 2
    cut = torch.where(cut < above, cut, below)  # of neighbours in floating point the upper one, and it must fire
    missed = (counts - wanted).abs().masked_fill(above <= below, torch.iinfo(counts.dtype).max)
    best = missed.argmin(dim=0, keepdim=True)
    return cut.gather(0, best)[0], counts.gather(0, best)[0]


def _gap(upper: Float[Tensor, " features"], lower: Float[Tensor, " features"]) -> Float[Tensor, " features"]:
    """Between two values; where they are equal, 1 and what 1 is to large ones."""
    gap = upper - lower
    return torch.where(gap > 0, gap, 1 + upper.abs())


def _relu_sae(trained: Sae, weights: dict[str, Tensor]) -> Sae:
    """An SAE of plain ReLUs with the pre-processing of the trained one."""
    config = trained.cfg
    sae = StandardSAE(
        StandardSAEConfig(
            d_in=config.d_in,
            d_sae=config.d_sae,
            dtype=config.dtype,
            device="meta",  # no memory for what the weights replace
            apply_b_dec_to_input=config.apply_b_dec_to_input,
            normalize_activations=config.normalize_activations,
            reshape_activations=config.reshape_activations,
        )
    )
    sae.load_state_dict(weights, assign=True)
    sae.device = weights["W_enc"].device
    return sae.eval().requires_grad_(requires_grad=False)
