"""Units of comparisons at their edges: sparse templates, one topic, draws by the seed, and power at its bounds."""

from __future__ import annotations

import re
from math import sqrt

import numpy as np
import pytest
from grids import grid
from scipy.special import nctdtr, stdtrit

from saeprobe.claims import Over, Published
from saeprobe.evidence import Terms
from saeprobe.evidence.printed_tables import printed
from saeprobe.evidence.units import Compared, compare, unit_means
from saeprobe.evidence.values import Measurement
from saeprobe.prompts import Prompt
from saeprobe.statistics.intervals import power_of, units_to_decide
from saeprobe.statistics.shifts import Shift, paired_shift, unpaired_shift

ALPHA = 0.05


def scattered(style: str, cells: list[tuple[int, str, float]]) -> Measurement:
    """A value for each template and topic that is named, and none for the others."""
    prompts = tuple(
        Prompt(text=f"{style} {t}: {topic}", style=style, topic=topic, template=f"{style} {t}: {{topic}}")
        for t, topic, _ in cells
    )
    values = np.array([value for *_, value in cells])
    return Measurement(measure="l0", label=style, unit="features", values=values, prompts=prompts)


def compared(a: Measurement, b: Measurement, *over: Over) -> Compared:
    """A comparison that could be made."""
    found = compare(a, b, Terms(seed=7, over=over))
    assert isinstance(found, Compared)
    return found


@pytest.mark.parametrize(
    ("count", "units", "n_units"),
    [
        pytest.param(2, "templates", (2, 2), id="two are too few to tell"),
        pytest.param(3, "templates and topics", (3, 3), id="three"),
        pytest.param(4, "templates and topics", (4, 4), id="four"),
    ],
)
def test_templates_with_one_of_two_topics_each_make_topics_units(
    count: int, units: str, n_units: tuple[int, int]
) -> None:
    """Each template was read on one of the two topics only, so that it cannot be told from its topic."""
    topics = ("tides", "yeast")
    a = scattered("novice", [(t, topics[t % 2], 10.0 + t) for t in range(count)])
    b = scattered("expert", [(t, topics[t % 2], 1.0 + t * t) for t in range(count)])
    found = compared(a, b)
    assert (found.units, found.n_units, found.n_topics, found.paired) == (units, n_units, 2, False)


def many(style: str, seed: int, wording: str, shape: tuple[int, int]) -> Measurement:
    """So many templates by topics, whose relabelings are too many to count."""
    values = np.random.default_rng(seed).normal(size=shape)
    names = tuple(f"topic {k}" for k in range(shape[1]))
    return grid(style, values.tolist(), topics=names, wording=wording)


def told(shift: Shift) -> tuple[float, str, int | None]:
    """What tells one draw from another."""
    return shift.p, shift.test, shift.seed


def test_each_test_draws_by_the_seed() -> None:
    a, b = many("novice", 1, "n", (25, 2)), many("expert", 2, "e", (25, 2))
    over_templates = compared(a, b, "templates")
    sides = [np.array([u.value for u in over_templates.unit_values if u.side == side]) for side in ("novice", "expert")]
    assert told(over_templates.shift) == told(unpaired_shift(*sides, alpha=ALPHA, seed=7))
    cases: tuple[tuple[tuple[int, int], Over, bool], ...] = (((2, 40), "topics", False), ((40, 2), "templates", True))
    for shape, over, same in cases:
        a, b = many("novice", 1, "n", shape), many("expert", 2, "n" if same else "e", shape)
        found = compared(a, b, over)
        differences = np.array([unit.value for unit in found.unit_values])
        assert len(differences) == 40
        assert told(found.shift) == told(paired_shift(differences, alpha=ALPHA, seed=7))


def test_differences_that_are_rounding_are_no_spread() -> None:
    """0.3 - 0.2 and 0.9 - 0.8 differ by rounding; beside differences of nothing they are all the same."""
    high = [[1000.1, 2000.2, 3000.3], [1000.3, 2000.1, 3000.7]]
    near = [[value + 1e-8 * (k + 2 * t) for k, value in enumerate(row)] for t, row in enumerate(high)]
    cases: tuple[tuple[Over, str], ...] = (("topics", "other"), ("templates", "n"))
    for over, wording in cases:
        found = compared(grid("novice", near, wording="n"), grid("expert", high, wording=wording), over)
        assert not found.shift.spread


@pytest.mark.parametrize(("count", "scope"), [(1, "over 1 topic"), (2, "over 2 topics")])
def test_one_topic_is_told_in_the_singular(count: int, scope: str) -> None:
    found = unit_means(grid("novice", [[1.0, 2.0][:count]]))
    assert found[1:] == ("topics", f"this wording only, {scope}")


def test_a_power_that_is_just_reached_is_reached() -> None:
    """The wanted power is that of 1,000 units, or of 10, to the last bit."""
    for units in (1_000, 10):
        power = power_of(0.7 if units == 10 else 0.1, units, alpha=ALPHA, paired=False)
        assert units_to_decide(0.7 if units == 10 else 0.1, alpha=ALPHA, paired=False, power=power) == units


def test_pairs_see_an_effect_that_so_many_a_side_do_not() -> None:
    assert units_to_decide(0.1, alpha=ALPHA, paired=False) is None
    assert units_to_decide(0.1, alpha=ALPHA, paired=True) == 787


def test_a_smallest_p_of_alpha_itself_decides_nothing() -> None:
    assert power_of(2.0, 4, alpha=2 / 16, paired=True) == 0.0


def test_power_is_at_the_largest_p_below_alpha() -> None:
    """18 pairs reach multiples of 2 / 2 ** 18; 6,553 of them lie below 0.05."""
    level = 6_553 * 2 / 2**18
    assert level < ALPHA < level + 2 / 2**18
    reach, centre = float(stdtrit(17, 1 - level / 2)), 0.7 * sqrt(18)
    wanted = 1 - float(nctdtr(17, centre, reach)) + float(nctdtr(17, centre, -reach))
    assert power_of(0.7, 18, alpha=ALPHA, paired=True) == pytest.approx(wanted, rel=1e-9)


def test_a_printed_table_without_a_source_is_told_how_to_name_it() -> None:
    wanted = "printed() without a source; write printed(published(...), source='SAE Inspect, table 1')"
    with pytest.raises(ValueError, match=f"^{re.escape(wanted)}$"):
        printed(Published(values={"novice": 1.0}, printed={"novice": "1"}, unit="features", source="", n=None))
