"""Published numbers beside measured ones: which measurement answers for which, and how far they may lie apart."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from saeprobe.claims import Claim, NonReproduction, Published, Verdict, drifted, published
from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Sample
from saeprobe.verdicts import compare_published, decide


def claimed(numbers: Published | None = None, known: NonReproduction | None = None) -> Claim:
    """A claim with these published numbers and this declaration for sparrow."""
    return Claim(
        sentence="Novice activates more.",
        id="x",
        source="here",
        published={} if numbers is None else {"sparrow": numbers},
        not_reproduced={} if known is None else {"sparrow": known},
    )


def found(*samples: Sample, outcome: EvidenceOutcome = "supported", parts: tuple[Evidence, ...] = ()) -> Evidence:
    """A piece of evidence with this outcome, whose reason is its outcome."""
    return Evidence(
        kind="every" if parts else "greater",
        statement="a > b",
        outcome=outcome,
        reason=f"told {outcome}",
        scope="these templates",
        unit="features",
        samples=samples,
        parts=parts,
    )


def sample(
    label: str,
    mean: float,
    *,
    interval: tuple[float, float] | None = None,
    unit: str = "features",
    n: int | None = 8,
    measure: str = "l0",
) -> Sample:
    """The mean of one style."""
    return Sample(label=label, measure=measure, unit=unit, mean=mean, n=n, interval=interval)


def decided(evidence: Evidence, numbers: Published | None = None) -> Verdict:
    """The verdict on given evidence and published numbers."""
    return decide(claimed(numbers), "sparrow", [evidence], None if evidence else AssertionError())[0]


# what it does to the verdict


def test_a_published_number_within_printed_precision_agrees() -> None:
    """132.44 rounds to the printed 132.4; the reason counts the agreeing numbers."""
    evidence = found(sample("novice", 132.44), sample("expert", 113.06))
    verdict = decided(evidence, published(novice=132.4, expert=113.1, unit="features"))
    assert verdict.word == "supported"
    assert verdict.reason == "told supported; 2 of 2 published values agree"


def test_a_number_that_moved_is_drifted() -> None:
    """140 is not 132.4 ± 0.05: the sentence holds, the number does not, and the probe fails."""
    evidence = found(sample("novice", 140.0), sample("expert", 113.1))
    verdict = decided(evidence, published(novice=132.4, expert=113.1, unit="features"))
    assert (verdict.word, verdict.outcome, verdict.scope) == ("drifted", "failed", "these templates")
    assert verdict.reason == (
        "the sentence holds, but its numbers have moved: novice is 140 features, published 132.4 ± 0.05"
    )


def test_several_numbers_that_moved_are_all_told() -> None:
    """Each with its own tolerance, in the order in which they are stated."""
    evidence = found(sample("expert", 100.0), sample("novice", 140.0))
    verdict = decided(evidence, published(novice=132.4, expert=113, unit="features"))
    assert verdict.reason.endswith(
        "novice is 140 features, published 132.4 ± 0.05; expert is 100 features, published 113 ± 0.5"
    )


@pytest.mark.parametrize("measured", [(), (sample("expert", 132.4),), (sample("novice", 132.4, unit="activation"),)])
def test_published_values_that_were_never_measured_break_the_probe(measured: tuple[Sample, ...]) -> None:
    """A printed number nobody measured, or measured in another unit, cannot be passed over."""
    verdict = decided(found(*measured), published(novice=132.4, unit="features"))
    assert verdict.word == "broken"
    assert verdict.reason == "published values were never measured: novice in features"


def test_every_value_that_was_never_measured_is_named() -> None:
    """Those that were are not."""
    verdict = decided(found(sample("novice", 132.4)), published(a=1, novice=132.4, b=2, unit="features"))
    assert verdict.reason == "published values were never measured: a, b in features"


def test_refuted_evidence_stays_refuted_beside_agreeing_numbers() -> None:
    """Agreement of the numbers is told, and saves nothing; nor does a missing number hide the refutation."""
    evidence = found(sample("novice", 132.4), outcome="refuted")
    verdict = decided(evidence, published(novice=132.4, unit="features"))
    assert (verdict.word, verdict.reason) == ("refuted", "told refuted; 1 of 1 published values agree")
    assert decided(found(outcome="refuted"), published(novice=132.4, unit="features")).word == "refuted"


def test_numbers_that_differ_are_counted_beside_open_evidence() -> None:
    """The count is of those that agree."""
    evidence = found(sample("novice", 140.0), sample("expert", 113.1), outcome="inconclusive")
    verdict = decided(evidence, published(novice=132.4, expert=113.1, unit="features"))
    assert (verdict.word, verdict.reason) == ("inconclusive", "told inconclusive; 1 of 2 published values agree")


def test_numbers_published_for_another_subject_are_not_looked_at() -> None:
    """What was printed of one model says nothing of another."""
    claim = claimed(published(novice=132.4, unit="features"))
    verdict, rows, approved = decide(claim, "finch", [found()], None)
    assert (verdict.word, rows, approved) == ("supported", (), None)


def test_a_declared_drift_is_xfailed() -> None:
    """The number is known to have moved."""
    claim = claimed(published(novice=132.4, unit="features"), drifted("another SAE"))
    verdict, _, _ = decide(claim, "sparrow", [found(sample("novice", 140.0))], None)
    assert (verdict.word, verdict.outcome, verdict.declared) == ("drifted", "xfailed", "another SAE")


# which measurement answers for a number


def test_the_first_sample_of_a_label_and_unit_answers() -> None:
    """Of two the first; one in another unit is passed over."""
    evidence = [
        found(sample("novice", 1.0, unit="activation"), sample("novice", 132.4)),
        found(sample("novice", 99.0)),
    ]
    (row,) = compare_published(published(novice=132.4, unit="features"), evidence)
    assert (row.label, row.value, row.unit, row.measured) == ("novice", 132.4, "features", 132.4)


def test_published_numbers_are_found_in_the_parts() -> None:
    """The samples of an `every(...)` count, at any depth."""
    part = found(sample("novice", 132.4))
    for whole in (found(parts=(part,)), found(parts=(found(parts=(found(), part)),))):
        assert decided(whole, published(novice=132.4, unit="features")).word == "supported"


def by_two(*, first: str, second: str) -> Evidence:
    """Two comparisons of the same prompts in one unit."""
    peak = [sample(label, mean, unit="activation", measure=first) for label, mean in (("novice", 6.316), ("expert", 1))]
    means = [
        sample(label, mean, unit="activation", measure=second) for label, mean in (("novice", 1.38), ("expert", 1))
    ]
    return found(parts=(found(*peak), found(*means)))


def test_a_number_that_could_be_of_two_measures_breaks_the_probe() -> None:
    """1.38 is no longer held against the highest activation, 6.316, because that was asserted first."""
    evidence = by_two(first="max activation", second="mean activation")
    numbers = published(novice=1.38, expert=1.0, unit="activation")
    verdict = decided(evidence, numbers)
    assert (verdict.word, verdict.scope) == ("broken", "these templates")
    assert verdict.reason == (
        "published values may be of several measures: novice, expert in activation, by max activation and by mean "
        "activation; state which, as in published(novice=..., unit='activation', measure='max activation')"
    )
    assert compare_published(numbers, [evidence]) == ()


@pytest.mark.parametrize(
    ("measure", "word"), [("mean activation", "supported"), ("max activation", "drifted"), ("l0", "broken")]
)
def test_a_stated_measure_is_the_one_that_answers(measure: str, word: str) -> None:
    """In whatever order the two are asserted; what is stated and not measured breaks the probe."""
    numbers = published(novice=1.38, unit="activation", measure=measure)
    for order in (("max activation", "mean activation"), ("mean activation", "max activation")):
        means = {"max activation": 6.316, "mean activation": 1.38}
        parts = [found(sample("novice", means[one], unit="activation", measure=one)) for one in order]
        assert decided(found(parts=tuple(parts)), numbers).word == word


def test_a_misspelt_measure_is_told() -> None:
    """What was measured lies near."""
    numbers = published(novice=1.38, unit="activation", measure="mean activations")
    evidence = by_two(first="max activation", second="mean activation")
    assert decided(evidence, numbers).reason == (
        "published values were never measured: novice in activation by 'mean activations', did you mean 'mean "
        "activation'?"
    )


def test_nothing_published_gives_no_rows() -> None:
    """Then nothing is compared."""
    assert compare_published(None, [found(sample("novice", 1.0))]) == ()


# the order in which the numbers are printed

WIDE = (sample("standard", 24.72, interval=(17.72, 31.72)), sample("expert", 15.22, interval=(4.22, 26.22)))
"""Measured 9.5 apart, and told apart by the probe, though the two intervals meet."""


@pytest.mark.parametrize("n", [50, 5])
@pytest.mark.parametrize("sides", [WIDE, WIDE[::-1]], ids=["standard-first", "expert-first"])
def test_numbers_that_are_printed_the_other_way_round_are_drifted(n: int, sides: tuple[Sample, Sample]) -> None:
    """18 and 26 lie within their wide tolerances of 24.72 and 15.22, and say the opposite of what was found."""
    verdict = decided(found(*sides), published(standard=18.0, expert="26.0", unit="features", n=n))
    assert (verdict.word, verdict.outcome, verdict.scope) == ("drifted", "failed", "these templates")
    assert verdict.reason == (
        "the sentence holds, but its numbers are published in the reverse order: standard lies 9.5 features above "
        "expert here, and is published 8 below it"
    )


def test_neither_of_two_numbers_in_reverse_order_agrees() -> None:
    """In the rows of a report, and beside a refutation; a third number is not touched by it."""
    third = sample("guru", 30.0)
    numbers = published(standard=18, expert=26, guru=30, unit="features", n=50)
    rows = compare_published(numbers, [found(*WIDE), found(third)])
    assert [(row.label, row.agrees) for row in rows] == [("standard", False), ("expert", False), ("guru", True)]
    assert all(abs(row.measured - row.value) < row.tolerance for row in rows)
    words: tuple[EvidenceOutcome, ...] = ("refuted", "explained")
    for word in words:
        verdict = decided(found(*WIDE, outcome=word), published(standard=18, expert=26, unit="features", n=50))
        assert verdict.reason == f"told {word}; 0 of 2 published values agree"


def test_a_number_that_moved_as_well_is_told_beside_the_order() -> None:
    """Both faults of the numbers stand in one reason; the one that is near still agrees, since the other moved."""
    numbers = published(standard=18, expert=99, unit="features")
    assert [row.agrees for row in compare_published(numbers, [found(*WIDE)])] == [True, False]
    verdict = decided(found(*WIDE), numbers)
    assert verdict.reason == (
        "the sentence holds, but its numbers have moved: expert is 15.22 features, published 99 ± 11.5; and its "
        "numbers are published in the reverse order: standard lies 9.5 features above expert here, and is published 81 "
        "below it"
    )


@pytest.mark.parametrize(
    ("standard", "expert", "turned"),
    [
        ("18.0", "18.1", True),  # rounding keeps the order of what it rounds
        ("18.0", "18.0", False),
        (18, "18.3", False),  # 18 may have been 18.4
        (18, "18.6", True),
    ],
)
def test_what_rounding_may_have_turned_is_not_in_reverse_order(
    standard: float | str, expert: float | str, *, turned: bool
) -> None:
    """Printed at one precision any difference counts, else one that is more than both were rounded by."""
    rows = compare_published(published(standard=standard, expert=expert, unit="features"), [found(*WIDE)])
    assert [row.agrees for row in rows] == [not turned, not turned]


@pytest.mark.parametrize(
    "evidence",
    [
        found(*WIDE, outcome="inconclusive"),
        replace(found(*WIDE, outcome="refuted"), kind="at least", margin=20.0),
        replace(found(*WIDE), kind="at least", margin=-3.0),
        replace(found(*WIDE), kind="about equal"),
        found(WIDE[0], sample("expert", 12.0)),
        found(WIDE[0]),
    ],
    ids=["open", "short-of-margin", "less-than-all-of-it", "equal", "other-prompts", "one-side"],
)
def test_an_order_counts_where_the_probe_found_it(evidence: Evidence) -> None:
    """Not one of chance, nor one that the comparison does not state, nor one of other prompts of that label."""
    open_at_first = found(*WIDE, outcome="inconclusive")
    rows = compare_published(published(standard=18, expert=26, unit="features"), [open_at_first, evidence])
    assert [row.agrees for row in rows] == [True, True]


def test_orders_are_found_in_parts_and_beyond_a_margin() -> None:
    """Each step of an ordering puts two numbers in order, and so does `a > b + 5`."""
    numbers = published(standard=18, expert=26, unit="features", n=50)
    least = replace(found(*WIDE), kind="at least", margin=5.0)
    for evidence in (found(parts=(found(*WIDE),)), least):
        assert [row.agrees for row in compare_published(numbers, [evidence])] == [False, False]


def test_tolerances_that_reach_from_one_number_to_the_other_are_told() -> None:
    """20 and 19 agree, but with ± 7.5 and ± 11.5 so would numbers much farther apart, or not apart at all."""
    verdict = decided(found(*WIDE), published(standard=20, expert=19, unit="features"))
    assert verdict.word == "supported"
    assert verdict.reason == (
        "told supported; 2 of 2 published values agree, only within tolerances wider than the published difference: "
        "standard and expert are published 1 features apart and held to ± 7.5 and ± 11.5"
    )


@pytest.mark.parametrize("expert", [13, "13.4"])
def test_tolerances_that_are_narrower_than_the_difference_are_not_told(expert: float | str) -> None:
    """The larger of both is 11.5 beside 12, and 11.05 beside 11.6."""
    verdict = decided(found(*WIDE), published(standard=25, expert=expert, unit="features"))
    assert verdict.reason == "told supported; 2 of 2 published values agree"


# the tolerance


def test_printed_precision_alone_where_there_is_no_interval() -> None:
    """Half of the last printed decimal, and a sampling error of nothing."""
    (row,) = compare_published(published(novice="4.80", unit="features", n=50), [found(sample("novice", 4.8))])
    assert (row.tolerance, row.rounding, row.sampling) == (0.005, 0.005, 0.0)
    assert row.tolerance_from == "printed precision 0.005"


@pytest.mark.parametrize(("printed", "agrees"), [(134.0, True), (128.0, True), (134.1, False), (127.9, False)])
def test_the_farther_end_of_the_interval_widens_the_tolerance(*, printed: float, agrees: bool) -> None:
    """Of an interval from 129 to 134 around 131 the farther end is 3 away; the source does not tell its n."""
    of = sample("novice", 131.0, interval=(129.0, 134.0))
    (row,) = compare_published(published(novice=printed, unit="features"), [found(of)])
    rounding = 0.05 if printed % 1 else 0.5
    assert (row.rounding, row.sampling) == (rounding, 3.0)
    assert row.tolerance == pytest.approx(3 + rounding, abs=1e-12)
    assert row.tolerance_from == f"printed precision {rounding:g} + sampling error 3 of the mean measured here alone"
    assert row.agrees is agrees


def test_the_lower_end_counts_as_well() -> None:
    """From 128 to 132 around 131 it is the lower end that lies farther."""
    (row,) = compare_published(
        published(novice=131, unit="features"), [found(sample("novice", 131.0, interval=(128.0, 132.0)))]
    )
    assert row.sampling == 3.0


@pytest.mark.parametrize(
    ("here", "there", "wanted"), [(50, 50, 3 * sqrt(2)), (200, 50, 3 * sqrt(5)), (16, 400, 3.0594)]
)
def test_the_printed_mean_has_a_sampling_error_of_its_own(here: int, there: int, wanted: float) -> None:
    """With n prompts here and n' there the error is h sqrt(1 + n / n'): 3 sqrt(2) for as many, 3 sqrt(5) for 4 : 1."""
    of = sample("novice", 131.0, interval=(128.0, 134.0), n=here)
    (row,) = compare_published(published(novice=131, unit="features", n=there), [found(of)])
    assert row.sampling == pytest.approx(wanted, rel=1e-4)
    assert row.tolerance == pytest.approx(0.5 + wanted, rel=1e-4)
    assert row.tolerance_from == (
        f"printed precision 0.5 + sampling error {wanted:.3g} of the means over {here} prompts here and {there} there"
    )


def test_a_summary_that_does_not_tell_its_n_is_held_against_ours_alone() -> None:
    """Without a number of prompts here the ratio is not known."""
    of = sample("novice", 131.0, interval=(128.0, 134.0), n=None)
    (row,) = compare_published(published(novice=131, unit="features", n=50), [found(of)])
    assert row.sampling == 3.0
    assert row.tolerance_from.endswith("of the mean measured here alone")


def test_a_tolerance_of_the_claim_goes_before() -> None:
    """With a tolerance of 2 set by the claim neither precision nor interval count."""
    of = sample("novice", 131.0, interval=(100.0, 160.0))
    for printed, agrees in ((133.0, True), (129.0, True), (133.1, False), (128.9, False)):
        numbers = published(novice=printed, unit="features", tolerance=2.0)
        (row,) = compare_published(numbers, [found(of)])
        assert (row.tolerance, row.tolerance_from, row.agrees) == (2.0, "set by the claim", agrees)
        assert (row.rounding, row.sampling) == (None, None)


def test_the_edge_of_the_tolerance_survives_binary_fractions() -> None:
    """132.35 lies 0.05 below 132.4, and as floating point numbers a little more: it agrees."""
    assert 132.4 - 132.35 > 0.05
    (row,) = compare_published(published(novice=132.4, unit="features"), [found(sample("novice", 132.35))])
    assert row.agrees


@pytest.mark.parametrize("n", [0, -1])
def test_a_mean_over_no_prompts_cannot_be_published(n: int) -> None:
    """There is no mean of nothing; one prompt is enough."""
    with pytest.raises(ValueError, match=f"n is {n}; wanted the number of prompts behind the printed values"):
        published(novice=1.0, unit="features", n=n)
    assert published(novice=1.0, unit="features", n=1).n == 1
