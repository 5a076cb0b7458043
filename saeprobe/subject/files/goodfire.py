"""SAEs in Goodfire's format: a `.pt` file of four tensors, whose shapes are read from its header, without torch."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from saeprobe.subject.specification import SubjectError

if TYPE_CHECKING:
    import torch

KEYS: Final = ("encoder_linear.weight", "encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias")
_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that torch wrote first
_REMEDY: Final = "copy or download it again and compare sizes"


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A tensor of the file, of which the header tells the shape alone."""

    shape: tuple[int, ...]


class _HeaderUnpickler(pickle.Unpickler):
    """Reads what `torch.save` writes about tensors; whatever else a pickle names is refused, never run."""

    def find_class(self, module: str, name: str) -> Any:
        """What may be named: an ordered dict, the rebuilding of a tensor, and the kinds of storage."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")}:
            return _shape_of
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"it refers to the code '{module}.{name}'; it was refused and not run")

    def persistent_load(self, pid: Any) -> object:
        """Storages are named by their place in the file; only the place is needed here, and not even that."""
        return pid


def _shape_of(*arguments: Any) -> _Shape:
    """In place of torch's rebuilding of a tensor (storage, offset, size, ...) or of a parameter (tensor, ...)."""
    first = arguments[0]
    return first if isinstance(first, _Shape) else _Shape(shape=tuple(int(size) for size in arguments[2]))


def dimensions(file: Path) -> tuple[int, int]:
    """`d_in` and `d_sae` of an SAE in Goodfire's format.

    Raises:
        SubjectError: the file is truncated, is no such SAE, or names code.
    """
    with file.open("rb") as stream:
        if stream.read(len(_LEGACY)) == _LEGACY:
            raise SubjectError(
                f"{file} is in torch's format of before version 1.6; load it with torch.load(file, weights_only=True) "
                "and write it again with torch.save"
            )
    try:
        shapes = _shapes(file)
    except pickle.UnpicklingError as error:
        raise SubjectError(f"{file}: {error}; {_REMEDY}, or have it saved as plain tensors") from error
    except (
        zipfile.BadZipFile,
        KeyError,
        EOFError,
        OSError,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise SubjectError(f"{file} cannot be read (truncated, damaged, or no .pt file); {_REMEDY}") from error
    if set(shapes) != set(KEYS):
        raise SubjectError(
            f"{file} is no SAE in Goodfire's format: found the keys {', '.join(sorted(shapes)) or 'none'}; "
            f"wanted {', '.join(KEYS)}"
        )
    d_sae, d_in = (*shapes[KEYS[0]], 0, 0)[:2]
    wanted = dict(zip(KEYS, ((d_sae, d_in), (d_sae,), (d_in, d_sae), (d_in,)), strict=True))
    if shapes != wanted or not d_in * d_sae:
        raise SubjectError(f"the tensors of {file} do not fit together: found {shapes}; wanted {wanted}")
    return d_in, d_sae


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor by its key."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise KeyError("data.pkl")
        found: object = _HeaderUnpickler(BytesIO(archive.read(names[0]))).load()
    if not isinstance(found, dict):
        raise TypeError(type(found).__name__)
    values = cast("dict[object, object]", found)
    return {str(key): value.shape if isinstance(value, _Shape) else () for key, value in values.items()}


def as_standard(
    tensors: Mapping[str, torch.Tensor], *, device: str, dtype: str, overrides: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and state of sae-lens' StandardSAE: f = relu(x @ W_enc + b_enc), x' = f @ W_dec + b_dec.

    The same renaming as sae-lens' own `get_goodfire_huggingface_loader`, which cannot be used on a file: it takes
    its configuration from a table of two repositories, fetches from the Hub, and leaves `weights_only` to torch's
    default. The weights stay mapped from disk where they have the dtype and device already.
    """
    import torch

    placed = {key: tensors[key].to(device=device, dtype=cast("torch.dtype", getattr(torch, dtype))) for key in KEYS}
    d_sae, d_in = placed[KEYS[0]].shape
    config: dict[str, Any] = {
        "architecture": "standard",
        "d_in": d_in,
        "d_sae": d_sae,
        "apply_b_dec_to_input": False,
        **(overrides or {}),
        "dtype": dtype,
        "device": device,
    }
    state = {
        "W_enc": placed[KEYS[0]].T,
        "b_enc": placed[KEYS[1]],
        "W_dec": placed[KEYS[2]].T,
        "b_dec": placed[KEYS[3]],
    }
    return config, state
