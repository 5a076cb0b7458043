"""The specimens' sparse autoencoders (ReLU and L1) are trained by sae-lens and saved in its format or in Goodfire's."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from saeprobe.shapes import Float
from saeprobe.subject.running.dictionary import as_standard
from studies.specimens.train.hooked import shuffled_batches

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.filterwarnings("ignore", message="The 'utils' module has been deprecated", category=DeprecationWarning)
    from sae_lens import SAE, StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.training.sae_trainer import SAETrainer


@dataclass(frozen=True, kw_only=True)
class SaeRecipe:
    """It says where the SAE reads, its width and training. ``l1`` is for activations scaled to a norm of sqrt(d_in)."""

    layer: int = 3
    hook: Literal["hook_resid_pre", "hook_resid_post"] = "hook_resid_pre"
    d_sae: int = 1280
    documents: int = 24_000
    samples: int = 4_000_000
    batch: int = 512
    learning_rate: float = 1e-3
    l1: float = 1.2

    @property
    def hook_name(self) -> str:
        """The hook point, as TransformerLens names it."""
        return f"blocks.{self.layer}.{self.hook}"


def train_sae(
    samples: Float[Tensor, "samples d_in"], recipe: SaeRecipe, *, model_name: str, context: int, seed: int, out: Path
) -> SAE[Any]:
    """Train on the samples, save to ``out`` in sae-lens' format, and return the SAE as loaded from there.

    The samples hold no BOS position: its residual is an outlier that says nothing, and the published SAEs are
    evaluated without it too. Prompts are still run with a BOS in front, hence ``prepend_bos`` in the metadata.
    """
    metadata = SAEMetadata(
        model_name=model_name,
        hook_name=recipe.hook_name,
        hook_head_index=None,
        context_size=context,
        prepend_bos=True,
        exclude_special_tokens=True,
        model_from_pretrained_kwargs={"center_writing_weights": True},
    )
    fit_sae(samples, recipe, metadata=metadata, seed=seed).save_inference_model(out)
    return load_sae(out)


def fit_sae(
    samples: Float[Tensor, "samples d_in"], recipe: SaeRecipe, *, metadata: SAEMetadata, seed: int
) -> StandardTrainingSAE:
    """Return a SAE trained on the samples, for activations as they are, with decoder rows of norm 1."""
    cast(Any, torch).manual_seed(seed)
    steps = recipe.samples // recipe.batch
    config = StandardTrainingSAEConfig(
        d_in=samples.shape[1],
        d_sae=recipe.d_sae,
        normalize_activations="expected_average_only_in",
        l1_coefficient=recipe.l1,
        l1_warm_up_steps=steps // 10,
        metadata=metadata,
    )
    with _centring_is_heeded():
        sae = StandardTrainingSAE(config)
    trainer = SAETrainer[StandardTrainingSAE, StandardTrainingSAEConfig](
        cfg=SAETrainerConfig(
            total_training_samples=steps * recipe.batch,
            train_batch_size_samples=recipe.batch,
            lr=recipe.learning_rate,
            lr_end=recipe.learning_rate / 20,
            lr_scheduler_name="cosineannealing",
            lr_warm_up_steps=steps // 40,
            n_batches_for_norm_estimate=50,
        ),
        sae=sae,
        data_provider=shuffled_batches(samples, size=recipe.batch, generator=torch.Generator().manual_seed(seed)),
    )
    trained = trainer.fit()
    trained.fold_W_dec_norm()
    return trained


def load_sae(folder: Path) -> SAE[Any]:
    """Load a SAE in sae-lens' format; the model it reads must be opened as its metadata says."""
    with _centring_is_heeded():
        return cast("SAE[Any]", cast(Any, SAE).load_from_disk(folder))


@contextmanager
def _centring_is_heeded() -> Generator[None]:
    """Silence the warning that the model wants ``model_from_pretrained_kwargs``: ``open_bridge`` is given them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
        yield


def train_goodfire_sae(samples: Float[Tensor, "samples d_in"], recipe: SaeRecipe, *, seed: int, out: Path) -> None:
    """Train on the samples, which hold no BOS position, and save to the file ``out``.

    The format has no metadata: hook point, BOS and context must be stated where the SAE is declared.
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
