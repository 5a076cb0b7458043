"""Drawn relabelings: where there are too many to count, and how many it takes to be sure of the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from saeprobe.statistics.permutation import (
    Draw,
    Statistics,
    flip_share,
    permutation_share,
    sampled,
)
from saeprobe.statistics.shifts import drawn_flips, drawn_permutations, paired_shift, unpaired_shift

ALPHA = 0.05
ZERO = (np.zeros(2),)


def share_of(reaching: float, asked: list[int] | None = None) -> Draw:
    """A made draw: this share of the relabelings has contrast 1 and slope 0.5, the others contrast 0 and slope 0."""

    def draw(_: np.random.Generator, count: int) -> tuple[Statistics, Statistics]:
        if asked is not None:
            asked.append(count)
        reach = np.arange(count) < round(reaching * count)
        return reach * 1.0, reach * 0.5

    return draw


def test_a_clear_p_takes_one_round_of_draws() -> None:
    """19,999 are drawn at once; with the labels as observed 2,000 + 1 of 20,000 reach the contrast."""
    asked: list[int] = []
    found = sampled(share_of(0.1, asked), 1.0, ZERO, "flips", alpha=ALPHA, seed=0)
    assert (found.share(0.0), found.name, asked) == (2001 / 20_000, "sampled flips (19,999 drawn)", [19_999])
    assert found.smallest == 1 / 20_000


def test_a_p_near_alpha_is_drawn_ten_times_as_often() -> None:
    """1,048 of 19,999 leave 0.05 inside the interval at 99.9 %; ten times as many in portions of 20,000 do not."""
    asked: list[int] = []
    found = sampled(share_of(0.0524, asked), 1.0, ZERO, "flips", alpha=ALPHA, seed=0)
    assert binomtest(1048, 19_999).proportion_ci(0.999).low < ALPHA
    assert binomtest(10_480, 199_999).proportion_ci(0.999).low > ALPHA
    assert (found.name, found.smallest) == ("sampled flips (199,999 drawn)", 1 / 200_000)
    assert found.share(0.0) == 10_481 / 200_000
    assert asked == [19_999, *[20_000] * 9, 19_999]


@pytest.mark.parametrize("reaching", [0.0498, 0.05, 0.0502])
def test_a_p_that_stays_too_close_to_alpha_is_given_by_its_upper_end(reaching: float) -> None:
    """After two million draws the interval still holds 0.05: its upper end is the p, which is never below alpha."""
    found = sampled(share_of(reaching), 1.0, ZERO, "flips", alpha=ALPHA, seed=0)
    count = round(round(reaching * 20_000) * 99 + round(reaching * 19_999))
    assert found.smallest == pytest.approx(found.share(0.0) - count / 2_000_000, rel=1e-9)
    assert found.share(0.0) == pytest.approx(binomtest(count, 1_999_999).proportion_ci(0.999).high, abs=2e-9)
    assert found.share(0.0) >= ALPHA
    close = "p is too close to 0.05 to tell, and the upper end of its 99.9% interval is given"
    assert found.name == f"sampled flips (1,999,999 drawn; {close})"
    assert found.share(1.0) == 1.0


def test_a_shift_is_taken_out_by_the_slope_of_each_relabeling() -> None:
    """At a shift of 0.2 the observed contrast is 0.8 and the others 1 - 0.5 * 0.2 = 0.9; at -1 they are 2 and 1.5."""
    found = sampled(share_of(0.1), 1.0, ZERO, "flips", alpha=ALPHA, seed=0)
    assert found.share(0.2) == 2001 / 20_000
    assert found.share(-1.0) == 1 / 20_000
    assert found.share(1.0) == 1.0


def test_drawn_contrasts_tie_in_spite_of_rounding() -> None:
    """A contrast that misses the observed one by less than rounding of the values reaches it."""
    found = sampled(share_of(0.1), 1 + 1e-10, (np.array([0.0, 1000.0]),), "flips", alpha=ALPHA, seed=0)
    assert found.share(0.0) == 2001 / 20_000
    assert sampled(share_of(0.1), 1 + 1e-10, ZERO, "flips", alpha=ALPHA, seed=0).share(0.0) == 1 / 20_000
    assert (
        sampled(share_of(0.1), 1 + 1e-10, (np.zeros(2), np.full(2, 1000.0)), "flips", alpha=ALPHA, seed=0).share(0.0)
        > 0.1
    )


def test_an_alpha_that_no_draw_can_tell_leaves_no_interval() -> None:
    """At alpha = 1e-7 two million draws tell nothing: p is above alpha, and no shift is rejected."""
    shift = paired_shift(np.arange(40) + 1.0, alpha=1e-7, seed=0)
    assert shift.p >= 1e-7
    assert shift.smallest_p >= 1e-7
    assert shift.interval is None


@pytest.mark.parametrize("seed", range(3))
def test_drawn_permutations_come_to_the_counted_p(seed: int) -> None:
    """Over unequal groups, at several shifts, the drawn share lies within four standard errors of the counted one."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0.8, 1, 7) + 50, rng.normal(0, 1, 11) + 50
    exact, drawn = (
        permutation_share(a, b),
        sampled(drawn_permutations(a, b), a.mean() - b.mean(), (a, b), "flips", alpha=1e-9, seed=seed),
    )
    for shift in (0.0, 0.6, -0.4, 2.0):
        p = exact(shift)
        assert abs(drawn.share(shift) - p) < 4 * np.sqrt(p * (1 - p) / 20_000) + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_drawn_signs_come_to_the_counted_p(seed: int) -> None:
    """The same for sign flips."""
    differences = np.random.default_rng(seed).normal(0.4, 1, 17)
    exact = flip_share(differences)
    drawn = sampled(drawn_flips(differences), differences.mean(), (differences,), "flips", alpha=1e-9, seed=seed)
    for shift in (0.0, 0.3, -0.4, 1.0):
        p = exact(shift)
        assert abs(drawn.share(shift) - p) < 4 * np.sqrt(p * (1 - p) / 20_000) + 1e-12


