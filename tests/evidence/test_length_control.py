"""The control for prompt length: what is left of a difference once every prompt is taken as equally long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from controlled import only_control, unrun
from grids import family, grid, templates
from scipy.stats import t as student

from saeprobe.evidence.compare import every
from saeprobe.evidence.controls.adjusting import slope_error, within_slope
from saeprobe.evidence.evidence import Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement

SLOPE = 0.3


def worded(style: str, length: float, means: Sequence[float], *, measure: str = "effective rank") -> Measurement:
    """Four templates on three topics; a value is 0.3 a token plus the mean of its template.

    The topics lie 4 tokens below `length`, at it and 4 above, under every template alike, so that the slope within
    the style is 0.3 exactly.
    """
    lengths = [[int(length) - 4, int(length), int(length) + 4]] * len(means)
    values = [[SLOPE * tokens + mean for tokens in row] for row, mean in zip(lengths, means, strict=True)]
    return grid(style, values, lengths=lengths, measure=measure, unit="dimensions")


def compared(novice: Measurement, expert: Measurement, *, alpha: float = 0.05) -> Evidence:
    """`novice > expert` under the control for length, both from one capture."""
    whole = family(novice, expert)
    with recording(Recorder(controls=("length",), alpha=alpha)):
        return whole[novice.label] > whole[expert.label]


def test_an_effect_of_length_alone_is_refuted_and_named() -> None:
    """20 tokens at 0.3 each make 6.0; nothing of it is left at equal length, and the reason says so."""
    novice, expert = worded("novice", 40, (-0.2, -0.1, 0.1, 0.2)), worded("expert", 20, (-0.3, -0.1, 0.1, 0.3))
    evidence = compared(novice, expert)
    (control,) = evidence.controls
    assert evidence.outcome == "refuted"
    assert evidence.p == pytest.approx(2 / 70)
    assert evidence.estimate == pytest.approx(6.0)
    assert control.answer == "explains"
    assert control.name == "length"
    assert control.share == pytest.approx(0.0, abs=1e-9)
    assert control.evidence is not None
    assert control.evidence.estimate == control.estimate
    assert control.estimate == pytest.approx(0.0, abs=1e-9)
    assert evidence.reason.startswith("explained by length: novice is +20.0 tokens longer than expert")
    assert "rises 0.3 a token" in evidence.reason


def test_without_the_control_the_same_effect_would_pass() -> None:
    """The guard is the control: undeclared, the effect of length is supported."""
    novice, expert = worded("novice", 40, (-0.2, -0.1, 0.1, 0.2)), worded("expert", 20, (-0.3, -0.1, 0.1, 0.3))
    assert (novice > expert).outcome == "supported"


def test_a_difference_that_length_turns_round_is_refuted() -> None:
    """6.0 of length on a style that lies 1 below leaves -1.0."""
    novice, expert = worded("novice", 40, (-1.2, -1.1, -0.9, -0.8)), worded("expert", 20, (-0.3, -0.1, 0.1, 0.3))
    evidence = compared(novice, expert)
    assert evidence.outcome == "refuted"
    assert evidence.controls[0].estimate == pytest.approx(-1.0)


def test_what_is_left_at_equal_length_may_still_support() -> None:
    """Of 8.0 the length makes 6.0; the 2.0 that is left separates all templates and supports the sentence."""
    novice, expert = worded("novice", 40, (1.8, 1.9, 2.1, 2.2)), worded("expert", 20, (-0.3, -0.1, 0.1, 0.3))
    evidence = compared(novice, expert)
    assert evidence.outcome == "supported"
    (control,) = evidence.controls
    assert control.answer != "explains"
    assert control.estimate == pytest.approx(2.0)
    assert control.share == pytest.approx(2 / 8)
    assert control.p == pytest.approx(2 / 70)
    assert evidence.reason.endswith("; +2 with prompt length held equal")


def test_prompts_of_equal_length_keep_their_effect() -> None:
    """Where the styles are equally long the control takes nothing away."""
    novice, expert = worded("novice", 30, (0.4, 0.5, 0.6, 0.7)), worded("expert", 30, (-0.3, -0.1, 0.1, 0.3))
    evidence = compared(novice, expert)
    assert evidence.outcome == "supported"
    assert evidence.controls[0].estimate == pytest.approx(evidence.estimate) == pytest.approx(0.55)
    assert "+0.0 tokens longer" in evidence.controls[0].detail


def test_one_length_for_all_prompts_passes() -> None:
    """Where no prompt is longer than another there is nothing to take out."""
    lengths = [[12, 12, 12]] * 4
    novice = grid("novice", [[v, v + 5, v - 5] for v in (10, 11, 12, 13)], lengths=lengths)
    expert = grid("expert", [[v, v + 5, v - 5] for v in (1, 2, 3, 4)], lengths=lengths)
    evidence = compared(novice, expert)
    assert evidence.outcome == "supported"
    unmoved = unrun("length", "all prompts are equally long")
    assert only_control(evidence) == replace(unmoved, p=evidence.p, interval=evidence.interval, share=1.0)


def test_unknown_lengths_are_inconclusive() -> None:
    """A record without lengths cannot pass the control, however clear the difference."""
    evidence = compared(templates("novice", (10, 11, 12, 13)), templates("expert", (1, 2, 3, 4)))
    assert evidence.outcome == "inconclusive"
    why = "the record does not say how long the prompts are"
    assert only_control(evidence) == unrun("length", why)
    assert f"the control for length could not be run: {why}" in evidence.reason


@pytest.mark.parametrize("unknown", ["novice", "expert", "whole"])
def test_lengths_have_to_be_known_of_both_sides_and_of_the_whole(unknown: str) -> None:
    """Of two captures one may tell its lengths and the other not."""
    sides = {
        style: grid(style, [[v, v + 5, v - 5] for v in means], lengths=[[20, 21, 22]] * 4)
        for style, means in (("novice", (10, 11, 12, 13)), ("expert", (1, 2, 3, 4)))
    }
    sides["whole"] = family(*sides.values())
    sides[unknown] = replace(sides[unknown], n_tokens=None)
    with recording(Recorder(controls=("length",))):
        evidence = replace(sides["novice"], family=sides["whole"]) > sides["expert"]
    why = "the record does not say how long the prompts are"
    assert only_control(evidence) == unrun("length", why)


def test_lengths_that_differ_between_styles_only_are_inconclusive() -> None:
    """Without a slope within any style, style and length cannot be told apart."""
    novice = grid("novice", [[v, v + 5, v - 5] for v in (10, 11, 12, 13)], lengths=[[20] * 3] * 4)
    expert = grid("expert", [[v, v + 5, v - 5] for v in (1, 2, 3, 4)], lengths=[[14] * 3] * 4)
    evidence = compared(novice, expert)
    assert evidence.outcome == "inconclusive"
    why = "prompts differ by 6.0 tokens between the styles but never within one"
    assert only_control(evidence) == unrun("length", why)
    assert why in evidence.reason


def test_an_effect_drowned_by_the_adjustment_is_inconclusive() -> None:
    """Of 2.0 the length makes 0.3; the 1.7 left overlap by one pair of templates, p = 4/70, and nothing is decided.

    Novice lies at 3, 4, 5, 6 and expert at 0.5, 1.5, 2.75, 1.25 before, after taking 0.3 from novice 2.7 and 2.75
    have changed places.
    """
    novice = worded("novice", 31, (2.7, 3.7, 4.7, 5.7))
    expert = worded("expert", 30, (0.5, 1.5, 2.75, 1.25))
    evidence = compared(novice, expert)
    (control,) = evidence.controls
    assert evidence.p == pytest.approx(2 / 70)
    assert control.p == pytest.approx(4 / 70)
    assert control.answer != "explains"
    assert evidence.outcome == "inconclusive"
    assert "not distinguished from prompt length" in evidence.reason


def test_a_refuted_difference_needs_no_control() -> None:
    """The contrary is refuted as the contrary, not as an effect of length."""
    evidence = compared(worded("novice", 20, (-0.2, -0.1, 0.1, 0.2)), worded("expert", 40, (-0.3, -0.1, 0.1, 0.3)))
    assert evidence.outcome == "refuted"
    assert evidence.reason.startswith("the contrary holds")


# a table of effective ranks in miniature: one wording a persona, eight topics

OFFSETS = np.array([-3, -2, -1, 0, 0, 1, 2, 3])
NOISE = np.array([0.3, -0.2, 0.1, -0.4, 0.0, 0.1, -0.2, 0.3])  # even in the offset, so it leaves the slope alone
TOPIC = np.array([1.0, -2, 0.5, 0.5, 0.5, 0.5, -2, 1])


def persona(name: str, length: int, gain: float, noise: float) -> Measurement:
    """One prompt a topic: 0.3 a token, the topic's own level, the persona's gain and its noise, whose sum is 0."""
    assert NOISE.sum() == pytest.approx(0)
    assert pytest.approx(0) == NOISE @ OFFSETS
    values = SLOPE * (length + OFFSETS) + TOPIC + gain + noise * NOISE
    return grid(
        name, [list(values)], lengths=[[int(n) for n in length + OFFSETS]], measure="effective rank", unit="dimensions"
    )


@pytest.fixture
def table() -> Measurement:
    """Standard prompts of 20 tokens, and four personas, longer by 10, 20, 30 and 30 tokens."""
    return family(
        persona("standard", 20, 0.0, 0.0),
        persona("guru", 30, 0.5, 0.5),
        persona("pirate", 40, -0.4, 0.5),
        persona("novice", 50, -0.45, 0.5),
        persona("expert", 50, -0.6, 0.1),
    )


def test_personas_that_are_only_longer_do_not_raise_the_effective_rank(table: Measurement) -> None:
    """Raw gains are 3.5, 5.6, 8.55 and 8.4; at equal length +0.5, -0.4, -0.45 and -0.6: three of four below zero.

    The +0.5 is open: eight topics, whose own levels lie up to 3 apart, do not tell a slope of 0.3 so well.
    """
    personas = ("guru", "pirate", "novice", "expert")
    with recording(Recorder(controls=("length",))):
        evidence = every(table[name] for name in personas) > table["standard"]
    assert evidence.outcome == "refuted"
    assert [part.estimate for part in evidence.parts] == pytest.approx([3.5, 5.6, 8.55, 8.4])
    assert [part.controls[0].estimate for part in evidence.parts] == pytest.approx([0.5, -0.4, -0.45, -0.6])
    assert [part.outcome for part in evidence.parts] == ["inconclusive", "refuted", "refuted", "refuted"]
    below, _, parts = evidence.reason.partition("; ")
    assert below == "with prompt length held equal 3 of the 4 differences fall below zero (0 before)"
    assert parts.startswith("3 of 4 comparisons are refuted")
    assert evidence.scope == "this wording only, over 8 topics"


def test_personas_of_equal_length_may_differ(table: Measurement) -> None:
    """Novice and expert are equally long; the 0.15 between them survives, over eight topics of one wording."""
    with recording(Recorder(controls=("length",))):
        evidence = table["novice"] > table["expert"]
    assert evidence.outcome == "supported"
    assert evidence.estimate == pytest.approx(0.15)
    assert evidence.controls[0].estimate == pytest.approx(0.15)


# the slope is an estimate too


def uncertain(gain: float, *, topics: int = 4, in_units_of: float = 1.0, alpha: float = 0.05) -> Evidence:
    """Four templates on four topics; the styles lie 30 tokens apart, and the topics 1 below and above their style.

    The topics' levels are 0.5, 0.5, 0.5 and 4.5 at -1, 1, -1 and 1 token: a slope of 1, and of 0 without the last. Of
    three topics they are 0.5, 0.5 and 4.5 at -1, 0 and 1.
    """
    topic, offset = np.array([0.5, 0.5, 0.5, 4.5])[-topics:], np.array([-1, 1, -1, 1] if topics == 4 else [-1, 0, 1])
    sides = [
        grid(
            style,
            [list((topic + level + noise) / in_units_of) for noise in (0.0, 0.1, 0.3, 0.6)],
            lengths=[list(length + offset)] * 4,
        )
        for style, level, length in (("novice", gain, 60), ("expert", 0.0, 30))
    ]
    return compared(*sides, alpha=alpha)


def test_what_is_left_beside_an_uncertain_slope_is_open() -> None:
    """The templates agree to 0.6 on what is left, but the slope that was taken 30 times is known only roughly."""
    evidence = uncertain(45.0)
    (control,) = evidence.controls
    assert control.evidence is not None
    assert control.evidence.p == pytest.approx(2 / 70)
    assert control.evidence.estimate == pytest.approx(45 - 30 * 1.0)
    slopes = _without_each_topic()
    error = np.sqrt(3 / 4 * np.sum((slopes - slopes.mean()) ** 2))
    assert control.p == pytest.approx(2 * student.sf(15 / (30 * error), 3))
    assert control.answer != "explains"
    assert evidence.outcome == "inconclusive"
    assert "not distinguished from prompt length" in evidence.reason
    assert evidence.reason.endswith(f"; against the error of that slope p = {control.p:.2g}")


def test_what_the_error_of_the_slope_cannot_make_is_supported() -> None:
    """Of 900 the slope takes about 30, give or take 60."""
    evidence = uncertain(900.0)
    assert evidence.outcome == "supported"
    assert "beside the error" not in evidence.controls[0].detail


@pytest.mark.parametrize("in_units_of", [1.0, 1000.0])
def test_an_error_of_the_slope_below_alpha_is_the_p_and_is_not_told(in_units_of: float) -> None:
    """Of 150 the slope takes 30, and 120 are left beside an error that makes p 0.047, above the templates' 2/70.

    Neither hangs on the unit.
    """
    evidence = uncertain(150.0, in_units_of=in_units_of)
    control = only_control(evidence)
    slopes = _without_each_topic()
    error = np.sqrt(3 / 4 * np.sum((slopes - slopes.mean()) ** 2))
    assert control.p == pytest.approx(2 * student.sf(120 / (30 * error), 3))
    assert control.p is not None
    assert 2 / 70 < control.p < 0.05
    assert control.detail == (
        f"novice is +30.0 tokens longer than expert; within a style the value rises {1 / in_units_of:g} a token, "
        f"and at equal length {120 / in_units_of:+g} features of {150 / in_units_of:+g} are left"
    )
    assert evidence.outcome == "supported"


def test_the_error_of_the_slope_at_alpha_is_told_and_leaves_the_claim_open() -> None:
    """As p of the claim, it has to lie below alpha."""
    p = only_control(uncertain(150.0)).p
    assert p is not None
    evidence = uncertain(150.0, alpha=p)
    assert only_control(evidence).p == p
    assert evidence.outcome == "inconclusive"
    assert evidence.reason.endswith("+120 features of +150 are left; against the error of that slope p = 0.047")


def test_three_topics_are_enough_for_an_error_of_the_slope() -> None:
    """0.5, 0.5 and 4.5 at -1, 0 and 1 token are a slope of 2, and of 4, 2 and 0 without one: an error of (16/3)**0.5.

    Of 360 the slope takes 60; by Student's t with two degrees of freedom 300 against 30 such errors.
    """
    control = only_control(uncertain(360.0, topics=3))
    assert control.estimate == pytest.approx(300.0)
    assert control.p == pytest.approx(2 * student.sf(300 / (30 * np.sqrt(16 / 3)), 2))
    assert control.p is not None
    assert control.p > 2 / 70


def test_of_one_wording_a_style_the_error_of_the_slope_is_that_over_topics() -> None:
    """Two templates tell nothing of it; eight topics do, as leaving out one after another and fitting a line shows."""
    control = only_control(compared(persona("novice", 50, 1.0, 0.5), persona("standard", 20, 0.0, 0.0)))
    both = (TOPIC + TOPIC + 0.5 * NOISE) / 2  # the slope is pooled, and the lengths of both lie alike about their mean
    slopes = np.array([np.polyfit(np.delete(OFFSETS, k), np.delete(both, k), 1)[0] for k in range(8)])
    error = np.sqrt(7 / 8 * np.sum((slopes - slopes.mean()) ** 2))
    assert control.estimate == pytest.approx(1.0)
    assert control.p == pytest.approx(2 * student.sf(1.0 / (30 * error), 7))


def test_two_wordings_on_two_topics_tell_nothing_of_the_slope() -> None:
    """An error is taken from three templates or topics on, and without one nothing is known: p is 1."""
    sides = [
        grid(style, [[level, level + 1.5]], lengths=[[length, length + 5]])
        for style, level, length in (("novice", 10.0, 40), ("expert", 1.0, 20))
    ]
    control = only_control(compared(*sides))
    assert control.estimate == pytest.approx(9 - 20 * 0.3)
    assert control.p == 1.0
    assert control.detail.endswith("+3 features of +9 are left; against the error of that slope p = 1")


def _without_each_topic() -> np.ndarray:
    topic, offset = np.array([0.5, 0.5, 0.5, 4.5]), np.array([-1.0, 1, -1, 1])
    kept = [np.arange(4) != out for out in range(4)]
    return np.array([np.polyfit(offset[rest], topic[rest], 1)[0] for rest in kept])


def hanging(novice: Sequence[float], *, longer: int) -> Evidence:
    """Beside templates of 1 to 4; all prompts of a style but those on one topic are equally long."""
    sides = [
        grid(style, [[v, v + 1, v - 1, v] for v in means], lengths=[[n, n, n, n + 1]] * 4)
        for style, means, n in (("novice", novice, 10 + longer), ("expert", (1, 2, 3, 4), 10))
    ]
    return compared(*sides)


@pytest.mark.parametrize(("longer", "outcome"), [(10, "inconclusive"), (1, "inconclusive"), (0, "supported")])
def test_a_slope_that_hangs_on_one_topic_tells_nothing(longer: int, outcome: str) -> None:
    """Without the topic there is no slope, so p is 1 even where it is taken only once; taken 0 times it is free."""
    evidence = hanging((10, 11, 12, 13), longer=longer)
    assert evidence.outcome == outcome
    assert only_control(evidence).p == (1.0 if longer else evidence.p)


def test_an_error_of_the_slope_that_adds_nothing_is_not_told() -> None:
    """Where the comparison at equal length itself has a p of 1, the slope makes it no larger."""
    control = only_control(hanging((1, 2, 3, 4), longer=10))
    assert (control.p, control.share) == (1.0, None)
    assert control.detail == (
        "novice is +10.0 tokens longer than expert; within a style the value rises 0 a token, "
        "and at equal length +0 features of +0 are left"
    )


@pytest.mark.parametrize("clusters", ["abcabc" * 2, "aabbcc" * 2, "aaabbbcccddd"])
def test_the_error_of_a_slope_is_a_jackknife_over_clusters(clusters: str) -> None:
    """As leaving out one cluster after another and taking the slope of the rest has it."""
    rng = np.random.default_rng(3)
    lengths, values = rng.normal(20, 3, 12), rng.normal(0, 1, 12)
    groups = np.array(list("nnnnnneeeeee"))
    members = np.array(list(clusters))
    slopes = [
        within_slope(values[members != out], lengths[members != out], tuple(groups[members != out]))
        for out in sorted(set(clusters))
    ]
    apart = np.array(slopes, dtype=float) - np.mean(np.array(slopes, dtype=float))
    wanted = np.sqrt((len(slopes) - 1) / len(slopes) * np.sum(apart**2))
    assert slope_error(values, lengths, tuple(groups), tuple(clusters)) == pytest.approx(wanted)
