"""Approved values beside measured ones: what is noise, what has moved, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from math import hypot

import numpy as np
import pytest
from baselines_made import baseline, found, sample, summary, value
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from saeprobe.verdicts.baseline import BaselineComparison, compare_baseline, distinct_digits, noise_of
from saeprobe.verdicts.baseline_files import Provenance

NAMES = [f"t{number}" for number in range(8)]
OLD = dict.fromkeys(NAMES, 10.0)
MIXED = (1.0, -2.0, 3.0, -1.0, 2.0, -3.0, 1.5, 0.5)
"""Differences of eight units with the mean 0.25, which no test finds."""


def moved_by(differences: tuple[float, ...]) -> dict[str, float]:
    """Units of 10 each, moved by these."""
    return {name: 10.0 + by for name, by in zip(NAMES, differences, strict=True)}


def p_of(differences: np.ndarray) -> float:
    """The two-sided p of sign flips, by scipy, which counts all of them."""
    return float(
        permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        ).pvalue
    )


# noise


def test_of_the_same_units_noise_is_what_the_test_over_them_does_not_find() -> None:
    """Scipy's sign flips find a move a little above the noise, and do not find one a little below."""
    old = value(10.0, OLD, interval=(0.0, 20.0))
    new = value(10.25, moved_by(MIXED))
    noise, told = noise_of(old, new, alpha=0.05, seed=0)
    assert told == "8 templates, paired"
    centred = np.array(MIXED) - 0.25
    assert p_of(centred + noise * 1.001) <= 0.05 < p_of(centred + noise * 0.999)


