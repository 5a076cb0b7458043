"""The residual stream of a specimen on documents, one document a row, BOS first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from studies.specimens.train.hooked import Hooked
from studies.specimens.train.model import padded


@torch.no_grad()
def residuals(
    model: Hooked, documents: Sequence[Sequence[int]], *, bos: int, batch: int = 128, progress: bool = False
) -> list[Float[Tensor, "pos d_in"]]:
    """Return the stream at the hook point of every document, its BOS left out.

    Documents are run in order of length; padding stands to the right, where a causal model does not look.
    """
    order = sorted(range(len(documents)), key=lambda at: len(documents[at]))
    found: dict[int, Tensor] = {}
    for start in tqdm(range(0, len(order), batch), desc="activations", unit="batch", disable=not progress):
        chosen = order[start : start + batch]
        ids, lengths = padded([documents[at] for at in chosen], bos=bos)
        stream = model.stream(ids)
        for row, at in enumerate(chosen):
            found[at] = stream[row, 1 : int(lengths[row])].clone()
    return [found[at] for at in range(len(documents))]


def shuffled_batches(
    samples: Float[Tensor, "samples d_in"], *, size: int, generator: torch.Generator
) -> Iterator[Float[Tensor, "size d_in"]]:
    """Yield batches without end, each pass over the samples in a new order; a last partial batch is left out."""
    while True:
        order = torch.randperm(len(samples), generator=generator)
        for start in range(0, len(order) - size + 1, size):
            yield samples[order[start : start + size]]
