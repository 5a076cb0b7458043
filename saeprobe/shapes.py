"""Shapes stand in annotations, as `Float[ndarray, "rows d_in"]`, by jaxtyping's names; dtypes have those of torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt64
else:
    from typing import Annotated

    Bool = Float = Int = UInt64 = Annotated

__all__ = ["FLOATS", "NUMPY", "STORAGES", "UNIT_ROUNDOFF", "Bool", "Float", "Int", "StoredTensor", "UInt64"]
__all__ += ["tolerance_of", "widened"]

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


UNIT_ROUNDOFF: Final[dict[str, float]] = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # 8 and 11 bits of significand


def tolerance_of(dtype: str, *, depth: int) -> float:
    """Bound `|x - y| / |x|` for a token's stream `[d_in]` after `depth` layers, computed twice in different batches.

    Both are right: kernels sum in an order that depends on the batch's shape, so results of one operation differ by a
    rounding of the dtype they are stored in.

    In 16 bits the stream itself is what is rounded most often, twice a layer. Round-to-nearest with unit roundoff u
    leaves an error of root mean square 0.38 u of the value (uniform over the spacing 2u, mantissas uniform in [1, 2):
    2u / sqrt(12) over sqrt(7/3)), so two runs differ by 0.53 u a rounding. These add up like a random walk (Higham
    and Mary 2019, "A new approach to probabilistic rounding error analysis"): over 2 x depth roundings of a stream
    whose square grows evenly, 0.53 u sqrt(depth). About 10 roundings inside each block's attention and MLP add
    0.53 u sqrt(10), whatever the depth. The bound is `2 u sqrt(depth)`, which for 51 layers is 3.4 times that sum
    and leaves the rest to what later layers make of the difference: 0.056 in bfloat16, 0.007 in float16. Both lie below
    what one layer more or fewer changes, about `1 / sqrt(depth)`.

    In float32 the sums inside the products dominate, which depend on the kernel; the bound is 1e-4, flat. 8-bit
    weights have none: LLM.int8 picks outlier columns over a batch (Dettmers et al. 2022, arXiv 2208.07339).
    """
    if dtype == "float32":
        return 1e-4
    return 2 * UNIT_ROUNDOFF[dtype] * math.sqrt(max(depth, 1))
