"""Unions: how many distinct features fire in the units of either side, whatever units stand on it.

A feature is exclusive to a side if it fires there and not on the other. What fires on both sides counts on neither, so
the difference of the two counts of exclusive features is the difference of the two counts of distinct features; that
is what is permuted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from saeprobe.features.sparse import Features
from saeprobe.statistics.permutation import COUNTED_ITEMS, Dealt, Reached, counted, drawn, every_choice

Units = Bool[np.ndarray, "units d_sae"]

BLOCK = 8
"""Items whose joint unions are kept in one table: 256 rows."""
AT_ONCE = 2**21
"""Words of 64 features worked on at once: 16 MiB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Firings:
    """Every firing of a feature on a side: one entry an active feature of a token read, by unit of replication.

    Attributes:
        names: of the units, each a template or a topic.
        unit: index into `names`, `[entries]`.
        feature: the feature, `[entries]`.
        d_sae: features of the SAE.
    """

    names: tuple[str, ...]
    unit: Int[np.ndarray, " entries"]
    feature: Int[np.ndarray, " entries"]
    d_sae: int

    def units(self, kept: Bool[np.ndarray, " entries"] | None = None) -> Units:
        """Which features fire anywhere in each unit, by all entries or by those that are kept."""
        chosen = slice(None) if kept is None else kept
        fires: Units = np.zeros((len(self.names), self.d_sae), dtype=bool)
        fires[self.unit[chosen], self.feature[chosen]] = True
        return fires

    @property
    def times(self) -> Int[np.ndarray, " d_sae"]:
        """On how many tokens read each feature fires."""
        return np.bincount(self.feature, minlength=self.d_sae)


def firings(of: Features, unit_of_prompt: Sequence[str], names: Sequence[str]) -> Firings:
    """The firings of `of`, each prompt in the unit given for it."""
    place = {name: index for index, name in enumerate(names)}
    unit = np.array([place[name] for name in unit_of_prompt], dtype=np.int64)
    coo = of.acts.tocoo()
    rows, features = coo.coords
    active = coo.data > 0
    return Firings(
        names=tuple(names),
        unit=unit[of.row_prompt[rows[active]]],
        feature=features[active].astype(np.int64),
        d_sae=of.d_sae,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Relabeled:
    """The p of a difference of distinct features, and the size of the difference under each relabeling looked at."""

    reached: Reached
    sizes: Int[np.ndarray, " relabelings"]

    @property
    def p(self) -> float:
        """Share of relabelings under which the difference is at least as large."""
        return self.reached.p


def relabel(a: Units, b: Units, *, paired: bool, alpha: float | None, seed: int) -> Relabeled:
    """Two-sided test of the difference of distinct features: units change sides, and features are counted again.

    Unpaired, any `len(a)` of all units may stand on the first side; paired, unit i of `a` and unit i of `b` may change
    places. Counted exactly up to `COUNTED_ITEMS` units or pairs, else drawn.
    """
    ever = a.any(axis=0) | b.any(axis=0)
    a, b = a[:, ever], b[:, ever]
    items = len(a) if paired else len(a) + len(b)
    table = _table(a, b) if paired else _table(np.vstack([a, b]), np.zeros((items, a.shape[1]), dtype=bool))
    observed = abs(int(a.any(axis=0).sum()) - int(b.any(axis=0).sum()))
    sizes: list[Int[np.ndarray, " relabelings"]] = []

    def reaching(dealt: Dealt) -> int:
        sizes.append(np.abs(_differences(table, dealt)))
        return int((sizes[-1] >= observed).sum())

    def deal(rng: np.random.Generator, count: int) -> Dealt:
        if paired:
            return rng.random((count, items)) < 0.5  # noqa: PLR2004 - a fair coin a pair
        return np.argsort(rng.random((count, items)), axis=1) < len(a)

    if items <= COUNTED_ITEMS:
        reached = counted(every_choice(items, ones=None if paired else len(a)), reaching)
    else:
        reached = drawn(deal, reaching, alpha=alpha, seed=seed)
    return Relabeled(reached=reached, sizes=np.concatenate(sizes))


def patterns(a: Units, b: Units) -> tuple[tuple[str, int], ...]:
    """In which units features fire, as a 1 or a 0 a unit, and how many do so; those that fire nowhere are left out.

    >>> patterns(np.array([[True, True, False]]), np.array([[False, False, False]]))
    (('10', 2),)
    """
    fires = np.vstack([a, b])
    found, counts = np.unique(fires[:, fires.any(axis=0)], axis=1, return_counts=True)
    rows = ("".join("01"[int(bit)] for bit in pattern) for pattern in found.T)
    return tuple((row, int(count)) for row, count in zip(rows, counts, strict=True))


def _table(ones: Units, zeros: Units) -> UInt64[np.ndarray, "blocks 256 words"]:
    """Unions of each block of items by the bits set in it: an item adds its row of `ones` or of `zeros`.

    Both sides of a relabeling are read from it, the second by the opposite bits (the method of four Russians).
    """
    missing = -len(ones) % BLOCK
    of_ones, of_zeros = (np.pad(_words(rows), ((0, missing), (0, 0))) for rows in (ones, zeros))
    blocks: list[UInt64[np.ndarray, "256 words"]] = []
    for start in range(0, len(of_ones), BLOCK):
        table = np.zeros((1, of_ones.shape[1]), dtype=np.uint64)
        for item in range(start, start + BLOCK):
            table = np.concatenate([table | of_zeros[item], table | of_ones[item]])  # bit i is worth 2^i rows
        blocks.append(table)
    return np.stack(blocks)


def _words(rows: Units) -> UInt64[np.ndarray, "items words"]:
    """A bit a feature, in words of 64; one empty word where no feature fires."""
    padded = np.pad(rows, ((0, 0), (0, 64 if not rows.shape[1] else -rows.shape[1] % 64)))
    return np.ascontiguousarray(np.packbits(padded, axis=1)).view(np.uint64)


def _differences(table: UInt64[np.ndarray, "blocks 256 words"], dealt: Dealt) -> Int[np.ndarray, " relabelings"]:
    """Distinct features on the first side less those on the second, for each relabeling."""
    chosen = np.packbits(dealt, axis=1, bitorder="little")
    step = max(1, AT_ONCE // max(1, table.shape[2]))
    parts = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(chosen), step):
        some = chosen[start : start + step]
        parts.append(_distinct(table, some) - _distinct(table, ~some))
    return np.concatenate(parts)


def _distinct(table: UInt64[np.ndarray, "blocks 256 words"], chosen: np.ndarray) -> Int[np.ndarray, " relabelings"]:
    union = table[0][chosen[:, 0]]
    for block in range(1, len(table)):
        union |= table[block][chosen[:, block]]
    return np.bitwise_count(union).sum(axis=1, dtype=np.int64)


def expected_distinct(times: Int[np.ndarray, " d_sae"], kept: float) -> float:
    """Distinct features to be expected when each firing is kept with probability `kept`.

    A feature that fires `m` times is still seen with probability `1 - (1 - kept)^m`: rarefaction (Hurlbert 1971,
    Ecology 52), with every firing thinned on its own instead of a fixed number drawn.

    >>> expected_distinct(np.array([1, 2, 0]), 0.5)
    1.25
    """
    seen: Float[np.ndarray, " d_sae"] = 1 - (1 - kept) ** times.astype(np.float64)
    return float(seen.sum())
