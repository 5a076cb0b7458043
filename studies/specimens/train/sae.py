"""Training of the sparse autoencoder: ReLU and L1, by sae-lens' own trainer, saved in sae-lens' format."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor

from studies.specimens.train.activations import shuffled_batches

with warnings.catch_warnings():
    # sae-lens 6.54 imports transformer_lens.utils, which is deprecated; a run with -W error must not fail of that.
    warnings.filterwarnings("ignore", message="The 'utils' module has been deprecated", category=DeprecationWarning)
    from sae_lens import SAE, StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.training.sae_trainer import SAETrainer


@dataclass(frozen=True, kw_only=True)
class SaeRecipe:
    """Where the SAE reads, its width and training. ``l1`` is for activations scaled to a norm of sqrt(d_in)."""

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
