"""Crossed tests: other templates and other topics at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import _flips, crossed_shift, paired_shift, unpaired_shift

ALPHA = 0.05
MIRRORED = np.array([1.0, -1, 2, -2, 0.5, -0.5, 1.5, -1.5])
"""Differences about a mean of 0, whose variance is 15 / 7."""


def test_variances_of_templates_and_topics_add() -> None:
    """For many units p is that of a normal deviate whose variance is the sum of both (Clark's min F')."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 60), rng.normal(0, 1, 60)
    topics = rng.normal(0, 2, 120)
    a += 0.8 - a.mean() + b.mean()
    topics += 0.8 - topics.mean()
    found = crossed_shift(a, b, topics, alpha=1e-9, seed=0)
    together = np.concatenate([a, b])
    variance = together.var(ddof=1) * 2 / 60 + topics.var(ddof=1) / 120
    expected = 2 * norm.sf(0.8 / np.sqrt(variance))
    assert found.p == pytest.approx(expected, abs=0.006)
    assert found.p > max(unpaired_shift(a, b, alpha=1e-9, seed=0).p, paired_shift(topics, alpha=1e-9, seed=0).p)
    assert found.estimate == pytest.approx(0.8)
    assert found.seed == 0
    assert found.test == (
        "sampled permutation of 60 + 60 units, added to sign flips of 120 centred paired differences (19,999 drawn)"
    )


def test_centred_topics_keep_their_variance() -> None:
    """Two topics at 1 and 3 lie 1 about their mean; scaled by sqrt(2 / 1) their signs give 0 or +-sqrt(2), halves."""
    a, b = np.array([2.0, 2, 2, 2]), np.array([0.0, 0, 0, 0])
    found = crossed_shift(a, b, np.array([1.0, 3.0]), alpha=1e-9, seed=0)
    # at a shift of 2 - e nothing but the topics is left: |B| is 0 or sqrt(2) with equal chance
    topics = np.array([2 - 2**0.5, 2 + 2**0.5])
    assert found.p == 0.5  # two topics alone reach no less
    assert topics.mean() == 2


@pytest.mark.parametrize(("level", "p"), [(1.4, 0.5), (1.43, 1 / 2)])
def test_the_topics_part_is_scaled_by_the_degree_of_freedom_that_their_mean_took(level: float, p: float) -> None:
    """Topics at d - 1 and d + 1 turn to 0 or +-sqrt(2), beside templates that differ by 1.4: 1/4 or 0 go as far."""
    flat, reached = np.zeros(4), 1 if level < 2**0.5 else 0
    runs, columns = _flips(np.array([-1.0, 1.0]) * 2**0.5)
    signs = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
    sums = sorted(((signs - runs[0].ravel()) @ columns)[:, 0].round(9))
    assert sums == [round(-(2**0.5), 9), 0, 0, round(2**0.5, 9)]
    assert sum(one >= level for one in sums) == reached
    assert crossed_shift(flat + level, flat, np.array([level - 1, level + 1]), alpha=1e-9, seed=0).p >= p


def test_a_crossed_p_is_never_smaller_than_over_templates_alone() -> None:
    """Separated 4 + 4 templates reach 2/70 and no less, however certain the topics are; 3 + 3 decide nothing."""
    topics = 10 + MIRRORED / 100
    a, b = np.array([10.1, 10.2, 9.9, 9.8]), np.array([0.1, -0.1, 0.2, -0.2])
    four = crossed_shift(a, b, topics, alpha=ALPHA, seed=0)
    assert four.p == four.smallest_p == 2 / 70
    assert four.test.endswith("(all 17,920); p is the larger one of Welch's t test of 4 + 4 units")
    three = crossed_shift(a[:3], b[:3], topics, alpha=ALPHA, seed=0)
    assert three.p == three.smallest_p == 1.0
    assert three.interval is None


