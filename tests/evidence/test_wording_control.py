"""The control for wording: what is left of a difference in the templates that do without the styles' own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from controlled import only_control, under_controls, unrun, worded
from scipy.stats import ttest_1samp, ttest_ind

from saeprobe.evidence import Evidence, Recorder, Terms, recording
from saeprobe.evidence.controls.adjusting import wording_control
from saeprobe.evidence.units import compare
from saeprobe.evidence.values import Measurement
from saeprobe.statistics.intervals import units_to_decide
from saeprobe.statistics.shifts import unpaired_shift

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


FREE_A, FREE_B = (6.0, 8.5, 7.0, 9.0), (1.0, 3.0, 2.5, 1.5)
WORDED_A, WORDED_B = (14.0, 15.0, 16.0, 17.0, 18.0), (1.0, 2.0, 3.0, 4.0, 5.0)


def test_what_is_left_is_welchs_t_over_the_free_wordings() -> None:
    """P by scipy over the free ones alone, no smaller than by their permutation, and the interval by Welch's df."""
    control = only_control(compared(FREE_A, FREE_B))
    welch = ttest_ind(FREE_A, FREE_B, equal_var=False, alternative="greater")
    assert control.estimate == pytest.approx(np.mean(FREE_A) - np.mean(FREE_B))
    assert control.numbers["df of L"] == pytest.approx(welch.df)
    assert control.p == pytest.approx(max(welch.pvalue, 1 / 70))
    low = ttest_ind(FREE_A, FREE_B, equal_var=False).confidence_interval(0.9).low
    assert control.interval is not None
    assert control.interval[0] <= low + 1e-9
    assert control.answer == "withstood"
    assert [unit.value for unit in control.unit_values] == pytest.approx([*FREE_A, *FREE_B])


@pytest.mark.parametrize(("free", "more"), [(0, 4), (1, 3), (2, 2), (3, 1)])
def test_fewer_than_four_free_wordings_are_no_control(free: int, more: int) -> None:
    """Where wordings show all or nothing three agree by chance: Welch's t would withstand in up to 13 of 100."""
    evidence = compared(FREE_A[:free], FREE_B)
    why = (
        f"{free} of {free + 5} wordings of novice do without 'novice' and 'expert'; at least 4 are needed, {more} more"
    )
    assert evidence.estimate is not None
    assert only_control(evidence) == unrun("wording", why, estimate=evidence.estimate)
    assert evidence.outcome == "inconclusive"
    assert f"but the control for wording could not be run: {why}" in evidence.reason
    assert only_control(compared(FREE_A, FREE_B[:free])).detail == why.replace("of novice", "of expert")


def test_half_of_the_effect_comes_off_with_the_error_of_both_cells() -> None:
    """C = (1 - f / 2n) F - (n - f) / 2n W a side, each with its own variance, df by Satterthwaite."""
    numbers = only_control(compared(FREE_A, FREE_B)).numbers
    cells = ((FREE_A, 1 - 4 / 18), (WORDED_A, -5 / 18), (FREE_B, -(1 - 4 / 18)), (WORDED_B, 5 / 18))
    parts = [(weight**2 * np.var(of, ddof=1) / len(of), len(of) - 1) for of, weight in cells]
    variance = sum(part for part, _ in parts)
    assert numbers["estimate of C"] == pytest.approx(sum(weight * np.mean(of) for of, weight in cells))
    assert numbers["estimate of C"] == pytest.approx(numbers["estimate of L"] - numbers["D"] / 2)
    assert numbers["error of C"] == pytest.approx(variance**0.5)
    assert numbers["df of C"] == pytest.approx(variance**2 / sum(part**2 / free for part, free in parts))


def test_an_effect_of_the_word_alone_is_explained_and_named() -> None:
    """Four free wordings lie 0.1 apart and the worded ones 13: surely less than half is left."""
    evidence = compared((1, 2, 3, 1.4), (1.1, 2.1, 2.9, 0.9))
    control = only_control(evidence)
    assert control.answer == "explains"
    assert evidence.outcome == "explained"
    assert (
        ", but explained by wording: in the 4 + 4 of 9 + 9 wordings without 'novice' and 'expert' +0.1 "
        in evidence.reason
    )


