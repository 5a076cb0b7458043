"""The rule of a comparison in full: what decides it, how its units come about, and how its controls are judged."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from controlled import numbered, under_controls
from grids import TOPICS, family, templates

from saeprobe.evidence.evidence import Recorder, Sample, Terms, recording
from saeprobe.evidence.near import NearThreshold
from saeprobe.evidence.values import Measurement

NOVICE, EXPERT = templates("novice", (10.0, 11, 12, 13)), templates("expert", (1.0, 2, 3, 4))

DECIDES = (
    "supported where the two-sided p is below alpha = 0.05 and the difference of the means is above zero; refuted "
    "where p is below alpha and it is below zero; inconclusive otherwise, and where the units show no spread"
)
OF_TEMPLATES = (
    ". Of the unit values a template's is its mean over the topics that both sides have, each prompt less the mean of "
    "its topic over both sides and plus the mean of these means"
)
OF_PAIRS = ". Of the unit values a unit's is its mean on the first side less that on the second"
OF_TOPICS = "; a topic's is its difference of the sides, taken less their mean and times sqrt(n / (n - 1))"
INTERVAL = ". The interval holds what can be taken off the first side without rejection"
DRAWN = (
    ". What is drawn comes from numpy.random.default_rng(seed), 20,000 at a time: of two groups "
    "argsort(random((count, units))) < size of the first puts units on the first side, of signs integers(0, 2, (count, "
    "units), dtype=bool) turns them, of both the groups go before the signs; p is (1 + those at least as far) / (1 + "
    "drawn). While the 99.9 % binomial interval of p holds alpha, ten times as many are drawn anew, by default_rng(0)"
)


def test_the_rule_for_templates_whose_relabelings_are_all_counted() -> None:
    """Four templates on each side: nothing is drawn, and the rule tells of no drawing."""
    evidence = NOVICE > EXPERT
    assert (evidence.units, evidence.seed) == ("templates", None)
    assert evidence.rule == DECIDES + OF_TEMPLATES + INTERVAL


def test_the_rule_for_paired_units() -> None:
    """The same prompts read at other tokens: a unit is a difference, and no topic's mean is taken off."""
    other = replace(NOVICE, values=NOVICE.values - 3 + np.arange(12) / 50, place="last token")
    evidence = replace(NOVICE, place="all tokens") > other
    assert evidence.units == "templates, paired"
    assert evidence.rule == DECIDES + OF_PAIRS + INTERVAL


def test_the_rule_for_templates_and_topics_tells_of_both_and_of_what_is_drawn() -> None:
    """The units of both kinds, and by which calls their relabelings were drawn."""
    with recording(Recorder(over=("templates", "topics"))):
        evidence = NOVICE > EXPERT
    assert (evidence.units, evidence.seed) == ("templates and topics", 0)
    assert evidence.rule == DECIDES + OF_TEMPLATES + OF_TOPICS + INTERVAL + DRAWN


def test_the_rule_tells_how_each_control_is_judged() -> None:
    """With length, injection and labels asked for; without controls nothing of it is told."""
    novice, expert = numbered("novice", (10.0, 11, 12, 13)), numbered("expert", (1.0, 2, 3, 4))
    judged = (
        ". Where this supports it, a control that explains or reproduces the effect refutes it, and one that could not "
        "be run or cannot tell leaves it inconclusive"
    )
    persists = (
        ". An effect that is to persist withstands a control with p below alpha and a rest above zero, or in other "
        "wordings with half of it left; else it is explained where nothing is left, or where the interval of the rest "
        "lies below it"
    )
    length = (
        ". For length p is the larger one of that of the values moved along the slope and, by Student's t, that of "
        "what is left against the jackknife error of the slope times the difference in length, over templates and over "
        "topics"
    )
    injection = (
        ". Pasted words reproduce it with p below alpha and at least half of it, and leave it open where at least half "
        "shows with p not below alpha"
    )
    labels = (
        ". Shuffled labels reproduce it where the test finds something in more than alpha of 200 shuffles, by the "
        "lower end of a 99 % binomial interval; they are drawn by numpy.random.default_rng(seed of the run): "
        "permutation(units)[:half] of each side make up the first, or are the signs that are turned"
    )
    by_hand = OF_TEMPLATES + INTERVAL
    for controls, told in (
        (("length", "injection", "labels"), persists + length + injection + labels),
        (("wording",), persists),
        (("length",), persists + length),
        (("injection",), injection),
        (("labels",), labels),
    ):
        evidence = under_controls(novice, expert, *controls)  # type: ignore[arg-type]
        assert evidence.rule == DECIDES + judged + told + by_hand


def test_a_sample_keeps_all_of_the_measurement() -> None:
    """Its measure, values, tokens read, and what rounding at a threshold may move: half a feature on 1 prompt of 12."""
    moves = np.zeros(12)
    moves[5] = 6.0
    side = replace(NOVICE, place="last token", near=NearThreshold(lowers=moves, raises=moves / 2, tolerance=1e-4))
    near, far = (side > replace(EXPERT, place="last token")).samples
    assert near == Sample(
        label="novice",
        measure="l0",
        unit="features",
        mean=11.5,
        n=12,
        interval=near.interval,
        values=tuple(NOVICE.values),
        prompts=NOVICE.prompts,
        place="last token",
        near_threshold=(
            "a feature is within rounding of its threshold (0.0001 of the stream's norm) on 1 of 12 prompts, which may "
            "lower the mean by 0.5 features and raise it by 0.25 features at most"
        ),
        reach=(11.0, 11.75),
        spreads=near.spreads,
    )
    assert (near.near_moves, far.near_threshold, far.reach, far.near_moves) == (0.5, None, None, None)


def test_a_part_beside_the_whole_is_told_how_to_name_a_style() -> None:
    """The whole sentence, with the first of the prompts that both have."""
    whole = family(NOVICE, EXPERT)
    with pytest.raises(TypeError) as told:
        _ = whole > whole["expert"]
    assert str(told.value) == (
        f"novice + expert and expert share 12 prompts, such as 'expert 0: {min(TOPICS[:3])}': a part was "
        'compared with the whole; name a style of each capture, as in styles["novice"]'
    )


def test_every_test_of_a_comparison_draws_by_the_seed_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the difference beyond a margin, and that of the difference itself, which the controls explain."""
    drawn_by: list[int] = []
    module = import_module("saeprobe.evidence.greater")  # the package has a function of that name
    real = module.compare

    def heard(a: Measurement, b: Measurement, terms: Terms) -> object:
        drawn_by.append(terms.seed)
        return real(a, b, terms)

    monkeypatch.setattr(module, "compare", heard)
    with recording(Recorder(seed=7, controls=("injection",))):
        _ = NOVICE > EXPERT + 2
    assert drawn_by == [7, 7]