def test_a_crossed_p_is_never_smaller_than_over_topics_alone() -> None:
    """Five topics reach 2/32 and no less, however many templates there are."""
    a, b = np.arange(8) / 10 + 10, np.arange(8) / 10
    five = crossed_shift(a, b, 10 + MIRRORED[:5], alpha=ALPHA, seed=0)
    assert five.p == five.smallest_p == 2 / 32
    assert five.interval is None
    assert five.test.endswith("p is the larger one of exact sign flips of 5 paired differences (all 32)")


def test_a_crossed_interval_holds_those_over_either_alone() -> None:
    """It is wider than both where both vary, and holds zero exactly where p is not below alpha."""
    rng = np.random.default_rng(2)
    for distance in (0.0, 0.6, 1.2, 2.4):
        a, b = rng.normal(distance, 1, 8), rng.normal(0, 1, 8)
        topics = rng.normal(0, 2, 20)
        topics += a.mean() - b.mean() - topics.mean()
        found = crossed_shift(a, b, topics, alpha=ALPHA, seed=1)
        alone = [unpaired_shift(a, b, alpha=ALPHA, seed=1).interval, paired_shift(topics, alpha=ALPHA, seed=1).interval]
        assert found.interval is not None
        for interval in alone:
            assert interval is not None
            assert found.interval[0] < interval[0] < interval[1] < found.interval[1]
        assert (found.interval[0] <= 0 <= found.interval[1]) == (found.p >= ALPHA)
        assert found.interval[0] < found.estimate < found.interval[1]


def test_a_crossed_interval_is_about_that_of_the_normal_distribution() -> None:
    """For many units its half width is 1.96 standard errors, of which both variances are a part."""
    rng = np.random.default_rng(5)
    a, b, topics = rng.normal(5, 1, 60), rng.normal(0, 1, 60), rng.normal(5, 3, 120)
    found = crossed_shift(a, b, topics + a.mean() - b.mean() - topics.mean(), alpha=ALPHA, seed=0).interval
    assert found is not None
    half = 1.98 * np.sqrt(a.var(ddof=1) / 60 + b.var(ddof=1) / 60 + topics.var(ddof=1) / 120)
    assert (found[1] - found[0]) / 2 == pytest.approx(half, rel=0.03)


def test_two_arms_on_the_same_templates_flip_their_differences() -> None:
    """Template differences that vary little beside large levels are found when paired, and lost when not."""
    level, gain = np.arange(8) * 10.0, 1 + MIRRORED / 10
    paired = crossed_shift(level + gain, level, 1 + MIRRORED / 10, alpha=ALPHA, seed=0, paired=True)
    assert paired.p == pytest.approx(2 / 256)
    assert paired.estimate == pytest.approx(1)
    assert paired.interval is not None
    assert 0.79 < paired.interval[0] < 1 < paired.interval[1] < 1.21
    assert (paired.paired, paired.smallest_p) == (True, 2 / 256)
    assert paired.test.startswith("sampled sign flips of 8 paired differences, added to sign flips of 8 centred paired")
    unpaired = crossed_shift(level + gain, level, 1 + MIRRORED / 10, alpha=ALPHA, seed=0)
    assert unpaired.p > 0.5
    assert unpaired.paired is False


def test_noise_is_what_more_templates_do_not_lower() -> None:
    """The topics' variance over their number, beside the variance between templates: 15 / 7 / 8 against 2."""
    a, b = np.array([4.0, 6.0]), np.array([1.0, 3.0])
    found = crossed_shift(a, b, 3 + MIRRORED, alpha=ALPHA, seed=0)
    assert found.effect == pytest.approx(3 / 2**0.5)
    assert found.noise == pytest.approx(15 / 7 / 8 / 2)
    assert found.alpha == ALPHA
    paired = crossed_shift(np.array([4.0, 16.0]), np.array([0.0, 10.0]), 5 + MIRRORED, alpha=ALPHA, seed=0, paired=True)
    assert paired.noise == pytest.approx(15 / 7 / 8 / 2)
    assert replace(found, noise=0.0).needed is not None


