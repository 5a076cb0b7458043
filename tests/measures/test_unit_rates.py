"""Firing rates by unit of two styles, their ranking and the test between them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from by_hand import Row, crossed, features, tokens_read
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.measures.halving import Rates, firing_shares, rates
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

TOPICS = ("tides", "yeast", "comets")


def made(yes: object, no: object, *, paired: bool = False) -> Rates:
    """Rates worked by hand, `[units, features]`."""
    a, b = np.array(yes, dtype=float), np.array(no, dtype=float)
    names = tuple(map(str, range(len(a)))), tuple(map(str, range(len(b))))
    return Rates(yes=a, no=b, names=names, paired=paired, scope="these")


def test_a_unit_has_the_share_of_its_prompts() -> None:
    """Template A fires feature 0 on two of three prompts and feature 1 on all; B, with one prompt, neither."""
    rows: list[Row] = [
        ("novice", "A", "tides", (1, 2, 0)),
        ("novice", "A", "yeast", (0, 1, 0)),
        ("novice", "B", "tides", (0, 0, 0)),
        ("novice", "A", "comets", (5, 1, 0)),
    ]
    found = firing_shares(features(rows), ["A", "A", "B", "A"], ("A", "B")).toarray()
    np.testing.assert_array_equal(found, [[2 / 3, 1, 0], [0, 0, 0]])


def test_a_prompt_counts_once_however_many_tokens_fire() -> None:
    """Two tokens fire feature 0 on the first prompt, and one of two feature 1 on the second; a unit left out is out."""
    of = tokens_read(["a", "b", "c"], [[(1, 0), (2, 0)], [(0, 3), (0, 0)], [(1, 1)]])
    found = firing_shares(of, ["one", "one", "other"], ("one",)).toarray()
    np.testing.assert_array_equal(found, [[0.5, 0.5]])


def test_a_prompt_of_which_no_token_was_read_does_not_fire() -> None:
    """It counts among the prompts of its unit: feature 0 fires on one of two."""
    of = tokens_read(["a", "b"], [[(1, 0), (2, 0)], []])
    np.testing.assert_array_equal(firing_shares(of, ["one", "one"], ("one",)).toarray(), [[0.5, 0]])


def test_the_units_are_templates_where_both_have_several() -> None:
    """Else topics, paired by name in alphabetical order; the scope says which."""
    rows = crossed("novice", (1, 0), templates="AB", topics=TOPICS)
    rows += crossed("expert", (0, 1), templates="ABC", topics=TOPICS[::-1])
    of = features(rows)
    found = rates(of["novice"], of["expert"], ())
    assert isinstance(found, Rates)
    assert (found.units, found.paired, found.scope) == ("templates", False, "these 2 + 3 templates")
    assert (found.yes.shape, found.no.shape) == ((2, 2), (3, 2))
    assert found.names[0] == ("novice A: {topic}", "novice B: {topic}")
    by_topic = rates(of["novice"], of["expert"], ("topics",))
    assert isinstance(by_topic, Rates)
    assert (by_topic.units, by_topic.paired) == ("topics, paired", True)
    assert by_topic.scope == "these 2 + 3 templates fixed, over 3 topics"
    assert by_topic.names == (("comets", "tides", "yeast"), ("comets", "tides", "yeast"))


def test_one_wording_is_paired_by_the_topics_that_both_share() -> None:
    """Of three topics and three others two are shared."""
    rows = crossed("novice", (1, 0), templates="A", topics=TOPICS)
    rows += crossed("expert", (0, 1), templates="A", topics=("rust", "yeast", "tides"))
    of = features(rows)
    found = rates(of["novice"], of["expert"], ())
    assert isinstance(found, Rates)
    assert (found.names[0], found.scope) == (("tides", "yeast"), "this wording only, over 2 topics")
    np.testing.assert_array_equal(found.difference, [1, -1])
    assert rates(of["novice"], of["expert"], ("templates",)) == (
        "novice has 1 template(s) and expert 1: at least 2 a side stand for other wordings"
    )


def test_no_topic_in_common_gives_no_rates() -> None:
    """Two styles on different things cannot be compared."""
    rows = crossed("novice", (1, 0), templates="AB", topics=TOPICS[:1])
    of = features(rows + crossed("expert", (0, 1), templates="AB", topics=TOPICS[1:]))
    assert rates(of["novice"], of["expert"], ()) == "the prompts of novice and expert share no topic"


def test_features_are_ranked_by_difference_then_deviations_then_number() -> None:
    """Differences 0.5 for all but the last two, which are 0 and negative; deviations 0.25, 0, 0.25, 0."""
    found = made(
        [[0.75, 0.5, 0.25, 0.5, 0.5, 0.0], [0.25, 0.5, 0.75, 0.5, 0.5, 0.0]],
        [[0.0, 0.0, 0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0, 0.5, 0.5]],
    )
    assert found.ranked(9) == (1, 3, 0, 2)
    assert found.ranked(3) == (1, 3, 0)


def test_rounding_does_not_order_equal_differences() -> None:
    """0.9 - 0.8 and 0.8 - 0.7 are the same difference; the smaller number comes first."""
    found = made([[0.9, 0.8], [0.9, 0.8]], [[0.8, 0.7], [0.8, 0.7]])
    assert found.difference[0] < found.difference[1]
    assert found.ranked(2) == (0, 1)


def test_the_larger_difference_comes_before_the_surer_one() -> None:
    """0.6 with spread before 0.5 without."""
    assert made([[1.0, 0.5], [0.2, 0.5]], [[0, 0], [0, 0]]).ranked(2) == (0, 1)


def test_equal_differences_are_ordered_by_fractions_of_a_deviation() -> None:
    """Both lie 0.5 apart: the first by one standard deviation, 0.5, the second by sqrt(2) of them, sqrt(0.125)."""
    found = made([[1.0, 1.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.5]])
    assert found.difference == pytest.approx([0.5, 0.5])
    assert found.deviation == pytest.approx([0.5, 0.125**0.5])
    assert found.ranked(2) == (1, 0)


@pytest.mark.parametrize("paired", [True, False])
def test_a_test_is_that_of_one_feature(paired: bool) -> None:  # noqa: FBT001 - a case of the test
    """Feature 1 of two, by the differences 0.5, 0.75, 0.25, 1 and 0.5 of its pairs or by its units."""
    yes, no = np.array([1.0, 0.75, 0.5, 1.0, 0.5]), np.array([0.5, 0.0, 0.25, 0.0, 0.0])
    found = made(np.stack([no, yes], axis=1), np.stack([yes, no], axis=1), paired=paired)
    expected = paired_shift(yes - no, alpha=0.1, seed=2) if paired else unpaired_shift(yes, no, alpha=0.1, seed=2)
    assert expected.estimate == pytest.approx(0.6)
    p, test = found.above(1, alpha=0.1, seed=2)
    assert (p, test.name, test.rule) == (expected.p / 2, expected.test, expected.rule)


def test_deviations_are_between_units_or_of_paired_differences() -> None:
    """Variances 0.5 and 0 make sqrt(0.25); paired, the differences 1 and -1 have a variance of 2; one unit has none."""
    yes, no = [[1.0], [0.0]], [[0.0], [0.0]]
    assert made(yes, no).deviation == pytest.approx([0.5])
    assert made(yes, [[0.0], [1.0]], paired=True).deviation == pytest.approx([2**0.5])
    assert made([[1.0]], no).deviation == pytest.approx([0.0])
    assert made(yes, [[0.0]]).deviation == pytest.approx([0.0])


unit = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(unit, min_size=2, max_size=4), st.lists(unit, min_size=2, max_size=4))
def test_the_one_sided_p_counts_relabelings(yes: list[float], no: list[float]) -> None:
    """It is half of the two-sided p, which counts one direction twice, and 1 where nothing is found in it."""
    found = made([[value] for value in yes], [[value] for value in no])
    shift = unpaired_shift(np.array(yes), np.array(no), alpha=0.05, seed=0)
    expected = shift.p / 2 if shift.estimate > 1e-9 else 1.0
    assert found.above(0, alpha=0.05, seed=0)[0] == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(unit, min_size=2, max_size=6))
def test_the_one_sided_p_of_pairs_counts_signs(yes: list[float]) -> None:
    """The share of ways to set the signs of the differences that reach as far."""
    found = made([[value] for value in yes], [[0.25]] * len(yes), paired=True)
    differences = np.array(yes) - 0.25
    sums = [float(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(yes))]
    expected = 1.0 if differences.sum() <= 1e-9 else float(np.mean(np.array(sums) >= differences.sum() - 1e-9))
    assert found.above(0, alpha=0.05, seed=0)[0] == pytest.approx(expected)


def test_what_cannot_be_counted_is_sampled() -> None:
    """40 pairs are drawn: the p is half of that of the sampled test, which is twice one direction's."""
    found = made(
        [[float(index % 3 > 0)] for index in range(40)], [[float(index % 2)] for index in range(40)], paired=True
    )
    p, test = found.above(0, alpha=0.05, seed=0)
    assert (p, test.seed) == (test.share(0.0) / 2, 0)
    units = made([[float(index % 3 > 0)] for index in range(20)], [[float(index % 2)] for index in range(20)])
    p, test = units.above(0, alpha=0.05, seed=0)
    assert p == test.share(0.0) / 2


def test_topics_that_one_side_lacks_do_not_count() -> None:
    """Feature 0 fires on rust, which novice alone has; on the topics of both no template fires it."""
    rows = crossed("novice", (0, 1), templates="AB", topics=TOPICS)
    rows += crossed("novice", (1, 1), templates="ABC", topics=("rust",))
    rows += crossed("expert", (0, 1), templates="AB", topics=TOPICS)
    of = features(rows)
    found = rates(of["novice"], of["expert"], ())
    assert isinstance(found, Rates)
    assert found.scope == "these 2 + 2 templates"
    np.testing.assert_array_equal(found.yes, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(found.no, [[0, 1], [0, 1]])