def test_free_wordings_that_cannot_tell_say_how_many_could() -> None:
    """The difference is 3.5 and the variances are 38 / 3 and 5 / 3; one-sided alpha is a two-sided 2 alpha."""
    control = only_control(evidence := compared((2.0, 9.0, 4.0, 9.0), (1.0, 3.0, 4.0, 2.0)))
    assert (control.answer, evidence.outcome) == ("cannot tell", "inconclusive")
    wanted = units_to_decide(3.5 / ((38 / 3 + 5 / 3) / 2) ** 0.5, alpha=0.1, paired=False)
    assert wanted is not None
    assert f"; about {wanted} such wordings a style would decide it, {wanted - 4} more" in evidence.reason


def test_free_wordings_too_many_to_count_are_permuted_with_the_seed_of_the_run() -> None:
    """20 + 6 have 230,230 relabelings; those that the seed draws give a larger p than Welch's, and a lower end."""
    rng = np.random.default_rng(5)
    a, b = rng.lognormal(0, 1, 20) + 1.2, rng.lognormal(0, 1, 6)
    with recording(Recorder(controls=("wording",), seed=3)):
        control = only_control(side("novice", WORDED_A, a.tolist()) > side("expert", WORDED_B, b.tolist()))
    drawn, others = (unpaired_shift(a, b, alpha=0.1, seed=seed) for seed in (3, 4))
    welch = ttest_ind(a, b, equal_var=False)
    assert len({drawn.p, others.p, welch.pvalue}) == 3
    assert control.p == pytest.approx(drawn.p / 2)
    assert control.interval == pytest.approx(drawn.interval)
    assert control.interval is not None
    assert control.interval[0] < welch.confidence_interval(0.9).low - 0.2


def test_topics_add_their_error_where_they_are_units_too() -> None:
    """Over both, the variance of the topics' differences comes to that of the wordings, and no difference."""
    novice, expert = side("novice", WORDED_A, FREE_A), side("expert", WORDED_B, FREE_B)
    moved = replace(novice, values=novice.values + np.tile((0.5, -0.5, 0.0), 9))
    alone = only_control(under_controls(moved, expert, "wording")).numbers
    with recording(Recorder(controls=("wording",), over=("templates", "topics"))):
        numbers = only_control(moved > expert).numbers
    added = float(np.var((0.5, -0.5, 0.0), ddof=1)) / 3
    for name, share in (("L", 1.0), ("C", 0.5)):
        assert numbers[f"estimate of {name}"] == pytest.approx(alone[f"estimate of {name}"])
        assert numbers[f"error of {name}"] ** 2 == pytest.approx(alone[f"error of {name}"] ** 2 + share**2 * added)


def test_free_wordings_that_are_pairs_by_frame_need_four_pairs() -> None:
    """Four free wordings a side, of five pairs; one of each has a partner that says the word, so three are left."""
    novice, expert = side("novice", (14,), (11, 12, 13, 14)), side("expert", (1,), (1, 2, 3, 4))
    units = compare(novice, expert, terms := Terms())
    assert not isinstance(units, str)
    pairs = (0, 1), (1, 0), (2, 2), (3, 3), (4, 4)
    why = "fewer than 4 pairs of wordings do without 'novice' and 'expert'"
    control = wording_control(novice, expert, replace(units, pairs=pairs), terms)
    assert control == unrun("wording", why, estimate=units.shift.estimate)
    in_step = tuple((k, k) for k in range(5))
    assert wording_control(novice, expert, replace(units, pairs=in_step), terms).p == 1 / 2**4


def test_free_wordings_that_never_vary_are_judged_by_their_order() -> None:
    """A feature fires on every novice prompt and on no expert prompt: 1 / 70 for four wordings."""
    sides = (side(style, (value,) * 4, (value,) * 4) for style, value in (("novice", 1), ("expert", 0)))
    fires, silent = (replace(one, values=np.full(24, v)) for one, v in zip(sides, (1.0, 0.0), strict=True))
    control = only_control(under_controls(fires, silent, "wording"))
    assert (control.answer, control.p) == ("withstood", pytest.approx(1 / 70))


@pytest.mark.parametrize(
    ("gains", "p"), [((0.1, 0.2, -0.1, 0.0), 6 / 16), ((0.1, 0.12, 0.11, 0.13, 0.14, 0.1), 1 / 64)]
)
def test_paired_arms_are_judged_by_their_pairs(gains: Sequence[float], p: float) -> None:
    """The same prompts in two arms: the differences of the free wordings, by their signs where t is smaller."""
    arm = side("novice", (1.0, 2.0, 3.0, 2.0), (*FREE_A, 8.0, 7.5)[: len(gains)])
    of_all = np.repeat((9.0, 8.0, 9.5, 8.5, *gains), 3)
    evidence = under_controls(replace(arm, values=arm.values + of_all, label="steered"), arm, "wording")
    control = only_control(evidence)
    assert ttest_1samp(gains, 0, alternative="greater").pvalue < p
    assert control.p == pytest.approx(p)
    assert control.answer == ("withstood" if p < 0.05 else "explains")


