"""Which units of two styles change sides, what the decision is about, and how many could decide: by hand."""

from __future__ import annotations

import pytest
from by_hand import Row, crossed, features

from saeprobe.claims import Over
from saeprobe.evidence import Needed
from saeprobe.features import Features
from saeprobe.measures.reading import Design, design, templates, topics


def sides(*rows: Row) -> tuple[Features, Features]:
    """Novice prompts and expert prompts."""
    of = features(rows)
    return of["novice"], of["expert"]


def made(a: Features, b: Features, *over: Over) -> Design:
    """The design, where there is one."""
    found = design(a, b, over)
    assert isinstance(found, Design)
    return found


def told(found: Design) -> tuple[str, float, bool]:
    """All that a design says but its firings."""
    return found.scope, found.a_unit, found.paired


def fire(of: Design) -> list[dict[str, list[int]]]:
    """The features that fire in each unit of either side, by the name of the unit."""
    return [
        {name: fires.nonzero()[0].tolist() for name, fires in zip(side.names, side.units(), strict=True)}
        for side in (of.a, of.b)
    ]


def two_beside_three() -> tuple[Features, Features]:
    """Two templates of novice and three of expert, each on yeast and then on tides."""
    return sides(
        *crossed("novice", (1, 0, 0), templates="B", topics=("yeast", "tides")),
        *crossed("novice", (1, 1, 0), templates="A", topics=("yeast", "tides")),
        *crossed("expert", (0, 0, 1), templates="CAB", topics=("yeast", "tides")),
    )


@pytest.mark.parametrize("over", [(), ("templates",)])
def test_templates_go_to_either_side(over: tuple[Over, ...]) -> None:
    """One more template a style takes 4 / 2 + 6 / 3 = 4 prompts; the templates come in order of appearance."""
    found = made(*two_beside_three(), *over)
    assert told(found) == ("these 2 + 3 templates", 4.0, False)
    assert fire(found) == [
        {"novice B: {topic}": [0], "novice A: {topic}": [0, 1]},
        {"expert C: {topic}": [2], "expert A: {topic}": [2], "expert B: {topic}": [2]},
    ]


def test_topics_change_places_under_fixed_templates() -> None:
    """A claim over topics pairs them by name in the order of the alphabet; a topic takes 10 / 2 = 5 prompts."""
    a, b = sides(
        *crossed("novice", (1, 0, 0), templates="AB", topics=("yeast", "tides")),
        ("novice", "C", "tides", (0, 1, 0)),
        *crossed("expert", (0, 0, 1), templates="A", topics=("tides", "yeast", "tides")),
        *crossed("expert", (0, 0, 0), templates="B", topics=("yeast", "tides")),
    )
    found = made(a, b, "topics")
    assert told(found) == ("these 3 + 2 templates fixed, over 2 topics", 5.0, True)
    assert fire(found) == [{"tides": [0, 1], "yeast": [0]}, {"tides": [2], "yeast": [2]}]


@pytest.mark.parametrize("over", [(), ("topics",)])
def test_one_wording_is_told_as_such(over: tuple[Over, ...]) -> None:
    """Under one wording a style the topics are permuted, whether or not the claim names them."""
    found = made(
        *sides(
            *crossed("novice", (1, 0), templates="A", topics=("yeast", "tides", "rust")),
            *crossed("expert", (0, 1), templates="A", topics=("rust", "tides", "yeast")),
        ),
        *over,
    )
    assert told(found) == ("this wording only, over 3 topics", 2.0, True)


def test_two_templates_on_both_sides_are_fixed_where_the_claim_is_over_topics() -> None:
    """Two templates on either side are several wordings."""
    a, b = sides(
        *crossed("novice", (1, 0), templates="AB", topics=("yeast", "tides")),
        *crossed("expert", (0, 1), templates="AB", topics=("yeast", "tides")),
    )
    assert told(made(a, b, "topics")) == ("these 2 + 2 templates fixed, over 2 topics", 4.0, True)


@pytest.mark.parametrize(("letters", "counts"), [(("A", "A"), (1, 1)), (("A", "AB"), (1, 2)), (("AB", "A"), (2, 1))])
def test_a_claim_over_templates_needs_two_a_side(letters: tuple[str, str], counts: tuple[int, int]) -> None:
    """A single one on either side tells nothing of other wordings, and the sentence counts both."""
    a, b = sides(
        *crossed("novice", (1, 0), templates=letters[0], topics=("yeast", "tides")),
        *crossed("expert", (0, 1), templates=letters[1], topics=("yeast", "tides")),
    )
    assert design(a, b, ("templates",)) == (
        f"novice has {counts[0]} template(s) and expert {counts[1]}: at least 2 a side stand for other wordings"
    )


