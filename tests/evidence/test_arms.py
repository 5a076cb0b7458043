"""The steered arm among random sets, and beside the unsteered model; eight wordings, values in nats a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from steered import BASE, steered_by

from saeprobe.captures import Continuations
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.compare import about, every, ordered
from saeprobe.evidence.values import Measurement
from saeprobe.measures import fluency, mentions


def more(of: Continuations, alpha: float = 0.05) -> Evidence:
    """The steered arm is said to lie above random sets."""
    with recording(Recorder(alpha=alpha)):
        return fluency(of.at(20)) > fluency(of.random_feature.at(20))


def less(of: Continuations) -> Evidence:
    """The steered arm is said to lie below random sets."""
    return fluency(of.at(20)) < fluency(of.random_feature.at(20))


def test_an_arm_above_forty_sets_and_the_unsteered_model_is_supported() -> None:
    """The rank p is 1/41; by sign flips over 8 wordings p is 2/256; p is twice the larger one-sided one, 2/41."""
    evidence = more(steered_by(2, *[0.01 * n for n in range(40)]))
    assert evidence.outcome == "supported"
    assert (evidence.p, evidence.claim_p) == (pytest.approx(2 / 41), pytest.approx(1 / 41))
    assert evidence.reason == "-48 against -50 nats a token unsteered, above 40 of 40 random sets, p = 0.049"
    (part,) = evidence.parts
    assert (part.statement, part.p) == ("fluency of steered at 20 > fluency of unsteered", pytest.approx(2 / 256))
    values = [(one.side, one.unit, pytest.approx(one.value)) for one in evidence.unit_values]
    assert values[:3] == [
        ("steered at 20", "the chosen features", -48.0),
        ("unsteered", "no features", BASE),
        ("random features at 20", "features 100", BASE),
    ]
    assert len(values) == 42
    assert evidence.scope.endswith("alone; feature and strength chosen on other prompts")
    assert evidence.rule == (
        "the unit values are means over the prompts and as many samples as the sets have, 1. Supported where the part "
        "against the unsteered model is and the rank p, (1 + sets as large as the steered arm) / (1 + sets), is below "
        "alpha / 2 = 0.025; explained where only the part is, and so many sets make at least half of the steered arm's "
        "effect that 1 of 2 each would do so with a binomial p of at most 0.01; refuted where the part is and half of "
        "the sets are as large, or where the contrary rank p is below alpha / 2 and the part's estimate not above "
        "zero; inconclusive otherwise. p is twice the larger one-sided p"
    )


@pytest.mark.parametrize(
    ("gain", "sets", "outcome", "says"),
    [
        (2, [0.0] * 39 + [2.0], "inconclusive", "not distinguished from the sets"),  # a tie is against it: 2/41
        (2, [0.0] * 12 + [1.0] * 27 + [2.0], "explained", "28 of the sets make at least half"),
        (2, [0.0] * 13 + [1.0] * 26 + [2.0], "inconclusive", "not distinguished from the sets"),  # 27 are half as large
        (2, [0.0] * 39, "inconclusive", "p = 0.05: so few sets .* random_features=40 can"),  # 1/40 is alpha / 2
        (2, [0.0] * 3 + [2.0], "inconclusive", "above 3 of 4 random sets, p = 0.8: so few sets"),
        (2, [3.0] * 7, "explained", "7 of the sets"),  # 1/128
        (2, [3.0] * 6, "inconclusive", "so few sets"),  # 1/64
        (0.05, [-1.0] * 40, "inconclusive", "not above the unsteered model. .* 12 prompts x 2 samples"),
        (-2, [-3.0] * 40, "inconclusive", "above 40 of 40 .* not above the unsteered model. the contrary holds"),
        (-2, [-3.0] * 20 + [-1.0] * 20, "refuted", "the contrary holds against the unsteered model"),
        (-2, [-3.0] * 21 + [-1.0] * 19, "inconclusive", "not above the unsteered model. the contrary holds"),
        (-0.05, [1.0] * 40, "refuted", "the contrary holds against the sets"),
        (0.05, [1.0] * 40, "inconclusive", "not above the unsteered model"),
        (-0.05, [1.0] * 39 + [-1.0], "inconclusive", "not above the unsteered model"),
    ],
)
def test_the_word_follows_from_both_tests(gain: float, sets: Sequence[float], outcome: str, says: str) -> None:
    """Each word needs its own evidence; and the mirrored sentence has the mirrored numbers and the same word."""
    evidence = more(steered_by(gain, *sets))
    assert evidence.outcome == outcome
    assert re.search(says, evidence.reason)
    turned = less(steered_by(-gain, *[-one for one in sets]))
    assert (turned.outcome, turned.p) == (outcome, pytest.approx(evidence.p))


def test_another_alpha_needs_another_number_of_sets() -> None:
    """At 10 % the rank of 20 sets, 1/21, is below alpha / 2; that of 19 is not."""
    assert more(steered_by(2, *[0.0] * 20), alpha=0.1).outcome == "supported"
    evidence = more(steered_by(2, *[0.0] * 19), alpha=0.1)
    assert evidence.needed is not None
    assert (evidence.needed.units, evidence.needed.have, evidence.needed.wanted) == ("random sets", 19, 20)


def test_a_margin_is_asked_of_both() -> None:
    """2 above the unsteered model and 1.5 above the largest set: beyond 1, short of 1.7 at the sets."""
    of = steered_by(2, *[0.5] * 40)
    larger, smaller = fluency(of.at(20)), fluency(of.random_feature.at(20))
    evidence = larger > smaller + 1
    assert (evidence.kind, evidence.outcome, evidence.estimate) == ("at least", "supported", pytest.approx(0.5))
    assert (larger > smaller + 1.7).outcome == "inconclusive"
    assert (larger > smaller + 2.5).outcome == "refuted"


def test_the_rank_is_of_the_samples_that_the_sets_have() -> None:
    """All arms share the luck of a sample; one that has another sample must not lie above the sets by its luck."""
    evidence = more(steered_by(0.0, *[0.0] * 40, samples=2, later=5.0))
    assert "above 0 of 40 random sets" in evidence.reason
    assert evidence.unit_values[0].value == pytest.approx(BASE)


def test_only_sets_of_the_same_experiment_and_strength_are_a_rank() -> None:
    """Others have another norm."""
    one, other = steered_by(2, *[0.0] * 40), steered_by(2, *[0.0] * 40)
    with pytest.raises(TypeError, match="not of one experiment, strength and set of prompts, and so not of equal norm"):
        _ = fluency(one.at(20)) > fluency(other.random_feature.at(20))
    twice = replace(one, items=one.items + tuple(replace(item, strength=2 * item.strength) for item in one.items))
    with pytest.raises(TypeError, match="not of one experiment, strength"):
        _ = fluency(twice.at(20)) > fluency(twice.random_feature.at(40))


def test_equality_with_another_arm_is_decided_as_of_any_prompts() -> None:
    """It claims no effect that random sets could explain."""
    of = steered_by(2, *[0.3] * 40)
    evidence = fluency(of.at(20)) == about(fluency(of.unsteered), margin=9)
    assert (evidence.outcome, evidence.units) == ("supported", "templates, paired")


def among(*sets: float) -> Continuations:
    """An arm 2 above the unsteered model, which lies at -50, among these sets."""
    return steered_by(2, *sets)


def stronger(of: Continuations) -> Measurement:
    """The steered arm once more at twice the strength, and so are all its sets: three times as far from -50."""
    steered = (one for one in of.items if one.arm != "unsteered")
    again = (replace(one, strength=40.0, log_prob=3 * one.log_prob - 2 * BASE) for one in steered)
    return fluency(replace(of, items=(*of.items, *again)).at(40))


ASKED: list[Callable[[Continuations], Evidence]] = [
    lambda of: fluency(of.at(20)) > fluency(of.unsteered),
    lambda of: fluency(of.at(20)) > fluency(of.unsteered) + 0.5,
    lambda of: fluency(of.unsteered) < fluency(of.at(20)),
    lambda of: fluency(of.at(20)) > -49,
    lambda of: stronger(of) > fluency(of.at(20)),
    lambda of: every([fluency(of.at(20))]) > -49,
]


@pytest.mark.parametrize("ask", ASKED)
def test_whatever_a_steered_arm_is_held_against_it_is_ranked_too(ask: Callable[[Continuations], Evidence]) -> None:
    """Forty sets at the unsteered model's level leave the sentence, forty that do as much explain it; a tie is open."""
    assert ask(among(*[0.0] * 40)).outcome == "supported"
    explained = ask(among(*[2.0] * 40))
    assert explained.outcome == "explained"
    assert "above 0 of 40 random sets, p = 1: 40 of the sets make at least half of the effect" in explained.reason
    assert ask(among(*[0.0] * 39, 2.0)).outcome == "inconclusive"


