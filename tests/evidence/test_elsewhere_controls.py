"""Controls that read something else than the claim, pasted words above all: the effect must not show there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from controlled import elsewhere, failing, numbered, only_control, under_controls, unrun, worded

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.evidence import ControlResult, Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement

ELSEWHERE: tuple[Control, ...] = ("injection", "random-model", "random-sae")
RECORD = "it takes a run of the model, and a record stands in its place"
PASTED = "with 'novice' and 'expert' pasted into neutral prompts the difference"


def compared(novice: Sequence[float], expert: Sequence[float], *, alpha: float = 0.05) -> Evidence:
    """A claim of 10 to 13 above 1 to 4, so by 9; under the control the templates have these means."""
    return under_controls(
        elsewhere(numbered("novice", (10, 11, 12, 13)), novice),
        elsewhere(numbered("expert", (1, 2, 3, 4)), expert),
        "injection",
        alpha=alpha,
    )


def test_a_rival_that_shows_the_whole_effect_refutes() -> None:
    """Where the same difference is found without what the claim is about, the claim is refuted by name."""
    evidence = compared((10, 11, 12, 13), (1, 2, 3, 4))
    control = only_control(evidence)
    assert control.name == "injection"
    assert control.answer == "explains"
    assert control.share == pytest.approx(1.0)
    assert evidence.outcome == "refuted"
    assert evidence.reason.startswith(f"reproduced by injection: {PASTED} is +9 features (p = 0.029) against +9")


def test_all_that_the_words_brought_about_is_told() -> None:
    """0.9 of 9, with the interval and p of its own comparison."""
    control = only_control(compared((1.9, 2.9, 3.9, 4.9), (1, 2, 3, 4)))
    made = control.evidence
    assert made is not None
    assert made.interval is not None
    assert made.estimate is not None
    assert made.estimate == pytest.approx(0.9)
    assert control == ControlResult(
        name="injection",
        answer="withstood",
        estimate=made.estimate,
        interval=made.interval,
        p=made.p,
        detail=f"{PASTED} is +0.9 features (p = {made.p:.2g}) against +9",
        share=made.estimate / 9.0,
        evidence=made,
    )


def test_both_sides_are_read_with_the_words_pasted() -> None:
    """Each is asked for the one reading that there is under pasted words."""
    asked: list[tuple[str | int, ...]] = []

    def under(side: Measurement) -> Measurement:
        def read(*how: Control | int) -> Measurement:
            asked.append((side.label, *how))
            return side

        return replace(side, under=read)

    under_controls(under(numbered("novice", (10, 11, 12, 13))), under(numbered("expert", (1, 2, 3, 4))), "injection")
    assert asked == [("novice", "injection", 0), ("expert", "injection", 0)]


def test_a_rival_that_shows_nothing_is_withstood() -> None:
    """A difference of 0.25 of 9, p = 1 or nearly, leaves the claim standing, and is told."""
    evidence = compared((1, 2, 3, 5), (1, 2, 3, 4))
    assert only_control(evidence).answer != "explains"
    assert evidence.outcome == "supported"
    assert "; +0.25 " in evidence.reason


def test_half_of_the_effect_is_enough_to_reproduce_it() -> None:
    """4.5 of 9, every template higher: the rival makes up as much as it leaves."""
    evidence = compared((5.5, 6.5, 7.5, 8.5), (1, 2, 3, 4))
    control = only_control(evidence)
    assert control.p == pytest.approx(2 / 70)
    assert control.share == 0.5
    assert control.answer == "explains"
    assert evidence.outcome == "refuted"


def test_less_than_half_is_told_and_is_not_against_the_claim() -> None:
    """4.25 of 9 are found, p = 2/70; most of the effect is not the rival's."""
    evidence = compared((5.25, 6.25, 7.25, 8.25), (1, 2, 3, 4))
    control = only_control(evidence)
    assert control.p == pytest.approx(2 / 70)
    assert control.share == pytest.approx(4.25 / 9)
    assert control.answer != "explains"
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("; +4.25 from the styles' own words alone")


def test_the_contrary_under_a_control_is_not_against_the_claim() -> None:
    """A rival that makes 9 the other way cannot be what the effect is made of."""
    evidence = compared((1, 2, 3, 4), (10, 11, 12, 13))
    control = only_control(evidence)
    assert control.share == pytest.approx(-1.0)
    assert control.p == pytest.approx(2 / 70)
    assert control.answer != "explains"
    assert evidence.outcome == "supported"


