"""Published numbers where several orders are told, where none is measured, and where a number lies at its tolerance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_published import claimed, decided, found, sample

from saeprobe.claims import published
from saeprobe.evidence import Spread
from saeprobe.features import RecordedRun
from saeprobe.verdicts import decide, held_by

TOP = sample("standard", 24.72, half=10.0)
BELOW = (sample("expert", 15.22, half=11.0), sample("novice", 14.72, half=10.0))
PAIRS = [found(TOP, one) for one in BELOW]


def test_orders_that_are_turned_are_told_one_after_another() -> None:
    """Two numbers are measured below the standard one, and are printed above it."""
    numbers = published(standard="18.0", expert="22.0", novice="21.0", unit="features")
    verdict, _, _ = decide(claimed(numbers), "sparrow", PAIRS, None)
    assert verdict.reason == (
        "the sentence holds, but its numbers are published in the reverse order: standard lies 9.5 features above "
        "expert here, and is published 4 below it; standard lies 10 features above novice here, and is published 3 "
        "below it"
    )


def test_nothing_is_counted_where_no_published_number_was_measured() -> None:
    """A refutation without a measured number says nothing of agreement, rather than 0 of 0."""
    verdict = decided(found(outcome="refuted"), published(novice=132.4, unit="features"))
    assert verdict.reason == "told refuted"


def test_the_rows_of_the_subject_stand_beside_the_verdict() -> None:
    """What is published for this subject comes back with its verdict, for the report to show."""
    numbers, evidence = published(novice=132.4, unit="features"), [found(sample("novice", 132.44))]
    _, rows, approved = decide(claimed(numbers), "sparrow", evidence, None)
    assert [(row.label, row.value, row.measured, row.answer) for row in rows] == [("novice", 132.4, 132.44, "agrees")]
    assert rows == held_by(numbers, evidence).compared
    assert approved is None


@pytest.mark.parametrize(("measured", "agrees"), [(0.5, True), (-0.5, True), (0.5000001, False)])
def test_a_number_at_its_tolerance_agrees(measured: float, *, agrees: bool) -> None:
    """Zero within a half: what lies a half away still agrees."""
    (row,) = held_by(published(novice=0, unit="features", tolerance=0.5), [found(sample("novice", measured))]).compared
    assert (row.answer == "agrees") is agrees


# the tolerance


@pytest.mark.parametrize(("printed", "answer"), [(134.0, "agrees"), (128.0, "agrees"), (136, "drifted")])
@pytest.mark.parametrize("wordings", [None, 1, 8])
@pytest.mark.parametrize("n", [None, 50])
def test_the_sampling_error_is_that_of_two_means_of_wordings(
    printed: float, answer: str, wordings: int | None, n: int | None
) -> None:
    """4 wordings of SD 2 beside k have t(0.975, 3) 2 sqrt(1 / 4 + 1 / k); how many prompts there are says nothing."""
    of = replace(sample("novice", 131.0), spreads=(Spread(units="templates", n=4, deviation=2.0),))
    numbers = published(novice=printed, unit="features", n=n, wordings=wordings)
    (row,) = held_by(numbers, [found(of)]).compared
    half = 3.182446 * 2 * (1 / 4 + 1 / (wordings or 1)) ** 0.5  # 7.12 or 3.90
    assert (row.rounding, row.reach) == (0.5, None)
    assert row.sampling == pytest.approx(half, rel=1e-6)
    assert row.tolerance == pytest.approx(half + 0.5, rel=1e-6)
    assert row.answer == ("agrees" if wordings != 8 or abs(printed - 131) < 4 else answer)
    assert row.tolerance_from == (
        f"printed precision 0.5 + sampling error {half:.3g}: t(0.975, 3) x 2 x sqrt(1 / 4 + 1 / {wordings or 1}) over "
        f"4 templates here and {wordings or 1} there"
    )


def test_topics_count_where_the_claim_is_of_its_wordings_alone() -> None:
    """50 prompts are 50 topics once they are known to have one wording; both sorts of units add their squares."""
    topics = Spread(units="topics", n=8, deviation=2.0)
    for wordings, theirs in ((1, 50), (5, 10), (None, 1)):
        numbers = published(novice=131, unit="features", n=50, wordings=wordings)
        (row,) = held_by(numbers, [found(replace(sample("novice", 131.0), spreads=(topics,)))]).compared
        assert row.sampling == pytest.approx(2.364624 * 2 * (1 / 8 + 1 / theirs) ** 0.5, rel=1e-6)
    both = (Spread(units="templates", n=4, deviation=2.0), topics)
    (row,) = held_by(
        published(novice=131, unit="features"), [found(replace(sample("novice", 131.0), spreads=both))]
    ).compared
    assert row.sampling == pytest.approx(((3.182446**2 * 1.25 + 2.364624**2 * 1.125) * 4) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("spread", "why"),
    [
        (None, "one number for all prompts has no units, from which its sampling error could be had"),
        ((1, 0.0), "1 templates here give no sampling error; 3 would"),
        ((2, 3.0), "2 templates here give no sampling error; 3 would"),
        ((8, 0.0), "8 templates here show no spread, from which a sampling error could be had"),
    ],
)
@pytest.mark.parametrize("printed", [140, 131, "131.00"])
def test_without_a_sampling_error_nothing_has_moved(
    spread: tuple[int, float] | None, why: str, printed: float | str
) -> None:
    """The two numbers stand beside each other, near or far, and the sentence is as supported as before."""
    spreads = () if spread is None else (Spread(units="templates", n=spread[0], deviation=spread[1]),)
    of, numbers = replace(sample("novice", 131.0), spreads=spreads), published(novice=printed, unit="features")
    (row,) = held_by(numbers, [found(of)]).compared
    assert (row.answer, row.tolerance, row.rounding, row.sampling) == ("cannot be compared", None, None, None)
    assert row.tolerance_from == why
    verdict = decided(found(of), numbers)
    assert verdict.word == "supported"
    assert verdict.reason == f"told supported; not compared: novice 131, published {float(printed):g} features ({why})"


@pytest.mark.parametrize(("apart", "answer"), [(0.0, "agrees"), (0.04, "agrees"), (0.06, "drifted")])
def test_what_is_recorded_of_the_same_prompts_is_a_reading(apart: float, answer: str) -> None:
    """Rounding alone decides it: the numbers of a run whose number of prompts is printed are not another draw."""
    run = RecordedRun(origin="run.json", n=50, language="zh")
    of = replace(sample("novice", 132.4 + apart, half=None), run=run)
    (row,) = held_by(published(novice=132.4, unit="features", n=50, language="zh"), [found(of)]).compared
    assert (row.answer, row.tolerance, row.sampling) == (answer, 0.05, 0.0)
    (row,) = held_by(published(novice=132.4, unit="features"), [found(of)]).compared
    assert row.answer == "cannot be compared"  # nobody says of how many prompts the printed one is


def test_a_tolerance_of_the_claim_goes_before() -> None:
    """With a tolerance of 2 set by the claim neither precision nor sampling count; what they make stands beside it."""
    of = sample("novice", 131.0, half=30.0)
    for printed, answer in ((133.0, "agrees"), (129.0, "agrees"), (133.1, "drifted"), (128.9, "drifted")):
        numbers = published(novice=printed, unit="features", tolerance=2.0)
        (row,) = held_by(numbers, [found(of)]).compared
        assert (row.tolerance, row.answer, row.rounding, row.sampling) == (2.0, answer, None, None)
        assert row.tolerance_from.startswith("set by the claim; else ± 30")
    (row,) = held_by(published(novice=133, unit="features", tolerance=2.0), [found(replace(of, spreads=()))]).compared
    assert row.tolerance_from.startswith("set by the claim; one number for all prompts has no units")


def test_the_edge_of_the_tolerance_survives_binary_fractions() -> None:
    """132.35 lies 0.05 below 132.4, and as floating point numbers a little more: it agrees."""
    assert 132.4 - 132.35 > 0.05
    edge = found(sample("novice", 132.35))
    (row,) = held_by(published(novice=132.4, unit="features", tolerance=0.05), [edge]).compared
    assert row.answer == "agrees"


def test_a_count_is_held_against_one_of_as_many_wordings() -> None:
    """24 of 32 prompts in 4 wordings: theirs in 3 of them is held against what 3 of ours are expected to show."""
    of = replace(sample("novice", 40.0, half=None), n=32, rarefied=((12.0, 2.0), (22.0, 2.5), (31.5, 2.0), (40.0, 3.0)))
    for printed, n, wordings, answer in (
        (31, 24, 3, "agrees"),
        (40, 24, 3, "drifted"),  # t(0.975, 6) 2 sqrt(1 + 4 / 3) = 7.475 and 0.5 from 31.5
        (50, 32, 4, "agrees"),  # t(0.975, 6) 3 sqrt(2) = 10.38
        (52, 32, 4, "drifted"),
        (40, 40, 5, "cannot be compared"),
        (40, 50, 4, "cannot be compared"),
        (40, None, 4, "cannot be compared"),
        (40, 32, None, "cannot be compared"),
    ):
        (row,) = held_by(published(novice=printed, unit="features", n=n, wordings=wordings), [found(of)]).compared
        assert row.answer == answer
        assert row.measured == (31.5 if wordings == 3 else 40.0)
    (row, *_) = held_by(published(novice=31, unit="features", n=24, wordings=3), [found(of)]).compared
    assert row.tolerance_from.endswith(
        " + sampling error 7.48: t(0.975, 6) x jackknife error 2 x sqrt(1 + 4 / 3) of a count over 3 wordings of 4 here"
    )
    few = replace(of, rarefied=of.rarefied[:3], n=24)
    (row,) = held_by(published(novice=40, unit="features", n=24, wordings=3), [found(few)]).compared
    assert row.tolerance_from == "a count over 3 wordings takes 4 or more here, and there are 3"


def test_a_count_that_would_hold_either_of_two_is_not_compared() -> None:
    """Within 0.5 + 2.306 x 5 x sqrt(1 + 5 / 4) lies more than half of 25 - 3; a count without spread has no error."""
    counted = [
        replace(sample(label, mean), n=30, spreads=(), rarefied=((mean, error),) * 5)
        for label, mean, error in (("novice", 20.0, 5.0), ("expert", 3.0, 0.0))
    ]
    numbers = published(novice=25, expert=3, n=24, wordings=4, unit="features")
    novice, expert = held_by(numbers, [found(*counted)]).compared
    assert (novice.answer, novice.tolerance) == ("cannot be compared", pytest.approx(0.5 + 2.3060041 * 7.5))
    assert "would hold either of novice and expert" in novice.tolerance_from
    assert (expert.answer, expert.tolerance) == ("cannot be compared", None)
    assert "show no spread" in expert.tolerance_from


def test_what_two_comparisons_share_of_a_scope_is_said_once() -> None:
    """Both were picked on the same prompts."""
    numbers = published(standard="24.72", expert="15.22", novice="14.72", unit="features")
    pieces = [
        replace(one, scope=f"{own}; picked there") for one, own in zip(PAIRS, ("these 4", "those 5"), strict=True)
    ]
    verdict, _, _ = decide(claimed(numbers), "sparrow", pieces, None)
    assert verdict.scope == "these 4; picked there; those 5"
