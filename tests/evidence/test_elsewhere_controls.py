"""Controls that read something else than the claim, pasted words above all: the effect must not show there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from controlled import elsewhere, failing, numbered, only_control, under_controls, unrun, worded
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from saeprobe.claims import Control, NotRun
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement

ELSEWHERE: tuple[Control, ...] = ("injection", "random-model", "random-sae")
RECORD = "it takes a run of the model, and a record stands in its place"
PASTED = "with 'novice' and 'expert' pasted into neutral prompts the difference"


NEUTRAL = (1.0, 2.5, 3.0, 4.5)


def alone(gains: Sequence[float]) -> Evidence:
    """The words make these differences, one a neutral wording."""
    raised = [base + gain for base, gain in zip(NEUTRAL, gains, strict=True)]
    words = {f"{k}: {{topic}}": base for k, base in enumerate(NEUTRAL)}
    pasted = (worded("novice", dict(zip(words, raised, strict=True))), worded("expert", words))
    sides = (
        replace(of, under=lambda _control, _draw=0, there=there: there)
        for of, there in zip(
            (numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))), pasted, strict=True
        )
    )
    return under_controls(*sides, "injection")


def test_what_the_words_make_comes_off_with_its_own_error() -> None:
    """var(L) = s_a^2 / 4 + s_b^2 / 4 + s_J^2 / 4, var(C) takes a quarter of the first two; df by Satterthwaite."""
    gains = (0.5, 1.5, 1.0, 2.0)
    evidence = alone(gains)
    control = only_control(evidence)
    of_side, of_words = np.var((10, 11, 12, 13), ddof=1) / 4, np.var(gains, ddof=1) / 4
    left, half = 9 - 1.25, 4.5 - 1.25
    assert control.estimate == pytest.approx(left)
    assert control.numbers["error of L"] == pytest.approx((2 * of_side + of_words) ** 0.5)
    freedom = (2 * of_side + of_words) ** 2 / (2 * of_side**2 / 3 + of_words**2 / 3)
    assert control.numbers["df of L"] == pytest.approx(freedom)
    assert control.p == pytest.approx(float(student.sf(left / (2 * of_side + of_words) ** 0.5, freedom)))
    assert control.numbers["estimate of C"] == pytest.approx(half)
    assert control.numbers["error of C"] == pytest.approx((of_side / 2 + of_words) ** 0.5)
    parts = (of_side / 2) ** 2 / 6 + of_words**2 / 3
    assert control.numbers["df of C"] == pytest.approx((of_side / 2 + of_words) ** 2 / parts)
    assert control.share == pytest.approx(left / 9)
    assert (control.answer, evidence.outcome) == ("withstood", "supported")
    assert control.detail.startswith(f"{PASTED} is +1.25 features, beside which +7.75 features of +9 are left (86 %)")
    assert evidence.reason.endswith("; +7.75 left of it (86 %) beside the styles' own words alone")
    assert [unit.value for unit in control.unit_values] == pytest.approx(gains)


def test_words_that_make_the_whole_effect_explain_it() -> None:
    """The same difference in neutral prompts leaves nothing."""
    evidence = alone((9.1, 8.9, 9.0, 9.2))
    assert only_control(evidence).answer == "explains"
    assert evidence.outcome == "explained"
    assert f", but explained by injection: {PASTED} is +9.05" in evidence.reason


def test_words_that_make_half_of_it_are_withstood_or_open() -> None:
    """4.5 of 9 in every neutral wording leave as much; with scatter nothing is sure."""
    assert only_control(alone((4.4, 4.6, 4.5, 4.5))).answer == "withstood"
    assert alone((-8, 17, -6, 20)).outcome == "inconclusive"
    assert "more neutral wordings, or more wordings of either style, would decide it" in alone((-8, 17, -6, 20)).reason


def test_the_contrary_leaves_more_than_all() -> None:
    """Words that make 9 the other way cannot be what the effect is made of."""
    control = only_control(alone((-9.1, -8.9, -9.0, -9.2)))
    assert (control.answer, control.share) == ("withstood", pytest.approx(18.05 / 9))


@pytest.mark.parametrize("count", [3, 4])
def test_four_neutral_wordings_are_needed(count: int) -> None:
    """Fewer have no error worth the name."""
    novice = elsewhere(numbered("novice", (10, 11, 12, 13)), (1.1, 2.0, 3.0, 4.2)[:count])
    expert = elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4)[:count])
    control = only_control(under_controls(novice, expert, "injection"))
    assert (control.p is None) == (count == 3)
    assert ("into 3 neutral wordings; 4 are needed" in control.detail) == (count == 3)


def test_a_feature_that_the_words_never_wake_is_judged_by_counting() -> None:
    """It fires on every novice prompt and no expert prompt, and on no pasted one: 1 of C(8, 4) orders."""
    sides = [numbered(style, (value,) * 4) for style, value in (("novice", 1.0), ("expert", 0.0))]
    flat = [replace(of, values=np.full(12, float(of.label == "novice"))) for of in sides]
    silent = [replace(of, values=np.zeros(12)) for of in sides]
    there = [
        replace(of, under=lambda _control, _draw=0, read=read: read) for of, read in zip(flat, silent, strict=True)
    ]
    control = only_control(under_controls(there[0], there[1], "injection"))
    assert (control.p, control.answer) == (pytest.approx(1 / 70), "withstood")


def test_over_topics_words_come_off_topic_by_topic() -> None:
    """A paired t of d - j, and of d / 2 - j."""
    topics = [f"topic {k}" for k in range(6)]
    d, j = np.array([2.0, 2.5, 1.5, 2.2, 1.9, 2.1]), np.array([0.5, 0.9, 0.2, 0.4, 0.6, 0.3])
    sides: list[Measurement] = []
    for style, own, pasted in (("novice", d, j), ("expert", 0 * d, 0 * j)):
        of, there = (worded(style, {f"{style[0]}: {{topic}}": 0.0}, topics=topics) for _ in range(2))
        read = replace(there, values=pasted)
        sides.append(replace(of, values=own, under=lambda _control, _draw=0, read=read: read))
    control = only_control(under_controls(sides[0], sides[1], "injection"))
    assert control.p == pytest.approx(ttest_1samp(d - j, 0, alternative="greater").pvalue)
    assert control.numbers["p of C"] == pytest.approx(ttest_1samp(d / 2 - j, 0, alternative="less").pvalue)


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
    assert only_control(evidence) == unrun(name, RECORD)
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
    assert only_control(evidence) == unrun(name, "the weights went away")
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
    why = (
        "the claim is to hold for other templates, and novice has a single one; 4 or more a style would test it, and "
        "over=('topics',) states it of this wording only"
    )
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
    """A style without words stands as the neutral prompts; the other's words are named."""
    words = {"novice": ("novice", "beginner")}
    novice = replace(elsewhere(numbered("novice", (10, 11, 12, 13)), (1, 2, 3, 4)), words=words)
    expert = replace(elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4)), words=words)
    detail = only_control(under_controls(novice, expert, "injection")).detail
    assert detail.startswith("with 'novice' and 'beginner' pasted into neutral prompts the difference is +0")


def test_a_margin_stays_in_what_has_to_be_left() -> None:
    """9 above is 4 beyond 5; words that make 1 leave 3 of these."""
    sides = [
        elsewhere(numbered("novice", (10, 11, 12, 13)), (2, 3, 4, 5)),
        elsewhere(numbered("expert", (1, 2, 3, 4)), (1, 2, 3, 4)),
    ]
    with recording(Recorder(controls=("injection",))):
        control = only_control(sides[0] > sides[1] + 5)
    assert (control.estimate, control.numbers["D"]) == pytest.approx((3.0, 4.0))


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
    assert expert.under("random-sae", 0).label == "expert"
    assert expert.under("random-sae", 0).mean == pytest.approx(3.5)
    alone = replace(whole(), under=None)["expert"]
    assert alone.under is None