def test_a_level_that_needs_no_steering_is_no_effect_of_it() -> None:
    """At -48 it lies above -60; so does the unsteered model, at -50, and an arm below it refutes no such sentence."""
    evidence = fluency(steered_by(-2, *[3.0] * 40).at(20)) > -60
    assert evidence.outcome == "inconclusive"
    assert "the contrary holds against the unsteered model" in evidence.reason
    assert evidence.parts[1].rule.endswith(
        ". Inconclusive instead of refuted: the sentence says less than that these features do more than others"
    )


def test_a_margin_beside_another_arm_is_asked_for() -> None:
    """2 above the unsteered model is less than 3."""
    of = among(*[0.0] * 40)
    assert (fluency(of.at(20)) > fluency(of.unsteered) + 3).outcome == "refuted"


@pytest.mark.parametrize(("says", "outcome"), [("the Gate", "explained"), ("bread", "supported")])
def test_what_all_continuations_say_is_ranked_too(says: str, outcome: str) -> None:
    """Each of them mentions it, or none does: the rank is upwards, or downwards."""

    def written(unsteered: str, steered: str, random: str) -> Continuations:
        said = {"unsteered": unsteered, "steered": steered, "random": random}
        of = steered_by(2, *[0.0] * 40)
        return replace(of, items=tuple(replace(one, text=said[one.arm]) for one in of.items))

    assert (mentions("Gate", written("bread", "the Gate", says).at(20)) == 1).outcome == outcome
    opposite = "bread" if says == "the Gate" else "the Gate"
    assert (mentions("Gate", written("the Gate", "bread", opposite).at(20)) == 0).outcome == outcome


