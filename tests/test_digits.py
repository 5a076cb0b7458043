"""The digits of printed numbers and ratios: what they say, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from saeprobe.claims import published


@pytest.mark.parametrize(
    ("printed", "value", "half"),
    [
        ("1.3e2", 130.0, 5.0),
        ("1.30E+2", 130.0, 0.5),
        ("1.300e2", 130.0, 0.05),
        ("5e-3", 0.005, 0.0005),
        (130, 130.0, 0.5),
        (130.0, 130.0, 0.5),
        (1e-5, 1e-5, 5e-6),
        (1e16, 1e16, 0.5),
        ("4.80", 4.8, 0.005),
        (".5", 0.5, 0.05),
        ("7.", 7.0, 0.5),
        ("\N{MINUS SIGN}1.5", -1.5, 0.05),
        ("+3", 3.0, 0.5),
        (np.float64(132.4), 132.4, 0.05),
        (np.float32(132.4), 132.4, 0.05),
        (np.int64(130), 130.0, 0.5),
    ],
)
def test_the_last_printed_digit_gives_the_precision(printed: float | str, value: float, half: float) -> None:
    """An exponent moves the place of the last digit; a plain number of Python shows no digit that says nothing."""
    numbers = published(a=printed, unit="features")
    assert (numbers.values["a"], numbers.rounding("a")) == (value, pytest.approx(half, rel=1e-12))


@pytest.mark.parametrize(
    "printed",
    [
        *(
            "nan",
            "-nan",
            "inf",
            "Infinity",
            float("nan"),
            float("-inf"),
            "1e999",
            "1e9999",
            "1e-400",
            "-1e-999",
            True,
            np.True_,
            None,
            "",
            " ",
            ".",
        ),
        *("1e", "1_000", "1,234.5", "75 %", "１３", "١٣", "0x10", "1/3", "about 5", "3 5"),
    ],
)
def test_what_is_no_finite_number_in_plain_digits_is_refused(printed: float | str) -> None:
    """A thousands separator may be a decimal point elsewhere; the error shows how a number is written."""
    with pytest.raises(ValueError, match=r"is no number; write it as printed, in the digits 0 to 9 and a point"):
        published(a=printed, unit="features")


def test_a_percentage_is_written_in_its_unit() -> None:
    """75 % of a share is 0.75, and the error says so."""
    with pytest.raises(ValueError, match=r"75 % is 0\.75 of a share"):
        published(a="75 %", unit="share of prompts")


@pytest.mark.parametrize(
    ("text", "value", "half"),
    [
        ("+17 %", 1.17, 0.005),
        ("17 % more", 1.17, 0.005),
        ("17% higher", 1.17, 0.005),
        ("117 %", 1.17, 0.005),
        ("1.17", 1.17, 0.005),
        ("1.17 times", 1.17, 0.005),
        ("1.17x", 1.17, 0.005),
        ("-17 %", 0.83, 0.005),
        ("\N{MINUS SIGN}17.0 %", 0.83, 0.0005),
        ("17 % fewer", 0.83, 0.005),
        ("+200 %", 3.0, 0.005),
        ("1.3e2 %", 1.3, 0.05),
        ("+1.3e2 %", 2.3, 0.05),
        ("62.5 %", 0.625, 0.0005),
        ("2", 2.0, 0.5),
    ],
)
def test_a_ratio_is_said_as_it_is_printed(text: str, value: float, half: float) -> None:
    """A percentage with a sign or a word is a change; one without is the ratio itself."""
    numbers = published(text)
    assert (numbers.values, numbers.unit) == ({"ratio": pytest.approx(value)}, "times")
    assert numbers.rounding("ratio") == pytest.approx(half)


@pytest.mark.parametrize(
    "text",
    [
        "+1.17",
        "1.17 times more",
        "+17 % more",
        "0",
        "-100 %",
        "-117 %",
        "100 % less",
        "nan",
        "inf %",
        "a lot",
        "1e99",
        "1e-400",
    ],
)
def test_what_may_be_read_in_two_ways_is_no_ratio(text: str) -> None:
    """So is a ratio of nothing or less; the error shows what would do."""
    with pytest.raises(ValueError, match=r"is no ratio above zero; write '1\.17', '117 %', '\+17 %' or '17 % more'"):
        published(text)


def test_a_ratio_stands_alone_and_a_number_has_a_unit() -> None:
    """A ratio is in times, and is stated without names; every other number has the unit of its measure."""
    with pytest.raises(ValueError, match="wanted none: a ratio is in times"):
        published("+17 %", unit="features")
    with pytest.raises(ValueError, match="has '\\+17 %' and names"):
        published("+17 %", novice=3, unit="features")
    with pytest.raises(ValueError, match="wanted that of the measure"):
        published(novice=3)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        *(({"wordings": one}, f"wordings is {one}; wanted the number of templates") for one in (0, -1, 1.5)),
        *(({"n": one}, f"n is {one!r}; wanted the number of prompts") for one in (True, 2.5, "50")),
        ({"n": 50, "wordings": 60}, "wordings is 60 and n is 50; wanted as many prompts of a style as wordings"),
        *(({"tolerance": one}, f"tolerance is {one!r}; wanted a positive distance") for one in (0, -1, "1")),
        *(({"tolerance": one}, "wanted a positive distance in features") for one in (True, float("nan"), float("inf"))),
    ],
)
def test_what_stands_behind_a_number_is_counted_and_a_tolerance_is_a_distance(terms: dict[str, Any], says: str) -> None:
    """Half a prompt is none, a wording has a prompt at least, and numpy's numbers are numbers."""
    with pytest.raises(ValueError, match=says):
        published(novice=3, unit="features", **terms)
    held = published(novice=3, unit="features", n=np.int64(50), wordings=50, tolerance=np.float32(0.5))
    assert (held.n, held.wordings, held.tolerance) == (50, 50, 0.5)
    assert [type(one) for one in (held.n, held.wordings, held.tolerance)] == [int, int, float]
