"""The rule of a comparison in full: what decides it, how its units come about, and how its controls are judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from controlled import numbered, under_controls
from grids import TOPICS, family, fires, grid, templates

from saeprobe.evidence import Needed, Recorder, Sample, recording
from saeprobe.evidence.near import NearThreshold

NOVICE, EXPERT = templates("novice", (10.0, 11, 12, 13)), templates("expert", (1.0, 2, 3, 4))

DECIDES = (
    "supported where the two-sided p is below alpha = 0.05 and the difference of the means is above zero; refuted "
    "where p is below alpha and it is below zero; inconclusive otherwise, and where the units show no spread"
)
OF_TEMPLATES = (
    ". A template's value is its mean over the topics that both sides have, each prompt less the mean of "
    "its topic over both sides and plus the mean of these means"
)
OF_PAIRS = ". A unit's value is its mean on the first side less that on the second"
OF_TOPICS = "; a topic's is its difference of the sides, taken less their mean and times sqrt(n / (n - 1))"
INTERVAL = ". The interval holds what can be taken off the first side without rejection"


def test_the_rule_for_templates_whose_relabelings_are_all_counted() -> None:
    """Five templates on each side: nothing is drawn, and the rule tells of no drawing."""
    evidence = templates("novice", (10.0, 11, 12, 13, 14)) > templates("expert", (1.0, 2, 3, 4, 5))
    assert (evidence.units, evidence.seed) == ("templates", None)
    assert evidence.rule.startswith(
        DECIDES + OF_TEMPLATES + INTERVAL + ". The difference of the means came out at least as large in "
    )
    assert " of 252 ways (permutation of 5 + 5 units). Welch's t test gives p = " in evidence.rule


def test_the_rule_for_paired_units() -> None:
    """The same prompts read at other tokens: a unit is a difference, and no topic's mean is taken off."""
    other = replace(NOVICE, values=NOVICE.values - 3 + np.arange(12) / 50, place="last token")
    evidence = replace(NOVICE, place="all tokens") > other
    assert evidence.units == "templates, paired"
    assert evidence.rule.startswith(DECIDES + OF_PAIRS + INTERVAL + ". The mean of the differences came out at ")
    assert evidence.reason.startswith("11.5 against 8.")


def test_the_rule_for_templates_and_topics_tells_of_both_and_of_what_is_drawn() -> None:
    """The units of both kinds, and in how many ways they were dealt together and each alone."""
    with recording(Recorder(over=("templates", "topics"))):
        evidence = NOVICE > EXPERT
    assert evidence.units == "templates and topics"
    assert evidence.rule.startswith(DECIDES + OF_TEMPLATES + OF_TOPICS + INTERVAL + ". The difference of the ")
    whole = ". The largest p counts, of this and of either sort alone, and 1 where these differ in sign. 2 of 70"
    assert whole in evidence.rule
    assert evidence.needed == Needed(units="topics", have=3, wanted=6, prompts=48)
    level, topics = np.random.default_rng(1).normal(size=(4, 14)), [f"topic {number}" for number in range(14)]
    with recording(Recorder(over=("templates", "topics"), seed=3)):
        drawn = grid("novice", (level + 9).tolist(), topics=topics) > grid("expert", level.tolist(), topics=topics)
    assert (drawn.seed, drawn.p) == (3, pytest.approx(2 / 70))
    assert "sign flips of 14 centred paired differences (19,999 drawn)" in str(drawn.test)


def test_the_rule_says_what_controls_do() -> None:
    """How each answers stands in its own rule; without controls nothing of it is said."""
    novice, expert = numbered("novice", (10.0, 11, 12, 13)), numbered("expert", (1.0, 2, 3, 4))
    judged = (
        ". Where this supports it, a control that explains the effect makes it explained, and else one that cannot "
        "tell leaves it inconclusive; each control has its own rule"
    )
    rule = under_controls(novice, expert, "length", "injection").rule
    assert rule.startswith(DECIDES + judged + OF_TEMPLATES + INTERVAL + ". 2 of 70 relabelings are always ")


def test_the_rule_for_rates_says_when_units_without_spread_decide() -> None:
    """Six wordings that all fire against six that never do: 2 of 924 ways; all alike, or 5 against 3, is open."""
    always, never = fires([[1.0] * 3] * 6), fires([[0.0] * 3] * 6, "expert")
    rates = DECIDES + " and do not differ: every value here is 0 or 1, which leaves them no more to show" + OF_TEMPLATES
    of = replace(always, values=always.values * 5) > replace(never, values=never.values + 3)
    found = always > never, always > replace(always, label="expert", prompts=never.prompts), of
    assert [one.outcome for one in found] == ["supported", "inconclusive", "inconclusive"]
    assert [one.rule.startswith(rates) for one in found] == [True, True, False]
    assert found[0].p == pytest.approx(2 / 924)


def test_a_sample_keeps_all_of_the_measurement() -> None:
    """Its measure, values, tokens read, and what rounding at a threshold may move: half a feature on 1 prompt of 12."""
    moves = np.zeros(12)
    moves[5] = 6.0
    side = replace(NOVICE, place="last token", near=NearThreshold(lowers=moves, raises=moves / 2, tolerance=1e-4))
    near, far = (side > replace(EXPERT, place="last token")).samples
    assert near == Sample(
        label="novice",
        measure="l0",
        unit="features",
        mean=11.5,
        n=12,
        interval=near.interval,
        values=tuple(NOVICE.values),
        prompts=NOVICE.prompts,
        place="last token",
        near_threshold=(
            "a feature is within rounding of its threshold (0.0001 of the stream's norm) on 1 of 12 prompts, which may "
            "lower the mean by 0.5 features and raise it by 0.25 features at most"
        ),
        reach=(11.0, 11.75),
        spreads=near.spreads,
    )
    assert (near.near_moves, far.near_threshold, far.reach, far.near_moves) == (0.5, None, None, None)


def test_a_part_beside_the_whole_is_told_how_to_name_a_style() -> None:
    """The whole sentence, with the first of the prompts that both have."""
    whole = family(NOVICE, EXPERT)
    with pytest.raises(TypeError) as told:
        _ = whole > whole["expert"]
    assert str(told.value) == (
        f"novice + expert and expert share 12 prompts, such as 'expert 0: {min(TOPICS[:3])}': a part was "
        'compared with the whole; name a style of each capture, as in styles["novice"]'
    )
