"""The weights of a model before any training are drawn here, by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from saeprobe.shapes import Float
from saeprobe.subject.files import layout_of
from saeprobe.subject.files.model import read_json
from saeprobe.subject.running.guard import from_files
from saeprobe.subject.specification import Dtype

Draw = Callable[[str, tuple[int, ...]], Tensor]
"""Makes a tensor of that name in a checkpoint and of that shape, without reading it."""

_SPREAD: Final = 0.02  # transformers' own, where a configuration does not say `initializer_range`


@dataclass(frozen=True, kw_only=True)
class RandomWeights:
    """Random weights are those of Llama and its kin before a training, as transformers draws them.

    Matrices are normal with mean 0 and standard deviation `spread`, the norms' weights 1 and biases 0
    (`PreTrainedModel._init_weights`). Each tensor has a generator of its own, seeded by `seed` and its name, on the
    CPU and in float32.
    """

    seed: int
    spread: float

    def draw(self, name: str, shape: tuple[int, ...]) -> Float[Tensor, ...]:
        """Draw one tensor, by its name in a checkpoint with or without `model.` before it."""
        if name.endswith(".bias"):
            return torch.zeros(shape)
        if len(shape) == 1:
            return torch.ones(shape)
        generator = generator_of(self.seed, name.removeprefix("model."))
        return torch.empty(shape).normal_(std=self.spread, generator=generator)


def generator_of(seed: int, name: str) -> torch.Generator:
    """Return a generator for what bears a name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)  # below 2**63, which any version takes


def random_weights(folder: Path, *, seed: int) -> RandomWeights:
    """Return the weights for the model in a folder, whose configuration says how wide they are drawn."""
    spread = read_json(folder / "config.json").get("initializer_range") or _SPREAD
    return RandomWeights(seed=seed, spread=float(spread))


def random_draw(folder: Path, *, seed: int, dtype: Dtype) -> Draw:
    """Return what draws each tensor of the model in a folder, by its name in a checkpoint and its shape.

    Models of Llama's kin may be too large to be drawn whole, and are drawn a tensor at a time. Of the others
    transformers draws all, since each architecture has widths of its own; the layers after the hook are then dropped.
    """
    layout = layout_of(read_json(folder / "config.json"))
    if layout is not None and layout.drawn_alone:
        return random_weights(folder, seed=seed).draw
    whole = drawn_whole(folder, dtype, seed=seed).base_model
    state, prefix = cast("Mapping[str, Tensor]", whole.state_dict()), f"{whole.base_model_prefix}."
    return lambda name, _: state[name.removeprefix(prefix)]


def drawn_whole(folder: Path, dtype: Dtype, *, seed: int, attention: str | None = None) -> Any:
    """Draw the weights that transformers gives the architecture before a training, always on the CPU."""
    config = from_files(AutoConfig, folder, "the configuration")
    with cast(Any, torch.random).fork_rng(devices=[]):  # transformers uses torch's own generator alone: put it back
        cast(Any, torch).default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return cast(Any, AutoModelForCausalLM).from_config(
            config, dtype=getattr(torch, dtype), attn_implementation=attention
        )
