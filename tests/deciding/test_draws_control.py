"""Draws: a claim beside twenty random models or random SAEs; they reproduce it, it withstands them, or it is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from controlled import TOPICS, failing, numbered, only_control, under_controls, worded

from saeprobe.claims import Control
from saeprobe.controls import Effect, judged_draws, n_draws, verdict_of
from saeprobe.evidence import ControlResult, Evidence, Recorder, recording
from saeprobe.measurement import Measurement
from saeprobe.verdicts import NotRun

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
    return judged_draws(
        name,
        Effect(size=claim, scale=of_claim),
        [Effect(size=size, scale=scale) for size, scale in zip(sizes, others, strict=True)],
        statement="l0 of novice > l0 of expert",
        unit="features",
        prompts=1200,
        found=found,
        terms=Recorder(alpha=alpha),
    )


def outcome(control: ControlResult, *, alpha: float = 0.05) -> str:
    """What becomes of a claim under this control alone."""
    decided = verdict_of([control], "9 more", alpha)
    return "supported" if decided is None else decided[0]


def around(mean: float) -> list[float]:
    """Twenty draws, ten 1 above the mean and ten 1 below it."""
    return [mean + 1, mean - 1] * 10


def test_draws_that_show_half_of_it_on_average_reproduce_it() -> None:
    """Ten of 5.5 and ten of 3.5 of 9: the mean is half, and of 2**20 flips two have one as far from zero."""
    control = judged(around(4.5))
    assert control.explains
    assert (control.name, control.expects, control.share) == ("random-sae", "absent", 0.5)
    assert control.estimate == pytest.approx(4.5)
    assert control.p == pytest.approx(1 / 21)
    assert control.evidence is not None
    assert control.evidence.p == pytest.approx(2 / 2**20)
    assert outcome(control) == "refuted"


def test_less_than_half_is_withstood_where_no_draw_is_as_large() -> None:
    """4.49 of 9 are found in the draws, and none of them shows 9: 1 / 21 is below 0.05."""
    control = judged(around(4.49))
    assert not control.explains
    assert control.evidence is not None
    assert control.evidence.p == pytest.approx(2 / 2**20)
    assert outcome(control) == "supported"


def test_draws_that_show_nothing_are_withstood() -> None:
    """Ten of 1 and ten of -1."""
    control = judged(around(0.0))
    assert (control.share, control.p, control.explains) == (0.0, pytest.approx(1 / 21), False)
    assert control.evidence is not None
    assert control.evidence.p == 1
    assert outcome(control) == "supported"


@pytest.mark.parametrize(
    ("largest", "rank"), [(8.99, 1 / 21), (9.0, 2 / 21), (9.0 * (1 - 1e-12), 2 / 21), (50, 2 / 21)]
)
def test_a_single_draw_as_large_leaves_the_claim_open(largest: float, rank: float) -> None:
    """2 / 21 is not below 0.05, though the draws show next to nothing on average; rounding makes no difference."""
    control = judged([largest, *around(0.0)[1:]])
    assert control.p == pytest.approx(rank)
    assert not control.explains
    assert outcome(control) == ("supported" if rank < 0.05 else "inconclusive")


def test_each_draw_as_large_counts() -> None:
    """Five of twenty: 6 / 21."""
    control = judged([9.0, 10, 11, 12, 13, *[-4.0] * 15])
    assert control.p == pytest.approx(6 / 21)
    assert ", 5 of them at least the +9.000 features of the claim" in control.detail


def test_half_of_it_by_one_draw_alone_is_open() -> None:
    """One of 100 and nineteen of 0 are 5 on average, which any flip leaves as far from zero: p = 1."""
    control = judged([100.0, *[0.0] * 19])
    assert control.share == pytest.approx(5 / 9)
    assert control.evidence is not None
    assert control.evidence.p == 1
    assert not control.explains
    assert outcome(control) == "inconclusive"


def test_the_contrary_in_the_draws_is_withstood() -> None:
    """They show it surely, and the other way round."""
    control = judged(around(-9.0))
    assert (control.share, control.explains, control.p) == (-1.0, False, pytest.approx(1 / 21))
    assert control.evidence is not None
    assert control.evidence.outcome == "refuted"
    assert outcome(control) == "supported"


@pytest.mark.parametrize("name", ["random-model", "random-sae"])
def test_draws_are_held_against_the_claim_in_shares(name: Control) -> None:
    """9 on 2.5 are 360 %; draws of 0.9 on 0.25 and of 36 on 10 are as much, each on its own scale."""
    control = judged([0.9, 36.0] * 10, scales=[2.5, *[0.25, 10.0] * 10], name=name)
    assert control.share == pytest.approx(1.0)
    assert control.estimate == pytest.approx(9.0)
    assert control.explains
    assert control.p == 1
    assert "show +360.0% on average, 20 of them at least the +360.0% of the claim on the same" in control.detail
    assert control.evidence is not None
    assert control.evidence.unit == "share of the smaller side"
    assert [one.value for one in control.evidence.unit_values] == pytest.approx([3.6] * 20)


def test_a_large_difference_on_a_large_scale_is_a_small_effect() -> None:
    """20 on 100 are 20 %, beside 360 %; the estimate is what 20 % are of the claim's 2.5."""
    control = judged([25.0, 15.0] * 10, scales=[2.5, *[100.0] * 20])
    assert control.share == pytest.approx(0.2 / 3.6)
    assert control.estimate == pytest.approx(0.5)
    assert control.interval is not None
    assert control.interval[0] < 0.5 < control.interval[1] < 25 / 100 * 2.5
    assert control.evidence is not None
    assert control.evidence.interval == pytest.approx(tuple(end / 2.5 for end in control.interval))
    assert outcome(control) == "supported"


