"""What would decide an open comparison: units and prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grids import grid, summary, templates

from saeprobe.evidence import Evidence, Needed, Terms
from saeprobe.evidence.compare import ordering
from saeprobe.evidence.units import needed, sample_of
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

SIX, FIVE = [1.0, -1, 2, -2, 3, -2.5], [1.0, 2, 3, 4, 5.0]


def test_a_plan_reaches_to_a_thousand_units() -> None:
    """A thousand are told with their prompts, rounded up; one more is beyond any plan."""
    assert needed("topics", 6, 1000, a_unit=1.5) == Needed(units="topics", have=6, wanted=1000, prompts=1500)
    assert needed("topics", 6, 7, a_unit=1.1) == Needed(units="topics", have=6, wanted=7, prompts=8)
    assert needed("topics", 6, 1001, a_unit=1.5) == Needed(units="topics", have=6, wanted=None)
    assert needed("topics", 6, None, a_unit=1.5) == Needed(units="topics", have=6, wanted=None)


@pytest.mark.parametrize(("wanted", "told"), [(None, None), (3, 7), (6, 7), (7, 7), (8, 8), (40, 40)])
def test_more_units_are_asked_for_than_there_are(wanted: int | None, told: int | None) -> None:
    """Six pairs can decide at 5 %, so one more is the least that is asked for."""
    shift = paired_shift(np.array(SIX), alpha=0.05, seed=0)
    assert needed("topics", 6, wanted, a_unit=1, shift=shift).wanted == told


def test_units_that_cannot_reach_alpha_need_what_the_test_needs() -> None:
    """Five pairs reach 2/32, which is not below itself: six are wanted, or more if the effect is small."""
    five = paired_shift(np.array(FIVE), alpha=0.05, seed=0)
    assert needed("topics", 5, None, a_unit=1, shift=five).wanted == 6
    assert needed("topics", 5, 20, a_unit=1, shift=five).wanted == 20
    assert needed("topics", 5, None, a_unit=1, shift=replace(five, alpha=2 / 32)).wanted == 6
    three = unpaired_shift(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), alpha=0.05, seed=0)
    assert needed("templates a style", 3, None, a_unit=1, shift=three).wanted == 4


def test_templates_and_topics_that_contradict_each_other_are_named() -> None:
    """Novice lies above expert in all wordings but one, which alone has the other eight topics, and is far lower."""
    novice = grid("novice", [[39.0] * 10, *([44.0 + k / 4] * 2 for k in range(7))])
    expert = grid("expert", [*([40.0 + k / 4] * 2 for k in range(7)), [43.0] * 10])
    evidence = novice > expert
    assert evidence.interval is not None
    assert (evidence.outcome, evidence.p, evidence.needed and evidence.needed.wanted) == ("inconclusive", 1.0, None)
    assert evidence.interval[0] < 0 < evidence.interval[1]
    assert evidence.reason.endswith("Templates and topics point to opposite sides, which no number of them decides")


def test_units_are_called_what_they_are() -> None:
    """Templates that both sides share are templates; those of each style are a style's."""
    same = {"wording": "shopping"}
    paired = templates("steered", (1, 5, 2, 6, 3), **same) > templates("unsteered", (2, 4, 3, 5, 2.5), **same)
    apart = templates("novice", (1, 5, 2, 6, 3)) > templates("expert", (2, 4, 3, 5, 2.5))
    topics = grid("novice", [[1, 5, 2, 6, 3]]) > grid("expert", [[2, 4, 3, 5, 2.5]])
    assert [each.needed.units for each in (paired, apart, topics) if each.needed] == [
        "templates",
        "templates a style",
        "topics",
    ]
    assert paired.needed is not None
    assert paired.needed.wanted is None or paired.needed.wanted >= 6


def test_bare_means_have_the_kind_and_statement_of_their_sentence() -> None:
    """Also where nothing is decided."""
    evidence = summary("novice", 2.0) > summary("expert", 1.0)
    assert (evidence.kind, evidence.statement) == ("greater", "l0 of novice > l0 of expert")
    assert evidence.rule == "a mean without the values behind it decides nothing"


def test_a_refuted_step_is_reversed() -> None:
    """Only the contrary refutes a step of an order."""
    part = Evidence(
        kind="greater",
        statement="a > b",
        outcome="refuted",
        reason="so",
        scope="here",
        unit="features",
        estimate=-0.5,
        samples=(sample_of(summary("a", 1.0), Terms()),),
    )
    assert ordering(["a", "b"], [part]).reason.startswith("reversed: a > b. ")
    with pytest.raises(ValueError, match="zip"):
        ordering(["a", "b", "c"], [part])
