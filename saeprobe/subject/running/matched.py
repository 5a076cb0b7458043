"""Matched sparsity: an SAE with given directions whose features fire as often as those of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saeprobe.subject.running.sae import Sae, StandardSAE, StandardSAEConfig
from saeprobe.subject.specification import SubjectError

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