def test_every_drawn_relabeling_has_the_sizes_of_the_groups() -> None:
    """With a single nonzero unit, a contrast is 1/2 where it is among the 2 of the first group and -1/3 else."""
    contrast, slope = drawn_permutations(np.array([1.0, 0]), np.zeros(3))(np.random.default_rng(0), 500)
    assert set(contrast.round(12)) == {0.5, round(-1 / 3, 12)}
    assert set(slope.round(12)) == {1.0, round(0.5 - 1 / 3, 12), round(-2 / 3, 12)}
    assert np.mean(contrast > 0) == pytest.approx(2 / 5, abs=0.1)


def test_every_drawn_sign_is_plus_or_minus() -> None:
    """Two differences 1 and 2 have the four means 1.5, 0.5, -0.5, -1.5, which take up a shift by 1, 0, 0, -1."""
    contrast, slope = drawn_flips(np.array([1.0, 2.0]))(np.random.default_rng(0), 400)
    found = {(float(each), float(taken)) for each, taken in zip(contrast, slope, strict=True)}
    assert found == {(1.5, 1.0), (0.5, 0.0), (-0.5, 0.0), (-1.5, -1.0)}
    assert np.mean(slope) == pytest.approx(0, abs=0.15)


def test_many_units_are_drawn_and_the_test_tells_how_many() -> None:
    """38 units a side and 100 pairs are too many to count; separated ones leave p at 1/20,000, never at 0."""
    apart = unpaired_shift(np.arange(38) + 100.0, np.arange(38) * 1.0, alpha=ALPHA, seed=3)
    assert apart.p == apart.smallest_p == 1 / 20_000
    assert (apart.test, apart.seed) == ("sampled permutation of 38 + 38 units (19,999 drawn)", 3)
    raised = paired_shift(np.arange(100) + 1.0, alpha=ALPHA, seed=4)
    assert raised.p == raised.smallest_p == 1 / 20_000
    assert (raised.test, raised.seed) == ("sampled sign flips of 100 paired differences (19,999 drawn)", 4)


def test_a_drawn_interval_is_about_that_of_the_t_distribution() -> None:
    """For many normal units the two agree within a few hundredths of its width."""
    differences = np.random.default_rng(1).normal(1, 1, 100)
    interval = paired_shift(differences, alpha=ALPHA, seed=0).interval
    assert interval is not None
    half = 1.984 * differences.std(ddof=1) / 10
    assert interval == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.03)
    a, b = differences[:50], differences[50:]
    interval = unpaired_shift(a, b, alpha=ALPHA, seed=0).interval
    assert interval is not None
    half = 1.984 * np.sqrt(a.var(ddof=1) / 50 + b.var(ddof=1) / 50)
    assert interval == pytest.approx((a.mean() - b.mean() - half, a.mean() - b.mean() + half), abs=0.03)


def test_the_same_seed_draws_the_same() -> None:
    """Ten seeds give several p, all on the same side of alpha; each again the same."""
    differences = np.random.default_rng(0).normal(0.3, 1, 60)
    shifts = [paired_shift(differences, alpha=ALPHA, seed=seed) for seed in range(10)]
    assert len({shift.p for shift in shifts}) > 3
    assert len({shift.p < ALPHA for shift in shifts}) == 1
    assert [shift.seed for shift in shifts] == list(range(10))
    assert paired_shift(differences, alpha=ALPHA, seed=3) == shifts[3]


def test_seeds_agree_on_a_p_that_is_close_to_alpha() -> None:
    """Where the first draws leave it open the further ones are the same for every seed, and so are p and interval."""
    differences = np.random.default_rng(0).normal(0, 1, 50)
    differences += 0.2882 * differences.std(ddof=1) - differences.mean()
    shifts = [paired_shift(differences, alpha=ALPHA, seed=seed) for seed in range(3)]
    assert shifts[0].test == "sampled sign flips of 50 paired differences (199,999 drawn)"
    assert len({(shift.p, shift.interval, shift.test) for shift in shifts}) == 1
    assert shifts[0].interval is not None
    assert (shifts[0].interval[0] <= 0) == (shifts[0].p >= ALPHA)
