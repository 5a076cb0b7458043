"""The control for wording: what is left of a difference in the templates that do without the styles' own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from controlled import only_control, under_controls, unrun, worded

from saeprobe.evidence.controls.adjusting import wording_control
from saeprobe.evidence.evidence import Evidence, Terms
from saeprobe.evidence.near import NearThreshold
from saeprobe.evidence.units import compare
from saeprobe.evidence.values import Measurement

EIGHT = tuple(f"topic {k}" for k in range(8))


def side(style: str, saying: Sequence[float], without: Sequence[float]) -> Measurement:
    """Templates that say the style's word, and templates that do not, with these means."""
    means = {f"{k} and {k}, to a {style}: {{topic}}": mean for k, mean in enumerate(saying)}
    return worded(style, means | {f"{style[0]}{k}: {{topic}}": mean for k, mean in enumerate(without)})


def compared(novice: Sequence[float], expert: Sequence[float]) -> Evidence:
    """Five templates a side that say the word, 14 to 18 and 1 to 5, and others with these means."""
    return under_controls(
        side("novice", (14, 15, 16, 17, 18), novice), side("expert", (1, 2, 3, 4, 5), expert), "wording"
    )


def test_an_effect_of_the_word_alone_is_refuted_and_named() -> None:
    """Five templates lie 13 apart, the three without the word 0.5 the other way: of +7.938 in all nothing is left."""
    evidence = compared((1, 2, 3), (1.5, 2.5, 3.5))
    control = only_control(evidence)
    assert evidence.estimate == pytest.approx((5 * 13 - 1.5) / 8)
    assert control.explains
    assert (control.name, control.expects) == ("wording", "persists")
    assert control.estimate == pytest.approx(-0.5)
    assert control.share == pytest.approx(-0.5 / 7.9375)
    assert evidence.outcome == "refuted"
    assert evidence.reason == (
        "explained by wording: in the 3 + 3 wordings without 'novice' and 'expert' -0.5 features of +7.94 are left"
    )


def test_nothing_at_all_left_is_refuted() -> None:
    """A difference of exactly zero without the words is an effect of the words."""
    evidence = compared((1, 2, 3), (3, 2, 1))
    assert only_control(evidence).estimate == 0.0
    assert evidence.outcome == "refuted"


def test_half_of_the_effect_is_enough_where_prompts_are_dropped() -> None:
    """(5 x 13 + 3 x 5) / 8 = 10, of which 5 are left: three templates a side cannot reach alpha, 2/20, and need not."""
    evidence = compared((6, 7, 8), (1, 2, 3))
    control = only_control(evidence)
    assert control.share == 0.5
    assert control.p == pytest.approx(2 / 20)
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("; +5 without the styles' own words")


def test_less_than_half_in_too_few_templates_is_inconclusive() -> None:
    """4.75 of 9.906 are 48 %; without an interval for three templates nothing says that the words made the rest."""
    evidence = compared((5.75, 6.75, 7.75), (1, 2, 3))
    control = only_control(evidence)
    assert control.interval is None
    assert not control.explains
    assert evidence.outcome == "inconclusive"
    assert ", but not distinguished from the styles' own words: in the 3 + 3 wordings" in evidence.reason


def test_a_small_part_that_is_certain_is_enough() -> None:
    """Of four templates a side without the words all lie higher: p = 2/70 for 0.4 features, and the claim stands."""
    evidence = compared((2.4, 2.5, 2.6, 2.7), (2.0, 2.1, 2.2, 2.3))
    control = only_control(evidence)
    assert control.p == pytest.approx(2 / 70)
    assert control.share is not None
    assert control.share < 0.1
    assert evidence.outcome == "supported"


