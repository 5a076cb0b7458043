"""The control for activity: what is left once both sides have as many firings, drawn again from the seed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest

from saeprobe.evidence import Terms
from saeprobe.measures.exclusive import activity_control, relabel
from saeprobe.measures.reading import Design, Firings

LABELS = ("novice", "expert")


def fired(*units: str, d_sae: int = 12) -> Firings:
    """The firings of units, each a word whose letters are features: `aab` is feature 0 on two tokens, 1 on a third."""
    return Firings(
        names=tuple(f"unit {place}" for place in range(len(units))),
        unit=np.array([place for place, letters in enumerate(units) for _ in letters], dtype=np.int64),
        feature=np.array([ord(letter) - ord("a") for letters in units for letter in letters], dtype=np.int64),
        d_sae=d_sae,
    )


def p_by_sets(a: list[set[str]], b: list[set[str]], *, paired: bool) -> float:
    """The share of relabelings of two sides under which their distinct features differ as much."""
    if paired:
        dealt = [
            ([pair[side] for pair, side in zip(zip(a, b, strict=True), sides, strict=True)],
             [pair[1 - side] for pair, side in zip(zip(a, b, strict=True), sides, strict=True)])
            for sides in product((0, 1), repeat=len(a))
        ]  # fmt: skip
    else:
        units = a + b
        dealt = [
            ([units[place] for place in chosen], [unit for place, unit in enumerate(units) if place not in chosen])
            for chosen in combinations(range(len(units)), len(a))
        ]
    sizes = [abs(len(set().union(*first)) - len(set().union(*second))) for first, second in dealt]
    observed = abs(len(set().union(*a)) - len(set().union(*b)))
    return sum(size >= observed for size in sizes) / len(sizes)


def towards_more(p: float, a: Sequence[set[str]], b: Sequence[set[str]]) -> float:
    """The one-sided p of "a has more distinct features"."""
    return p / 2 if len(set().union(*a)) > len(set().union(*b)) else 1 - p / 2


def mean_p(thinned: list[str], other: list[str], *, paired: bool, seed: int, thinnings: int) -> float:
    """The mean of that over thinnings drawn with a seed: one number a firing, and then the seed of a test."""
    rng, firings = np.random.default_rng(seed), sum(len(unit) for unit in thinned)
    ps: list[float] = []
    for _ in range(thinnings):
        keeps = iter(rng.random(firings) < sum(len(unit) for unit in other) / firings)
        rng.integers(2**32)
        left = [{letter for letter in unit if next(keeps)} for unit in thinned]
        others = [set(unit) for unit in other]
        ps.append(towards_more(p_by_sets(left, others, paired=paired), left, others))
    return float(np.mean(ps))


MORE, FEWER = ["aabc", "aade", "abfg", "hhai"], ["jk", "jl", "ak", "j"]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("more_first", [True, False])
def test_the_more_active_side_is_thinned_and_told_as_a_whole(paired: bool, more_first: bool) -> None:  # noqa: FBT001
    """Of 16 firings 7 are kept. Feature a fired 6 times, h and b twice, six others once; of j, k, l, a there are four.

    (9 / 16)^m of the features with m firings are lost; p is drawn again from the seed, counted with sets.
    """
    sides = (fired(*MORE), fired(*FEWER)) if more_first else (fired(*FEWER), fired(*MORE))
    control = activity_control(
        Design(a=sides[0], b=sides[1], paired=paired), LABELS, found=True, terms=Terms(alpha=0.05, seed=5)
    )
    lost = 9 / 16
    left = (1 - lost**6) + 2 * (1 - lost**2) + 6 * (1 - lost) - 4
    p = mean_p(MORE, FEWER, paired=paired, seed=5, thinnings=20)
    sign, (more, less) = (1, LABELS) if more_first else (-1, LABELS[::-1])
    assert control.estimate == pytest.approx(sign * left)
    assert control.p == pytest.approx(p if more_first else 1.0)  # what is left is below zero
    assert control.share == pytest.approx(left / 5)
    assert control.detail.startswith(
        f"{more} has 16 active features on the tokens read and {less} 7; with equally many "
        f"(mean over 20 random thinnings, seed 5) {sign * left:+.3g} features of {5 * sign:+d} are left"
    )


def test_thinned_units_that_are_too_many_are_drawn() -> None:
    """Of 10 + 9 units p is drawn: each thinning with a seed of its own, which follows from that of the claim."""
    more, fewer = [letter + "ab" for letter in "cdefghijkl"], ["a", "b", "ac", "b", "a", "b", "a", "bd", "a"]
    a, b = fired(*more), fired(*fewer)
    control = activity_control(Design(a=a, b=b, paired=False), LABELS, found=True, terms=Terms(alpha=0.05, seed=2))
    rng, ps = np.random.default_rng(2), []
    for _ in range(20):
        keeps = rng.random(30) < 11 / 30
        thinned = np.zeros((10, 12), dtype=bool)
        thinned[a.unit[keeps], a.feature[keeps]] = True
        seed = int(rng.integers(2**32))
        p, more_left = relabel(thinned, b.units(), paired=False, alpha=None, seed=seed).p, thinned.any(axis=0).sum()
        ps.append(p / 2 if more_left > 4 else 1 - p / 2)
    assert control.p == np.mean(ps)
    assert "(mean over 20 random thinnings, seed 2)" in control.detail


@pytest.mark.parametrize("paired", [True, False])
def test_as_many_firings_on_both_sides_are_left_as_they_are(paired: bool) -> None:  # noqa: FBT001
    """Six firings each: the difference of six features to three is left whole, at half of the p of the labels."""
    a, b = ["abc", "de", "f"], ["gh", "gi", "gh"]
    control = activity_control(
        Design(a=fired(*a), b=fired(*b), paired=paired), LABELS, found=True, terms=Terms(alpha=0.05, seed=0)
    )
    p = p_by_sets([set(unit) for unit in a], [set(unit) for unit in b], paired=paired)
    assert p < 1
    assert (control.estimate, control.share, control.p) == (3, 1.0, pytest.approx(p / 2))
    assert "expert 6; with equally many (nothing to thin) +3 features of +3 are left (100 %)" in control.detail


def test_a_single_firing_on_either_side_is_not_thinned() -> None:
    """One beside one is as many; nothing is drawn."""
    control = activity_control(
        Design(a=fired("a", ""), b=fired("", "b"), paired=False), LABELS, found=False, terms=Terms(alpha=0.05, seed=0)
    )
    assert control.detail.endswith("expert 1; with equally many (nothing to thin) +0 features of +0 are left, p = 1")
    assert (control.estimate, control.share) == (0, None)


def test_where_nothing_is_thinned_p_is_drawn_as_the_claim_draws_it() -> None:
    """Of 19 pairs three have a feature on one side, and one on the other: by the claim's seed, until alpha is told.

    Four coins are at least two apart in 10 of 16 throws, so that an alpha of 0.32 takes more than 4,999 draws.
    """
    a, b = fired("a", "b", "c", *[""] * 16), fired(*[""] * 18, "ddd")
    sides = Design(a=a, b=b, paired=True)
    ps: list[float | None] = []
    for alpha, seed in ((0.05, 3), (0.05, 4), (0.32, 3)):
        ps.append(activity_control(sides, LABELS, found=True, terms=Terms(alpha=alpha, seed=seed)).p)
        assert ps[-1] == relabel(a.units(), b.units(), paired=True, alpha=2 * alpha, seed=seed).p / 2
    assert ps == [pytest.approx(5 / 16, abs=0.01)] * 3
    assert len(set(ps)) == 3


@pytest.mark.parametrize(
    ("low", "high", "p", "told"),
    [
        # 3.3 standard errors of 20 values, half of them 0.02 below their mean and half above, are 0.01514
        (0.045, 0.085, 0.065, "200 random thinnings, seed 0"),
        (0.0453, 0.0853, 0.0653, "20 random thinnings, seed 0"),
        (0.0147, 0.0547, 0.0347, "20 random thinnings, seed 0"),
        # of 200 values 0.04 below and above they are 0.00936
        (0.011, 0.091, 0.06036, "200 random thinnings, seed 0, too near 0.05 to tell: its upper end"),
        (0.009, 0.089, 0.05836, "200 random thinnings, seed 0, too near 0.05 to tell: its upper end"),
    ],
)
def test_a_mean_counts_as_below_alpha_where_its_errors_leave_no_doubt(
    low: float, high: float, p: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thinnings whose p is low and high by turns: how many are drawn, and what p counts as."""
    turns = iter([low, high] * 200)
    monkeypatch.setattr("saeprobe.measures.exclusive._thinned_p", lambda *_: next(turns))
    sides = Design(a=fired(*MORE), b=fired(*FEWER), paired=False)
    control = activity_control(sides, LABELS, found=True, terms=Terms(alpha=0.05, seed=0))
    assert control.p == pytest.approx(p, abs=1e-4)
    assert f"(mean over {told}) " in control.detail