def test_a_single_topic_under_a_single_wording_is_told() -> None:
    """There is nothing to permute."""
    a, b = sides(("novice", "A", "tides", (1, 0)), ("expert", "A", "tides", (0, 1)))
    assert design(a, b, ()) == "there is a single topic under a single wording: nothing to permute"


def test_templates_and_topics_at_once_are_refused() -> None:
    """The error says why, and what to state instead."""
    with pytest.raises(TypeError) as refused:
        design(*two_beside_three(), ("templates", "topics"))
    assert str(refused.value) == (
        "features are counted over all prompts of a style at once, so that templates and topics cannot be permuted "
        "apart; state one of them: over=('templates',) or over=('topics',)"
    )


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [
        pytest.param(crossed("expert", (0, 1), templates="AB", topics=("tides", "rust")), "4 on 2", id="another topic"),
        pytest.param(
            [*crossed("expert", (0, 1), templates="AB", topics=("tides", "yeast")), ("expert", "A", "yeast", (0, 1))],
            "5 on 2",
            id="more prompts on a topic",
        ),
        pytest.param(
            crossed("expert", (0, 1), templates="ABCD", topics=("tides", "yeast", "rust")), "12 on 3", id="more topics"
        ),
    ],
)
def test_templates_of_other_topics_or_more_prompts_are_refused(rows: list[Row], numbers: str) -> None:
    """What has more prompts a template on a topic has more features for that alone."""
    a, b = sides(*crossed("novice", (1, 0), templates="AB", topics=("tides", "yeast")), *rows)
    with pytest.raises(ValueError, match=r"^novice has") as refused:
        design(a, b, ())
    assert str(refused.value) == (
        f"novice has 4 prompts on 2 topic(s) and expert {numbers}; more prompts have more features: "
        "wanted the same topics, with as many prompts a template on each"
    )


def test_topics_that_differ_are_refused() -> None:
    """Under one wording topics are paired by name; two templates of novice stand against one of expert here."""
    a, b = sides(
        *crossed("novice", (1, 0), templates="AB", topics=("tides", "yeast")),
        *crossed("expert", (0, 1), templates="A", topics=("tides", "yeast", "rust")),
    )
    with pytest.raises(ValueError, match=r"^novice gives") as refused:
        design(a, b, ())
    assert str(refused.value) == (
        "novice gives 2 template(s) on 2 topic(s) to permute and expert 1 on 3; "
        "wanted several templates on both sides, or the same topics with as many prompts on each"
    )


def test_templates_that_cannot_decide_say_how_many_could() -> None:
    """Two beside three: twice 1 in 10 relabelings; two beside two: 2 in 6. Four a style reach 2 in 70."""
    uneven = made(*two_beside_three())
    assert uneven.needed(2 / 10) is not None
    assert uneven.needed(0.05) == Needed(units="templates a style", have=2, wanted=4, prompts=16)
    assert uneven.needed(0.01) == Needed(units="templates a style", have=2, wanted=5, prompts=20)
    assert uneven.needed(2 / 10 + 1e-9) is None
    even = made(
        *sides(
            *crossed("novice", (1, 0), templates="AB", topics=("tides",)),
            *crossed("expert", (0, 1), templates="AB", topics=("tides",)),
        )
    )
    assert even.needed(2 / 6) is not None
    assert even.needed(2 / 6 + 1e-9) is None


def test_topics_that_cannot_decide_say_how_many_could() -> None:
    """Three topics reach 2 in 8; below 0.02 are 2 in 128 of seven, with 7 * 8 / 3 prompts, rounded up to 19."""
    four = [(letter, topic) for letter, topic in zip("AABA", ("tides", "yeast", "tides", "rust"), strict=True)]
    found = made(
        *sides(
            *(("novice", letter, topic, (1, 0)) for letter, topic in four),
            *(("expert", letter, topic, (0, 1)) for letter, topic in four),
        ),
        "topics",
    )
    assert found.needed(2 / 8) is not None
    assert found.needed(2 / 8 + 1e-9) is None
    assert found.needed(0.02) == Needed(units="topics", have=3, wanted=7, prompts=19)


def test_fewer_units_of_the_other_side_count() -> None:
    """Three beside two: what is there is the fewer."""
    b, a = two_beside_three()
    needed = made(a, b).needed(0.05)
    assert needed is not None
    assert needed.have == 2


def test_templates_and_topics_come_in_order_of_first_appearance() -> None:
    """Each once."""
    a, _ = two_beside_three()
    assert templates(a) == ("novice B: {topic}", "novice A: {topic}")
    assert topics(a) == ("yeast", "tides")
