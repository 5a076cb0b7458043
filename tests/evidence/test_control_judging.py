"""Judging controls: one that explains decides, one that cannot tell leaves open, and what the others left is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from controlled import numbered
from scipy.stats import t as student

from saeprobe.claims import Control
from saeprobe.evidence import Answer, ControlResult, Evidence, Recorder, Terms, recording
from saeprobe.evidence.controls import Contrast, Made, answered, verdict_of


def result(name: Control = "length", answer: Answer = "withstood", *, p: float | None = 0.01) -> ControlResult:
    """A control that leaves 2, half of the effect."""
    detail = f"what {name} showed"
    return ControlResult(name=name, answer=answer, estimate=2.0, interval=None, p=p, detail=detail, share=0.5)


ALL: tuple[Control, ...] = ("length", "wording", "injection", "random-model", "random-sae", "activity")


def test_no_control_decides_nothing() -> None:
    """Where none was declared the claim's own numbers decide, as where all are withstood."""
    assert verdict_of((), "5 against 3") == ("supported", "5 against 3")
    outcome, reason = verdict_of([result(name) for name in ALL], "5 against 3")
    assert (outcome, reason.count("left of it")) == ("supported", len(ALL))


@pytest.mark.parametrize("name", ALL)
def test_a_control_that_explains_is_named(name: Control) -> None:
    """The effect is there, and so are its numbers."""
    reason = f"5 against 3, but explained by {name}: what {name} showed"
    assert verdict_of([result(name, "explains")], "5 against 3") == ("explained", reason)


@pytest.mark.parametrize(
    ("name", "rival"),
    [
        ("length", "prompt length"),
        ("wording", "the styles' own words"),
        ("injection", "the styles' own words alone"),
        ("random-model", "a random model"),
        ("random-sae", "random features"),
        ("activity", "the number of active features"),
    ],
)
def test_a_control_that_cannot_tell_leaves_the_claim_open(name: Control, rival: str) -> None:
    """Run and unsure, or not run at all, with the reason."""
    judged = verdict_of([result(name, "cannot tell")], "5 against 3")
    assert judged == ("inconclusive", f"5 against 3, but not distinguished from {rival}: what {name} showed")
    why = f"5 against 3, but the control for {name} could not be run: what {name} showed"
    assert verdict_of([result(name, "cannot tell", p=None)], "5 against 3") == ("inconclusive", why)


def test_what_explains_goes_before_what_is_open_and_all_that_do_are_named() -> None:
    """In the order declared; of what could not be run all are named, before what is open."""
    unread = [result(name, "cannot tell", p=None) for name in ("wording", "length", "random-sae")]
    explaining = [result("injection", "explains"), *unread, result("random-model", "explains")]
    assert verdict_of(explaining, "5 against 3") == (
        "explained",
        "5 against 3, but explained by injection and random-model: what injection showed; what random-model showed",
    )
    why = "the control for wording could not be run: what wording showed; nor could length and random-sae"
    assert verdict_of([result("injection", "cannot tell"), *unread], "5 against 3") == (
        "inconclusive",
        f"5 against 3, but {why}",
    )


def test_what_each_left_is_said_in_order() -> None:
    """One clause each, with the share where there is one."""
    controls = [result("length"), replace(result("random-sae"), share=None)]
    said = "; +2 left of it (50 %) beside prompt length; +2 left of it beside random features"
    assert verdict_of(controls, "5 against 3") == ("supported", f"5 against 3{said}")


def test_contrasts_add_their_variances() -> None:
    """By Satterthwaite: (4 + 9) ^ 2 / (16 / 3 + 81 / 5)."""
    whole = Contrast(estimate=1.0, variance=4.0, freedom=3).plus(Contrast(estimate=2.0, variance=1.0, freedom=5), -3.0)
    assert (whole.estimate, whole.variance) == (-5.0, 13.0)
    assert whole.freedom == pytest.approx(13**2 / (16 / 3 + 81 / 5))
    assert whole.p(1.0, above=False, at_best=0.0) == pytest.approx(float(student.sf(5 / 13**0.5, whole.freedom)))


def test_a_contrast_without_error_has_the_p_that_its_units_can_reach() -> None:
    """Rounding beside the effect is no error; nothing left is not above nothing."""
    sure = Contrast(estimate=2.0, variance=1e-24, freedom=3)
    assert (sure.p(2.0, above=True, at_best=0.03), sure.interval(2.0, 0.9)) == (0.03, None)
    assert sure.p(2.0, above=False, at_best=0.03) == 1.0
    assert replace(sure, estimate=1e-12).p(2.0, above=True, at_best=0.03) == 1.0
    assert replace(sure, variance=1.0, freedom=0.5).p(2.0, above=True, at_best=0.0) == 1.0


@pytest.mark.parametrize(
    ("left", "half", "found", "answer"),
    [
        (2.0, 0.0, True, "withstood"),
        (1.0, -9.0, True, "explains"),  # L may be nothing, C is surely below it
        (1.0, -1.0, True, "cannot tell"),
        (2.0, -9.0, True, "withstood"),  # something is left, though less than half
        (2.0, 0.0, False, "cannot tell"),
        (1.0, -9.0, False, "cannot tell"),
    ],
)
def test_an_answer_follows_from_the_two_contrasts(left: float, half: float, found: bool, answer: str) -> None:  # noqa: FBT001
    """One-sided t(100) at 0.05 and 0.02: 1.66 and 2.08 standard errors."""
    made = Made(
        left=Contrast(estimate=left, variance=1.0, freedom=100), half=Contrast(estimate=half, variance=4.0, freedom=100)
    )
    control = answered("length", 4.0, made, Terms(), found=found, done="so", how="How.", unit="features")
    assert control.answer == answer
    assert control.share == left / 4
    assert control.numbers["p of L"] == control.p == pytest.approx(float(student.sf(left, 100)))
    assert control.numbers["p of C"] == pytest.approx(float(student.cdf(half / 2, 100)))
    assert control.rule.endswith("The interval of L has the level 90%. How.")


def judged(*controls: Control) -> Evidence:
    """9 above, in four templates each, of which nobody knows the styles' words."""
    a, b = (
        replace(numbered(style, means), words={})
        for style, means in (("novice", (10, 11, 12, 13)), ("expert", (1, 2, 3, 4)))
    )
    with recording(Recorder(controls=controls)):
        return a > b


def test_controls_run_in_the_order_declared() -> None:
    """All but `activity`, which belongs to exclusive features and is refused with the remedy."""
    names: tuple[Control, ...] = ("random-sae", "length", "wording", "random-model", "injection")
    assert tuple(control.name for control in judged(*names).controls) == names
    with pytest.raises(TypeError, match="activity cannot be applied to a comparison of two measurements: it is one of"):
        judged("activity")
    assert judged().controls == ()


def test_a_control_that_was_not_run_keeps_the_claims_own_estimate() -> None:
    """Nothing was examined, so nothing was taken."""
    (control,) = judged("random-sae").controls
    assert (control.estimate, control.interval, control.p, control.share) == (9.0, None, None, None)
    assert (control.answer, control.evidence) == ("cannot tell", None)
