"""The control for prompt length: what is left of a difference once every prompt is taken as equally long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from grids import family, grid, templates
from scipy.stats import t as student

from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.measurement import Measurement, every
from saeprobe.statistics import slope_error, within_slope

SLOPE = 0.3


def worded(style: str, length: float, means: Sequence[float], *, measure: str = "effective rank") -> Measurement:
    """Four templates on three topics; a value is 0.3 a token plus the mean of its template.

    The topics lie 4 tokens below `length`, at it and 4 above, under every template alike, so that the slope within
    the style is 0.3 exactly.
    """
    lengths = [[int(length) - 4, int(length), int(length) + 4]] * len(means)
    values = [[SLOPE * tokens + mean for tokens in row] for row, mean in zip(lengths, means, strict=True)]
    return grid(style, values, lengths=lengths, measure=measure, unit="dimensions")


def compared(novice: Measurement, expert: Measurement) -> Evidence:
    """`novice > expert` under the control for length, both from one capture."""
    whole = family(novice, expert)
    with recording(Recorder(controls=("length",))):
        return whole[novice.label] > whole[expert.label]


def test_an_effect_of_length_alone_is_refuted_and_named() -> None:
    """20 tokens at 0.3 each make 6.0; nothing of it is left at equal length, and the reason says so."""
    novice, expert = worded("novice", 40, (-0.2, -0.1, 0.1, 0.2)), worded("expert", 20, (-0.3, -0.1, 0.1, 0.3))
    evidence = compared(novice, expert)
    (control,) = evidence.controls
    assert evidence.outcome == "refuted"
    assert evidence.p == pytest.approx(2 / 70)
    assert evidence.estimate == pytest.approx(6.0)
    assert control.explains
    assert (control.name, control.expects) == ("length", "persists")
    assert control.share == pytest.approx(0.0, abs=1e-9)
    assert control.evidence is not None
    assert control.evidence.estimate == control.estimate
    assert control.estimate == pytest.approx(0.0, abs=1e-9)
    assert evidence.reason.startswith("explained by length: novice is +20.0 tokens longer than expert")
    assert "rises 0.300 a token" in evidence.reason


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
    assert not control.explains
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
    assert evidence.controls[0].detail == "all prompts are equally long"
    assert (evidence.controls[0].share, evidence.controls[0].p) == (1.0, evidence.p)
    assert evidence.controls[0].interval == evidence.interval


def test_unknown_lengths_are_inconclusive() -> None:
    """A record without lengths cannot pass the control, however clear the difference."""
    evidence = compared(templates("novice", (10, 11, 12, 13)), templates("expert", (1, 2, 3, 4)))
    assert evidence.outcome == "inconclusive"
    assert (
        "the control for length could not be run: the record does not tell how long the prompts are" in evidence.reason
    )


def test_lengths_that_differ_between_styles_only_are_inconclusive() -> None:
    """Without a slope within any style, style and length cannot be told apart."""
    novice = grid("novice", [[v, v + 5, v - 5] for v in (10, 11, 12, 13)], lengths=[[20] * 3] * 4)
    expert = grid("expert", [[v, v + 5, v - 5] for v in (1, 2, 3, 4)], lengths=[[14] * 3] * 4)
    evidence = compared(novice, expert)
    assert evidence.outcome == "inconclusive"
    assert "prompts differ by 6.0 tokens between the styles but never within one" in evidence.reason


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
    assert not control.explains
    assert evidence.outcome == "inconclusive"
    assert "not told apart from prompt length" in evidence.reason


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


def uncertain(gain: float) -> Evidence:
    """Four templates on four topics; the styles lie 30 tokens apart, and the topics 1 below and above their style.

    The topics' levels are 0.5, 0.5, 0.5 and 4.5 at -1, 1, -1 and 1 token: a slope of 1, and of 0 without the last.
    """
    topic, offset = np.array([0.5, 0.5, 0.5, 4.5]), np.array([-1, 1, -1, 1])
    sides = [
        grid(
            style, [list(topic + level + noise) for noise in (0.0, 0.1, 0.3, 0.6)], lengths=[list(length + offset)] * 4
        )
        for style, level, length in (("novice", gain, 60), ("expert", 0.0, 30))
    ]
    return compared(*sides)


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
    assert not control.explains
    assert evidence.outcome == "inconclusive"
    assert "not told apart from prompt length" in evidence.reason
    assert evidence.reason.endswith(f"; beside the error of that slope p = {control.p:.2g}")


def test_what_the_error_of_the_slope_cannot_make_is_supported() -> None:
    """Of 900 the slope takes about 30, give or take 60."""
    evidence = uncertain(900.0)
    assert evidence.outcome == "supported"
    assert "beside the error" not in evidence.controls[0].detail


def _without_each_topic() -> np.ndarray:
    topic, offset = np.array([0.5, 0.5, 0.5, 4.5]), np.array([-1.0, 1, -1, 1])
    kept = [np.arange(4) != out for out in range(4)]
    return np.array([np.polyfit(offset[rest], topic[rest], 1)[0] for rest in kept])


def test_a_slope_that_hangs_on_one_topic_tells_nothing() -> None:
    """All prompts but those on one topic are equally long: without it there is no slope."""
    sides = [
        grid(style, [[v, v + 1, v - 1, v] for v in means], lengths=[[n, n, n, n + 1]] * 4)
        for style, means, n in (("novice", (10, 11, 12, 13), 20), ("expert", (1, 2, 3, 4), 10))
    ]
    evidence = compared(*sides)
    assert evidence.outcome == "inconclusive"
    assert evidence.controls[0].p == 1.0


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