@pytest.mark.parametrize(
    "scales", [[0.0, *[1.0] * 20], [-2.5, *[1.0] * 20], [2.5, *[1.0] * 19, -1.0], [2.5, *[None] * 20]]
)
def test_without_a_scale_everywhere_there_are_no_shares(scales: list[float | None]) -> None:
    """A smaller side of zero of the claim, or of less of a draw, and all are held against one another as they are."""
    control = judged(around(3.0), scales=scales)
    assert control.share == pytest.approx(3 / 9)
    assert control.estimate == pytest.approx(3.0)
    assert "show +3.000 features on average" in control.detail


def test_a_draw_without_a_smaller_side_leaves_the_others_their_scales() -> None:
    """19 draws of 0.09 on 0.025 are 360 % each, as the claim's 9 on 2.5; one of 0.5 on nothing is 20 % of 2.5."""
    control = judged([0.09] * 19 + [0.5], scales=[2.5, *[0.025] * 19, 0.0])
    assert control.evidence is not None
    assert [one.value for one in control.evidence.unit_values] == pytest.approx([3.6] * 19 + [0.2])
    assert control.explains
    assert outcome(control) == "refuted"


def test_a_claim_that_is_not_found_is_not_reproduced() -> None:
    """A control judges nothing where the claim's own comparison is open."""
    assert not judged(around(9.0), found=False).explains


@pytest.mark.parametrize("claim", [0.0, -9.0])
def test_a_claim_that_shows_nothing_there_is_open(claim: float) -> None:
    """On the prompts that the draws read there is nothing to be a share of, and every draw is as large."""
    control = judged(around(5.0), claim=claim)
    assert (control.share, control.explains, control.p) == (None, False, 1.0)
    assert outcome(control) == "inconclusive"


def test_a_rank_at_alpha_is_not_below_it() -> None:
    """1 / 21 withstands what is above it."""
    control = judged(around(0.0))
    assert outcome(control, alpha=1 / 21) == "inconclusive"
    assert outcome(control, alpha=1 / 21 + 1e-9) == "supported"


@pytest.mark.parametrize(("alpha", "draws"), [(0.05, 20), (0.1, 20), (0.04, 25), (0.03, 33), (0.01, 100)])
def test_the_number_of_draws_can_reach_alpha(alpha: float, draws: int) -> None:
    """With none as large, 1 / (1 + draws) is below alpha; twenty are read at least."""
    assert n_draws(alpha) == draws
    assert 1 / (1 + draws) < alpha


