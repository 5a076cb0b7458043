"""Confirming: how many units would confirm a feature, and the same scan between shuffled labels."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import crossed, features
from statsmodels.stats.multitest import multipletests

from saeprobe.evidence.evidence import ControlResult, Needed, Recorder
from saeprobe.measures.halving import Rates
from saeprobe.measures.scan import needed_to_confirm, shuffled_control
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
    half = units_to_decide(0.5 / (1 / 6) ** 0.5, alpha=0.1 / 3, paired=False)
    assert half is not None
    assert half > 4
    found = needed(made([[1], [1], [0], [0]], [[0]] * 4), novice="ABCDEFGH", expert="ABCDEFGHIJ")
    assert found == Needed(units="templates a style", have=8, wanted=2 * half, prompts=2 * half * 6)


def test_topics_that_would_confirm() -> None:
    """Differences 1, 1, 1, 0 have a mean of 0.75 and a variance of 0.25; a topic takes two prompts and one."""
    half = units_to_decide(1.5, alpha=0.2 / 7, paired=True)
    assert half is not None
    found = needed(made([[1]] * 4, [[0], [0], [0], [1]], paired=True), novice="AB", expert="A", picked=7, alpha=0.1)
    assert found == Needed(units="topics", have=3, wanted=2 * half, prompts=2 * half * 3)


def test_without_spread_the_fewest_units_confirm() -> None:
    """All apart: 2/70 is below 0.1/3, so that 4 in each half would do."""
    assert needed(made([[1]] * 3, [[0]] * 3), novice="ABCDEF", expert="ABCDEF") == Needed(
        units="templates a style", have=6, wanted=8, prompts=48
    )


def test_more_than_there_are_would_confirm() -> None:
    """Where 8 should have been enough and 12 were not, 13 are told."""
    assert needed(made([[1]] * 3, [[0]] * 3), novice="ABCDEFGHIJKL", expert="ABCDEFGHIJKL") == Needed(
        units="templates a style", have=12, wanted=13, prompts=78
    )


@pytest.mark.parametrize("yes", [[[0.5], [0.5]], [[0.5], [0.0]]])
def test_a_feature_that_fires_no_more_often_is_never_confirmed(yes: list[list[float]]) -> None:
    """As often, and less often: no number of units is told."""
    assert needed(made(yes, [[0.5], [0.5]]), novice="ABCD", expert="ABCD") == Needed(
        units="templates a style", have=4, wanted=None
    )


def test_a_round_counts_what_is_below_alpha_between_made_up_sides() -> None:
    """Twenty rounds from the seed, each with p counted here and adjusted by statsmodels."""
    rng = np.random.default_rng(5)
    looked, tested = (made(rng.random((4, 12)) < 0.5, rng.random((4, 12)) < 0.5) for _ in range(2))
    terms = Recorder(alpha=0.4, seed=11)
    draws = np.random.default_rng(11)
    counts: list[int] = []
    for _ in range(20):
        features = looked.shuffled(draws).ranked(5)
        made_up = tested.shuffled(draws)
        ps = [made_up.p_above(feature, alpha=0.4, seed=11) for feature in features]
        counts.append(int(sum(multipletests(ps, alpha=0.4, method="fdr_bh")[0])))
    mean = sum(counts) / 20
    assert len(set(counts)) > 2
    found = max(counts)
    assert shuffled_control((looked, tested), 5, found, terms) == ControlResult(
        name="labels",
        expects="absent",
        explains=False,
        estimate=mean,
        interval=None,
        p=(1 + counts.count(found)) / 21,
        share=mean / found,
        detail=f"between shuffled labels the same scan confirms {mean:g} of 5 on average, in 20 rounds (seed 11)",
    )
    assert [shuffled_control((looked, tested), 5, times * mean, terms).explains for times in (2, 2.001)] == [
        True,
        False,
    ]


def test_a_made_up_p_at_alpha_confirms_nothing() -> None:
    """Four of eight units fire: a side with three of them has p = 17/70, which is not below an alpha of 17/70."""
    rates = made([[1], [1], [0], [0]], [[1], [1], [0], [0]])
    below, above = (
        shuffled_control((rates, rates), 1, 1, Recorder(alpha=alpha)).estimate for alpha in (17 / 70, 17.01 / 70)
    )
    draws, sure, likely = np.random.default_rng(0), 0, 0
    for _ in range(20):
        picked, fires = rates.shuffled(draws).ranked(1), rates.shuffled(draws).yes.sum()
        sure += bool(picked) and fires == 4
        likely += bool(picked) and fires >= 3
    assert sure < likely
    assert (below, above) == (sure / 20, likely / 20)
