"""Discovery: p-values of many features at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def false_discoveries(ps: Float[np.ndarray, " tests"], *, q: float) -> Float[np.ndarray, " tests"]:
    """Adjusted p of each test, `[tests]` (Benjamini & Hochberg 1995): of those at or below `q`, a share `q` is false.

    Raises:
        ValueError: a p outside [0, 1], or a q outside (0, 1).
    """
    from scipy.stats import false_discovery_control  # takes half a second to import, and few runs need it

    if not 0 < q < 1:
        raise ValueError(f"q is {q}; wanted a share of false discoveries between 0 and 1, such as 0.05")
    return np.asarray(false_discovery_control(ps))
