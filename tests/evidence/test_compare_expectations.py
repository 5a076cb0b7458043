"""Equality up to a margin, bounds, printed numbers and bare summaries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grids import family, grid, summary, templates

from saeprobe.claims import published
from saeprobe.evidence import Recorder, Terms, recording
from saeprobe.evidence.compare import about, every
from saeprobe.evidence.units import sample_of

HIGH = (10.0, 11, 12, 13)
LOW = (1.0, 2, 3, 4)


# about


def test_about_holds_where_the_interval_lies_inside_the_margin() -> None:
    """The 90 % interval decides: inside supports, outside refutes, across the margin leaves it open."""
    novice, expert = templates("novice", (10, 10.2, 10.4, 10.6)), templates("expert", (10.1, 10.3, 10.5, 10.7))
    holds = novice == about(expert, margin=2.0)
    assert (holds.outcome, holds.kind, holds.level) == ("supported", "about equal", pytest.approx(0.9))
    assert (novice == about(expert, margin=0.01)).outcome == "inconclusive"
    far = templates("novice", HIGH) == about(templates("expert", LOW), margin=1.0)
    assert far.outcome == "refuted"
    assert "they differ by more" in far.reason
    assert (templates("novice", LOW) == about(templates("expert", HIGH), margin=1.0)).outcome == "refuted"


def test_about_agrees_with_two_one_sided_t_tests() -> None:
    """On ten pairs with margins away from the edge the outcome is that of statsmodels' ttost_paired."""
    from statsmodels.stats.weightstats import ttost_paired

    rng = np.random.default_rng(5)
    expert = rng.normal(30, 5, 10)
    novice = expert + rng.normal(0.5, 1, 10)
    for margin in (0.2, 0.4, 2.0, 4.0):
        evidence = grid("novice", [list(novice)]) == about(grid("expert", [list(expert)]), margin=margin)
        p = ttost_paired(novice, expert, -margin, margin)[0]
        assert not 0.03 < p < 0.08
        assert (evidence.outcome == "supported") == (p < 0.05)


def test_about_reads_from_either_side_and_as_a_share() -> None:
    """`about(b) == a` is `a == about(b)`; a share of 10 % of a mean of 20 is shown as a margin of 2."""
    novice, expert = templates("novice", (19, 19.4, 19.8, 20.2)), templates("expert", (19, 19.5, 20.5, 21))
    evidence = about(expert, share=0.1) == novice
    assert evidence.statement == "l0 of novice = l0 of expert x (1 ± 0.1)"
    assert evidence.margin == pytest.approx(2.0)
    assert evidence.outcome == (novice == about(expert, margin=2.0)).outcome == "supported"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("near", [(9.3, 9.7, 10.0, 10.4, 9.9, 9.6), (10.1, 10.6, 10.9, 10.5, 11.4, 10.2)])
def test_the_error_of_a_share_of_the_other_side_counts(near: tuple[float, ...], sign: int) -> None:
    """Within 20 % is above 0.8 times and below 1.2 times, as `a > 0.8 * b` and `1.2 * b > a` are tested."""
    novice = templates("novice", tuple(sign * value for value in near))
    expert = templates("expert", tuple(sign * value for value in (9.0, 11.5, 10.0, 8.5, 10.5, 10.5)))
    evidence = novice == about(expert, share=0.2)
    lower, upper = (replace(expert, values=times * expert.values) for times in (1 - 0.2 * sign, 1 + 0.2 * sign))
    above, below = novice > lower, upper > novice
    assert evidence.p == pytest.approx(max(above.one_sided or 0.0, below.one_sided or 0.0))
    assert evidence.p != pytest.approx((novice == about(expert, margin=2.0083333)).p)
    assert (evidence.outcome == "supported") == ((evidence.p or 0) < 0.05)
    margin, (low, high) = evidence.margin or 0.0, evidence.interval or (0.0, 0.0)
    assert (evidence.outcome == "supported") == (-margin < low and high < margin)
    assert high - low > np.ptp((novice == about(expert, margin=margin)).interval or (0.0, 0.0))
    assert "margin ± 0.2 times the second side" in evidence.reason
    assert f"the first side against {1 - 0.2 * sign} and {1 + 0.2 * sign} times the second" in evidence.rule