def test_noise_is_the_same_below_and_above() -> None:
    """The same differences with the other sign have the same noise."""
    old = value(10.0, OLD, interval=(0.0, 20.0))
    above = noise_of(old, value(10.25, moved_by(MIXED)), alpha=0.05, seed=0)[0]
    below = noise_of(old, value(9.75, moved_by(tuple(-by for by in MIXED))), alpha=0.05, seed=0)[0]
    assert above == pytest.approx(below, rel=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_noise_of_skewed_units_is_that_of_the_side_of_the_move(sign: float) -> None:
    """One unit far above the others: moves up and moves down are not found at unlike sizes, by scipy's sign flips."""
    skewed = sign * np.array([6.0, -1.0, -0.5, 0.25, -0.75, -0.3, 0.6, -0.8])  # the mean is 0.4375
    old = value(10.0, OLD, interval=(0.0, 20.0))
    new = value(10.0 + sign * 0.4375, moved_by(tuple(skewed.tolist())))
    noise, _ = noise_of(old, new, alpha=0.05, seed=0)
    centred = skewed - sign * 0.4375
    assert p_of(centred + sign * noise * 1.001) <= 0.05 < p_of(centred + sign * noise * 0.999)


def test_noise_that_is_drawn_is_the_same_again() -> None:
    """Forty units have too many signs to count: those of the run's seed are drawn, and another seed draws others."""
    names = [f"t{number}" for number in range(40)]
    old = value(10.0, dict.fromkeys(names, 10.0), interval=(0.0, 20.0))
    new = value(10.5, {name: 10.0 + (number % 7) - 2.5 for number, name in enumerate(names)})
    first, again, other = (noise_of(old, new, alpha=0.05, seed=seed)[0] for seed in (3, 3, 4))
    assert first == again != other
    mean = sum(number % 7 - 2.5 for number in range(40)) / 40
    rows = [[10.0 + (number % 7) - 2.5] for number in range(40)]
    now = sample("novice", rows)
    approved = replace(old, unit_means={prompt.template: 10.0 for prompt in now.prompts})
    beside = [
        compare_baseline(baseline(values=(approved,)), found(now).samples, Provenance(seed=seed)).rows[0]
        for seed in (3, 3, 4)
    ]
    assert beside[0].measured == pytest.approx(10.0 + mean)
    assert beside[0].noise == beside[1].noise != beside[2].noise
    assert beside[0].noise_from == "40 templates, paired"


def test_a_stricter_alpha_allows_for_more_noise() -> None:
    """What is found at 0.05 need not be found at 0.01."""
    old, new = value(10.0, OLD, interval=(0.0, 20.0)), value(10.25, moved_by(MIXED))
    assert noise_of(old, new, alpha=0.01, seed=0)[0] > noise_of(old, new, alpha=0.05, seed=0)[0]


def test_one_wild_unit_cannot_hide_a_move() -> None:
    """A single template that leaps by 80 is never found by sign flips; the interval of the approved mean bounds it."""
    old = value(10.0, OLD, interval=(9.5, 10.4))
    new = value(20.0, moved_by((80.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    noise, told = noise_of(old, new, alpha=0.05, seed=0)
    assert (noise, told) == (pytest.approx(0.5), "8 templates, paired")


def test_a_move_by_the_same_amount_everywhere_is_no_noise() -> None:
    """Every unit a tenth higher: there is no spread that could excuse it, and rounding does not."""
    old = value(10.0, OLD, interval=(0.0, 20.0))
    new = value(10.1, moved_by((0.1,) * 8))
    assert noise_of(old, new, alpha=0.05, seed=0) == (pytest.approx(1e-5), "rounding")


def test_too_few_units_excuse_nothing() -> None:
    """Five pairs cannot reach 0.05 whatever they show, so only rounding is allowed for; six can."""
    for count, told in ((5, "rounding"), (6, "6 templates, paired")):
        names = NAMES[:count]
        old = value(10.0, dict.fromkeys(names, 10.0), interval=(0.0, 20.0))
        new = value(10.2, {name: 10.0 + by for name, by in zip(names, MIXED, strict=False)})
        assert noise_of(old, new, alpha=0.05, seed=0)[1] == told


@pytest.mark.parametrize(
    "units", [{name.upper(): 10.0 for name in NAMES}, {}, dict.fromkeys(NAMES[:7], 10.0), OLD | {"t8": 1.0}]
)
def test_of_other_units_noise_is_that_of_both_means(units: dict[str, float]) -> None:
    """Intervals that reach 3 and 4 add up to 5."""
    old, new = value(10.0, OLD, interval=(7.0, 12.0)), value(11.0, units, interval=(9.0, 15.0))
    assert noise_of(old, new, alpha=0.05, seed=0) == (hypot(3, 4), "the intervals of both means")


def test_the_order_of_units_does_not_matter() -> None:
    """Pairs are made by name."""
    old = value(10.0, moved_by(MIXED), interval=(0.0, 20.0))
    new = value(10.0, dict(reversed(moved_by(MIXED).items())))
    assert noise_of(old, new, alpha=0.05, seed=0)[1] == "rounding"


def test_a_single_unit_is_held_against_the_intervals() -> None:
    """There is nothing to pair."""
    old, new = value(10.0, {"t": 10.0}, interval=(8.0, 11.0)), value(11.0, {"t": 11.0})
    assert noise_of(old, new, alpha=0.05, seed=0) == (2.0, "the intervals of both means")


def test_two_units_are_paired_and_excuse_nothing() -> None:
    """Two pairs cannot be tested, and intervals of the means are not asked where units are the same."""
    old = value(10.0, {"t": 10.0, "u": 10.0}, interval=(8.0, 11.0))
    new = value(11.0, {"t": 10.5, "u": 11.5})
    assert noise_of(old, new, alpha=0.05, seed=0) == (pytest.approx(1e-5), "rounding")


def test_rounding_is_a_millionth() -> None:
    """Two summaries without intervals agree to a millionth of the approved mean, whatever its sign."""
    for mean in (200.0, -200.0):
        assert noise_of(value(mean), value(mean), alpha=0.05, seed=0) == (pytest.approx(2e-4, rel=1e-12), "rounding")


def test_a_move_within_rounding_needs_no_test() -> None:
    """Up to rounding nothing else is looked at; a little beyond it the intervals count."""
    old = value(10.0, interval=(9.0, 11.0), near_moves=0.5)
    assert noise_of(old, value(10.5), alpha=0.05, seed=0) == (0.5, "features near their threshold")
    assert noise_of(old, value(9.5), alpha=0.05, seed=0) == (0.5, "features near their threshold")
    assert noise_of(old, value(9.4375), alpha=0.05, seed=0) == (1.0, "the intervals of both means")


@pytest.mark.parametrize(("before", "now", "noise"), [(0.5, None, 0.5), (None, 0.25, 0.25), (0.5, 0.75, 0.75)])
def test_features_near_their_threshold_widen_it(before: float | None, now: float | None, noise: float) -> None:
    """What they may move, in either of the runs, is no move."""
    old, new = value(10.0, near_moves=before), value(10.0, near_moves=now)
    assert noise_of(old, new, alpha=0.05, seed=0) == (noise, "features near their threshold")


def test_the_wider_of_noise_and_rounding_counts() -> None:
    """Intervals of 0.3 stand back behind features that may move 0.5, and go before ones that may move 0.2."""
    old, new = value(10.0, interval=(9.7, 10.3)), value(11.0)
    assert noise_of(replace(old, near_moves=0.5), new, alpha=0.05, seed=0) == (0.5, "features near their threshold")
    assert noise_of(replace(old, near_moves=0.2), new, alpha=0.05, seed=0) == (
        pytest.approx(0.3),
        "the intervals of both means",
    )


# rows


def compared(*pairs: tuple[float, float], **more: object) -> BaselineComparison:
    """Approved and measured summaries of a, b, ..."""
    names = "abcdef"
    approved = baseline(*(summary(names[i], old) for i, (old, _) in enumerate(pairs)), **more)
    measured = (summary(names[i], new) for i, (_, new) in enumerate(pairs))
    return compare_baseline(approved, measured, Provenance())


def test_the_same_run_agrees_in_every_row() -> None:
    """Nothing moves, nothing is lost, nothing is said."""
    of = (sample("novice", [[1.0, 2.0], [3.0, 4.0]]), summary("expert", 3.0))
    beside = compare_baseline(baseline(*of), found(*of).samples, Provenance())
    assert [row.agrees for row in beside.rows] == [True, True]
    assert ({row.agrees for row in beside.rows}, beside.reason(whole=True)) == ({True}, None)


@pytest.mark.parametrize(
    ("measured", "agrees"), [(100.000099, True), (99.999901, True), (100.000101, False), (99.999899, False)]
)
def test_a_row_agrees_up_to_its_noise(*, measured: float, agrees: bool) -> None:
    """A millionth of 100 is 0.0001, above and below."""
    (row,) = compared((100.0, measured)).rows
    assert (row.approved, row.measured, row.unit, row.measure) == (100.0, measured, "features", "l0")
    assert row.agrees is agrees


def test_a_value_on_the_edge_agrees() -> None:
    """The noise itself is still noise: 2 beside 1 with a reach of 1."""
    beside = compare_baseline(
        baseline(summary("a", 1.0, interval=(0.0, 2.0))), found(summary("a", 2.0)).samples, Provenance()
    )
    assert (beside.rows[0].noise, beside.rows[0].agrees) == (1.0, True)


def test_a_value_that_is_measured_no_more_neither_agrees_nor_differs() -> None:
    """It is lost, be it that its label, its measure or its unit is gone."""
    for now in (
        summary("b", 1.0),
        summary("a", 1.0, unit="activation"),
        replace(summary("a", 1.0), measure="intensity"),
    ):
        beside = compare_baseline(baseline(summary("a", 1.0)), found(now).samples, Provenance())
        (row,) = beside.rows
        assert (row.measured, row.noise, row.noise_from, row.agrees) == (None, None, None, None)
        assert beside.reason(whole=False) is None
        assert (beside.reason(whole=True) or "").startswith("l0 of a, 1 features, is measured no more since Ada ")


def test_values_that_are_new_are_no_rows() -> None:
    """Nobody approved them yet."""
    beside = compare_baseline(
        baseline(summary("a", 1.0)), found(summary("a", 1.0), summary("b", 9.0)).samples, Provenance()
    )
    assert [row.label for row in beside.rows] == ["a"]


def test_alpha_and_seed_are_those_of_the_run() -> None:
    """The noise at 0.01 is wider than at 0.05."""
    approved = baseline(values=(value(10.0, OLD, interval=(0.0, 20.0)),))
    rows = [[10.0 + by] for by in MIXED]
    now = replace(
        sample("novice", rows),
        prompts=tuple(
            replace(prompt, template=name) for prompt, name in zip(sample("novice", rows).prompts, NAMES, strict=True)
        ),
    )
    noises = [
        compare_baseline(approved, found(now).samples, Provenance(alpha=alpha)).rows[0].noise for alpha in (0.05, 0.01)
    ]
    assert noises[0] < noises[1]


# what is said


def test_the_reason_says_what_moved_who_approved_it_and_that_nothing_changed() -> None:
    """One value, in four digits."""
    assert compared((18.8333, 21.2)).reason(whole=False) == (
        'a moved from 18.83 to 21.20 features since Ada approved it on 2026-11-20 ("as in table 1"); '
        "nothing that is recorded changed in between"
    )


def test_a_move_to_zero_is_told_as_zero() -> None:
    """What nothing fires on any more is measured, and is 0."""
    assert (compared((2.0, 0.0)).reason(whole=True) or "").startswith("a moved from 2.000 to 0.000 features since Ada ")


def test_the_reason_names_each_value_that_moved_and_what_changed() -> None:
    """Those that agree are left out; all changes are listed."""
    beside = compared(
        (1.0, 2.0), (3.0, 3.0), (4.0, 5.5), measured_with=Provenance(versions={"torch": "1", "numpy": "2"})
    )
    beside = replace(beside, changed=("torch 1 -> 2", "prompts"))
    assert beside.reason(whole=True) == (
        "a moved from 1.000 to 2.000 features, c moved from 4.000 to 5.500 features since Ada approved them on "
        '2026-11-20 ("as in table 1"); changed in between: torch 1 -> 2, prompts'
    )


def test_what_is_measured_no_more_is_told_of_a_probe_that_came_to_its_end() -> None:
    """Of one that an assert ended nobody knows."""
    beside = compare_baseline(baseline(summary("a", 1.5)), found(summary("b", 1.0)).samples, Provenance())
    assert beside.reason(whole=False) is None
    assert beside.reason(whole=True) == (
        'l0 of a, 1.5 features, is measured no more since Ada approved it on 2026-11-20 ("as in table 1"); '
        "nothing that is recorded changed in between"
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (18.8333, 21.2, ("18.83", "21.20")),
        (18.8333, 18.8334, ("18.8333", "18.8334")),
        (12345.0, 12346.0, ("12345", "12346")),
        (0.0, 1.0, ("0.000", "1.000")),
        (-2.0, 2.0, ("-2.000", "2.000")),
        (1.0, 1.0 + 1e-12, ("1.0", "1.000000000001")),
    ],
)
def test_numbers_are_told_in_digits_that_tell_them_apart(before: float, after: float, told: tuple[str, str]) -> None:
    """Four digits, or as many more as it takes."""
    assert distinct_digits(before, after) == told


@given(st.lists(st.floats(-100, 100), min_size=6, max_size=9), st.floats(0.5, 5))
def test_a_value_that_is_measured_again_always_agrees(values: list[float], scale: float) -> None:
    """Whatever the values, the same ones are in their baseline, and so are ones that rounding changed."""
    of = sample("novice", [[one * scale] for one in values])
    again = replace(of, mean=of.mean * (1 + 1e-9), values=tuple(one * (1 + 1e-9) for one in of.values))
    for now in (of, again):
        beside = compare_baseline(baseline(of), found(now).samples, Provenance())
        assert beside.rows[0].agrees
