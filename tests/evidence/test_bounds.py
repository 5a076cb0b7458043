"""Bounds: the mean of a measurement beside a number."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from grids import grid, templates
from scipy.stats import permutation_test

from saeprobe.evidence import Needed, Recorder, Terms, recording
from saeprobe.evidence.units import mean_by, mean_shift
from saeprobe.statistics.intervals import hall

SIX = (10.0, 11, 12, 13, 14, 15)


@pytest.mark.parametrize("values", [SIX, (1.0, 1, 2, 3, 9, 30), (30.0, 31, 31, 32, 32, 2)])
def test_a_bound_takes_the_larger_p_of_sign_flips_and_of_halls_test(values: tuple[float, ...]) -> None:
    """p, interval and outcome of six templates beside several numbers, from either side: scipy's flips beside Hall."""
    of, units = templates("novice", values), np.array(values)
    for bound in (units.mean() - 3, units.mean() - 2, 12.0, units.mean() + 2.3, units.mean() + 40):
        p = permutation_test((units - bound,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        p = max(p, hall(units - bound, alpha=0.05)[0])
        above, below = of > bound, of < bound
        assert above.p == below.p == pytest.approx(p)
        assert above.interval == below.interval
        assert above.interval is not None
        low, high = above.interval
        skewed = hall(units, alpha=0.05)[1]
        assert (low, high) == pytest.approx((min(units.min(), skewed[0]), max(units.max(), skewed[1])))
        assert (p >= 0.05) == (low <= bound <= high)
        wanted = "inconclusive" if p >= 0.05 else "supported" if bound < units.mean() else "refuted"
        assert above.outcome == wanted
        assert below.outcome == {"supported": "refuted", "refuted": "supported"}.get(wanted, wanted)


def test_skewed_units_are_not_below_a_number_that_their_tail_may_pass() -> None:
    """Flips alone would find five templates near 1 and one at 6 below 7; with their skewness a mean of 7 is not far."""
    skewed = templates("novice", (1.0, 1.1, 1.2, 1.3, 1.4, 6.0))
    below = skewed < 7
    assert permutation_test(
        (np.array([1.0, 1.1, 1.2, 1.3, 1.4, 6.0]) - 7,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue == pytest.approx(2 / 64)
    assert (below.outcome, below.p is not None and below.p > 0.05) == ("inconclusive", True)
    assert (skewed < 30).outcome == "supported"


def test_over_templates_and_topics_at_once_both_are_asked_for_their_skewness() -> None:
    """The p of one mean over both sorts is no smaller, and the interval no narrower, than Hall's over either."""
    of = grid("novice", [[1.0, 1.1, 1.2, 1.3, 1.4, 6.0 + row] for row in range(6)])
    shift = mean_shift(of, Terms(over=("templates", "topics")), 0.9)
    assert shift is not None
    assert shift.interval is not None
    for over in ("templates", "topics"):
        p, (low, high) = hall(np.array(list(mean_by(of, over).values())) - 0.9, alpha=0.05)
        assert shift.p >= p
        assert shift.interval[0] <= low
        assert shift.interval[1] >= high


@pytest.mark.parametrize(("units", "said"), [(6, True), (23, True), (24, False)])
def test_few_units_below_a_number_may_miss_a_large_one(units: int, *, said: bool) -> None:
    """It is said of what cannot be negative, whichever way the sentence goes, and not of what lies above."""
    of = templates("novice", [10 + 0.1 * unit for unit in range(units)])
    warning = "; if units are skewed, a rare large template may be missing"
    assert (of < 20).reason.endswith(warning) is said
    assert (of > 20).reason.endswith(warning) is said
    assert not (of > 2).reason.endswith(warning)
    skewed = templates("novice", [10 + 1.2**unit for unit in range(units + 10)])
    assert (skewed < 150).reason.endswith(warning)
    signed = templates("novice", [10 - 0.1 * unit for unit in range(units - 1)] + [-1.0])
    assert (signed < 20).outcome == "supported"
    assert "missing" not in (signed < 20).reason


@pytest.mark.parametrize("count", [8, 30])
@pytest.mark.parametrize("sign", [1, -1])
def test_units_whose_tail_lies_beyond_the_number_may_miss_more_of_it(count: int, sign: int) -> None:
    """Of units with a tail below "above -20" is warned of, and of mirrored ones "below 20", but not the other way."""
    of = templates("novice", [sign * (2 - 8 * 0.5**unit) for unit in range(count)])
    beyond, before = (of > -20, of < 20) if sign == 1 else (of < 20, of > -20)
    assert (beyond.outcome, before.outcome) == ("supported", "supported")
    rare = "small" if sign == 1 else "large"
    assert beyond.reason.endswith(f"; if units are skewed, a rare {rare} template may be missing")
    assert "missing" not in before.reason


def test_a_bound_shows_the_mean_of_its_units() -> None:
    """A wording at 39 on ten topics and eight at 44 to 51 on two: 419 / 9, and not 1150 / 26 as over the prompts."""
    of = grid("novice", [[39.0] * 10, *([44.0 + k] * 2 for k in range(8))])
    evidence = of > 44
    assert (evidence.estimate, of.mean) == (pytest.approx((39 + 380) / 9), pytest.approx((390 + 760) / 26))
    assert evidence.reason.startswith("46.6 features against 44, p = ")


def test_a_bound_shows_its_units_and_rule() -> None:
    """The means of the templates as they are, the number in the rule, and the alpha of the claim."""
    evidence = templates("novice", SIX) < 20
    assert [unit.value for unit in evidence.unit_values] == pytest.approx(SIX)
    assert {unit.side for unit in evidence.unit_values} == {"novice"}
    assert evidence.statement == "l0 of novice < 20 features"
    assert evidence.reason == (
        "12.5 features against 20, p = 0.031; if units are skewed, a rare large template may be missing"
    )
    assert evidence.rule == (
        "supported where the two-sided p of the units' distance from 20 is below alpha = 0.05 and their mean lies "
        "below it; refuted where p is below alpha and it lies on the other side; inconclusive otherwise, and where the "
        "units show no spread. p is the larger one of two: that of the signs of these distances flipped, and Student's "
        "of n - 1 at sqrt(n) (W + g W^2 / 3 + g^2 W^3 / 27 + g / (6 n)), W their mean in standard deviations and g "
        "their skewness (Hall 1992), which is 1 if the sign of that differs. The mean of the "
        "differences came out at least as large in 2 of 64 ways (sign flips of 6 paired differences)"
    )
    assert [sample.mean for sample in evidence.samples] == [12.5]
    above = templates("novice", SIX) > 20
    assert "their mean lies above it" in above.rule
    assert above.statement == "l0 of novice > 20 features"
    assert (evidence.alpha, evidence.level, evidence.needed) == (0.05, 0.95, None)
    assert "mean 12.5 features, 95% interval [10, 15]" in evidence.lines()


def test_p_at_alpha_does_not_decide() -> None:
    """Six units reach 2/64; at exactly that alpha they decide nothing, either way."""
    for alpha, decided in ((2 / 64, False), (2 / 64 + 1e-9, True)):
        with recording(Recorder(alpha=alpha)):
            assert ((templates("novice", SIX) > 9).outcome == "supported") is decided
            assert ((templates("novice", SIX) < 9).outcome == "refuted") is decided


def test_an_open_bound_says_how_many_units_would_decide() -> None:
    """A mean of 12.5 against 12, as the one-sample t test of statsmodels solves it; three prompts a template."""
    from statsmodels.stats.power import TTestPower

    evidence = templates("novice", SIX) > 12
    wanted = ceil(TTestPower().solve_power(0.5 / np.std(SIX, ddof=1), alpha=0.05, power=0.8))
    assert evidence.needed == Needed(units="templates", have=6, wanted=wanted, prompts=3 * wanted)
    assert evidence.reason.endswith(
        f": not distinguished at alpha = 0.05. About {wanted} templates would decide it at this effect and spread"
    )


def test_too_few_units_are_told() -> None:
    """Five templates reach 2/32 at best; six can decide, and each has three prompts."""
    evidence = templates("novice", SIX[:5]) > 9
    assert evidence.outcome == "inconclusive"
    assert evidence.needed is not None
    assert (evidence.needed.have, evidence.needed.wanted, evidence.needed.prompts) == (5, 6, 18)
    assert "5 templates cannot reach it whatever the values" in evidence.reason


def test_a_mean_at_its_bound_is_decided_by_no_number() -> None:
    """12.5 against 12.5."""
    evidence = templates("novice", SIX) > 12.5
    assert evidence.needed == Needed(units="templates", have=6, wanted=None)
    assert (evidence.outcome, evidence.p) == ("inconclusive", pytest.approx(1.0))


def test_no_spread_decides_nothing_and_needs_nothing() -> None:
    """Six templates that are all 10: more of the same would not help."""
    evidence = grid("novice", [[10.0, 10.0]] * 6) > 1.0
    assert (evidence.outcome, evidence.needed, evidence.interval) == ("inconclusive", None, None)
    assert evidence.reason.endswith(", without any spread between units")
    assert (grid("novice", [[10.0, 10.0]] * 6) < 1.0).outcome == "inconclusive"


def test_two_units_are_tested_and_one_is_not() -> None:
    """Two templates give a p; one prompt gives none, but shows its value."""
    assert (templates("novice", (10, 12)) > 1.0).p == pytest.approx(0.5)
    lone = grid("novice", [[1000.0]]) > 1.0
    assert (lone.p, lone.level, lone.test, lone.n_units) == (None, None, None, (1,))
    assert lone.outcome == "inconclusive"
    assert lone.reason == "1,000 features on one topic: at least 2 are needed"
    assert [unit.value for unit in lone.unit_values] == [1000.0]


def test_a_bound_generalises_over_what_the_claim_names() -> None:
    """Six topics under two templates are the units of a claim about topics."""
    of = grid("novice", [[10, 11, 12, 13, 14, 15], [10.5, 11.5, 12.5, 13.5, 14.5, 15.5]])
    assert (of > 9).n_units == (2,)
    with recording(Recorder(over=("topics",))):
        evidence = of > 9
    assert (evidence.units, evidence.n_units, evidence.outcome) == ("topics", (6,), "supported")
    assert evidence.scope == "these 2 templates fixed, over 6 topics"


def test_a_template_with_more_prompts_weighs_as_one() -> None:
    """The estimate is the mean of the units, which is what was tested: (10 + 16) / 2, not 12."""
    of = grid("novice", [[10, 10, 10, 10], [16, 16]], topics=tuple("abcd"))
    assert (of > 9).estimate == pytest.approx(13.0)


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -float("inf")])
def test_a_bound_is_finite(bound: float) -> None:
    """NaN is no bound, on either side."""
    for compare in (lambda of: of > bound, lambda of: of < bound):
        with pytest.raises(ValueError, match=r"l0 of novice against .*; wanted a finite number in features"):
            compare(templates("novice", SIX))


def test_numbers_of_numpy_are_numbers() -> None:
    """A bound that was computed is a bound."""
    for bound in (np.int64(9), np.float32(9), np.float64(9)):
        assert (templates("novice", SIX) > bound).outcome == "supported"


def test_the_rule_of_a_sampled_test_tells_how_it_was_drawn() -> None:
    """Forty signs are too many to count: whoever draws them again is told how; of eight nothing is drawn."""
    drawn = templates("novice", [10 + 0.1 * place for place in range(40)]) > 11
    assert drawn.seed == 0
    how = "ways (sign flips of 40 paired differences), drawn by numpy.random.default_rng(0).random((19999, 80)), whose"
    assert how in drawn.rule
    assert "drawn" not in (templates("novice", range(10, 18)) > 11).rule
