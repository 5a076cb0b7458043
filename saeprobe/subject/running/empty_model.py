"""An empty model: the code of the first layers of a decoder-only model, whose weights are put in afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import torch
from accelerate import init_empty_weights
from transformers import AutoConfig, AutoModel

from saeprobe.subject.files.truncated import truncated
from saeprobe.subject.running.layers import Attention, check_layout
from saeprobe.subject.specification import Dtype


class _Loader(Protocol):
    """The one class method used of transformers' automatic configuration, which carries no usable types."""

    def from_pretrained(self, name: str, **options: object) -> Any: ...


def empty_model(folder: Path, *, depth: int, dtype: Dtype, device: str, attention: Attention = "sdpa") -> Any:
    """The embedding and `depth` layers without values in their weights, and nothing in place of the final norm.

    What is computed from the configuration, such as the angles, is there and lies on the device.

    Raises:
        ShardError: the files lack a layer.
        SubjectError: the model is no decoder of the known layout, or has fewer layers.
    """
    with truncated(folder, depth=depth) as view:
        config = cast(_Loader, AutoConfig).from_pretrained(str(view), local_files_only=True)
    with cast(Any, init_empty_weights)(include_buffers=False):
        model = cast(Any, AutoModel).from_config(config, dtype=getattr(torch, dtype), attn_implementation=attention)
    check_layout(model, folder)
    model.norm = torch.nn.Identity()
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    return model.eval().requires_grad_(requires_grad=False)
