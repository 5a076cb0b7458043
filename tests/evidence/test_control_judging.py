"""Judging controls: one that explains refutes, one that is open or was not run leaves open, the others are told."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from controlled import elsewhere, numbered, under_controls

from saeprobe.claims import Control
from saeprobe.evidence.controls import share_of, summary_of, verdict_of
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder, recording

ALPHA = 0.05


def result(
    name: Control = "length",
    *,
    p: float | None = 0.01,
    left: float = 2.0,
    share: float | None = 1.0,
    explains: bool = False,
) -> ControlResult:
    """A control's result; the word says whether the effect is to persist."""
    expects = "persists" if name in {"length", "wording", "activity"} else "absent"
    return ControlResult(
        name=name,
        expects=expects,
        explains=explains,
        estimate=left,
        interval=None,
        p=p,
        detail=f"what {name} showed",
        share=share,
    )


def test_no_control_decides_nothing() -> None:
    """Where none was declared the claim's own numbers decide."""
    assert verdict_of((), "5 against 3", ALPHA) is None
    assert summary_of(()) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("length", "explained by length: what length showed"),
        ("wording", "explained by wording: what wording showed"),
        ("activity", "explained by activity: what activity showed"),
        ("injection", "reproduced by injection: what injection showed"),
        ("reproduced by labels: what labels showed"),
        ("random-model", "reproduced by random-model: what random-model showed"),
        ("random-sae", "reproduced by random-sae: what random-sae showed"),
    ],
)
def test_a_control_that_explains_refutes_by_name(name: Control, reason: str) -> None:
    """What was to persist is explained by the rival, what was to be absent is reproduced by it."""
    assert verdict_of([result(name, explains=True)], "5 against 3", ALPHA) == ("refuted", reason)


@pytest.mark.parametrize(
    ("name", "rival"),
    [
        ("length", "prompt length"),
        ("wording", "the styles' own words"),
    ],
)
def test_an_effect_that_may_be_gone_leaves_the_claim_open(name: Control, rival: str) -> None:
    """What is left is not told from nothing, and not small enough to be nothing."""
    judged = verdict_of([result(name, p=0.3, share=0.3)], "5 against 3", ALPHA)
    assert judged == ("inconclusive", f"5 against 3, but not distinguished from {rival}: what {name} showed")


@pytest.mark.parametrize(
    ("name", "rival"),
    [
        ("injection", "the styles' own words"),
    ],
)
def test_a_rival_that_may_be_there_leaves_the_claim_open(name: Control, rival: str) -> None:
    """A rival as large as half of the effect that could be chance is not ruled out."""
    judged = verdict_of([result(name, p=0.3, share=0.5)], "5 against 3", ALPHA)
    assert judged == ("inconclusive", f"5 against 3, but not distinguished from {rival}: what {name} showed")
    assert verdict_of([result(name, p=ALPHA, share=0.5)], "5 against 3", ALPHA) == judged
    assert verdict_of([result(name, p=ALPHA - 1e-9, share=0.5)], "5 against 3", ALPHA) is None
    assert verdict_of([result(name, p=0.3, share=0.49)], "5 against 3", ALPHA) is None
    assert verdict_of([result(name, p=0.01, share=0.49)], "5 against 3", ALPHA) is None


@pytest.mark.parametrize(("name", "rival"), [("random-model", "a random model"), ("random-sae", "random features")])
def test_a_claim_among_the_draws_is_open(name: Control, rival: str) -> None:
    """However small they are on average: p is the rank of the claim among them."""
    judged = verdict_of([result(name, p=ALPHA, share=0.1)], "5 against 3", ALPHA)
    assert judged == ("inconclusive", f"5 against 3, but not distinguished from {rival}: what {name} showed")
    assert verdict_of([result(name, p=ALPHA - 1e-9, share=0.9)], "5 against 3", ALPHA) is None


def test_all_that_are_against_a_claim_are_named() -> None:
    """What explains before what reproduces, each with what it showed; the others are left out."""
    controls = [
        result("injection", explains=True),
        result("length", explains=True),
        result("random-model", p=None),
        result("random-sae", explains=True),
    ]
    assert verdict_of(controls, "5 against 3", ALPHA) == (
        "refuted",
        (
            "explained by length: what length showed; "
            "reproduced by injection and random-sae: what injection showed; what random-sae showed"
        ),
    )
    three = [result(name, explains=True) for name in ("injection", "random-sae")]
    judged = verdict_of(three, "5 against 3", ALPHA)
    assert judged is not None
    assert judged[1].startswith("reproduced by injection, labels and random-sae: what injection showed; what labels")


@pytest.mark.parametrize("name", ["length", "wording", "injection", "random-model", "random-sae", "activity"])
def test_a_control_that_was_not_run_leaves_the_claim_open(name: Control) -> None:
    """Whichever it is, and whatever was estimated."""
    judged = verdict_of([result(name, p=None, share=None)], "5 against 3", ALPHA)
    why = f"5 against 3, but the control for {name} could not be run: what {name} showed"
    assert judged == ("inconclusive", why)


@pytest.mark.parametrize("share", [None, 0.9])
def test_labels_are_not_open(share: float | None) -> None:
    """Found or not found: shuffles have no third."""
    assert verdict_of([result(p=0.9, share=share)], "5 against 3", ALPHA) is None