def test_about_without_an_interval_is_inconclusive() -> None:
    """Two templates a style cannot give a 90 % interval, so nothing is said of equality."""
    evidence = templates("novice", (10, 11)) == about(templates("expert", (10, 11)), margin=50)
    assert (evidence.outcome, evidence.interval) == ("inconclusive", None)
    assert "2 units give no interval" in evidence.reason


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({}, "either margin"),
        ({"margin": 1.0, "share": 0.1}, "either margin"),
        ({"margin": 0.0}, "wanted a positive difference in features"),
        ({"margin": -1.0}, "wanted a positive difference"),
        ({"margin": float("nan")}, "wanted a positive difference"),
        ({"margin": float("inf")}, "wanted a positive difference"),
        ({"margin": True}, "the margin is True beside a mean of 2.5"),
        ({"margin": "1"}, "the margin is '1' beside a mean of 2.5"),
        ({"share": float("nan")}, "or a share between 0 and 1"),
        ({"share": 0.0}, "or a share between 0 and 1"),
        ({"share": -0.1}, "or a share between 0 and 1"),
        ({"share": 1}, "the share is 1 beside a mean of 2.5; wanted .* or a share between 0 and 1 of a mean but 0"),
    ],
)
def test_about_wants_one_positive_margin(terms: dict[str, float], message: str) -> None:
    """No margin, two, or one that is not above zero is an error before anything is compared; so is a whole share."""
    with pytest.raises(ValueError, match=message):
        about(templates("expert", LOW), **terms)


def test_a_share_beyond_which_the_other_side_lies_is_refuted() -> None:
    """14 is more than 1.2 times 10 with certainty, and 6 less than 0.8 times."""
    expert = templates("expert", (9.0, 11.5, 10.0, 8.5, 10.5, 10.5))
    for mean in (14.0, 6.0):
        novice = templates("novice", tuple(mean + by for by in (-0.2, 0.1, 0.3, 0, -0.1, 0.2)))
        evidence = novice == about(expert, share=0.2)
        assert evidence.outcome == "refuted"
        assert min(map(abs, evidence.interval or (0.0, 0.0))) > (evidence.margin or 9.0)


def test_a_share_of_a_mean_of_zero_is_no_margin() -> None:
    """10 % of 0 is 0, which is refused."""
    with pytest.raises(ValueError, match=r"the share is 0\.1 beside a mean of 0; wanted"):
        about(templates("expert", (-1, 1)), share=0.1)


def test_bare_equality_is_refused() -> None:
    """Equality without a margin is a TypeError that says what to write."""
    with pytest.raises(TypeError, match=r"== about\(\.\.\., margin=\.\.\.\)"):
        _ = templates("novice", HIGH) == templates("expert", LOW)
    with pytest.raises(TypeError, match="l0 of novice == float"):
        _ = templates("novice", HIGH) == 11.5


# bounds


def test_a_bound_is_tested_over_templates() -> None:
    """Six templates above 9 support `> 9` (p = 2/64) and refute `< 9`; with five nothing can be decided."""
    of = templates("novice", (10, 11, 12, 13, 14, 15))
    evidence = of > 9
    assert (evidence.outcome, evidence.kind, evidence.units, evidence.n_units) == (
        "supported",
        "bound",
        "templates",
        (6,),
    )
    assert evidence.p == pytest.approx(2 / 64)
    assert evidence.estimate == pytest.approx(12.5)
    assert evidence.scope == "these 6 templates"
    assert evidence.interval == pytest.approx((10.0, 15.0))
    assert (of < 9).outcome == "refuted"
    assert (of < 12.5).outcome == "inconclusive"
    assert (templates("novice", (10, 11, 12, 13, 14)) > 9).outcome == "inconclusive"


