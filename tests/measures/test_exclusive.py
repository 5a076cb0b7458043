"""Features that fire on one style only, counted and permuted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import crossed, features

from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import exclusive_features

TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")


def both_ways(of: Features, more: str = "novice", less: str = "expert"):
    """`exclusive(more, less) > exclusive(less, more)`."""
    a, b = of[more], of[less]
    return exclusive_features(a, b) > exclusive_features(b, a)


def test_exclusive_features_are_counted_by_hand() -> None:
    """Novice fires features 0, 1 and 3 and expert 1 and 2: two are exclusive to novice, one to expert."""
    of = features(
        [
            ("novice", "A", "tides", (1, 0, 0, 0)),
            ("novice", "B", "tides", (0, 1, 0, 2)),
            ("expert", "A", "tides", (0, 1, 0, 0)),
            ("expert", "B", "tides", (0, 0, 3, 0)),
        ]
    )
    novice, expert = of["novice"], of["expert"]
    assert exclusive_features(novice, expert).summary.value == 2
    assert exclusive_features(expert, novice).summary.value == 1


def test_label_permutation_is_counted_by_hand() -> None:
    """Of six ways to deal four templates, only the observed one and its mirror differ: p = 2/6.

    Novice A fires {0, 1}, novice B {0}, expert A and B {1}. Both novice templates together: {0} is theirs alone, a
    difference of 1. One novice and one expert template on each side: both sides fire {0, 1}, a difference of 0.
    """
    evidence = both_ways(
        features(
            [
                ("novice", "A", "tides", (1, 1)),
                ("novice", "B", "tides", (1, 0)),
                ("expert", "A", "tides", (0, 1)),
                ("expert", "B", "tides", (0, 1)),
            ]
        )
    )
    assert evidence.estimate == 1
    assert evidence.p == pytest.approx(2 / 6)
    assert (evidence.outcome, evidence.units) == ("inconclusive", "templates")
    assert evidence.test == "exact permutation of labels over 2 + 2 templates"
    assert evidence.seed is None


def test_four_templates_a_style_can_decide() -> None:
    """Five features on every novice template and on no expert one: p = 2/70, supported, and refuted in reverse."""
    rows = crossed("novice", (1, 1, 1, 1, 1, 0), templates="ABCD", topics=TOPICS[:2])
    rows += crossed("expert", (0, 0, 0, 0, 0, 1), templates="ABCD", topics=TOPICS[:2])
    evidence = both_ways(features(rows))
    assert (evidence.outcome, evidence.estimate, evidence.scope) == ("supported", 4, "these templates")
    assert evidence.p == pytest.approx(2 / 70)
    reverse = both_ways(features(rows), "expert", "novice")
    assert (reverse.outcome, reverse.estimate) == ("refuted", -4)


def test_less_than_is_the_other_way_round() -> None:
    """`fewer < more` is the statement that more is more."""
    rows = crossed("novice", (1, 1), templates="ABCD", topics=TOPICS[:1])
    rows += crossed("expert", (0, 1), templates="ABCD", topics=TOPICS[:1])
    of = features(rows)
    novice, expert = of["novice"], of["expert"]
    assert (exclusive_features(expert, novice) < exclusive_features(novice, expert)).outcome == "supported"


def test_one_wording_exchanges_styles_within_topics() -> None:
    """Six topics, a feature on every novice prompt: only none or all exchanged reach 1, so p is near 2/64.

    4,999 draws at 2/64 have a standard error of 0.0025.
    """
    rows = crossed("novice", (1, 1), templates="A", topics=TOPICS) + crossed(
        "expert", (0, 1), templates="A", topics=TOPICS
    )
    evidence = both_ways(features(rows))
    assert evidence.p == pytest.approx(2 / 64, abs=0.01)
    assert (evidence.outcome, evidence.scope, evidence.units) == ("supported", "this wording only", "topics")
    assert evidence.test == "sampled permutation of labels over 6 + 6 topics"
    assert evidence.seed == 0


def test_the_order_of_topics_does_not_matter() -> None:
    """Topics are paired by name: the second style in another order gives the same p."""
    novice = [("novice", "A", topic, (1, index % 2, 1)) for index, topic in enumerate(TOPICS)]
    expert = [("expert", "A", topic, (0, index % 2, 1)) for index, topic in enumerate(TOPICS)]
    straight, turned = both_ways(features(novice + expert)), both_ways(features(novice + expert[::-1]))
    assert straight.p == turned.p


def test_unlike_sides_are_refused() -> None:
    """Several templates against one, or other topics under one wording, cannot be permuted."""
    novice = crossed("novice", (1, 1), templates="AB", topics=TOPICS[:2])
    one = crossed("expert", (0, 1), templates="A", topics=TOPICS[:2])
    with pytest.raises(ValueError, match="novice gives 2 templates to permute and expert 2 topics"):
        both_ways(features(novice + one))
    other = crossed("expert", (0, 1), templates="A", topics=TOPICS[1:3])
    with pytest.raises(ValueError, match="a single one on each and the same topics"):
        both_ways(features(novice[:2] + other))


def test_a_count_is_compared_with_its_reverse_only() -> None:
    """Exclusive to novice beside standard says nothing of exclusive to expert beside novice."""
    rows = [(style, letter, "tides", (1, 1)) for style in ("novice", "expert", "guru") for letter in "AB"]
    of = features(rows)
    novice, expert, guru = of["novice"], of["expert"], of["guru"]
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match="of the same two styles"):
        _ = exclusive_features(novice, expert) > exclusive_features(expert, guru)
    assert recorder.evidence == []


def test_a_lone_prompt_is_inconclusive() -> None:
    """One template on one topic a side can be permuted with nothing; no p is given."""
    evidence = both_ways(features([("novice", "A", "tides", (1, 1)), ("expert", "A", "tides", (0, 1))]))
    assert (evidence.outcome, evidence.p) == ("inconclusive", None)


def test_many_templates_are_sampled_and_the_seed_is_told() -> None:
    """8 + 9 templates have 24,310 relabelings: they are drawn, the verdict is the same for other seeds."""
    rows = crossed("novice", (1, 1, 1), templates="ABCDEFGH", topics=TOPICS[:1])
    rows += crossed("expert", (0, 0, 1), templates="ABCDEFGHI", topics=TOPICS[:1])
    found = []
    for seed in (0, 1, 2):
        with recording(Recorder(seed=seed)):
            found.append(both_ways(features(rows)))
    assert [evidence.seed for evidence in found] == [0, 1, 2]
    assert {evidence.outcome for evidence in found} == {"supported"}
    # the observed labels count as one of 5,000; at most a few of the rest are as far apart
    assert all(1 / 5_000 <= (evidence.p or 0) <= 5 / 5_000 for evidence in found)
    assert np.unique([evidence.estimate for evidence in found]) == [2]
