"""Layer files: the weights of one layer after another from disk, each read once, the next while one is in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from torch import Tensor

from saeprobe.subject.files.shards import StoredTensor, inside_layer, is_embedding, layer_of, stored_tensors

Weights = dict[str, Tensor]
"""Tensors by their name inside the layer: `self_attn.q_proj.weight`."""

Draw = Callable[[StoredTensor], Tensor]
"""Makes a tensor of that name and shape, without reading it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFiles:
    """The weights of a checkpoint up to a depth. `reads` counts how often each tensor was read from disk.

    With `draw` none is: the files give the names and the shapes alone.
    """

    stored: Mapping[str, StoredTensor]
    dtype: torch.dtype
    pinned: bool
    draw: Draw | None = None
    reads: Counter[str] = field(default_factory=Counter[str])

    @property
    def bytes_read(self) -> int:
        """Of the tensors as they lie on disk, whatever dtype they were turned into."""
        return sum(self.stored[name].bytes * times for name, times in self.reads.items())

    def embedding(self) -> Weights:
        """The embedding: `weight`."""
        return self._read({name.rpartition(".")[2]: one for name, one in self.stored.items() if is_embedding(name)})

    def of_layer(self, layer: int) -> dict[str, StoredTensor]:
        """What lies on disk of a layer, by the names inside it."""
        return {inside_layer(name): one for name, one in self.stored.items() if layer_of(name) == layer}

    def layers(self, count: int, *, prefetch: bool = True) -> Iterator[Weights]:
        """The weights of layers 0 to count - 1, in order.

        With `prefetch` a thread reads the next layer while the caller holds one, so that two are in memory. Both the
        reading and the kernels of torch release Python's lock.
        """
        if not prefetch or count == 0:
            yield from (self._read(self.of_layer(layer)) for layer in range(count))
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="layer files") as pool:
            coming: Future[Weights] = pool.submit(self._read, self.of_layer(0))
            for layer in range(count):
                weights = coming.result()
                if layer + 1 < count:
                    coming = pool.submit(self._read, self.of_layer(layer + 1))
                yield weights

    def _read(self, wanted: Mapping[str, StoredTensor]) -> Weights:
        """Read tensors file by file, in the order in which they lie there."""
        if self.draw is not None:
            return {inside: self._held(self.draw(one)) for inside, one in wanted.items()}
        found: Weights = {}
        for file in _files(wanted.values()):
            here = {one.name: inside for inside, one in wanted.items() if one.file == file}
            with cast(Any, safe_open)(file, framework="pt") as stream:
                for name in (name for name in stream.offset_keys() if name in here):
                    # The tensor is a view of the mapped file: it is the copy that reads the disk.
                    found[here[name]] = self._held(stream.get_tensor(name))
                    self.reads[name] += 1
        return found

    def _held(self, tensor: Tensor) -> Tensor:
        """A copy in memory, of the dtype that is computed in."""
        return torch.empty(tensor.shape, dtype=self.dtype, pin_memory=self.pinned).copy_(tensor)


def open_layer_files(
    folder: Path, *, depth: int, dtype: torch.dtype, pinned: bool, draw: Draw | None = None
) -> LayerFiles:
    """The files of the embedding and of layers 0 to depth - 1.

    Args:
        folder: a checkpoint in safetensors format.
        depth: layers that are to be read.
        dtype: what the weights are turned into.
        pinned: put them where a GPU can fetch them by itself.
        draw: makes the weights, in place of reading them.

    Raises:
        ShardError: a needed file is absent or broken.
    """
    return LayerFiles(stored=stored_tensors(folder, depth=depth), dtype=dtype, pinned=pinned, draw=draw)


def _files(tensors: Iterable[StoredTensor]) -> list[Path]:
    return sorted({one.file for one in tensors})
