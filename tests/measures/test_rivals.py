"""Rivals of evidence that is made on features: the results of their controls as a whole, by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from by_hand import crossed, features

from saeprobe.claims import Control
from saeprobe.evidence.controls.draws import BothSides, Effect, run_rivals
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder, UnitValue, recording
from saeprobe.features import Features
from saeprobe.measures import exclusive_features
from saeprobe.measures.reading import refuse_others

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


@pytest.mark.parametrize(
    ("read", "estimate", "found", "told"),
    [
        (((1, 1, 1, 0, 0), (0, 0, 0, 1, 1)), 1, "3 against 2 features, p = 0.029 under permuted labels: more than", 33),
        (((1, 1, 1, 0, 0), (0, 0, 0, 0, 1)), 2, "3 against 1 features, p = 0.029 under permuted labels: more than", 67),
    ],
)
def test_pasted_words_make_the_same_comparison_again(
    read: tuple[tuple[float, ...], tuple[float, ...]], estimate: int, found: str, told: int
) -> None:
    """Of a claim of 4 - 1 = 3 features a third stays, and two thirds are more than they leave; the whole is kept."""
    there = styles(*read)
    of = read_as(styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), "injection", there)
    (control,) = compared(of, "injection").controls
    assert control == ControlResult(
        name="injection",
        explains=told > 50,
        estimate=estimate,
        interval=None,
        p=2 / 70,
        share=estimate / 3,
        evidence=compared(there),
        detail=f"{PASTED} {found} chance; {told} % of the effect",
    )


def made(estimate: float | None, p: float | None) -> Evidence:
    """Evidence of so large an effect at such a p."""
    return Evidence(
        kind="exclusive",
        statement="more > fewer",
        outcome="inconclusive",
        reason="so many",
        scope="these prompts only",
        unit="features",
        estimate=estimate,
        interval=(-1.5, 2.5),
        p=p,
    )


def none_shown(_sides: BothSides) -> Effect:
    """What draws would show; the words that are pasted are no draws."""
    raise AssertionError("a comparison is made of pasted words, and no effect is drawn")


@pytest.mark.parametrize(
    ("claim", "estimate", "p", "found", "share", "explains", "told"),
    [
        (4.0, 2.0, 0.049, True, 0.5, True, "; 50 % of the effect"),  # as much as it leaves
        (4.0, 1.0, 0.049, True, 0.25, False, "; 25 % of the effect"),
        (4.0, 6.0, 0.001, True, 1.5, True, "; 150 % of the effect"),
        (4.0, 4.0, 0.001, False, 1.0, False, "; 100 % of the effect"),  # the claim itself found nothing
        (4.0, 4.0, 0.05, True, 1.0, False, "; 100 % of the effect"),  # not below alpha
        (4.0, -4.0, 0.001, True, -1.0, False, "; -100 % of the effect"),  # the contrary
        (4.0, 2.0, None, True, 0.5, False, ""),  # nothing to permute
        (4.0, None, 0.001, True, None, False, ""),
        (4.0, None, None, True, None, False, ""),
        (0.0, 2.0, 0.001, True, None, False, ""),  # no effect to be a share of
        (None, 2.0, 0.001, True, None, False, ""),
    ],
)
def test_pasted_words_explain_what_they_bring_about_half_of(
    claim: float | None,
    estimate: float | None,
    p: float | None,
    found: bool,  # noqa: FBT001
    share: float | None,
    explains: bool,  # noqa: FBT001
    told: str,
) -> None:
    """At least half of the claim's effect, at a p below alpha, where the claim found something at all."""
    there = styles((0, 1), (1, 0))
    of = read_as(styles((1, 0), (0, 1)), "injection", there)
    asked: list[BothSides] = []

    def again(sides: BothSides, unasked: Recorder) -> Evidence:
        assert (unasked.controls, unasked.alpha) == ((), 0.05)
        asked.append(sides)
        return made(estimate, p)

    sides, terms = (of["novice"], of["expert"]), Recorder(controls=("injection",))
    (control,) = run_rivals(sides, made(claim, 0.01), again, none_shown, found=found, terms=terms, own={})
    assert control == ControlResult(
        name="injection",
        explains=explains,
        estimate=estimate or 0.0,
        interval=(-1.5, 2.5),
        p=p,
        share=share,
        evidence=made(estimate, p),
        detail=f"{PASTED} so many{told}",
    )
    ((novice, expert),) = asked
    np.testing.assert_array_equal(novice.acts.toarray(), there["novice"].acts.toarray())
    np.testing.assert_array_equal(expert.acts.toarray(), there["expert"].acts.toarray())


def test_what_was_not_read_is_told_and_explains_nothing() -> None:
    """A capture without the neutral prompts: no p, and why."""
    of = styles((1, 0), (0, 1))
    (control,) = compared(of, "injection").controls
    assert control == ControlResult(
        name="injection",
        answer="withstood",
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
        for draw in range(20)
    ]
    evidence = compared(read_as(of, "random-sae", *draws), "random-sae")
    assert evidence.estimate == 3
    (control,) = evidence.controls
    own = control.evidence
    assert own is not None
    statement = "features exclusive to novice > features exclusive to expert"
    # where no feature of novice fires, its scale is the claim's, which is one feature too
    assert own.unit_values == tuple(
        UnitValue(side=statement, unit=f"draw {draw}", value=draw % 4 - 1) for draw in range(20)
    )
    assert own.statement == f"{statement}, in draws of random features that fire as often as the SAE's"
    assert own.scope == "draws of what is random, on these 8 prompts"
    assert control.detail == (
        "20 draws of random features that fire as often as the SAE's show +50 % on average, 5 of them at least the "
        "+200 % of the claim on the same 8 prompts"
    )
    assert (control.p, control.share, control.explains) == (6 / 21, 0.25, False)


def test_a_control_of_another_kind_is_refused_with_those_that_are_taken() -> None:
    """The first one that is not known is named, with what to ask instead where there is something."""
    refuse_others("clusters", ("labels", "injection"), ("injection", "labels"))
    refuse_others("clusters", (), ("labels",))
    with pytest.raises(
        TypeError, match=r"^the control length cannot be applied to clusters; it takes: labels, injection$"
    ):
        refuse_others("clusters", ("labels", "length", "wording"), ("labels", "injection"))
    with pytest.raises(TypeError, match=r"^the control wording cannot be applied to counts, ask so; it takes: labels$"):
        refuse_others("counts", ("wording",), ("labels",), remedy=", ask so")


def test_shuffled_labels_are_refused_where_the_test_shuffles_them() -> None:
    """A control that can refute nothing is none; the kind's own remedy speaks of other controls."""
    told = (
        "the control labels cannot be applied to clusters; the p of the claim is itself counted over permuted labels, "
        "so that the control could refute nothing; it takes: injection"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(told)}$"):
        refuse_others("clusters", ("labels",), ("injection",), remedy="; ask so")
