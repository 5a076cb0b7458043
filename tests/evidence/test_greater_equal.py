"""Equality up to a margin: two one-sided tests."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
import pytest
from grids import grid, summary, templates

from saeprobe.evidence import Needed, Recorder, Terms, recording
from saeprobe.evidence.compare import about
from saeprobe.evidence.units import mean_by, sample_of
from saeprobe.evidence.values import Measurement
from saeprobe.statistics.shifts import unpaired_shift

EQUAL = (10.0, 10.2, 10.4, 10.6)


def pairs(differences: list[float]) -> tuple[Measurement, Measurement]:
    """One wording each, so that the topics are pairs with these differences."""
    level = [float(10 * number) for number in range(len(differences))]
    topics = [f"topic {number}" for number in range(len(differences))]
    raised = [one + difference for one, difference in zip(level, differences, strict=True)]
    return grid("novice", [raised], topics=topics), grid("expert", [level], topics=topics)


def test_p_is_the_larger_of_two_one_sided_ones() -> None:
    """Differences of 1, 2, 3, 4, 5 against ± 4: five signs, one-sided p by hand.

    Against -4 they are 5 to 9, of which no flip reaches the sum: 1/32. Against +4 they are -3, -2, -1, 0, 1, sum -5:
    flips that reach -5 or less are those that leave the sum of the flipped from -3, -2, -1 and of the kept +1 at most
    1: {}, {1}, {-1}, {-1, 1 both ways of 0}: counted below.
    """
    from itertools import product

    shifted = np.array([-3.0, -2, -1, 0, 1])
    sums = [float(np.dot(signs, shifted)) for signs in product((1, -1), repeat=5)]
    two_sided = sum(abs(total) >= 5 for total in sums) / 32
    novice, expert = pairs([1, 2, 3, 4, 5])
    evidence = novice == about(expert, margin=4.0)
    assert evidence.p == pytest.approx(two_sided / 2)
    assert evidence.p > 1 / 32
    assert evidence.alpha == 0.05
    assert evidence.margin == 4.0
    assert evidence.level == pytest.approx(0.9)
    assert evidence.outcome == "inconclusive"
    mirrored = expert == about(novice, margin=4.0)
    assert mirrored.p == pytest.approx(two_sided / 2)


def test_the_interval_and_p_decide_alike() -> None:
    """Six differences of 1 to 6: the 90 % interval ends where p crosses 5 %."""
    novice, expert = pairs([1, 2, 3, 4, 5, 6])
    evidence = novice == about(expert, margin=100.0)
    assert evidence.interval is not None
    low, high = evidence.interval
    assert low > 0
    inside, outside = novice == about(expert, margin=high + 0.01), novice == about(expert, margin=high - 0.01)
    assert (inside.outcome, outside.outcome) == ("supported", "inconclusive")
    assert inside.p is not None
    assert outside.p is not None
    assert inside.p < 0.05 <= outside.p
    beyond, before = novice == about(expert, margin=low - 0.01), novice == about(expert, margin=low + 0.01)
    assert (beyond.outcome, before.outcome) == ("refuted", "inconclusive")
    assert (expert == about(novice, margin=low - 0.01)).outcome == "refuted"


def test_the_outcome_is_that_of_two_one_sided_t_tests() -> None:
    """With many pairs p agrees with statsmodels' ttost_paired to a few thousandths, on both sides."""
    from statsmodels.stats.weightstats import ttost_paired

    rng = np.random.default_rng(5)
    expert = rng.normal(30, 5, 16)
    novice = expert + rng.normal(0.5, 1, 16)
    topics = [f"topic {number}" for number in range(16)]
    for margin in (0.6, 0.9, 1.2):
        evidence = grid("novice", [list(novice)], topics=topics) == about(
            grid("expert", [list(expert)], topics=topics), margin=margin
        )
        assert evidence.p == pytest.approx(ttost_paired(novice, expert, -margin, margin)[0], abs=0.01)


def test_a_difference_inside_the_margin_is_told_with_its_numbers() -> None:
    """Means 10.3 and 10.4; the reason shows the interval, the margin and p, the rule how they decide."""
    evidence = templates("novice", EQUAL) == about(templates("expert", (10.1, 10.3, 10.5, 10.7)), margin=2.0)
    assert evidence.outcome == "supported"
    assert evidence.p == pytest.approx(1 / 70)
    assert evidence.interval is not None
    low, high = evidence.interval
    assert evidence.reason == (
        f"10.3 against 10.4 features, a difference of -0.1; interval [{low:.3g}, {high:.3g}], margin ± 2, p = 0.014"
    )
    assert evidence.test is not None
    assert evidence.test.startswith("two one-sided tests, each by Welch's t test of 4 + 4 units")
    assert "against -2 and +2, half of a two-sided p" in evidence.rule
    assert "below alpha = 0.05, which is where the 90% interval lies inside the margin" in evidence.rule
    assert len(evidence.unit_values) == 8
    assert evidence.needed is None


