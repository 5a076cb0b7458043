"""At least by a margin: `a > 1.1 * b + 5`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from grids import grid, summary, templates
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from saeprobe.claims import Over
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.compare import about, every
from saeprobe.evidence.ratios import ratio
from saeprobe.evidence.values import Measurement

novice = templates("novice", (10, 11, 12, 13))  # lower case: a constant would have to stand on the right
expert = templates("expert", (1, 2, 3, 4))


def test_a_difference_beyond_the_margin_supports() -> None:
    """11.5 against 2.5 + 5: 4 are left, expert's templates rise to 6 to 9 and none overlaps, p = 2/70."""
    evidence = novice > expert + 5
    assert (evidence.kind, evidence.outcome) == ("at least", "supported")
    assert evidence.statement == "l0 of novice > l0 of expert + 5 features"
    assert evidence.estimate == pytest.approx(4.0)
    assert evidence.margin == pytest.approx(5.0)
    assert evidence.p == pytest.approx(2 / 70)
    assert evidence.reason == "11.5 against 2.5 features, +4 beyond the margin of 5, p = 0.029"
    assert [sample.mean for sample in evidence.samples] == pytest.approx([11.5, 2.5])
    assert [value.value for value in evidence.unit_values] == pytest.approx([10, 11, 12, 13, 6, 7, 8, 9])


def test_a_difference_short_of_the_margin_refutes() -> None:
    """2.5 + 15 lies 6 above 11.5, all templates beyond all others: less than the margin, though expert is lower."""
    evidence = novice > expert + 15
    assert evidence.outcome == "refuted"
    assert evidence.estimate == pytest.approx(-6.0)
    assert evidence.reason == "less than the margin: 11.5 against 2.5 features, -6 beyond the margin of 15, p = 0.029"
    assert (novice > expert).outcome == "supported"


def test_a_difference_about_the_margin_is_open() -> None:
    """At + 7.2 novice lies 1.8 above; with variances of 5/3 a side Welch's p is 0.097 at 6 degrees of freedom."""
    evidence = novice > expert + 7.2
    assert evidence.outcome == "inconclusive"
    assert evidence.p == pytest.approx(2 * t.sf(1.8 / (5 / 6) ** 0.5, 6))
    assert evidence.needed is not None
    assert evidence.needed.have == 4
    assert (novice > expert + 9).p == pytest.approx(1.0)


def test_a_factor_raises_each_value() -> None:
    """1.1 x 25 + 2 = 29.5 is 4.5 above 25; the templates at 10, 20, 30 and 40 stand at 13, 24, 35 and 46."""
    other = templates("expert", (10, 20, 30, 40))
    evidence = templates("novice", (60, 61, 62, 63)) > 1.1 * other + 2
    assert evidence.statement == "l0 of novice > 1.1 x l0 of expert + 2 features"
    assert evidence.margin == pytest.approx(4.5)
    assert evidence.estimate == pytest.approx(61.5 - 29.5)
    assert [unit.value for unit in evidence.unit_values if unit.side == "expert"] == pytest.approx([13, 24, 35, 46])
    alone = templates("novice", (60, 61, 62, 63)) > other * 2
    assert alone.statement == "l0 of novice > 2 x l0 of expert"
    assert alone.margin == pytest.approx(25.0)
    assert alone.estimate == pytest.approx(11.5)


def test_the_interval_is_of_what_exceeds_the_margin() -> None:
    """It is the interval of the plain difference, 5 lower."""
    one, other = templates("novice", range(20, 28)), templates("expert", range(8))
    plain, margin = one > other, one > other + 5
    assert plain.interval is not None
    assert margin.interval == pytest.approx((plain.interval[0] - 5, plain.interval[1] - 5), rel=1e-6)
    assert "excess over the margin +15 features, 95% interval" in "\n".join(margin.lines())


