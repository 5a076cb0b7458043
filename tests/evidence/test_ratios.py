"""Ratios of two means: beside numbers, and beside what a source prints of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from grids import grid, summary
from scipy.stats import t, ttest_1samp

from saeprobe.claims import Claim, NotRun, Over, published
from saeprobe.evidence import Recorder, recording
from saeprobe.evidence.compare import each_holds
from saeprobe.evidence.ratios import ratio
from saeprobe.evidence.values import Measurement
from saeprobe.features import RecordedRun
from saeprobe.verdicts import decide

MORE, LESS = [115.0, 119, 116, 120, 113, 118], [101.0, 98, 103, 99, 97, 102]
"""Their means are 116.833 and 100: a ratio of 1.168."""


def worded(style: str, means: list[float], *, wording: str | None = None) -> Measurement:
    """A wording with each of these means, on the same two topics."""
    return grid(style, [[mean - 1, mean + 1] for mean in means], wording=wording)


def two(a: list[float] = MORE, b: list[float] = LESS) -> tuple[Measurement, Measurement]:
    """Two styles with these means of their wordings."""
    return worded("novice", a), worded("expert", b)


def test_a_ratio_beside_a_number_is_a_margin() -> None:
    """Above 1.1 is `a > 1.1 * b`, and below 1.3 is `b > a / 1.3`: under the same test, and recorded once."""
    a, b = two()
    with recording(Recorder()) as recorder:
        above, below, contrary = ratio(a, b) > 1.1, ratio(a, b) < 1.3, ratio(a, b) > 1.3
    assert recorder.evidence == [above, below, contrary]
    assert (above.statement, above.p) == ("l0 of novice > 1.1 x l0 of expert", (a > 1.1 * b).p)
    assert [one.outcome for one in (above, below, contrary)] == ["supported", "supported", "refuted"]
    assert (ratio(a, b) > 1.1).outcome == "supported"


def test_the_interval_holds_what_the_test_does_not_reject() -> None:
    """At its two ends the p of `a` against r times `b` is alpha, and within them it is above it."""
    a, b = two()
    evidence = ratio(a, b) == published("+17 %")
    assert evidence.estimate == pytest.approx(np.mean(MORE) / 100)
    low, high = evidence.interval or (0, 0)
    for end, inwards in ((low, 1 + 1e-6), (high, 1 - 1e-6)):
        outside, inside = ((a > end / inwards * b).p or 0), ((a > end * inwards * b).p or 0)
        assert outside < 0.05 <= inside
    assert (evidence.kind, evidence.unit, evidence.level, evidence.n_units) == ("published", "times", 0.95, (6, 6))
    assert evidence.statement == "l0 of novice / l0 of expert = 1.17 times"


def test_paired_units_are_divided_with_their_covariance() -> None:
    """Two arms on the same wordings move together: the signs of a - r b are flipped, as Fieller's set has them by t."""
    shared = np.array([60.0, 140, 90, 110, 75, 125])
    a, b = (worded("it", list(factor * shared + noise), wording="w") for factor, noise in ((1.2, 0.0), (1, 1.0)))
    noisy = replace(b, values=b.values + np.tile(np.repeat([-1.0, 2.0, -1.0], 2), 2))
    low, high = (ratio(replace(a, label="steered"), noisy) == published("+18 %")).interval or (0, 0)
    units = [np.array([side.values[2 * row : 2 * row + 2].mean() for row in range(6)]) for side in (a, noisy)]
    within = [r for r in np.arange(1.0, 1.4, 0.001) if ttest_1samp(units[0] - r * units[1], 0).pvalue >= 0.05]
    assert (low, high) == (pytest.approx(within[0], abs=0.02), pytest.approx(within[-1], abs=0.02))
    assert high - low < 0.1  # unpaired, wordings from 60 to 140 would leave it open by far


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("+17 %", "supported"),
        ("1.2", "supported"),
        ("1.16", "supported"),
        ("+30 %", "drifted"),
        ("-17 %", "drifted"),
        ("1.1", "inconclusive"),  # within the width, which would hold no difference as well
    ],
)
@pytest.mark.parametrize("theirs", [6, 3, 60])
def test_a_printed_ratio_lies_within_the_error_of_two_ratios_or_not(text: str, outcome: str, theirs: int) -> None:
    """On the scale of logarithms sqrt(1 + 6 / k) times half the interval, and what the printed one was rounded from."""
    a, b = two()
    numbers = published(text, wordings=theirs)
    evidence = ratio(a, b) == numbers
    assert evidence.outcome == outcome or theirs == 3
    low, high = np.log(evidence.interval or (1, 1))
    within = (high - low) / 2 * (1 + 6 / theirs) ** 0.5
    assert f"held to a factor of {np.exp(within):.3g}, with 6 units a mean here and {theirs} there" in evidence.reason
    ends = np.log([numbers.values["ratio"] + side * numbers.rounding("ratio") for side in (-1, 1)])
    apart = max(0.0, ends[0] - np.log(evidence.estimate or 1), np.log(evidence.estimate or 1) - ends[1])
    assert (apart > within) == (evidence.outcome == "drifted")
    too_wide = within + (ends[1] - ends[0]) / 2 > abs(np.log(numbers.values["ratio"])) / 2
    assert evidence.outcome == "drifted" or too_wide == (evidence.outcome == "inconclusive")


def test_a_printed_ratio_is_of_one_wording_where_its_source_says_nothing() -> None:
    """+25 % lies beyond what two means of 6 wordings differ by, and within what a single one may differ from six."""
    a, b = two()
    outcomes = [(ratio(a, b) == published("+25 %", wordings=k)).outcome for k in (None, 1, 6)]
    assert outcomes == ["supported", "supported", "drifted"]
    assert (ratio(a, b) == published("3.5")).outcome == "drifted"
    one = grid("novice", [MORE, MORE]), grid("expert", [LESS, LESS])
    with recording(Recorder(over=("topics",))):
        reason = (ratio(*one) == published("+17 %", n=12, wordings=4)).reason
    assert "with 6 units a mean here and 3 there" in reason


