"""Pictures: places worked out by hand, and every value within the frame."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import document_of, length

from saeprobe.claims import Claim, Verdict
from saeprobe.evidence import Evidence, Sample
from saeprobe.prompts import Prompt
from saeprobe.report import probe_to_json, shape
from saeprobe.report.page import estimate, exact, number, p_value, share
from saeprobe.report.pictures import axis_over, forest, part_labels, strips

SAMPLE = Sample(label="novice", measure="l0", unit="f", mean=0.0, n=None)
PIECE = Evidence(kind="greater", statement="a > b", outcome="supported", reason="", scope="", unit="f")
ROWS = list(product(("novice", "expert"), range(2), ("tides", "rain")))
PROMPTS = [Prompt(text=f"{it}", style=it[0], topic=it[2], template=f"{it[0]} {it[1]}") for it in ROWS]


def a_sample(label: str, values: list[float], prompts: list[int]) -> Sample:
    """Measure these values on prompts given by their row."""
    mean = sum(values) / len(values)
    chosen = tuple(PROMPTS[row] for row in prompts)
    return replace(SAMPLE, label=label, mean=mean, n=len(values), values=tuple(values), prompts=chosen)


def shown(evidence: Evidence) -> tuple[shape.Evidence, shape.Document]:
    """Put the evidence into a report."""
    record = probe_to_json(
        claim=Claim(id="a.b", sentence="s", source="s"),
        nodeid="n",
        subject="sparrow",
        verdict=Verdict(word="supported", reason=""),
        evidence=[evidence],
        published=[],
        duration_s=0,
    )
    document = document_of([record])
    return document.evidence[document.claims[0].probes[0].evidence[0]], document


def compared(*samples: Sample) -> tuple[shape.Evidence, shape.Document]:
    """Compare these samples in a report."""
    return shown(replace(PIECE, samples=samples))


def printed(label: str, value: float, unit: str) -> shape.Published:
    """Print a number that nothing was measured for."""
    unknown: dict[str, Any] = {one.name: None for one in fields(shape.Published)}
    return shape.Published(**unknown | {"label": label, "value": value, "unit": unit})


def path(drawing: str, name: str) -> str:
    """The data of the path of class `name`."""
    found = re.search(rf'<path class="{name}" d="([^"]*)"/>', drawing)
    return "" if found is None else found[1]


def test_an_axis_marks_round_numbers() -> None:
    """From 0 to 10 the ticks are even numbers, and the ends lie 14 thousandths inside the frame."""
    axis = axis_over([0.0, 10.0])

    assert axis.ticks == (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    assert (axis.x(0.0), axis.x(5.0), axis.x(10.0)) == (14, 500, 986)


def test_an_axis_has_room_for_a_single_value() -> None:
    """Equal values lie in the middle of an axis a tenth of their size to each side."""
    axis = axis_over([20.0, 20.0])

    assert (axis.low, axis.high) == (18.0, 22.0)
    assert axis.x(20.0) == 500


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_finite_value_has_a_place(values: list[float]) -> None:
    """No finite numbers, however large, small or near, break an axis or leave its frame."""
    axis = axis_over(values)

    assert all(14 <= axis.x(value) <= 986 for value in values)
    assert len(axis.ticks) <= 9
    assert str(axis.drawing()).count("<text") == len(axis.ticks)


def test_a_dot_a_prompt_in_a_lane_a_template() -> None:
    """Two templates of two prompts give two lanes with two dots each and a tick at each template's mean."""
    picture = strips(*compared(a_sample("novice", [0.0, 10.0, 5.0, 5.0], [0, 1, 2, 3])), [])

    assert picture is not None
    (row,) = picture.rows
    assert row.lanes == 2
    # Lanes 28 high from 2: middles 16 and 44. Bins of 8: 0 lies at 14 -> 12, 10 at 986 -> 988, 5 at 500 -> 500.
    assert path(row.drawing, "dots") == "M12 16h.1M988 16h.1M500 41.7h.1M500 46.3h.1"
    assert path(row.drawing, "means") == "M500 11.5v9M500 39.5v9"
    assert path(row.drawing, "mean") == "M500 0V60"


def test_of_many_prompts_a_dot_stands_for_several() -> None:
    """401 prompts are drawn with three to a dot, and the picture says so."""
    picture = strips(*compared(a_sample("novice", [float(index) for index in range(401)], [0] * 401)), [])

    assert picture is not None
    assert picture.each == 3
    assert path(picture.rows[0].drawing, "dots").count("M") <= 200