@pytest.mark.parametrize(
    "asserted",
    [
        lambda: novice > expert + 5,
        lambda: novice > 5 + expert,
        lambda: expert + 5 < novice,
        lambda: 5 + expert < novice,
        lambda: novice > expert + np.int64(5),
        lambda: novice > 1 * expert + 5,
        lambda: novice > expert * 1.0 + 5,
        lambda: novice > every([expert + 5]),
        lambda: every([expert + 5]) < novice,
        lambda: every([novice]) > expert + 5,
        lambda: expert + 5 < every([novice]),
    ],
)
def test_it_reads_from_either_side(asserted: Callable[[], Evidence]) -> None:
    """However the sentence turns, the margin stays on the smaller side; the recorder holds it once."""
    with recording(Recorder()) as recorder:
        evidence = asserted()
    assert recorder.evidence == [evidence]
    part = evidence.parts[0] if evidence.parts else evidence
    assert (part.outcome, part.statement) == ("supported", "l0 of novice > l0 of expert + 5 features")
    assert part.estimate == pytest.approx(4.0)


def test_what_is_left_under_a_control_has_to_exceed_the_margin_too() -> None:
    """Novice lies 2.0 above expert at equal length: that is 1.0 beyond a margin of 1, and 2.0 short of one of 4."""

    def worded(style: str, length: int, mean: float, sign: float) -> Measurement:
        lengths = [length - 2, length, length + 2, length + 4]
        noise = (0.1, -0.1, 0.05, -0.05)
        values = [[0.3 * n + mean + sign * more] * 3 for n, more in zip(lengths, noise, strict=True)]
        return grid(style, values, lengths=[[n] * 3 for n in lengths])

    novice, expert = worded("novice", 40, 2.0, 1.0), worded("expert", 20, 0.0, -1.0)
    with recording(Recorder(controls=("length",))):
        holds, fails = novice > expert + 1, novice > expert + 4
    assert (holds.outcome, fails.outcome) == ("supported", "explained")
    assert (holds.estimate, fails.estimate) == pytest.approx((7.0, 4.0))
    assert (holds.controls[0].estimate, fails.controls[0].estimate) == pytest.approx((1.0, -2.0))
    assert "but explained by length" in fails.reason


UNEVEN = [[20.0] * 10, *([30.0 + k, 30.0 + k] for k in range(5))], [[10.0] * 2 for _ in range(5)] + [[12.0] * 10]


@pytest.mark.parametrize(
    ("over", "shown", "beyond"),
    [
        # topics 0 and 1 have (20 + 160) / 6 = 30 and 62 / 6, the other eight 20 and 12
        ("topics", "22 against 11.7 features", "22 against 11.7 features, +3.5 beyond the margin of 6.83"),
        # their levels are 20.17 and 16, on average 16.83: a wording on two topics alone is lowered by 3.33
        ("templates", "27.2 against 7.56 features", "27.5 against 8.67 features, +13.5 beyond the margin of 5.33"),
    ],
)
def test_the_means_in_a_reason_are_those_of_the_units(over: Over, shown: str, beyond: str) -> None:
    """Their difference is the one tested, and what a margin asks for is of them, whatever all prompts have."""
    a, b = (grid(style, rows) for style, rows in zip(("novice", "expert"), UNEVEN, strict=True))
    with recording(Recorder(over=(over,))):
        plain, margin, same = a > b, a > 1.5 * b + 1, a == about(b, margin=100)
    assert plain.reason.startswith(f"{shown}, a difference of ")
    assert same.reason.startswith(f"{shown}, a difference of ")
    assert margin.reason.startswith(f"{beyond}, p")


def test_shares_without_spread_decide_nothing_beyond_a_margin() -> None:
    """Rates of 1 and 0 in all of four wordings bound the true rates to about 0.5: how far apart they are is open.

    Of true rates 0.9 and 0.1 four wordings a side read all 1 and all 0 in 43 of 100 cases, and the margin 0.95 would
    be confirmed in each of them.
    """
    share = {"measure": "mentions", "unit": "share of continuations"}
    ones, zeros = grid("steered", [[1.0, 1.0]] * 4, **share), grid("random", [[0.0, 0.0]] * 4, **share)
    assert (ones > zeros).outcome == "supported"
    evidence = ones > zeros + 0.95
    assert (evidence.outcome, evidence.estimate) == ("inconclusive", pytest.approx(0.05))
    assert (zeros > zeros + 0.01).outcome == "inconclusive"


