"""finch's sparse autoencoder in Goodfire's format: one `.pt` file of four tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from saeprobe.subject.running.sae import as_standard
from studies.specimens.train.sae import SAE, SAEMetadata, SaeRecipe, fit_sae


def train_goodfire_sae(samples: Float[Tensor, "samples d_in"], recipe: SaeRecipe, *, seed: int, out: Path) -> None:
    """Train on the samples, which hold no BOS position, and save to the file ``out``.

    The format has no metadata: hook point, BOS and context must be told by whoever declares the SAE.
    """
    trained = fit_sae(samples, recipe, metadata=SAEMetadata(hook_name=recipe.hook_name, prepend_bos=True), seed=seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(as_goodfire(trained), out)


def as_goodfire(sae: SAE[Any]) -> dict[str, Tensor]:
    """Return f = relu(x @ encoder.T + bias), x' = f @ decoder.T + bias, as the four tensors of Goodfire's files.

    Goodfire's encoder does not subtract the decoder's bias first. Where this SAE's does, relu((x - b_dec) @ W_enc +
    b_enc), what is subtracted is put into the encoder's bias: b_enc - b_dec @ W_enc.
    """
    weights = {name: cast(Tensor, value).detach().float() for name, value in sae.state_dict().items()}
    bias = weights["b_enc"]
    if sae.cfg.apply_b_dec_to_input:
        bias = bias - weights["b_dec"] @ weights["W_enc"]
    return {
        "encoder_linear.weight": weights["W_enc"].T.contiguous(),
        "encoder_linear.bias": bias.contiguous(),
        "decoder_linear.weight": weights["W_dec"].T.contiguous(),
        "decoder_linear.bias": weights["b_dec"].contiguous(),
    }


def load_goodfire_sae(file: Path) -> SAE[Any]:
    """Load the file as sae-lens' SAE, as every other subject's is."""

    def convert(path: Path, device: str, cfg_overrides: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]:
        tensors = cast("dict[str, Tensor]", torch.load(path, weights_only=True))
        return as_standard(tensors, device=device, dtype="float32", overrides=cfg_overrides)

    return cast("SAE[Any]", cast(Any, SAE).load_from_disk(file, device="cpu", converter=convert))
