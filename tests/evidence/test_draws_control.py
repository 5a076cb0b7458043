"""Draws: a claim beside twenty random models or random SAEs; they reproduce it, it withstands them, or it is open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from saeprobe.claims import Control
from saeprobe.evidence.controls import verdict_of
from saeprobe.evidence.controls.draws import Effect, judged_draws, n_draws
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder, UnitValue
from saeprobe.files import p_value
from saeprobe.statistics.shifts import paired_shift

CLAIM = 9.0
RULE = (
    "the unit values are what each draw shows, as a share of its smaller side, or of the claim's where its own is 0; "
    "as it is of a share of prompts, tokens or continuations, and where the claim's smaller side is not above zero or "
    "a draw's is below. The draws reproduce the claim where their mean is above zero with p by sign flips below "
    "alpha = {alpha} and is at least half of what the claim shows on the same prompts. The claim withstands them where "
    "(1 + draws that show at least as much) / (1 + draws) is below alpha; else it is open"
)


def judged(
    sizes: Sequence[float],
    *,
    claim: float = CLAIM,
    scales: Sequence[float | None] | None = None,
    name: Control = "random-sae",
    found: bool = True,
    alpha: float = 0.05,
    seed: int = 0,
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
        terms=Recorder(alpha=alpha, seed=seed),
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
    assert control.answer == "explains"
    assert (control.name, control.expects, control.share) == ("random-sae", "absent", 0.5)
    assert control.estimate == pytest.approx(4.5)
    assert control.p == pytest.approx(1 / 21)
    assert control.evidence is not None
    assert control.evidence.p == pytest.approx(2 / 2**20)
    assert outcome(control) == "refuted"


def test_less_than_half_is_withstood_where_no_draw_is_as_large() -> None:
    """4.49 of 9 are found in the draws, and none of them shows 9: 1 / 21 is below 0.05."""
    control = judged(around(4.49))
    assert control.answer != "explains"
    assert control.evidence is not None
    assert control.evidence.p == pytest.approx(2 / 2**20)
    assert outcome(control) == "supported"


def test_draws_that_show_nothing_are_withstood() -> None:
    """Ten of 1 and ten of -1."""
    control = judged(around(0.0))
    assert (control.share, control.p, control.explains) == (0.0, pytest.approx(1 / 21), False)
    assert control.evidence is not None
    assert (control.evidence.p, control.evidence.outcome) == (1, "inconclusive")
    assert outcome(control) == "supported"


@pytest.mark.parametrize("sign", [1, -1])
def test_draws_whose_p_is_at_alpha_show_nothing(sign: int) -> None:
    """Of 2**20 flips of twenty draws two are as far from zero, and 2**-19 is not below 2**-19."""
    control = judged(around(sign * 9.0), alpha=2**-19)
    assert control.evidence is not None
    assert (control.evidence.p, control.evidence.outcome) == (2**-19, "inconclusive")
    assert control.answer != "explains"
    surely = judged(around(sign * 9.0), alpha=2**-19 + 1e-12)
    assert surely.evidence is not None
    assert surely.evidence.outcome == ("supported" if sign > 0 else "refuted")
    assert surely.explains == (sign > 0)


@pytest.mark.parametrize("times", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("scales", [None, [2.5, *[0.25] * 20]])
def test_effects_of_any_size_are_held_against_one_another_alike(times: float, scales: Sequence[float] | None) -> None:
    """A half shows on average and no draw as much, whether activations are counted in millions or in millionths."""
    small = 1 if scales is None else 0.1
    control = judged(
        [times * small * size for size in around(4.5)],
        claim=times * CLAIM,
        scales=None if scales is None else [times * scale for scale in scales],
    )
    assert (control.share, control.p, control.explains) == (pytest.approx(0.5), 1 / 21, True)
    assert control.estimate == pytest.approx(4.5 * times)
    assert control.evidence is not None
    assert control.evidence.unit == ("features" if scales is None else "share of the smaller side")


@pytest.mark.parametrize(
    ("largest", "rank"),
    [(8.99, 1 / 21), (9.0, 2 / 21), (9.0 * (1 - 1e-12), 2 / 21), (9.0 * (1 - 1e-7), 1 / 21), (50, 2 / 21)],
)
def test_a_single_draw_as_large_leaves_the_claim_open(largest: float, rank: float) -> None:
    """2 / 21 is not below 0.05, though the draws show next to nothing on average; rounding makes no difference."""
    control = judged([largest, *around(0.0)[1:]])
    assert control.p == pytest.approx(rank)
    assert control.answer != "explains"
    assert outcome(control) == ("supported" if rank < 0.05 else "inconclusive")


def test_each_draw_as_large_counts() -> None:
    """Five of twenty: 6 / 21."""
    control = judged([9.0, 10, 11, 12, 13, *[-4.0] * 15])
    assert control.p == pytest.approx(6 / 21)
    assert ", 5 of them at least the +9 features of the claim" in control.detail


def test_half_of_it_by_one_draw_alone_is_open() -> None:
    """One of 100 and nineteen of 0 are 5 on average, which any flip leaves as far from zero: p = 1."""
    control = judged([100.0, *[0.0] * 19])
    assert control.share == pytest.approx(5 / 9)
    assert control.evidence is not None
    assert control.evidence.p == 1
    assert control.answer != "explains"
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
    assert control.answer == "explains"
    assert control.p == 1
    assert "show +360 % on average, 20 of them at least the +360 % of the claim on the same" in control.detail
    assert control.evidence is not None
    assert control.evidence.unit == "share of the smaller side"
    assert [one.value for one in control.evidence.unit_values] == pytest.approx([3.6] * 20)


def test_a_large_difference_on_a_large_scale_is_a_small_effect() -> None:
    """20 on 100 are 20 %, against 360 %; the estimate is what 20 % are of the claim's 2.5."""
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
    assert "show +3 features on average" in control.detail


