"""Published numbers beside measured ones: which measurement answers for which, and how far they may lie apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import t

from saeprobe.claims import Claim, NonReproduction, Published, Verdict, drifted, published
from saeprobe.evidence import Evidence, EvidenceOutcome, Sample, Spread
from saeprobe.verdicts import decide, held_by


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
    label: str, mean: float, *, half: float | None = 1e-6, unit: str = "features", measure: str = "l0", n: int = 4
) -> Sample:
    """The mean of one style over `n` templates, with a sampling error of `half` beside a mean of one; None for none."""
    spreads: tuple[Spread, ...] = ()
    if half is not None:
        spreads = (Spread(units="templates", n=n, deviation=half / (t.ppf(0.975, n - 1) * (1 / n + 1) ** 0.5)),)
    return Sample(label=label, measure=measure, unit=unit, mean=mean, n=8, spreads=spreads)


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
    assert (verdict.word, verdict.outcome, verdict.declaration) == ("drifted", "xfailed", drifted("another SAE"))


# which measurement answers for a number


def test_the_first_sample_of_a_label_and_unit_answers() -> None:
    """Of two the first; one in another unit is passed over."""
    evidence = [
        found(sample("novice", 1.0, unit="activation"), sample("novice", 132.4)),
        found(sample("novice", 99.0)),
    ]
    (row,) = held_by(published(novice=132.4, unit="features"), evidence).compared
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
    assert held_by(numbers, [evidence]).compared == ()


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
    evidence = [found(sample("novice", 1.0))]
    assert decide(claimed(), "sparrow", evidence, None)[1] == ()


# the order in which the numbers are printed

WIDE = (sample("standard", 24.72, half=7.0), sample("expert", 15.22, half=11.0))
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
    rows = held_by(numbers, [found(*WIDE), found(third)]).compared
    assert [(row.label, row.answer) for row in rows] == [
        ("standard", "drifted"),
        ("expert", "drifted"),
        ("guru", "agrees"),
    ]
    assert all(abs(row.measured - row.value) < (row.tolerance or 0) for row in rows)
    words: tuple[EvidenceOutcome, ...] = ("refuted", "explained")
    for word in words:
        verdict = decided(found(*WIDE, outcome=word), published(standard=18, expert=26, unit="features", n=50))
        assert verdict.reason == f"told {word}; 0 of 2 published values agree"


def test_a_number_that_moved_as_well_is_told_beside_the_order() -> None:
    """Both faults of the numbers stand in one reason; the one that is near still agrees, since the other moved."""
    numbers = published(standard=18, expert=99, unit="features")
    assert [row.answer for row in held_by(numbers, [found(*WIDE)]).compared] == ["agrees", "drifted"]
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
    rows = held_by(published(standard=standard, expert=expert, unit="features"), [found(*WIDE)]).compared
    assert [row.answer for row in rows] == ["drifted" if turned else "cannot be compared"] * 2


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
    rows = held_by(published(standard=18, expert=26, unit="features"), [open_at_first, evidence]).compared
    assert [row.answer for row in rows] == ["agrees", "agrees"]


def test_orders_are_found_in_parts_and_beyond_a_margin() -> None:
    """Each step of an ordering puts two numbers in order, and so does `a > b + 5`."""
    numbers = published(standard=18, expert=26, unit="features", n=50)
    least = replace(found(*WIDE), kind="at least", margin=5.0)
    for evidence in (found(parts=(found(*WIDE),)), least):
        assert [row.answer for row in held_by(numbers, [evidence]).compared] == ["drifted", "drifted"]


def test_tolerances_that_would_hold_either_number_compare_nothing() -> None:
    """20 and 19 lie within ± 7.5 and ± 11.5, but so would numbers much farther apart, or not apart at all."""
    verdict = decided(found(*WIDE), published(standard=20, expert=19, unit="features"))
    assert verdict.word == "supported"
    assert verdict.reason == (
        "told supported; not compared: standard 24.72, published 20 features (± 7.5 would hold either of standard and "
        "expert, published 1 apart; no number of templates here would do beside so few there); not compared: expert "
        "15.22, published 19 features (± 11.5 would hold either of standard and expert, published 1 apart; no number "
        "of templates here would do beside so few there)"
    )


@pytest.mark.parametrize(
    ("expert", "answers"),
    [
        (1, ["agrees", "cannot be compared"]),  # 24 - 1 = 23, and half of it is 11.5: the wider one is 14.5
        ("-5.0", ["agrees", "drifted"]),  # 29 / 2 is no less than 14.05, and 20.22 is more
        (9, ["agrees", "cannot be compared"]),  # 15 / 2 is no less than 7.5
        ("9.4", ["cannot be compared", "cannot be compared"]),  # 7.5 is more than 7.3
    ],
)
def test_a_number_is_compared_within_half_of_the_printed_difference(expert: float | str, answers: list[str]) -> None:
    """The tolerances are 7.5 and 14 with the rounding; what lies beyond them has moved however wide they are."""
    sides = (WIDE[0], sample("expert", 15.22, half=14.0))
    rows = held_by(published(standard=24, expert=expert, unit="features"), [found(*sides)]).compared
    assert [row.answer for row in rows] == answers


def test_what_would_do_is_said_where_anything_would() -> None:
    """Half of 6 is 3: with 8 there, 0.5 + t(0.975, 18) 3 sqrt(1 / 19 + 1 / 8) is 3.16 and that of 35 is 2.9."""
    sides = tuple(
        replace(sample(label, mean), spreads=(Spread(units="templates", n=4, deviation=3.0),))
        for label, mean in (("novice", 26.0), ("expert", 20.0))
    )
    numbers = published(novice=26, expert=20, unit="features", wordings=8)
    reach = {n: 0.5 + t.ppf(0.975, n - 1) * 3 * (1 / n + 1 / 8) ** 0.5 for n in range(4, 100)}
    least = min(n for n, half in reach.items() if half <= 3)
    assert f"published 6 apart; {least} templates here would do" in decided(found(*sides), numbers).reason


@pytest.mark.parametrize(
    ("value", "unit", "half", "tolerance", "why"),
    [
        (5, "features", 246, None, "± 246 would hold 0 as well as the published 5"),
        (-5, "features", 2, None, ""),  # 2.5 with the rounding is half of it
        (-5, "features", 2.1, None, "± 2.6 would hold 0 as well as the published -5"),
        (0, "features", 0.1, None, "± 0.6 would hold any number as well as the published 0"),
        (0, "features", 0.1, 0.2, ""),
        (5, "features", 0.1, 3, "± 3 would hold 0 as well as the published 5"),
        (0.9, "share of prompts", 0.04, None, "± 0.09 would hold 1 as well as the published 0.9"),
        ("0.90", "share of prompts", 0.04, None, ""),  # 0.045 is less than half of 0.1
        ("0.10", "share of prompts", 0.05, None, "± 0.055 would hold 0 as well as the published 0.1"),
        ("1.00", "share of prompts", 0.4, None, ""),
        ("1.00", "share of prompts", 0.5, None, "± 0.505 would hold 0 as well as the published 1"),
    ],
)
def test_a_number_alone_is_compared_within_half_of_it(
    value: float | str, unit: str, half: float, tolerance: float | None, why: str
) -> None:
    """What would hold nothing at all as well is no agreement; a share may be all as well as nothing."""
    numbers = published(novice=value, unit=unit, tolerance=tolerance)
    evidence = found(sample("novice", float(value), half=half, unit=unit))
    (row,) = held_by(numbers, [evidence]).compared
    assert row.answer == ("cannot be compared" if why else "agrees")
    verdict = decided(evidence, numbers)
    assert verdict.word == "supported"
    assert (why or "1 of 1 published values agree") in verdict.reason


def test_what_rounding_decides_within_a_tolerance_that_holds_nothing_as_well_is_not_compared() -> None:
    """The sentence stays supported, as the rows of the report have it."""
    near = replace(sample("novice", 9.0, half=3.4), reach=(4.0, 10.0))
    numbers = published(novice=5, unit="features")
    (row,) = held_by(numbers, [found(near)]).compared
    assert (row.answer, decided(found(near), numbers).word) == ("cannot be compared", "supported")


@pytest.mark.parametrize("n", [0, -1])
def test_a_mean_over_no_prompts_cannot_be_published(n: int) -> None:
    """There is no mean of nothing; one prompt is enough."""
    with pytest.raises(ValueError, match=f"n is {n}; wanted the number of prompts behind the printed values"):
        published(novice=1.0, unit="features", n=n)
    assert published(novice=1.0, unit="features", n=1).n == 1
