"""Variance explained, effective rank and length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import features

from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Summary
from saeprobe.measures import effective_rank, n_tokens, variance_explained
from saeprobe.prompts import Prompt
from saeprobe.recorded.record import Recorded, RecordedStyle

WORDS = [
    ("novice", "A", "red", (1.5, 0.0)),
    ("novice", "A", "blue", (0.0, 1.5)),
    ("novice", "A", "purple", (0.5, 0.5)),
]
X = np.array([[2.0, -1, -1], [-1, 2, -1], [1, 1, -2]])


def test_variance_explained_is_worked_by_hand() -> None:
    """One tenth, for x = (2, -1, -1), (-1, 2, -1), (1, 1, -2) given back as (1.5, 0, 0), (0, 1.5, 0), (0.5, 0.5, 0).

    Squared errors are 2.25, 2.25 and 4.5, in all 9. The squared norms sum to 18; the mean (2/3, 2/3, -4/3) has the
    squared norm 24/9, so the squares about it sum to 18 - 3 * 24/9 = 10, and 1 - 9/10 = 0.1.
    """
    of = features(WORDS, activations=X, squared_error=np.array([2.25, 2.25, 4.5]))
    found = variance_explained(of)
    assert found.value == pytest.approx(0.1)
    assert (found.unit, found.n) == ("share of variance", 3)


def test_a_perfect_sae_explains_all_and_the_mean_explains_nothing() -> None:
    """Without error the share is 1; an error as large as the variance, 10, leaves 0."""
    perfect = features(WORDS, activations=X, squared_error=np.zeros(3))
    assert variance_explained(perfect).value == 1.0
    mean = features(WORDS, activations=X, squared_error=((X - X.mean(axis=0)) ** 2).sum(axis=1))
    assert variance_explained(mean).value == pytest.approx(0.0)


def test_variance_explained_needs_activations_that_vary() -> None:
    """Without activations the remedy is named; activations that are all alike have no variance to explain."""
    with pytest.raises(ValueError, match=r'capture\(\.\.\., keep="activations"\)'):
        variance_explained(features(WORDS))
    with pytest.raises(ValueError, match="do not vary over 3 tokens"):
        variance_explained(features(WORDS, activations=np.ones((3, 3)), squared_error=np.zeros(3)))


def test_effective_rank_is_what_the_capture_kept() -> None:
    """One value a prompt, in dimensions, with the prompts' lengths beside it."""
    found = effective_rank(features(WORDS, effective_rank=np.array([1.0, 2.5, 3.0])))
    assert isinstance(found, Measurement)
    assert list(found.values) == [1.0, 2.5, 3.0]
    assert found.unit == "dimensions"
    assert found.n_tokens is not None
    assert list(found.n_tokens) == [3, 4, 5]


def test_effective_rank_that_was_not_kept_is_an_error() -> None:
    """The error says what to write."""
    with pytest.raises(ValueError, match=r'capture\(\.\.\., keep="effective_rank"\)'):
        effective_rank(features(WORDS))


def table(*, lengths: bool = True) -> Recorded:
    """Effective ranks 1 to 4 of two personas on two topics, of prompts of 10 to 13 tokens."""
    personas = ("novice", "expert")
    whole = Measurement(
        measure="effective rank",
        label="novice + expert",
        unit="dimensions",
        values=np.array([1.0, 2, 3, 4]),
        prompts=tuple(
            Prompt(text=f"{style} {topic}", style=style, topic=topic, template="as recorded")
            for style in personas
            for topic in ("tides", "rain")
        ),
        n_tokens=np.array([10, 11, 12, 13]) if lengths else None,
    )
    return recorded({style: whole[style] for style in personas})


def recorded(ranks: dict[str, Measurement | Summary]) -> Recorded:
    """A record that tells effective ranks."""
    by_style = {
        style: RecordedStyle(
            style=style,
            quantities={"effective rank": rank},
            firing_rates={},
            exclusive={},
            n_at_least=None,
            origin="table.json",
        )
        for style, rank in ranks.items()
    }
    return Recorded(subject="hand", by_style=by_style, origin="table.json")


def test_length_is_what_the_model_saw() -> None:
    """3, 4 and 5 tokens, in tokens, beside the same prompts."""
    found = n_tokens(features(WORDS))
    assert list(found.values) == [3.0, 4.0, 5.0]
    assert (found.measure, found.unit, len(found.prompts)) == ("length", "tokens", 3)


def test_a_recorded_table_tells_ranks_and_lengths_of_all_its_prompts() -> None:
    """The whole table in its order, or one persona of it, with the same prompts on both sides."""
    whole = table()
    ranks = effective_rank(whole)
    assert isinstance(ranks, Measurement)
    assert list(ranks.values) == [1, 2, 3, 4]
    assert list(n_tokens(whole).values) == [10, 11, 12, 13]
    assert n_tokens(whole).prompts == ranks.prompts
    of_expert = n_tokens(whole["expert"])
    assert (of_expert.name, of_expert.unit, list(of_expert.values)) == ("length of expert", "tokens", [12, 13])


def test_lengths_that_a_record_does_not_tell_are_not_made_up() -> None:
    """Neither without token counts nor from means alone."""
    with pytest.raises(NotRun, match=r"table\.json does not say how many tokens each novice \+ expert prompt has"):
        n_tokens(table(lengths=False))
    mean = Summary(measure="effective rank", label="novice", unit="dimensions", value=2.0, n=None, origin="table.json")
    with pytest.raises(NotRun, match=r"table\.json does not say how many tokens each novice prompt has"):
        n_tokens(recorded({"novice": mean})["novice"])
    with pytest.raises(NotRun, match=r"table\.json holds the effective rank of each style as one number"):
        effective_rank(recorded({"novice": mean}))
    with pytest.raises(NotRun, match="the record of novice prompts does not say how many tokens"):
        n_tokens(replace(features(WORDS), n_tokens=None))