def test_a_difference_beyond_the_margin_is_refuted_on_either_side() -> None:
    """9 apart with a margin of 1: refuted, and not because p is small."""
    high, low = templates("novice", (10, 11, 12, 13)), templates("expert", (1, 2, 3, 4))
    for one, other in ((high, low), (low, high)):
        evidence = one == about(other, margin=1.0)
        assert evidence.outcome == "refuted"
        assert evidence.p == pytest.approx(1 - 1 / 70)
        assert evidence.reason.endswith("margin ± 1, p = 0.99: they differ by more")


def test_a_difference_upwards_is_written_with_its_sign() -> None:
    """The reader sees which side is the larger one."""
    novice, expert = pairs([1, 2, 3, 4, 5])
    assert ", a difference of +3; " in (novice == about(expert, margin=4.0)).reason


def test_a_measurement_against_a_summary_keeps_its_interval_at_the_alpha_of_the_run() -> None:
    """The interval of the mean is that of the terms in force; a summary has none."""
    novice, _ = pairs([1, 2, 3, 4, 5])
    for alpha in (0.1, 0.2):
        with recording(Recorder(alpha=alpha)):
            shown = novice == about(summary("expert", 20.0), margin=4.0)
            assert shown.samples[0].interval == sample_of(novice, Terms(alpha=alpha)).interval
    assert sample_of(novice, Terms(alpha=0.1)).interval != sample_of(novice, Terms(alpha=0.2)).interval


def test_p_at_alpha_does_not_decide() -> None:
    """At alpha = 1/70 exactly a p of 1/70 shows nothing, and refutes nothing."""
    near, far = templates("expert", (10.1, 10.3, 10.5, 10.7)), templates("expert", (1, 2, 3, 4))
    for alpha, decided in ((1 / 70, False), (1 / 70 + 1e-9, True)):
        with recording(Recorder(alpha=alpha)):
            assert ((templates("novice", EQUAL) == about(near, margin=2.0)).outcome == "supported") is decided
            assert ((templates("novice", EQUAL) == about(far, margin=1.0)).outcome == "refuted") is decided


def test_p_at_an_alpha_that_more_separate_units_would_reach_does_not_decide() -> None:
    """One of 5 + 5 units in between leaves 2 of 252 relabelings at each edge: p = 2/252 where 1/252 can be had."""
    novice = templates("novice", (9.5, 10, 10.5, 11, 11.5))
    inside, beyond = templates("expert", (9.4, 10.1, 10.5, 10.9, 11.6)), templates("expert", (7, 7.5, 8, 8.3, 8.8))
    for alpha, decided in ((2 / 252, False), (2 / 252 + 1e-9, True)):
        with recording(Recorder(alpha=alpha)):
            equal, apart = novice == about(inside, margin=1.9), novice == about(beyond, margin=1.0)
        assert equal.p == pytest.approx(2 / 252)
        assert equal.interval is not None
        assert equal.outcome == ("supported" if decided else "inconclusive")
        assert apart.outcome == ("refuted" if decided else "inconclusive")


def test_what_is_drawn_is_drawn_by_the_seed() -> None:
    """30 + 30 templates are too many to count: p and interval are those of the seed, again and again."""
    rng = np.random.default_rng(5)
    novice, expert = (templates(style, [float(value) for value in rng.normal(0, 1, 30)]) for style in ("a", "b"))
    with recording(Recorder(seed=4)):
        first, again = (novice == about(expert, margin=0.6) for _ in range(2))
    assert first.seed == 4
    assert (first.p, first.interval) == (again.p, again.interval)
    a, b = (np.array(list(mean_by(of, "templates").values())) for of in (novice, expert))
    expected = max(unpaired_shift(a + edge, b, alpha=0.1, seed=4).p / 2 for edge in (0.6, -0.6))
    assert first.p == pytest.approx(expected, abs=1e-12)


def test_units_that_reach_alpha_on_one_side_alone_are_too_few() -> None:
    """3 + 3 templates reach a two-sided 2/20 at best, which is not below twice 5 %."""
    evidence = templates("novice", (10, 10.1, 10.2)) == about(templates("expert", (10, 10.1, 10.3)), margin=50)
    assert (evidence.outcome, evidence.interval) == ("inconclusive", None)
    assert "3 units give no interval to hold against ± 50" in evidence.reason
    assert evidence.needed == Needed(units="templates a style", have=3, wanted=4, prompts=24)
    assert evidence.reason.endswith("3 templates a style cannot reach it whatever the values; 4 can")


def test_no_spread_is_not_taken_for_equality() -> None:
    """Eight pairs that are exactly equal, or exactly 1 apart, show nothing."""
    for step in (0.0, 1.0):
        novice, expert = pairs([step] * 8)
        evidence = novice == about(expert, margin=2.0)
        assert (evidence.outcome, evidence.interval, evidence.needed) == ("inconclusive", None, None)
        assert "units without spread give no interval" in evidence.reason


