"""Rivals of evidence that is made on features: the results of their controls as a whole, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from by_hand import crossed, features

from saeprobe.claims import Control
from saeprobe.evidence import ControlResult, Evidence, Recorder, UnitValue, recording
from saeprobe.evidence.controls import Contrast, refuse_others
from saeprobe.evidence.controls.adjusting import run_rivals
from saeprobe.evidence.controls.draws import BothSides, Effect
from saeprobe.features import Features
from saeprobe.measures import exclusive_features

TOPICS = ("tides", "yeast")
PASTED = "with the styles' own words pasted into neutral prompts"


def styles(novice: tuple[float, ...], expert: tuple[float, ...], *, topics: tuple[str, ...] = TOPICS) -> Features:
    """The same activations on every prompt of a style, under four templates."""
    rows = crossed("novice", novice, templates="ABCD", topics=topics)
    return features(rows + crossed("expert", expert, templates="ABCD", topics=topics))


def read_as(of: Features, control: Control, *read: Features) -> Features:
    """The capture with what a control reads, a draw each."""
    return replace(of, conditions={control: [lambda these=these: these for these in read]})


def compared(of: Features, *controls: Control) -> Evidence:
    """Features exclusive to novice beside those exclusive to expert."""
    novice, expert = of["novice"], of["expert"]
    with recording(Recorder(controls=controls)):
        return exclusive_features(novice, expert) > exclusive_features(expert, novice)


def test_pasted_words_come_off_with_the_error_of_both() -> None:
    """Of a claim of 4 - 1 = 3 features two are there under pasted words too; nothing varies between the wordings."""
    there = styles((1, 1, 1, 0, 0), (0, 0, 0, 0, 1))
    of = read_as(styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), "injection", there)
    (control,) = compared(of, "injection").controls
    assert (control.name, control.answer, control.evidence) == ("injection", "withstood", compared(there))
    assert (control.estimate, control.share) == (1.0, pytest.approx(1 / 3))
    assert control.detail.startswith(
        f"{PASTED} 3 against 1 features, p = 0.029 under permuted labels: more than chance;"
    )


@pytest.mark.parametrize(
    ("made_on", "made_alone", "answer"),
    [
        ((8.0, 1.0), (1.0, 0.5), "withstood"),
        ((8.0, 1.0), (7.0, 1.0), "explains"),  # L = 1 +- 1.4, C = 4 - 7 = -3 +- 1.1
        ((8.0, 1.0), (7.0, 4.0), "cannot tell"),
    ],
)
def test_an_estimate_with_its_error_is_held_against_that_of_pasted_words(
    made_on: tuple[float, float], made_alone: tuple[float, float], answer: str
) -> None:
    """L = D - R and C = D / 2 - R, each with the errors of both on 100 degrees of freedom."""
    of = read_as(styles((1, 0), (0, 1)), "injection", styles((0, 1), (1, 0)))
    sides, terms = (of["novice"], of["expert"]), Recorder(controls=("injection",))
    errors = {made_on[0]: made_on[1], made_alone[0]: made_alone[1]}

    def error(evidence: Evidence) -> Contrast:
        assert evidence.estimate is not None
        return Contrast(estimate=evidence.estimate, variance=errors[evidence.estimate] ** 2, freedom=100)

    (control,) = run_rivals(
        sides,
        made(made_on[0]),
        lambda _sides, _terms: made(made_alone[0]),
        none_shown,
        terms,
        error=error,
    ).controls
    assert control.answer == answer
    assert control.numbers["error of L"] == pytest.approx((made_on[1] ** 2 + made_alone[1] ** 2) ** 0.5)
    assert control.numbers["error of C"] == pytest.approx((made_on[1] ** 2 / 4 + made_alone[1] ** 2) ** 0.5)


@pytest.mark.parametrize(("alone", "answer"), [(1.0, "withstood"), (2.0, "cannot tell"), (3.0, "explains")])
def test_what_a_test_confirmed_is_counted(alone: float, answer: str) -> None:
    """Of four confirmed features the words alone bring about less than half, half, or more."""
    of = read_as(styles((1, 0), (0, 1)), "injection", styles((0, 1), (1, 0)))
    (control,) = run_rivals(
        (of["novice"], of["expert"]),
        made(4.0),
        lambda _sides, _terms: made(alone),
        none_shown,
        Recorder(controls=("injection",)),
        error=None,
    ).controls
    assert (control.answer, control.share) == (answer, 1 - alone / 4)


def made(estimate: float) -> Evidence:
    """Evidence of so large an effect."""
    return Evidence(
        kind="greater",
        statement="more > fewer",
        outcome="inconclusive",
        reason="so many",
        scope="these prompts only",
        unit="features",
        estimate=estimate,
        p=0.01,
    )


def none_shown(_sides: BothSides) -> Effect:
    """What draws would show; the words that are pasted are no draws."""
    raise AssertionError("a comparison is made of pasted words, and no effect is drawn")


def test_what_was_not_read_is_told_and_explains_nothing() -> None:
    """A capture without the neutral prompts: no p, and why."""
    of = styles((1, 0), (0, 1))
    (control,) = compared(of, "injection").controls
    assert control == ControlResult(
        name="injection",
        answer="cannot tell",
        estimate=0.0,
        interval=None,
        p=None,
        detail="nothing was read for the control injection on hand",
    )


def test_every_draw_is_shown_once_beside_the_claim_on_the_same_prompts() -> None:
    """Draws read one of two topics. Draw k shows k % 4 features of novice alone and one of expert: -1 to 2 of one.

    On that topic novice has 3 features of its own and expert one: 2, though on both topics novice has a fourth.
    """
    rows = crossed("novice", (1, 1, 1, 0, 0), templates="ABCD", topics=TOPICS[:1])
    rows += crossed("novice", (1, 1, 1, 1, 0), templates="ABCD", topics=TOPICS[1:])
    of = features(rows + crossed("expert", (0, 0, 0, 0, 1), templates="ABCD", topics=TOPICS))
    draws = [
        styles(tuple(float(place < draw % 4) for place in range(5)), (0, 0, 0, 0, 1), topics=TOPICS[:1])
        for draw in range(40)
    ]
    evidence = compared(read_as(of, "random-sae", *draws), "random-sae")
    assert evidence.estimate == 3
    (control,) = evidence.controls
    statement = "features exclusive to novice > features exclusive to expert"
    # where no feature of novice fires, its scale is the claim's, which is one feature too
    assert control.unit_values == tuple(
        UnitValue(side=statement, unit=f"draw {draw}", value=draw % 4 - 1) for draw in range(20)
    )
    assert control.detail == (
        "5 of 20 draws of random features that fire as often as the SAE's show at least the +200 % of the claim on the "
        "same 8 prompts, 10 at least half of it, +50 % on average, p = 0.25"
    )
    assert (control.p, control.share, control.answer) == (5 / 20, 0.75, "cannot tell")


def test_a_control_of_another_kind_is_refused_with_those_that_are_taken() -> None:
    """The first one that is not known is named, and whose it is."""
    refuse_others("clusters", ("injection", "random-sae"))
    refuse_others("a scan", ())
    refused = (
        r"^the control length cannot be applied to clusters: it is one of a comparison of two measurements; there are "
        r"here: injection, random-model, random-sae\. Take it from controls="
    )
    with pytest.raises(TypeError, match=refused):
        refuse_others("clusters", ("injection", "length", "wording"))