def test_a_small_part_that_could_be_chance_is_refuted() -> None:
    """0.2 features are left among means of 1 to 4, and their interval ends far below the 7.3 of the claim."""
    evidence = compared((1.2, 2.2, 3.2, 4.2), (1, 2, 3, 4))
    control = only_control(evidence)
    assert evidence.estimate == pytest.approx((65 + 0.8) / 9)
    assert control.interval is not None
    assert control.interval[1] < 7.3
    assert control.explains
    assert evidence.outcome == "refuted"


def test_templates_without_any_word_are_left_as_they_are() -> None:
    """Where no template says a word the control repeats the claim's own comparison."""
    evidence = under_controls(side("novice", (), (11, 12, 13, 14)), side("expert", (), (1, 2, 3, 4)), "wording")
    control = only_control(evidence)
    assert (control.p, control.estimate, control.share) == (evidence.p, evidence.estimate, 1.0)
    assert "in the 4 + 4 wordings" in control.detail
    assert evidence.outcome == "supported"


def test_the_other_styles_word_counts_too() -> None:
    """A novice prompt that says `expert` is left out with those that say `novice`."""
    novice = worded("novice", {"a: {topic}": 11, "b: {topic}": 12, "no Expert: {topic}": 13, "c: {topic}": 14})
    evidence = under_controls(novice, side("expert", (), (1, 2, 3, 4)), "wording")
    assert "in the 3 + 4 wordings without 'novice' and 'expert'" in only_control(evidence).detail


def test_a_field_that_is_called_like_the_word_says_nothing() -> None:
    """`{guru}` in a template is a name in its prompts."""
    means = {f"{k}, as {{guru}} would: {{topic}}": mean for k, mean in enumerate((11, 12, 13, 14))}
    guru = worded("guru", means)
    named = tuple(replace(prompt, text=prompt.text.replace("{guru}", "Darwin")) for prompt in guru.prompts)
    words = {"guru": ("guru",)}
    evidence = under_controls(
        replace(guru, prompts=named, words=words), replace(side("expert", (), (1, 2, 3, 4)), words=words), "wording"
    )
    assert "in the 4 + 4 wordings without 'guru'" in only_control(evidence).detail


def test_a_topic_that_is_the_word_is_left_out() -> None:
    """A prompt says the word wherever in it the word stands, and here `the expert witness` is a topic."""
    topics = ("the expert witness", "tides", "rust")
    novice = worded("novice", {f"{k}: {{topic}}": k + 10 for k in range(4)}, topics=topics)
    expert = worded("expert", {f"e{k}: {{topic}}": k for k in range(4)}, topics=topics)
    again = only_control(under_controls(novice, expert, "wording")).evidence
    assert again is not None
    assert {prompt.topic for sample in again.samples for prompt in sample.prompts} == {"tides", "rust"}


def test_what_is_compared_again_is_what_was_measured_on_the_rest() -> None:
    """Four of five templates, with the lengths and the nearness to thresholds of their prompts, out of the whole."""
    rests: list[Measurement] = []

    def again(a: Measurement, b: Measurement) -> Evidence:
        rests.extend((a, b))
        return a > b

    novice, expert = (
        replace(
            side(style, (14,), means),  # the first three prompts say the word
            n_tokens=np.arange(15) + length,
            near=NearThreshold(lowers=np.arange(15) / 10, raises=np.zeros(15), tolerance=1e-4),
        )
        for style, means, length in (("novice", (10, 11, 12, 13), 20), ("expert", (1, 2, 3, 4), 50))
    )
    compared = compare(novice, expert, Terms())
    assert not isinstance(compared, str)
    wording_control(novice, expert, compared, Terms(), again=again)
    for of, rest in zip((novice, expert), rests, strict=True):
        assert of.n_tokens is not None
        assert rest.n_tokens is not None
        assert rest.near is not None
        assert rest.prompts == of.prompts[3:]
        assert list(rest.values) == list(of.values[3:])
        assert list(rest.n_tokens) == list(of.n_tokens[3:])
        assert list(rest.near.lowers) == [k / 10 for k in range(3, 15)]
        assert rest.whole is of