def test_what_is_left_must_be_above_zero() -> None:
    """A rest of zero or below that is told from zero is no rest of the effect."""
    for left in (-1.0, 0.0):
        judged = verdict_of([result("length", p=0.01, left=left, share=left / 2)], "5 against 3", ALPHA)
        assert judged == ("inconclusive", "5 against 3, but not distinguished from prompt length: what length showed")


def test_p_at_alpha_is_not_below_it() -> None:
    """The control has to be passed as the claim has to be found."""
    assert verdict_of([result("length", p=ALPHA)], "", ALPHA) is not None
    assert verdict_of([result("length", p=ALPHA - 1e-9)], "", ALPHA) is None
    assert verdict_of([result("random-sae", p=ALPHA)], "", ALPHA) is not None


def test_half_of_the_effect_is_enough_for_wording_alone() -> None:
    """Fewer prompts are read without the words; at equal length all of them are."""
    assert verdict_of([result("wording", p=0.2, share=0.5)], "", ALPHA) is None
    assert verdict_of([result("wording", p=0.2, share=0.49)], "", ALPHA) is not None
    assert verdict_of([result("wording", p=0.2, share=None)], "", ALPHA) is not None
    assert verdict_of([result("length", p=0.2, share=0.9)], "", ALPHA) is not None


def test_evidence_against_goes_before_what_is_open() -> None:
    """A control that could not be run does not hide another that explains the effect."""
    controls = [result("length", p=None), result("wording", p=0.4, share=0.1), result("random-sae", explains=True)]
    judged = verdict_of(controls, "5 against 3", ALPHA)
    assert judged == ("refuted", "reproduced by random-sae: what random-sae showed")


def test_the_first_that_is_open_is_told() -> None:
    """In the order in which they were declared."""
    unread = [result("wording", p=None), result("length", p=None), result("random-sae", p=None)]
    why = "the control for wording could not be run: what wording showed; nor could length and random-sae"
    judged = verdict_of([result("injection", share=0.1), *unread, result("labels")], "5 against 3", ALPHA)
    assert judged == ("inconclusive", f"5 against 3, but {why}")
    judged = verdict_of([result("injection", p=0.3, share=0.9), *unread], "5 against 3", ALPHA)
    assert judged == (
        "inconclusive",
        "5 against 3, but not distinguished from the styles' own words: what injection showed",
    )


def test_what_each_left_is_told_in_order() -> None:
    """One clause each, and none for one that was not run."""
    controls = [
        result("length", left=2.0),
        result("wording", left=1.5),
        result("injection", left=0.25),
        result("labels"),
        result("random-model", left=-0.5),
        result("random-sae", left=0.125),
        result("length", p=None),
    ]
    assert summary_of(controls) == (
        "; +2 with prompt length held equal"
        "; +1.5 without the styles' own words"
        "; +0.25 from the styles' own words alone"
        "; what labels showed"
        "; -0.5 in a random model"
        "; +0.125 with random features"
    )


def test_a_share_of_nothing_is_none() -> None:
    """Parts of zero are no shares."""
    assert share_of(1.0, 4.0) == 0.25
    assert share_of(-1.0, 4.0) == -0.25
    assert share_of(1.0, 0.0) is None


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
    refused = (
        "activity is a control of exclusive features, and l0 of novice > l0 of expert counts none; "
        "take it from controls=... of the claim, or put the comparison into a claim of its own"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(refused)}$"):
        judged("activity")
    assert judged().controls == ()


def test_a_control_that_was_not_run_keeps_the_claims_own_estimate() -> None:
    """Nothing was examined, so nothing was taken."""
    (control,) = judged("random-sae").controls
    assert (control.estimate, control.interval, control.p, control.share) == (9.0, None, None, None)
    assert (control.expects, control.explains, control.evidence) == ("absent", False, None)


def test_what_persists_has_to_persist_beyond_the_margin() -> None:
    """9 above is 4 beyond 5, of which other wordings leave all: it is those 4 that no rival may account for."""
    with recording(Recorder(controls=("wording",))):
        beyond = numbered("novice", (10, 11, 12, 13)) > numbered("expert", (1, 2, 3, 4)) + 5
    (control,) = beyond.controls
    assert (control.estimate, control.share) == (4.0, 1.0)
    assert control.detail == ("in the 4 + 4 wordings without 'novice' and 'expert' +4 features of +4 are left")


def test_words_are_held_against_the_whole_difference_also_beyond_a_margin() -> None:
    """9 above is 4 beyond 5. Words alone bring about 6, two thirds of the 9, though but 1 of them lies beyond 5."""
    novice = elsewhere(numbered("novice", (10, 11, 12, 13)), (7, 8, 9, 10))
    expert = elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4))
    assert under_controls(novice, expert, "injection").outcome == "refuted"
    with recording(Recorder(controls=("injection",))):
        beyond = novice > expert + 5
    assert beyond.outcome == "refuted"
    assert beyond.controls[0].share == pytest.approx(6 / 9)
    assert "the difference is +6 features" in beyond.controls[0].detail
    assert "against +9" in beyond.controls[0].detail
