"""The control for prompt length: what is left of a difference once the slope on length is taken off, with its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from controlled import only_control, unrun
from grids import grid, templates
from scipy.stats import t as student

from saeprobe.claims import Over
from saeprobe.evidence.controls.length import length_control
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder, Terms, recording
from saeprobe.evidence.units import compare
from saeprobe.evidence.values import Measurement

A, B = (9.0, 12.0, 10.5, 14.0, 11.0), (3.0, 2.0, 5.5, 4.0, 6.0)
LONG_A, LONG_B = (20, 27, 22, 30, 24), (15, 12, 18, 14, 21)


def side(style: str, means: Sequence[float], lengths: Sequence[int]) -> Measurement:
    """A wording for each mean, on three topics of levels 0, 5 and -5, with so many tokens on each of them."""
    values = [[mean, mean + 5, mean - 5] for mean in means]
    return grid(style, values, lengths=[[length] * 3 for length in lengths])


def compared(a: Measurement, b: Measurement, *, over: tuple[Over, ...] = ()) -> Evidence:
    """`a > b` under the control for length."""
    with recording(Recorder(controls=("length",), over=over)):
        return a > b


def contrast(design: np.ndarray, values: np.ndarray, weights: Sequence[float]) -> tuple[float, float, int]:
    """A contrast of the least-squares coefficients, its standard error and its degrees of freedom, by numpy."""
    found, squares, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(values) - int(rank)
    covariance = np.linalg.inv(design.T @ design) * squares[0] / freedom
    of = np.array(weights)
    return float(of @ found), float(np.sqrt(of @ covariance @ of)), freedom


def test_equally_many_wordings_make_an_analysis_of_covariance() -> None:
    """What is left is the coefficient of the style beside length, with its error: half of the effect comes off too."""
    control = only_control(compared(side("novice", A, LONG_A), side("expert", B, LONG_B)))
    lengths, style = np.array([*LONG_A, *LONG_B], dtype=float), np.repeat([1.0, 0.0], 5)
    left, error, freedom = contrast(np.column_stack([style, np.ones(10), lengths]), np.array([*A, *B]), (1, 0, 0))
    assert control.estimate == pytest.approx(left)
    assert control.numbers["error of L"] == pytest.approx(error)
    assert (control.numbers["df of L"], control.numbers["df of C"]) == (freedom, freedom) == (7, 7)
    p = float(student.sf(left / error, freedom))
    assert control.p == pytest.approx(p) == pytest.approx(control.numbers["p of L"])
    half = float(student.ppf(0.95, freedom)) * error
    assert control.interval == pytest.approx((left - half, left + half))
    assert control.share == pytest.approx(left / 7.2)
    assert control.answer == ("withstood" if p < 0.05 else "cannot tell")
    of_effect = control.numbers["error of slope"] * control.numbers["gap"]
    assert control.numbers["error of C"] ** 2 == pytest.approx((error**2 - of_effect**2) / 4 + of_effect**2)
    assert [(unit.side, unit.value) for unit in control.unit_values][:2] == [("novice", 20.0), ("novice", 27.0)]


def test_the_longer_side_is_named_and_a_share_is_only_of_an_effect_that_is_there() -> None:
    """24.6 tokens against 16 on average, whichever side the sentence names first; nothing is a share of nothing."""
    novice, expert = side("novice", A, LONG_A), side("expert", B, LONG_B)
    found, missed = only_control(compared(novice, expert)), only_control(compared(expert, novice))
    for control in (found, missed):
        assert control.detail.startswith("novice is 8.6 tokens longer than expert; within a style")
    assert (" %)" in found.detail, " %)" in missed.detail) == (True, False)


def test_unequal_numbers_have_a_variance_each() -> None:
    """By the formula, written out once more: n - 1.5 a style, and df by Satterthwaite."""
    a, b, long_a, long_b = A, B[:3], LONG_A, LONG_B[:3]
    control = only_control(compared(side("novice", a, long_a), side("expert", b, long_b)))
    x = [np.array(one) - np.mean(one) for one in (long_a, long_b)]
    y = [np.array(one) - np.mean(one) for one in (a, b)]
    whole = sum(float(one @ one) for one in x)
    slope = sum(float(one @ other) for one, other in zip(x, y, strict=True)) / whole
    s2 = [float(((v - slope * u) ** 2).sum()) / (len(u) - 1.5) for u, v in zip(x, y, strict=True)]
    of_slope = sum(s * float(u @ u) for s, u in zip(s2, x, strict=True)) / whole**2
    parts = s2[0] / 5, s2[1] / 3
    gap = float(np.mean(long_a) - np.mean(long_b))
    assert control.numbers["slope"] == pytest.approx(slope)
    assert control.numbers["error of L"] == pytest.approx((sum(parts) + gap**2 * of_slope) ** 0.5)
    assert control.numbers["error of C"] == pytest.approx((sum(parts) / 4 + gap**2 * of_slope) ** 0.5)
    assert control.numbers["df of L"] == pytest.approx(
        min(5, sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 2))
    )


def test_pairs_are_differences_on_differences() -> None:
    """Where each wording has its partner the difference is regressed on that of the lengths."""
    a, b, terms = side("novice", A, LONG_A), side("expert", B, LONG_B), Terms()
    units = compare(a, b, terms)
    assert not isinstance(units, str)
    control = length_control(a, b, replace(units, pairs=tuple((k, k) for k in range(5))), terms)
    x = np.array(LONG_A, dtype=float) - np.array(LONG_B)
    y = np.array(A) - np.array(B)
    left, error, freedom = contrast(np.column_stack([np.ones(5), x]), y, (1, 0))
    assert (control.estimate, control.numbers["error of L"]) == pytest.approx((left, error))
    assert control.numbers["df of L"] == freedom == 3


def test_one_wording_has_its_slope_over_topics() -> None:
    """Of the means of both sides, with the larger error of least squares and HC3 (statsmodels)."""
    rng = np.random.default_rng(0)
    long_a, long_b = rng.integers(18, 30, 8), rng.integers(12, 24, 8)
    a, b = 0.3 * long_a + rng.normal(size=8) + 3, 0.3 * long_b + rng.normal(size=8)
    sides = (
        grid(style, [values.tolist()], lengths=[lengths.tolist()])
        for style, values, lengths in (("novice", a, long_a), ("expert", b, long_b))
    )
    control = only_control(compared(*sides))
    line = sm.OLS((a + b) / 2, sm.add_constant((long_a + long_b) / 2)).fit()
    of_slope = max(line.bse[1], line.get_robustcov_results("HC3").bse[1])
    gap = float(np.mean(long_a - long_b))
    assert control.numbers["slope"] == pytest.approx(line.params[1])
    assert control.numbers["error of slope"] == pytest.approx(of_slope)
    assert control.numbers["df of L"] == 6
    assert control.numbers["error of L"] == pytest.approx((np.var(a - b, ddof=1) / 8 + (gap * of_slope) ** 2) ** 0.5)
    assert control.estimate == pytest.approx(float(np.mean(a - b)) - gap * line.params[1])


@pytest.mark.parametrize(
    ("more", "per_token", "answer"), [(0, 0.1, "withstood"), (9, 0.1, "cannot tell"), (9, 0.9, "explains")]
)
def test_a_slope_over_topics_leaves_nothing_surely_beyond_their_lengths(
    more: int, per_token: float, answer: str
) -> None:
    """Where a side's mean length is none that the other's topics have it may explain an effect, not be withstood."""
    rng, lengths = np.random.default_rng(0), np.arange(20, 28)
    novice, expert = (
        grid(style, [(per_token * long + plus + rng.normal(0, 0.1, 8)).tolist()], lengths=[long.tolist()])
        for style, long, plus in (("novice", lengths + more, 3.0), ("expert", lengths, 0.0))
    )
    control = only_control(compared(novice, expert))
    assert control.answer == answer
    assert (control.p == 1) == (answer != "withstood")
    assert control.numbers["longest length of the second side"] == 27
    assert control.numbers["mean length of the first side"] == 23.5 + more
    assert control.interval is not None
    assert control.interval[0] > 0


def test_an_effect_that_length_makes_is_explained() -> None:
    """A value of 0.3 a token and hardly anything else: nothing is left, and surely less than half."""
    long_a, long_b = (30, 36, 33, 39), (20, 26, 23, 29)
    noise = (0.1, -0.1, 0.05, -0.05)
    novice, expert = (
        side(style, [0.3 * tokens + sign * more for tokens, more in zip(lengths, noise, strict=True)], lengths)
        for style, lengths, sign in (("novice", long_a, 1), ("expert", long_b, -1))
    )
    evidence = compared(novice, expert)
    assert evidence.outcome == "explained"
    assert only_control(evidence).answer == "explains"
    assert ", but explained by length: novice is 10.0 tokens longer than expert; within a style" in evidence.reason
    assert (novice > expert).outcome == "supported"


def test_a_measure_that_is_length_itself_is_explained() -> None:
    """Without any scatter about the line nothing is left, to the last digit."""
    sides = (
        side(style, lengths, lengths) for style, lengths in (("novice", (30, 31, 32, 33)), ("expert", (20, 21, 22, 23)))
    )
    assert compared(*sides).outcome == "explained"


def test_a_gap_that_so_many_wordings_cannot_bridge_is_open() -> None:
    """The effect is there, the slope is unknown: the reason names the gap that could be told, and the remedy."""
    novice, expert = side("novice", (14, 17, 15, 16), (60, 61, 62, 63)), side("expert", (3, 1, 4, 2), (20, 21, 22, 23))
    evidence = compared(novice, expert)
    control = only_control(evidence)
    assert evidence.outcome == "inconclusive"
    assert control.answer == "cannot tell"
    error = control.numbers["error of slope"]
    assert control.numbers["slope"] == pytest.approx((2 + 0) / 10)
    of_effect = control.numbers["error of L"] ** 2 - (40 * error) ** 2
    wanted = ((13 / (float(student.ppf(0.95, 5)) + 0.84)) ** 2 - of_effect) ** 0.5 / error
    assert f"so many wordings of either style can tell up to a gap of {wanted:.1f} tokens: write" in control.detail


def test_what_is_partly_left_supports_with_its_share() -> None:
    """Of 8 features the length makes 6; the 2 that are left are sure."""
    lengths = (20, 26, 23, 29)
    noise = (0.1, -0.1, 0.05, -0.05)
    novice = side(
        "novice", [0.3 * (x + 20) + 2 + e for x, e in zip(lengths, noise, strict=True)], [x + 20 for x in lengths]
    )
    expert = side("expert", [0.3 * x - e for x, e in zip(lengths, noise, strict=True)], lengths)
    evidence = compared(novice, expert)
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("left of it (25 %) beside prompt length")


def test_equally_long_prompts_leave_nothing_to_take_off() -> None:
    """Where no wording is longer than another the claim's own interval and one-sided p stand."""
    evidence = compared(side("novice", A, (20,) * 5), side("expert", B, (20,) * 5))
    control = only_control(evidence)
    assert evidence.p is not None
    assert (control.answer, control.p, control.interval) == ("withstood", evidence.p / 2, evidence.interval)
    assert control.share == 1.0


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (side("novice", A, (20,) * 5), side("expert", B, (12,) * 5), "the styles differ by 8.0 tokens and wordings of"),
        (templates("novice", A), templates("expert", B), "the record does not say how long the prompts are"),
    ],
)
def test_what_cannot_be_had_leaves_the_claim_open(a: Measurement, b: Measurement, why: str) -> None:
    """Without a slope, or without lengths, the control could not be run."""
    evidence = compared(a, b)
    control = only_control(evidence)
    assert evidence.outcome == "inconclusive"
    assert (control.answer, control.p, control.estimate) == ("cannot tell", None, evidence.estimate)
    assert control.detail.startswith(why)


