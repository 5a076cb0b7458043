"""Clusters whose intervals end at exactly 0: a style is then neither apart from the others nor in one of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from by_hand import features

from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.measures import clusters


def clustered(of_x: Sequence[Sequence[int]], of_e: Sequence[Sequence[int]], *, alpha: float) -> Evidence:
    """The features that fire in each wording of x and of e.

    A wording that shares no feature with any is as far from its own style as from the other: its silhouette is 0.
    """
    rows = [
        (style, letter, "tides", tuple(float(feature in fired) for feature in range(10)))
        for style, wordings in (("x", of_x), ("e", of_e))
        for letter, fired in zip("ABCDEFG", wordings, strict=False)
    ]
    with recording(Recorder(alpha=alpha)):
        return clusters(features(rows))


def test_an_interval_that_holds_0_does_not_show_a_style_apart() -> None:
    """Two wordings of x are 4/5 from their style and 1 from e, and four as far from both: a mean of 0.07 ± 0.04."""
    of_e = [[0, 1], [0, 1], [0, 1], [0, 2], [0, 2], [0, 3]]
    evidence = clustered([[5], [6], [7], [8], [4], [4]], of_e, alpha=0.05)
    assert [unit.value for unit in evidence.unit_values[:6]] == [0, 0, 0, 0, pytest.approx(0.2), pytest.approx(0.2)]
    low, high = evidence.samples[0].interval or (0, 0)
    assert low < 0 < 1 / 15 < high
    assert evidence.outcome == "inconclusive"
    assert evidence.reason.startswith(
        "mean silhouette 0.35, p = 0.0022, but not shown to lie apart: x (0.07, interval -0.00 to "
    )


def test_an_interval_that_ends_at_0_does_not_put_a_style_in_another() -> None:
    """Two wordings of x are like all of e; of the 330 ways to deal the wordings only 15 leave x all five others.

    15/330 is below 0.095 / 2, the share for two styles; at level 1 - 0.095, though, a mean of 0 is not excluded.
    """
    evidence = clustered([[5], [6], [7], [8], [9], [0], [0]], [[0]] * 4, alpha=0.095)
    assert [unit.value for unit in evidence.unit_values[:7]] == [0, 0, 0, 0, 0, -1, -1]
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == "mean silhouette 0.18, p = 0.24: not distinguished from chance"
