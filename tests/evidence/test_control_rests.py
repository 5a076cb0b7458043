"""What is left under a control: whether the effect withstands it, whether it is explained, or neither."""

from __future__ import annotations

from dataclasses import replace

import pytest
from controlled import numbered, unrun, worded

from saeprobe.claims import Control
from saeprobe.evidence.controls import found, what_is_left, withstands
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder, Terms
from saeprobe.evidence.units import Compared, compare
from saeprobe.evidence.values import Measurement

TERMS = Recorder(alpha=0.05)


def nine() -> Compared:
    """A claim of 9 features, in four templates a side."""
    compared = compare(numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4)), Terms())
    assert not isinstance(compared, str)
    return compared


def rest(left: float, *, p: float, to: float) -> Evidence:
    """A comparison that finds `left`, with an interval from -1 on."""
    made = numbered("novice", (1, 2, 3, 4)) > numbered("expert", (1, 2, 3, 4))
    return replace(made, estimate=left, p=p, interval=(-1.0, to))


def explained(name: Control, made: Evidence) -> bool:
    """Whether the control explains the claim of 9."""
    return what_is_left(name, nine(), made, TERMS, done="here").explains


def test_what_was_left_is_told_whole() -> None:
    """3 of 9 are a third, with the interval, p and evidence of the comparison that the control made."""
    made = rest(3.0, p=0.01, to=7.0)
    assert what_is_left("length", nine(), made, TERMS, done="at equal length") == ControlResult(
        name="length",
        answer="withstood",
        estimate=3.0,
        interval=(-1.0, 7.0),
        p=0.01,
        detail="at equal length +3 features of +9 are left",
        share=3.0 / 9.0,
        evidence=made,
    )


def test_a_rest_that_cannot_be_tested_is_no_rest() -> None:
    """The two sides have means there, and no topic in common over which to compare them."""

    def on(topic: str, side: str) -> Measurement:
        return worded(side, {f"{side}: {{topic}}": 1.0, f"{side}, again: {{topic}}": 2.0}, topics=(topic,))

    made = on("tides", "novice") > on("rust", "expert")
    assert (made.p, made.estimate) == (None, 0.0)
    why = "here: the prompts of novice and expert share no topic, on which they could be compared"
    assert what_is_left("wording", nine(), made, TERMS, done="here") == unrun("wording", why)


@pytest.mark.parametrize(("to", "explains"), [(8.999, True), (9.0, False), (9.001, False)])
def test_an_effect_is_taken_where_the_interval_of_the_rest_ends_below_it(to: float, *, explains: bool) -> None:
    """1 is left, not told from nothing; an interval as far as the 9 of the claim leaves it open."""
    assert explained("length", rest(1.0, p=0.3, to=to)) == explains
    assert not explained("length", rest(1.0, p=0.01, to=to))


@pytest.mark.parametrize(("left", "explains"), [(4.5, False), (4.4, True)])
def test_half_of_it_in_other_wordings_is_not_taken(left: float, *, explains: bool) -> None:
    """Though the interval ends below 9, and p is above alpha; at equal length the same rest is no rest."""
    made = rest(left, p=0.3, to=8.0)
    assert explained("wording", made) == explains
    assert explained("length", made)


@pytest.mark.parametrize(("left", "stands"), [(0.1, True), (0.0, False), (-0.1, False)])
def test_a_rest_that_is_found_has_to_lie_above_zero(left: float, *, stands: bool) -> None:
    """Nothing left, however surely, is nothing."""
    assert withstands("length", left, 0.01, left / 9, 0.05) == stands
    assert explained("length", rest(left, p=0.01, to=5.0)) != stands


@pytest.mark.parametrize(
    ("p", "estimate", "shows"),
    [(0.049, 9.0, True), (0.05, 9.0, False), (0.049, 0.001, True), (0.049, 0.0, False), (0.049, -9.0, False)],
)
def test_a_claim_is_found_with_p_below_alpha_and_a_difference_above_zero(
    p: float, estimate: float, *, shows: bool
) -> None:
    """However small: shares of prompts differ by less than 1. What is not found, no control is against."""
    compared = nine()
    claim = replace(compared, shift=replace(compared.shift, p=p, estimate=estimate))
    assert found(claim, TERMS) == shows
    assert what_is_left("length", claim, rest(-1.0, p=0.3, to=-0.5), TERMS, done="here").explains == shows


@pytest.mark.parametrize("novice", [(1, 2, 3, 4.5), (-8, -7, -6, -5)])
def test_where_the_claim_finds_nothing_there_is_nothing_to_explain(novice: tuple[float, ...]) -> None:
    """Neither where p is above alpha nor where the difference is surely the other way."""
    compared = compare(numbered("novice", novice), numbered("expert", (1, 2, 3, 4)), Terms())
    assert not isinstance(compared, str)
    assert not what_is_left("length", compared, rest(-1.0, p=0.3, to=-0.5), TERMS, done="here").explains
