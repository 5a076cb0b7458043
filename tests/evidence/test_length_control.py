"""The control for prompt length: what is left of a difference once the slope on length is taken off, with its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from controlled import only_control, unrun
from grids import grid, templates
from scipy.stats import binom
from scipy.stats import t as student

from saeprobe.claims import Over
from saeprobe.evidence import ControlResult, Evidence, Recorder, Terms, recording
from saeprobe.evidence.controls.length import length_control, within
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


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 5), (5, 4), (4, 5)])
def test_what_is_left_has_the_error_of_a_line_with_a_variance_for_each_style(n_a: int, n_b: int) -> None:
    """By the matrix of least squares: its coefficient of the style, a sandwich, and df from the diagonal of the hat."""
    a, b, long_a, long_b = A[:n_a], B[:n_b], LONG_A[:n_a], LONG_B[:n_b]
    control = only_control(compared(side("novice", a, long_a), side("expert", b, long_b)))
    style, lengths = np.repeat([1.0, 0.0], [n_a, n_b]), np.array([*long_a, *long_b], dtype=float)
    design, values = np.column_stack([style, 1 - style, lengths]), np.array([*a, *b])
    inverse = np.linalg.inv(design.T @ design) @ design.T
    hat = np.diag(design @ inverse)
    gap, found = float(np.mean(long_a) - np.mean(long_b)), inverse @ values
    effect = np.where(style == 1, 1 / n_a, -1 / n_b)  # the weights of the units in D, and in the slope
    for name, share in (("L", 1.0), ("C", 0.5)):
        weights, parts = share * effect - gap * inverse[2], list[tuple[float, float]]()
        for of in (style == 1, style == 0):
            freedom = of.sum() - hat[of].sum()
            variance = float(((values - design @ found)[of] ** 2).sum() / freedom)
            parts.append((variance * float(weights[of] @ weights[of]), freedom))
        squared = sum(part for part, _ in parts)
        assert control.numbers[f"estimate of {name}"] == pytest.approx(float(weights @ values))
        assert control.numbers[f"error of {name}"] == pytest.approx(squared**0.5)
        assert control.numbers[f"df of {name}"] == pytest.approx(squared**2 / sum(v**2 / df for v, df in parts))
    left, error, freedom = (control.numbers[f"{it} of L"] for it in ("estimate", "error", "df"))
    assert left == pytest.approx(found[0] - found[1]) == pytest.approx(control.estimate)
    p, half = float(student.sf(left / error, freedom)), float(student.ppf(0.95, freedom)) * error
    assert control.p == pytest.approx(p) == pytest.approx(control.numbers["p of L"])
    assert control.interval == pytest.approx((left - half, left + half))
    assert control.share == pytest.approx(left / (np.mean(a) - np.mean(b)))
    assert control.answer == ("withstood" if p < 0.05 else "cannot tell")
    assert [(unit.side, unit.value) for unit in control.unit_values][:2] == [("novice", 20.0), ("novice", 27.0)]


def test_a_style_that_scatters_more_and_varies_more_in_length_is_not_withstood_too_often() -> None:
    """All by length, spread 5 : 1, lengths 8 : 1, a gap of 20: in 5 of 100 within chance of 1,000, not in 11."""
    rng, withstood = np.random.default_rng(0), 0
    for _ in range(1_000):
        lengths = [rng.normal(mean, spread, 8) for mean, spread in ((40, 8), (20, 1))]
        values = [long + rng.normal(0, spread, 8) for long, spread in zip(lengths, (5, 1), strict=True)]
        line = within(values, lengths)
        assert line is not None
        withstood += line.left(1.0).p(1.0, above=True, at_best=1.0) < 0.05
    assert withstood <= binom.ppf(0.999, 1_000, 0.05)


def test_the_longer_side_is_named_and_a_share_is_only_of_an_effect_that_is_there() -> None:
    """24.6 tokens against 16 on average, whichever side the sentence names first; nothing is a share of nothing."""
    novice, expert = side("novice", A, LONG_A), side("expert", B, LONG_B)
    found, missed = only_control(compared(novice, expert)), only_control(compared(expert, novice))
    for control in (found, missed):
        assert control.detail.startswith("novice is 8.6 tokens longer than expert; within a style")
    assert (found.numbers["gap"], missed.numbers["gap"]) == pytest.approx((8.6, -8.6))
    assert (" %)" in found.detail, " %)" in missed.detail) == (True, False)


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
    beyond = " from short topics to long ones, which says little beyond the lengths that both sides have"
    assert f" a token{beyond if more else ''}, and at equal length " in control.detail
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
    wanted = ((13 / (float(student.ppf(0.95, control.numbers["df of L"])) + 0.84)) ** 2 - of_effect) ** 0.5 / error
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
        (
            side("novice", A, (20,) * 5),
            side("expert", B, (12,) * 5),
            "the styles differ by 8.0 tokens and wordings of either style do not differ",
        ),
        (templates("novice", A), templates("expert", B), "the record does not say how long the prompts are"),
    ],
)
def test_what_cannot_be_had_leaves_the_claim_open(a: Measurement, b: Measurement, why: str) -> None:
    """Without a slope, or without lengths, the control could not be run."""
    evidence = compared(a, b)
    assert evidence.outcome == "inconclusive"
    assert evidence.estimate is not None
    assert only_control(evidence) == unrun("length", why, estimate=evidence.estimate)
    assert evidence.reason.endswith(f", but the control for length could not be run: {why}")


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
    """Over both, the variance of the topics' differences comes to that of the wordings, and no difference."""
    novice, expert = side("novice", A, LONG_A), side("expert", B, LONG_B)
    moved = replace(novice, values=novice.values + np.tile((0.5, -0.5, 0.0), 5))
    both, alone = (
        only_control(compared(moved, expert, over=over)) for over in (("templates", "topics"), ("templates",))
    )
    assert both.estimate == pytest.approx(alone.estimate)
    added = float(np.var((0.5, -0.5, 0.0), ddof=1)) / 3
    assert both.numbers["error of L"] ** 2 == pytest.approx(alone.numbers["error of L"] ** 2 + added)
    assert both.numbers["error of C"] ** 2 == pytest.approx(alone.numbers["error of C"] ** 2 + added / 4)
