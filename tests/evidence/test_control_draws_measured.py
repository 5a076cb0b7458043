"""Draws that are measured: both sides under each draw, and the claim on the prompts that the draws read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from controlled import TOPICS, failing, numbered, only_control, under_controls, unrun, worded

from saeprobe.claims import Control, NotRun
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement


def drawn(side: Measurement, means: Sequence[float], *, topics: Sequence[str] = TOPICS) -> Measurement:
    """The side, whose templates have one of these means each under the draw of that number."""
    templates = tuple(dict.fromkeys(prompt.template for prompt in side.prompts))

    def under(_control: Control, draw: int = 0) -> Measurement:
        return worded(side.label, dict.fromkeys(templates, means[draw]), topics=topics)

    return replace(side, under=under)


def compared(novice: Sequence[float], expert: Sequence[float], *, control: Control = "random-sae") -> Evidence:
    """A claim of 11.5 above 2.5, so by 360 %; the sides have these means under the draws."""
    sides = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
    return under_controls(drawn(sides[0], novice), drawn(sides[1], expert), control)


@pytest.mark.parametrize("name", ["random-model", "random-sae"])
def test_a_claim_is_measured_again_under_each_draw(name: Control) -> None:
    """30 above 10 and 40 above 10 are 200 % and 300 %, 250 % on average of 360 %; none shows as much."""
    evidence = compared([30.0, 40.0] * 20, [10.0] * 40, control=name)
    control = only_control(evidence)
    assert control.share == pytest.approx(1.1 / 3.6)
    assert control.estimate == pytest.approx(1.1 * 2.5)
    assert evidence.outcome == "supported"
    assert control.detail.endswith(
        "of the claim on the same 24 prompts, 32 at least half of it, +250 % on average, p = 0.03"
    )


def test_without_a_scale_the_draws_are_told_in_the_unit_of_the_measure() -> None:
    """The smaller side's mean is 0, of which 11.5 is no share: draws of 3 are 3 features."""
    novice, expert = numbered("novice", (10, 11, 12, 13)), numbered("expert", (-1.5, -0.5, 0.5, 1.5))
    control = only_control(under_controls(drawn(novice, [3.0] * 40), drawn(expert, [0.0] * 40), "random-sae"))
    assert (control.estimate, control.share) == (8.5, 8.5 / 11.5)
    assert (
        "0 of 32 draws of random features that fire as often as the SAE's show at least the +11.5 features"
        in control.detail
    )
    assert {one.side for one in control.unit_values} == {"l0 of novice > l0 of expert"}


def test_what_the_draws_showed_is_told_beside_the_claim() -> None:
    """1 above 10 is a tenth, of the claim's 2.5 a quarter."""
    evidence = compared([11.0] * 40, [10.0] * 40)
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("; +8.75 left of it (97 %) beside random features")


def test_the_claim_is_taken_on_the_prompts_that_were_read() -> None:
    """Draws read the second topic alone, whose level is 4 higher: the claim is 15.5 above 6.5 there, by 138.5 %."""
    sides = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
    there = [replace(side, under=lambda _control, _draw=0, side=side: _doubled(side, TOPICS[1])) for side in sides]
    control = only_control(under_controls(there[0], there[1], "random-sae"))
    assert "show at least the +138 % of the claim on the same 8 prompts, 20 at least half of it" in control.detail
    assert control.share == pytest.approx(0.0)


def _doubled(side: Measurement, topic: str) -> Measurement:
    """Twice the side on one topic: the same share of its smaller side."""
    chosen = [index for index, prompt in enumerate(side.prompts) if prompt.topic == topic]
    return replace(side, values=2 * side.values[chosen], prompts=tuple(side.prompts[index] for index in chosen))


def test_a_margin_is_no_part_of_what_draws_show() -> None:
    """It is in the claim's own unit, and draws have scales of their own: 6 show, whether 5 are asked for or none."""
    sides = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
    novice, expert = drawn(sides[0], [8.5] * 40), drawn(sides[1], [2.5] * 40)
    for smaller in (expert, expert + 5):
        with recording(Recorder(controls=("random-sae",))):
            evidence = novice > smaller
        assert only_control(evidence).numbers["R"] == pytest.approx(6 / 2.5)


@pytest.mark.parametrize("name", ["random-model", "random-sae"])
def test_every_draw_is_read_once_of_either_side(name: Control) -> None:
    """The same draw of both, one after the other; twenty, where all are as large."""
    asked: list[tuple[str | int, ...]] = []

    def under(side: Measurement) -> Measurement:
        def read(*how: Control | int) -> Measurement:
            asked.append((side.label, *how))
            return replace(side, values=2 * side.values)

        return replace(side, under=read)

    sides = under(numbered("novice", (10, 11, 12, 13, 14))), under(numbered("expert", (1, 2, 3, 4, 5)))
    under_controls(*sides, name)
    assert asked == [(side, name, draw) for draw in range(20) for side in ("novice", "expert")]


@pytest.mark.parametrize("name", ["random-model", "random-sae"])
def test_a_measure_that_no_draw_changes_is_refused(name: Control) -> None:
    """The length of a prompt is the same whatever is drawn, and no rival; one draw that differs makes it a measure."""
    sides = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
    same = [replace(side, under=lambda _control, _draw=0, side=side: side) for side in sides]
    with pytest.raises(TypeError) as refused:
        under_controls(same[0], same[1], name)
    assert str(refused.value) == (
        f"{name} says nothing about l0 of novice > l0 of expert, which is the same under all draws; "
        "take it from controls=... of the claim"
    )
    once = replace(sides[1], under=lambda _control, draw=0: replace(sides[1], values=sides[1].values + (draw == 7)))
    assert only_control(under_controls(same[0], once, name)).p is not None


def test_rates_are_held_against_draws_as_they_are() -> None:
    """Nearly always beside a third: draws of 17 % against 2 % differ by 15 points, which is no 750 %."""
    sides = [
        replace(numbered(style, rates), unit="share of prompts")
        for style, rates in (("novice", (0.9, 1, 1, 1)), ("expert", (0.3, 0.4, 0.3, 0.5)))
    ]
    draws = [0.17, 0.0] * 20, [0.02, 0.15] * 20
    novice, expert = (drawn(side, means) for side, means in zip(sides, draws, strict=True))
    evidence = under_controls(novice, expert, "random-sae")
    control = only_control(evidence)
    assert evidence.outcome == "supported"
    assert control.p == pytest.approx(1 / 33)
    assert control.estimate == pytest.approx(0.6)
    assert "+60 points of the claim on the same 24 prompts, 0 at least half of it, +0 points on" in control.detail


@pytest.mark.parametrize("which", [0, 1])
def test_draws_that_cannot_be_read_leave_it_open(which: int) -> None:
    """The reason is the control's; also where the claim asks for more draws than the plan read."""
    sides = [
        drawn(numbered("novice", (10, 11, 12, 13)), [1.0] * 40),
        drawn(numbered("expert", (1, 2, 3, 4)), [1.0] * 40),
    ]
    sides[which] = failing(sides[which], lambda: NotRun("draw 20 was not read; 20 were"))
    evidence = under_controls(sides[0], sides[1], "random-sae")
    assert only_control(evidence) == unrun("random-sae", "draw 20 was not read; 20 were")
    assert evidence.outcome == "inconclusive"
    assert "could not be run: draw 20 was not read; 20 were" in evidence.reason
