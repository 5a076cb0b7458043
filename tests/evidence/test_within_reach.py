"""Where rounding decides whether a number is as printed, nothing is refuted and nothing has moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grids import family, grid

from saeprobe.claims import Claim, Published, Verdict, published
from saeprobe.evidence import Evidence, EvidenceOutcome, Sample, Spread
from saeprobe.evidence.near import NearThreshold
from saeprobe.evidence.values import Measurement
from saeprobe.verdicts import decide, held_by


def near(of: Measurement, lowers: float, raises: float) -> Measurement:
    """The same values, of which rounding may lower or raise each by so much."""
    moves = (np.full(len(of.values), by) for by in (lowers, raises))
    return replace(of, near=NearThreshold(lowers=next(moves), raises=next(moves), tolerance=1e-4))


# readings of the same prompts


@pytest.mark.parametrize(
    ("printed", "outcome"),
    [
        (133, "supported"),
        (134, "inconclusive"),
        (136, "inconclusive"),  # 135 may be measured, which rounds to no less than 135 and no more than 135.5 would
        (131, "inconclusive"),
        (130, "refuted"),
        (137, "refuted"),
    ],
)
def test_a_reading_within_reach_is_not_refuted(printed: int, outcome: EvidenceOutcome) -> None:
    """Of 133 rounding may make 132 to 135.5: from 131 to 136 half a unit of the last digit decides."""
    of = near(grid("novice", [[133.0]]), 1.5, 2.5)
    assert (of == published(novice=printed, unit="features")).outcome == outcome


def test_the_reason_says_what_rounding_decides() -> None:
    """The reading that rounding decides is named, with the lowest and the highest that it may give."""
    both = near(family(grid("novice", [[133.0]]), grid("expert", [[114.0]])), 1.0, 2.0)
    evidence = both == published(novice=135, expert=114, unit="features")
    assert evidence.reason == (
        "measured (printed): novice 133 (135), expert 114 (114) features; 1 of 2 agree; rounding decides whether "
        "novice would: it may give novice [132, 135]"
    )


def test_readings_that_rounding_decides_are_listed() -> None:
    """Both are named, and so are the ends of both."""
    both = near(family(grid("novice", [[133.0]]), grid("expert", [[114.0]])), 1.0, 2.0)
    evidence = both == published(novice=135, expert=113, unit="features")
    assert evidence.reason.endswith(
        "0 of 2 agree; rounding decides whether novice and expert would: it may give novice [132, 135], "
        "expert [113, 116]"
    )


def test_one_refuted_reading_refutes_all() -> None:
    """That rounding decides another one does not save it, and both are said."""
    both = near(family(grid("novice", [[133.0]]), grid("expert", [[114.0]])), 1.0, 2.0)
    evidence = both == published(novice=135, expert=140, unit="features")
    assert evidence.outcome == "refuted"
    assert evidence.reason.endswith(
        "0 of 2 agree; rounding decides whether novice would: it may give novice [132, 135]"
    )


def test_a_reach_that_nobody_knows_saves_no_reading() -> None:
    """A record says nothing of thresholds: its reading is refuted, and that its reach is not known is said."""
    evidence = grid("novice", [[133.0]]) == published(novice=135, unit="features")
    assert evidence.outcome == "refuted"
    assert evidence.reason.endswith("0 of 1 agree; how far rounding may move novice is not known")


def test_the_claims_own_tolerance_is_widened_by_the_reach() -> None:
    """133 lies 2 from 135: beyond the 1 of the claim, and within it together with the 2 that rounding may add."""
    of = near(grid("novice", [[133.0]]), 0.0, 2.0)
    outcomes = [(of == published(novice=at, unit="features", tolerance=1)).outcome for at in (134, 136, 136.1, 131)]
    assert outcomes == ["supported", "inconclusive", "refuted", "refuted"]


# numbers published beside a sentence


def found(*samples: Sample) -> Evidence:
    """A comparison that supports its sentence."""
    return Evidence(
        kind="greater",
        statement="a > b",
        outcome="supported",
        reason="so it is",
        scope="these templates",
        unit="features",
        samples=samples,
    )


def sample(label: str, mean: float, reach: tuple[float, float] | None, *, half: float = 0.0) -> Sample:
    """A mean over 4 templates, with a sampling error of `half` beside a mean of one."""
    scatter = (Spread(units="templates", n=4, deviation=(half or 1e-9) / (3.182446 * 1.25**0.5)),)
    return Sample(label=label, measure="l0", unit="features", mean=mean, n=50, spreads=scatter, reach=reach)


def decided(numbers: Published, *samples: Sample) -> Verdict:
    """The verdict on a sentence that holds, beside published numbers."""
    claim = Claim(sentence="More.", id="x", source="here", published={"sparrow": numbers})
    return decide(claim, "sparrow", [found(*samples)], None)[0]


def test_the_reach_is_a_part_of_the_tolerance_of_its_own() -> None:
    """369 here, 371 there: half a digit is 0.5, the sampling error 1, and the reach towards 371 is 4."""
    numbers = published(novice=371, unit="features", n=50)
    (row,) = held_by(numbers, [found(sample("novice", 369, (368, 373), half=1))]).compared
    assert (row.rounding, row.sampling, row.reach) == (0.5, pytest.approx(1), 4)
    assert row.tolerance == pytest.approx(5.5)
    assert row.tolerance_from.endswith("over 4 templates here and 1 there + reach of rounding 4")
    assert row.answer == "rounding decides"


@pytest.mark.parametrize(
    ("printed", "reach", "answer"),
    [
        (369, (360, 380), "agrees"),  # as it agrees without any reach
        (371, (368, 371), "rounding decides"),
        (371, (368, 370), "drifted"),  # 370.5 would do, which rounds to 371
        (367, (367, 400), "rounding decides"),
        (367, (368, 400), "drifted"),  # what may raise it does not lower it
        (371, (369, 369), "drifted"),  # nothing is near
        (371, None, "drifted"),  # nothing is known
    ],
)
def test_the_reach_counts_towards_the_printed_number_alone(
    printed: int, reach: tuple[float, float] | None, answer: str
) -> None:
    """Measured is 369, with hardly any sampling error; the printed number has half a unit of its own."""
    (row,) = held_by(published(novice=printed, unit="features"), [found(sample("novice", 369, reach))]).compared
    assert row.answer == answer


def test_a_number_that_only_rounding_brings_near_leaves_the_claim_open() -> None:
    """Neither drifted nor supported, and the reason has the numbers."""
    verdict = decided(published(novice=371, unit="features"), sample("novice", 369, (369, 373)))
    assert (verdict.word, verdict.outcome) == ("inconclusive", "failed")
    assert verdict.reason == (
        "the sentence holds, but rounding decides whether its numbers agree: novice is 369 features, published 371 ± "
        "4.5, of which 4 is within reach of rounding"
    )
    both = decided(
        published(novice=371, expert=11, unit="features"),
        *(sample(label, mean, (mean, mean + 4)) for label, mean in (("novice", 369), ("expert", 9))),
    )
    assert both.reason == verdict.reason + (
        "; expert is 9 features, published 11 ± 4.5, of which 4 is within reach of rounding"
    )


def test_a_number_beyond_its_whole_tolerance_goes_before() -> None:
    """One has moved, and rounding decides another: drifted; with one that agrees beside it: open."""
    open_one, moved, agreeing = sample("novice", 369, (369, 373)), sample("expert", 9, (9, 9)), sample("guru", 5, None)
    numbers = published(novice=371, expert=99, guru=5, unit="features")
    assert decided(numbers, open_one, moved, agreeing).word == "drifted"
    (row, *_) = held_by(numbers, [found(open_one, moved, agreeing)]).compared
    assert row.answer == "rounding decides"
    assert decided(published(novice=371, guru=5, unit="features"), open_one, agreeing).word == "inconclusive"
    assert decided(published(guru=5, unit="features"), agreeing).word == "supported"


def test_numbers_in_reverse_order_do_not_hide_behind_rounding() -> None:
    """The probe found novice above expert, and they are printed the other way round: drifted, whatever the reach."""
    sides = sample("novice", 20, (10, 40)), sample("expert", 15, (10, 40))
    numbers = published(novice=15, expert=30, unit="features")
    assert [row.answer for row in held_by(numbers, [found(*sides)]).compared] == ["drifted"] * 2
    assert decided(numbers, *sides).word == "drifted"


def test_a_reason_for_another_verdict_counts_what_rounding_decides() -> None:
    """Beside refuted evidence the count of agreeing numbers names the one that may."""
    numbers = published(novice=371, expert=9, unit="features")
    claim = Claim(sentence="More.", id="x", source="here", published={"sparrow": numbers})
    against = replace(found(sample("novice", 369, (369, 373)), sample("expert", 9, None)), outcome="refuted")
    verdict, _, _ = decide(claim, "sparrow", [against], AssertionError())
    assert verdict.reason == "so it is; 1 of 2 published values agree, and rounding decides whether novice would"
