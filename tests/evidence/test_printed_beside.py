"""Printed tables beside each other: ratios, rank correlations, and means that repeat another table's counts."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from scipy.stats import binomtest, norm, spearmanr

from saeprobe.claims import published
from saeprobe.evidence import Recorder, recording
from saeprobe.evidence.printed_tables import AGREES, PrintedTable, distinct, printed, rank_correlation
from saeprobe.evidence.ratios import ratio

TABLE = printed(
    published(novice=137, standard=131, padding=126, guru=115, expert=114, spaces=99, unit="features", n=1),
    source="SAE Inspect, table 1",
)


def table(**values: float | str) -> PrintedTable:
    """A table of these numbers."""
    return printed(published(unit="activation", **values), source="table 2")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "said", "outcome"),
    [
        (369, 208, "1.77", "inconclusive"),  # 368.5 / 208.5 = 1.767 to 369.5 / 207.5 = 1.781, and 1.765 to 1.775
        (369, 208, "1.76", "refuted"),  # up to 1.765
        (369, 208, "1.80", "refuted"),  # from 1.795
        (369, 208, "1.8", "inconclusive"),  # from 1.75
        ("0.279", "0.274", "1.022", "inconclusive"),  # 0.2795 / 0.2735 = 1.0219, and 1.0215
        ("0.279", "0.274", "1.025", "refuted"),  # from 1.0245
        ("129.1", "100.6", "1.28", "inconclusive"),
        ("129.1", "100.6", "1.29", "refuted"),  # 129.15 / 100.55 = 1.2844, and 1.285
    ],
)
def test_a_ratio_carries_what_both_numbers_were_rounded_from(
    a: float | str, b: float | str, said: str, outcome: str
) -> None:
    """It contradicts a printed ratio only where no numbers that round to both could have it."""
    numbers = table(a=a, b=b)
    evidence = ratio(numbers["a"], numbers["b"]) == published(ratio=said, unit="times")
    assert (evidence.kind, evidence.outcome, evidence.unit) == ("printed", outcome, "times")
    assert evidence.statement == "a / b = ratio as printed in table 2"


def test_a_ratio_of_counts_is_what_it_is() -> None:
    """369 / 208 is 1.7740: not 1.7751, which the rounding of two measured numbers would allow."""
    counts = printed(published(a=369, b=208, unit="features"), source="table 2", exact=True)
    of = ratio(counts["a"], counts["b"])
    assert (of.name, of.printed, of.between) == ("a / b in table 2", "1.774", (Decimal(369) / 208,) * 2)
    assert (of > 1.7751).outcome == "refuted"
    assert (ratio(table(a=369)["a"], table(b=208)["b"]) > 1.7751).outcome == "inconclusive"
    assert (of == published(ratio=1.77, unit="times")).reason == (
        f"a / b = 1.774 and ratio = 1.77, 0.004 apart: {AGREES}"
    )


def test_a_ratio_is_of_two_numbers_above_zero_of_one_table() -> None:
    """A number that may be 0 divides nothing, and features divide no activation; one ratio is printed at a time."""
    numbers = table(a=3, b=0, c="0.4", d=-1)
    for one, other in (("a", "b"), ("d", "a"), ("b", "a")):
        with pytest.raises(ValueError, match="wanted two numbers above zero"):
            ratio(numbers[one], numbers[other])
    with pytest.raises(TypeError, match="compare within one table"):
        ratio(numbers["a"], TABLE["novice"])
    with pytest.raises(TypeError, match=r"== published\(a, b\); wanted one number"):
        _ = ratio(numbers["a"], numbers["c"]) == published(a=1, b=2, unit="times")
    with pytest.raises(TypeError, match="cannot be compared with"):
        _ = ratio(numbers["a"], numbers["c"]) == published(a=1, unit="percent")


def columns(a: list[float], b: list[float]) -> tuple[PrintedTable, PrintedTable]:
    """Two tables over the same labels."""
    return tuple(
        printed(published(unit=unit, **{f"p{row}": value for row, value in enumerate(of)}), source=unit)  # type: ignore[arg-type]
        for unit, of in (("features", a), ("dimensions", b))
    )


FALLING = [142.8, 129.6, 129.1, 118.9, 117.8, 113.3, 111.6, 110.8, 109.5, 103.3, 101.4, 100.6]
MIXED = [16.3, 15.6, 18.1, 15.3, 18.6, 8.6, 17.1, 13.1, 16.0, 15.6, 13.0, 17.9]


@pytest.mark.parametrize(
    ("b", "bounds", "outcome"),
    [
        (MIXED, {"above": -0.5, "below": 0.5}, "inconclusive"),  # 12 labels reach too far to both sides
        (MIXED, {"above": 0.9}, "refuted"),
        (MIXED, {"above": 0}, "inconclusive"),
        (MIXED, {"below": 0.9}, "supported"),
        (FALLING, {"above": 0.5}, "supported"),
        (FALLING, {"below": 0.5}, "refuted"),
        (FALLING[::-1], {"below": 0}, "supported"),
        (FALLING[::-1], {"above": -0.5, "below": 0.5}, "refuted"),
    ],
)
def test_ranks_of_two_tables_are_correlated(b: list[float], bounds: dict[str, float], outcome: str) -> None:
    """Spearman's rho is scipy's, ties and all; its interval is Bonett & Wright's at 95 %, within two bounds at 90 %."""
    level = 0.9 if len(bounds) == 2 else 0.95
    with recording(Recorder()) as recorder:
        evidence = rank_correlation(*columns(FALLING, b), **bounds)
    assert recorder.evidence == [evidence]
    rho = spearmanr(FALLING, b).statistic
    assert evidence.estimate == pytest.approx(rho, abs=1e-8)
    assert (evidence.kind, evidence.outcome, evidence.unit, evidence.level) == (
        "printed",
        outcome,
        "Spearman's rho",
        pytest.approx(level),
    )
    reach = norm.ppf((1 + level) / 2) * ((1 + rho**2 / 2) / 9) ** 0.5
    ends = np.tanh(np.arctanh(evidence.estimate) + np.array([-reach, reach]))
    assert evidence.interval == pytest.approx(ends, rel=1e-6)
    z, scale = np.arctanh(evidence.estimate), ((1 + rho**2 / 2) / 9) ** 0.5
    tails = {"above": norm.sf, "below": norm.cdf}
    assert evidence.p == pytest.approx(max(tails[side]((z - np.arctanh(at)) / scale) for side, at in bounds.items()))
    assert (len(evidence.samples), evidence.alpha) == (24, 0.05)
    assert f"over 12 labels, {level:.0%} interval [" in evidence.reason
    assert any(line.startswith("rank correlation ") for line in evidence.lines())


