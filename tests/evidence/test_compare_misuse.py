"""Comparisons that are given something else say what it is and what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from grids import grid, summary, templates

from saeprobe.evidence import Recorder, recording
from saeprobe.evidence.compare import about, ordered
from saeprobe.evidence.correlation import correlation

A, B, C = (templates(style, means) for style, means in (("a", (9, 8)), ("b", (6, 5)), ("c", (3, 2))))
RNG = np.random.default_rng(0)
length: Any = grid("a", RNG.normal(0, 1, (4, 3)).tolist(), measure="length", unit="tokens")
of: Any = correlation(grid("a", RNG.normal(0, 1, (4, 3)).tolist()), length)
ORDERED: Any = ordered


@pytest.mark.parametrize(
    "asked",
    [
        lambda: of == about(length, margin=0.1),
        lambda: of == 0.5,
        lambda: of != 0.5,
        lambda: of >= 0.5,
        lambda: of <= 0.5,
        lambda: of > correlation(of.b, of.a),
        lambda: of > "0.5",
        lambda: of < length,
        lambda: bool(of),
    ],
)
def test_a_correlation_stands_beside_a_number(asked: Callable[[], object]) -> None:
    """No equality, no expectation, no other sign, nothing but a number, and not by itself."""
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match="compare it with a number by > or <, as in"):
        asked()
    assert recorder.evidence == []


def test_what_stood_beside_a_correlation_is_named() -> None:
    """A bare assert says what is missing."""
    name = r"^<correlation of l0 and length over a: -?0\.\d+, 12 prompts>"
    with pytest.raises(TypeError, match=rf"{name} says nothing by itself; .*: assert correlation\(a, b\) > 0\.9$"):
        assert of
    with pytest.raises(TypeError, match=rf"{name} against 0\.5; compare it with a number"):
        _ = of == 0.5


def test_what_is_correlated_are_measurements() -> None:
    """On either side; a bare summary is one, and says itself what it lacks."""
    other: Any = 0.5
    for asked in (lambda: correlation(length, other), lambda: correlation(other, length)):
        with pytest.raises(TypeError, match=r"^correlation\(\) was given 0\.5; wanted measurements, such as l0\("):
            asked()


@pytest.mark.parametrize("given", [(A, B, C), (A,), ([A, B], C), (summary("a", 3),)])
def test_what_is_ordered_stands_in_a_list(given: tuple[object, ...]) -> None:
    """One by one, or a single one, which can be no order."""
    with pytest.raises(TypeError, match=r"^ordered\(\) takes one list: ordered\(\[a, b, c\]\)$"):
        ORDERED(*given)


def test_only_quantities_have_an_order() -> None:
    """A number between two measurements is a bound on either, not part of an order."""
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match=r"^ordered\(\) was given 5; wanted measure"):
        ORDERED([A, 5, C])
    assert recorder.evidence == []


def test_a_rate_that_one_prompt_excludes_has_no_p_to_print() -> None:
    """Beside a rate of 0 one firing is enough, and against 1 one silence; where nothing tells, p is 1."""
    some = grid("a", [[0, 0], [0, 1]], unit="share of prompts")
    none = grid("a", [[0, 0], [0, 0]], unit="share of prompts")
    above, below, open_ = some > 0, some < 1, none > 0
    assert above.reason == "25 % over 2 templates against 0 %, which a single prompt excludes"
    assert below.reason == "25 % over 2 templates against 100 %, which a single prompt excludes"
    assert (above.outcome, above.p, below.outcome, below.p) == ("supported", 0, "supported", 0)
    assert open_.reason.startswith("0 % over 2 templates against 0 %, p = 1: not distinguished")
