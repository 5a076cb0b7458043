"""Numbers in messages are rounded as people round them."""

from __future__ import annotations

import pytest

from saeprobe.files import against, amount, number, p_value, span

SHARE = "share of continuations"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.4722, "47 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (1e-6, "0 %"),
        (0.997, "99.7 %"),
        (0.9996, "99.96 %"),
        (0.005, "0.5 %"),
        (0.0004, "0.04 %"),
        (0.01, "1 %"),
        (0.99, "99 %"),
    ],
)
def test_a_share_is_read_in_percent(value: float, words: str) -> None:
    """Near an end it has as many decimals as it takes to differ from that end."""
    assert number(value, SHARE) == words


def test_a_difference_of_shares_is_in_points() -> None:
    """A difference has its sign, and a difference of percents is no percent."""
    assert number(0.4444, SHARE, signed=True) == amount(0.4444, SHARE, signed=True) == "+44 points"
    assert number(-0.004, SHARE, signed=True) == "-0.4 points"


def test_other_numbers_have_three_digits() -> None:
    """Thousands are separated, and zero has no minus."""
    assert amount(18.8349, "features") == "18.8 features"
    assert number(3.6249, signed=True) == "+3.62"
    assert number(12345.6) == "12,300"
    assert number(-0.0) == "0"


def test_two_values_share_their_unit() -> None:
    """The unit stands once, after the second."""
    assert against(0.4722, 0.02778, SHARE) == "47 % against 3 % of continuations"
    assert against(18.84, 15.22, "features") == "18.8 against 15.2 features"


def test_an_interval_stands_in_brackets() -> None:
    """It has the digits of its unit."""
    assert span((0.0, 0.0625), SHARE) == "[0 %, 6 %]"
    assert span((-1.234, 3.4)) == "[-1.23, 3.4]"


@pytest.mark.parametrize(
    ("p", "words"), [(0.0731, "p = 0.073"), (0.001, "p = 0.001"), (0.00049, "p = 0.0005"), (0.00002, "p < 0.0001")]
)
def test_a_p_has_two_digits_and_no_exponent(p: float, words: str) -> None:
    """One below 0.001 has a single digit, and one below 0.0001 is a bound."""
    assert p_value(p) == words
