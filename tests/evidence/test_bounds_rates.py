"""Rates: shares of prompts beside a number."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from grids import fires, grid, of_templates
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, t

from saeprobe.evidence import Evidence, Needed, Recorder, recording


def test_twelve_of_twelve_templates_support_more_than_73_percent() -> None:
    """0.025 ** (1/12) = 0.7354: twelve units decide above 0.735 and not above 0.736, whatever prompts they hold."""
    of = of_templates(*[4] * 12)
    evidence = of > 0.735
    assert (evidence.kind, evidence.outcome) == ("rate", "supported")
    assert evidence.statement == "firing rate of feature 7 of novice > 0.735 share of prompts"
    assert evidence.p == pytest.approx(2 * 0.735**12)
    assert evidence.one_sided == evidence.claim_p == pytest.approx(0.735**12)
    assert evidence.interval == pytest.approx((0.025 ** (1 / 12), 1.0))
    assert evidence.level == pytest.approx(0.95)
    assert (evidence.units, evidence.n_units, evidence.scope) == ("templates", (12,), "these 12 templates")
    assert evidence.test == "binomial over 12 templates, two-sided"
    assert evidence.reason == "100 % over 12 templates against 73.5 %, p = 0.05"
    assert evidence.needed is None
    more = of > 0.736
    assert more.outcome == "inconclusive"
    assert more.p == pytest.approx(2 * 0.736**12)
    assert more.needed == Needed(units="templates", have=12, wanted=13, prompts=52)
    assert more.reason.endswith(
        ": not distinguished at alpha = 0.05. 12 templates cannot reach it whatever the rate; 13 can"
    )


def test_seventy_two_units_support_more_than_95_percent() -> None:
    """0.95 ** 72 = 0.0249 and 0.95 ** 71 = 0.0262; topics under one wording count one by one."""
    topics = [f"topic {number}" for number in range(72)]
    all_of_them = fires([[1.0] * 72], topics=topics)
    evidence = all_of_them > 0.95
    assert (evidence.outcome, evidence.units, evidence.n_units) == ("supported", "topics", (72,))
    assert evidence.scope == "this wording only, over 72 topics"
    fewer = fires([[1.0] * 71], topics=topics) > 0.95
    assert fewer.needed == Needed(units="topics", have=71, wanted=72, prompts=72)
    assert evidence.test == "exact binomial over 72 topics, two-sided"


def test_whole_units_agree_with_scipys_binomial_test() -> None:
    """11 of 12 prompts, and 3 of 12, on either side of several bounds."""
    for count in (11, 3):
        of = of_templates(*[1] * count, *[0] * (12 - count), on=1)
        for bound in (0.1, 0.25, 0.6, 0.9):
            for above in (True, False):
                evidence = of > bound if above else of < bound
                for_it = binomtest(count, 12, bound, alternative="greater" if above else "less").pvalue
                against = binomtest(count, 12, bound, alternative="less" if above else "greater").pvalue
                assert evidence.one_sided == pytest.approx(for_it)
                assert evidence.p == pytest.approx(min(1.0, 2 * for_it, 2 * against))
                wanted = "supported" if for_it < 0.025 else "refuted" if against < 0.025 else "inconclusive"
                assert evidence.outcome == wanted
                ends = binomtest(count, 12).proportion_ci(0.95, method="exact")
                assert evidence.interval == pytest.approx((ends.low, ends.high))


def test_a_unit_counts_with_the_share_of_its_prompts() -> None:
    """Six templates at 3/4 and six at 1/4, with one made up at 3.35 %: an effective number of trials by scipy.

    The variance of the mean of 13 is that of 40.8 trials, of at most 52; as templates are few these count for less.
    """
    evidence = of_templates(*[3] * 6, *[1] * 6) > 0.25
    units = [0.75] * 6 + [0.25] * 6
    with_one = np.array([*units, 0.25 - 3**0.5 / 8])
    rate, spread = with_one.mean(), with_one.var(ddof=1) / 13
    trials = rate * (1 - rate) / spread
    assert trials == pytest.approx(40.8, abs=0.05)
    trials *= (t.ppf(0.975, 51) / t.ppf(0.975, 12)) ** 2
    assert evidence.one_sided == pytest.approx(beta.cdf(0.25, rate * trials, trials - rate * trials + 1))
    assert evidence.outcome == "supported"
    assert evidence.estimate == pytest.approx(0.5)
    assert [unit.value for unit in evidence.unit_values] == units
    assert evidence.rule == (
        "p is twice the smaller one-sided p of 6 in 12 templates against a rate of 0.25; supported where it is below "
        "alpha = 0.05 on the side >, refuted on the other, inconclusive otherwise. A unit counts with the share of its "
        "prompts. The one-sided p is the smaller one of two: the exact binomial p of the units as single trials, and "
        "that of as many trials as have the variance between units and one more, made up, which shows 3.35 % (on the "
        "other side 75 %): at most 4 a unit, times the square of t of all trials over t of units (Korn & Graubard 1998)"
    )
    assert evidence.alpha == 0.05
    assert [sample.n for sample in evidence.samples] == [48]


def test_templates_as_single_trials_have_none_made_up() -> None:
    """Six without an exception lie above 50 % with p = 1 / 64, and would not if a seventh had failed: 8 / 128."""
    assert (of_templates(*[4] * 6) > 0.5).p == pytest.approx(2 / 64)
    assert (of_templates(*[4] * 6, 0) > 0.5).outcome == "inconclusive"


def test_templates_that_agree_support_a_bound_that_they_could_not_as_trials() -> None:
    """24 templates on 9 of 10 topics each lie above 75 %; as 21.6 of 24 trials they would not (p = 0.046)."""
    evidence, mirrored = of_templates(*[9] * 24, on=10) > 0.75, of_templates(*[1] * 24, on=10) < 0.25
    assert binomtest(22, 24, 0.75, alternative="greater").pvalue > 0.025
    assert (evidence.outcome, evidence.interval is not None and evidence.interval[0] > 0.75) == ("supported", True)
    assert (mirrored.outcome, mirrored.p) == ("supported", pytest.approx(evidence.p))
    for one in (evidence, mirrored):
        assert "may be missing" not in one.reason


@pytest.mark.parametrize("above", [True, False])
def test_what_few_templates_may_miss_is_said(*, above: bool) -> None:
    """None of 18 fails wholly, which leaves room for 1 - 0.025^(1/18) = 19 %: 0.81 x 0.9 is below 75 %."""
    of = of_templates(*[9 if above else 1] * 18, on=10)
    evidence = of > 0.75 if above else of < 0.25
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("; templates that differ wholly may be missing: up to 19 % of all may be such")
    contrary = of < 0.75 if above else of > 0.25
    assert contrary.outcome == "refuted"
    assert contrary.reason.endswith("; templates that differ wholly may be missing: up to 19 % of all may be such")
    assert "missing" not in (of_templates(*[4] * 13) > 0.75).reason


def test_p_at_alpha_does_not_decide() -> None:
    """Where alpha is the p itself, of either side, nothing is decided; a little above it is."""
    all_of_them, none = of_templates(4, 4, 4, 4), of_templates(0, 0, 0, 0)
    p = (all_of_them > 0.5).p or 0.0
    assert p == pytest.approx(1 / 8)
    for alpha, decided in ((p, False), (p + 1e-9, True)):
        with recording(Recorder(alpha=alpha)):
            assert ((all_of_them > 0.5).outcome == "supported") is decided
            assert ((none > 0.5).outcome == "refuted") is decided


def test_the_contrary_of_a_rate_is_refuted_by_its_own_side() -> None:
    """1 of 12 is not above 0.5: P(at most 1 of 12 at 0.5) = 13/4096; nor are 11 below it."""
    evidence = of_templates(1, *[0] * 11, on=1) > 0.5
    assert evidence.outcome == "refuted"
    assert (evidence.p, evidence.one_sided) == pytest.approx((26 / 4096, 4095 / 4096))
    assert evidence.reason == "8 % over 12 templates against 50 %, p = 0.0063"
    assert (of_templates(0, *[4] * 11) < 0.5).outcome == "refuted"


def test_an_open_rate_says_how_many_units_would_decide() -> None:
    """At 3 of 4, more than a half: scipy's test of 15 of 20 is 0.021, and that of 12 of 16 0.038."""
    evidence = of_templates(1, 1, 1, 0, 1, 1, 1, 0, on=1) > 0.5
    assert evidence.outcome == "inconclusive"
    assert evidence.needed is not None
    wanted = evidence.needed.wanted
    assert wanted is not None
    open_still, decided = (binomtest(hit, of, 0.5, alternative="greater").pvalue for hit, of in ((12, 16), (15, 20)))
    assert decided < 0.025 < open_still
    assert 16 < wanted <= 20
    assert evidence.needed.prompts == wanted
    assert evidence.reason == (
        "75 % over 8 templates against 50 %, p = 0.29: not distinguished at alpha = 0.05. "
        f"About {wanted} templates would decide it at this rate"
    )