def test_rates_are_drawn_as_bars_from_zero() -> None:
    """Values of 0 and 1 are counted, not scattered."""
    picture = strips(*compared(a_sample("novice", [1.0, 1.0, 1.0, 0.0], [0, 1, 2, 3])), [])

    assert picture is not None
    assert picture.rows[0].fired == 3
    assert path(picture.rows[0].drawing, "dots") == ""
    assert path(picture.rows[0].drawing, "bar") == "M14 30H743"  # 14 + 0.75 * 972


def test_the_published_value_is_marked_on_its_own_row() -> None:
    """A printed value widens the axis and is drawn where its label and unit fit."""
    own, other = printed("novice", 20.0, "f"), printed("expert", 90.0, "percent")
    sides = a_sample("novice", [0.0, 10.0], [0, 1]), a_sample("expert", [0.0, 2.0], [4, 5])

    picture = strips(*compared(*sides), [own, other])

    assert picture is not None
    assert picture.axis.high == 20.0
    assert [path(row.drawing, "print") for row in picture.rows] == ["M986 0V48", ""]


def test_parts_show_the_styles_they_compare_once() -> None:
    """A claim about every style draws the shared style once beside the others."""
    novice, expert = a_sample("novice", [1.0, 2.0], [0, 1]), a_sample("expert", [0.0, 1.0], [4, 5])
    guru = a_sample("guru", [3.0, 4.0], [4, 5])
    parts = tuple(replace(PIECE, samples=sides) for sides in ((novice, expert), (novice, guru)))
    whole = shown(replace(PIECE, kind="every", parts=parts))

    picture = strips(*whole, [])

    assert picture is not None
    assert [row.sample.label for row in picture.rows] == ["novice", "expert", "guru"]
    assert part_labels(*whole) == ["novice > expert", "novice > guru"]


def test_a_control_stands_beside_its_estimate() -> None:
    """The forest has a row as measured and one adjusted, on an axis that shows zero."""
    control = replace(length(explains=True, estimate=1.0), interval=(-2.0, 4.0))

    picture = forest(*shown(replace(PIECE, estimate=8.0, interval=(6.0, 10.0), controls=(control,))))

    assert picture is not None
    measured, adjusted = picture.rows
    assert measured.control is None
    assert adjusted.control is not None
    assert (adjusted.control.name, adjusted.control.answer) == ("length", "explains")
    # From -2 to 10 over 972: 81 a unit. 8 lies at 14 + 10 * 81, zero at 14 + 2 * 81.
    assert path(measured.drawing, "square") == "M824 10h.1"
    assert path(measured.drawing, "zero") == "M176 0V20"
    assert path(adjusted.drawing, "reach").startswith("M14 8H500")


def test_nothing_is_drawn_of_nothing() -> None:
    """Evidence without samples or estimate has no picture."""
    assert strips(*shown(PIECE), []) is None
    assert forest(*shown(PIECE)) is None


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (number(0), "0"),
        (number(132.44), "132"),
        (number(-0.5), "−0.5"),
        (number(24576), "24,600"),
        (number(-1.23e-7), "−1.23e−07"),
        (number(None), "–"),
        (number(0.472, "share of prompts"), "47 %"),
        (exact(132.4), "132.4"),
        (exact(4.0), "4"),
        (exact(0.125, "share of prompts"), "12.5 %"),
        (p_value(0.00001), "p < 0.0001"),
        (p_value(0.00001, bare=True), "< 0.0001"),
        (p_value(0.0312), "p = 0.031"),
        (p_value(0.0312, bare=True), "0.031"),
        (p_value(None), "–"),
        (share(0.152), "15 %"),
        (share(-0.5), "−50 %"),
        (share(None), "–"),
        (estimate(2.5, (1.6, 3.4)), '<b>2.5</b> <span class="whole">[1.6, 3.4]</span>'),
        (estimate(-0.02, (-0.07, 0.03), "share of prompts"), '<b>−2 %</b> <span class="whole">[−7 %, 3 %]</span>'),
        (estimate(7.0, None), "<b>7</b>"),
    ],
)
def test_numbers_read_as_in_an_article(shown: Any, wanted: str) -> None:
    """Three digits, shares in percent, a true minus sign, no p of zero, and a printed number with all its digits."""
    assert str(shown) == wanted