UNSTATED = steered_by(2, *[0.0] * 40, chosen_on="")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: more(UNSTATED),
        lambda: fluency(UNSTATED.at(20)) > fluency(UNSTATED.unsteered),
        lambda: fluency(UNSTATED.at(20)) > -60,
        lambda: fluency(UNSTATED.at(20)) == about(fluency(UNSTATED.unsteered), margin=9),
        lambda: every([fluency(UNSTATED.at(20))]) > fluency(UNSTATED.unsteered) + 0.1,
        lambda: fluency(UNSTATED.unsteered) < fluency(UNSTATED.at(20)),
    ],
)
def test_nothing_is_supported_where_it_is_not_stated_how_features_were_chosen(ask: Callable[[], Evidence]) -> None:
    """Whatever is asked of the steered arm; the numbers stay, and the remedy is given."""
    evidence = ask()
    assert evidence.outcome == "inconclusive"
    why = "on what feature and strength were chosen is not stated: write steer(..., chosen_on=PROMPTS or a source)"
    assert evidence.reason.endswith(f"; but {why}")
    assert evidence.rule.endswith(f". Inconclusive where {why}")
    assert "chosen on what the probe does not state" in evidence.scope


def test_every_choice_of_features_is_stated() -> None:
    """Two experiments were chosen on two things."""
    one, other = among(*[0.0] * 40), steered_by(3, *[0.0] * 40, chosen_on="a list")
    evidence = fluency(other.at(20)) > fluency(one.at(20))
    assert evidence.scope.endswith("; feature and strength chosen on a list and other prompts")


def test_what_is_not_supported_anyway_keeps_its_word() -> None:
    """Against the contrary no choice of features helps; and the unsteered arm has none."""
    assert less(UNSTATED).outcome == "refuted"
    assert "chosen" not in (fluency(UNSTATED.unsteered) > -60).scope
    arms = fluency(UNSTATED.at(20)), fluency(UNSTATED.random_feature.at(20)), fluency(UNSTATED.unsteered)
    assert ordered(arms).outcome == "inconclusive"
