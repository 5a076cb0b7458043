"""Draws: a claim has a rank among random models or random SAEs, of which no more are read than it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pytest
from controlled import numbered

from saeprobe.claims import Control
from saeprobe.evidence import ControlResult, Terms
from saeprobe.evidence.controls import verdict_of
from saeprobe.evidence.controls.draws import Drawing, Effect, drawing_at, draws_control
from saeprobe.evidence.values import Measurement

CLAIM = 9.0


def judged(
    sizes: Sequence[float],
    *,
    claim: float = CLAIM,
    scales: Sequence[float | None] | None = None,
    name: Control = "random-sae",
    found: bool = True,
    alpha: float = 0.05,
) -> ControlResult:
    """Draws of these sizes beside the claim; `scales` are the claim's, then the draws'."""
    of_claim, *others = scales or [None] * (len(sizes) + 1)
    base = numbered("novice", (1.0, 2.0))

    def under(_control: Control, draw: int = 0) -> Measurement:
        return replace(base, values=np.full(6, float(draw)), label="draw")

    def effect(sides: tuple[Measurement, ...]) -> Effect:
        if sides[0].label != "draw":
            return Effect(size=claim, scale=of_claim)
        draw = int(sides[0].values[0])
        return Effect(size=sizes[draw], scale=others[draw])

    return draws_control(
        name,
        (replace(base, under=under),),
        effect,
        statement="l0 of novice > l0 of expert",
        unit="features",
        own=CLAIM,
        found=found,
        terms=Terms(alpha=alpha),
    )


def large(*draws: int, size: float = CLAIM, other: float = 0.0) -> list[float]:
    """Forty draws, of which these are of that size, and the rest of another."""
    return [size if draw in draws else other for draw in range(40)]


def outcome(control: ControlResult) -> str:
    """What becomes of a claim under this control alone."""
    decided = verdict_of([control], "9 more")
    return "supported" if decided is None else decided[0]


@pytest.mark.parametrize(
    ("as_large", "read", "p", "answer"),
    [
        ((), 32, 1 / 33, "withstood"),  # none at the look
        ((35,), 32, 1 / 33, "withstood"),  # what comes behind it is not read
        ((3,), 40, 2 / 41, "withstood"),  # one of all
        ((3, 39), 40, 2 / 40, "cannot tell"),
        ((3, 25), 26, 2 / 26, "cannot tell"),  # two are settled at once
        ((3, 4), 20, 2 / 20, "cannot tell"),  # but twenty are read at least
        (tuple(range(40)), 20, 1.0, "explains"),
    ],
)
def test_draws_are_read_until_the_rank_is_settled(as_large: tuple[int, ...], read: int, p: float, answer: str) -> None:
    """None of 32, or one of 40, is above the draws; a second one as large is not."""
    control = judged(large(*as_large))
    assert (control.numbers["draws"], control.p, control.answer) == (read, pytest.approx(p), answer)
    assert len(control.unit_values) == read
    assert outcome(control) == {"withstood": "supported", "explains": "explained"}.get(answer, "inconclusive")


def test_the_size_of_the_plan_is_that_of_all_orders() -> None:
    """A claim that is a draw itself: of all ranks and all places of the draws above it, so many withstand."""
    plan = Drawing(most=7, allowed=1, look=4)
    withstood = 0.0
    for above in range(8):  # each rank is as likely
        places = list(combinations(range(7), above))
        kept = [these for these in places if above <= 1 or not any(place < 4 for place in these)]
        withstood += len(kept) / len(places) / 8
    assert plan.size == pytest.approx(withstood)


@pytest.mark.parametrize(
    ("plan", "size"),
    [
        (Drawing(most=40, allowed=1, look=32), 0.0498),
        (Drawing(most=80, allowed=3, look=48), 0.0498),
        (Drawing(most=100, allowed=4, look=60), 0.0496),
    ],
)
def test_published_plans_have_their_sizes(plan: Drawing, size: float) -> None:
    """To four digits; a claim that looks after twenty draws and then at a hundred would have 6.4 %."""
    assert plan.size == pytest.approx(size, abs=5e-5)
    (first, second), m = (20, 100), 100
    naive = (4 + 1) / (m + 1) + sum(comb(m - rank, first) for rank in range(5, m + 1)) / comb(m, first) / (second + 1)
    assert naive == pytest.approx(0.064, abs=2e-3)


@pytest.mark.parametrize("alpha", [0.2, 0.1, 0.05, 0.025, 0.01, 0.005])
def test_the_plan_keeps_alpha_and_looks_as_early_as_it_may(alpha: float) -> None:
    """Its size lies below alpha; one draw more that is allowed, or an earlier look, would not keep it."""
    plan = drawing_at(alpha)
    assert plan.size < alpha
    assert plan.most >= max(40, int(1 / alpha))
    assert (plan.allowed + 2) / (plan.most + 1) >= alpha
    assert plan.look == 20 or replace(plan, look=plan.look - 1).size >= alpha


@pytest.mark.parametrize(("reach", "answer"), [(16, "explains"), (15, "cannot tell")])
def test_draws_explain_where_surely_more_than_half_reach_half(reach: int, answer: str) -> None:
    """Of 20 draws 16: P(Binomial(20, 1/2) >= 16) = 0.0059, and 15 has 0.0207; two are as large as the claim."""
    control = judged([CLAIM, CLAIM, *[CLAIM / 2] * (reach - 2), *[0.0] * (20 - reach)])
    assert control.numbers["half as large"] == reach
    assert control.numbers["p of half"] == pytest.approx(sum(comb(20, k) for k in range(reach, 21)) / 2**20)
    assert control.answer == answer


def test_a_claim_above_draws_of_half_of_it_withstands() -> None:
    """Half is left, and surely something."""
    control = judged(large(size=0.0, other=4.5))
    assert (control.answer, control.share, control.estimate) == ("withstood", 0.5, 4.5)


@pytest.mark.parametrize("times", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("scaled", [False, True])
def test_effects_of_any_size_are_held_against_one_another_alike(times: float, scaled: bool) -> None:  # noqa: FBT001
    """Whether activations are counted in millions or in millionths; rounding counts as as large."""
    small = 0.1 if scaled else 1
    sizes = [times * small * size for size in (CLAIM * (1 - 1e-12), CLAIM * (1 + 1e-12), *[4.5] * 38)]
    control = judged(sizes, claim=times * CLAIM, scales=[times * 2.5, *[times * 0.25] * 40] if scaled else None)
    assert (control.numbers["as large"], control.answer) == (2, "explains")
    assert control.estimate == pytest.approx(times * CLAIM * (1 - (2 + 18 / 2) / 20))


def test_draws_are_held_against_the_claim_in_shares() -> None:
    """9 on 2.5 are 360 %; draws of 0.9 on 0.25 and of 36 on 10 are as much, each on its own scale."""
    control = judged([0.9, 36.0] * 20, scales=[2.5, *[0.25, 10.0] * 20])
    assert (control.share, control.estimate) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert (
        "20 of 20 draws of random features that fire as often as the SAE's show at least the +360 % of"
        in control.detail
    )
    assert [one.value for one in control.unit_values] == pytest.approx([3.6] * 20)


@pytest.mark.parametrize(
    "scales", [[0.0, *[1.0] * 40], [-2.5, *[1.0] * 40], [2.5, -1.0, *[1.0] * 39], [2.5, *[None] * 40]]
)
def test_without_a_scale_everywhere_there_are_no_shares(scales: list[float | None]) -> None:
    """A smaller side of zero of the claim, or of less of a draw, and all are held against one another as they are."""
    control = judged([3.0] * 40, scales=scales)
    assert control.estimate == pytest.approx(6.0)
    assert "+3 features on average" in control.detail


def test_a_draw_without_a_smaller_side_leaves_the_others_their_scales() -> None:
    """19 draws of 0.09 on 0.025 are 360 % each, as the claim's 9 on 2.5; one of 0.5 on nothing is 20 % of 2.5."""
    control = judged([0.09] * 19 + [0.5], scales=[2.5, *[0.025] * 19, 0.0])
    assert [one.value for one in control.unit_values] == pytest.approx([3.6] * 19 + [0.2])
    assert control.answer == "explains"


