"""Features that fire on one style only, counted and permuted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import crossed, features
from scipy import stats

from saeprobe.claims import published
from saeprobe.evidence import Needed, Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import exclusive_features
from saeprobe.verdicts import held_by

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
    assert evidence.test == "exact permutation of labels over 2 + 2 templates (all 6)"
    assert evidence.seed is None
    assert evidence.reason == (
        "1 against 0 features, p = 0.33 under permuted labels: not distinguished from chance; "
        "2 templates a style cannot reach it, 4 can"
    )
    assert evidence.needed == Needed(units="templates a style", have=2, wanted=4, prompts=8)


def test_four_templates_a_style_can_decide() -> None:
    """Five features on every novice template and on no expert one: p = 2/70, supported, and refuted in reverse."""
    rows = crossed("novice", (1, 1, 1, 1, 1, 0), templates="ABCD", topics=TOPICS[:2])
    rows += crossed("expert", (0, 0, 0, 0, 0, 1), templates="ABCD", topics=TOPICS[:2])
    evidence = both_ways(features(rows))
    assert (evidence.outcome, evidence.estimate, evidence.scope) == ("supported", 4, "these 4 + 4 templates")
    assert evidence.p == pytest.approx(2 / 70)
    reverse = both_ways(features(rows), "expert", "novice")
    assert (reverse.outcome, reverse.estimate) == ("refuted", -4)
    assert evidence.reason == "5 against 1 features, p = 0.029 under permuted labels: more than chance"
    assert reverse.reason == "1 against 5 features, p = 0.029 under permuted labels: the contrary"
    assert (evidence.n_units, evidence.alpha, evidence.needed) == ((4, 4), 0.05, None)


def test_the_unit_values_are_the_distinct_features_of_each_template() -> None:
    """Two features under one template of novice and one under the other, whatever the number of topics they fire on."""
    evidence = both_ways(
        features(
            [
                ("novice", "A", "tides", (1, 0, 0)),
                ("novice", "A", "yeast", (1, 2, 0)),
                ("novice", "B", "tides", (1, 0, 0)),
                ("novice", "B", "yeast", (1, 0, 0)),
                ("expert", "A", "tides", (0, 0, 0)),
                ("expert", "A", "yeast", (0, 0, 0)),
                ("expert", "B", "tides", (0, 0, 0)),
                ("expert", "B", "yeast", (1, 0, 1)),
            ]
        )
    )
    assert [(unit.side, unit.unit, unit.value) for unit in evidence.unit_values] == [
        ("novice", "novice A: {topic}", 2),
        ("novice", "novice B: {topic}", 1),
        ("expert", "expert A: {topic}", 0),
        ("expert", "expert B: {topic}", 2),
    ]
    assert "The unit values are the distinct features of each unit" in evidence.rule


def test_the_patterns_tell_which_features_fire_where() -> None:
    """Feature 0 fires in both templates of novice and one of expert; 1 and 4 in one of novice, 3 in one of expert."""
    evidence = both_ways(
        features(
            [
                ("novice", "A", "tides", (1, 2, 0, 0, 3)),
                ("novice", "B", "tides", (1, 0, 0, 0, 0)),
                ("expert", "A", "tides", (0, 0, 0, 0, 0)),
                ("expert", "B", "tides", (1, 0, 0, 1, 0)),
            ]
        )
    )
    assert evidence.patterns == (("0001", 1), ("1000", 2), ("1101", 1))
    assert "The difference of distinct features, in the direction found, came out at least as large in" in evidence.rule


def test_less_than_is_the_other_way_round() -> None:
    """`fewer < more` is the statement that more is more."""
    rows = crossed("novice", (1, 1), templates="ABCD", topics=TOPICS[:1])
    rows += crossed("expert", (0, 1), templates="ABCD", topics=TOPICS[:1])
    of = features(rows)
    novice, expert = of["novice"], of["expert"]
    assert (exclusive_features(expert, novice) < exclusive_features(novice, expert)).outcome == "supported"


def test_one_wording_exchanges_styles_within_topics() -> None:
    """Six topics, a feature on every novice prompt: only none or all exchanged reach 1, so p is 2/64, counted."""
    rows = crossed("novice", (1, 1), templates="A", topics=TOPICS) + crossed(
        "expert", (0, 1), templates="A", topics=TOPICS
    )
    evidence = both_ways(features(rows))
    assert evidence.p == 2 / 64
    assert (evidence.outcome, evidence.units, evidence.n_units) == ("supported", "topics", (6, 6))
    assert evidence.scope == "this wording only, over 6 topics"
    assert evidence.test == "exact permutation of labels within 6 topics (all 64)"
    assert evidence.seed is None
    assert [unit.unit for unit in evidence.unit_values] == sorted(TOPICS) * 2


def test_five_topics_cannot_decide() -> None:
    """Of 32 exchanges two are as far apart as any can be: p = 0.0625, and six topics are asked for."""
    rows = crossed("novice", (1, 1), templates="A", topics=TOPICS[:5])
    rows += crossed("expert", (0, 1), templates="A", topics=TOPICS[:5])
    evidence = both_ways(features(rows))
    assert evidence.p == 2 / 32
    assert evidence.needed == Needed(units="topics", have=5, wanted=6, prompts=12)
    assert evidence.reason.endswith("not distinguished from chance; 5 topics cannot reach it, 6 can")


def test_a_claim_over_topics_exchanges_all_templates_of_a_topic_together() -> None:
    """Two templates a side stay fixed; the six topics give the same 2/64 as under one wording."""
    rows = crossed("novice", (1, 1), templates="AB", topics=TOPICS)
    rows += crossed("expert", (0, 1), templates="AB", topics=TOPICS)
    with recording(Recorder(over=("topics",))):
        evidence = both_ways(features(rows))
    assert (evidence.p, evidence.outcome) == (2 / 64, "supported")
    assert evidence.scope == "these 2 + 2 templates fixed, over 6 topics"


def test_a_claim_over_templates_needs_several() -> None:
    """Under one wording nothing tells of others: inconclusive, with the reason and no p."""
    rows = crossed("novice", (1, 1), templates="A", topics=TOPICS)
    rows += crossed("expert", (0, 1), templates="A", topics=TOPICS)
    with recording(Recorder(over=("templates",))):
        evidence = both_ways(features(rows))
    assert (evidence.outcome, evidence.p, evidence.scope) == ("inconclusive", None, "these prompts only")
    assert evidence.reason == (
        "1 against 0 features, but novice has 1 template(s) and expert 1: at least 2 a side stand for other wordings"
    )


def test_a_claim_over_both_at_once_is_refused() -> None:
    """Counts over all prompts cannot be permuted two ways apart; the error names the remedy."""
    rows = crossed("novice", (1, 1), templates="AB", topics=TOPICS)
    rows += crossed("expert", (0, 1), templates="AB", topics=TOPICS)
    with (
        recording(Recorder(over=("templates", "topics"))),
        pytest.raises(TypeError, match=r"state one of them: over=\('templates',\) or over=\('topics',\)"),
    ):
        both_ways(features(rows))


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
    with pytest.raises(
        ValueError, match=r"novice gives 2 template\(s\) on 2 topic\(s\) to permute and expert 1 on 2; wanted"
    ):
        both_ways(features(novice + one))
    other = crossed("expert", (0, 1), templates="A", topics=TOPICS[1:3])
    with pytest.raises(ValueError, match="or the same topics with as many prompts on each"):
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
    assert evidence.reason == (
        "1 against 0 features, but there is a single topic under a single wording: nothing to permute"
    )


def test_many_templates_are_sampled_and_the_seed_is_told() -> None:
    """10 + 9 templates are drawn, not counted; the verdict is the same for other seeds."""
    rows = crossed("novice", (1, 1, 1), templates="ABCDEFGHIJ", topics=TOPICS[:1])
    rows += crossed("expert", (0, 0, 1), templates="ABCDEFGHI", topics=TOPICS[:1])
    found = []
    for seed in (0, 1, 2):
        with recording(Recorder(seed=seed)):
            found.append(both_ways(features(rows)))
    assert [evidence.seed for evidence in found] == [0, 1, 2]
    assert {evidence.outcome for evidence in found} == {"supported"}
    assert {evidence.test for evidence in found} == {
        "sampled permutation of labels over 10 + 9 templates (19,999 drawn)"
    }
    # the observed labels count as one of 5,000; of 92,378 relabelings none but the observed one is as far apart
    assert all(2 / 20_000 <= (evidence.p or 0) <= 6 / 20_000 for evidence in found)
    assert np.unique([evidence.estimate for evidence in found]) == [2]


@pytest.mark.parametrize("topics", [TOPICS[:3], TOPICS[1:5]])
def test_a_style_with_more_prompts_or_other_topics_is_not_compared(topics: tuple[str, ...]) -> None:
    """A template on more topics has more features for that alone."""
    rows = crossed("novice", (1, 0), templates="ABCD", topics=TOPICS[:4])
    rows += crossed("expert", (0, 1), templates="ABCD", topics=topics)
    with pytest.raises(ValueError, match=r"novice has 16 prompts on 4 topic.*wanted the same topics"):
        both_ways(features(rows))


def test_more_templates_of_as_many_prompts_are_compared() -> None:
    """Relabeling keeps the number of templates of a side, and with it what more of them bring."""
    rows = crossed("novice", (1, 0), templates="ABCD", topics=TOPICS[:2])
    rows += crossed("expert", (0, 1), templates="ABC", topics=TOPICS[:2])
    assert both_ways(features(rows)).n_units == (4, 3)


# the sampling error of a count


def test_the_interval_leaves_out_one_topic_at_a_time() -> None:
    """Paired, by hand: without tides 1 feature is exclusive to novice, without yeast 3, without comets 2.

    Feature 0 fires on tides alone, 1 on tides and yeast, 2 on all three and for the expert on yeast. The variance is
    2/3 of (1 - 2)^2 + (3 - 2)^2 + 0 = 4/3, and Student's t with 2 degrees of freedom 4.3027. For the expert nothing is
    exclusive, whichever topic is left out, so that there is no interval.
    """
    rows = [
        ("novice", "A", "tides", (1, 1, 1)),
        ("novice", "A", "yeast", (0, 1, 1)),
        ("novice", "A", "comets", (0, 0, 1)),
        ("expert", "A", "tides", (0, 0, 0)),
        ("expert", "A", "yeast", (0, 0, 1)),
        ("expert", "A", "comets", (0, 0, 0)),
    ]
    novice, expert = both_ways(features(rows)).samples
    half = 4.3027 * (4 / 3) ** 0.5
    assert (novice.mean, expert.mean, expert.interval) == (2, 0, None)
    assert novice.interval == pytest.approx((0.0, 2 + half), abs=1e-3)  # no count lies below 0


def test_the_interval_leaves_out_templates_of_the_two_sides_apart() -> None:
    """Unpaired, by hand: novice fires 0 to 9 in both templates and 10 to 13 in A; the expert's B fires 0 and 1.

    Of 14 features 12 are exclusive. Without novice A they are 8, without B 12: half of 4 + 4 is 4. Without the expert's
    A they are 12, without B 14: half of 1 + 1 is 1. The variance is 5, its degrees of freedom 25 / (16 + 1).
    """
    a, b = [1] * 14, [1] * 10 + [0] * 4
    rows = [("novice", "A", "tides", a), ("novice", "B", "tides", b)]
    rows += [("expert", "A", "tides", [0] * 14), ("expert", "B", "tides", [1, 1] + [0] * 12)]
    novice, _ = both_ways(features(rows)).samples
    half = float(stats.t.ppf(0.975, 25 / 17)) * 5**0.5
    assert novice.interval == pytest.approx((max(0.0, 12 - half), 12 + half))


def test_a_count_agrees_with_a_printed_one_within_its_sampling_error() -> None:
    """36 are measured and 38 printed: of 6 wordings every other one has two features of its own, and 30 fire in all.

    Without such a wording 34 are left, else 36: 1 from their mean each, so that the jackknife variance is 5/6 of 6.
    Both counts are as uncertain: t(0.975, 10) sqrt(5) sqrt(2).
    """
    acts = np.zeros((6, 36))
    acts[np.arange(6) // 2 * 2, np.arange(6)] = 1
    acts[:, 6:] = 1
    rows = [("novice", f"W{word}", topic, tuple(row)) for word, row in enumerate(acts) for topic in ("tides", "rain")]
    rows += [("expert", f"V{word}", topic, (0,) * 36) for word in range(6) for topic in ("tides", "rain")]
    evidence, numbers = both_ways(features(rows)), published(novice=38, unit="features", n=12, wordings=6)
    (row,) = held_by(numbers, [evidence]).compared
    assert (row.measured, row.answer) == (36, "agrees")
    assert row.sampling == pytest.approx(2.228139 * 5**0.5 * 2**0.5, abs=1e-5)
    (row,) = held_by(replace(numbers, n=50, wordings=None), [evidence]).compared
    assert row.answer == "cannot be compared"
    numbers = published(novice=38, expert=35, unit="features", n=12, wordings=6)
    wide, _ = held_by(numbers, [evidence]).compared  # no number of wordings is known that would do
    assert wide.tolerance_from.endswith("; ± 7.55 would hold either of novice and expert, published 3 apart")
