"""Shapes stand in annotations, as `Float[ndarray, "rows d_in"]`, by jaxtyping's names; dtypes have those of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt64
else:
    from typing import Annotated

    Bool = Float = Int = UInt64 = Annotated

__all__ = ["FLOATS", "NUMPY", "STORAGES", "Bool", "Float", "Int", "StoredTensor", "UInt64", "widened"]

NUMPY: Final[Mapping[str, str]] = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "complex128": "c16", "complex64": "c8",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "bool": "?",
    "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1",
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"), "u1"),
}  # fmt: skip
"""How the dtypes of torch are stored, in numpy's letters; of bfloat16 and of 8 bits it knows the bits alone."""
STORAGES: Final[Mapping[str, str]] = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64", "LongStorage": "int64",
    "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "UntypedStorage": "uint8",
}  # fmt: skip
"""The dtypes of the storages that torch names."""
FLOATS: Final = ("float64", "float32", "float16", "bfloat16")
"""The dtypes of real numbers that `widened` gives."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTensor:
    """A tensor stays on disk; `stored` is mapped from there, in torch's `dtype`, of bfloat16 its bits."""

    dtype: str
    stored: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of its axes."""
        return self.stored.shape


def widened(stored: np.ndarray, dtype: str) -> np.ndarray:
    """Return stored numbers as numpy's own kinds: a bfloat16 is the first half of a float32."""
    return (stored.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else stored