def test_two_wordings_have_no_error_of_a_slope() -> None:
    """2 + 8 wordings find the effect, and three a style are wanted for the control."""
    many = [float(k) / 10 for k in range(8)]
    evidence = compared(side("novice", (10, 10.2), (30, 31)), side("expert", many, range(20, 28)))
    assert only_control(evidence).p is None
    assert "there are 2 wordings of either style, where a slope takes 3" in only_control(evidence).detail


def test_two_features_on_other_prompts_have_no_common_slope() -> None:
    """Each rises with length in its way; on the same prompts there is no gap."""
    a, b = (
        replace(one, measure=f"activation of feature {k}")
        for k, one in enumerate((side("novice", A, LONG_A), side("expert", B, LONG_B)))
    )
    control = only_control(compared(a, b))
    assert control == unrun("length", "two features on other prompts rise with length each in its way", estimate=7.2)


def test_nothing_is_judged_where_nothing_was_found() -> None:
    """An effect that is not there is not explained, whatever length makes."""
    control: ControlResult = only_control(compared(side("novice", B, LONG_A), side("expert", B, LONG_B)))
    assert control.answer == "cannot tell"
    assert control.p is not None


def test_topics_add_their_error_where_they_are_units_too() -> None:
    """Over both, the variance of the topics' differences comes to that of the wordings."""
    novice, expert = side("novice", A, LONG_A), side("expert", B, LONG_B)
    moved = replace(novice, values=novice.values + np.tile((0.5, -0.5, 0.0), 5))
    both, alone = (
        only_control(compared(moved, expert, over=over)) for over in (("templates", "topics"), ("templates",))
    )
    added = float(np.var((0.5, -0.5, 0.0), ddof=1)) / 3
    assert both.numbers["error of L"] ** 2 == pytest.approx(alone.numbers["error of L"] ** 2 + added)
    assert both.numbers["error of C"] ** 2 == pytest.approx(alone.numbers["error of C"] ** 2 + added / 4)
