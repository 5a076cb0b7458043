"""Random weights: an untrained model of an architecture, the same however much of it is in memory at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, cast

import torch
from jaxtyping import Float
from torch import Tensor

from saeprobe.subject.files.shards import StoredTensor
from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.protocol import ReadingError
from saeprobe.subject.running.empty_model import empty_model
from saeprobe.subject.running.layers import LayerStack
from saeprobe.subject.running.layers_model import LayersModel
from saeprobe.subject.running.opening import Opening, bridge_model
from saeprobe.subject.running.reader import Model
from saeprobe.subject.running.stream import ResidualStream
from saeprobe.subject.running.streamed import open_sweep
from saeprobe.subject.specification import Dtype

_SPREAD: Final = 0.02  # transformers' own, where a configuration does not say `initializer_range`


@dataclass(frozen=True, kw_only=True)
class RandomWeights:
    """The weights of Llama and its kin before a training, as transformers draws them.

    Matrices are normal with mean 0 and standard deviation `spread`, the norms' weights 1 and biases 0
    (`PreTrainedModel._init_weights`). Each tensor has a generator of its own, seeded by `seed` and its name, on the
    CPU and in float32.
    """

    seed: int
    spread: float

    def draw(self, name: str, shape: tuple[int, ...]) -> Float[Tensor, ...]:
        """One tensor, by its name in a checkpoint with or without `model.` before it."""
        if name.endswith(".bias"):
            return torch.zeros(shape)
        if len(shape) == 1:
            return torch.ones(shape)
        generator = generator_of(self.seed, name.removeprefix("model."))
        return torch.empty(shape).normal_(std=self.spread, generator=generator)

    def of_stored(self, one: StoredTensor) -> Float[Tensor, ...]:
        """In place of a tensor on disk."""
        return self.draw(one.name, one.shape)


def generator_of(seed: int, name: str) -> torch.Generator:
    """A generator for what bears a name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)  # below 2**63, which any version takes


def random_weights(folder: Path, *, seed: int) -> RandomWeights:
    """The weights for the model in a folder, whose configuration says how wide they are drawn."""
    config = cast("dict[str, object]", json.loads((folder / "config.json").read_text(encoding="utf-8")))
    return RandomWeights(seed=seed, spread=float(str(config.get("initializer_range") or _SPREAD)))


def open_random_model(opening: Opening, *, plan: MemoryPlan, seed: int) -> Model:
    """A random model in place of the trained one; of the files nothing is used but names, shapes and configuration.

    Raises:
        SubjectError: as `open_reader`.
    """
    found = opening.located
    if found.pairing.family == "bridge":
        return bridge_model(opening, drawn=seed)

    def speak() -> NoReturn:
        raise ReadingError(f"the model of {opening.spec.name} is random here and writes no text")

    def read() -> ResidualStream:
        weights = random_weights(found.model, seed=seed)
        return open_random_layers(found.model, weights, plan=plan, depth=found.depth, dtype=opening.dtype)

    return LayersModel(device=plan.device, one_by_one=False, read=read, speak=speak)


def open_random_layers(
    folder: Path, weights: RandomWeights, *, plan: MemoryPlan, depth: int, dtype: Dtype
) -> ResidualStream:
    """The embedding and the layers before `depth`, one at least.

    Resident where the trained model is. A model that several GPUs share is drawn a layer at a time on the first: the
    drawing is what takes time, and the others would not make it faster.
    """
    depth = max(1, depth)
    if plan.kind == "resident":
        return open_random_stack(folder, weights, depth=depth, dtype=dtype, device=plan.device)
    return open_sweep(folder, depth=depth, dtype=dtype, device=plan.device, draw=weights.of_stored)


def open_random_stack(
    folder: Path, weights: RandomWeights, *, depth: int, dtype: Dtype, device: str = "cpu"
) -> LayerStack:
    """All of the layers in memory.

    Raises:
        SubjectError: as `empty_model`.
    """
    model = empty_model(folder, depth=depth, dtype=dtype, device=device)
    to = getattr(torch, dtype)
    shapes = {name: tuple(tensor.shape) for name, tensor in cast("dict[str, Tensor]", model.state_dict()).items()}
    drawn = {name: weights.draw(name, shape).to(device=device, dtype=to) for name, shape in shapes.items()}
    model.load_state_dict(drawn, assign=True)
    return LayerStack(model=model.requires_grad_(requires_grad=False), depth=depth)