def test_a_bound_on_one_wording_is_tested_over_topics() -> None:
    """Under a single template the topics are the units, and the scope says so; read from either side."""
    of = grid("novice", [[10, 11, 12, 13, 14, 15]])
    evidence = of < 20
    assert (evidence.outcome, evidence.units) == ("supported", "topics")
    assert evidence.scope == "this wording only, over 6 topics"
    assert evidence.statement == "l0 of novice < 20 features"


def test_a_bound_beside_one_prompt_is_inconclusive() -> None:
    """A single prompt decides nothing, and no p is given."""
    evidence = grid("novice", [[1000.0]]) > 1.0
    assert (evidence.outcome, evidence.p, evidence.interval) == ("inconclusive", None, None)
    assert "at least 2 are needed" in evidence.reason


def test_a_bound_without_spread_is_inconclusive() -> None:
    """Six templates with exactly the same mean give no spread to test with."""
    evidence = grid("novice", [[10.0, 10.0]] * 6) > 1.0
    assert evidence.outcome == "inconclusive"
    assert "without any spread between units" in evidence.reason


# published readings and summaries


def test_a_reading_agrees_within_the_printed_precision() -> None:
    """137 was printed: 137.4 rounds to it and 137.6 does not; nothing is inferred from a reading."""
    printed = published(novice=137, expert=99.5, unit="features")
    agrees = family(grid("novice", [[137.4]]), grid("expert", [[99.54]])) == printed
    assert (agrees.outcome, agrees.kind, agrees.p, agrees.interval) == ("supported", "published", None, None)
    assert "2 of 2 agree" in agrees.reason
    moved = family(grid("novice", [[137.6]]), grid("expert", [[99.54]])) == printed
    assert moved.outcome == "refuted"
    assert "novice 137.6 (137)" in moved.reason
    assert "1 of 2 agree" in moved.reason
    assert agrees.scope == "these prompts only: a reading of each, no inference"
    assert agrees.reason == "measured (printed): novice 137.4 (137), expert 99.54 (99.5) features; 2 of 2 agree"
    assert agrees.rule == (
        "supported where every measured mean rounds to its printed number; refuted where one does not and could not "
        "whatever the rounding, as far as its reach is known; inconclusive where rounding decides it"
    )
    assert [(unit.side, unit.value) for unit in agrees.unit_values] == [("novice", 137.4), ("expert", 99.54)]
    assert (grid("novice", [[0.5]]) == published(novice=0, unit="features")).outcome == "supported"
    zero = grid("novice", [[4.8]]) == published(novice="4.80", unit="features")
    assert zero.reason == "measured (printed): novice 4.8 (4.80) features; 1 of 1 agree"


def test_a_reading_is_of_what_was_printed() -> None:
    """Another unit, or another measure where the source tells which, is no reading."""
    of = grid("novice", [[137.4]])
    with pytest.raises(
        TypeError, match=r"l0 of novice in features is not what the numbers are printed of: activation$"
    ):
        _ = of == published(novice=137, unit="activation")
    with pytest.raises(TypeError, match=r"is not what the numbers are printed of: active share in features$"):
        _ = of == published(novice=137, unit="features", measure="active share")
    assert (of == published(novice=137, unit="features", measure="l0")).outcome == "supported"


@pytest.mark.parametrize(
    ("printed", "measured", "outcome"),
    [
        (137, 137.5, "supported"),
        (137, 136.5, "supported"),
        (137, 136.49, "refuted"),
        (0.3, 0.35, "supported"),
        (0.3, 0.25, "supported"),
        (-0.3, -0.35, "supported"),
        (0.3, 0.351, "refuted"),
        ("0.30", 0.31, "refuted"),
    ],
)
def test_a_reading_reaches_to_half_of_the_last_printed_decimal(
    printed: float | str, measured: float, outcome: str
) -> None:
    """The ends belong to it, though 0.35 - 0.3 is a little more than 0.05 to a computer."""
    assert (family(grid("novice", [[measured]])) == published(novice=printed, unit="features")).outcome == outcome


