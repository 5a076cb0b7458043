"""Features near their threshold: counted where rounding decides, told with the evidence, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from by_hand import crossed, features, near_rows, tokens_read

from saeprobe.evidence import Terms
from saeprobe.evidence.near import NearThreshold
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures import (
    active_share,
    exclusive_features,
    firing_rate,
    l0,
    max_activation,
    mean_activation,
    separates,
    separating_features,
)

WITHIN = "within rounding of its threshold (0.0001 of the stream's norm)"


def near(of: Features, rows: Sequence[Sequence[int]]) -> Features:
    """The same features with those of each row that lie near their threshold."""
    return replace(of, near=near_rows([np.array(row) for row in rows], d_sae=of.d_sae), tolerance=1e-4)


@pytest.fixture
def two() -> Features:
    """Two prompts of two tokens; on the first feature 0 is safe on one token and near on the other, 1 near on both.

    On the second feature 2 is near without firing, and feature 1 near and firing on one token alone.
    """
    acts = [[[1, 1e-6, 0], [1e-6, 0, 0]], [[0, 1e-6, 0], [0, 0, 0]]]
    return near(tokens_read(["a", "b"], acts), [[1], [0, 1], [1], [2]])


def sentence(of: object) -> str | None:
    """What is told with a measurement."""
    assert isinstance(of, Measurement)
    return sample_of(of, Terms()).near_threshold


def reach(of: object) -> tuple[float, float] | None:
    """Between which means rounding may put it."""
    assert isinstance(of, Measurement)
    return sample_of(of, Terms()).reach


def test_l0_may_move_by_the_features_near_their_threshold(two: Features) -> None:
    """Of the first prompt's two tokens 2 may go out and 1 come in, of the second's 1 and 1: (1 + 0.5) / 2 and 0.5.

    Active are 2 + 1 features on the first prompt's tokens and 1 + 0 on the second's, 1 a token.
    """
    told = f"a feature is {WITHIN} on 2 of 2 prompts, which may lower the mean by 0.75 features and raise it by 0.5"
    assert sentence(l0(two)) == f"{told} features at most"
    assert reach(l0(two)) == (1 - 0.75, 1 + 0.5)
    assert reach(active_share(two)) == pytest.approx((0.25 / 3, 1.5 / 3))


def test_a_feature_that_fires_safely_on_another_token_is_not_decided_by_rounding(two: Features) -> None:
    """Feature 0 fires on the first prompt whatever the rounding; feature 1 does on neither prompt."""
    assert sentence(firing_rate(two, 0)) is None
    assert sentence(firing_rate(two, 1)) == f"feature 1 is {WITHIN} on 2 of 2 prompts"
    assert sentence(firing_rate(two, 2)) == f"feature 2 is {WITHIN} on 1 of 2 prompts"
    assert [reach(firing_rate(two, feature)) for feature in (0, 1, 2)] == [(0.5, 0.5), (0.0, 1.0), (0.0, 0.5)]


def test_mean_strength_moves_with_what_goes_out_or_comes_in() -> None:
    """By hand, strengths 1, 4 and 7 with 1 and 7 at stake: without 7 the mean is 5/2, without 1 it is 11/2.

    On the second prompt one may come in beside a 6: at 0 the mean is 3, and nothing raises it. The means of 4 and 6 are
    5 on average, at the lowest (2.5 + 3) / 2, at the highest (5.5 + 6) / 2. The last one active never goes out.
    """
    of = near(features([("a", "A", "x", (1, 4, 7, 0)), ("a", "A", "y", (0, 6, 0, 0))]), [[0, 2], [3]])
    assert reach(mean_activation(of)) == pytest.approx((2.75, 5.75))
    alone = near(features([("a", "A", "x", (0, 6, 0, 0))]), [[1]])
    assert reach(mean_activation(alone)) == pytest.approx((6, 6))


def test_a_largest_activation_moves_as_the_stream_does() -> None:
    """By the tolerance of 1e-4 of itself, 4 and 2 by 3e-4 on average; without a tolerance nothing is known."""
    of = features([("a", "A", "x", (1, 4)), ("a", "A", "y", (2, 0))])
    assert reach(max_activation(replace(of, tolerance=1e-4))) == pytest.approx((3 - 3e-4, 3 + 3e-4), abs=1e-12)
    assert sentence(max_activation(near(of, [[0], [0]]))) is None
    assert reach(max_activation(of)) is None


def test_a_style_takes_what_is_near_on_its_prompts() -> None:
    """Selecting prompts before or after measuring gives the same sentence."""
    rows = crossed("novice", (1, 0), templates="AB", topics=("x", "y"))
    rows += crossed("expert", (1, 0), templates="AB", topics=("x", "y"))
    both = near(features(rows), [[0], [], [], [], [], [], [], []])
    assert sentence(firing_rate(both["novice"], 0)) == f"feature 0 is {WITHIN} on 1 of 4 prompts"
    assert sentence(firing_rate(both, 0)["novice"]) == f"feature 0 is {WITHIN} on 1 of 4 prompts"  # pyright: ignore[reportIndexIssue] - a measurement, as the assert above says
    assert sentence(firing_rate(both["expert"], 0)) is None
    evidence = l0(both["novice"]) > l0(both["expert"])
    moves = "lower the mean by 0.25 features and raise it by 0 features at most"
    assert evidence.near_threshold == (f"novice: a feature is {WITHIN} on 1 of 4 prompts, which may {moves}",)
    assert any(line == f"near threshold: {evidence.near_threshold[0]}" for line in evidence.lines())


def test_nothing_is_said_where_nothing_is_near_or_nobody_tells(two: Features) -> None:
    """No features near, a record that does not tell, and measures that are no count of features."""
    none = near(two, [[], [], [], []])
    untold = replace(two, near=None)
    for of in (none, untold):
        assert sentence(l0(of)) is None
        assert sentence(firing_rate(of, 1)) is None
    assert [reach(l0(of)) for of in (none, untold)] == [(1.0, 1.0), None]
    assert sentence(mean_activation(tokens_read(["a"], [[[1, 0]]]))) is None


def test_separation_tells_which_side_rounding_decides() -> None:
    """The sides have their own sentences; where the feature is safe there is none."""
    rows = crossed("novice", (1, 1), templates="AB", topics=("x", "y"))
    rows += crossed("expert", (0, 0), templates="AB", topics=("x", "y"))
    both = near(features(rows), [[]] * 4 + [[0], [0], [], []])
    evidence = separates([0, 1], both["novice"], both["expert"])
    assert evidence.near_threshold == (f"expert: feature 0 is {WITHIN} on 2 of 4 prompts",)


def test_a_selection_tells_which_of_its_features_rounding_picked() -> None:
    """It stands with the prompts on which was picked, and so in the scope of what is confirmed."""
    rows = crossed("novice", (1, 2), templates="AB", topics=("x", "y"))
    rows += crossed("expert", (0, 0), templates="AB", topics=("x", "y"))
    both = near(features(rows), [[0]] + [[]] * 7)
    chosen = separating_features(both["novice"], both["expert"])
    assert chosen.features == (1, 0)
    assert chosen.near == (f"novice: feature 0 is {WITHIN} on 1 of 4 prompts",)
    other = crossed("novice", (1, 2), templates="C", topics=("z",)) + crossed(
        "expert", (0, 0), templates="C", topics=("z",)
    )
    confirm = features(other)
    assert separates(chosen, confirm["novice"], confirm["expert"]).scope.endswith(
        "other topics; there, novice: feature 0 is " + WITHIN + " on 1 of 4 prompts"
    )


def test_exclusive_features_count_what_rounding_decides() -> None:
    """Of five features two are open for novice: 1 fires there only as rounding has it, 3 perhaps on expert too.

    Feature 0 is exclusive and 4 fires on both, whatever the rounding; 2 is open for expert alone, where it may fire.
    """
    rows = crossed("novice", (1, 1e-6, 0, 1, 1), templates="AB", topics=("x",))
    rows += crossed("expert", (0, 0, 0, 0, 1), templates="AB", topics=("x",))
    both = near(features(rows), [[1], [1, 4], [2, 3], []])
    novice = exclusive_features(both["novice"], both["expert"]).summary
    expert = exclusive_features(both["expert"], both["novice"]).summary
    assert (novice.value, expert.value) == (3, 0)
    assert (novice.reach, expert.reach) == ((1, 3), (0, 1))
    assert novice.near_threshold == f"rounding decides whether 2 features count, each of which is {WITHIN}"
    assert expert.near_threshold == f"rounding decides whether 1 feature counts, which is {WITHIN}"
    evidence = exclusive_features(both["novice"], both["expert"]) > exclusive_features(both["expert"], both["novice"])
    assert evidence.near_threshold == (f"novice: {novice.near_threshold}", f"expert: {expert.near_threshold}")


def test_near_must_have_a_row_a_token(two: Features) -> None:
    """Another shape is refused with both."""
    with pytest.raises(ValueError, match=r"near is \(2, 3\) and acts \(4, 3\)"):
        replace(two, near=near_rows([np.array([0])] * 2, d_sae=3))


def test_a_selection_of_prompts_brings_its_own_near_features(two: Features) -> None:
    """Rows go with their prompts, in the order chosen."""
    chosen = two.select([1, 0]).near
    assert chosen is not None
    np.testing.assert_array_equal(chosen.toarray().astype(int), [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0]])


def test_a_sentence_names_the_feature_or_the_effect() -> None:
    """One feature is named; of all features the largest effect on the mean is told."""
    one = NearThreshold(lowers=np.array([0.0, 1.0, 0.0, 1.0]), raises=np.zeros(4), tolerance=2e-3, feature=7)
    assert one.sentence("share") == (
        "feature 7 is within rounding of its threshold (0.002 of the stream's norm) on 2 of 4 prompts"
    )
    assert one.chosen(np.array([True, False, True, False])).sentence("share") is None
    every = replace(one, feature=None)
    assert every.sentence("features") == (
        "a feature is within rounding of its threshold (0.002 of the stream's norm) on 2 of 4 prompts, "
        "which may lower the mean by 0.5 features and raise it by 0 features at most"
    )