def test_templates_without_any_word_are_left_as_they_are() -> None:
    """Where no template says a word there is nothing to control."""
    evidence = under_controls(side("novice", (), (11, 12, 13, 14)), side("expert", (), (1, 2, 3, 4)), "wording")
    control = only_control(evidence)
    assert evidence.p is not None
    assert (control.p, control.estimate, control.share) == (evidence.p / 2, evidence.estimate, 1.0)
    assert control.detail == "no wording says 'novice' and 'expert'"
    assert evidence.outcome == "supported"


def test_the_other_styles_word_counts_too() -> None:
    """A novice prompt that says `expert` is left out with those that say `novice`."""
    means = {"a: {topic}": 11, "b: {topic}": 12, "no Expert: {topic}": 13, "c: {topic}": 14, "d: {topic}": 15}
    evidence = under_controls(worded("novice", means), side("expert", (), (1, 2, 3, 4)), "wording")
    assert "in the 4 + 4 of 5 + 4 wordings without 'novice' and 'expert'" in only_control(evidence).detail


@pytest.mark.parametrize(
    "said",
    ["novices", "NOVICE'S", "\uff4e\uff4f\uff56\uff49\uff43\uff45", "nov\u00adice", "no\u200bvi\u2060ce", "novicehood"],
)
def test_a_word_in_another_form_counts_too(said: str) -> None:
    """A longer word that begins so, letters of full width, and signs between that nobody sees, all say it."""
    means = {f"n{k}: {{topic}}": 11 + k for k in range(4)} | {f"Notes for {said} on {{topic}}": 15}
    detail = only_control(under_controls(worded("novice", means), side("expert", (), (1, 2, 3, 4)), "wording")).detail
    assert "in the 4 + 4 of 5 + 4 wordings without 'novice' and 'expert'" in detail


def test_a_word_inside_another_counts_not() -> None:
    """A longer word that ends so is another one."""
    means = {f"{k} of an inexpert anovice: {{topic}}": k + 10 for k in range(4)}
    evidence = under_controls(worded("novice", means), side("expert", (), (1, 2, 3, 4)), "wording")
    assert only_control(evidence).detail == "no wording says 'novice' and 'expert'"


def test_a_field_that_is_called_like_the_word_says_nothing() -> None:
    """`{guru}` in a template is a name in its prompts."""
    means = {f"{k}, as {{guru}} would: {{topic}}": mean for k, mean in enumerate((11, 12, 13, 14))}
    guru = worded("guru", means)
    named = tuple(replace(prompt, text=prompt.text.replace("{guru}", "Darwin")) for prompt in guru.prompts)
    words = {"guru": ("guru",)}
    evidence = under_controls(
        replace(guru, prompts=named, words=words), replace(side("expert", (), (1, 2, 3, 4)), words=words), "wording"
    )
    assert only_control(evidence).detail == "no wording says 'guru'"


def test_a_topic_that_is_the_word_says_nothing_of_the_wording() -> None:
    """`the expert witness` is a topic of both sides."""
    topics = ("the expert witness", "tides", "rust")
    novice = worded("novice", {f"{k}: {{topic}}": k + 10 for k in range(4)}, topics=topics)
    expert = worded("expert", {f"e{k}: {{topic}}": k for k in range(4)}, topics=topics)
    assert only_control(under_controls(novice, expert, "wording")).answer == "withstood"


def test_over_topics_what_is_left_is_taken_topic_by_topic() -> None:
    """Two wordings a style, one of them without the word: by a paired t of its differences, and of these less half."""
    novice, expert = (
        worded(style, {f"To a {style}: {{topic}}.": mean, f"{style[0]}: {{topic}}.": mean}, topics=EIGHT)
        for style, mean in (("novice", 3.0), ("expert", 1.0))
    )
    gains = np.array([0.1, -0.1, 0.2, 0.3, -0.2, 0.1, 0.2, 0.1])
    novice = replace(novice, values=novice.values + np.concatenate([np.zeros(8), gains]))
    with recording(Recorder(controls=("wording",), over=("topics",))):
        control = only_control(novice > expert)
    assert control.p == pytest.approx(ttest_1samp(2 + gains, 0, alternative="greater").pvalue)
    assert control.numbers["p of C"] == pytest.approx(
        ttest_1samp(2 + gains - (2 + gains / 2) / 2, 0, alternative="less").pvalue
    )