def test_a_reading_takes_no_controls() -> None:
    """It infers nothing that a rival could explain."""
    with (
        recording(Recorder(controls=("length",))),
        pytest.raises(TypeError, match="kind 'published' takes no controls"),
    ):
        _ = family(grid("novice", [[137.0]])) == published(novice=137, unit="features")


def test_a_reading_takes_the_claims_own_tolerance() -> None:
    """With a tolerance of 1 feature, 138 agrees with 137 and 138.1 does not."""
    printed = published(novice=137, unit="features", tolerance=1.0)
    assert (family(grid("novice", [[138.0]])) == printed).outcome == "supported"
    moved = family(grid("novice", [[138.1]])) == printed
    assert moved.outcome == "refuted"
    assert moved.rule.startswith("supported where every measured mean lies within 1 of its printed number; refuted")


def test_a_reading_of_a_style_that_was_not_measured_is_an_error() -> None:
    """A printed label without prompts is never passed over."""
    with pytest.raises(KeyError, match="no prompt of style 'guru'"):
        _ = family(grid("novice", [[137.0]])) == published(guru=1, unit="features")


def test_summaries_stay_inconclusive_without_interval_or_p() -> None:
    """Two bare means, or one beside values, are shown and never decided."""
    for evidence in (
        summary("novice", 132.4) > summary("expert", 113.1),
        summary("novice", 132.4) > templates("expert", LOW),
        templates("novice", HIGH) > summary("expert", 1.0),
        summary("novice", 132.4) == about(summary("expert", 113.1), margin=100),
        every([summary("novice", 132.4)]) > summary("expert", 113.1),
    ):
        pieces = evidence.parts or (evidence,)
        assert evidence.outcome == "inconclusive"
        assert all((piece.interval, piece.p, piece.test) == (None, None, None) for piece in pieces)
    alone = summary("novice", 132.4) > summary("expert", 113.1)
    assert alone.estimate == pytest.approx(19.3)
    assert "132 against 113 features" in alone.reason
    assert "features_layer50.pt of the same run would decide it" in alone.reason


def test_a_mean_that_stands_alone_decides_nothing_beside_a_number() -> None:
    """Without a value of each prompt a bare mean is shown, and nothing more."""
    for evidence in (summary("novice", 132.4) > 9, summary("novice", 132.4) < 9):
        assert (evidence.kind, evidence.outcome, evidence.estimate) == ("bound", "inconclusive", 132.4)
        assert evidence.reason.startswith("132 features is one number for all prompts: without a value of each of them")


@pytest.mark.parametrize("thing", ["expert", None, [1.0]])
def test_other_things_are_no_side_of_a_sentence(thing: object) -> None:
    """Text or a list is a TypeError, from either side, and nothing is recorded."""
    novice = templates("novice", HIGH)
    with recording(Recorder()) as recorder:
        for compare in (lambda: novice > thing, lambda: novice < thing, lambda: every([novice]) > thing):  # type: ignore[operator]
            with pytest.raises(TypeError, match="a measurement is compared with another, or with a number"):
                compare()
        with pytest.raises(TypeError, match=r"equality needs a margin: == about\("):
            _ = novice == thing
    assert recorder.evidence == []


def test_the_sample_of_a_measurement_carries_its_interval() -> None:
    """Six templates give the mean an interval, 10 to 15; four cannot at 5 %, and a lone prompt has none."""
    assert sample_of(templates("novice", (10, 11, 12, 13, 14, 15)), Terms()).interval == pytest.approx((10.0, 15.0))
    assert sample_of(templates("novice", HIGH), Terms()).interval is None
    assert sample_of(grid("novice", [[1.0]]), Terms()).interval is None
    kept = sample_of(grid("novice", [[1.0, 2.0]]), Terms())
    assert (kept.values, kept.n, kept.mean, kept.unit) == ((1.0, 2.0), 2, 1.5, "features")