def test_an_open_rate_on_the_other_side_needs_units_against_it() -> None:
    """1 of 4 beside more than a half is as far from it as 3 of 4, and needs as many units to refute."""
    against, for_it = of_templates(0, 0, 0, 4, 0, 0, 0, 4) > 0.5, of_templates(4, 4, 4, 0, 4, 4, 4, 0) > 0.5
    assert against.outcome == "inconclusive"
    assert against.needed == for_it.needed


def test_a_rate_at_its_bound_is_decided_by_no_number() -> None:
    """2 of 4 against 0.5 stays open however many units there are; so does 0.5001 within any plan."""
    evidence = of_templates(*[2] * 8) > 0.5
    assert evidence.needed == Needed(units="templates", have=8, wanted=None)
    assert evidence.reason.endswith(". At this rate more than 1,000 templates would be needed")
    assert (of_templates(*[2] * 8) > 0.4999).needed == evidence.needed


def test_a_plan_reaches_as_far_as_a_thousand_units() -> None:
    """500 of 1,000 are told from 0.468545 and not from 0.46856, for which no plan has enough."""
    for bound, wanted in ((0.468545, 1000), (0.46856, None)):
        p = binomtest(500, 1000, bound, alternative="greater").pvalue
        assert (p < 0.025) == (wanted is not None)
        needed = (of_templates(*[1, 0] * 5, on=1) > bound).needed
        assert needed is not None
        assert needed.wanted == wanted