def test_templates_without_spread_add_none() -> None:
    """Where only the topics vary there is spread, but no interval over templates and no noise beside theirs."""
    found = crossed_shift(np.full(4, 2.0), np.full(4, 1.0), 1 + MIRRORED, alpha=ALPHA, seed=0)
    assert (found.spread, found.interval, found.noise) == (True, None, 0.0)
    flat = crossed_shift(np.full(4, 2.0), np.full(4, 1.0), np.full(8, 1.0), alpha=ALPHA, seed=0)
    assert flat.spread is False


def test_fewer_than_two_units_of_a_sort_raise() -> None:
    """One template or one topic has no spread."""
    two, one = np.array([1.0, 2.0]), np.array([1.0])
    for groups in ((one, two, two), (two, one, two), (two, two, one)):
        with pytest.raises(ValueError, match="at least 2 a side"):
            crossed_shift(*groups, alpha=ALPHA, seed=0)


def drawn_from_nothing(rng: np.random.Generator) -> tuple[Units, Units, Units]:
    """8 + 8 templates on 12 topics: styles that differ by template and, more, by topic, but not on the whole."""
    by_topic = rng.normal(0, 1.5, 12)
    sides = [rng.normal(0, 0.5, 8)[:, None] + side * by_topic / 2 + rng.normal(0, 0.5, (8, 12)) for side in (1, -1)]
    return sides[0].mean(axis=1), sides[1].mean(axis=1), sides[0].mean(axis=0) - sides[1].mean(axis=0)


def test_chance_in_topics_is_found_over_templates_and_not_when_crossed() -> None:
    """Of 40 worlds without a difference the crossed test finds one in at most 5 %, within chance, the other in many."""
    rng = np.random.default_rng(11)
    crossed = fixed = 0
    for _ in range(40):
        a, b, topics = drawn_from_nothing(rng)
        crossed += crossed_shift(a, b, topics, alpha=ALPHA, seed=0).p < ALPHA
        fixed += unpaired_shift(a, b, alpha=ALPHA, seed=0).p < ALPHA
    assert crossed <= binom.ppf(0.999, 40, ALPHA)
    assert fixed > binom.ppf(0.999, 40, ALPHA)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    of_templates=st.floats(-3, 3),
    of_topics=st.floats(-3, 3),
    n=st.integers(5, 9),
    topics=st.integers(6, 9),
    paired=st.booleans(),
)
def test_p_is_below_alpha_exactly_where_the_interval_excludes_zero_on_one_side(
    *, seed: int, of_templates: float, of_topics: float, n: int, topics: int, paired: bool
) -> None:
    """Whatever the estimates of both sorts are: where wordings have unequal topics they differ, also in sign."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(of_templates, rng.choice((0.2, 1)), n), rng.normal(0, 0.5, n if paired else n + 2)
    found = crossed_shift(a, b, rng.normal(of_topics, 0.5, topics), alpha=0.1, seed=0, paired=paired)
    assert found.interval is not None
    assert (found.p < 0.1) == (found.interval[0] > 0 or found.interval[1] < 0)


@pytest.mark.parametrize("paired", [False, True])
def test_sorts_that_contradict_each_other_decide_nothing(*, paired: bool) -> None:
    """Templates lie 2 above and topics 2 below, each surely: p is 1, the interval holds both."""
    a, b = 2 + MIRRORED / 50, MIRRORED[::-1] / 50
    topics = -2 + MIRRORED / 50
    found = crossed_shift(a, b, topics, alpha=ALPHA, seed=0, paired=paired)
    assert (found.p, found.needed) == (1.0, None)
    assert found.interval is not None
    assert found.interval[0] < -2 < 2 < found.interval[1]
    assert crossed_shift(a, b, -topics, alpha=ALPHA, seed=0, paired=paired).p < ALPHA
