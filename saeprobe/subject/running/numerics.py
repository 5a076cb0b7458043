"""Numerics: how far rounding alone may move a residual stream, so that two ways to compute it can be held together."""

from __future__ import annotations

import math

from saeprobe.subject.specification import Dtype

_UNIT_ROUNDOFF: dict[Dtype, float] = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # 8 and 11 bits of significand
_FLOAT32 = 1e-4


def tolerance_of(dtype: Dtype, *, depth: int) -> float:
    """The bound on `|x - y| / |x|` of one token's residual stream `[d_in]`, computed twice in different batches.

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

    In float32 the sums inside the products dominate, which depend on the kernel; the bound is 1e-4, flat.

    8-bit weights have no bound here: LLM.int8 picks its outlier columns over all tokens of a batch (Dettmers et al.
    2022, arXiv 2208.07339), so what shares a batch with a prompt is part of the result.

    Args:
        dtype: what the model computes in.
        depth: layers that ran.
    """
    if dtype == "float32":
        return _FLOAT32
    return 2 * _UNIT_ROUNDOFF[dtype] * math.sqrt(max(depth, 1))
