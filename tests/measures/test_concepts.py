"""Features among the strongest and the selectivity of units, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import features, tokens_read
from scipy.sparse import csr_array

from saeprobe.claims import NotRun
from saeprobe.features import Features, Token
from saeprobe.measures import among_strongest, selectivity
from saeprobe.measures.concepts import Units
from saeprobe.measures.halving import Selected
from saeprobe.prompts import Prompt

BRIDGE = features([("bridge", "A", "x", (3, 1, 0))])

KINDS = [
    ("cats", "A", "x", (4, 1)),
    ("cats", "B", "x", (3, 0)),
    ("law", "C", "x", (1, 2)),
    ("law", "D", "x", (0, 6)),
]
SQUARE = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
"""Means 0 and standard deviations 1, so that z is x."""


def active(counts: tuple[int, int, int, int], **kept: object) -> Features:
    """Four prompts of two kinds on which so many features are active, beside the activations of SQUARE."""
    rows = [
        (style, template, "x", [1.0] * count + [0.0] * (2 - count))
        for (style, template, *_), count in zip(KINDS, counts, strict=True)
    ]
    return features(rows, activations=SQUARE, **kept)


def test_a_feature_is_among_the_strongest_by_rank() -> None:
    """Activations 5, 4, 3: the third is among 3 and not among 2."""
    of = features([("bridge", "A", "x", (5, 4, 3))])
    assert list(among_strongest(of, 2, k=3).values) == [1]
    assert list(among_strongest(of, 2, k=2).values) == [0]
    assert list(among_strongest(of, [2, 1], k=2).values) == [1]
    found = among_strongest(of, 1, k=2)
    assert (list(found.values), found.measure, found.unit) == (
        [1],
        "feature 1 among the 2 strongest",
        "share of tokens",
    )
    assert among_strongest(of, [2, 1]).measure == "one of features 2, 1 among the 5 strongest"


def test_a_picked_feature_tells_where_it_was_picked() -> None:
    """Among how many, and whether on the prompts that are read here; where none was picked there is nothing to read."""
    of = features([("bridge", "A", "x", (5, 4, 3))])
    elsewhere = features([("bridge", "B", "y", (5, 0, 0))]).prompts
    picked = Selected(features=(1,), tried=24_576, picked_on="1 + 1 prompts", prompts=elsewhere)
    found = among_strongest(of, picked, k=2)
    assert list(found.values) == [1]
    assert found.measure == (
        "feature 1, picked among 24,576 on 1 + 1 prompts, other wordings and other topics, is among the 2 strongest"
    )
    with pytest.raises(ValueError, match=r"features \[\] and k = 5"):
        among_strongest(of, Selected(features=(), tried=3, picked_on="1 + 1 prompts"))


def test_ties_count_as_among_them_and_silence_does_not() -> None:
    """Of 3, 3, 3 each is the strongest; a feature at 0 is not among the five strongest of three."""
    assert list(among_strongest(features([("bridge", "A", "x", (3, 3, 3))]), 2, k=1).values) == [1]
    assert list(among_strongest(features([("bridge", "A", "x", (3, 3, 0))]), 2).values) == [0]


def test_a_prompt_read_at_several_tokens_counts_their_share() -> None:
    """Strongest on one of two tokens: one half."""
    of = tokens_read(["a", "b"], [[[1, 2], [2, 1]], [[2, 1]]])
    assert list(among_strongest(of, 0, k=1).values) == [0.5, 1]


def test_features_that_are_not_there_are_an_error() -> None:
    """None, one beyond the SAE, or among the 0 strongest."""
    for feature, k, told in (
        ((), 5, r"features \[\] and k = 5"),
        (0, 0, "k = 0"),
        (3, 5, r"feature 3 is outside \[0, 3\)"),
    ):
        with pytest.raises(ValueError, match=told):
            among_strongest(BRIDGE, feature, k=k)
    with pytest.raises(ValueError, match="feature -1 is outside"):
        among_strongest(BRIDGE, -1)


def test_selectivity_of_the_strongest_feature_is_worked_by_hand() -> None:
    """Activity on the own kind in the other wording, beside the mean on the other kind.

    Feature 0 on cats A: 3 in wording B, and law's mean 1/2, so 3 / 3.5. On B: 4 / 4.5. Feature 1 on law C: 6 in wording
    D, cats' mean 1/2, so 6 / 6.5. On D: 2 / 2.5.
    """
    found = selectivity(features(KINDS), "features", k=1)
    assert list(found.values) == pytest.approx([6 / 7, 8 / 9, 12 / 13, 4 / 5])
    assert (found.name, found.unit) == ("selectivity of features", "share of activity")


def test_selectivity_averages_the_k_strongest_that_are_active() -> None:
    """On cats A feature 1 comes second: 0 in wording B, so 0 beside law's 4; on B it is silent and does not count.

    On law C feature 0 comes second: 0 in wording D, beside cats' 3.5.
    """
    found = selectivity(features(KINDS), "features", k=2)
    assert list(found.values) == pytest.approx([3 / 7, 8 / 9, 6 / 13, 4 / 5])


def test_five_units_a_prompt_unless_said_otherwise() -> None:
    """Of six active features the five strongest keep to cats, the sixth to law: by default it does not count."""
    rows = [
        ("cats", "A", "x", (9, 8, 7, 6, 5, 4)),
        ("cats", "B", "x", (9, 8, 7, 6, 5, 0)),
        ("law", "C", "x", (0, 0, 0, 0, 0, 4)),
        ("law", "D", "x", (0, 0, 0, 0, 0, 4)),
    ]
    assert list(selectivity(features(rows), "features").values) == [1, 1, pytest.approx(2 / 3), pytest.approx(2 / 3)]
    assert selectivity(features(rows), "features", k=6).values[0] == pytest.approx(5 / 6)


def test_kinds_count_alike_however_many_prompts_they_have() -> None:
    """Law has three prompts, whose mean of feature 0 is 2: cats A has 6 / (6 + 2), not 6 / (6 + 6)."""
    rows = [("cats", "A", "x", (1, 0)), ("cats", "B", "x", (6, 0)), *(("law", each, "x", (2, 9)) for each in "CDE")]
    assert selectivity(features(rows), "features", k=1).values[0] == pytest.approx(6 / 8)


def test_other_topics_of_the_same_wording_do_not_count() -> None:
    """Feature 0 fires on both topics of wording A alone: elsewhere it is silent, and says nothing: one in two kinds."""
    rows = [
        ("cats", "A", "x", (5, 0)),
        ("cats", "A", "y", (5, 0)),
        ("cats", "B", "x", (0, 1)),
        ("law", "C", "x", (0, 1)),
        ("law", "D", "x", (0, 1)),
    ]
    assert list(selectivity(features(rows), "features", k=1).values[:2]) == [0.5, 0.5]


def test_a_units_activity_is_its_mean_over_the_tokens_read() -> None:
    """Feature 0 has 6 and 0 on the two tokens of the first prompt, a mean of 3, less than the 4 of feature 1.

    Feature 1 has 1 in the other wording and 1 on the other kind.
    """
    of = features([*KINDS[:1], *KINDS])
    styles = ("cats", "cats", "law", "law")
    of = replace(
        of,
        acts=csr_array(np.array([[6.0, 4], [0, 4], [1, 1], [1, 1], [1, 1]])),
        row_prompt=np.array([0, 0, 1, 2, 3]),
        prompts=tuple(Prompt(text=str(n), style=style, topic="x", template=str(n)) for n, style in enumerate(styles)),
        n_tokens=None,
        tokens=(Token(position=1, text="x", start=0, end=1),) * 5,
    )
    assert selectivity(of, "features", k=1).values[0] == pytest.approx(1 / 2)


def test_dimensions_are_units_with_a_sign() -> None:
    """With one active feature a token, the first dimension counts: up on cats, down on law, so each is selective.

    In x = (1, 1), (1, -1), (-1, 1), (-1, -1) both dimensions are equally far from their means; the first one is taken.
    """
    found = selectivity(active((1, 1, 1, 1)), "dimensions", k=1)
    assert list(found.values) == [1, 1, 1, 1]
    assert found.label == "dimensions"


def test_as_many_dimensions_count_as_features_are_active() -> None:
    """With two, the second dimension counts too, which is up in A and down in B: 0 of its activity is on cats.

    On cats A: unit "dimension 0 up" gives 1; "dimension 1 up" has 0 in wording B and 1/2 on law: 0.
    """
    assert list(selectivity(active((2, 2, 2, 2)), "dimensions").values) == [0.5, 0.5, 0.5, 0.5]


def test_a_dimension_that_never_moves_is_no_unit() -> None:
    """A constant dimension is no standard deviations from its mean; the one that moves counts alone."""
    of = replace(active((2, 2, 2, 2)), activations=np.array([[1.0, 7], [1, 7], [-1, 7], [-1, 7]]))
    assert list(selectivity(of, "dimensions").values) == [1, 1, 1, 1]


def test_the_farthest_dimensions_count_in_standard_deviations() -> None:
    """Dimension 1 varies by 100 and dimension 0 by 1; on the first token 0 is two deviations out and is taken.

    x0 = (3, 0, 0, -3): mean 0, deviation sqrt(18 / 4) = 2.12. x1 = (100, 100, -100, -100): deviation 100. The first
    token is 1.41 and 1 out, so "0 up" alone counts there; the second is 0 and 1 out, so "1 up" counts there. Elsewhere
    each is silent on cats and on law, and says nothing: one half.
    """
    x = np.array([[3.0, 100], [0, 100], [0, -100], [-3, -100]])
    assert list(selectivity(replace(active((1, 1, 1, 1)), activations=x), "dimensions").values) == [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("rows", "units", "told"),
    [
        (KINDS[:2], "features", "several kinds; there is one style: cats"),
        (KINDS[:3], "features", "'law C: {topic}' is the only wording of its kind"),
        ([*KINDS, ("law", "E", "x", (0, 0))], "features", "no unit is active on 'law E: x'"),
    ],
)
def test_selectivity_needs_kinds_wordings_and_activity(
    rows: list[tuple[str, str, str, tuple[float, float]]], units: Units, told: str
) -> None:
    """One kind has nothing unrelated, one wording no other, and a silent prompt no strongest unit."""
    with pytest.raises(ValueError, match=told):
        selectivity(features(rows), units)


def test_dimensions_need_the_activations() -> None:
    """The remedy is named; nothing else is read in their place."""
    with pytest.raises(NotRun, match=r'capture\(\.\.\., keep="activations"\)'):
        selectivity(features(KINDS), "dimensions")
    with pytest.raises(ValueError, match="k is 0"):
        selectivity(features(KINDS), "features", k=0)


def test_features_and_dimensions_can_be_compared_and_read_under_a_control() -> None:
    """They are the same measure of the same prompts; under a control the other capture's prompts are measured."""
    of = active((1, 1, 1, 1))
    given = replace(of, conditions={"random-sae": (lambda: active((2, 2, 2, 2)),)})
    found = selectivity(given, "dimensions")
    assert found.measure == selectivity(given, "features").measure
    assert found.under is not None
    assert list(found.under("random-sae").values) == [0.5, 0.5, 0.5, 0.5]