def test_over_topics_what_is_left_has_to_exceed_the_margin() -> None:
    """A margin of 3 comes off each topic: the wordings that do without the word lie 2.075 apart, and so 0.925 short."""
    novice, expert = (
        worded(style, {f"To a {style}: {{topic}}.": mean, f"{style[0]}: {{topic}}.": other}, topics=EIGHT)
        for style, mean, other in (("novice", 13.0, 3.0), ("expert", 1.0, 1.0))
    )
    gains = np.array([0.1, -0.1, 0.2, 0.3, -0.2, 0.1, 0.2, 0.0])
    novice = replace(novice, values=novice.values + np.concatenate([gains, gains]))
    with recording(Recorder(controls=("wording",), over=("topics",))):
        evidence = novice > expert + 3
    control = only_control(evidence)
    assert control.estimate == pytest.approx(2.075 - 3)
    assert control.p == pytest.approx(ttest_1samp(2 + gains - 3, 0, alternative="greater").pvalue)
    assert (control.answer, evidence.outcome) == ("explains", "explained")


def test_free_topics_without_any_spread_are_no_surer_than_their_number() -> None:
    """Where all eight differ by exactly 2 p is 1 / 2^8, as of their signs, and not 0; so where none does."""
    novice, expert = (
        worded(style, {f"To a {style}: {{topic}}.": mean, f"{style[0]}: {{topic}}.": mean}, topics=EIGHT)
        for style, mean in (("novice", 3.0), ("expert", 1.0))
    )
    gains = np.array([0.1, -0.1, 0.2, 0.3, -0.2, 0.1, 0.2, 0.1])
    novice = replace(novice, values=novice.values + np.concatenate([gains, np.zeros(8)]))
    with recording(Recorder(controls=("wording",), over=("topics",))):
        control = only_control(novice > expert)
    assert (control.estimate, control.interval) == (pytest.approx(2.0), None)
    assert control.p == 1 / 2**8
    flat = replace(novice, values=expert.values + np.repeat((4.0, 0.0), 8))
    with recording(Recorder(controls=("wording",), over=("topics",))):
        control = only_control(flat > expert)
    assert (control.answer, control.estimate, control.numbers["p of C"]) == ("explains", 0, 1 / 2**8)


def test_a_single_wording_that_says_the_word_is_no_control() -> None:
    """The only wording of a style is all there is."""
    novice = worded("novice", {"To a novice: {topic}.": 3.0}, topics=EIGHT)
    expert = worded("expert", {"Review {topic}.": 1.0}, topics=EIGHT)
    detail = only_control(under_controls(novice, expert, "wording")).detail
    assert detail == "0 of 1 wordings of novice do without 'novice' and 'expert'; at least 1 are needed, 1 more"


def test_words_that_nobody_names_are_no_control() -> None:
    """A record, or prompts without words, cannot tell which templates to leave out."""
    novice, expert = side("novice", (), (11, 12, 13, 14)), side("expert", (), (1, 2, 3, 4))
    evidence = under_controls(replace(novice, words={}), replace(expert, words={}), "wording")
    why = 'nobody knows which words are the styles\' own; a file of prompts says so by words = ["..."] under each style'
    assert evidence.estimate is not None
    assert only_control(evidence) == unrun("wording", why, estimate=evidence.estimate)
    assert evidence.outcome == "inconclusive"


def test_words_of_styles_that_are_not_compared_do_not_count() -> None:
    """The word of a third style may stand in these prompts."""
    words = {"novice": ("novice",), "guru": ("e1",)}
    novice, expert = side("novice", (), (11, 12, 13, 14)), side("expert", (), (1, 2, 3, 4))
    evidence = under_controls(replace(novice, words=words), replace(expert, words=words), "wording")
    assert only_control(evidence).detail == "no wording says 'novice'"


def test_a_claim_that_is_not_found_is_not_explained() -> None:
    """Where the claim's own comparison shows nothing the control has nothing to take away."""
    evidence = under_controls(
        side("novice", (1, 2, 3, 4), (1, 2)), side("expert", (1, 2, 3, 4.5), (1.5, 2.5)), "wording"
    )
    assert evidence.outcome == "inconclusive"
    assert only_control(evidence).answer != "explains"
    assert "explained" not in evidence.reason
