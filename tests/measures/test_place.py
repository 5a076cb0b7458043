"""Where tokens were read: told with what was measured there, and the same on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from by_hand import crossed, features

from saeprobe.evidence import Evidence, Terms
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures import (
    clusters,
    exclusive_features,
    firing_rate,
    l0,
    n_tokens,
    pick,
    scan,
    separates,
    separating_features,
)

TOPICS = ("tides", "yeast", "rust", "soil")
ROWS = [
    *crossed("novice", (1.0, 0.5), templates="ABCD", topics=TOPICS),
    *crossed("expert", (0.0, 2.0), templates="EFGH", topics=TOPICS),
]
LAST, ALL = features(ROWS, place="last token"), features(ROWS, place="all tokens")


def places(evidence: Evidence) -> set[str]:
    """Of all samples, parts included."""
    return {one.place for one in evidence.samples}.union(*(places(part) for part in evidence.parts))


@pytest.mark.parametrize(
    "ask",
    [
        lambda a, b: l0(a) < l0(b),
        lambda a, b: firing_rate(a, 0) > firing_rate(b, 0),
        lambda a, b: exclusive_features(a, b) > exclusive_features(b, a),
        scan,
        lambda a, b: separates(0, a, b),
    ],
)
def test_evidence_tells_where_its_tokens_were_read(ask: Callable[[Features, Features], Evidence]) -> None:
    """In every sample; a measure of two styles has it from both."""
    assert places(ask(LAST["novice"], LAST["expert"])) == {"last token"}


def test_the_map_tells_where_its_tokens_were_read() -> None:
    """Clusters are made of one capture."""
    assert places(clusters(ALL)) == {"all tokens"}


def test_what_is_of_the_whole_prompt_has_no_place() -> None:
    """The length of a prompt is the same wherever it was read, and can be compared with itself elsewhere."""
    found = n_tokens(LAST["novice"])
    assert found.place == ""
    assert sample_of(l0(LAST["novice"]), Terms()).place == "last token"
    evidence = n_tokens(ALL["expert"]) > found
    assert evidence.statement == "length of expert > length of novice"


def test_a_selection_keeps_its_place() -> None:
    """Of a style, of the whole that it is of, and under a control."""
    found = l0(LAST["novice"])
    assert isinstance(found, Measurement)
    assert found.place == "last token"
    read = replace(LAST, conditions={"injection": [lambda: LAST]})
    under = l0(read["novice"])
    assert isinstance(under, Measurement)
    assert under.under is not None
    assert under.under("injection").place == "last token"


SIDED: list[Callable[[Features, Features], object]] = [
    exclusive_features,
    pick,
    scan,
    separating_features,
    lambda a, b: separates(0, a, b),
]


@pytest.mark.parametrize("ask", SIDED)
def test_styles_read_at_different_tokens_are_not_told_apart(ask: Callable[[Features, Features], object]) -> None:
    """What differs could be the token's doing."""
    told = "novice was read at last token and expert at all tokens: no difference could be put down to the prompts"
    with pytest.raises(TypeError, match=told):
        ask(LAST["novice"], ALL["expert"])


@pytest.mark.parametrize("ask", SIDED)
def test_the_tokens_of_a_text_may_stand_beside_any_other(ask: Callable[[Features, Features], object]) -> None:
    """Prompts that do not hold the text can only be read elsewhere."""
    assert ask(features(ROWS, place="tokens of 'tides'")["novice"], ALL["expert"]) is not None


@pytest.mark.parametrize("ask", SIDED)
def test_a_style_is_not_told_apart_from_a_whole_that_holds_it(ask: Callable[[Features, Features], object]) -> None:
    """As where the name of a style was forgotten."""
    told = r"novice and novice \+ expert share 16 prompts, such as 'novice A: rust': a part was compared with the whole"
    with pytest.raises(TypeError, match=told):
        ask(LAST["novice"], LAST)