def test_no_spread_beyond_a_margin_is_not_taken_for_certainty() -> None:
    """Templates that all lie exactly 9 above the others are 4 beyond a margin of 5, without anything to test."""
    evidence = grid("novice", [[10.0, 10.0]] * 4) > grid("expert", [[1.0, 1.0]] * 4) + 5
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == "every unit differs by exactly +4: without spread nothing can be tested"
    assert evidence.needed is None


def test_summaries_stay_open_and_show_what_exceeds_the_margin() -> None:
    """Two bare means 19.3 apart are 8.0 beyond 1.1 x 113.1; nothing is decided."""
    evidence = summary("novice", 132.4) > 1.1 * summary("expert", 113.1)
    assert (evidence.kind, evidence.outcome) == ("at least", "inconclusive")
    assert evidence.margin == pytest.approx(11.31)
    assert evidence.estimate == pytest.approx(7.99)
    assert evidence.statement == "l0 of novice > 1.1 x l0 of expert"
    beside = novice > summary("expert", 1.0) + 2
    assert (beside.kind, beside.outcome, beside.estimate) == ("at least", "inconclusive", pytest.approx(8.5))


def test_prompts_that_cannot_be_paired_show_what_exceeds_the_margin() -> None:
    """Without a common topic there is no test; 8 against 2 + 5 is 1 beyond."""
    one, other = grid("novice", [[9, 8, 7]], topics="abc"), grid("expert", [[1, 2, 3]], topics="def")
    evidence = one > other + 5
    assert (evidence.outcome, evidence.p, evidence.estimate, evidence.margin) == ("inconclusive", None, 1.0, 5.0)
    assert (one > other).estimate == pytest.approx(6.0)


@pytest.mark.parametrize("number", [0, -5, float("nan"), float("inf"), -float("inf")])
def test_a_margin_is_above_zero_and_finite(number: float) -> None:
    """A factor or a number that is not is refused, naming what was asked."""
    with pytest.raises(ValueError, match=r"l0 of expert with .*; wanted a margin above zero in features"):
        _ = expert + number
    with pytest.raises(ValueError, match=r"l0 of expert with .*; wanted a factor above zero, such as 1\.1"):
        _ = number * expert
    with pytest.raises(ValueError, match="wanted a margin above zero"):
        _ = 2 * expert + number


def test_a_factor_below_one_asks_for_less() -> None:
    """Half of 2.5 is 1.25 below it, which is a sentence too."""
    evidence = novice > 0.5 * expert
    assert evidence.margin == pytest.approx(-1.25)
    assert evidence.estimate == pytest.approx(10.25)


def test_a_margin_is_put_on_once() -> None:
    """A second factor, a factor after a number and a second number are refused."""
    with pytest.raises(TypeError, match=r"3 x \(2 x l0 of expert\); multiply the measurement once"):
        _ = 3 * (2 * expert)
    with pytest.raises(TypeError, match=r"2 x \(l0 of expert \+ 5 features\); multiply the measurement once, before"):
        _ = (expert + 5) * 2
    with pytest.raises(TypeError, match=r"l0 of expert \+ 5 features \+ 2; add one number, their sum"):
        _ = expert + 5 + 2


def test_only_numbers_are_added() -> None:
    """Two measurements have no sum, no quotient but `ratio`, and True is no number; none is recorded."""
    wrong = (
        lambda: novice + expert,
        lambda: novice * expert,
        lambda: novice / expert,
        lambda: 2 / novice,
        lambda: summary("novice", 1) + expert,
        lambda: novice + True,  # type: ignore[operator]
        lambda: "2" * novice,  # type: ignore[operator]
        lambda: every([novice]) + 5,  # type: ignore[operator]
        lambda: 1.1 * ratio(novice, grid("expert", [[1, 2], [2, 3]])),  # type: ignore[operator]
    )
    with recording(Recorder()) as recorder:
        for sum_of in wrong:
            with pytest.raises(TypeError, match=r"a margin is put on the smaller side: a > b \+ 5, or a > 1\.1 \* b"):
                sum_of()
    assert recorder.evidence == []