def test_a_draw_without_a_smaller_side_leaves_the_others_their_scales() -> None:
    """19 draws of 0.09 on 0.025 are 360 % each, as the claim's 9 on 2.5; one of 0.5 on nothing is 20 % of 2.5."""
    control = judged([0.09] * 19 + [0.5], scales=[2.5, *[0.025] * 19, 0.0])
    assert control.evidence is not None
    assert [one.value for one in control.evidence.unit_values] == pytest.approx([3.6] * 19 + [0.2])
    assert control.answer == "explains"
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
    """The draws stand in the evidence by number, with the test, its seed, what they are of, and the rule.

    Of 100 draws, as an alpha of 0.01 asks for, the flips are drawn; one draw shows as much as the claim.
    """
    sizes = [9.0, 0.0, *[5.5, 3.5] * 49]
    shift = paired_shift(np.array(sizes), alpha=0.01, seed=7)
    assert shift.interval is not None
    assert shift.seed == 7
    control = judged(sizes, name="random-model", alpha=0.01, seed=7)
    claim = "l0 of novice > l0 of expert"
    random = "a model of the same shape with random weights"
    evidence = Evidence(
        kind="greater",
        statement=f"{claim}, in draws of {random}",
        outcome="supported",
        reason=f"+4.5 features on average over 100 draws, {p_value(shift.p)}",
        scope="draws of what is random, on these 1,200 prompts",
        unit="features",
        estimate=shift.estimate,
        interval=shift.interval,
        level=0.99,
        p=shift.p,
        alpha=0.01,
        test=f"{shift.test} (draws)",
        seed=7,
        units="draws",
        n_units=(100,),
        rule=RULE.format(alpha="0.01"),
        unit_values=tuple(UnitValue(side=claim, unit=f"draw {k}", value=size) for k, size in enumerate(sizes)),
    )
    assert control == ControlResult(
        name="random-model",
        answer="explains",
        estimate=shift.estimate,
        interval=shift.interval,
        p=2 / 101,
        detail=(
            f"100 draws of {random} show +4.5 features on average, 1 of them at least the +9 features of the "
            "claim on the same 1,200 prompts"
        ),
        share=0.5,
        evidence=evidence,
    )


def test_of_draws_on_scales_of_their_own_shares_are_told() -> None:
    """Each is 10 % or 30 % of its smaller side, against 360 % of the claim's 2.5; all signs can be turned."""
    shares = [0.1, 0.3] * 10
    scales = [0.5, 8.0, 4.0, 2.0] * 5
    shift = paired_shift(np.array(shares), alpha=0.05, seed=0)
    assert shift.interval is not None
    control = judged([share * scale for share, scale in zip(shares, scales, strict=True)], scales=[2.5, *scales])
    evidence = control.evidence
    assert evidence is not None
    assert evidence.statement == (
        "l0 of novice > l0 of expert, in draws of random features that fire as often as the SAE's"
    )
    assert evidence.reason == "+20 % on average over 20 draws, p < 0.0001"
    assert (evidence.unit, evidence.outcome, evidence.seed) == ("share of the smaller side", "supported", None)
    assert (evidence.estimate, evidence.interval) == (pytest.approx(0.2), pytest.approx(shift.interval))
    assert (control.estimate, control.share) == (pytest.approx(0.5), pytest.approx(0.2 / 3.6))
    assert control.interval == pytest.approx(tuple(2.5 * end for end in shift.interval))
    assert control.detail == (
        "20 draws of random features that fire as often as the SAE's show +20 % on average, 0 of them at least the "
        "+360 % of the claim on the same 1,200 prompts"
    )