def test_a_claim_that_is_not_found_is_not_explained() -> None:
    """A control judges nothing where the claim's own comparison is open."""
    assert judged([CLAIM] * 40, found=False).answer == "cannot tell"
    assert judged([0.0] * 40, found=False).answer == "cannot tell"


@pytest.mark.parametrize("claim", [0.0, -9.0])
def test_a_claim_that_shows_nothing_there_is_open(claim: float) -> None:
    """On the prompts that the draws read there is nothing to be a share of, and every draw is as large."""
    control = judged([5.0] * 40, claim=claim)
    assert (control.share, control.answer, control.p) == (None, "cannot tell", 1.0)


def test_a_reader_can_work_it_out_again() -> None:
    """The draws stand in the result by number, with what was counted and the rule."""
    control = judged(large(0, other=4.0), name="random-model")
    assert [(unit.unit, unit.value) for unit in control.unit_values[:2]] == [("draw 0", 9.0), ("draw 1", 4.0)]
    assert control.numbers == {
        "D": 9.0,
        "R": pytest.approx((9 + 39 * 4) / 40),
        "draws": 40,
        "as large": 1,
        "half as large": 1,
        "p of half": pytest.approx(1.0),
    }
    assert control.detail == (
        "1 of 40 draws of a model of the same shape with random weights show at least the +9 features of the claim on "
        "the same 6 prompts, 1 at least half of it, +4.12 features on average, p = 0.049"
    )
    assert "none of the first 32 draws is as large as the claim, or at most 1 of 40 are" in control.rule
