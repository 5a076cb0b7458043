"""Published numbers where several orders are told, where none is measured, and where a number lies at its tolerance."""

from __future__ import annotations

import pytest
from test_published import claimed, decided, found, sample

from saeprobe.claims import published
from saeprobe.verdicts import compare_published, decide

TOP = sample("standard", 24.72, interval=(14.72, 34.72))
BELOW = (sample("expert", 15.22, interval=(4.22, 26.22)), sample("novice", 14.72, interval=(4.72, 24.72)))
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


def test_differences_within_wide_tolerances_are_told_one_after_another() -> None:
    """Each pair that agrees only because its tolerances reach across it."""
    numbers = published(standard="20.0", expert="19.0", novice="18.0", unit="features")
    verdict, _, _ = decide(claimed(numbers), "sparrow", PAIRS, None)
    assert verdict.reason == (
        "told supported; told supported; 3 of 3 published values agree, only within tolerances wider than the "
        "published difference: standard and expert are published 1 features apart and held to ± 10.1 and ± 11.1; "
        "standard and novice are published 2 features apart and held to ± 10.1 and ± 10.1"
    )


def test_nothing_is_counted_where_no_published_number_was_measured() -> None:
    """A refutation without a measured number says nothing of agreement, rather than 0 of 0."""
    verdict = decided(found(outcome="refuted"), published(novice=132.4, unit="features"))
    assert verdict.reason == "told refuted"


def test_the_rows_of_the_subject_stand_beside_the_verdict() -> None:
    """What is published for this subject comes back with its verdict, for the report to show."""
    numbers, evidence = published(novice=132.4, unit="features"), [found(sample("novice", 132.44))]
    _, rows, approved = decide(claimed(numbers), "sparrow", evidence, None)
    assert [(row.label, row.value, row.measured, row.agrees) for row in rows] == [("novice", 132.4, 132.44, True)]
    assert rows == compare_published(numbers, evidence)
    assert approved is None


@pytest.mark.parametrize(("measured", "agrees"), [(0.5, True), (-0.5, True), (0.5000001, False)])
def test_a_number_at_its_tolerance_agrees(measured: float, *, agrees: bool) -> None:
    """Zero within a half: what lies a half away still agrees."""
    (row,) = compare_published(published(novice=0, unit="features", tolerance=0.5), [found(sample("novice", measured))])
    assert row.agrees is agrees