def test_a_moved_ratio_has_drifted() -> None:
    """The verdict is `drifted`, as it is on any other printed number, and passes by no skip after it."""
    claim = Claim(sentence="Novice has 3.5 times as many.", id="x", source="here")
    with recording(Recorder()) as recorder:
        assert (ratio(*two()) == published("3.5")).outcome == "drifted"
    for ended in (AssertionError(), NotRun("no weights")):
        verdict, _, _ = decide(claim, "sparrow", recorder.evidence, ended)
        assert (verdict.word, verdict.outcome) == ("drifted", "failed")
        assert "times, published 3.5" in verdict.reason
    parts = [*recorder.evidence, two()[0] > two()[1]]
    assert each_holds(parts).outcome == "drifted"


def test_a_ratio_to_nothing_is_beside_a_number_and_not_in_print() -> None:
    """Where the second side is zero throughout, above 1.5 times it is above zero, and there is no ratio to compare."""
    a, none = worded("novice", MORE), worded("expert", [0.0] * 6)
    none = replace(none, values=0 * none.values)
    assert (ratio(a, none) > 1.5).outcome == (a > 1.5 * none).outcome == "supported"
    evidence = ratio(a, none) == published("1.5")
    assert (evidence.outcome, evidence.estimate) == ("inconclusive", None)
    assert "not compared, since l0 of expert is zero throughout" in evidence.reason


def test_a_stated_tolerance_stands_in_the_place_of_the_error() -> None:
    """1.168 lies within 0.04 of 1.2, and not within 0.03."""
    a, b = two()
    outcomes = [(ratio(a, b) == published("1.20", tolerance=within)).outcome for within in (0.04, 0.03)]
    assert outcomes == ["supported", "drifted"]


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (MORE[:2], LESS[:2], "2 templates here give no sampling error; 3 would"),
        (MORE[:3], LESS[:3], "units so few or so far apart leave the ratio without an end"),
        (MORE, [1.0, 1, 1, 1, 1, 595], "units so few or so far apart leave the ratio without an end"),
        (MORE, [100.0] * 6, "6 templates here show no spread"),
    ],
)
def test_a_ratio_without_an_end_is_not_compared(a: list[float], b: list[float], why: str) -> None:
    """Few units reject nothing, and by its own t interval the second mean may be zero: nothing is said either way."""
    evidence = ratio(*two(a, b)) == published("+17 %")
    assert (evidence.outcome, evidence.interval) == ("inconclusive", None)
    assert why in evidence.reason
    spread = np.std(b, ddof=1) * t.ppf(0.975, len(b) - 1) / len(b) ** 0.5
    assert spread > np.mean(b) or len(b) < 4 or not spread


def test_one_wording_is_compared_where_the_claim_is_of_it_alone() -> None:
    """Another wording may have another ratio; over=('topics',) says that the printed one is of this wording."""
    a, b = grid("novice", [MORE]), grid("expert", [LESS])
    assert "1 templates here" in (ratio(a, b) == published("+17 %")).reason
    over: tuple[Over, ...] = ("topics",)
    with recording(Recorder(over=over)):
        evidence = ratio(a, b) == published("+17 %", n=6, wordings=1)
    assert (evidence.outcome, evidence.scope) == ("supported", "this wording only, over 6 topics")


def test_recorded_numbers_are_divided_where_they_are_the_printed_ones() -> None:
    """1.1707 rounds to 1.17 and not to 1.18; of other prompts, or of prompts nobody counts, nothing is decided."""
    run = RecordedRun(origin="run.json", n=50, language="zh")
    a, b = (replace(summary(style, mean, n=50), run=run) for style, mean in (("novice", 132.4), ("expert", 113.1)))
    numbers = published("+17 %", n=50, language="zh")
    assert (ratio(a, b) == numbers).outcome == "supported"
    assert (ratio(a, b) == published("+18 %", n=50, language="zh")).outcome == "refuted"
    assert (ratio(a, b) == published("+18 %")).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda a, _: ratio(a, 3.0), TypeError, "wanted two measurements"),
        (lambda a, b: ratio(a, replace(b, measure="mean activation")), TypeError, "compare like with like"),
        (lambda a, _: ratio(a, summary("expert", 3.0)), TypeError, "compare like with like"),
        (lambda a, b: ratio(replace(a, values=-a.values), b), ValueError, "wanted no value below zero"),
        (lambda a, b: ratio(a, b) == 1.17, TypeError, "wanted one printed ratio"),
        (lambda a, b: ratio(a, b) == published(x=1, y=2, unit="times"), TypeError, "wanted one printed ratio"),
        (lambda a, b: ratio(a, b) == published(x=1, unit="features"), TypeError, "wanted one printed ratio"),
        (lambda a, b: ratio(a, b) > 0, TypeError, "wanted a number above zero"),
        (lambda a, b: ratio(a, b) > "1", TypeError, "wanted a number above zero"),
        (lambda a, b: bool(ratio(a, b)), TypeError, "says nothing by itself"),
    ],
)
def test_what_is_no_ratio_is_refused(
    wrong: Callable[[Measurement, Measurement], object], error: type[Exception], says: str
) -> None:
    """Two values of one measure are divided, and the ratio is compared with a number or a printed ratio."""
    with pytest.raises(error, match=says):
        wrong(*two())
    with recording(Recorder(controls=("length",))), pytest.raises(TypeError, match="takes no controls"):
        _ = ratio(*two()) == published("+17 %")