@pytest.mark.parametrize(
    "asserted",
    [
        lambda: expert + 5 > novice,
        lambda: novice < expert + 5,
        lambda: every([expert + 5]) > novice,
        lambda: expert + 5 > every([novice]),
        lambda: every([expert * 2]) > 9.0,
    ],
)
def test_a_margin_on_the_larger_side_is_refused(asserted: Callable[[], Evidence]) -> None:
    """It would ask for less than the sentence says."""
    with pytest.raises(TypeError, match=r"on the larger side; a margin belongs on the smaller: a > 1\.1 \* b \+ 5"):
        asserted()


def test_a_factor_on_the_larger_side_is_told_how_to_turn_it() -> None:
    """`b < 0.8 * a` is the same as `a > 1.25 * b`."""
    remedy = (
        "0.8 x l0 of novice on the larger side; a margin belongs on the smaller: l0 of novice > 1.25 * l0 of expert"
    )
    with pytest.raises(TypeError, match=re.escape(remedy)):
        _ = expert < 0.8 * novice


def test_a_margin_is_neither_equal_to_nor_beside_a_number() -> None:
    """`==` and a bound take no margin of this sort."""
    with pytest.raises(TypeError, match="l0 of novice == Margin; equality needs a margin"):
        _ = novice == expert + 5
    with pytest.raises(TypeError, match=r"about\(<l0 of expert \+ 5 features>\); wanted a measurement"):
        about(expert + 5, margin=1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not supported between"):
        _ = expert + 5 < 9
    with pytest.raises(TypeError, match=r"<l0 of expert \+ 5 features> cannot be tested against a number"):
        _ = every([expert + 5]) < 9


def test_like_is_compared_with_like_beyond_a_margin() -> None:
    """Another measure on the smaller side is refused with the margin told."""
    other = templates("expert", (1, 2, 3, 4), measure="max activation", unit="activation")
    with pytest.raises(TypeError, match=r"cannot be compared with max activation of expert \+ 5 activation"):
        _ = novice > other + 5


def test_so_many_times_nothing_is_no_margin() -> None:
    """1.5 times 0 is 0: no sentence is about a margin of 0."""
    none = templates("expert", (0.0, 0, 0, 0))
    none = replace(none, values=0 * none.values)
    assert (novice > 1.5 * none).reason.startswith("11.5 against 0 features, a difference of +11.5, p = 0.029")


def test_a_margin_shows_what_it_is_on() -> None:
    """With its factor, and its number in the unit of the quantity."""
    assert repr(2 * expert + 5) == "<2 x l0 of expert + 5 features>"


@given(
    st.lists(st.integers(-20, 20), min_size=4, max_size=4),
    st.lists(st.integers(-20, 20), min_size=4, max_size=4),
    st.integers(1, 20),
)
def test_a_margin_is_the_same_as_a_lower_larger_side(one: list[int], other: list[int], margin: int) -> None:
    """`a > b + m` finds what `a - m > b` finds, ties and all."""
    beyond = templates("novice", one) > templates("expert", other) + margin
    lowered = templates("novice", [value - margin for value in one]) > templates("expert", other)
    assert beyond.estimate == pytest.approx(lowered.estimate, abs=1e-9)
    assert (beyond.p, beyond.outcome) == (pytest.approx(lowered.p), lowered.outcome)


def test_the_rule_tells_by_what_the_other_side_is_raised() -> None:
    """Whoever computes the units again has to raise the second side first; without a margin nothing is raised."""
    raised = templates("novice", (30, 31, 32, 33)) > 1.1 * templates("expert", (10, 11, 12, 13)) + 2
    assert raised.rule.endswith(". Before all this the second side's values are taken times 1.1 and plus 2.0")
    plain = templates("novice", (30, 31, 32, 33)) > templates("expert", (10, 11, 12, 13))
    assert "are taken times" not in plain.rule