def test_an_open_equality_says_what_would_decide_it() -> None:
    """Inside the margin both edges have to be told from the difference, which the nearer one makes harder."""
    from statsmodels.stats.power import TTestPower

    differences = [-2.0, -1, 0, 1, 2, 3]
    novice, expert = pairs(differences)
    evidence = novice == about(expert, margin=1.5)
    assert evidence.outcome == "inconclusive"
    assert evidence.needed is not None
    decisive = f"About {evidence.needed.wanted} topics would decide it at this effect and spread"
    assert evidence.reason.endswith(f"neither inside nor outside. {decisive}")
    nearer = (1.5 - 0.5) / np.std(differences, ddof=1)
    wanted = ceil(TTestPower().solve_power(nearer, alpha=0.1, power=0.8))
    assert evidence.needed.units == "topics"
    assert evidence.needed.wanted == pytest.approx(wanted, abs=1)
    assert evidence.needed.prompts == 2 * (evidence.needed.wanted or 0)


def test_an_open_difference_beyond_the_margin_needs_the_nearer_edge_alone() -> None:
    """A mean of 2.5 beside a margin of 1 is 1.5 beyond it; that is what more pairs would show."""
    from statsmodels.stats.power import TTestPower

    differences = [-1.0, 0, 1, 4, 5, 6]
    novice, expert = pairs(differences)
    for one, other in ((novice, expert), (expert, novice)):
        evidence = one == about(other, margin=1.0)
        assert evidence.outcome == "inconclusive"
        assert evidence.needed is not None
        wanted = ceil(TTestPower().solve_power(1.5 / np.std(differences, ddof=1), alpha=0.1, power=0.8))
        assert evidence.needed.wanted == pytest.approx(wanted, abs=1)


def test_a_difference_at_the_margin_is_decided_by_no_number() -> None:
    """A mean of 1 beside a margin of 1."""
    novice, expert = pairs([-1.0, 0, 1, 1, 2, 3])
    evidence = novice == about(expert, margin=1.0)
    assert evidence.needed == Needed(units="topics", have=6, wanted=None)
    assert evidence.p == pytest.approx(0.5)


def test_equality_takes_no_controls() -> None:
    """What else could explain that there is no difference has no answer; nothing is recorded."""
    with (
        recording(Recorder(controls=("length",))) as recorder,
        pytest.raises(
            TypeError,
            match="of the kind 'about equal' takes no controls, and the claim asks for length; state it in a claim",
        ),
    ):
        _ = templates("novice", EQUAL) == about(templates("expert", EQUAL), margin=1.0)
    assert recorder.evidence == []


def test_what_the_claim_generalises_over_reaches_all_three_tests() -> None:
    """Over topics, six pairs under four templates."""
    rows = [[10.0 + t, 22, 33, 44, 55, 66 - t] for t in (-1, 0, 0, 1)]
    other = [[10.5, 22.1, 32.8, 44, 55.2, 66]] * 4
    with recording(Recorder(over=("topics",))):
        evidence = grid("novice", rows) == about(grid("expert", other), margin=5.0)
    assert (evidence.n_units, evidence.outcome, evidence.p) == ((6, 6), "supported", pytest.approx(1 / 64))


def test_prompts_that_cannot_be_paired_keep_their_margin() -> None:
    """Without a common topic there is no test; the margin is still told, as it is for summaries."""
    one, other = grid("novice", [[9, 8, 7]], topics="abc"), grid("expert", [[1, 2, 3]], topics="def")
    evidence = one == about(other, margin=2.0)
    assert (evidence.outcome, evidence.p, evidence.margin) == ("inconclusive", None, 2.0)
    bare = summary("novice", 10.0) == about(summary("expert", 9.0), margin=2.0)
    assert (bare.kind, bare.outcome, bare.margin) == ("about equal", "inconclusive", 2.0)
    assert bare.statement == "l0 of novice = l0 of expert ± 2 features"


def test_like_is_compared_with_like() -> None:
    """Another measure, or another unit, cannot be equal; nor can a bare thing."""
    novice = templates("novice", EQUAL)
    for changes in ({"measure": "max activation"}, {"unit": "share of features"}):
        with pytest.raises(TypeError, match=r"cannot be compared with .* compare like with like"):
            _ = novice == about(templates("expert", EQUAL, **changes), margin=1.0)
    with pytest.raises(TypeError, match=r"'novice' == about\(l0 of expert\); compare like with like"):
        _ = about(templates("expert", EQUAL), margin=1.0) == "novice"


def test_an_expectation_tells_itself() -> None:
    """With the measurement and the margin; a share is one of the mean's size."""
    expert = templates("expert", (-20.0, -20, -20, -20))
    assert repr(about(expert, share=0.1)) == "about(<l0 of expert: mean -20 features, 12 prompts>, margin=2)"
    assert sqrt(about(expert, margin=4).margin) == 2