def test_a_reader_can_work_it_out_again() -> None:
    """The draws stand in the evidence by number, with the test, what they are of, and the rule."""
    control = judged(around(4.5), name="random-model")
    assert control.detail == (
        "20 draws of a model of the same shape with random weights show +4.500 features on average, 0 of them at least "
        "the +9.000 features of the claim on the same 1,200 prompts"
    )
    evidence = control.evidence
    assert evidence is not None
    assert [(one.unit, one.value) for one in evidence.unit_values[:2]] == [("draw 0", 5.5), ("draw 1", 3.5)]
    assert (evidence.units, evidence.n_units, len(evidence.unit_values)) == ("draws", (20,), 20)
    assert (evidence.kind, evidence.outcome, evidence.unit, evidence.estimate) == (
        "greater",
        "supported",
        "features",
        4.5,
    )
    assert (
        evidence.statement == "l0 of novice > l0 of expert, in draws of a model of the same shape with random weights"
    )
    assert evidence.reason == "+4.500 features on average over 20 draws, p = 1.9e-06"
    assert evidence.scope == "draws of what is random, on these 1,200 prompts"
    assert evidence.test == "exact sign flips of 20 paired differences (all 1,048,576) (draws)"
    assert (evidence.alpha, evidence.level, evidence.controls) == (0.05, 0.95, ())
    assert evidence.interval is not None
    assert evidence.interval == control.interval
    assert "p by sign flips below alpha = 0.05" in evidence.rule


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
    evidence = compared([30.0, 40.0] * 10, [10.0] * 20, control=name)
    control = only_control(evidence)
    assert control.share == pytest.approx(2.5 / 3.6)
    assert control.estimate == pytest.approx(2.5 * 2.5)
    assert evidence.outcome == "refuted"
    assert evidence.reason.startswith(f"reproduced by {name}: 20 draws of ")
    assert evidence.reason.endswith(
        " show +250.0% on average, 0 of them at least the +360.0% of the claim on the same 24 prompts"
    )


def test_what_the_draws_showed_is_told_beside_the_claim() -> None:
    """1 above 10 is a tenth, of the claim's 2.5 a quarter."""
    evidence = compared([11.0] * 20, [10.0] * 20)
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("; +0.25 with random features")


def test_the_claim_is_taken_on_the_prompts_that_were_read() -> None:
    """Draws read the second topic alone, whose level is 4 higher: the claim is 15.5 above 6.5 there, by 138.5 %."""
    sides = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
    there = [replace(side, under=lambda _control, _draw=0, side=side: _only(side, TOPICS[1])) for side in sides]
    control = only_control(under_controls(there[0], there[1], "random-sae"))
    assert "+138.5% on average, 20 of them at least the +138.5% of the claim on the same 8 prompts" in control.detail
    assert control.share == pytest.approx(1.0)


def _only(side: Measurement, topic: str) -> Measurement:
    chosen = [index for index, prompt in enumerate(side.prompts) if prompt.topic == topic]
    return replace(side, values=side.values[chosen], prompts=tuple(side.prompts[index] for index in chosen))


def test_a_margin_is_no_part_of_what_draws_show() -> None:
    """It is in the claim's own unit, and draws have scales of their own: 6 of 9, whether 5 are asked for or none."""
    sides = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
    novice, expert = drawn(sides[0], [8.5] * 20), drawn(sides[1], [2.5] * 20)
    for smaller in (expert, expert + 5):
        with recording(Recorder(controls=("random-sae",))):
            evidence = novice > smaller
        assert only_control(evidence).share == pytest.approx(6 / 9)


@pytest.mark.parametrize("which", [0, 1])
def test_draws_that_cannot_be_read_leave_it_open(which: int) -> None:
    """The reason is the control's; also where the claim asks for more draws than the plan read."""
    sides = [
        drawn(numbered("novice", (10, 11, 12, 13)), [1.0] * 20),
        drawn(numbered("expert", (1, 2, 3, 4)), [1.0] * 20),
    ]
    sides[which] = failing(sides[which], lambda: NotRun("draw 20 was not read; 20 were"))
    evidence = under_controls(sides[0], sides[1], "random-sae")
    assert only_control(evidence).p is None
    assert evidence.outcome == "inconclusive"
    assert "could not be run: draw 20 was not read; 20 were" in evidence.reason
