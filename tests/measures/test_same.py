"""A style and its repeat agree on each prompt, or are refuted by the first that differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from by_hand import crossed, features
from scipy.sparse import csr_array

from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.near import NearThreshold
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures import (
    clusters,
    effective_rank,
    firing_rate,
    halves,
    l0,
    max_activation,
    n_tokens,
    same,
    variance_explained,
)

TOPICS = ("tides", "yeast", "rust")
ROWS = crossed("standard", (3, 4, 0), templates="A", topics=TOPICS)
RANKS = np.array([4.0, 5.0, 8.0])


def capture_of(second: Any = None, ranks: Any = RANKS, **kept: Any) -> Features:
    """Three prompts of one style, and beside them their repeat, with other activations where some are given."""
    first = features(ROWS, effective_rank=RANKS, place="last token", **kept)
    prompts = tuple(replace(prompt, style="assistant") for prompt in first.prompts)
    acts = first.acts if second is None else csr_array(np.array(second, dtype=np.float64))
    again = replace(first, prompts=prompts, acts=acts, effective_rank=np.asarray(ranks))
    return replace(first, repeats={"assistant": again})


def judged(of: Features, **how: Any) -> Evidence:
    with recording(Recorder()) as recorder:
        found = same(of["standard"], of["assistant"], **how)
    assert recorder.evidence == [found]
    return found


@pytest.mark.parametrize("how", [{}, {"by": l0}, {"by": effective_rank}, {"by": n_tokens}])
def test_equal_readings_are_supported_over_all_prompts(how: Any) -> None:
    """Whatever is compared; the exact interval over three topics ends at 0.025 ** (1 / 3) = 29 %."""
    found = judged(capture_of(), **how)
    assert (found.outcome, found.kind) == ("supported", "rate")
    assert found.reason == ("100 % of 3 prompts; over 3 topics that supports a rate of at least 29 %; all are equal")
    assert found.statement.endswith("of assistant on each prompt")


def test_the_first_prompt_that_differs_refutes_it_and_the_largest_difference_is_stated() -> None:
    """Ranks of 5 and 5.5, and of 8 and 10: two of three prompts."""
    found = judged(capture_of(ranks=[4.0, 5.5, 10.0]), by=effective_rank)
    assert found.outcome == "refuted"
    assert "2 exceptions, such as 'standard A: yeast'" in found.reason
    assert found.reason.endswith("; they differ most by 2 dimensions, on 'standard A: rust'")
    assert found.statement == "effective rank of standard = effective rank of assistant on each prompt"


@pytest.mark.parametrize(("tolerance", "outcome"), [(0.0, "refuted"), (0.09, "refuted"), (0.11, "supported")])
def test_a_rank_may_differ_by_the_subjects_rounding(tolerance: float, outcome: str) -> None:
    """8 is a tenth less than 80 / 9, the larger of the two."""
    found = judged(capture_of(ranks=[4.0, 5.0, 80 / 9], tolerance=tolerance), by=effective_rank)
    assert found.outcome == outcome


@pytest.mark.parametrize(("tolerance", "outcome"), [(0.09, "refuted"), (0.11, "supported")])
def test_features_may_differ_by_rounding_as_a_share_of_their_length(tolerance: float, outcome: str) -> None:
    """(3, 4.5), the longer one, is 5.408 long, and 0.5 / 5.408 is 0.0925."""
    found = judged(capture_of([[3, 4, 0], [3, 4.5, 0], [3, 4, 0]], tolerance=tolerance))
    assert found.outcome == outcome
    assert found.reason.endswith("; they differ most by 0.0925 of their length, on 'standard A: yeast'")


def test_what_is_near_its_threshold_may_fire_in_one_reading_alone() -> None:
    """Feature 2 jumps from 0 to 2, which rounding may do where it is near; elsewhere it is a difference."""
    second = [[3, 4, 2], [3, 4, 0], [3, 4, 0]]
    near = csr_array(np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=bool))
    for known, outcome in ((near, "supported"), (None, "refuted")):
        of = capture_of(second, near=known, tolerance=1e-4)
        by_feature = {"by": lambda of: firing_rate(of, 2)}
        assert [judged(of, **how).outcome for how in ({}, {"by": l0}, by_feature)] == [outcome] * 3


@pytest.mark.parametrize(
    ("again", "outcome"), [(4.9, "supported"), (5.1, "refuted"), (3.1, "supported"), (2.9, "refuted")]
)
@pytest.mark.parametrize("swapped", [False, True])
def test_either_side_may_be_the_one_near_its_threshold(again: float, outcome: str, swapped: bool) -> None:  # noqa: FBT001
    """One reading gives 4 and may be raised or lowered by 1; the other, which is sure, lies just within or beyond."""
    of = capture_of()
    near = NearThreshold(lowers=np.array([1.0, 0, 0]), raises=np.array([1.0, 0, 0]), tolerance=1e-4)
    sides = [np.array([4.0, 5, 6]), np.array([again, 5, 6])]

    def measure(side: Any) -> Measurement:
        first = (side.label == "standard") != swapped
        made = replace(l0(side), values=sides[not first], near=near if first else None)
        assert isinstance(made, Measurement)
        return made

    assert judged(of, by=measure).outcome == outcome


def test_rounding_moves_a_value_its_own_way_alone() -> None:
    """What may only rise is not excused where the other reading lies below it."""
    of = capture_of()
    near = NearThreshold(lowers=np.zeros(3), raises=np.ones(3), tolerance=1e-4)
    for again, outcome in ((5.0, "supported"), (3.0, "refuted")):
        both = {"standard": np.full(3, 4.0), "assistant": np.full(3, again)}
        read = {style: replace(l0(of[style]), values=values, near=near) for style, values in both.items()}
        sure = {"standard": read["standard"], "assistant": replace(read["assistant"], near=None)}
        assert judged(of, by=lambda side, sure=sure: sure[side.label]).outcome == outcome


@pytest.mark.parametrize(("tolerance", "outcome"), [(0.09, "refuted"), (0.11, "supported")])
def test_the_largest_activation_may_differ_by_the_tolerance_once(tolerance: float, outcome: str) -> None:
    """4 is a tenth less than 40 / 9, and a tolerance is no larger for standing in the measure too."""
    of = capture_of([[3, 40 / 9, 0], [3, 4, 0], [3, 4, 0]], near=csr_array((3, 3), dtype=bool), tolerance=tolerance)
    assert judged(of, by=max_activation).outcome == outcome


def test_rounding_excuses_no_other_count() -> None:
    """Tokens are counted, and no share of them is rounding."""
    of = capture_of(tolerance=0.5)
    longer = replace(of.repeats["assistant"], n_tokens=np.array([3, 4, 6]))
    assert judged(replace(of, repeats={"assistant": longer}), by=n_tokens).outcome == "refuted"


def test_a_repeat_is_in_no_list_and_no_selection() -> None:
    """It is there by its name alone; its whole is the capture that it stands beside."""
    of = capture_of()
    assert (of.styles, len(of), of["assistant"].whole is of) == (("standard",), 3, True)
    assert not of["standard"].repeats
    assert all(not half.repeats for half in halves(of))
    with pytest.raises(KeyError, match=r"'asistant', did you mean 'assistant'.; there are: standard, assistant"):
        of["asistant"]
    with pytest.raises(ValueError, match="there is one style, standard; clusters needs at least 2"):
        clusters(of)


def test_what_is_no_repeat_is_refused() -> None:
    """A style and itself, styles that were read once, other tokens, other prompts, a number of all prompts."""
    of = capture_of()
    novice = features([*ROWS, *crossed("novice", (1, 0, 0), templates="A", topics=TOPICS)], place="last token")
    sides = (
        (of["standard"], of["standard"]),
        (of["assistant"], of["assistant"]),
        (novice["standard"], novice["novice"]),
        (of["standard"], replace(of["assistant"], place="all tokens")),
        (of["standard"].select([0, 1]), of["assistant"]),
    )
    for a, b in sides:
        with recording(Recorder()), pytest.raises(TypeError, match=r"no style and its repeat, .* \[styles\.\w+\]$"):
            same(a, b)
    with recording(Recorder()), pytest.raises(TypeError, match="is one number of all prompts; same"):
        judged(capture_of(activations=np.eye(3), squared_error=np.zeros(3)), by=variance_explained)
    with recording(Recorder(controls=("length",))), pytest.raises(TypeError, match="control"):
        same(of["standard"], of["assistant"])