def test_a_single_unit_decides_no_rate() -> None:
    """One prompt has no interval and no p."""
    evidence = fires([[1.0]]) > 0.5
    assert (evidence.outcome, evidence.p, evidence.interval) == ("inconclusive", None, None)
    assert evidence.reason == "100 % on one topic: at least 2 are needed"


def test_a_rate_above_zero_is_shown_by_one_prompt() -> None:
    """An existence: one firing in 40 shows it, none leaves it open; the same of a silence below one."""
    some = of_templates(1, *[0] * 9)
    assert ((some > 0).outcome, (some > 0).p) == ("supported", 0.0)
    none = of_templates(*[0] * 10) > 0
    assert (none.outcome, none.p) == ("inconclusive", 1.0)
    assert none.reason.endswith("At this rate more than 1,000 templates would be needed")
    assert (of_templates(*[4] * 9, 3) < 1).outcome == "supported"
    assert (of_templates(*[4] * 10) < 1).outcome == "inconclusive"


def test_no_share_lies_beyond_one_or_zero() -> None:
    """`> 1` and `< 0` are no sentences about shares, and the error says what to write."""
    with pytest.raises(ValueError, match=r"> 1: no share does; write == 1"):
        _ = of_templates(4, 4) > 1
    with pytest.raises(ValueError, match=r"< 0: no share does; write == 0"):
        _ = of_templates(4, 4) < 0


def test_only_zeros_and_ones_are_a_rate() -> None:
    """Shares of features are means; counts that happen to be 0 or 1 are a rate below 1 and a mean beside more."""
    six = [[0.1], [0.2], [0.3], [0.1], [0.2], [0.25]]
    assert (grid("novice", six, unit="share of features") > 0.05).kind == "bound"
    counts = grid("novice", [[0.0, 1.0]] * 3 + [[1.0, 1.0]] * 3)
    assert [(counts > bound).kind for bound in (0.5, 0, 1, 2, -1)] == ["rate", "bound", "bound", "bound", "bound"]
    assert (counts < 2).outcome == "supported"


@pytest.mark.parametrize("bound", [75, 1.01, -0.01])
def test_what_no_share_can_be_is_no_bound(bound: float) -> None:
    """75 for 75 % would refute every rate there is, and support every one below it."""
    told = (
        f"firing rate of feature 7 of novice against {bound:g}; a share of prompts lies between 0 and 1: 75 % is 0.75"
    )
    for compare in (lambda of: of > bound, lambda of: of < bound):
        with pytest.raises(ValueError, match=re.escape(told)):
            compare(of_templates(4, 4))


@pytest.mark.parametrize("bound", [float("nan"), float("inf")])
def test_a_bound_is_finite(bound: float) -> None:
    """NaN beside a measurement is refused."""
    with pytest.raises(ValueError, match="wanted a finite number in share of prompts"):
        _ = of_templates(4, 4) > bound


def test_what_a_rate_generalises_over_is_the_claims() -> None:
    """Ten topics under two templates: two units, or ten if the claim is about topics."""
    of = fires([[1.0] * 10] * 2)
    assert (of > 0.65).n_units == (2,)
    with recording(Recorder(over=("topics",))):
        evidence = of > 0.65
    assert (evidence.units, evidence.n_units, evidence.outcome) == ("topics", (10,), "supported")
    assert evidence.scope == "these 2 templates fixed, over 10 topics"


