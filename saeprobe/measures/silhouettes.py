"""Silhouettes: how much nearer each unit lies to its own style than to the nearest other one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product
from math import factorial, prod

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from saeprobe.measures.relabeling import Reached, counted, drawn

Distances = Float[np.ndarray, "units units"]
Labels = Int[np.ndarray, " units"]
Dealt = Int[np.ndarray, "relabelings units"]
Means = Float[np.ndarray, "relabelings styles"]

MOST_COUNTED = 50_000
"""Up to so many relabelings are counted; two styles of 9 wordings have 48,620."""
AT_ONCE = 2**21
"""Numbers worked on at once: 16 MiB."""
CLOSE = 1e-9
"""Two mean silhouettes that lie so close are the same."""


def cosine_distances(vectors: csr_array) -> Distances:
    """One minus the cosine of the angle between any two rows, `[units, d_sae]`, none of which is 0."""
    products = (vectors @ vectors.T).toarray()
    norms = np.sqrt(np.diagonal(products))
    distances = np.clip(1 - products / np.outer(norms, norms), 0, None)
    np.fill_diagonal(distances, 0)
    return distances


def mean_distances(distances: Distances, dealt: Dealt) -> Float[np.ndarray, "relabelings units styles"]:
    """Mean distance of each unit to the units of each style, itself left out."""
    rounds, units = dealt.shape
    styles = int(dealt.max()) + 1
    member = (dealt[:, :, None] == np.arange(styles)).astype(np.float64)
    sums = distances @ member.transpose(1, 0, 2).reshape(units, rounds * styles)  # one product is faster than many
    others = member.sum(axis=1, keepdims=True) - member  # a unit of n - 1 others in its own style
    return sums.reshape(units, rounds, styles).transpose(1, 0, 2) / others


def silhouettes(distances: Distances, dealt: Dealt) -> Float[np.ndarray, "relabelings units"]:
    """`(b - a) / max(a, b)`: `a` is a unit's mean distance to its own style, `b` that to the nearest other one.

    Rousseeuw 1987, J. Comput. Appl. Math. 20. Between -1 and 1; 0 where both distances are 0. Every style has at least
    2 units, and there are at least 2 styles.
    """
    means = mean_distances(distances, dealt)
    own = np.take_along_axis(means, dealt[:, :, None], axis=2)[:, :, 0]
    np.put_along_axis(means, dealt[:, :, None], np.inf, axis=2)
    nearest = means.min(axis=2)
    larger = np.maximum(own, nearest)
    return np.divide(nearest - own, larger, out=np.zeros_like(larger), where=larger > 0)


def style_means(values: Float[np.ndarray, "relabelings units"], dealt: Dealt) -> Means:
    """Mean silhouette of each style."""
    styles = np.arange(int(dealt.max()) + 1)
    member = dealt[:, :, None] == styles
    return np.where(member, values[:, :, None], 0.0).sum(axis=1) / member.sum(axis=1)


def relabel(
    distances: Distances, labels: Labels, *, within: int | None, alpha: float, seed: int
) -> tuple[Reached, Means]:
    """One-sided p of the mean silhouette when styles are dealt anew to the units, and the means of the styles then.

    With `within`, the units come in runs of so many, a run a topic with each style once, and styles change places
    inside a run only. Counted exactly up to `MOST_COUNTED`, else drawn.
    """
    observed = float(silhouettes(distances, labels[None]).mean())
    means: list[Means] = []
    step = max(1, AT_ONCE // (len(labels) * (int(labels.max()) + 1)))

    def reaching(dealt: Dealt) -> int:
        reached = 0
        for start in range(0, len(dealt), step):
            some = dealt[start : start + step]
            values = silhouettes(distances, some)
            means.append(style_means(values, some))
            reached += int((values.mean(axis=1) >= observed - CLOSE).sum())
        return reached

    def deal(rng: np.random.Generator, count: int) -> Dealt:
        runs = labels.reshape(-1, within or len(labels))
        order = np.argsort(rng.random((count, *runs.shape)), axis=2)
        return np.take_along_axis(np.broadcast_to(runs, order.shape), order, axis=2).reshape(count, -1)

    if relabelings(labels, within=within) <= MOST_COUNTED:
        reached = counted(iter([np.array(list(_every(labels, within=within)))]), reaching)
    else:
        reached = drawn(deal, reaching, alpha=alpha, seed=seed)
    return reached, np.concatenate(means)


def relabelings(labels: Labels, *, within: int | None) -> int:
    """In how many ways the styles can be dealt to the units."""
    if within is not None:
        return factorial(within) ** (len(labels) // within)
    return factorial(len(labels)) // prod(factorial(int(count)) for count in np.bincount(labels))


def _every(labels: Labels, *, within: int | None) -> Iterator[list[int]]:
    if within is not None:
        for orders in product(permutations(range(within)), repeat=len(labels) // within):
            yield [style for order in orders for style in order]
        return
    yield from _choices(list(range(len(labels))), [int(count) for count in np.bincount(labels)])


def _choices(places: list[int], counts: list[int]) -> Iterator[list[int]]:
    """Every way to deal `counts` of each style to as many places; a list of the style of each."""
    dealt = [0] * len(places)

    def fill(free: list[int], style: int) -> Iterator[list[int]]:
        if style == len(counts) - 1:
            for place in free:
                dealt[place] = style
            yield list(dealt)
            return
        for chosen in combinations(free, counts[style]):
            for place in chosen:
                dealt[place] = style
            yield from fill([place for place in free if place not in chosen], style + 1)

    yield from fill(places, 0)
