"""The error of a count of distinct features, and what fewer wordings would show."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from saeprobe.measures.exclusive import exclusive_interval, rarefied


@pytest.mark.parametrize(("on", "but_not", "paired"), [(1, 3, False), (3, 1, False), (1, 1, False), (1, 1, True)])
def test_a_single_unit_on_a_side_has_no_interval(on: int, but_not: int, paired: bool) -> None:  # noqa: FBT001
    """One unit does not say how much units vary, and half of the variance is no interval."""
    sides = np.eye(4, dtype=bool)[:on], np.eye(4, dtype=bool)[:but_not, ::-1]
    assert exclusive_interval(*sides, paired=paired, level=0.95) is None


@pytest.mark.parametrize("seed", range(3))
def test_fewer_wordings_show_the_mean_of_all_choices_of_them(seed: int) -> None:
    """Rarefaction is held against every choice of k of 5 and of 4 units, with each of them left out in turn."""
    rng = np.random.default_rng(seed)
    on, but_not = rng.random((5, 40)) < 0.2, rng.random((4, 40)) < 0.1
    found = rarefied(on, but_not)
    assert len(found) == 4

    def mean(a: np.ndarray, b: np.ndarray, k: int) -> float:
        choices = product(combinations(range(len(a)), min(k, len(a))), combinations(range(len(b)), min(k, len(b))))
        return float(np.mean([(a[list(i)].any(axis=0) & ~b[list(j)].any(axis=0)).sum() for i, j in choices]))

    for k, (count, error) in enumerate(found, start=1):
        assert count == pytest.approx(mean(on, but_not, k))
        less = [mean(np.delete(on, one, axis=0), but_not, k) for one in range(5)]
        fewer = [mean(on, np.delete(but_not, one, axis=0), k) for one in range(4)]
        assert error**2 == pytest.approx(4 * np.var(less) + 3 * np.var(fewer))