@pytest.mark.parametrize(("left", "told"), [((), "0 of 5"), ((3.0,), "1 of 6")])
def test_fewer_than_two_templates_are_no_control(left: Sequence[float], told: str) -> None:
    """With one template, or none, without the word the control cannot be run, and the claim is open."""
    evidence = compared(left, (1, 2))
    why = f"{told} wordings of novice do without 'novice' and 'expert'; at least 2 are needed"
    assert evidence.estimate is not None
    assert only_control(evidence) == unrun("wording", "persists", why, estimate=evidence.estimate)
    assert evidence.outcome == "inconclusive"
    assert f"but the control for wording could not be run: {told} wordings of novice" in evidence.reason


def test_the_smaller_side_needs_two_templates_too() -> None:
    """The side that has too few is named, whichever it is."""
    assert only_control(compared((1, 2), (1,))).detail.startswith("1 of 6 wordings of expert do without")


def test_two_templates_are_run() -> None:
    """Two templates a side are few, but more than half of the effect in them is enough."""
    evidence = compared((12, 13), (1, 2))
    assert only_control(evidence).p == pytest.approx(2 / 6)
    assert evidence.outcome == "supported"


def test_a_single_wording_without_the_word_is_tested_over_its_topics() -> None:
    """One wording a style is compared over topics; where it does without the word the control holds."""
    novice = worded("novice", {"Teach me {topic}.": 3.0}, topics=EIGHT)
    expert = worded("expert", {"Review {topic}.": 1.0}, topics=EIGHT)
    gains = [0.1, -0.1, 0.2, 0.3, -0.2, 0.1, 0.2, 0.1]
    evidence = under_controls(replace(novice, values=novice.values + gains), expert, "wording")
    assert only_control(evidence).p == evidence.p == pytest.approx(2 / 256)
    assert evidence.outcome == "supported"


def test_a_single_wording_that_says_the_word_is_no_control() -> None:
    """The only wording of a style is all there is."""
    novice = worded("novice", {"To a novice: {topic}.": 3.0}, topics=EIGHT)
    expert = worded("expert", {"Review {topic}.": 1.0}, topics=EIGHT)
    detail = only_control(under_controls(novice, expert, "wording")).detail
    assert detail == "0 of 1 wordings of novice do without 'novice' and 'expert'; at least 1 are needed"


def test_words_that_nobody_names_are_no_control() -> None:
    """A record, or prompts without words, cannot tell which templates to leave out."""
    novice, expert = side("novice", (), (11, 12, 13, 14)), side("expert", (), (1, 2, 3, 4))
    evidence = under_controls(replace(novice, words={}), replace(expert, words={}), "wording")
    why = 'nobody knows which words are the styles\' own; a file of prompts says so by words = ["..."] under each style'
    assert evidence.estimate is not None
    assert only_control(evidence) == unrun("wording", "persists", why, estimate=evidence.estimate)
    assert evidence.outcome == "inconclusive"


def test_words_of_styles_that_are_not_compared_do_not_count() -> None:
    """The word of a third style may stand in these prompts."""
    words = {"novice": ("novice",), "guru": ("e1",)}
    novice, expert = side("novice", (), (11, 12, 13, 14)), side("expert", (), (1, 2, 3, 4))
    evidence = under_controls(replace(novice, words=words), replace(expert, words=words), "wording")
    assert "in the 4 + 4 wordings without 'novice'" in only_control(evidence).detail


def test_a_claim_that_is_not_found_is_not_explained() -> None:
    """Where the claim's own comparison shows nothing the control has nothing to take away."""
    evidence = under_controls(
        side("novice", (1, 2, 3, 4), (1, 2)), side("expert", (1, 2, 3, 4.5), (1.5, 2.5)), "wording"
    )
    assert evidence.outcome == "inconclusive"
    assert not only_control(evidence).explains
    assert "explained" not in evidence.reason