def test_a_rival_too_noisy_to_rule_out_leaves_the_claim_open() -> None:
    """(0 + 0 + 20 + 20) / 4 - 2.5 = 7.5 of 9, and by chance: p is not below alpha."""
    evidence = compared((0, 0, 20, 20), (1, 2, 3, 4))
    control = only_control(evidence)
    assert control.share == pytest.approx(7.5 / 9)
    assert control.p is not None
    assert control.p >= 0.05
    assert control.answer != "explains"
    assert evidence.outcome == "inconclusive"
    assert ", but not distinguished from the styles' own words: with 'novice' and" in evidence.reason


@pytest.mark.parametrize(("novice", "outcome"), [((1, 2, 14, 11), "inconclusive"), ((1, 2, 14, 10), "supported")])
def test_a_noisy_rival_leaves_it_open_from_half_on(novice: Sequence[float], outcome: str) -> None:
    """28 / 4 - 2.5 = 4.5 of 9 are half, 27 / 4 - 2.5 = 4.25 are not; neither is told from chance."""
    evidence = compared(novice, (1, 2, 3, 4))
    control = only_control(evidence)
    assert control.p is not None
    assert control.p >= 0.05
    assert evidence.outcome == outcome


def test_p_at_alpha_is_not_found() -> None:
    """Five templates a side reach 2/252; under the control four reach 2/70, which is alpha here and not below it."""
    novice, expert = numbered("novice", (10, 11, 12, 13, 14)), numbered("expert", (1, 2, 3, 4, 5))
    at_alpha = [
        under_controls(elsewhere(novice, (10, 11, 12, 13)), elsewhere(expert, (1, 2, 3, 4)), "injection", alpha=alpha)
        for alpha in (2 / 70, 2 / 70 + 1e-9)
    ]
    assert [evidence.outcome for evidence in at_alpha] == ["inconclusive", "refuted"]


def test_it_is_held_against_the_claim_in_the_unit() -> None:
    """The same SAE's scale needs no shares: +0.9 of +9 are a tenth, though 360 % of the smaller side both."""
    control = only_control(compared((1.0, 1.1, 1.2, 1.3), (0.1, 0.2, 0.3, 0.4)))
    assert control.share == pytest.approx(0.1)
    assert control.detail.endswith("is +0.9 features (p = 0.029) against +9")


def test_the_comparison_of_a_control_is_kept() -> None:
    """What the control compared stands in the evidence, with its own units, and is not recorded as the probe's."""
    recorder = Recorder(controls=("injection",))
    with recording(recorder):
        assert elsewhere(numbered("novice", (10, 11, 12, 13)), (1, 2, 3, 5)) > elsewhere(
            numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4)
        )
    (evidence,) = recorder.evidence
    made = only_control(evidence).evidence
    assert made is not None
    assert made.controls == ()
    assert made.estimate == pytest.approx(0.25)
    assert [value.value for value in made.unit_values if value.side == "novice"] == pytest.approx([1, 2, 3, 5])


@pytest.mark.parametrize("recorded", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_record_has_no_other_reading(name: Control, recorded: tuple[bool, bool]) -> None:
    """Recorded evidence, of either side, cannot be read again under a control, so the claim is open."""
    novice, expert = (
        side if alone else elsewhere(side, (1, 2, 3, 4))
        for side, alone in zip(
            (numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))), recorded, strict=True
        )
    )
    evidence = under_controls(novice, expert, name)
    assert only_control(evidence) == unrun(name, "absent", RECORD)
    assert evidence.outcome == "inconclusive"
    assert f"but the control for {name} could not be run: {RECORD}" in evidence.reason


@pytest.mark.parametrize(
    "error", [lambda: NotRun("the weights went away"), lambda: ValueError("the weights went away")]
)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_control_that_cannot_be_read_says_why(name: Control, error: Callable[[], Exception], which: int) -> None:
    """What was not read, or has no value there, on either side, leaves the claim open with the reason."""
    sides = [
        elsewhere(numbered("novice", (10, 11, 12, 13)), (1, 2)),
        elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2)),
    ]
    sides[which] = failing(sides[which], error)
    evidence = under_controls(sides[0], sides[1], name)
    assert only_control(evidence) == unrun(name, "absent", "the weights went away")
    assert evidence.outcome == "inconclusive"


def test_a_fault_in_a_measure_is_not_taken_for_a_missing_control() -> None:
    """Any other error is the probe's own."""
    novice = failing(numbered("novice", (10, 11, 12, 13)), lambda: RuntimeError("a fault"))
    with pytest.raises(RuntimeError, match="a fault"):
        under_controls(novice, elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2)), "random-model")