@given(st.lists(st.integers(0, 4), min_size=2, max_size=10), st.floats(0.02, 0.98))
def test_above_and_below_never_both_hold(counts: list[int], bound: float) -> None:
    """What supports one side refutes the other, and the interval lies beyond the bound exactly then."""
    above, below = of_templates(*counts) > bound, of_templates(*counts) < bound
    mirror = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}
    assert below.outcome == mirror[above.outcome]
    assert above.interval is not None
    low, high = above.interval
    if abs(low - bound) > 1e-9 and abs(high - bound) > 1e-9:
        assert (above.outcome == "supported") == (low > bound)
        assert (above.outcome == "refuted") == (high < bound)


@pytest.mark.parametrize("ask", [lambda of: of > 0.5, lambda of: of == 1, lambda of: replace(of, unit="features") > 2])
def test_a_rate_takes_no_controls(ask: object) -> None:
    """There is no second side whose difference a rival could explain."""
    with (
        recording(Recorder(controls=("length", "wording"))) as recorder,
        pytest.raises(
            TypeError,
            match=r"of the kind '(rate|bound)' takes no controls, and the claim asks for length, wording; state it",
        ),
    ):
        ask(of_templates(4, 4))  # type: ignore[operator]
    assert recorder.evidence == []


def test_a_rate_is_shown_as_a_rate() -> None:
    """The terminal calls the estimate a rate."""
    evidence: Evidence = of_templates(*[4] * 12) > 0.5
    assert "rate 100 % of prompts, 95% interval [74 %, 100 %]" in evidence.lines()


def test_a_prompt_with_a_part_of_its_tokens_does_not_make_a_rate_easier_to_support() -> None:
    """Eight templates at 1 are too few for more than 0.95, 0.95^8 = 0.66; so are they where one prompt lies at 0.9."""
    whole = fires([[1.0, 1.0]] * 8, unit="share of tokens") > 0.95
    part = fires([[1.0, 1.0]] * 7 + [[1.0, 0.9]], unit="share of tokens") > 0.95
    assert [one.kind for one in (whole, part)] == ["rate", "rate"]
    assert [one.outcome for one in (whole, part)] == ["inconclusive", "inconclusive"]
    assert whole.one_sided == pytest.approx(0.95**8)
    assert part.one_sided is not None
    assert whole.one_sided < part.one_sided


@pytest.mark.parametrize("values", [[1.0, 0.5], [0.0, 0.5]])
def test_shares_of_what_is_not_counted_are_no_rates(values: list[float]) -> None:
    """A share of variance is a quantity: its units are held against the number by their signs."""
    evidence = fires([values] * 7 + [[0.9, 0.6]], unit="share of variance") > 0.3
    assert evidence.kind == "bound"


def test_what_lies_outside_zero_and_one_is_no_rate() -> None:
    """Whatever its unit says."""
    assert (fires([[1.5, 1.0]] * 7 + [[1.0, 1.0]]) > 0.9).kind == "bound"
    assert (fires([[-0.5, 1.0]] * 7 + [[1.0, 1.0]]) > 0.9).kind == "bound"


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_a_part_of_a_prompt_beside_zero_or_one_is_no_rate(bound: float) -> None:
    """Of shares in between there is no single exception to look for: the units' distance is tested."""
    of = fires([[0.5, 0.25]] * 4 + [[0.75, 0.5]] * 4)
    evidence = of > bound if bound == 0 else of < bound
    assert (evidence.kind, evidence.outcome) == ("bound", "supported")


def test_a_share_that_is_out_of_range_on_either_side_is_no_rate() -> None:
    """A share of 1.5 is none, nor is one of -0.5, though the other end is kept to."""
    for odd in (1.5, -0.5):
        assert (fires([[odd, 0.5]] * 8) > 0.9).kind == "bound"
    assert (fires([[0.5, 1.0]] * 8) > 0.9).kind == "rate"


def test_two_units_decide_where_the_bound_is_far() -> None:
    """Two of two templates against 0.1: 0.1 x 0.1 = 0.01."""
    evidence = of_templates(4, 4) > 0.1
    assert (evidence.outcome, evidence.p) == ("supported", pytest.approx(0.02))


def test_units_that_would_have_p_at_alpha_are_not_enough() -> None:
    """Against a half at alpha = 1/4, two of two have 1/4 and three would have 1/8 itself: four are wanted."""
    with recording(Recorder(alpha=0.25)):
        evidence = of_templates(1, 1, on=1) > 0.5
    assert evidence.outcome == "inconclusive"
    assert evidence.needed == Needed(units="templates", have=2, wanted=4, prompts=4)
