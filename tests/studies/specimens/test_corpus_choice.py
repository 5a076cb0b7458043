"""Choices and their log-probabilities, against grammars worked by hand."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from studies.specimens.corpus.document import Draw, Words, seeded


def test_a_uniform_choice_costs_the_log_of_the_number_of_options() -> None:
    """Four options cost log 4 nats, whichever is taken."""
    draw = Draw(seeded(0))
    draw.one("abcd")
    assert draw.log_prob == pytest.approx(-math.log(4))


def test_an_option_listed_twice_is_charged_as_twice_as_likely() -> None:
    """Of ("a", "a", "b"), "a" costs log 3/2 and "b" log 3."""
    costs: dict[str, float] = {}
    for seed in range(20):
        draw = Draw(seeded(seed))
        picked = draw.one(("a", "a", "b"))
        costs[picked] = -draw.log_prob
    assert costs == {"a": pytest.approx(math.log(1.5)), "b": pytest.approx(math.log(3))}


def test_a_sample_costs_the_log_of_the_number_of_ordered_samples() -> None:
    """Three of five in order cost log (5 * 4 * 3)."""
    draw = Draw(seeded(1))
    assert len(set(draw.some("abcde", 3))) == 3
    assert draw.log_prob == pytest.approx(-math.log(60))


def test_a_weighted_choice_costs_the_log_of_its_share() -> None:
    """With weights 3 and 1, the first costs log 4/3 and the second log 4."""
    costs: dict[str, float] = {}
    for seed in range(20):
        draw = Draw(seeded(seed))
        picked = draw.weighted((("often", 3.0), ("seldom", 1.0)))
        costs[picked] = -draw.log_prob
    assert costs == {"often": pytest.approx(math.log(4 / 3)), "seldom": pytest.approx(math.log(4))}


def test_a_word_is_drawn_when_a_template_first_uses_it_and_kept() -> None:
    """Two uses of one field cost one choice, and a field that is not used costs none."""
    draw = Draw(seeded(2))
    words = Words(draw, {"fruit": ("apple", "pear", "plum"), "tool": ("saw", "file")})
    text = "{fruit1} {fruit1} {fruit2}".format_map(words)
    first, again, second = text.split()
    assert first == again != second
    assert draw.log_prob == pytest.approx(-math.log(3 * 2))


def test_the_mean_cost_is_the_entropy_of_a_small_grammar() -> None:
    """One word half the time, else two of which the second is one of four: 2 bits, and frequencies as charged."""

    def sentence(draw: Draw) -> str:
        return "go" if draw.chance(0.5) else f"stop {draw.one('abcd')}"

    rng, costs, texts = seeded(3), [], Counter[str]()
    for _ in range(4000):
        draw = Draw(rng)
        texts[sentence(draw)] += 1
        costs.append(-draw.log_prob)
    assert sum(costs) / len(costs) == pytest.approx(2 * math.log(2), rel=0.03)
    assert texts["go"] / 4000 == pytest.approx(0.5, abs=0.03)
    assert texts["stop a"] / 4000 == pytest.approx(0.125, abs=0.03)