def test_a_control_without_a_test_says_why() -> None:
    """A single shared topic and template give nothing to permute."""
    there = (
        worded("novice", {"n: {topic}": 1.0}, topics=("tides",)),
        worded("expert", {"e: {topic}": 0.0}, topics=("tides",)),
    )
    novice, expert = (
        replace(side, under=lambda _control, _draw=0, of=of: of)
        for side, of in zip(
            (numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))), there, strict=True
        )
    )
    evidence = under_controls(novice, expert, "injection")
    why = "the prompts of novice and expert share 1 topic; at least 2 are needed to pair them, and 6 to decide"
    assert only_control(evidence) == unrun("injection", why)
    assert evidence.outcome == "inconclusive"


def test_injection_needs_words() -> None:
    """Between styles without words of their own nothing was pasted."""
    novice = replace(elsewhere(numbered("novice", (10, 11, 12, 13)), (1, 2, 3, 4)), words={})
    expert = replace(elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4)), words={})
    evidence = under_controls(novice, expert, "injection")
    why = 'nobody knows which words are the styles\' own; a file of prompts says so by words = ["..."] under each style'
    assert only_control(evidence) == unrun("injection", why)
    assert only_control(under_controls(novice, expert, "random-sae")).p is not None


def test_injection_of_one_style_names_its_words_alone() -> None:
    """A style without words stands as the neutral prompts; the other's words are told."""
    words = {"novice": ("novice", "beginner")}
    novice = replace(elsewhere(numbered("novice", (10, 11, 12, 13)), (1, 2, 3, 4)), words=words)
    expert = replace(elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4)), words=words)
    detail = only_control(under_controls(novice, expert, "injection")).detail
    assert detail.startswith("with 'novice' and 'beginner' pasted into neutral prompts the difference is +0")


def test_pasted_words_are_compared_within_each_neutral_prompt() -> None:
    """Six neutral templates far apart, each with 1 more under `novice`: p = 2/64, in pairs."""
    bare = {f"{k}: {{topic}}": 10.0 * k for k in range(6)}
    raised = {template: mean + gain for (template, mean), gain in zip(bare.items(), (8, 9, 9, 9, 9, 10), strict=True)}
    novice = replace(numbered("novice", (10, 11, 12, 13)), under=lambda _control, _draw=0: worded("novice", raised))
    expert = replace(numbered("expert", (1, 2, 3, 4)), under=lambda _control, _draw=0: worded("expert", bare))
    evidence = under_controls(novice, expert, "injection")
    control = only_control(evidence)
    assert control.p == pytest.approx(2 / 64)
    assert control.evidence is not None
    assert control.evidence.units == "templates, paired"
    assert evidence.outcome == "refuted"


def test_a_claim_that_is_not_found_is_not_reproduced() -> None:
    """Controls of a difference that is no effect are reported, and judge nothing."""
    sides = numbered("novice", (1, 2, 3, 4)), numbered("expert", (1, 2, 3, 4.5))
    evidence = under_controls(elsewhere(sides[1], (10, 11, 12, 13)), elsewhere(sides[0], (1, 2, 3, 4)), "injection")
    control = only_control(evidence)
    assert control.share is not None
    assert control.share > 1
    assert control.answer != "explains"
    assert evidence.outcome == "inconclusive"
    assert "reproduced" not in evidence.reason


def test_an_effect_of_nothing_has_no_share() -> None:
    """Where the claim's own difference is exactly zero, no share of it can be told."""
    sides = numbered("novice", (1, 2, 3, 4)), numbered("expert", (4, 3, 2, 1))
    made = under_controls(elsewhere(sides[0], (10, 11, 12, 13)), elsewhere(sides[1], (1, 2, 3, 4)), "injection")
    control = only_control(made)
    assert control.share is None
    assert control.answer != "explains"


def test_under_a_style_of_a_whole_a_control_reads_that_style() -> None:
    """`l0(styles)["novice"]` reads under a control what `l0(styles["novice"])` does."""
    parts = numbered("novice", (1.0, 2.0)), numbered("expert", (3.0, 4.0))

    def whole() -> Measurement:
        return Measurement(
            measure="l0",
            label="novice + expert",
            unit="features",
            values=np.concatenate([part.values for part in parts]),
            prompts=parts[0].prompts + parts[1].prompts,
            under=lambda _control, _draw=0: whole(),
        )

    expert = whole()["expert"]
    assert expert.under is not None
    assert expert.under("random-sae").label == "expert"
    assert expert.under("random-sae").mean == pytest.approx(3.5)
    alone = replace(whole(), under=None)["expert"]
    assert alone.under is None
