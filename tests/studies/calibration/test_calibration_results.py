"""The results of a study are shares with exact intervals, and lines."""

from __future__ import annotations

import pytest
from known import row
from statsmodels.stats.proportion import proportion_confint

from studies.calibration.results import Share, lines, total


@pytest.mark.parametrize(("count", "of"), [(0, 40), (3, 40), (25, 1000), (40, 40)])
def test_a_share_has_the_exact_binomial_interval(count: int, of: int) -> None:
    """It agrees with Clopper and Pearson's interval in statsmodels."""
    wanted = proportion_confint(count, of, alpha=0.05, method="beta")
    assert Share(count=count, of=of).interval == pytest.approx(wanted, abs=1e-9)
    assert Share(count=count, of=of).value == count / of


def test_a_line_counts_verdicts_and_both_arms_on_the_same_claims() -> None:
    """Two of five claims are confirmed; the naive arm has a test for three, of which ours confirms one."""
    rows = [
        row("supported", naive=True),
        row("supported"),
        row("refuted", naive=True),
        row("inconclusive", naive=False),
        row("inconclusive"),
    ]
    (found,) = lines(rows, "false", alpha=0.05)
    assert (found.claims, found.confirmed.count, found.refuted.count, found.inconclusive.count) == (5, 2, 1, 2)
    assert found.naive == Share(count=2, of=3)
    assert found.ours_where_naive == Share(count=1, of=3)
    assert (found.allowed, found.contrary) == (0.025, 0.025)


def test_a_line_without_a_naive_test_has_no_share_of_it() -> None:
    """No share of nothing is made up."""
    (found,) = lines([row("supported")], "false", alpha=0.05)
    assert (found.naive, found.ours_where_naive) == (None, None)


def test_designs_have_a_line_each_in_the_order_they_were_run() -> None:
    """False and true claims of one kind stay apart, and so do two designs of it."""
    rows = [row("supported", kind="b"), row("refuted", kind="a"), row("refuted", kind="a", truth="true")]
    assert [(one.kind, one.claims) for one in lines(rows, "false", alpha=0.05)] == [("b", 1), ("a", 1)]
    (true,) = lines(rows, "true", alpha=0.05)
    assert (true.allowed, true.contrary) == (None, None)
    assert total(rows, "false").claims == 2


def test_a_share_is_beyond_what_is_allowed_only_with_its_whole_interval() -> None:
    """Of 100 claims at alpha / 2 = 2.5 %, 6 confirmed ones reach down to 2.2 %, and 7 to 2.9 %."""
    six, seven = ([row("supported")] * count + [row("inconclusive")] * (100 - count) for count in (6, 7))
    assert not lines(six, "false", alpha=0.05)[0].confirmed_beyond
    assert lines(seven, "false", alpha=0.05)[0].confirmed_beyond


def test_a_single_wrong_word_is_not_beyond_what_is_allowed() -> None:
    """The interval of 1 of 1 begins at 2.5 % itself, which is no more than alpha / 2; 2 of 2 begin at 15.8 %."""
    assert not lines([row("supported")], "false", alpha=0.05)[0].confirmed_beyond
    assert lines([row("supported")] * 2, "false", alpha=0.05)[0].confirmed_beyond


def test_refuting_is_held_against_a_design_only_where_it_is_wrong() -> None:
    """Labels that mean nothing refute that they separate anything, all of them, and rightly."""
    (wrong,) = lines([row("refuted")] * 50, "false", alpha=0.05)
    (right,) = lines([row("refuted", contrary=None)] * 50, "false", alpha=0.05)
    assert wrong.refuted_beyond
    assert not right.refuted_beyond
