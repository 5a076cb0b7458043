"""Confirming: how many units would confirm a feature, and the same scan between shuffled labels."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import crossed, features

from saeprobe.evidence import Needed, Recorder
from saeprobe.measures.halving import Rates
from saeprobe.measures.scan import needed_to_confirm
from saeprobe.statistics.intervals import units_to_decide

TOPICS = ("tides", "yeast", "comets")


def made(yes: object, no: object, *, paired: bool = False) -> Rates:
    """Rates worked by hand, `[units, features]`."""
    a, b = np.array(yes, dtype=float), np.array(no, dtype=float)
    names = tuple(map(str, range(len(a)))), tuple(map(str, range(len(b))))
    return Rates(yes=a, no=b, names=names, paired=paired, scope="these")


def needed(tested: Rates, *, novice: str, expert: str, picked: int = 3, alpha: float = 0.05) -> Needed:
    """What would confirm feature 0 where the prompts are three topics under these templates."""
    rows = crossed("novice", (1,), templates=novice, topics=TOPICS)
    of = features(rows + crossed("expert", (0,), templates=expert, topics=TOPICS))
    return needed_to_confirm(tested, 0, picked, (of["novice"], of["expert"]), Recorder(alpha=alpha))


def test_templates_that_would_confirm() -> None:
    """Rates 1, 1, 0, 0 and 0, 0, 0, 0: half apart, with variances of 1/3 and 0; each half needs what decides that."""
    half = units_to_decide(0.5 / (1 / 6) ** 0.5, alpha=0.05 / 3, paired=False)
    assert half is not None
    assert half > 4
    found = needed(made([[1], [1], [0], [0]], [[0]] * 4), novice="ABCDEFGH", expert="ABCDEFGHIJ")
    assert found == Needed(units="templates a style", have=8, wanted=2 * half - 1, prompts=(2 * half - 1) * 6)


def test_topics_that_would_confirm() -> None:
    """Differences 1, 1, 1, 0 have a mean of 0.75 and a variance of 0.25; a topic takes two prompts and one."""
    half = units_to_decide(1.5, alpha=0.1 / 7, paired=True)
    assert half is not None
    found = needed(made([[1]] * 4, [[0], [0], [0], [1]], paired=True), novice="AB", expert="A", picked=7, alpha=0.1)
    assert found == Needed(units="topics", have=3, wanted=2 * half - 1, prompts=(2 * half - 1) * 3)


def test_without_spread_the_fewest_units_confirm() -> None:
    """All apart: 2/252 is below 0.05/3 and 2/70 is not, so that 5 in the half that confirms would do."""
    assert needed(made([[1]] * 3, [[0]] * 3), novice="ABCDEF", expert="ABCDEF") == Needed(
        units="templates a style", have=6, wanted=9, prompts=54
    )


def test_more_than_there_are_would_confirm() -> None:
    """Where 9 should have been enough and 12 were not, 13 are told."""
    assert needed(made([[1]] * 3, [[0]] * 3), novice="ABCDEFGHIJKL", expert="ABCDEFGHIJKL") == Needed(
        units="templates a style", have=12, wanted=13, prompts=78
    )


@pytest.mark.parametrize("yes", [[[0.5], [0.5]], [[0.5], [0.0]]])
def test_a_feature_that_fires_no_more_often_is_never_confirmed(yes: list[list[float]]) -> None:
    """As often, and less often: no number of units is told."""
    assert needed(made(yes, [[0.5], [0.5]]), novice="ABCD", expert="ABCD") == Needed(
        units="templates a style", have=4, wanted=None
    )