def test_a_mean_at_alpha_without_any_spread_is_not_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every p is a quarter, and so is alpha: no number of thinnings tells them apart."""
    monkeypatch.setattr("saeprobe.measures.exclusive._thinned_p", lambda *_: 0.25)
    sides = Design(a=fired(*MORE), b=fired(*FEWER), paired=False)
    control = activity_control(sides, LABELS, found=True, terms=Terms(alpha=0.25, seed=0))
    assert (control.p, control.answer == "withstood") == (0.25, False)
    assert "(mean over 200 random thinnings, seed 0, too near 0.25 to tell: its upper end) " in control.detail


@pytest.mark.parametrize(
    ("more", "fewer", "left", "answer"), [("abcd", "ef", 0, "cannot tell"), ("abcdef", "ghg", 1, "withstood")]
)
def test_a_sure_p_withstands_where_anything_is_left(
    more: str, fewer: str, left: float, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the firings are kept: 2 features of four beside 2 are nothing, and 3 of six beside 2 are one of four.

    One unit a side has no error, so that nothing left of its effect is not surely nothing.
    """
    monkeypatch.setattr("saeprobe.measures.exclusive._thinned_p", lambda *_: 0.01)
    sides = Design(a=fired(more), b=fired(fewer), paired=False)
    control = activity_control(sides, LABELS, found=True, terms=Terms(alpha=0.05, seed=0))
    assert (control.estimate, control.answer) == (left, answer)