@pytest.mark.parametrize(("alpha", "outcome"), [(0.05, "inconclusive"), (0.1, "supported")])
def test_a_rank_correlation_beyond_one_bound_has_half_of_alpha(alpha: float, outcome: str) -> None:
    """Of 12 labels rho = 0.587 lies 1.87 standard errors above 0: more than 1.64, and less than 1.96."""
    order, labels = [7.0, 0, 1, 4, 2, 6, 10, 5, 9, 3, 8, 11], [float(row) for row in range(12)]
    rho = spearmanr(labels, order).statistic
    assert 1.64 < np.arctanh(rho) / ((1 + rho**2 / 2) / 9) ** 0.5 < 1.96
    with recording(Recorder(alpha=alpha)):
        assert rank_correlation(*columns(labels, order), above=0).outcome == outcome
        assert rank_correlation(*columns(labels, order), below=0).outcome != "supported"


def test_a_rank_correlation_needs_ranks_and_a_bound() -> None:
    """Nine labels, or a column without ranks, have no interval; without a bound nothing is said."""
    with pytest.raises(ValueError, match="over 9 labels; wanted 10 or more, which differ in both"):
        rank_correlation(*columns(FALLING[:9], MIXED[:9]), above=0)
    with pytest.raises(ValueError, match="wanted 10 or more"):
        rank_correlation(*columns(FALLING, [1.0] * 12), above=0)
    for bounds in ({}, {"above": 0.5, "below": 0.5}, {"above": -2}, {"above": float("nan")}):
        with pytest.raises(ValueError, match=r"wanted above=0\.5, below=-0\.5 or a range"):
            rank_correlation(*columns(FALLING, MIXED), **bounds)
    with recording(Recorder(controls=("length",))), pytest.raises(TypeError, match="takes no controls"):
        rank_correlation(*columns(FALLING, MIXED), above=0)


@pytest.mark.parametrize(
    ("means", "same", "outcome"),
    [
        (("132.4", "112.4", "126.0", "115.0", "113.1", "99.0"), 3, "refuted"),
        (("132.4", "131.0", "126.0", "115.3", "113.1", "99.1"), 2, "inconclusive"),
        (("137.0", "131.0", "126.1"), 2, "inconclusive"),  # p = 0.028 is not below alpha / 2
        (("132.4", "131.2", "126.1", "115.3", "113.1", "99.1"), 0, "inconclusive"),
        (("137.00", "131.00", "126.1", "115.3", "113.1", "99.1"), 2, "inconclusive"),  # one decimal bounds them all
        (("137.00", "131.00", "126.10", "115.30", "113.10", "99.10"), 2, "refuted"),
    ],
)
def test_means_that_repeat_the_counts_of_one_topic_are_no_means(
    means: tuple[str, ...], same: int, outcome: str
) -> None:
    """Each more decimal is a zero one time in ten: three of six have p = 0.016, two of six with two decimals 0.0015."""
    of = published(**dict(zip(TABLE.numbers.values, means, strict=False)), unit="features")  # type: ignore[arg-type]
    with recording(Recorder()) as recorder:
        evidence = distinct(printed(of, source="3.1"), TABLE)
    assert recorder.evidence == [evidence]
    chance = 0.01 if all(mean[-3] == "." for mean in means) else 0.1
    assert evidence.p == pytest.approx(binomtest(same, len(means), chance, alternative="greater").pvalue)
    assert (evidence.kind, evidence.outcome, evidence.scope) == ("printed", outcome, "the printed table alone")
    assert evidence.reason.startswith(f"{same} of {len(means)} numbers are those of SAE Inspect, table 1")
    assert evidence.statement == "the numbers of 3.1 are not those of SAE Inspect, table 1"


def test_what_has_no_more_decimals_may_repeat_by_chance() -> None:
    """Counts beside counts, and tables without a label in common, say nothing of each other."""
    for other in (TABLE, table(other=1)):
        with pytest.raises(ValueError, match="wanted the same labels, and more decimals in the first"):
            distinct(TABLE, other)
    with recording(Recorder(controls=("labels",))), pytest.raises(TypeError, match="takes no controls"):
        distinct(table(novice="1.0"), TABLE)
